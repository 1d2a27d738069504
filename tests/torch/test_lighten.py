"""Lighter runs: what goes is the least, what stays computes the same, and a student learns from its teacher."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch

import nnspec
from nnspec.checker import check_source
from nnspec.cli import main
from nnspec.diagnostics import Source
from nnspec.errors import UsageError
from nnspec.graph.ir import Graph
from nnspec.lightening import lighten
from nnspec.lightening.magnitude import without_smallest
from nnspec.lightening.widths import narrowed, numbers
from nnspec.torch_backend.example_inputs import random_inputs
from nnspec.torch_backend.lower import lower
from nnspec.training import evaluate
from nnspec.training.checkpoint import load
from nnspec.training.run_folder import RunFolder

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore::UserWarning")]
pytest.importorskip("sklearn")
ROOT = Path(__file__).parents[2]

SPEC = """
network Digit(hidden: int = 64) {
  input image: float32[N, 1, 8, 8]
  h = image -> Conv2d(16, 3, padding=1) -> BatchNorm2d -> ReLU -> MaxPool2d(2) -> Flatten
  output logits: float32[N, 10] = h -> Linear(hidden) -> Tanh -> Linear(10)
}

train Digit {
  data digits = Digits(validation=0.1, test=0.2, seed=0)
  minimize cross_entropy(Digit(digits.image), digits.label)
  measure accuracy(Digit(digits.image), digits.label)
  optimizer Adam(lr=3e-3)
  batch_size 32
  epochs 4
}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("light")
    (folder / "digit.nn").write_text(SPEC)
    return nnspec.train(str(folder / "digit.nn"), out=str(folder / "runs"), device="cpu").run


def test_the_smallest_weights_become_zero() -> None:
    state = {"a": torch.tensor([[1.0, -0.1], [0.2, 3.0]]), "b": torch.tensor([[0.05, -2.0]]), "c": torch.tensor([0.0001])}
    found = without_smallest(state, ["a", "b"], 0.5)
    assert found["a"].tolist() == [[1.0, 0.0], [0.0, 3.0]]
    assert found["b"].tolist() == [[0.0, -2.0]]
    assert torch.equal(found["c"], state["c"])


def test_half_of_the_weights_and_the_same_spec(run: Path) -> None:
    made = lighten(run, 0.5)
    before, after = evaluate(run), evaluate(made.folder)
    assert made.before == made.after
    assert 0.49 < made.nonzero / made.after < 0.53
    assert after.metrics["accuracy"] > before.metrics["accuracy"] - 0.05  # type: ignore[union-attr]
    assert RunFolder.open(made.folder).manifest["lightened"]["prune"] == 0.5


def test_whole_channels_and_smaller_numbers(run: Path) -> None:
    made = lighten(run, 0.25, structured=True)
    text = (made.folder / "spec" / "digit.nn").read_text()
    assert "Conv2d(12, 3, padding=1)" in text
    assert "hidden: int = 48" in text
    assert "Linear(10)" in text
    assert made.after < 0.65 * made.before
    assert sorted(re.sub(r".*: ", "", each) for each in made.changes) == ["16 becomes 12", "64 becomes 48"]
    assert evaluate(made.folder).metrics["accuracy"] > 0.5  # type: ignore[union-attr]


def test_the_smaller_network_is_the_larger_one_with_channels_at_zero() -> None:
    report = check_source(Source("net.nn", SPEC))
    graph = report.graph("Digit")
    state = lower(graph, seed=1).state_dict()
    assert report.file is not None
    found = [
        narrowed(SPEC, each, each.value // 2, graph, state, lambda text: _rebuilt(text), lambda graph: random_inputs(graph))
        for each in numbers(report.file)
    ]
    widths = [each.value for each, one in zip(numbers(report.file), found, strict=True) if one is not None]
    assert sorted(widths) == [16, 64]


def _rebuilt(text: str) -> Graph | None:
    report = check_source(Source("net.nn", text))
    return report.networks.get("Digit") if report.ok else None


def test_norms_over_channels_keep_them() -> None:
    text = SPEC.replace("BatchNorm2d", "GroupNorm(1)")
    report = check_source(Source("net.nn", text))
    graph = report.graph("Digit")
    assert report.file is not None
    (width,) = (each for each in numbers(report.file) if each.value == 16)
    state = lower(graph, seed=1).state_dict()
    assert narrowed(text, width, 8, graph, state, _rebuilt, lambda graph: random_inputs(graph)) is None


def test_the_command_tells_both(run: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["lighten", str(run), "--prune", "0.5", "-o", str(tmp_path), "--json", "-q"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["before"].keys() == told["after"].keys() == {"loss", "accuracy"}
    assert Path(told["run"]).parent == tmp_path
    assert main(["lighten", str(run), "--prune", "1.5"]) == 2
    assert "a share between 0 and 1" in capsys.readouterr().err


def test_rounded_weights_have_255_values_a_channel_and_the_network_stays_as_good(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = lighten(run, int8_weights=True)
    before, after = load(RunFolder.open(run).checkpoints), load(RunFolder.open(made.folder).checkpoints)
    for name, tensor in before.tensors["network.Digit"].items():
        found = after.tensors["network.Digit"][name]
        if tensor.dim() < 2:
            assert torch.equal(found, tensor)
            continue
        scale = tensor.flatten(1).abs().amax(1).div(127).view(-1, *[1] * (tensor.dim() - 1))
        assert not torch.equal(found, tensor)
        assert bool((found - tensor).abs().le(0.5001 * scale).all()), "rounded to the nearest"
        torch.testing.assert_close(found / scale, (found / scale).round(), rtol=0, atol=1e-3)
    accuracy = [evaluate(each).metrics["accuracy"] for each in (run, made.folder)]  # type: ignore[union-attr]
    assert abs(accuracy[0] - accuracy[1]) < 0.02
    for wrong in ([], ["--prune", "0.5", "--int8-weights"]):
        assert main(["lighten", str(run), *wrong]) == 2
        assert "say how it is to become lighter" in capsys.readouterr().err


def test_nothing_is_left_behind_where_nothing_can_go(tmp_path: Path) -> None:
    spec = SPEC.replace("Conv2d(16, 3, padding=1) -> BatchNorm2d -> ReLU -> MaxPool2d(2) -> Flatten", "Flatten")
    spec = spec.replace("Linear(hidden) -> Tanh -> Linear(10)", "Linear(10)").replace("(hidden: int = 64)", "")
    (tmp_path / "linear.nn").write_text(spec.replace("epochs 4", "epochs 1"))
    run = nnspec.train(str(tmp_path / "linear.nn"), out=str(tmp_path / "runs"), device="cpu").run
    with pytest.raises(UsageError, match="no number of the spec is a width of `Digit`"):
        lighten(run, 0.5, structured=True)
    assert len(list((tmp_path / "runs").iterdir())) == 1


@pytest.mark.nightly
def test_a_student_learns_from_its_teacher(tmp_path: Path) -> None:
    text = (ROOT / "docs/guide/exporting.md").read_text()
    spec = re.findall(r"^```nn\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)[0]
    (tmp_path / "distilled.nn").write_text(spec)
    accuracy = {}
    for recipe in ("Teacher", "Student"):
        run = nnspec.train(str(tmp_path / "distilled.nn"), recipe=recipe, out=str(tmp_path / "runs"), device="cpu")
        accuracy[recipe] = evaluate(run.run).metrics["accuracy"]  # type: ignore[union-attr]
    assert accuracy["Teacher"] > 0.95
    assert accuracy["Student"] > 0.85
