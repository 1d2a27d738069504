"""Groups that stay together, folds, files of their own, and balanced weights."""

from __future__ import annotations

import json
from itertools import chain
from pathlib import Path

import numpy
import pytest
import torch
from training_specs import checked, manifest, recipe, source, trained, weights

from nnspec.data import DataError, Dataset, load
from nnspec.recipes.recipe import DataSource
from nnspec.records import replace
from nnspec.training import TrainingError, cross_validate, evaluate, train

pytestmark = pytest.mark.torch


def table(folder: Path, rows: int = 60) -> None:
    draws = numpy.random.default_rng(0)
    lines = [f"{index},{int(draws.integers(9))},g{int(draws.integers(12))},{index % 3 == 0:d}" for index in range(rows)]
    (folder / "t.csv").write_text("n,number,group,kind\n" + "\n".join(lines) + "\n")


def csv(folder: Path, split: str, settings: str = "") -> DataSource:
    body = f"column n, number: int64\n column group: str\n column kind: index(2)\n output n, number, kind\n {split}"
    return source(folder, f'CSV("t.csv"{settings}) {{{body}}}')


def divided(folder: Path, split: str) -> dict[str, list[int]]:
    table(folder)
    return parts(load(csv(folder, split), folder))


def parts(found: Dataset) -> dict[str, list[int]]:
    return {part: fields["n"][:].tolist() for part, fields in found.parts.items()}


@pytest.mark.parametrize(("column", "name"), [(1, "number"), (2, "group")])
def test_values_of_a_group_stay_together(tmp_path: Path, column: int, name: str) -> None:
    found = divided(tmp_path, f"split (validation=0.2, test=0.3, group={name}, seed=4)")
    rows = [line.split(",") for line in (tmp_path / "t.csv").read_text().splitlines()[1:]]
    groups = {part: {rows[index][column] for index in indices} for part, indices in found.items()}
    assert not groups["train"] & groups["test"]
    assert not groups["train"] & groups["validation"]
    assert not groups["test"] & groups["validation"]
    assert sorted(chain(*found.values())) == list(range(60))
    assert 10 <= len(found["test"]) <= 26
    assert found == divided(tmp_path, f"split (validation=0.2, test=0.3, group={name}, seed=4)")
    assert found != divided(tmp_path, f"split (validation=0.2, test=0.3, group={name}, seed=5)")


