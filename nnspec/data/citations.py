"""Papers that cite one another, as one graph: Cora, in the split of Planetoid.

Planetoid's own files are pickles, which are not read. `cora.derived.npz` holds what they say as plain arrays, and is known by that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy
import torch
from torch import Tensor

from nnspec.data.arrays import read_arrays
from nnspec.data.errors import DataError
from nnspec.data.location import Lookup, fetch
from nnspec.data.samples import Samples
from nnspec.recipes.recipe import DataSource

_FOLDERS = ("cora", "planetoid/cora")
_FILE = "cora.derived.npz"
#: Each array with the element type that it is compared in: edges (pairs of nodes, each once), rows of words as a sparse matrix
#: (CSR), classes, and the nodes of the parts.
_ARRAYS = {
    "edges": "<i4", "feat_indptr": "<i4", "feat_indices": "<i4", "feat_data": "<f4", "feat_shape": "<i4", "labels": "|i1",
    "train_idx": "<i4", "val_idx": "<i4", "test_idx": "<i4",
}  # fmt: skip
#: Of all arrays, one after the other: what `content` gives.
SHA256 = "442fb5a2f36f895878445f732ac3977a980c2c6dc622dffa78f2fd3efdc33192"
_SUBJECTS = (
    "Theory", "Reinforcement_Learning", "Genetic_Algorithms", "Neural_Networks", "Probabilistic_Methods", "Case_Based",
    "Rule_Learning",
)  # fmt: skip


def read(source: DataSource, lookup: Lookup) -> Samples:
    """The graph, and which nodes are in which part. Raises DataError where the file is not there, or holds something else."""
    path = fetch(_FOLDERS, _FILE, None, (), lookup.told)
    arrays = _verified(path)
    nodes = len(arrays["labels"])
    x = _features(arrays)
    if source.operator.attributes()["normalize_features"]:
        x = normalized(x)
    fields = {"x": x, "edges": _edges(arrays), "label": torch.from_numpy(arrays["labels"]).long()}
    parts = {"train": "train_idx", "validation": "val_idx", "test": "test_idx"}
    return Samples(
        fields, class_names={"label": _SUBJECTS}, nodes={part: _chosen(arrays[name], nodes) for part, name in parts.items()}
    )


def normalized(x: Tensor) -> Tensor:
    """Each row divided by its sum; a row of zeros stays."""
    total = x.sum(dim=1, keepdim=True)
    return x / torch.where(total == 0, 1, total)


def content(arrays: Mapping[str, numpy.ndarray[Any, Any]]) -> str:
    """The sha256 of what arrays hold, however the file around them is packed."""
    digest = hashlib.sha256()
    for name, dtype in _ARRAYS.items():
        array = numpy.ascontiguousarray(arrays[name].astype(dtype))
        digest.update(f"{name}{list(array.shape)}".encode() + array.tobytes())
    return digest.hexdigest()


def _verified(path: Path) -> dict[str, numpy.ndarray[Any, Any]]:
    arrays = read_arrays(path, set(_ARRAYS))
    wrong = next((name for name, array in arrays.items() if array.dtype.kind not in "iuf"), None)
    if wrong is not None or content(arrays) != SHA256:
        raise DataError(f"{path} does not hold the Cora that was published: get it again")
    return arrays


def _features(arrays: Mapping[str, numpy.ndarray[Any, Any]]) -> Tensor:
    rows, columns = map(int, arrays["feat_shape"])
    x = torch.zeros(rows, columns)
    row = torch.repeat_interleave(torch.from_numpy(numpy.diff(arrays["feat_indptr"])).long())
    x[row, torch.from_numpy(arrays["feat_indices"]).long()] = torch.from_numpy(arrays["feat_data"])
    return x


def _edges(arrays: Mapping[str, numpy.ndarray[Any, Any]]) -> Tensor:
    """Both directions of each pair, sorted by source, then target: (2, E)."""
    pairs = torch.from_numpy(arrays["edges"]).long()
    both: Tensor = torch.unique(torch.cat([pairs, pairs.flip(1)]), dim=0)
    return both.T.contiguous()


def _chosen(places: numpy.ndarray[Any, Any], nodes: int) -> Tensor:
    mask = torch.zeros(nodes, dtype=torch.bool)
    mask[torch.from_numpy(places).long()] = True
    return mask
