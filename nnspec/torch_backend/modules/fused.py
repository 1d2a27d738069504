"""A layer, a sum and an activation as one call of oneDNN, under the layer's own weights. N samples, C channels, H x W pixels, D features.

oneDNN computes what follows a product while the result is still in a register, and takes the weights in an order of its own, which is
made once and again when they change. It has no backward pass here and needs a processor: whenever a gradient is wanted, or the
tensors are elsewhere or of another type, the same is computed by torch's ordinary functions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

#: What oneDNN calls each function, and how it takes the settings: numbers, or the name of an algorithm.
_ATTRIBUTES: dict[str, Callable[[Mapping[str, Any]], tuple[str, list[float], str]]] = {
    "": lambda given: ("none", [], ""),
    "relu": lambda given: ("relu", [], ""),
    "relu6": lambda given: ("hardtanh", [0.0, 6.0], ""),
    "leaky_relu": lambda given: ("leaky_relu", [given["negative_slope"]], ""),
    "hardtanh": lambda given: ("hardtanh", [given["min_val"], given["max_val"]], ""),
    "gelu": lambda given: ("gelu", [], given["approximate"]),
    "silu": lambda given: ("swish", [], ""),
    "sigmoid": lambda given: ("sigmoid", [], ""),
    "tanh": lambda given: ("tanh", [], ""),
    "hardswish": lambda given: ("hardswish", [], ""),
    "hardsigmoid": lambda given: ("hardsigmoid", [], ""),
}

#: A linear layer of fewer products is left to torch: a call of oneDNN takes about 20 us before it multiplies (`benchmarks/linear_calls.py`).
LEAST_PRODUCTS = 1_500_000
#: Whether this build of torch has oneDNN.
_AVAILABLE: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
#: What oneDNN computes in on this processor.
_ELEMENTS = (torch.float32, torch.bfloat16) if _AVAILABLE and torch.ops.mkldnn._is_mkldnn_bf16_supported() else (torch.float32,)


def channels_last(x_NCHW: Tensor) -> Tensor:
    """The same pictures with the channels of a pixel side by side in memory; the same tensor where they are."""
    return x_NCHW.contiguous(memory_format=torch.channels_last)


class _Fused(nn.Module):
    """What the fused layers share: the function after the product, the choice of the kernel, and the weights as the kernel wants them."""

    #: "onednn" or "torch". What is faster depends on the processor and the size.
    kernel: str
    #: The version and the place of the weight that was put in oneDNN's order, and what came of it.
    _prepared: tuple[int, int, Tensor] | None
    #: Numbers of axes that the kernel takes.
    ranks: ClassVar[tuple[int, ...]]
    weight: Tensor

    def set_function(self, function: str, settings: Mapping[str, Any] | None) -> None:
        """What is done to each element of the result: a name of `torch.nn.functional`, "" for nothing."""
        self.function, self.function_settings = function, dict(settings or {})
        self.attribute, self.scalars, self.algorithm = _ATTRIBUTES[function](self.function_settings)
        self.kernel = "onednn"
        self._prepared = None

    def applied(self, y: Tensor) -> Tensor:
        """The function by torch."""
        result: Tensor = getattr(F, self.function)(y, **self.function_settings) if self.function else y
        return result

    def admits(self, x: Tensor) -> bool:
        """Whether oneDNN can do this call."""
        weight = self.weight
        return bool(
            self.kernel == "onednn"
            and x.device.type == "cpu"
            and x.dtype == weight.dtype
            and x.dtype in _ELEMENTS
            and x.dim() in self.ranks
            and not (torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad))
            and not torch.compiler.is_compiling()
            and not torch.is_autocast_enabled("cpu")
            and x.numel() > 0
            and torch.backends.mkldnn.enabled
            and _AVAILABLE
        )

    def prepared(self, prepare: Callable[[Tensor], Tensor]) -> Tensor:
        """The weight in the kernel's own order, made for the first input and again where the weight has changed since. It serves inputs of
        other sizes as well: a form for each would be a copy of the weight for each."""
        weight, found = self.weight, self._prepared
        if found is None or found[0] != weight._version or found[1] != weight.data_ptr():
            with torch.no_grad():
                found = self._prepared = (weight._version, weight.data_ptr(), prepare(weight.detach()))
        return found[2]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_prepared": None}


class FusedLinear(_Fused, nn.Linear):
    """`nn.Linear`, then `+ addend`, then the function."""

    ranks: ClassVar[tuple[int, ...]] = (2, 3, 4)

    def __init__(self, in_features: int, out_features: int, bias: bool = True, *, function: str = "",
                 function_settings: Mapping[str, Any] | None = None) -> None:  # fmt: skip
        nn.Linear.__init__(self, in_features, out_features, bias)
        self.set_function(function, function_settings)

    def forward(self, x: Tensor, addend: Tensor | None = None) -> Tensor:
        rows = x.numel() // x.shape[-1] if x.shape[-1] else 0
        # One row is a product of a matrix and a vector, for which torch's default has less to prepare.
        if rows <= 1 or rows * self.weight.numel() < LEAST_PRODUCTS or not self.admits(x):
            y = F.linear(x, self.weight, self.bias)
            return self.applied(y if addend is None else y + addend)
        weight = self.prepared(lambda weight: torch.ops.mkldnn._reorder_linear_weight(weight, rows))
        call: Callable[..., Tensor] = torch.ops.mkldnn._linear_pointwise
        if addend is None:
            return call(x, weight, self.bias, self.attribute, self.scalars, self.algorithm)
        return self.applied(call(x, addend, weight, self.bias, "add"))


class FusedConv2d(_Fused, nn.Conv2d):
    """`nn.Conv2d`, then `+ addend`, then the function."""

    ranks: ClassVar[tuple[int, ...]] = (4,)

    def __init__(
        self, *args: Any, function: str = "", function_settings: Mapping[str, Any] | None = None, **settings: Any
    ) -> None:
        nn.Conv2d.__init__(self, *args, **settings)
        self.set_function(function, function_settings)
        # torch pads by hand where the two ends differ, which "same" with an even window asks for.
        self.simple = self.padding_mode == "zeros" and (not isinstance(self.padding, str) or self.padding == "valid")
        self.amounts = [0] * 2 if isinstance(self.padding, str) else list(self.padding)

    def forward(self, x: Tensor, addend: Tensor | None = None) -> Tensor:
        if not self.simple or not self.admits(x):
            y = self._conv_forward(x, self.weight, self.bias)
            return self.applied(y if addend is None else y + addend)
        stride, dilation, groups = list(self.stride), list(self.dilation), self.groups
        weight = self.prepared(lambda weight: torch.ops.mkldnn._reorder_convolution_weight(
            weight, self.amounts, stride, dilation, groups, list(x.shape)))  # fmt: skip
        call: Callable[..., Tensor] = torch.ops.mkldnn._convolution_pointwise
        if addend is None:
            return call(
                x, weight, self.bias, self.amounts, stride, dilation, groups, self.attribute, self.scalars, self.algorithm
            )
        within = self.function == "relu"  # the only function that torch lets oneDNN compute after a sum
        y = call(
            x, addend, weight, self.bias, self.amounts, stride, dilation, groups, "add", 1.0, "relu" if within else None, [], None
        )
        return y if within else self.applied(y)


class FusedConvTranspose2d(_Fused, nn.ConvTranspose2d):
    """`nn.ConvTranspose2d`, then the function."""

    ranks: ClassVar[tuple[int, ...]] = (4,)

    def __init__(
        self, *args: Any, function: str = "", function_settings: Mapping[str, Any] | None = None, **settings: Any
    ) -> None:
        nn.ConvTranspose2d.__init__(self, *args, **settings)
        self.set_function(function, function_settings)

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]  # no size is chosen at run time
        stride, dilation, groups = list(self.stride), list(self.dilation), self.groups
        padding, extra = [int(each) for each in self.padding], list(self.output_padding)
        if not self.admits(x):
            return self.applied(F.conv_transpose2d(x, self.weight, self.bias, stride, padding, extra, groups, dilation))
        weight = self.prepared(lambda weight: torch.ops.mkldnn._reorder_convolution_transpose_weight(
            weight, padding, extra, stride, dilation, groups, list(x.shape)))  # fmt: skip
        call: Callable[..., Tensor] = torch.ops.mkldnn._convolution_transpose_pointwise
        return call(x, weight, self.bias, padding, extra, stride, dilation, groups, self.attribute, self.scalars, self.algorithm)
