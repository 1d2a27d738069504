"""How layers on images, sequences and features are drawn: settings from what the tensor at hand admits."""

from __future__ import annotations

from typing import Any

from differential.builder import Builder, Live, arrow
from differential.description import Call, Setting, Size
from differential.drawing import draws

Settings = list[tuple[str, Setting]]
DIVISORS = {number: [part for part in range(1, number + 1) if number % part == 0] for number in range(1, 200)}


def per_axis(b: Builder, axes: int, low: int, high: int) -> int | tuple[int, ...]:
    """One number for all axes, or one for each."""
    return b.among(low, high) if b.chance(0.6) else tuple(b.among(low, high) for _ in range(axes))


def window(b: Builder, live: Live, axes: int, most: int) -> int | tuple[int, ...]:
    """A window that fits, as a rule."""
    shortest = min(live.sizes[2:], default=1)
    return per_axis(b, axes, 1, max(1, min(most, shortest)))


def each(value: Any, axes: int) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value,) * axes


def groups_of(b: Builder, live: Live) -> int:
    channels = live.sizes[1] if live.rank > 1 else 1
    if not live.fixed(1) or b.chance(0.7):
        return 1
    return b.off(b.rng.choice(DIVISORS.get(channels, [1])))


def _image(b: Builder, name: str) -> tuple[int, Live | None]:
    axes = int(name[-2])
    return axes, b.pick(axes + 2)


