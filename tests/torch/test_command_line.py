"""The commands that need torch, from a spec to a trained, measured and exported network, through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy
import pytest

import nnspec
from nnspec.cli import main

pytestmark = pytest.mark.torch

SPEC = """network Small(width: int = 16) {
  input image: float32[N, 1, 8, 8]
  h = image -> Conv2d(width, 3, bias=false) -> BatchNorm2d -> ReLU
  output logits = h -> Flatten -> Dropout(0.1) -> Linear(10)
}
train Small {
  data digits = Digits()
  logits = digits.image -> Small
  minimize cross_entropy(logits, digits.label)
  measure accuracy(logits, digits.label)
  optimizer SGD(lr=0.1, momentum=0.9)
  batch_size 64
  epochs 2
}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("commands")
    (folder / "small.nn").write_text(SPEC, encoding="utf-8")
    (folder / "wrong.nn").write_text(SPEC.replace("Flatten", "Flaten"), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def run(folder: Path) -> Path:
    assert main(["train", str(folder / "small.nn"), "--device", "cpu", "--quiet", "-o", str(folder / "runs")]) == 0
    (run,) = (folder / "runs").iterdir()
    return run


def report(capsys: pytest.CaptureFixture[str], *arguments: str) -> object:
    capsys.readouterr()
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_compile_says_what_was_fused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile", str(folder / "small.nn"), "--explain-fusion"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("compiled Small: ")
    assert "BatchNorm2d" in out
    assert "compared with the network as written: " in out


def test_compile_writes_the_network(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile", str(folder / "small.nn"), "-o", str(folder / "compiled"), "--set", "width=4"]) == 0
    assert {path.suffix for path in (folder / "compiled").iterdir()} == {".pt2", ".safetensors", ".json"}


@pytest.mark.parametrize("command", ["compile", "train", "profile", "summary"])
def test_a_spec_with_errors_is_not_run(folder: Path, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, str(folder / "wrong.nn")]) == 1
    assert "error[NN103]" in capsys.readouterr().out


def test_train_writes_a_run_and_prints_it(run: Path) -> None:
    assert (run / "manifest.json").is_file()
    assert len((run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()) == 2


def test_train_with_other_settings(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = str(folder / "short")
    result = report(capsys, "train", str(folder / "small.nn"), "--set", "train.epochs=1", "-q", "-o", where, "--device", "cpu")
    assert isinstance(result, dict)
    assert len(result["history"]) == 1
    assert result["final"]["metrics"]["accuracy"] > 0.5


def test_progress_goes_to_standard_error(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["-o", str(folder / "loud"), "--device", "cpu", "--set", "train.epochs=1"]
    assert main(["train", str(folder / "small.nn"), *where]) == 0
    printed = capsys.readouterr()
    assert "epoch 1/1" in printed.err
    assert "run: " in printed.out
    assert "epoch 1/1" not in printed.out


def test_evaluate(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = report(capsys, "evaluate", str(run), "--device", "cpu")
    assert isinstance(result, dict)
    assert result["metrics"]["accuracy"] > 0.8
    assert len(result["per_class"]) == 10
    assert main(["evaluate", str(run), "--device", "cpu"]) == 0
    assert "precision" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [["evaluate", "."], ["evaluate", "nowhere"], ["predict", ".", "--input", "x.npy"]], ids=" ".join
)
def test_what_is_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2


def test_predict(run: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    numpy.save(folder / "digits.npy", numpy.zeros((3, 1, 8, 8), dtype=numpy.float32))
    result = report(capsys, "predict", str(run), "--input", str(folder / "digits.npy"), "--device", "cpu")
    assert isinstance(result, dict)
    assert numpy.array(result["logits"]).shape == (3, 10)
    assert main(["predict", str(run), "-i", str(folder / "digits.npy"), "-o", str(folder / "out"), "-q", "--device", "cpu"]) == 0
    assert numpy.load(folder / "out.npz")["logits"].shape == (3, 10)
    assert main(["predict", str(run), "-i", str(folder / "missing.npy")]) == 2


def test_predictions_as_a_table(run: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    numpy.save(folder / "digits.npy", numpy.random.default_rng(0).random((2, 1, 8, 8), dtype=numpy.float32))
    given = ["predict", str(run), "-i", str(folder / "digits.npy"), "--device", "cpu", "-q"]
    assert main([*given, "-o", str(folder / "out.csv")]) == 0
    header, *lines = (line.split(",") for line in (folder / "out.csv").read_text(encoding="utf-8").splitlines())
    assert header == ["logits.class", *(f"logits.{digit}" for digit in range(10))]
    for line in lines:
        scores = [float(score) for score in line[1:]]
        assert scores[int(line[0])] == max(scores)
    capsys.readouterr()
    assert main(given) == 0
    shown = capsys.readouterr().out
    assert f": {lines[0][0]})" in shown.splitlines()[1]
    assert main([*given, "-o", str(folder / "out.xlsx")]) == 2
    kept = (run / "evaluation.json").read_text(encoding="utf-8")
    try:
        (run / "evaluation.json").write_text('{"classes": 7}', encoding="utf-8")
        assert main(given) == 0
        assert "(largest at " in capsys.readouterr().out
    finally:
        (run / "evaluation.json").write_text(kept, encoding="utf-8")


@pytest.mark.parametrize("training", [False, True])
def test_profile(folder: Path, capsys: pytest.CaptureFixture[str], training: bool) -> None:
    arguments = ["profile", str(folder / "small.nn"), "--repeats", "1", "--batch", "2", "--device", "cpu", "-q"]
    arguments += [] if training else ["--inference"]
    result = report(capsys, *arguments)
    assert isinstance(result, dict)
    assert (result["backward_ms"] is not None) == training
    assert result["batch"] == 2
    assert main(arguments) == 0
    assert ("bwd ms" in capsys.readouterr().out) == training


def test_profile_of_a_run(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", str(run), "--repeats", "1", "--device", "cpu", "-q"]) == 0
    assert "bwd ms" in capsys.readouterr().out
    assert main(["profile", str(run), "--inference", "--repeats", "1", "--device", "cpu", "-q"]) == 0
    assert "bwd ms" not in capsys.readouterr().out
    assert main(["profile", str(run), "--set", "train.epochs=1"]) == 2


def test_precision(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "train",
        str(folder / "small.nn"),
        "-q",
        "-o",
        str(folder / "half"),
        "--device",
        "cpu",
        "--set",
        "train.epochs=1",
    ]
    result = report(capsys, *arguments, "--precision", "bfloat16")
    assert isinstance(result, dict)
    assert "bfloat16" in (Path(result["run"]) / "manifest.json").read_text(encoding="utf-8")
    assert main([*arguments, "--precision", "float3"]) == 1


def test_export_of_a_run_keeps_its_weights(run: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = folder / "trained.safetensors"
    result = report(capsys, "export", str(run), "--to", "safetensors", "-o", str(target), "-q")
    assert isinstance(result, dict)
    assert result["max_difference"] == 0
    assert result["relative_difference"] == 0
    from safetensors.numpy import load_file

    assert abs(load_file(target)["logits.2.weight"]).sum() > 0


def test_export_to_an_unknown_target(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(folder / "small.nn"), "--to", "onx"]) == 2
    assert "a similar one is `onnx`" in capsys.readouterr().err


def test_python_interface(folder: Path) -> None:
    checked = nnspec.check(folder / "small.nn")
    assert checked.ok
    assert not checked.findings
    module = nnspec.compile(SPEC, width=4)
    assert module.state_dict()["logits.2.weight"].shape == (10, 4 * 36)
    assert nnspec.compile(folder / "small.nn", mode="inference", seed=1) is not None
    with pytest.raises(nnspec.SpecError) as caught:
        nnspec.compile(folder / "wrong.nn")
    assert caught.value.findings[0].code == "NN103"
    result = nnspec.train(folder / "small.nn", device="cpu", epochs=1, out=str(folder / "python"))
    assert result.metrics["accuracy"] > 0.5


def test_evaluate_keeps_its_figures(run: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(run), "--device", "cpu", "-o", str(folder / "kept")]) == 0
    printed = capsys.readouterr()
    assert {path.name for path in (folder / "kept").iterdir()} == {"evaluation.json", "confusion.png", "calibration.png"}
    kept = json.loads((folder / "kept" / "evaluation.json").read_text())
    assert f"calibration error {kept['calibration']['error']:.4f}" in printed.out
    assert "macro average" in printed.out
    assert "wrote " in printed.err
    assert main(["evaluate", str(run), "--device", "cpu", "-o", str(folder / "small.nn")]) == 2


def test_the_report_of_a_run(run: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (run / "report.html").read_text(encoding="utf-8")
    for shown in (
        "Learning curves",
        "confusion matrix",
        "calibration",
        "mistakes and doubts",
        "batch_size",
        "Small(width: int = 16)",
    ):
        assert shown in text, shown
    assert main(["report", str(run), "-o", str(folder / "page.html")]) == 0
    assert (folder / "page.html").read_text(encoding="utf-8") == text
    assert main(["compare", str(run), "--json"]) == 0
