"""What a network says of new data, in a file: its ending says the form."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy
import torch
from numpy.lib.format import write_array
from numpy.typing import NDArray
from torch import Tensor

from nnspec.atomic import write_atomic
from nnspec.errors import UsageError

#: Names of classes by output.
Classes = Mapping[str, tuple[str, ...]]
#: Beyond so many columns a table is no table.
_MOST_COLUMNS = 16_384


def output_path(given: str) -> Path:
    """The file of that name, `.npz` where no ending is given. Raises UsageError for an ending that is no form."""
    path = Path(given)
    if path.suffix not in FORMS:
        if path.suffix:
            raise UsageError(f"{path}: predictions are written as {', '.join(FORMS)}")
        path = path.with_name(f"{path.name}.npz")
    return path


def write_outputs(path: Path, outputs: Mapping[str, Tensor], classes: Classes, names: Sequence[str] = ()) -> None:
    """Write the outputs, whole or not at all. Raises UsageError where the form cannot hold them, and OSError.

    `.npz` holds arrays by name, `.npy` the one output there is, `.csv` a line for each sample and a column for each number of it, named
    `logits.setosa` where the classes are known and `logits.0` else; before them the class with the largest score, and first of all the
    file that a sample is, where `names` says that.
    """
    write_atomic(path, FORMS[path.suffix](path, outputs, classes, names))


def _npz(path: Path, outputs: Mapping[str, Tensor], classes: Classes, names: Sequence[str]) -> bytes:
    return npz(outputs)


def npz(tensors: Mapping[str, Tensor]) -> bytes:
    """Tensors as an `.npz` file, under any names: `numpy.savez` takes a few for its own arguments."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name, tensor in tensors.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                write_array(member, _array(tensor), allow_pickle=False)
    return written.getvalue()


def _array(tensor: Tensor) -> NDArray[Any]:
    """As an array of numpy, which has no bfloat16."""
    array: NDArray[Any] = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    return array


def _npy(path: Path, outputs: Mapping[str, Tensor], classes: Classes, names: Sequence[str]) -> bytes:
    if len(outputs) > 1:
        raise UsageError(f"{path}: .npy holds one array, and there are {', '.join(outputs)}; .npz holds several")
    written = io.BytesIO()
    numpy.save(written, _array(next(iter(outputs.values()))))
    return written.getvalue()


def _csv(path: Path, outputs: Mapping[str, Tensor], classes: Classes, names: Sequence[str]) -> str:
    counts = {tensor.shape[0] if tensor.dim() else None for tensor in outputs.values()}
    width = sum(tensor[:1].numel() if tensor.dim() else 1 for tensor in outputs.values())
    if len(counts) > 1 or None in counts or width > _MOST_COLUMNS:
        shapes = ", ".join(f"{name}: {list(tensor.shape)}" for name, tensor in outputs.items())
        raise UsageError(f"{path}: outputs of these shapes make no table, .npz holds them: {shapes}")
    columns = [("file", list(names))] if names else []
    columns += [column for name, tensor in outputs.items() for column in _columns(name, tensor, classes.get(name, ()))]
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow([name for name, _ in columns])
    writer.writerows(zip(*(values for _, values in columns), strict=True))
    return written.getvalue()


def _columns(name: str, tensor: Tensor, classes: tuple[str, ...]) -> Iterator[tuple[str, list[str]]]:
    """Names and texts of an output's columns. Floats have as many digits as tell them from their neighbours."""
    if classes:
        yield f"{name}.class", [classes[place] for place in tensor.argmax(dim=1).tolist()]
    texts = _array(tensor).astype(str).reshape(len(tensor), tensor.shape[1:].numel())
    for number, place in enumerate(product(*map(range, tensor.shape[1:]))):
        own = classes[number] if classes else ".".join(map(str, place))
        yield f"{name}.{own}" if own else name, texts[:, number].tolist()


FORMS: dict[str, Callable[[Path, Mapping[str, Tensor], Classes, Sequence[str]], bytes | str]] = {
    ".npz": _npz,
    ".npy": _npy,
    ".csv": _csv,
}
