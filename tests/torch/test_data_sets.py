"""From sources to checked samples: embedded sets, generated ones, splits, fitted numbers, and data that is not what the spec says."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy
import pytest
import torch
from training_specs import source

from nnspec.data import DataError, embedded, load
from nnspec.data.split import split_indices
from nnspec.dims import symbol
from nnspec.errors import MissingExtra
from nnspec.recipes.division import Shares, samples
from nnspec.records import replace
from nnspec.types import TensorType

pytestmark = pytest.mark.torch


def test_digits_are_enlarged_and_split_with_all_classes_alike(tmp_path: Path) -> None:
    found = load(source(tmp_path, "Digits(size=16, validation=0.2, test=0.2, seed=4)"), tmp_path)
    assert {part: found.size(part) for part in found.parts} == {"train": 1079, "validation": 359, "test": 359}
    assert found.parts["train"]["image"].shape[1:] == (1, 16, 16)
    for fields in found.parts.values():
        counts = fields["label"].bincount()
        assert int(counts.max() - counts.min()) <= 6
    again = load(source(tmp_path, "Digits(size=16, validation=0.2, test=0.2, seed=4)"), tmp_path)
    other = load(source(tmp_path, "Digits(size=16, validation=0.2, test=0.2, seed=5)"), tmp_path)
    assert found.fingerprint == again.fingerprint != other.fingerprint


@pytest.mark.parametrize(
    ("name", "features", "target"),
    [("Iris", 4, "label"), ("Wine", 13, "label"), ("BreastCancer", 30, "label"), ("Diabetes", 10, "target")],
)
def test_tables_are_standardized_by_the_training_part(tmp_path: Path, name: str, features: int, target: str) -> None:
    found = load(source(tmp_path, f"{name}(standardize=true, test=0.3)"), tmp_path)
    x = found.parts["train"]["x"].double()
    assert x.shape[1] == features
    assert set(found.parts["train"]) == {"x", target}
    torch.testing.assert_close(x.mean(dim=0), torch.zeros(features, dtype=torch.float64), atol=1e-5, rtol=0)
    torch.testing.assert_close(x.std(dim=0, correction=0), torch.ones(features, dtype=torch.float64), atol=1e-5, rtol=0)
    assert float(found.parts["test"]["x"].mean().abs()) > 1e-4
    plain = load(source(tmp_path, f"{name}(test=0.3)"), tmp_path)
    numbers = {"standardize": {"mean": [0.0] * features, "std": [1.0] * features}}
    again = load(source(tmp_path, f"{name}(standardize=true, test=0.3)"), tmp_path, fitted=numbers)
    assert torch.equal(plain.parts["test"]["x"], again.parts["test"]["x"])


def test_a_feature_that_never_changes_stays_finite(tmp_path: Path) -> None:
    numpy.savez(tmp_path / "t.npz", x=numpy.ones((4, 2)))
    from nnspec.data.dataset import _fit

    assert _fit(torch.ones(4, 2))["std"] == [1.0, 1.0]


def test_generated_samples_leave_the_random_state_alone(tmp_path: Path) -> None:
    drawn = source(tmp_path, "Generated(samples=50, seed=3, test=0.2) { output x = normal[N, 2]\n output y = x[:, 0] > 0 }")
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    first, second = load(drawn, tmp_path), load(drawn, tmp_path)
    assert torch.equal(torch.rand(3), expected)
    assert first.fingerprint == second.fingerprint
    assert {part: first.size(part) for part in first.parts} == {"train": 40, "test": 10}


# --- splits -------------------------------------------------------------------------------------------------------------------


def test_parts_are_disjoint_and_complete_whatever_the_classes() -> None:
    generator = torch.Generator().manual_seed(0)
    for count in range(9, 60):
        fields = {"y": torch.randint(0, 7, (count,), generator=generator)}
        shares = Shares("d", 0.3, 0.35, count, "y")
        parts = split_indices(count, shares, fields)
        assert torch.cat(list(parts.values())).sort().values.tolist() == list(range(count))
        assert abs(len(parts["test"]) - 0.35 * count) <= 1.01


def test_a_part_without_samples(tmp_path: Path) -> None:
    numpy.savez(tmp_path / "t.npz", x=numpy.arange(8.0))
    drawn = source(tmp_path, 'NPZ("t.npz") { column x: float32\n output x\n split (test=0.01) }')
    with pytest.raises(DataError, match="leaves its test part empty: there are only 8 samples"):
        load(drawn, tmp_path)


def test_splits_that_the_check_did_not_see(tmp_path: Path) -> None:
    numpy.savez(tmp_path / "t.npz", x=numpy.arange(8.0))
    drawn = source(tmp_path, 'NPZ("t.npz") { column x: float32\n output x }')
    for split, said in (
        ({"test": 1.5}, "is a share from 0 to 1"),
        ({"test": 0.5, "stratify": "x"}, "holds no classes but torch.float32"),
    ):
        with pytest.raises(DataError, match=said):
            load(replace(drawn, split=split), tmp_path)


@pytest.mark.parametrize("call", ["Digits", "Iris", "Wine", "BreastCancer", "Diabetes"])
def test_the_check_knows_the_samples_of_embedded_sets(tmp_path: Path, call: str) -> None:
    for settings in ("", "(test=0)", "(test=0.3, validation=0.13)", "(test=0.07, validation=0.31, stratify=false)"):
        if call == "Diabetes":
            settings = settings.replace(", stratify=false", "")
        drawn = source(tmp_path, call + settings)
        loaded = load(drawn, tmp_path)
        known = samples(drawn)
        assert known is not None
        assert known.low == known.high == loaded.size("train")
        if "label" in loaded.parts["train"]:
            everything = torch.cat([part["label"] for part in loaded.parts.values()])
            assert tuple(torch.bincount(everything).tolist()) == drawn.operator.samples_by_class


@pytest.mark.parametrize("name", sorted(embedded._SETS))
def test_files_are_read_as_scikit_learn_reads_them(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found, expected = embedded._read(name), embedded._loaded(embedded._SETS[name])
    assert torch.equal(torch.from_numpy(found.data).float(), torch.from_numpy(expected.data).float())
    assert (found.target == expected.target).all()
    assert found.names == expected.names or name == "Digits"
    elsewhere = embedded._SETS[name]._replace(file="moved.csv")
    monkeypatch.setitem(embedded._SETS, name, elsewhere)
    assert (embedded._read(name).data == expected.data).all()


def test_embedded_sets_name_the_extra_that_brings_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    iris = source(tmp_path, "Iris")
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(MissingExtra, match=r"needs scikit-learn: pip install 'nnspec\[sklearn\]'"):
        load(iris, tmp_path)


# --- data that is not what the spec was checked with -----------------------------------------------------------------------


def test_samples_of_other_types_are_refused(tmp_path: Path) -> None:
    iris = source(tmp_path, "Iris")
    n = symbol("N")
    for fields, said in [
        ({"x": TensorType((n, 5))}, "has the shape [120, 4], and the spec was checked with float32[N, 5]"),
        ({"x": TensorType((n,))}, "has the shape [120, 4]"),
        ({"x": TensorType((n, 4), "float64")}, "holds torch.float32, and the spec was checked with float64"),
        ({"label": TensorType((n,), "int64", 2)}, "holds values from 0 to 2, first beyond in sample"),
    ]:
        with pytest.raises(DataError) as found:
            load(replace(iris, fields=fields), tmp_path)
        assert said in str(found.value)
        assert f"`d.{next(iter(fields))}` (train)" in str(found.value)


def test_a_symbol_is_the_same_size_wherever_it_stands(tmp_path: Path) -> None:
    n, f = symbol("N"), symbol("F")
    numpy.savez(tmp_path / "t.npz", a=numpy.zeros((4, 3)), b=numpy.zeros((4, 2)))
    drawn = source(tmp_path, 'NPZ("t.npz") { column a: float32[3]\n column b: float32[2]\n output a, b }')
    with pytest.raises(DataError, match=r"`d.b` \(train\) has the shape \[4, 2\]"):
        load(replace(drawn, fields={"a": TensorType((n, f)), "b": TensorType((n, f))}), tmp_path)


def test_not_a_number(tmp_path: Path) -> None:
    drawn = source(tmp_path, "Generated(samples=6) { a = normal[N]\n output x = log(a - 100) }")
    with pytest.raises(DataError, match=r"`d.x` \(train\) holds NaN or infinity, first in sample 0"):
        load(drawn, tmp_path)


def test_not_a_number_far_behind(tmp_path: Path) -> None:
    """Samples are looked at in pieces, and the place is that in the whole."""
    drawn = source(tmp_path, "Generated(samples=3_000) { a = normal[N, 1_000]\n output x = a }")
    found = load(drawn, tmp_path).parts["train"]["x"][:]
    border = found.max()
    late = source(tmp_path, f"Generated(samples=3_000) {{ a = normal[N, 1_000]\n output x = log({float(border)} - a) }}")
    row = int((found == border).nonzero()[0][0])
    with pytest.raises(DataError, match=rf"`d.x` \(train\) holds NaN or infinity, first in sample {row};"):
        load(late, tmp_path)