@draws("Conv1d", "Conv2d", "Conv3d", weight=5)
def convolution(b: Builder, name: str) -> Call | None:
    axes, live = _image(b, name)
    if live is None or live.rank < 2:
        return None
    groups = groups_of(b, live)
    kernel = window(b, live, axes, 4 if axes < 3 else 3)
    settings: Settings = [
        ("out_channels", b.sized(b.off(groups * b.rng.randint(1, max(1, 8 // groups))))),
        ("kernel_size", kernel),
    ]
    strided = b.chance(0.35)
    if strided:
        settings.append(("stride", per_axis(b, axes, 1, 3)))
    half = tuple(size // 2 for size in each(kernel, axes))
    padding = b.rng.choice([0, 1, half, half, per_axis(b, axes, 0, 2), "same", "valid"])
    if padding == "same" and strided and not b.wild:
        padding = 1
    settings.append(("padding", padding))
    settings += b.some(dilation=per_axis(b, axes, 1, 2)) if b.chance(0.3) else []
    settings += [("groups", b.sized(groups))] if groups != 1 else []
    settings += [("bias", False)] if b.chance(0.2) else []
    if b.chance(0.15):
        settings.append(("padding_mode", b.rng.choice(["reflect", "replicate", "circular"])))
    return arrow(name, live, [*settings, *b.stated("in_channels", live, 1)], positional=b.rng.randint(1, 2))


@draws("ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d", weight=3)
def transposed(b: Builder, name: str) -> Call | None:
    axes, live = _image(b, name)
    if live is None or live.rank < 2:
        return None
    groups = groups_of(b, live)
    stride = per_axis(b, axes, 1, 3 if axes < 3 else 2)
    settings: Settings = [
        ("out_channels", b.sized(b.off(groups * b.rng.randint(1, max(1, 6 // groups))))),
        ("kernel_size", per_axis(b, axes, 1, 4)),
    ]
    settings += [("stride", stride)]
    settings += [("padding", per_axis(b, axes, 0, 2))] if b.chance(0.5) else []
    if b.chance(0.4):
        settings.append(("output_padding", tuple(b.off(b.rng.randint(0, step - 1), 0) for step in each(stride, axes))))
    settings += [("groups", b.sized(groups))] if groups != 1 else []
    settings += [("dilation", per_axis(b, axes, 1, 2))] if b.chance(0.2) else []
    return arrow(name, live, [*settings, *b.stated("in_channels", live, 1)], positional=2)


@draws("MaxPool1d", "MaxPool2d", "MaxPool3d", "AvgPool1d", "AvgPool2d", "AvgPool3d", weight=3)
def pooling(b: Builder, name: str) -> Call | None:
    axes, live = _image(b, name)
    if live is None:
        return None
    kernel = window(b, live, axes, 4)
    settings: Settings = [("kernel_size", kernel)]
    settings += [("stride", b.rng.choice([None, per_axis(b, axes, 1, 3)]))] if b.chance(0.6) else []
    if b.chance(0.5):
        settings.append(("padding", tuple(b.off(b.rng.randint(0, size // 2), 0) for size in each(kernel, axes))))
    settings += [("ceil_mode", True)] if b.chance(0.5) else []
    if name.startswith("Max"):
        settings += [("dilation", per_axis(b, axes, 1, 2))] if b.chance(0.25) else []
    else:
        settings += b.some(count_include_pad=False)
        settings += b.some(divisor_override=b.among(1, 3)) if axes > 1 else []
    return arrow(name, live, settings, positional=1)


@draws("LPPool1d", "LPPool2d", "LPPool3d")
def power_pooling(b: Builder, name: str) -> Call | None:
    axes, live = _image(b, name)
    if live is None:
        return None
    settings: Settings = [("norm_type", b.rng.choice([1, 2, 1.5])), ("kernel_size", window(b, live, axes, 3))]
    settings += b.some(stride=per_axis(b, axes, 1, 2), ceil_mode=True)
    return arrow(name, live, settings, positional=2)


@draws(
    "AdaptiveAvgPool1d", "AdaptiveMaxPool1d", "AdaptiveAvgPool2d", "AdaptiveMaxPool2d", "AdaptiveAvgPool3d", "AdaptiveMaxPool3d"
)
def adaptive_pooling(b: Builder, name: str) -> Call | None:
    axes, live = _image(b, name)
    if live is None:
        return None
    size: Setting = b.among(1, 4)
    if axes > 1 and b.chance(0.4):
        size = tuple(b.rng.choice([None, b.among(1, 4)]) for _ in range(axes))
    return arrow(name, live, [("output_size", size)], positional=1)


@draws("Linear", weight=10)
def linear(b: Builder) -> Call | None:
    live = b.pick(range(1, 6), fits=lambda live: live.fixed(-1) or b.chance(0.2))
    if live is None:
        return None
    out: int | Size = b.sized(b.among(1, 8))
    if live.rank > 1 and live.fixed(-1) and b.chance(0.15):
        out = b.size(live, -1)
    settings: Settings = [
        ("out_features", out),
        *([("bias", False)] if b.chance(0.2) else []),
        *b.stated("in_features", live, -1),
    ]
    return arrow("Linear", live, settings, positional=b.rng.randint(0, 1))


@draws("Bilinear", weight=1.5)
def bilinear(b: Builder) -> Call | None:
    live = b.pick((1, 2, 3), fits=lambda live: live.fixed(-1))
    if live is None:
        return None
    other = b.pick(live.rank, fits=lambda other: other.sizes[:-1] == live.sizes[:-1] and other.dtype == live.dtype) or live
    settings: Settings = [
        ("out_features", b.among(1, 5)),
        *b.stated("in1_features", live, -1),
        *b.stated("in2_features", other, -1),
    ]
    return arrow("Bilinear", live, settings, positional=1, first="input1", input2=other)


@draws("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d", weight=1.5)
def channel_normalization(b: Builder, name: str) -> Call | None:
    axes = int(name[-2])
    live = b.pick((2, 3) if name == "BatchNorm1d" else axes + 2)
    if live is None or live.rank < 2:
        return None
    settings = b.some(affine=b.chance(0.5), eps=1e-3, momentum=b.rng.choice([None, 0.01])) if b.chance(0.4) else []
    settings += [("track_running_stats", b.chance(0.5))] if b.chance(0.25) else []
    return arrow(name, live, [*b.stated("num_features", live, 1), *settings])


@draws("LayerNorm", "RMSNorm", weight=2)
def trailing_normalization(b: Builder, name: str) -> Call | None:
    live = b.pick(range(1, 6), fits=lambda live: live.fixed(-1))
    if live is None or not live.rank:
        return None
    settings: Settings = []
    if b.chance(0.3):
        count = b.rng.randint(1, live.rank)
        if all(live.fixed(axis) for axis in range(-count, 0)) or b.wild:
            settings.append(("normalized_shape", tuple(b.off(size) for size in live.sizes[-count:])))
    elif b.chance(0.2):
        settings.append(("normalized_shape", b.sized(b.off(live.sizes[-1]))))
    settings += b.some(elementwise_affine=b.chance(0.5)) if b.chance(0.3) else []
    return arrow(name, live, settings)


@draws("GroupNorm", weight=2)
def group_normalization(b: Builder) -> Call | None:
    live = b.pick((2, 3, 4, 5), fits=lambda live: live.fixed(1))
    if live is None or live.rank < 2:
        return None
    groups = b.off(b.rng.choice(DIVISORS.get(live.sizes[1], [1])))
    settings = b.some(affine=False) if b.chance(0.2) else []
    return arrow(
        "GroupNorm", live, [("num_groups", b.sized(groups)), *b.stated("num_channels", live, 1), *settings], positional=1
    )


@draws("LocalResponseNorm", weight=0.7)
def local_response(b: Builder) -> Call | None:
    live = b.pick((3, 4, 5))
    return live and arrow("LocalResponseNorm", live, [("size", b.among(1, 5))], positional=1)


@draws("Dropout", "AlphaDropout", "FeatureAlphaDropout", "Dropout1d", "Dropout2d", "Dropout3d", weight=0.6)
def dropout(b: Builder, name: str) -> Call | None:
    live = b.pick(int(name[-2]) + 2 if name[-1] == "d" else (2, 3, 4) if name.startswith("Feature") else None)
    p = b.rng.choice([0.1, 0.5, 0, 1, *([1.5, -0.1] * b.wild)])
    return live and arrow(name, live, b.some(p=p))


# --- padding and resampling ---------------------------------------------------------------------------------------------


def around(b: Builder, axes: int, low: int, high: int) -> int | tuple[int, ...]:
    return b.among(low, high) if b.chance(0.4) else tuple(b.among(low, high) for _ in range(2 * axes))


@draws(
    "ZeroPad1d", "ZeroPad2d", "ZeroPad3d", "ConstantPad1d", "ConstantPad2d", "ConstantPad3d", "ReflectionPad1d", "ReflectionPad2d",
    "ReflectionPad3d", "ReplicationPad1d", "ReplicationPad2d", "ReplicationPad3d", "CircularPad1d", "CircularPad2d", "CircularPad3d",
)  # fmt: skip
def padding(b: Builder, name: str) -> Call | None:
    axes, live = _image(b, name)
    if live is None:
        return None
    crops = name.startswith(("Zero", "Constant"))
    settings: Settings = [("padding", around(b, axes, -1 if crops and b.chance(0.4) else 0, 2))]
    settings += [("value", b.rng.choice([0, 1.5]))] if name.startswith("Constant") else []
    return arrow(name, live, settings, positional=len(settings))


@draws("pad", weight=3)
def pad(b: Builder) -> Call | None:
    mode = b.rng.choice(["constant", "constant", "reflect", "replicate", "circular"])
    live = b.pick((3, 4, 5) if mode != "constant" else (1, 2, 3, 4), "float" if mode != "constant" else "any")
    if live is None:
        return None
    count = live.rank - 2 if mode != "constant" else b.rng.randint(1, live.rank)
    amounts: list[Setting] = [b.among(-1 if mode == "constant" and b.chance(0.3) else 0, 2) for _ in range(2 * max(1, count))]
    if b.chance(0.1):
        amounts[0] = b.size(live, -1)
    amounts = amounts[1:] if b.wild and b.chance(0.1) else amounts
    settings: Settings = [("pad", tuple(amounts))]
    return arrow("pad", live, [*settings, *([("mode", mode)] if mode != "constant" else b.some(value=b.rng.choice([None, 1])))])


MODES = {
    1: ["nearest", "linear", "area"],
    2: ["nearest", "bilinear", "bicubic", "area", "nearest-exact"],
    3: ["nearest", "trilinear"],
}


@draws("Upsample", "interpolate", weight=3)
def resampling(b: Builder, name: str) -> Call | None:
    live = b.pick((3, 4, 5))
    if live is None or not 3 <= live.rank <= 5:
        return None
    axes = live.rank - 2
    mode = b.rng.choice(MODES[axes] if not b.wild or b.chance(0.7) else ["linear", "bilinear", "trilinear"])
    settings: Settings = [("mode", mode)] if mode != "nearest" or b.chance(0.3) else []
    if b.chance(0.65):
        factor: Setting = b.rng.choice([2, 2, 2.0, 0.5, 1.5, 3])
        if b.chance(0.3):
            factor = tuple(b.rng.choice([2, 0.5, 1, 1.5, 0.7 if live.fixed(2 + place) else 2]) for place in range(axes))
        settings.insert(0, ("scale_factor", factor))
    else:
        settings.insert(0, ("size", _target_size(b, live, axes)))
    if mode in ("linear", "bilinear", "bicubic", "trilinear") or (b.wild and b.chance(0.2)):
        settings += b.some(align_corners=b.chance(0.5))
    if name == "interpolate":
        settings += [("antialias", True)] if b.chance(0.1) and mode in ("bilinear", "bicubic") else []
        return arrow(name, live, settings)
    return arrow(name, live, settings)


def _target_size(b: Builder, live: Live, axes: int) -> Setting:
    beside = b.pick(live.rank)
    if beside is not None and beside.name is not None and beside.rank == live.rank and b.chance(0.5):
        return Size(f"{beside.name}.shape[2:]")
    return b.sized(b.among(1, 8)) if b.chance(0.5) else tuple(b.sized(b.among(1, 8)) for _ in range(axes))


@draws("PixelShuffle", "PixelUnshuffle", weight=1.5)
def pixel_shuffle(b: Builder, name: str) -> Call | None:
    factor = b.among(1, 3)
    wanted = factor**2
    if name == "PixelShuffle":
        live = b.pick((3, 4, 5), fits=lambda live: live.sizes[-3] % max(wanted, 1) == 0 and live.fixed(-3))
        return live and arrow(name, live, [("upscale_factor", factor)], positional=1)
    live = b.pick((3, 4, 5), fits=lambda live: all(size % max(factor, 1) == 0 for size in live.sizes[-2:]))
    return live and arrow(name, live, [("downscale_factor", factor)], positional=1)


@draws("ChannelShuffle")
def channel_shuffle(b: Builder) -> Call | None:
    live = b.pick((3, 4, 5), fits=lambda live: live.fixed(1))
    if live is None or live.rank < 2:
        return None
    return arrow("ChannelShuffle", live, [("groups", b.off(b.rng.choice(DIVISORS.get(live.sizes[1], [1]))))], positional=1)


# --- plumbing and activations ---------------------------------------------------------------------------------------------

SIMPLE = (
    "ReLU", "relu", "ReLU6", "relu6", "SELU", "selu", "SiLU", "silu", "Mish", "mish", "Sigmoid", "sigmoid", "LogSigmoid",
    "logsigmoid", "Tanh", "tanh", "Softsign", "softsign", "Hardsigmoid", "hardsigmoid", "Hardswish", "hardswish", "Tanhshrink",
    "tanhshrink", "LeakyReLU", "leaky_relu", "ELU", "elu", "GELU", "gelu", "Softplus", "softplus", "Hardshrink", "hardshrink",
    "CELU", "celu", "Softshrink", "softshrink", "Hardtanh", "hardtanh", "Softmax2d",
)  # fmt: skip
OPTIONS: dict[str, Settings] = {
    "leaky_relu": [("negative_slope", 0.2)], "leakyrelu": [("negative_slope", 0.2)], "elu": [("alpha", 0.5)],
    "gelu": [("approximate", "tanh")], "softplus": [("beta", 2)], "hardshrink": [("lambd", 0.1)], "celu": [("alpha", 2)],
    "softshrink": [("lambd", 0.1)], "hardtanh": [("min_val", -2), ("max_val", 2)],
}  # fmt: skip


@draws(*SIMPLE, weight=0.35)
def activation(b: Builder, name: str) -> Call | None:
    live = b.pick(4 if name == "Softmax2d" else None)
    settings = OPTIONS.get(name.lower(), []) if b.chance(0.4) else []
    if b.wild and settings and b.chance(0.3):
        settings = [(key, 0 if name.lower() == "celu" else -3) for key, _ in settings[-1:]]
    return live and arrow(name, live, settings)


@draws("Threshold", "threshold", weight=0.4)
def threshold(b: Builder, name: str) -> Call | None:
    live = b.pick()
    return live and arrow(name, live, [("threshold", 0.1), ("value", 20)], positional=2)


@draws("Softmax", "softmax", "LogSoftmax", "log_softmax", "Softmin", "softmin", weight=0.6)
def along_axis(b: Builder, name: str) -> Call | None:
    live = b.pick(range(1, 6))
    return live and arrow(name, live, [("dim", b.axis(live.rank))])


@draws("GLU", "glu")
def gated(b: Builder, name: str) -> Call | None:
    live = b.pick(range(1, 6), fits=lambda live: any(size % 2 == 0 for size in live.sizes))
    if live is None or not live.rank:
        return None
    even = [axis for axis, size in enumerate(live.sizes) if size % 2 == 0]
    axis = b.axis(live.rank) if b.wild or not even else b.rng.choice(even)
    return arrow(name, live, [("dim", axis)])


@draws("PReLU", weight=0.7)
def learned_slope(b: Builder) -> Call | None:
    live = b.pick(range(1, 6), fits=lambda live: live.rank < 2 or live.fixed(1))
    if live is None:
        return None
    return arrow("PReLU", live, b.some(num_parameters=b.off(live.sizes[1] if live.rank > 1 else 1)))


@draws("Identity", weight=0.3)
def identity(b: Builder) -> Call | None:
    live = b.pick(None, "any")
    return live and arrow("Identity", live)


@draws("Flatten", "flatten", weight=3)
def flatten(b: Builder, name: str) -> Call | None:
    live = b.pick((2, 3, 4, 5), "any" if b.chance(0.2) else "float")
    if live is None or not live.rank:
        return None
    if b.chance(0.4):
        return arrow(name, live, [] if name == "Flatten" else [("start_dim", 1)])
    start = b.rng.randint(0, live.rank - 1)
    end = b.rng.randint(start, live.rank - 1)
    settings: Settings = [
        ("start_dim", b.off(start, 0) - live.rank * b.chance(0.3)),
        ("end_dim", end - live.rank * b.chance(0.5)),
    ]
    return arrow(name, live, settings, positional=2)


@draws("Unflatten", "unflatten", weight=2)
def unflatten(b: Builder, name: str) -> Call | None:
    live = b.pick(range(1, 5), "any" if b.chance(0.2) else "float")
    if live is None or not live.rank:
        return None
    axis = b.rng.randrange(live.rank)
    size = live.sizes[axis]
    part = b.rng.choice(DIVISORS.get(size, [1]))
    sizes: list[Setting] = [b.sized(b.off(part)), size // part]
    b.rng.shuffle(sizes)
    if b.chance(0.6) or not live.fixed(axis):
        sizes[b.rng.randrange(2)] = -1
    axis = axis - live.rank * b.chance(0.4)
    return arrow(
        name, live, [("dim", axis), ("unflattened_size" if name == "Unflatten" else "sizes", tuple(sizes))], positional=2
    )
