"""What a name of an ONNX graph stands for while it is read, and the element types of ONNX by their numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

ELEMENTS = {
    1: "float32",
    11: "float64",
    7: "int64",
    6: "int32",
    9: "bool",
    10: "float16",
    16: "bfloat16",
    3: "int8",
    2: "uint8",
    5: "int16",
}


@dataclass(frozen=True)
class Tensor:
    """A value that the network computes: how a spec says it, its element type, and its sizes: numbers, names of symbols, or None where the
    model does not tell. `source` is the input that it is, looked up and not computed with."""

    text: str
    dtype: str
    dims: tuple[int | str | None, ...]
    source: str = ""

    @property
    def rank(self) -> int:
        return len(self.dims)


@dataclass(frozen=True)
class Constant:
    """Numbers that the model holds, and what it calls them."""

    array: NDArray[Any]
    name: str


@dataclass(frozen=True)
class Sizes:
    """Whole numbers that come of shapes, each a number or what a spec says for it. `is_single` where it is one of no axis."""

    entries: tuple[int | str, ...]
    is_single: bool = False


Value = Tensor | Constant | Sizes
