"""What torch does for each operator: the table, filled."""

from __future__ import annotations

from differential import torch_functions, torch_graphs, torch_layers, torch_sequences  # noqa: F401  (they fill the table)
from differential.calls import CATALOGUE, Context

__all__ = ["CATALOGUE", "Context"]
