"""The types that data sources declare, without reading anything."""

from __future__ import annotations

from typing import Any

import pytest

from nnspec.dims import symbol
from nnspec.operators.declare import OPERATORS, Refusal

N = symbol("N")


def source(name: str, **given: Any) -> Any:
    cls = OPERATORS[name]
    return cls({}, {key: cls.attribute_fields()[key].accept(value) for key, value in given.items()})


def fields(name: str, **given: Any) -> dict[str, str]:
    made = source(name, **given)
    made.infer()
    return {field: str(type) for field, type in made.fields_of(N).items()}


@pytest.mark.parametrize("name", ["MNIST", "FashionMNIST", "KMNIST"])
def test_pictures_of_28(name: str) -> None:
    assert fields(name, validation=0.1) == {"image": "float32[N, 1, 28, 28]", "label": "index(10)[N]"}


@pytest.mark.parametrize(
    ("name", "given", "wanted"),
    [
        ("Digits", {}, {"image": "float32[N, 1, 8, 8]", "label": "index(10)[N]"}),
        ("Digits", {"size": 28}, {"image": "float32[N, 1, 28, 28]", "label": "index(10)[N]"}),
        ("Iris", {}, {"x": "float32[N, 4]", "label": "index(3)[N]"}),
        ("Iris", {"features": ["petal_length", "petal_width"]}, {"x": "float32[N, 2]", "label": "index(3)[N]"}),
        ("Wine", {}, {"x": "float32[N, 13]", "label": "index(3)[N]"}),
        ("BreastCancer", {}, {"x": "float32[N, 30]", "label": "index(2)[N]"}),
        ("Diabetes", {}, {"x": "float32[N, 10]", "target": "float32[N]"}),
        ("ImageFolder", {"path": "p", "size": [4, 6]}, {"image": "float32[N, 3, 4, 6]", "label": "int64[N]"}),
        ("ImageFolder", {"path": "p", "size": 5, "classes": ["cat", "dog"], "channels": 1},
         {"image": "float32[N, 1, 5, 5]", "label": "index(2)[N]"}),
        ("Pairs", {"path": "p", "image": "i/*.png", "mask": "m/*.png", "size": [4, 6]},
         {"image": "float32[N, 3, 4, 6]", "mask": "float32[N, 1, 4, 6]"}),
        ("Windows", {"path": "p", "columns": ["a", "b"], "input": 5, "horizon": 2, "rows": [9, 0, 0]},
         {"past": "float32[N, 5, 2]", "future": "float32[N, 2, 2]"}),
        ("CSV", {"path": "p"}, {}),
        ("Parquet", {"path": "p"}, {}),
        ("NPZ", {"path": "p"}, {}),
        ("Shards", {"path": "p-*.npz"}, {}),
        ("Generated", {"samples": 3}, {}),
    ],
)  # fmt: skip
def test_fields(name: str, given: dict[str, Any], wanted: dict[str, str]) -> None:
    assert fields(name, **given) == wanted


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("MNIST", {"range": [1, 0]}, "has to rise"),
        ("MNIST", {"mean": 0.1307}, "given without `std`"),
        ("Digits", {"validation": 0.5, "test": 0.5}, "nothing is left to train on"),
        ("Iris", {"features": ["petal"]}, 'no feature "petal"'),
        ("Iris", {"features": []}, "leaves no features"),
        ("Iris", {"features": ["petal_width", "petal_width"]}, "named twice"),
        ("CSV", {"path": "p", "delimiter": ";;"}, "one character"),
        ("CSV", {"path": "p", "decimal": ","}, "cannot both part values"),
        ("CSV", {"path": "p", "test": 0.2, "test_path": "q"}, "names a file for it"),
        ("Parquet", {"path": "p", "validation": 0.2, "validation_path": "q"}, "names a file for it"),
        ("Shards", {"path": "*/p.npz"}, "not of a folder"),
        ("Shards", {"path": "p", "test": 0.2, "test_path": "q"}, "names files for it"),
        ("ImageFolder", {"path": "p", "size": 5, "channels": 2}, "1, 3 or 4 channels"),
    ],
)
def test_contradictions(name: str, given: dict[str, Any], message: str) -> None:
    with pytest.raises(Refusal, match=message):
        source(name, **given).infer()


def test_every_source_is_declared_by_its_flag() -> None:
    found = {name for name, cls in OPERATORS.items() if cls.is_source}
    assert found == {
        "MNIST", "FashionMNIST", "KMNIST", "Digits", "Iris", "Wine", "BreastCancer", "Diabetes", "CSV", "NPZ", "Generated",
        "ImageFolder", "Pairs", "Windows", "TextWindows", "Cora", "Parquet", "Shards",
    }  # fmt: skip
