"""What keeps weights from being held in parts by several processes, as `nnspec plan` and `nnspec train` say it. No torch."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnspec.checker import check_source
from nnspec.cli import main
from nnspec.diagnostics import Source
from nnspec.recipes.in_parts import not_in_parts
from nnspec.recipes.recipe import Recipe

TEXT = """
network Net {
  input x: float32[N, 64]
  PARAM
  output y: float32[N, 10] = x -> Linear(8) -> Tanh -> Linear(10)
  output z: float32[N, 10] = SCALED
}
train Small {
  data digits = Digits(validation=0.1, test=0.7)
  x = flatten(digits.image, 1)
  OWN
  logits = Net(x).z
  slope = mean(square(gradient(sum(logits), wrt=x)))
  minimize cross_entropy(logits, digits.label)MORE
  measure slope
  optimizer SGD(lr=0.1)
  batch_size 32
  epochs 1
  SETTING
}
"""


def text(**parts: str) -> str:
    found = TEXT
    for name in ("PARAM", "SCALED", "OWN", "MORE", "SETTING"):
        found = found.replace(name, parts.get(name, "y" if name == "SCALED" else ""))
    return found


def recipe(**parts: str) -> Recipe:
    report = check_source(Source("model.nn", text(**parts)))
    assert report.ok, [each.message for each in report.diagnostics]
    return report.recipes["Small"]


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({}, ""), ({"MORE": " + 0.1 * detach(slope)"}, ""), ({"SETTING": "precision bfloat16"}, ""),
        ({"PARAM": "param scale: float32[10] = ones", "SCALED": "y * scale"}, ""),
        ({"MORE": " + 0.1 * slope"}, "line 13 takes a gradient that is differentiated again, for which torch does not put weights together"),
        ({"PARAM": "param scale: float32 = ones", "SCALED": "y * scale"}, "`Net.scale` is a single number, which has no parts"),
        (
            {"OWN": "param heat: float32[10] = ones", "MORE": " + mean(heat * logits)"},
            "the weights of networks are divided, and `heat` is the recipe's own",
        ),
        ({"SETTING": "precision float16"}, "with `precision float16` each process would scale its gradients by itself; take bfloat16"),
        ({"SETTING": "memory_format channels_last"}, "weights in parts lie `memory_format contiguous`"),
    ],
)  # fmt: skip
def test_reasons(parts: dict[str, str], reason: str) -> None:
    assert not_in_parts(recipe(**parts)) == reason


def test_a_plan_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "model.nn"
    path.write_text(text(MORE=" + 0.1 * slope"))
    assert main(["plan", str(path), "--recipe", "Small", "--batch", "16", "--gpus", "1,2,4", "--quiet"]) == 0
    out = capsys.readouterr().out
    assert "FSDP on 2, 4: line 13 takes a gradient that is differentiated again" in " ".join(out.split())
    path.write_text(text())
    assert main(["plan", str(path), "--recipe", "Small", "--batch", "16", "--gpus", "2", "--quiet"]) == 0
    assert "FSDP on" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("written", "asked", "refused"),
    [("", "float16", True), ("precision float16", "", True), ("precision float16", "bfloat16", False)],
)
def test_the_precision_of_the_command_line_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], written: str, asked: str, refused: bool
) -> None:
    path = tmp_path / "model.nn"
    path.write_text(text(SETTING=written))
    option = ["--precision", asked] if asked else []
    assert main(["plan", str(path), "--recipe", "Small", "--batch", "16", "--gpus", "2", "--quiet", *option]) == 0
    assert ("FSDP on 2: with `precision float16`" in " ".join(capsys.readouterr().out.split())) is refused
