"""What torch does for layers: modules of `torch.nn`, made with the widths that arrive."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from differential.calls import Context, does
from differential.values import kinds, largest, of_kinds

#: Modules whose width of the input has to be given to torch: the setting, and the axis it is read from.
WIDTHS = {
    "Conv1d": ("in_channels", 1), "Conv2d": ("in_channels", 1), "Conv3d": ("in_channels", 1),
    "ConvTranspose1d": ("in_channels", 1), "ConvTranspose2d": ("in_channels", 1), "ConvTranspose3d": ("in_channels", 1),
    "Linear": ("in_features", -1), "GroupNorm": ("num_channels", 1), "LayerNorm": ("normalized_shape", -1),
    "RMSNorm": ("normalized_shape", -1), "BatchNorm1d": ("num_features", 1), "BatchNorm2d": ("num_features", 1),
    "BatchNorm3d": ("num_features", 1), "InstanceNorm1d": ("num_features", 1), "InstanceNorm2d": ("num_features", 1),
    "InstanceNorm3d": ("num_features", 1),
}  # fmt: skip
#: Modules whose settings are torch's own.
PLAIN = (
    "MaxPool1d", "MaxPool2d", "MaxPool3d", "AvgPool1d", "AvgPool2d", "AvgPool3d", "LPPool1d", "LPPool2d", "LPPool3d",
    "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d", "AdaptiveMaxPool1d", "AdaptiveMaxPool2d", "AdaptiveMaxPool3d",
    "ReLU", "ReLU6", "LeakyReLU", "PReLU", "ELU", "SELU", "CELU", "GELU", "SiLU", "Mish", "Sigmoid", "LogSigmoid", "Tanh",
    "Softplus", "Softsign", "Hardtanh", "Hardsigmoid", "Hardswish", "Hardshrink", "Softshrink", "Tanhshrink", "Threshold",
    "Softmax", "LogSoftmax", "Softmin", "Softmax2d", "GLU", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "AlphaDropout",
    "FeatureAlphaDropout", "ZeroPad1d", "ZeroPad2d", "ZeroPad3d", "ConstantPad1d", "ConstantPad2d", "ConstantPad3d",
    "ReflectionPad1d", "ReflectionPad2d", "ReflectionPad3d", "ReplicationPad1d", "ReplicationPad2d", "ReplicationPad3d",
    "CircularPad1d", "CircularPad2d", "CircularPad3d", "Upsample", "PixelShuffle", "PixelUnshuffle", "ChannelShuffle",
    "LocalResponseNorm",
)  # fmt: skip
#: Modules that move elements about, so that indices stay what they are.
MOVING = ("Identity", "Flatten", "Unflatten")


@does(*WIDTHS)
def widened(context: Context, name: str, input: Tensor, **settings: Any) -> Tensor:
    setting, axis = WIDTHS[name]
    found = input.shape[axis]
    stated = settings.get(setting)
    if stated is None:
        settings |= {setting: found}
    made = context.module(lambda: getattr(nn, name)(**settings), input)
    weightless = not any(True for _ in made.parameters()) and not any(True for _ in made.buffers())
    context.stricter("weightless width", weightless and axis == 1 and stated is not None and stated != found)
    transposed = name.startswith("ConvTranspose")
    context.stricter("a step of 0", transposed and 0 in _several(settings.get("dilation", 1)))
    if name.startswith("Conv") and settings.get("padding_mode", "zeros") != "zeros":
        padding = settings.get("padding", 0)
        context.stricter("negative padding", any(isinstance(side, int) and side < 0 for side in _several(padding)))
    return made(input)


def _several(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


@does(*PLAIN)
def plain(context: Context, name: str, input: Tensor, **settings: Any) -> Tensor:
    if name == "LPPool1d":  # which wants numbers where others take lists of one
        settings |= {key: settings[key][0] for key in ("kernel_size", "stride") if isinstance(settings.get(key), tuple)}
    if name.startswith(("Reflection", "Replication", "Circular")):
        context.stricter("negative padding", any(side < 0 for side in _several(settings["padding"])))
    return context.module(lambda: getattr(nn, name)(**settings), input)(input)


@does(*MOVING)
def moving(context: Context, name: str, input: Tensor, **settings: Any) -> Tensor:
    return of_kinds(context.module(lambda: getattr(nn, name)(**settings), input)(input), kinds(input))


@does("Bilinear")
def bilinear(context: Context, input1: Tensor, input2: Tensor, **settings: Any) -> Tensor:
    widths = {"in1_features": input1.shape[-1], "in2_features": input2.shape[-1]}
    settings = widths | {name: value for name, value in settings.items() if value is not None}
    return context.module(lambda: nn.Bilinear(**settings), input1)(input1, input2)


@does("Embedding")
def embedding(context: Context, input: Tensor, **settings: Any) -> Tensor:
    return context.module(lambda: nn.Embedding(**settings), torch.empty(0))(largest(input))


@does("AddPositions")
def add_positions(context: Context, input: Tensor, longest: int) -> Tensor:
    """A table of `longest` vectors, looked up by the place in (N, T, D)."""
    table = context.module(lambda: nn.Embedding(longest, input.shape[2]), input)(torch.arange(input.shape[1]))
    if table.shape != input.shape[1:]:  # of a shared layer that was first used on another width
        raise ValueError(f"{tuple(table.shape)} are no positions of {tuple(input.shape)}")
    return input + table


@does("SinusoidalPositions")
def sinusoidal_positions(context: Context, input: Tensor, theta: float = 1e4) -> Tensor:
    """Sines on even features, cosines on odd ones, as many of one as of the other."""
    _, length, width = input.shape
    if width % 2:
        raise ValueError("sines and cosines are as many")
    angles = torch.arange(length)[:, None] * theta ** (-torch.arange(0, width, 2) / width)
    table = torch.zeros(length, width)
    table[:, 0::2] = torch.sin(angles)
    table[:, 1::2] = torch.cos(angles)
    return (input + table).to(input.dtype)


@does("rotary")
def rotary(context: Context, input: Tensor, theta: float = 1e4, interleaved: bool = False) -> Tensor:
    """Pairs of features as complex numbers, turned."""
    *front, length, width = input.shape
    pairs = input.reshape(*front, length, 2, width // 2).transpose(-1, -2)
    if interleaved:
        pairs = input.reshape(*front, length, width // 2, 2)
    angles = (torch.arange(length)[:, None] * theta ** (-torch.arange(0, width, 2) / width)).to(input.dtype)
    turned = torch.view_as_complex(pairs.contiguous()) * torch.polar(torch.ones_like(angles), angles)
    return torch.view_as_real(turned).flatten(-2)
