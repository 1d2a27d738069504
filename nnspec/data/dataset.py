"""From a recipe's data source to tensors: the samples of each part, checked against the types that the spec was checked with."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nnspec.data import fitting, texts
from nnspec.data.bodies import computed
from nnspec.data.errors import DataError
from nnspec.data.location import Lookup, unheard
from nnspec.data.per_batch import Change, in_training
from nnspec.data.rows import Rows
from nnspec.data.samples import Fields, RawFields, Reader, Samples, Strings
from nnspec.data.slices import slices_of
from nnspec.data.split import split_indices
from nnspec.data.vocabulary import Vocabulary
from nnspec.dims import Dim, Var, as_var
from nnspec.recipes.division import DivisionError, Shares
from nnspec.recipes.recipe import DataSource
from nnspec.types import TensorType

#: So many rows are looked at of those that become tensors batch by batch.
_LOOKED_AT = 64


@dataclass
class Dataset:
    """The samples of a source by part ("train", "validation", "test") and field, samples first, as they are measured; and what was fitted
    on the way.

    Training sees those of `learned` instead, where there are some, and each of its batches through `change`. Of a whole graph, each part
    has all its fields, and `nodes` says how many nodes take part.
    """

    name: str
    parts: dict[str, Fields]
    fitted: dict[str, Any] = field(default_factory=dict)
    #: Names of the classes of fields, where the source knows them.
    class_names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    learned: Fields | None = None
    change: Change | None = None
    #: Of a whole graph, how many of its nodes each part has.
    nodes: dict[str, int] = field(default_factory=dict)
    #: Fitted tokenizers by the names of their texts ("sms.text").
    vocabularies: dict[str, Vocabulary] = field(default_factory=dict)
    #: Rows of its files that were left out, as the source says.
    left_out: int = 0

    @property
    def is_graph(self) -> bool:
        """Whether it is one whole graph, which has no samples."""
        return bool(self.nodes)

    def size(self, part: str = "train") -> int:
        """How many samples a part has, of a whole graph how many nodes; 0 where there is none."""
        if self.is_graph:
            return self.nodes.get(part, 0)
        fields = self.parts.get(part)
        return next(iter(fields.values())).shape[0] if fields else 0

    @cached_property
    def fingerprint(self) -> str:
        """A hash of all samples, for the run's manifest."""
        digest = hashlib.blake2b(digest_size=16)
        for part in sorted(self.parts):
            for name in sorted(self.parts[part]):
                field = self.parts[part][name]
                for tensor in field.tensors() if isinstance(field, Rows) else (field,):
                    digest.update(f"{part}.{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
                    plain = _without_repeats(tensor)
                    digest.update(plain.view(torch.uint8).numpy().data if plain.numel() else b"")
        return digest.hexdigest()


def _without_repeats(tensor: Tensor) -> Tensor:
    """The numbers of a tensor in a row; of a view in which they lie many times, each once."""
    held = tensor.untyped_storage().nbytes() // tensor.element_size()
    if held < tensor.numel():
        return tensor.as_strided((held,), (1,), 0)
    return tensor.contiguous().flatten()


def load(source: DataSource, folders: Path | Sequence[Path], *, fitted: Mapping[str, Any] | None = None,
         told: Callable[[str], None] = unheard) -> Dataset:  # fmt: skip
    """Read a source. Paths are taken against the folder of the spec (or several, in order), then against `NNSPEC_DATA`.

    `fitted` is what an earlier load has fitted to its training part, to be used again. Raises DataError.
    """
    known = fitted or {}
    raw, samples, shares = _read(source, folders, told)
    raw, fills = fitting.fill_gaps(source, raw, known.get("fill", {}))
    vocabularies = texts.fitted_to(source, raw, known.get("vocabularies", {}))
    parts = texts.encoded(source, raw, vocabularies)
    del raw  # what becomes something else from here on is let go of
    found = samples.fitted or _standardize(source, parts, known)
    source, steps = fitting.fit_steps(source, parts["train"], known.get("steps", {}))
    found = {**found, **({"fill": fills} if fills else {}), **({"steps": steps} if steps else {})}
    learned, change = in_training(source, parts["train"]) or (None, None)
    if source.graph is not None and source.operator.name != "Generated":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(shares.seed)
            parts = {name: computed(source, fields) for name, fields in parts.items()}
    _verify(source, parts)
    names = {name: classes for name, classes in samples.class_names.items() if name in source.fields}
    nodes = {part: int(chosen.sum()) for part, chosen in (samples.nodes or {}).items()}
    return Dataset(source.name, parts, found, names, learned, change, nodes, vocabularies, samples.left_out)


def fit_texts(source: DataSource, folders: Path | Sequence[Path], *, fitted: Mapping[str, Any] | None = None,
              told: Callable[[str], None] = unheard) -> dict[str, Vocabulary]:  # fmt: skip
    """The vocabularies of a source by their keys, without more than they need: of one without text, nothing is read. Raises DataError."""
    if not source.texts:
        return {}
    raw, _, _ = _read(source, folders, told)
    return texts.fitted_to(source, raw, (fitted or {}).get("vocabularies", {}))


def _read(
    source: DataSource, folders: Path | Sequence[Path], told: Callable[[str], None]
) -> tuple[Mapping[str, RawFields], Samples, Shares]:
    """The samples by part, what else was read, and how they are divided. All samples in one piece are let go of here."""
    lookup = Lookup((folders,) if isinstance(folders, Path) else tuple(folders), told)
    try:
        shares = Shares.of(source)
    except DivisionError as error:
        raise DataError(error.message) from error
    samples = _reader(source.operator.name)(source, lookup)
    parts = _parts(samples, shares, source)
    return parts, replace(samples, fields={}, test=None, validation=None, parts=None), shares


def _parts(samples: Samples, shares: Shares, source: DataSource) -> dict[str, RawFields]:
    """The samples by part, divided as the source says."""
    if samples.nodes is not None:
        return {part: {**samples.fields, "part": nodes} for part, nodes in samples.nodes.items()}
    if samples.parts is not None:
        return samples.parts
    parts: dict[str, RawFields] = {"train": samples.fields}
    if samples.test is not None:
        parts["test"] = samples.test
        shares = shares.beside_test()
    if samples.validation is not None:
        parts["validation"] = samples.validation
        shares = shares.beside_validation()
    if source.operator.part_samples is None:
        parts |= _split(samples, shares, source)
    return parts


def _reader(name: str) -> Reader:
    from nnspec.data import arrays, citations, embedded, generated, idx, images, pairs, parquet, shards, tables, windows

    readers: dict[str, Reader] = {
        "MNIST": idx.read, "FashionMNIST": idx.read, "KMNIST": idx.read, "Digits": embedded.read_digits, "Iris": embedded.read_table,
        "Wine": embedded.read_table, "BreastCancer": embedded.read_table, "Diabetes": embedded.read_table, "CSV": tables.read,
        "Parquet": parquet.read, "NPZ": arrays.read, "ImageFolder": images.read, "Generated": generated.read, "Cora": citations.read,
        "Pairs": pairs.read, "Windows": windows.read, "Shards": shards.read, "TextWindows": texts.read_windows,
    }  # fmt: skip
    if name not in readers:
        raise DataError(f"`{name}` is declared, but this version cannot read it")
    return readers[name]


def _split(samples: Samples, shares: Shares, source: DataSource) -> dict[str, RawFields]:
    count = _samples(samples.fields, source, "train")
    tensors = {name: each for name, each in samples.fields.items() if isinstance(each, Tensor)}
    ordering = {**samples.texts, **{name: each.values for name, each in samples.fields.items() if isinstance(each, Strings)}}
    indices = split_indices(count, shares, tensors, ordering)
    return {part: {name: _chosen(each, rows) for name, each in samples.fields.items()} for part, rows in indices.items()}


def _chosen(field: Tensor | Rows | Strings, indices: Tensor) -> Tensor | Rows | Strings:
    return field.subset(indices) if isinstance(field, Rows) else field[indices]


def _samples(fields: Mapping[str, Tensor | Rows | Strings], source: DataSource, part: str) -> int:
    """How many samples the fields have; DataError where they differ, or have none."""
    sizes = {name: tensor.shape[0] if tensor.dim() else 0 for name, tensor in fields.items()}
    if len(set(sizes.values())) != 1:
        found = ", ".join(f"`{name}` has {size}" for name, size in sizes.items()) or "it has no fields"
        raise DataError(f"the fields of `{source.name}` ({part}) differ in their number of samples: {found}")
    count = next(iter(sizes.values()))
    if count == 0:
        raise DataError(f"`{source.name}` ({part}) has no samples")
    return count


def _standardize(source: DataSource, parts: dict[str, Fields], fitted: Mapping[str, Any]) -> dict[str, Any]:
    """Bring `x` to mean 0 and deviation 1 by the training part, where the source is set so."""
    if not source.operator.attributes().get("standardize"):
        return {}
    found = dict(fitted.get("standardize") or _fit(_dense(parts["train"]["x"])))
    for fields in parts.values():
        fields["x"] = standardized(_dense(fields["x"]), found)
    return {"standardize": found}


def _dense(field: Tensor | Rows) -> Tensor:
    found: Tensor = field[:]
    return found


def _fit(x: Tensor) -> dict[str, Any]:
    std = x.double().std(dim=0, correction=0)
    return {"mean": x.double().mean(dim=0).tolist(), "std": torch.where(std > 0, std, 1.0).tolist()}


def standardized(x: Tensor, fitted: Mapping[str, Any]) -> Tensor:
    """Samples (N, features) minus the mean, over the deviation, of the training part."""
    mean, std = (torch.tensor(fitted[name], dtype=torch.float64) for name in ("mean", "std"))
    found = torch.empty_like(x)
    for part in slices_of(x):
        found[part] = (x[part].double() - mean) / std
    return found


# --- the types that the spec was checked with -----------------------------------------------------------------------------


def _verify(source: DataSource, parts: Mapping[str, Fields]) -> None:
    known: dict[Var, int] = {}
    for part, fields in parts.items():
        if not source.is_graph:
            _samples({name: fields[name] for name in source.fields}, source, part)
        for name, type_ in source.fields.items():
            _verify_field(f"`{source.name}.{name}` ({part})", fields[name], type_, known, first=0 if source.is_graph else 1)


def _verify_field(place: str, field: Tensor | Rows, type_: TensorType, known: dict[Var, int], first: int) -> None:
    """Refuse samples that are not what the spec was checked with. `known` holds the sizes of symbols so far; axes before `first` are
    those of samples."""
    if isinstance(field, Rows):  # a few rows show the rest, and their sizes are their own
        tensor, known = field[:_LOOKED_AT], {}
    else:
        tensor = field
    shape = tuple(tensor.shape)
    if len(shape) != type_.rank or not all(
        _agrees(dim, size, known) for dim, size in zip(type_.dims[first:], shape[first:], strict=True)
    ):
        raise DataError(f"{place} has the shape {list(shape)}, and the spec was checked with {type_}")
    if str(tensor.dtype).removeprefix("torch.") != type_.dtype:
        raise DataError(f"{place} holds {tensor.dtype}, and the spec was checked with {type_}")
    if isinstance(type_.classes, int) and tensor.numel() and not 0 <= int(tensor.min()) <= int(tensor.max()) < type_.classes:
        row = _first_sample((tensor < 0) | (tensor >= type_.classes))
        low, high = int(tensor.min()), int(tensor.max())
        raise DataError(
            f"{place} holds values from {low} to {high}, first beyond in sample {row}, and the spec was checked with {type_.classes} classes"
        )
    lost = _first_not_finite(tensor) if tensor.is_floating_point() else None
    if lost is not None:
        raise DataError(f"{place} holds NaN or infinity, first in sample {lost}; fill or remove such values")


def _agrees(dim: Dim, size: int, known: dict[Var, int]) -> bool:
    """Whether a size is the declared one; a symbol is the same wherever it stands."""
    if isinstance(dim, int):
        return dim == size
    only = as_var(dim)
    return only is None or known.setdefault(only, size) == size


def _first_not_finite(tensor: Tensor) -> int | None:
    tensor = tensor if tensor.dim() else tensor[None]
    for part in slices_of(tensor):
        finite = torch.isfinite(tensor[part])
        if not bool(finite.all()):
            return int(part.start) + _first_sample(~finite)
    return None


def _first_sample(wrong: Tensor) -> int:
    return int(wrong.reshape(len(wrong), -1).any(dim=1).nonzero()[0])
