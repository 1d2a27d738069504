"""The expression that makes a layer in an exported module: PyTorch's settings, without those that PyTorch assumes anyway. No torch."""

from __future__ import annotations

from typing import Any

from nnspec.exporting.inlining import Inlined
from nnspec.exporting.python_slots import Listed, Slots, is_number
from nnspec.operators.declare import TorchCall

_CONVOLUTION = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "bias": True, "padding_mode": "zeros", "output_padding": 0}
_POOLING = {"stride": None, "padding": 0, "dilation": 1, "ceil_mode": False, "return_indices": False, "count_include_pad": True}
_BATCH_NORM = {"eps": 1e-5, "momentum": 0.1, "affine": True, "track_running_stats": True}
#: Settings that torch assumes anyway and that are left out, by the class.
DEFAULTS: dict[str, dict[str, Any]] = {
    **{f"torch.nn.{name}{axes}d": _CONVOLUTION for name in ("Conv", "ConvTranspose") for axes in (1, 2, 3)},
    **{f"torch.nn.{name}{axes}d": _POOLING for name in ("MaxPool", "AvgPool") for axes in (1, 2, 3)},
    **{f"torch.nn.BatchNorm{axes}d": _BATCH_NORM for axes in (1, 2, 3)},
    "torch.nn.Linear": {"bias": True},
    "torch.nn.LayerNorm": {"eps": 1e-5, "elementwise_affine": True, "bias": True},
    "torch.nn.GroupNorm": {"eps": 1e-5, "affine": True},
    "torch.nn.Embedding": {"padding_idx": None},
    "torch.nn.ReLU": {"inplace": False},
    "torch.nn.GELU": {"approximate": "none"},
    "torch.nn.Flatten": {"start_dim": 1, "end_dim": -1},
    "torch.nn.Dropout": {"inplace": False},
    "torch.nn.ELU": {"alpha": 1.0, "inplace": False},
    "torch.nn.LeakyReLU": {"inplace": False},
    "torch.nn.Upsample": {"size": None, "scale_factor": None, "mode": "nearest", "align_corners": None},
    **{f"torch.nn.InstanceNorm{axes}d": {**_BATCH_NORM, "affine": False, "track_running_stats": False} for axes in (1, 2, 3)},
}
#: Settings that come first and without a name.
_POSITIONAL = {
    "torch.nn.Linear": ("in_features", "out_features"), "torch.nn.Embedding": ("num_embeddings", "embedding_dim"),
    "torch.nn.Dropout": ("p",), "torch.nn.LeakyReLU": ("negative_slope",), "torch.nn.Unflatten": ("dim", "unflattened_size"),
    "torch.nn.LayerNorm": ("normalized_shape",), "torch.nn.GroupNorm": ("num_groups", "num_channels"),
    **{f"torch.nn.{name}{axes}d": ("in_channels", "out_channels", "kernel_size") for name in ("Conv", "ConvTranspose")
       for axes in (1, 2, 3)},
    **{f"torch.nn.{name}{axes}d": ("kernel_size",) for name in ("MaxPool", "AvgPool") for axes in (1, 2, 3)},
    **{f"torch.nn.AdaptiveAvgPool{axes}d": ("output_size",) for axes in (1, 2, 3)},
    **{f"torch.nn.BatchNorm{axes}d": ("num_features",) for axes in (1, 2, 3)},
    **{f"torch.nn.InstanceNorm{axes}d": ("num_features",) for axes in (1, 2, 3)},
}  # fmt: skip


def layer(call: TorchCall, inlined: Inlined, slots: Slots) -> Listed:
    """The expression that makes a layer, with its numbers as marks."""
    name = "nn." + call.target.removeprefix("torch.nn.") if call.target.startswith("torch.nn.") else inlined.add(call.target)
    assumed = DEFAULTS.get(call.target, {})
    per_axis = assumed is _POOLING or assumed is _CONVOLUTION
    settings = {key: plain(value, per_axis) for key, value in call.settings.items()}
    positional = [key for key in _POSITIONAL.get(call.target, ()) if key in settings]
    given = [_written(settings.pop(key), key, slots) for key in positional]
    given += [
        f"{key}={_written(value, key, slots)}" for key, value in settings.items() if key not in assumed or assumed[key] != value
    ]
    return Listed(f"{name}(", tuple(given), ")")


def _written(value: Any, hint: str, slots: Slots) -> str:
    if isinstance(value, str):
        return f'"{value}"' if '"' not in value and "\\" not in value else repr(value)
    return slots.number(value, hint) if is_number(value) else repr(value)


def plain(value: Any, shorten: bool = False) -> Any:
    """A setting as source shows it; `(3, 3)` as 3 where torch takes one number for all axes."""
    if isinstance(value, list | tuple):
        items = [plain(item, shorten) for item in value]
        if shorten and len(set(map(repr, items))) == 1 and len(items) > 1:
            return items[0]
        return items if isinstance(value, list) else tuple(items)
    return value
