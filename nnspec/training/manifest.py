"""What a run's manifest says: the spec, the data, the environment, and what came out."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from nnspec.checker import Report
from nnspec.data import Dataset
from nnspec.torch_backend.recipes import RecipeModule
from nnspec.training.ranks import launched_as
from nnspec.training.run_folder import RunFolder

#: What a resumed run has to share with its beginning to be the same bit for bit.
_EXACT = ("torch", "threads", "device", "gpu", "processes")


def digest(report: Report) -> str:
    """The hash of a spec's text, and of the files that it uses."""
    found = hashlib.sha256()
    for source in report.sources:
        text = source.text.encode()
        found.update(f"{len(text)}:".encode() + text)
    return found.hexdigest()


def environment(device: torch.device, processes: int = 1) -> dict[str, Any]:
    """What the figures of a run may depend on besides spec and data; and by which launch it was started, where that can start it again."""
    from nnspec import __version__

    found: dict[str, Any] = {
        "nnspec": __version__, "torch": torch.__version__, "python": platform.python_version(), "system": platform.platform(),
        "threads": torch.get_num_threads(), "device": device.type, "processes": processes,
    }  # fmt: skip
    if launched_as():
        found["launch"] = launched_as()
    if device.type == "cuda":
        found["gpu"] = torch.cuda.get_device_name(device)
    return found


def described_data(datasets: Mapping[str, Dataset], folder: RunFolder) -> dict[str, Any]:
    """The sources: samples of each part, a hash of all, and what was fitted; vocabularies lie in the folder."""
    return {
        name: {
            "samples": {part: each.size(part) for part in each.parts}, "hash": each.fingerprint, "fitted": each.fitted,
            "vocabularies": folder.write_vocabularies(each.vocabularies),
            **({"rows_left_out": each.left_out} if each.left_out else {}),
        }
        for name, each in datasets.items()
    }  # fmt: skip


def parameter_counts(module: RecipeModule) -> dict[str, int]:
    """How many trainable numbers each network has."""
    return {name: sum(each.numel() for each in instance.parameters()) for name, instance in module.instances.items()}


def changed_data(manifest: Mapping[str, Any], datasets: Mapping[str, Dataset]) -> Iterator[str]:
    """Sources whose samples are not those that the run was made with."""
    for name, each in datasets.items():
        if manifest["data"].get(name, {}).get("hash") != each.fingerprint:
            yield name


def differences(
    manifest: Mapping[str, Any], report: Report, datasets: Mapping[str, Dataset], device: torch.device, processes: int = 1
) -> Iterator[str]:
    """Why going on with a run will not give what it would have given without the stop, one sentence each."""
    if manifest["spec"].get("sha256") != digest(report):
        yield "the spec has changed since this run began; going on with the spec as it is now"
    for name in changed_data(manifest, datasets):
        yield f"the data of `{name}` has changed since this run began"
    sessions = manifest.get("sessions") or [{}]
    before, now = sessions[-1].get("environment", {}), environment(device, processes)
    before = {"processes": 1, **before}
    for name in _EXACT:
        if before.get(name) != now.get(name):
            yield f"{name} was {before.get(name)} when this run began and is {now.get(name)} now: figures may differ in their last digits"
