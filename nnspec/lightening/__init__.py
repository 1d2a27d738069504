"""Trained networks made smaller: weights that are near zero become zero (`magnitude`), or whole channels go and the spec has smaller numbers
(`widths`). Either gives a run beside the first one, which is evaluated, exported and compiled as any (`lighter_run`).

Not here: arithmetic in int8, which is a way to run a network (`nnspec.engines.quantized`).
"""

from __future__ import annotations

from nnspec.lightening.lighter_run import Lightened, lighten

__all__ = ["Lightened", "lighten"]
