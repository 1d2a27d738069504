"""Types of tensors: an element type and dimensions, which may be symbolic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from nnspec.dims import Dim, format_dim, product

FLOATS = ("float32", "float64", "float16", "bfloat16")
INTEGERS = ("int64", "int32", "int16", "int8", "uint8")
DTYPES = (*FLOATS, *INTEGERS, "bool", "complex64")
DTYPE_BYTES = {
    "float32": 4, "float64": 8, "float16": 2, "bfloat16": 2,
    "int64": 8, "int32": 4, "int16": 2, "int8": 1, "uint8": 1, "bool": 1, "complex64": 8,
}  # fmt: skip


class TensorType(NamedTuple):
    """The type of a tensor: `float32[N, 3, H, W]`, or `index(10)[N]`: int64 with values 0 to `classes` - 1."""

    dims: tuple[Dim, ...]
    dtype: str = "float32"
    classes: Dim | None = None

    @property
    def rank(self) -> int:
        return len(self.dims)

    @property
    def is_float(self) -> bool:
        return self.dtype in FLOATS

    @property
    def is_integer(self) -> bool:
        return self.dtype in INTEGERS

    @property
    def size(self) -> Dim:
        """How many elements."""
        return product(self.dims)

    @property
    def bytes(self) -> Dim:
        return self.size * DTYPE_BYTES[self.dtype]

    def with_dims(self, dims: Sequence[Dim]) -> TensorType:
        """The same element type in another shape."""
        return TensorType(tuple(dims), self.dtype, self.classes)

    def with_dtype(self, dtype: str, classes: Dim | None = None) -> TensorType:
        """The same shape with another element type."""
        return TensorType(self.dims, dtype, classes)

    def __str__(self) -> str:
        name = self.dtype if self.classes is None else f"index({format_dim(self.classes)})"
        return f"{name}[{', '.join(map(format_dim, self.dims))}]"


def index(classes: Dim, dims: Sequence[Dim]) -> TensorType:
    """The type of integers from 0 to `classes` - 1."""
    return TensorType(tuple(dims), "int64", classes)
