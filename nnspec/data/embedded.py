"""The small sets that come with scikit-learn."""

from __future__ import annotations

from typing import Any

import torch

from nnspec.data.location import Lookup
from nnspec.data.pixels import scaled
from nnspec.data.samples import Samples
from nnspec.errors import MissingExtra
from nnspec.recipes.recipe import DataSource

_BRIGHTEST = 16.0
_LOADERS = {"Iris": "load_iris", "Wine": "load_wine", "BreastCancer": "load_breast_cancer", "Diabetes": "load_diabetes"}


def _sklearn() -> Any:
    try:
        import sklearn.datasets
    except ImportError as error:
        raise MissingExtra("scikit-learn", "sklearn") from error
    return sklearn.datasets


def read_digits(source: DataSource, lookup: Lookup) -> Samples:
    """1,797 digits of 8 x 8 in 17 greys, enlarged where asked for."""
    found = _sklearn().load_digits()
    image = scaled(torch.from_numpy(found.images).unsqueeze(1).float(), source.operator, _BRIGHTEST)
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
    found = getattr(_sklearn(), _LOADERS[operator.name])()
    chosen = [operator.columns.index(name) for name in operator.chosen]
    x = torch.from_numpy(found.data[:, chosen]).float()
    if operator.classes is None:
        return Samples({"x": x, "target": torch.from_numpy(found.target).float()})
    label = torch.from_numpy(found.target).long()
    return Samples({"x": x, "label": label}, class_names={"label": tuple(map(str, found.target_names))})
