"""Recipes on one whole graph: its data, what is learned and measured of it, and what becomes of a run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest
import torch
from citation_graphs import NODES, PAIRS, WORDS, papers, put_papers
from torch.nn import functional
from training_specs import Listener, checked, log, weights

from nnspec.data import DataError, load
from nnspec.recipes.recipe import DataSource
from nnspec.training import RunResult, evaluate, predict, train
from nnspec.training.evaluate import restore
from nnspec.training.run_folder import RunFolder

pytestmark = pytest.mark.torch

GCN = """
network GCN {
  input x: float32[V, F]
  input edges: index(V)[2, E]
  output logits: float32[V, 7] = x -> Dropout(0.5) -> GCNConv(4, edge_index=edges) -> ReLU -> GCNConv(7, edge_index=edges)
}
train Papers {
  data cora = Cora(normalize_features=true)
  logits = GCN(cora.x, cora.edges)
  minimize cross_entropy(logits, cora.label, keep=cora.part)
  measure accuracy(logits, cora.label, keep=cora.part)
  measure f1(logits, cora.label, keep=cora.part)
  optimizer Adam(lr=0.05)
  epochs 6
  keep_best accuracy
}
"""
NODES_OF = {"train": 140, "validation": 500, "test": 1000}


def _own(folder: Path, settings: str) -> DataSource:
    return checked(folder, GCN.replace("normalize_features=true", settings)).recipes["Papers"].sources["cora"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunResult]:
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        put_papers(folder, patch)
        yield train(checked(folder, GCN), device="cpu", out=folder / "runs")


# --- data -----------------------------------------------------------------------------------------------------------------------


def test_fields(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_papers(tmp_path, monkeypatch)
    arrays = papers()
    data = load(_own(tmp_path, ""), tmp_path)
    assert {part: data.size(part) for part in data.parts} == NODES_OF
    fields = data.parts["validation"]
    assert fields["x"].shape == (NODES, WORDS)
    assert fields["x"].sum() == len(arrays["feat_data"])
    pairs = set(map(tuple, fields["edges"].T.tolist()))
    assert len(pairs) == fields["edges"].shape[1] == 2 * PAIRS
    assert pairs == {(one, other) for a, b in arrays["edges"].tolist() for one, other in ((a, b), (b, a))}
    assert fields["part"].nonzero().flatten().tolist() == arrays["val_idx"].tolist()
    assert fields["label"].tolist() == arrays["labels"].tolist()
    assert data.parts["train"]["x"] is fields["x"]
    rows = load(_own(tmp_path, "normalize_features=true"), tmp_path).parts["train"]["x"].sum(1)
    torch.testing.assert_close(rows, torch.ones(NODES))


def test_what_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNSPEC_DATA", str(tmp_path / "nowhere"))
    monkeypatch.setenv("NNSPEC_CACHE", str(tmp_path / "cache"))
    with pytest.raises(DataError, match=r"cora.derived.npz of cora is not there.*set NNSPEC_DATA to a folder with cora/cora"):
        load(_own(tmp_path, ""), tmp_path)


def test_what_is_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, found = put_papers(tmp_path, monkeypatch), _own(tmp_path, "")
    whole, arrays = file.read_bytes(), papers()
    wrong = {
        "cut": (whole[:-200], "cannot be read as an .npz file"),
        "empty": (b"", "cannot be read as an .npz file"),
    }
    for content, said in wrong.values():
        file.write_bytes(content)
        with pytest.raises(DataError, match=said):
            load(found, tmp_path)
    changed = arrays["labels"].copy()
    changed[5] = (changed[5] + 1) % 7
    for other, said in (
        ({**arrays, "labels": changed}, "does not hold the Cora that was published"),
        ({name: array for name, array in arrays.items() if name != "val_idx"}, "has no array `val_idx`"),
        ({**arrays, "labels": numpy.array([{}], dtype=object)}, "pickled objects, which are not read"),
        ({**arrays, "labels": numpy.array(["a"])}, "does not hold the Cora that was published"),
    ):
        numpy.savez(file, **other)
        with pytest.raises(DataError, match=said):
            load(found, tmp_path)
    numpy.savez_compressed(file, **arrays)  # packed otherwise, it is the same
    assert load(found, tmp_path).size("test") == 1000


def test_the_published_set(tmp_path: Path) -> None:
    folders = [Path(each) for each in os.environ.get("NNSPEC_DATA", "").split(os.pathsep) if each]
    if not any((folder / "cora" / "cora.derived.npz").is_file() for folder in folders):
        pytest.skip("Cora is in no data folder")
    data = load(_own(tmp_path, ""), tmp_path)
    train = data.parts["train"]
    assert train["label"].bincount().tolist() == [351, 217, 418, 818, 426, 298, 180]
    assert train["label"][train["part"]].bincount().tolist() == [20] * 7
    assert int(train["x"].sum()) == 49_216
    assert int(train["edges"][1].bincount().max()) == 168


# --- learning and measuring -------------------------------------------------------------------------------------------------------


def test_each_part_is_measured_on_its_nodes(run: RunResult, monkeypatch: pytest.MonkeyPatch) -> None:
    restored = restore(RunFolder.open(run.run), torch.device("cpu"))
    module, fields = restored.module.eval(), restored.datasets["cora"].parts["train"]
    with torch.no_grad():
        logits = module.instances["GCN"]("inference", True, fields["x"], fields["edges"])["logits"]
    for part, nodes in NODES_OF.items():
        keep = restored.datasets["cora"].parts[part]["part"]
        found = evaluate(run.run, part)
        assert (found.samples, found.unit) == (nodes, "nodes")
        assert found.loss == pytest.approx(float(functional.cross_entropy(logits[keep], fields["label"][keep])), rel=1e-5)
        right = (logits.argmax(1) == fields["label"])[keep]
        assert found.metrics["accuracy"] == pytest.approx(float(right.float().mean()))
        assert found.confusion is not None
        assert sum(map(sum, found.confusion)) == nodes


def test_the_log_is_of_the_parts(run: RunResult) -> None:
    lines = log(run.run)
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert all(round(line["accuracy"] * 140) == pytest.approx(line["accuracy"] * 140) for line in lines)
    assert all(round(line["validation_accuracy"] * 500) == pytest.approx(line["validation_accuracy"] * 500) for line in lines)
    manifest = RunFolder.open(run.run).manifest
    assert manifest["data"]["cora"]["samples"] == NODES_OF
    assert (manifest["final"]["part"], manifest["final"]["samples"]) == ("test", 1000)
    best = max(range(6), key=lambda at: (lines[at]["validation_accuracy"], -at))
    assert manifest["best"] == f"step_{best + 1}"


def test_a_run_that_goes_on_is_the_same(run: RunResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_papers(tmp_path, monkeypatch)
    half = train(checked(tmp_path, GCN, epochs=3), device="cpu", out=tmp_path / "runs")
    whole = train(checked(tmp_path, GCN, epochs=6), device="cpu", resume=half.run, out=tmp_path / "runs")
    before, after = weights(run.run), weights(whole.run)
    assert log(whole.run) == log(run.run)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_patience_and_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_papers(tmp_path, monkeypatch)
    listener = Listener()
    text = GCN.replace("Adam(lr=0.05)", "SGD(lr=1e-9)").replace("epochs 6", "epochs 9\n  patience 2")
    found = train(checked(tmp_path, text), device="cpu", out=tmp_path / "runs", progress=listener)
    assert found.steps == 3
    assert any("no better validation_accuracy for 2 epochs" in message for message in listener.messages)


# --- new graphs -------------------------------------------------------------------------------------------------------------------


def test_predictions_for_all_nodes(run: RunResult, tmp_path: Path) -> None:
    found = predict(run.run, device="cpu")["logits"]
    assert found.shape == (NODES, 7)
    restored = restore(RunFolder.open(run.run), torch.device("cpu"))
    fields = restored.datasets["cora"].parts["test"]
    accuracy = (found.argmax(1) == fields["label"])[fields["part"]].float().mean()
    assert float(accuracy) == pytest.approx(evaluate(run.run).metrics["accuracy"])
    counted = torch.ones(NODES, WORDS) * (fields["x"] > 0)  # as they come, and are divided by their sums again
    numpy.savez(tmp_path / "same.npz", x=counted.numpy().astype(numpy.uint8), edges=fields["edges"].numpy())
    torch.testing.assert_close(predict(run.run, tmp_path / "same.npz", device="cpu")["logits"], found)


def test_a_graph_of_other_size(run: RunResult, tmp_path: Path) -> None:
    x = numpy.random.default_rng(0).random((3, WORDS)).astype(numpy.float32)
    numpy.savez(tmp_path / "small.npz", x=x, edges=numpy.array([[0, 1, 2], [1, 2, 0]]))
    assert predict(run.run, tmp_path / "small.npz", device="cpu")["logits"].shape == (3, 7)
    numpy.savez(tmp_path / "wrong.npz", x=x, edges=numpy.array([[0, 1, 3], [1, 2, 0]]))
    with pytest.raises(DataError, match=r"`edges` of .* holds values from 0 to 3, .*here 0 to 2"):
        predict(run.run, tmp_path / "wrong.npz", device="cpu")
    numpy.savez(tmp_path / "narrow.npz", x=x[:, :9], edges=numpy.array([[0], [1]]))
    with pytest.raises(DataError, match=r"the shape \[3, 9\]"):
        predict(run.run, tmp_path / "narrow.npz", device="cpu")


def test_samples_have_to_be_named(tmp_path: Path) -> None:
    from training_specs import digits, trained

    with pytest.raises(DataError, match="learned from samples: name a file"):
        predict(trained(tmp_path, digits(), epochs=1).run, device="cpu")


def test_what_a_body_makes_of_a_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_papers(tmp_path, monkeypatch)
    body = "{ output words = 2 * x; output edges; output label; output part }"
    text = GCN.replace("data cora = Cora(normalize_features=true)", "data cora = Papers").replace("cora.x", "cora.words")
    text = f"data Papers = Cora(normalize_features=true) {body}\n{text}"
    run = train(checked(tmp_path, text, epochs=1), device="cpu", out=tmp_path / "runs").run
    fields = load(checked(tmp_path, text).recipes["Papers"].sources["cora"], tmp_path).parts["test"]
    numpy.savez(tmp_path / "same.npz", x=(fields["words"] > 0).float().numpy(), edges=fields["edges"].numpy())
    torch.testing.assert_close(predict(run, tmp_path / "same.npz", device="cpu"), predict(run, device="cpu"))
