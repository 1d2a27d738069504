"""Layers with symbolic sizes: what results, what has to hold, and in which words. Without torch.

Numbers of cases refer to the list of right answers in the checker's design, section A3.
"""

from __future__ import annotations

from typing import Any

import pytest

from nnspec.dims import Dim, evaluate, format_dim, symbol, variables
from nnspec.operators import OPERATORS
from nnspec.operators.declare import Inferred, Obligation, Operator, Refusal, Weight
from nnspec.operators.windows import transposed_positions, window_positions, window_positions_ceil
from nnspec.types import TensorType

N, C, H, W, L = (symbol(name) for name in ("N", "C", "H", "W", "L"))


def layer(operator: str, input: TensorType, **settings: Any) -> Operator:
    cls = OPERATORS[operator]
    return cls({"input": input}, {name: cls.attribute_fields()[name].accept(value) for name, value in settings.items()})


def inferred(operator: str, *dims: Dim, **settings: Any) -> Inferred:
    return layer(operator, TensorType(dims), **settings).infer()


def dims(operator: str, *given: Dim, **settings: Any) -> tuple[Dim, ...]:
    return inferred(operator, *given, **settings).outputs["output"].dims


def refused(operator: str, *given: Dim, **settings: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        inferred(operator, *given, **settings)
    return caught.value


def asked(operator: str, *given: Dim, **settings: Any) -> Obligation:
    (obligation,) = inferred(operator, *given, **settings).obligations
    return obligation


# --- windows (cases 1 to 4, 22, 25, 27) ---------------------------------------------------------------------------------


def test_same_padding_keeps_a_symbolic_length() -> None:
    assert dims("Conv1d", N, 3, L, out_channels=4, kernel_size=4, padding="same") == (N, 4, L)
    assert refused("Conv1d", N, 3, L, out_channels=4, kernel_size=3, padding="same", stride=2).code == "NN107"


def test_dilation_widens_the_window() -> None:
    assert dims("Conv1d", N, 3, L, out_channels=4, kernel_size=3, padding=2, dilation=2) == (N, 4, L)
    obligation = asked("Conv1d", N, 3, L, out_channels=4, kernel_size=3, dilation=4)
    assert str(obligation.claim) == "L - 8 >= 1"


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "size"),
    [(2, 2, 0, (L + 1) // 2), (3, 2, 0, L // 2), (3, 2, 1, L // 2 + 1), (1, 3, 0, (L + 2) // 3)],
)
def test_ceil_mode_in_closed_form(kernel: int, stride: int, padding: int, size: Dim) -> None:
    assert dims("MaxPool1d", N, C, L, kernel_size=kernel, stride=stride, padding=padding, ceil_mode=True) == (N, C, size)


@pytest.mark.parametrize("kernel", range(1, 6))
@pytest.mark.parametrize("stride", range(1, 5))
@pytest.mark.parametrize("dilation", [1, 2, 3])
def test_window_positions_by_counting(kernel: int, stride: int, dilation: int) -> None:
    """Every position of a window, one by one, with the rule of `ceil_mode` as torch states it."""
    extent = dilation * (kernel - 1) + 1
    for length in range(1, 20):
        for padding in range(kernel // 2 + 1):
            total = length + 2 * padding
            inside = [start for start in range(0, total, stride) if start + extent <= total]
            assert max(window_positions(length, kernel, stride, 2 * padding, dilation), 0) == len(inside)
            if total < extent:
                continue
            hanging = [
                start
                for start in range(0, total + stride, stride)
                if start < total - extent + stride and start < length + padding
            ]
            assert window_positions_ceil(length, kernel, stride, padding, dilation) == len(hanging)


def test_transposed_is_the_inverse_of_windows() -> None:
    for kernel, stride, padding, dilation in ((3, 2, 1, 1), (4, 3, 0, 2), (2, 2, 0, 1), (5, 3, 2, 1)):
        for positions in range(1, 12):
            for output_padding in range(stride):
                length = transposed_positions(positions, kernel, stride, padding, output_padding, dilation)
                assert window_positions(length, kernel, stride, 2 * padding, dilation) == positions


def test_halving_and_doubling_gives_even_or_odd_heights_back() -> None:
    down = dims("Conv2d", N, 3, H, W, out_channels=8, kernel_size=3, stride=2, padding=1)
    up = dims("ConvTranspose2d", *down, out_channels=3, kernel_size=3, stride=2, padding=1)
    up_padded = dims("ConvTranspose2d", *down, out_channels=3, kernel_size=3, stride=2, padding=1, output_padding=1)
    (height,) = variables(H)
    for value in range(1, 20):
        assert (evaluate(up[2], {height: value}) == value) == (value % 2 == 1)
        assert (evaluate(up_padded[2], {height: value}) == value) == (value % 2 == 0)


def test_output_padding_is_smaller_than_stride_or_dilation() -> None:
    settings = {"out_channels": 1, "kernel_size": 3, "output_padding": 1}
    refusal = refused("ConvTranspose1d", N, C, L, **settings)
    assert (refusal.code, refusal.blame) == ("NN107", "output_padding")
    assert dims("ConvTranspose1d", N, C, L, **settings, dilation=2) == (N, 1, L + 5 - 1 + 1)


def test_shortcut_of_a_residual_block_always_fits() -> None:
    main = dims("Conv2d", N, 3, H, W, out_channels=8, kernel_size=3, stride=2, padding=1)
    assert dims("Conv2d", N, 3, H, W, out_channels=8, kernel_size=1, stride=2) == main
    assert dims("Conv2d", N, 3, H, W, out_channels=8, kernel_size=2, padding=1) == (N, 8, H + 1, W + 1)


# --- what has to hold, in words -----------------------------------------------------------------------------------------


def test_groups() -> None:
    obligation = asked("Conv2d", N, 6, 9, 9, out_channels=8, kernel_size=3, groups=4)
    assert obligation.message == "`groups` = 4 must divide both the input channels (6) and the output channels (8)"
    assert (obligation.code, obligation.blame, obligation.help) == ("NN232", "groups", "groups that divide 6 and 8: 1, 2")
    joined = asked("GroupNorm", N, 64 + C, H, W, num_groups=32)
    assert joined.message == "`num_groups` = 32 must divide the channels (C + 64)"
    (channels,) = variables(C)
    assert evaluate(joined.claim.left, {channels: 32}) == 0 != evaluate(joined.claim.left, {channels: 33})  # type: ignore[union-attr]


def test_depthwise_convolution_of_symbolic_channels_needs_nothing() -> None:
    bound = layer("Conv2d", TensorType((N, C, H, W)), out_channels=C, kernel_size=3, padding=1, groups=C)
    assert bound.infer().obligations == ()
    assert bound.weights() == (Weight("weight", (C, 1, 3, 3)), Weight("bias", (C,)))


@pytest.mark.parametrize(
    ("operator", "given", "settings", "field", "noun"),
    [
        ("Linear", (N, 256), {"out_features": 120, "in_features": 400}, "in_features", "features"),
        ("Conv2d", (N, 256, 9, 9), {"out_channels": 2, "kernel_size": 3, "in_channels": 400}, "in_channels", "channels"),
        ("BatchNorm2d", (N, 256, 9, 9), {"num_features": 400}, "num_features", "channels"),
        ("GroupNorm", (N, 256, 9, 9), {"num_groups": 4, "num_channels": 400}, "num_channels", "channels"),
        ("LayerNorm", (N, 9, 256), {"normalized_shape": [9, 400]}, "normalized_shape", "features"),
    ],
)
def test_stated_widths(operator: str, given: tuple[Dim, ...], settings: dict[str, Any], field: str, noun: str) -> None:
    obligation = asked(operator, *given, **settings)
    assert (obligation.code, obligation.blame) == ("NN210", field)
    assert obligation.message == f"`{operator}` is told to expect 400 {noun}, but its input has 256"


def test_nothing_left() -> None:
    obligation = asked("MaxPool2d", N, 512, 1, 1, kernel_size=2)
    assert (obligation.code, obligation.message) == ("NN212", "`MaxPool2d` would produce an image of size 0 x 0")
    assert obligation.notes == ("the window spans 2 x 2 on an input of 1 x 1",)
    messages = [each.message for each in inferred("MaxPool2d", N, 512, H, 1, kernel_size=[2, 1]).obligations]
    assert messages == ["`MaxPool2d` gives the height H//2, which has to be at least 1"]


def test_channels_to_space_and_back() -> None:
    assert dims("PixelShuffle", N, 4 * C, H, W, upscale_factor=2) == (N, C, 2 * H, 2 * W)
    assert asked("PixelShuffle", N, 6, H, W, upscale_factor=2).code == "NN231"
    blamed = inferred("PixelUnshuffle", N, C, H, 6, downscale_factor=4).obligations
    assert [(each.code, each.blame) for each in blamed] == [("NN231", "downscale_factor")] * 2


def test_adaptive_pooling_needs_nothing() -> None:
    assert inferred("AdaptiveAvgPool2d", N, C, H, W, output_size=7).outputs["output"].dims == (N, C, 7, 7)
    assert dims("AdaptiveAvgPool2d", N, C, H, W, output_size=[None, 1]) == (N, C, H, 1)


def test_scaling_a_symbolic_size() -> None:
    assert dims("Upsample", N, C, H, W, scale_factor=2) == (N, C, 2 * H, 2 * W)
    assert format_dim(dims("Upsample", N, C, H, W, scale_factor=0.75)[2]) == "(3*H)//4"
    refusal = refused("Upsample", N, C, H, W, scale_factor=0.7)
    assert (refusal.code, refusal.blame) == ("NN301", "scale_factor")


def test_flatten_and_unflatten() -> None:
    assert dims("Flatten", N, 16, H, W) == (N, 16 * H * W)
    assert dims("Unflatten", N, 12 * C, dim=1, unflattened_size=[12, -1]) == (N, 12, C)
    assert asked("Unflatten", N, C, dim=1, unflattened_size=[12, -1]).code == "NN211"
    assert refused("Unflatten", N, 12, dim=1, unflattened_size=[-1, -1]).blame == "unflattened_size"


def test_reflection_needs_more_than_it_adds() -> None:
    found = inferred("ReflectionPad2d", N, C, H, 3, padding=3).obligations
    assert [(each.code, str(each.claim)) for each in found] == [("NN214", "3 > 3"), ("NN214", "H > 3")]


def test_softmax_outside_of_the_tensor() -> None:
    assert refused("Softmax", N, C, dim=2).code == "NN213"


# --- weights and cost ---------------------------------------------------------------------------------------------------


def test_weights_of_batch_normalization() -> None:
    names = [(weight.name, weight.dtype, weight.trainable) for weight in layer("BatchNorm1d", TensorType((N, 8))).weights()]
    assert names == [
        ("weight", "float32", True), ("bias", "float32", True), ("running_mean", "float32", False),
        ("running_var", "float32", False), ("num_batches_tracked", "int64", False),
    ]  # fmt: skip


def test_cost_of_a_convolution_with_symbols() -> None:
    """2 * positions * out_channels * in_channels / groups * window, for each image."""
    bound = layer("Conv2d", TensorType((N, 6, H, W)), out_channels=4, kernel_size=3, padding=1, groups=2)
    assert bound.cost().flop == 2 * N * H * W * 4 * 3 * 9


# --- statistics ---------------------------------------------------------------------------------------------------------


def trained(operator: str, *given: Dim, **settings: Any) -> list[str]:
    """What has to hold besides in training."""
    return [f"{each.code} {each.claim}" for each in layer(operator, TensorType(given), **settings).in_training()]


def test_statistics_want_several_values() -> None:
    assert trained("BatchNorm1d", N, 8) == ["NN214 N >= 2"]
    assert trained("BatchNorm2d", N, 8, H, W) == ["NN214 N*H*W >= 2"]
    assert trained("BatchNorm2d", N, 8, 4, 4) == []
    assert trained("InstanceNorm1d", N, 8, L) == ["NN214 L >= 2"]
    assert trained("GroupNorm", N, 8, L, num_groups=2) == []


def test_without_tracked_statistics_they_are_wanted_in_inference_too() -> None:
    assert inferred("BatchNorm1d", N, 8).obligations == ()
    assert str(asked("BatchNorm1d", N, 8, track_running_stats=False).claim) == "N >= 2"
    assert inferred("InstanceNorm1d", N, 8, L, track_running_stats=True).obligations == ()
    assert str(asked("InstanceNorm1d", N, 8, L).claim) == "L >= 2"
