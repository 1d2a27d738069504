"""How many positions a window has along an axis: the one arithmetic of convolution, pooling and their transposes.

Not here: what operators make of it, and which windows they admit.
"""

from __future__ import annotations

from nnspec.dims import Dim


def window_extent(kernel: int, dilation: int = 1) -> int:
    """How many elements a window spans, gaps included."""
    return dilation * (kernel - 1) + 1


def window_positions(length: Dim, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> Dim:
    """Positions of a window on `length` elements with `padding` more in total, both ends together.

    Below 1 where the window does not fit. Source: Dumoulin & Visin 2016, arXiv:1603.07285, relationship 15.
    """
    return (length + padding - window_extent(kernel, dilation)) // stride + 1


def window_positions_ceil(length: Dim, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> Dim:
    """The same with `padding` at each end, where a last window may hang over the end, if it starts inside or in the left padding.

    Source: pooling with `ceil_mode`, https://docs.pytorch.org/docs/stable/generated/torch.nn.MaxPool2d.html, in closed form.
    """
    reach = padding + min(0, padding - window_extent(kernel, dilation) + stride)
    return (length + reach + stride - 1) // stride


def transposed_positions(
    length: Dim, kernel: int, stride: int = 1, padding: int = 0, output_padding: int = 0, dilation: int = 1
) -> Dim:
    """The size that a transposed convolution gives: the size whose windows, with `padding` at each end, have `length` positions.

    Source: Dumoulin & Visin 2016, arXiv:1603.07285, relationship 14.
    """
    return (length - 1) * stride - 2 * padding + window_extent(kernel, dilation) + output_padding
