"""Trained networks made smaller: weights that are near zero become zero (`magnitude`), whole channels go and the spec has smaller numbers
(`widths`), or weights are rounded to eight bits (`rounding`). Either gives a run beside the first one, which is evaluated, exported and
compiled as any (`lighter_run`).

Not here: arithmetic in int8, which is a way to run a network (`nnspec.engines.quantized`).
"""

from __future__ import annotations

from nnspec.lightening.lighter_run import Lightened, lighten

__all__ = ["Lightened", "lighten"]
