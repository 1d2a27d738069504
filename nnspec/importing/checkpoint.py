"""The tensors of a checkpoint: of a safetensors file, whose header is read before anything else, or of a `.pt` file that the user trusts.

A `.pt` file is a zip archive with a pickle in it. Torch reads it with `weights_only`, which makes nothing but tensors; still, it unpacks an
archive of a thousandth of its size without asking, so the archive's directory is held to limits first.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from typing import Any

from nnspec.difference.checkpoints import read_header
from nnspec.exporting.base import require
from nnspec.importing.base import ImportRefused

MOST_ENTRIES = 10_000
MOST_BYTES = 4 << 30
MOST_RATIO = 100
#: Under these names trainings keep the weights beside other things.
_WITHIN = ("state_dict", "model_state_dict", "model", "weights")


def is_safetensors(path: str) -> bool:
    return path.endswith(".safetensors")


def read_shapes(path: str, tensors: Mapping[str, Any] | None) -> dict[str, tuple[int, ...]]:
    """The sizes of a checkpoint's tensors by name: out of the header, or of tensors that were read."""
    if tensors is None:
        return read_header(path)
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def read_safetensors(path: str) -> dict[str, Any]:
    """The tensors of a safetensors file. Raises ImportRefused."""
    require("safetensors", "torch")
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise ImportRefused(f"`{path}` cannot be read as a safetensors file: {error}") from error


def read_pickled(path: str) -> dict[str, Any]:
    """The tensors of a `.pt` or `.pth` file. Raises ImportRefused for one that is too large unpacked, or that holds anything but tensors."""
    from pickle import UnpicklingError

    require("torch", "torch")
    import torch

    _within_limits(path)
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, AttributeError) as error:
        raise ImportRefused(
            f"`{path}` holds other things than weights, and is not read: {str(error).splitlines()[0][:160]}"
        ) from error
    for name in _WITHIN:
        if isinstance(found, Mapping) and isinstance(found.get(name), Mapping):
            found = found[name]
            break
    if not isinstance(found, Mapping):
        raise ImportRefused(f"`{path}` is no table of weights, as `torch.save(model.state_dict(), ...)` writes one")
    tensors = {str(name): value.detach() for name, value in found.items() if isinstance(value, torch.Tensor)}
    if not tensors:
        raise ImportRefused(f"`{path}` holds no weights")
    return tensors


def _within_limits(path: str) -> None:
    try:
        if not zipfile.is_zipfile(path):
            raise ImportRefused(f"`{path}` is no archive of torch.save: files from before torch 1.6 are not read")
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (OSError, zipfile.BadZipFile) as error:
        raise ImportRefused(f"cannot read `{path}`: {error}") from None
    unpacked, packed = sum(each.file_size for each in entries), sum(each.compress_size for each in entries)
    if len(entries) > MOST_ENTRIES:
        raise ImportRefused(f"`{path}` is an archive of {len(entries):,} files, and at most {MOST_ENTRIES:,} are read")
    if unpacked > MOST_BYTES or unpacked > MOST_RATIO * max(packed, 1):
        raise ImportRefused(
            f"`{path}` is an archive of {packed:,} bytes that would become {unpacked:,}: "
            f"at most {MOST_BYTES:,} are read, and at most {MOST_RATIO} times the archive"
        )
