"""Names and sizes of the tensors of a checkpoint, and which of them a network loads.

Only the header of a safetensors file is read: eight bytes that give its length, then JSON
(https://huggingface.co/docs/safetensors/index#format). Nothing is loaded and nothing is run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from nnspec.difference.networks import NetworkDifference
from nnspec.difference.weights import Weight
from nnspec.errors import UsageError
from nnspec.records import record

#: The longest header, and the most tensors, that are read.
MOST_HEADER_BYTES = 100_000_000
MOST_TENSORS = 1_000_000
_PREFIX = "network."
_SUFFIX = ".safetensors"


@record(frozen=True)
class CheckpointReport:
    """What becomes of the tensors of a checkpoint in the new network: `weights` as in a difference of networks. `prefix` begins all of
    its names and is left off; `missing` are weights of the network that it does not have."""

    path: str
    network: str
    prefix: str
    weights: tuple[Weight, ...]
    missing: tuple[str, ...]

    @property
    def mapping(self) -> dict[str, str]:
        """The name in the network for each tensor that loads."""
        return {self.prefix + weight.before: weight.after for weight in self.weights if weight.loads}


def read_header(path: str) -> dict[str, tuple[int, ...]]:
    """The sizes of the tensors of a safetensors file, by name. Raises UsageError for a file that is none."""
    try:
        with open(path, "rb") as file:
            start = file.read(8)
            length = int.from_bytes(start, "little")
            if len(start) < 8 or length > min(MOST_HEADER_BYTES, os.fstat(file.fileno()).st_size - 8):
                raise UsageError(f"`{path}` is not a safetensors file: its first bytes are not the length of a header")
            data = file.read(length)
    except OSError as error:
        raise UsageError(f"cannot read `{path}`: {error.strerror or error}") from None
    try:
        header = json.loads(data)
    except (ValueError, RecursionError):
        raise UsageError(f"`{path}` is not a safetensors file: its header is not JSON") from None
    return _sizes(path, header)


def _sizes(path: str, header: Any) -> dict[str, tuple[int, ...]]:
    if not isinstance(header, dict) or len(header) > MOST_TENSORS:
        raise UsageError(f"`{path}` is not a safetensors file: its header is no table of at most {MOST_TENSORS:,} tensors")
    found = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        shape = entry.get("shape") if isinstance(entry, dict) else None
        if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
            raise UsageError(f"`{path}` is not a safetensors file: its header gives no sizes for `{name}`")
        found[name] = tuple(shape)
    return found


def tensor_files(path: str) -> dict[str, str]:
    """The files with weights at a path, by the name of the network instance: a safetensors file itself (its name is ""), or those of
    the newest checkpoint of a run folder. Raises UsageError."""
    if not os.path.isdir(path):
        return {"": path}
    folder = os.path.join(path, "checkpoints")
    folder = _newest(folder) if os.path.isdir(folder) else path
    found = {
        name.removeprefix(_PREFIX).removesuffix(_SUFFIX): os.path.join(folder, name)
        for name in sorted(os.listdir(folder))
        if name.startswith(_PREFIX) and name.endswith(_SUFFIX)
    }
    if not found:
        raise UsageError(f"`{path}` is not a run with a checkpoint, and no safetensors file")
    return found


def _newest(folder: str) -> str:
    """The folder of the newest checkpoint, as `latest` says or by its number of steps."""
    steps = {name: int(name[5:]) for name in os.listdir(folder) if name.startswith("step_") and name[5:].isdecimal()}
    try:
        with open(os.path.join(folder, "latest"), encoding="utf-8") as file:
            named = file.read(200).strip()
    except (OSError, UnicodeDecodeError):
        named = ""
    if named in steps:
        return os.path.join(folder, named)
    if not steps:
        raise UsageError(f"`{folder}` holds no checkpoint")
    return os.path.join(folder, max(steps, key=lambda name: steps[name]))


def compare_checkpoint(path: str, tensors: Mapping[str, tuple[int, ...]], difference: NetworkDifference) -> CheckpointReport:
    """Which tensors load into the new network, under the name of the layer that they were made for."""
    weights = difference.weights
    old = {weight.before: weight for weight in weights.all if weight.before}
    new = {weight.after: weight.new_shape for weight in weights.all if weight.after}
    prefix = _prefix(tensors, {**old, **new})
    found = []
    for name, sizes in tensors.items():
        key, shape = name.removeprefix(prefix), f"[{', '.join(map(str, sizes))}]"
        known = old.get(key)
        if known is not None and known.old_shape == shape:
            found.append(known)
        elif key in new:
            fate = "same" if new[key] == shape else "resized"
            found.append(Weight(key, key, shape, new[key], fate, _count(sizes)))
        else:
            found.append(Weight(key, "", shape, "", "removed", _count(sizes)))
    reached = {weight.after for weight in found}
    return CheckpointReport(path, difference.after, prefix, tuple(found), tuple(key for key in new if key not in reached))


def _count(sizes: tuple[int, ...]) -> int:
    result = 1
    for size in sizes:
        result *= size
    return result


def _prefix(tensors: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    """What begins all names, such as `module.`, where they are known only without it."""
    if not tensors or any(name in known for name in tensors):
        return ""
    first = next(iter(tensors)).partition(".")[0] + "."
    if all(name.startswith(first) for name in tensors) and any(name.removeprefix(first) in known for name in tensors):
        return first
    return ""


def best_network(tensors: Mapping[str, Any], networks: list[NetworkDifference]) -> NetworkDifference | None:
    """The network that shares most names with a checkpoint; None where none shares any."""

    def shared(network: NetworkDifference) -> int:
        keys = {weight.before for weight in network.weights.all} | {weight.after for weight in network.weights.all}
        prefix = _prefix(tensors, dict.fromkeys(keys))
        return sum(name.removeprefix(prefix) in keys for name in tensors)

    best = max(networks, key=shared, default=None)
    return best if best is not None and shared(best) else None
