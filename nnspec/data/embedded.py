"""The small sets that come with scikit-learn: most are read from its files, since importing it takes longer than many a training on them."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, NamedTuple

import numpy
import torch

from nnspec.data.location import Lookup
from nnspec.data.pixels import scaled
from nnspec.data.samples import Samples
from nnspec.errors import MissingExtra
from nnspec.recipes.recipe import DataSource

_BRIGHTEST = 16.0


class _Set(NamedTuple):
    """Where scikit-learn has a set: the function that loads it, and the file of its folder that holds it as it is given, where one does."""

    loader: str
    file: str | None = None
    #: Whether the first line has the names of the classes, behind two numbers.
    headed: bool = True


_SETS = {
    "Digits": _Set("load_digits", "digits.csv.gz", headed=False),
    "Iris": _Set("load_iris", "iris.csv"),
    "Wine": _Set("load_wine", "wine_data.csv"),
    "BreastCancer": _Set("load_breast_cancer", "breast_cancer.csv"),
    "Diabetes": _Set("load_diabetes"),
}


class _Found(NamedTuple):
    """A set as scikit-learn gives it: features and targets of the samples, and the classes' names."""

    data: numpy.ndarray[Any, Any]
    target: numpy.ndarray[Any, Any]
    names: tuple[str, ...]


def _read(name: str) -> _Found:
    """The set of a name. Raises MissingExtra."""
    chosen = _SETS[name]
    package = importlib.util.find_spec("sklearn")
    if package is None or not package.submodule_search_locations:
        raise MissingExtra("scikit-learn", "sklearn")
    if chosen.file is None:
        return _loaded(chosen)
    path = Path(package.submodule_search_locations[0], "datasets", "data", chosen.file)
    if not path.is_file():  # another version, with its files elsewhere
        return _loaded(chosen)
    rows = numpy.loadtxt(path, delimiter=",", skiprows=int(chosen.headed), ndmin=2)
    names: tuple[str, ...] = ()
    if chosen.headed:
        with path.open(encoding="utf-8") as file:
            names = tuple(file.readline().strip().split(",")[2:])
    return _Found(rows[:, :-1], rows[:, -1], names)


def _loaded(chosen: _Set) -> _Found:
    """The set as scikit-learn itself loads it."""
    import sklearn.datasets

    found: Any = getattr(sklearn.datasets, chosen.loader)()
    return _Found(found.data, found.target, tuple(map(str, getattr(found, "target_names", ()))))


def read_digits(source: DataSource, lookup: Lookup) -> Samples:
    """1,797 digits of 8 x 8 in 17 greys, enlarged where asked for."""
    found = _read("Digits")
    image = scaled(torch.from_numpy(found.data).float().reshape(-1, 1, 8, 8), source.operator, _BRIGHTEST)
    size = source.operator.attributes()["size"]
    if size != 8:
        image = torch.nn.functional.interpolate(image, size=(size, size), mode="bilinear", align_corners=False)
    names = {"label": tuple(map(str, range(10)))}
    return Samples({"image": image, "label": torch.from_numpy(found.target).long()}, class_names=names)


def read_table(source: DataSource, lookup: Lookup) -> Samples:
    """Measurements and a class or a number."""
    from nnspec.operators.source import _Table

    operator = source.operator
    assert isinstance(operator, _Table)
    found = _read(operator.name)
    chosen = [operator.columns.index(name) for name in operator.chosen]
    x = torch.from_numpy(found.data[:, chosen]).float()
    if operator.classes is None:
        return Samples({"x": x, "target": torch.from_numpy(found.target).float()})
    return Samples({"x": x, "label": torch.from_numpy(found.target).long()}, class_names={"label": found.names})
