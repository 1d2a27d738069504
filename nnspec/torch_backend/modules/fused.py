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

from nnspec.torch_backend.modules.attention import SelfAttention

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


def _kernel(name: str, overload: str = "default") -> Callable[..., Tensor]:
    """An operator of oneDNN. The overload is named: else torch tries them in turn, and to see whether a bias is a list of numbers it reads
    it number by number, which takes longer than the layer."""
    return getattr(getattr(torch.ops.mkldnn, name), overload) if _AVAILABLE else _not_there


def _not_there(*given: object) -> Tensor:
    raise RuntimeError("this build of torch has no oneDNN")


_LINEAR = _kernel("_linear_pointwise")
_LINEAR_SUM = _kernel("_linear_pointwise", "binary")
_CONVOLUTION = _kernel("_convolution_pointwise")
_CONVOLUTION_SUM = _kernel("_convolution_pointwise", "binary")
_TRANSPOSED = _kernel("_convolution_transpose_pointwise")


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

    def product(self, x: Tensor, bias: Tensor | None, addend: Tensor | None = None) -> Tensor:
        """`x` times the weight, then `+ bias`, `+ addend`, and the function."""
        weight = self.weight
        rows = x.numel() // x.shape[-1] if x.shape[-1] else 0
        # One row is a product of a matrix and a vector, for which torch's default has less to prepare.
        if rows <= 1 or rows * weight.numel() < LEAST_PRODUCTS or not self.admits(x):
            y = F.linear(x, weight, bias)
            return self.applied(y if addend is None else y + addend)
        prepared = self.prepared(lambda weight: torch.ops.mkldnn._reorder_linear_weight(weight, rows))
        if addend is None:
            return _LINEAR(x, prepared, bias, self.attribute, self.scalars, self.algorithm)
        return self.applied(_LINEAR_SUM(x, addend, prepared, bias, "add"))

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
        return self.product(x, self.bias, addend)


class FusedSelfAttention(_Fused, SelfAttention):
    """`SelfAttention`, whose products with weights are the kernel's, then `+ addend`. (N, T, D) -> (N, T, D)."""

    ranks: ClassVar[tuple[int, ...]] = (3,)

    def __init__(self, width: int, heads: int, causal: bool, dropout: float, bias: bool) -> None:
        SelfAttention.__init__(self, width, heads, causal, dropout, bias)
        self.set_function("", None)
        self.out_proj: FusedLinear = FusedLinear(width, width, bias)

    @property
    def weight(self) -> Tensor:  # type: ignore[override]  # the name that the kernel asks for
        """Queries, keys and values together."""
        assert self.in_proj_weight is not None
        return self.in_proj_weight

    def forward(self, x_NTD: Tensor, keep: Tensor | None = None, addend: Tensor | None = None) -> Tensor:
        q, k, v = self.product(x_NTD, self.in_proj_bias).chunk(3, dim=-1)
        y_NTD = self.mixed(q, k, v, keep, self.causal)
        return self.out_proj(y_NTD, addend)  # type: ignore[no-any-return]


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
        if addend is None:
            return _CONVOLUTION(
                x, weight, self.bias, self.amounts, stride, dilation, groups, self.attribute, self.scalars, self.algorithm
            )
        within = self.function == "relu"  # the only function that torch lets oneDNN compute after a sum
        unary = "relu" if within else None
        y = _CONVOLUTION_SUM(x, addend, weight, self.bias, self.amounts, stride, dilation, groups, "add", 1.0, unary, [], None)
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
        return _TRANSPOSED(
            x, weight, self.bias, padding, extra, stride, dilation, groups, self.attribute, self.scalars, self.algorithm
        )
