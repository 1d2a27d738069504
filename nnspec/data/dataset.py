"""From a recipe's data source to tensors: the samples of each part, checked against the types that the spec was checked with."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nnspec.data.errors import DataError
from nnspec.data.split import Shares, split_indices
from nnspec.graph.recipe import DataSource
from nnspec.types import TensorType

Fields = dict[str, Tensor]


@dataclass
class Dataset:
    """The samples of a source by part ("train", "validation", "test") and field, samples first; and what was fitted on the way."""

    name: str
    parts: dict[str, Fields]
    fitted: dict[str, Any] = field(default_factory=dict)
    #: Names of the classes where the source knows them.
    class_names: tuple[str, ...] = ()

    def size(self, part: str = "train") -> int:
        """How many samples a part has; 0 where there is none."""
        fields = self.parts.get(part)
        return next(iter(fields.values())).shape[0] if fields else 0

    def fingerprint(self) -> str:
        """A hash of all samples, for the run's manifest."""
        digest = hashlib.blake2b(digest_size=16)
        for part in sorted(self.parts):
            for name in sorted(self.parts[part]):
                tensor = self.parts[part][name].contiguous()
                digest.update(f"{part}.{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
                digest.update(tensor.view(torch.uint8).numpy().data if tensor.numel() else b"")
        return digest.hexdigest()


@dataclass(frozen=True)
class Samples:
    """What a reader gives: all samples, or those to learn from beside a test part that comes with the source."""

    fields: Fields
    test: Fields | None = None
    class_names: tuple[str, ...] = ()


Reader = Callable[[DataSource, Path], Samples]


def load(source: DataSource, folder: Path) -> Dataset:
    """Read a source. `folder` is that of the spec, against which paths are taken. Raises DataError."""
    samples = _reader(source.operator.name)(source, folder)
    shares = Shares.of(source)
    parts = {"train": samples.fields}
    if samples.test is not None:
        parts["test"] = samples.test
        shares = shares.without_test()
    parts |= _split(samples.fields, shares, source)
    fitted = _standardize(source, parts)
    if source.graph is not None and source.operator.name != "Generated":
        parts = {name: _computed(source, fields) for name, fields in parts.items()}
    _verify(source, parts)
    return Dataset(source.name, parts, fitted, samples.class_names)


def _reader(name: str) -> Reader:
    from nnspec.data import arrays, embedded, generated, idx, images, tables

    readers: dict[str, Reader] = {
        "MNIST": idx.read, "FashionMNIST": idx.read, "KMNIST": idx.read, "Digits": embedded.read_digits, "Iris": embedded.read_table,
        "Wine": embedded.read_table, "BreastCancer": embedded.read_table, "Diabetes": embedded.read_table, "CSV": tables.read,
        "NPZ": arrays.read, "ImageFolder": images.read, "Generated": generated.read,
    }  # fmt: skip
    if name not in readers:
        raise DataError(f"`{name}` is declared, but this version cannot read it")
    return readers[name]


def _split(fields: Fields, shares: Shares, source: DataSource) -> dict[str, Fields]:
    count = next(iter(fields.values())).shape[0]
    if count == 0:
        raise DataError(f"`{source.name}` has no samples")
    indices = split_indices(count, shares, fields)
    return {part: {name: tensor[chosen] for name, tensor in fields.items()} for part, chosen in indices.items()}


def _standardize(source: DataSource, parts: dict[str, Fields]) -> dict[str, Any]:
    """Bring `x` to mean 0 and deviation 1 by the training part, where the source is set so."""
    if not source.operator.attributes().get("standardize"):
        return {}
    x = parts["train"]["x"]
    mean, std = x.mean(dim=0), x.std(dim=0, correction=0).clamp_min(1e-8)
    for fields in parts.values():
        fields["x"] = (fields["x"] - mean) / std
    return {"standardize": {"mean": mean.tolist(), "std": std.tolist()}}


def _computed(source: DataSource, fields: Fields) -> Fields:
    """Run what the body of the `data` item computes."""
    from nnspec.torch_backend.lower import lower

    assert source.graph is not None
    module = lower(source.graph, guards=False)
    with torch.no_grad():
        result = module(**{entry.name: fields[entry.name] for entry in source.graph.inputs})
    return result if isinstance(result, dict) else {next(iter(source.graph.outputs)): result}


def _verify(source: DataSource, parts: Mapping[str, Fields]) -> None:
    for part, fields in parts.items():
        for name, type_ in source.fields.items():
            _verify_field(source, part, name, fields[name], type_)


def _verify_field(source: DataSource, part: str, name: str, tensor: Tensor, type_: TensorType) -> None:
    """Refuse samples that are not what the spec was checked with."""
    place = f"`{source.name}.{name}` ({part})"
    shape = tuple(tensor.shape)
    if len(shape) != type_.rank or any(isinstance(dim, int) and dim != size for dim, size in zip(type_.dims, shape, strict=True)):
        raise DataError(f"{place} has the shape {list(shape)}, and the spec was checked with {type_}")
    if str(tensor.dtype).removeprefix("torch.") != type_.dtype:
        raise DataError(f"{place} holds {tensor.dtype}, and the spec was checked with {type_}")
    if isinstance(type_.classes, int) and tensor.numel() and not 0 <= int(tensor.min()) <= int(tensor.max()) < type_.classes:
        low, high = int(tensor.min()), int(tensor.max())
        raise DataError(f"{place} holds values from {low} to {high}, and the spec was checked with {type_.classes} classes")
    if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
        row = int((~torch.isfinite(tensor)).flatten(1).any(dim=1).nonzero()[0]) if tensor.dim() > 1 else int((~torch.isfinite(tensor)).nonzero()[0])
        raise DataError(f"{place} holds NaN or infinity, first in sample {row}")
