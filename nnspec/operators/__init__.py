"""What exists: one class per operator, families by file. Importing this package fills the table.

Not here: what a graph of operators means (`nnspec.graph`), and torch (`nnspec.torch_backend`).
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from nnspec.operators.declare import OPERATORS

#: The files that declare operators, in the order of the reference. A new family is entered here.
FAMILIES = (
    "convolution", "pooling", "linear", "normalization", "activation", "dropout", "padding", "resampling",
    "elementwise", "arithmetic", "comparison", "shape", "rearrangement", "subscript", "indexing",
    "ordering", "merge", "reduction", "matrix", "einsum", "creation", "gradient",
    "recurrent", "attention", "positions", "embedding", "random", "loss", "similarity", "metric", "optimizer", "schedule",
    "source",
)  # fmt: skip


def load_operators() -> dict[str, ModuleType]:
    """Import every family, which enters its operators into the table; the modules by name."""
    return {family: import_module(f"nnspec.operators.{family}") for family in FAMILIES}


load_operators()

__all__ = ["FAMILIES", "OPERATORS", "load_operators"]
