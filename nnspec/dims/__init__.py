"""Dimensions: integers, or integer polynomials over declared symbols with floor division; and what can be proved of them."""

from nnspec.dims.poly import (
    Dim,
    DimensionTooLargeError,
    Poly,
    Var,
    as_int,
    as_var,
    ceil_div,
    evaluate,
    format_dim,
    maximum,
    minimum,
    product,
    substitute,
    symbol,
    variables,
)

__all__ = [
    "Dim", "DimensionTooLargeError", "Poly", "Var", "as_int", "as_var", "ceil_div", "evaluate", "format_dim",
    "maximum", "minimum", "product", "substitute", "symbol", "variables",
]  # fmt: skip