def test_too_few_groups(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("n,number,group,kind\n" + "".join(f"{n},1,a,0\n" for n in range(9)))
    with pytest.raises(DataError, match=r"leaves its (test|train) part empty: there are only 1 values of `group`"):
        load(csv(tmp_path, "split (test=0.3, group=group)"), tmp_path)


@pytest.mark.parametrize("split", ["", "split (seed=3)", "split (stratify=kind)", "split (validation=0.2, stratify=kind)", "split (group=group)",
                                   "split (group=number, validation=0.2)"])  # fmt: skip
def test_folds_test_every_sample_once(tmp_path: Path, split: str) -> None:
    table(tmp_path)
    source = csv(tmp_path, split)
    tested: list[int] = []
    for fold in range(4):
        found = load(replace(source, folds=(4, fold)), tmp_path)
        here = parts(found)
        assert sorted(chain(*here.values())) == list(range(60)), "every sample is in one part"
        assert ("validation" in here) == ("validation" in split)
        if "group" not in split:
            assert len(here["test"]) == 15
        if "stratify" in split:
            assert int(found.parts["test"]["kind"][:].sum()) == 5
        tested += here["test"]
    assert sorted(tested) == list(range(60))


def test_more_folds_than_samples(tmp_path: Path) -> None:
    table(tmp_path, 6)
    with pytest.raises(DataError, match=r"6 samples, which make no 8 folds"):
        load(replace(csv(tmp_path, ""), folds=(8, 0)), tmp_path)


def test_parts_in_files_of_their_own(tmp_path: Path) -> None:
    table(tmp_path)
    for name, first in (("v.csv", 100), ("w.csv", 200)):
        (tmp_path / name).write_text("number,kind,n,group\n" + f"1,0,{first},x\n2,1,{first + 1},y\n")
    found = parts(load(csv(tmp_path, "", ', validation_path="v.csv", test_path="w.csv"'), tmp_path))
    assert found == {"train": list(range(60)), "validation": [100, 101], "test": [200, 201]}
    found = parts(load(csv(tmp_path, "split (validation=0.5)", ', test_path="w.csv"'), tmp_path))
    assert (len(found["train"]), len(found["validation"]), found["test"]) == (30, 30, [200, 201])
    with pytest.raises(AssertionError, match=r"the test part of `d` is a file of its own: leave `test` out of the split"):
        csv(tmp_path, "split (test=0.5)", ', test_path="w.csv"')


# --- cross-validation ---------------------------------------------------------------------------------------------------------

SPEC = """
network Net { input x: float32[N, 1]
 output logits = x -> Linear(2) }
train R {
  data d = CSV("t.csv") {
    column number: float32
    column kind: index(2)
    output x = stack([number], dim=1) -> Standardize
    output kind
    split (stratify=kind)
  }
  logits = Net(d.x)
  minimize cross_entropy(logits, d.kind)
  measure accuracy(logits, d.kind)
  optimizer SGD(lr=0.1)
  batch_size 10
  epochs 2
}
"""


def test_each_fold_is_a_run_and_the_summary_has_mean_and_spread(tmp_path: Path) -> None:
    table(tmp_path)
    found = cross_validate(checked(tmp_path, SPEC), folds=3, device="cpu", out=tmp_path / "runs")
    assert len(found.runs) == len(set(found.runs)) == 3
    assert found.samples == (20, 20, 20)
    losses = [figures["loss"] for figures in found.figures]
    assert found.mean["loss"] == pytest.approx(sum(losses) / 3)
    assert found.std["loss"] == pytest.approx(float(torch.tensor(losses, dtype=torch.float64).std()))
    written = json.loads(found.summary.read_text())
    assert written["mean"] == pytest.approx(found.mean)
    assert [each["run"] for each in written["folds"]] == [path.name for path in found.runs]
    for fold, run in enumerate(found.runs):
        assert manifest(run)["settings"] == {"train.folds": 3, "train.fold": fold}
        assert evaluate(run, device="cpu").loss == pytest.approx(losses[fold])
    alone = train(checked(tmp_path, SPEC, folds=3, fold=1), device="cpu", out=tmp_path / "alone")
    for name, tensor in weights(alone.run).items():
        assert torch.equal(tensor, weights(found.runs[1])[name]), "a fold is the training that is made with `fold`"


def test_folds_of_the_spec_need_the_function_for_all(tmp_path: Path) -> None:
    table(tmp_path)
    report = checked(tmp_path, SPEC.replace("epochs 2", "epochs 2\n folds 3"))
    with pytest.raises(TrainingError, match=r"`R` has `folds`: name one with `fold`"):
        train(report, device="cpu", out=tmp_path / "runs")
    assert len(cross_validate(report, device="cpu", out=tmp_path / "runs").runs) == 3
    with pytest.raises(TrainingError, match=r"`R` has no `folds`"):
        cross_validate(checked(tmp_path, SPEC), device="cpu", out=tmp_path / "runs")


# --- balanced weights -----------------------------------------------------------------------------------------------------------

BALANCED = SPEC.replace("d.kind)\n  measure", 'd.kind, weight="balanced")\n  measure')


def test_balanced_weights_are_those_of_the_training_part(tmp_path: Path) -> None:
    table(tmp_path)
    assert 'weight="balanced"' in BALANCED
    counts = load(recipe(tmp_path, SPEC).sources["d"], tmp_path).parts["train"]["kind"][:].bincount()
    written = ", ".join(repr(60 / (2 * count)) for count in counts.tolist())
    balanced = trained(tmp_path, BALANCED)
    by_hand = trained(tmp_path, BALANCED.replace('"balanced"', f"[{written}]"))
    even = trained(tmp_path, SPEC)
    for name, tensor in weights(balanced.run).items():
        assert torch.equal(tensor, weights(by_hand.run)[name])
    assert any(not torch.equal(tensor, weights(even.run)[name]) for name, tensor in weights(balanced.run).items())
    assert balanced.final is not None
    assert evaluate(balanced.run, device="cpu").loss == pytest.approx(balanced.final.loss)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("d.kind, weight", "int64(d.kind), weight", "NN107 balanced weights count the classes of a field of the data"),
        (
            "d.kind, weight",
            "float32(one_hot(d.kind)), weight",
            "NN107 balanced weights count classes, and this target holds probabilities",
        ),
        ('"balanced"', '"even"', "NN106"),
    ],
)
def test_what_balanced_weights_cannot_count(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        checked(tmp_path, BALANCED.replace(old, new))
