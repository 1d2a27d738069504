"""How large a network and its sizes may become while they are built, so that a hostile spec ends as a finding. Nothing else."""

from __future__ import annotations

from typing import Final

from nnspec.dims import Dim
from nnspec.dims.polynomial import Floor, Opaque

MAX_NODES: Final = 25_000
"""Operations of one network: built in about a second."""

MAX_DEPTH: Final = 32
"""Blocks within blocks."""

MAX_COPIES: Final = 10_000
"""Copies of one `repeat`, elements of one list."""

MAX_WORK: Final = 100_000
"""Copies, elements and block uses of a whole network, also those that make no operation."""

BLOCK_WORK: Final = 10
"""What the use of a block counts beside a copy: its parameters and statements take longer than a step."""

LARGEST_SIZE: Final = 2**62
"""No tensor has more elements than a signed 64-bit number counts."""


def is_beyond(dim: Dim) -> bool:
    """Whether no tensor can have this size, or it is too long an expression to be multiplied out."""
    if isinstance(dim, int):
        return dim > LARGEST_SIZE
    for monomial, factor in dim.terms.items():
        if abs(factor) > LARGEST_SIZE:
            return True
        for atom, _ in monomial:
            if isinstance(atom, Floor):
                if atom.denominator > LARGEST_SIZE:
                    return True
            elif isinstance(atom, Opaque) and atom.op in ("*", "+"):
                return True
    return False
