"""Commands that need no torch never import it, and work where it is missing; the others say which extra brings it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "numpy", "safetensors", "sklearn", "matplotlib", "onnx", "PIL", "rich", "lark")
SPEC = """network A {
  input x: float32[N, 1, 8, 8]
  output y = x -> Flatten -> Linear(10)
}
train A {
  data digits = Digits()
  y = digits.image -> A
  minimize cross_entropy(y, digits.label)
  optimizer SGD(lr=0.1)
  batch_size 32
  epochs 1
}
"""
BROKEN = "network A {\n  input x: float32[N, 4]\n  output y = x -> Linaer(3)\n}\n"

#: Runs a command with the packages blocked, and prints the exit code and what was imported.
PROGRAM = f"""
import json, sys
if sys.argv[1] == "blocked":
    for name in {HEAVY[:7]!r}:
        sys.modules[name] = None
from nnspec.cli import main
code = main(sys.argv[2:])
loaded = [name for name in {HEAVY!r} if sys.modules.get(name) is not None]
print("\\n@" + json.dumps([code, loaded]))
"""


def run(folder: Path, *arguments: str, blocked: bool = False) -> tuple[int, list[str], str]:
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, "blocked" if blocked else "free", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NO_COLOR": "1"},
    )
    out, _, last = result.stdout.rpartition("\n@")
    assert last, result.stderr
    code, loaded = json.loads(last)
    return code, loaded, out + result.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.nn").write_text(SPEC, encoding="utf-8")
    (tmp_path / "b.nn").write_text(SPEC.replace("Linear(10)", "Linear(16) -> ReLU -> Linear(10)"), encoding="utf-8")
    (tmp_path / "broken.nn").write_text(BROKEN, encoding="utf-8")
    rows = "".join(f"{row * row % 7},{'xy'[row % 2]}\n" for row in range(20))
    (tmp_path / "t.csv").write_text("a,kind\n" + rows, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["check", "a.nn"], 0),
        (["check", "broken.nn"], 1),
        (["check", "broken.nn", "--format", "json"], 1),
        (["check", "broken.nn", "--format", "sarif"], 1),
        (["check", "a.nn", "--with", "N=3"], 0),
        (["fmt", "a.nn"], 0),
        (["convert", "a.nn", "--to", "yaml"], 0),
        (["render", "a.nn"], 0),
        (["explain", "NN201"], 0),
        (["explain", "Conv2d"], 0),
        (["summary", "a.nn"], 0),
        (["summary", "a.nn", "--with", "N=4"], 0),
        (["plan", "a.nn"], 0),
        (["plan", "a.nn", "--gpus", "2", "--memory", "1KiB", "--json"], 1),
        (["profile", "a.nn", "--fit", "8GiB", "-q"], 0),
        (["diff", "a.nn", "b.nn"], 0),
        (["diff", "a.nn", "b.nn", "--format", "markdown"], 0),
        (["diff", "a.nn", "b.nn", "--json"], 0),
        (["list", "operators"], 0),
        (["list", "rules"], 0),
        (["list", "specs"], 0),
        (["list", "data"], 0),
        (["list", "targets"], 0),
        (["new", "b.nn", "--force"], 0),
        (["new", "t.nn", "--from", "t.csv", "--target", "kind"], 0),
        (["schema"], 0),
        (["--help"], 0),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_without_torch(folder: Path, arguments: list[str], code: int) -> None:
    found, loaded, said = run(folder, *arguments)
    assert (found, loaded) == (code, []), said


@pytest.mark.parametrize("arguments", [["check", "a.nn"], ["doctor"], ["list", "targets"]], ids=" ".join)
def test_where_torch_is_missing(folder: Path, arguments: list[str]) -> None:
    assert run(folder, *arguments, blocked=True)[0] == 0


@pytest.mark.parametrize("command", ["compile", "train", "profile", "check --prove"])
def test_what_needs_torch_says_so(folder: Path, command: str) -> None:
    code, _, said = run(folder, *command.split(), "a.nn", blocked=True)
    assert code == 2
    assert "pip install 'nnspec[torch]'" in said


def test_the_package_itself_is_light(folder: Path) -> None:
    heavy = ("torch", "numpy", "typer", "nnspec.graph")
    program = f"import sys, nnspec; nnspec.SpecError; print([name for name in {heavy!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
