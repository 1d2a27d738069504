"""`nnspec check --prove`, and the claims that `nnspec compile` tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from nnspec.cli import main
from nnspec.operators.declare import OPERATORS, Cost

pytestmark = pytest.mark.torch

SOUND = """network Net {
  input x: float32[N, T, 8]
  output y = x -> Linear(8) -> GRU(4)
}
ensure Net { causal(x -> y); grads_reach(y) }
train R {
  data digits = Digits()
  minimize mean(Net(digits.image[:, 0]) ** 2)
  optimizer SGD(lr=0.1)
  epochs 1
}
"""


class Ran(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    for name in ("COLUMNS", "CI", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "sound.nn").write_text(SOUND, encoding="utf-8")
    (tmp_path / "leaking.nn").write_text(SOUND.replace("GRU(4)", "GRU(4, bidirectional=true)"), encoding="utf-8")
    (tmp_path / "wrong.nn").write_text(SOUND.replace("GRU", "GRUU"), encoding="utf-8")

    def command(*arguments: str) -> Ran:
        capsys.readouterr()
        code = main([*arguments])
        printed = capsys.readouterr()
        return Ran(code, printed.out, printed.err)

    return command


def test_what_is_proved_is_told(run: Any) -> None:
    """Findings and accounts to standard output, progress to standard error; the notes on claims are gone."""
    before = run("check", "sound.nn")
    assert "NN502" in before.out
    ran = run("check", "--prove", "sound.nn")
    assert ran.code == 0
    assert "NN502" not in ran.out
    assert "proved: Net at 6 sizes, " in ran.out
    assert "proved: recipe R at 3 sizes, " in ran.out
    assert "2 claims tested" in " ".join(ran.out.split())
    assert "sound.nn: proving Net, in training\n" in ran.err
    assert all(len(line) <= 80 for line in ran.out[ran.out.index("proved") :].split("\n"))


def test_quietly(run: Any) -> None:
    ran = run("check", "--prove", "--quiet", "sound.nn")
    assert (ran.code, ran.err) == (0, "")
    assert "proved" not in ran.out
    assert "NN502" not in ran.out


def test_a_claim_that_does_not_hold(run: Any) -> None:
    ran = run("check", "--prove", "leaking.nn", "--format", "concise")
    assert ran.code == 1
    assert "leaking.nn:5:14: error[NN501] `causal` does not hold for `Net`" in ran.out
    assert "contradicted in 1 place: Net" in ran.out
    assert run("check", "leaking.nn").code == 0, "which the check cannot know"


def test_a_mistake_of_ours(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OPERATORS["Linear"], "cost", lambda self: Cost(7))
    ran = run("check", "--prove", "--no-cache", "sound.nn")
    assert ran.code == 1
    assert "error[NN504]: torch counts " in ran.out
    assert run("check", "--prove", "--no-cache", "--exit-zero", "sound.nn").code == 0


def test_for_programs(run: Any) -> None:
    ran = run("check", "--prove", "--json", "sound.nn", "leaking.nn")
    assert ran.code == 1
    found = json.loads(ran.out)
    assert [finding["code"] for finding in found["findings"]] == ["NN501"]
    assert [(proof["path"], proof["kind"], proof["name"]) for proof in found["proofs"]] == [
        ("sound.nn", "network", "Net"), ("sound.nn", "recipe", "R"), ("leaking.nn", "network", "Net"), ("leaking.nn", "recipe", "R"),
    ]  # fmt: skip
    assert found["proofs"][0]["claims"] == ["causal(x -> y)", "grads_reach(y)"]
    assert found["proofs"][2]["errors"] == 1
    assert "proofs" not in json.loads(run("check", "--json", "sound.nn").out)


def test_other_formats_have_the_findings(run: Any) -> None:
    ran = run("check", "--prove", "--format", "github", "leaking.nn")
    assert ran.out.startswith("::error ")
    assert "proved" not in ran.out


def test_reports_in_files(run: Any) -> None:
    ran = run("check", "--prove", "leaking.nn", "--output-file", "json=report.json")
    assert ran.code == 1
    with open("report.json", encoding="utf-8") as file:
        assert len(json.load(file)["proofs"]) == 2


def test_a_file_with_errors_is_not_proved(run: Any) -> None:
    ran = run("check", "--prove", "wrong.nn", "sound.nn")
    assert ran.code == 1
    assert "not proved: wrong.nn has errors" in ran.out
    assert "proved: Net at " in ran.out


def test_settings_from_outside(run: Any) -> None:
    with open("plain.nn", "w", encoding="utf-8") as file:
        file.write(SOUND.partition("train")[0])
    ran = run("check", "--prove", "--with", "T=5", "plain.nn", "--json")
    assert ran.code == 0
    assert all("T" not in sizes for sizes in json.loads(ran.out)["proofs"][0]["sizes"])


def test_standard_input(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(SOUND.encode()), encoding="utf-8"))
    ran = run("check", "--prove", "-")
    assert ran.code == 0
    assert "proved: Net at " in ran.out


@pytest.mark.parametrize("other", ["--fix", "--diff", "--watch", "--show-settings"])
def test_what_does_not_go_together(run: Any, other: str) -> None:
    ran = run("check", "--prove", other, "sound.nn")
    assert ran.code == 2
    assert "do not go together" in ran.err


def test_compile_tests_the_claims(run: Any) -> None:
    assert run("compile", "sound.nn", "--quiet").code == 0
    ran = run("compile", "leaking.nn", "--quiet")
    assert ran.code == 1
    assert "error[NN501]: `causal` does not hold for `Net`" in ran.out
    ran = run("compile", "leaking.nn", "--quiet", "--json")
    assert ran.code == 1
    assert [finding["code"] for finding in json.loads(ran.out)["findings"]] == ["NN501"]
