"""Sweeps from end to end: trials, what is given up, going on after a kill, several jobs, and what is told."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from training_specs import Listener, checked

from nnspec.cli import main
from nnspec.cli.sweep import chosen
from nnspec.errors import UsageError
from nnspec.render.resolved_recipes import range_text
from nnspec.reporting.runs import read_run
from nnspec.tuning.outcome import Outcome, outcome_of
from nnspec.tuning.search import Search
from nnspec.tuning.space import settings_of

pytestmark = pytest.mark.torch
optuna = pytest.importorskip("optuna")

SPEC = """network Net(hidden: int = 8, Activation: block = ReLU) {
  input image: float32[N, 1, 8, 8]
  output logits = image -> Flatten -> Linear(hidden) -> Activation -> Linear(10)
}
train Digit(lr: float = 0.1) {
  data digits = Digits(validation=0.1, test=0.7)
  logits = Net(digits.image)
  minimize cross_entropy(logits, digits.label)
  measure accuracy(logits, digits.label)
  optimizer SGD(lr=lr)
  batch_size 32
  epochs 2
}
sweep Digit {
  lr = log(1e-3, 1.0)
  hidden = uniform(4, 16, step=4)
  Activation = choice(ReLU, Tanh)
  trials 4
  maximize accuracy
}
"""


def swept(folder: Path, text: str = SPEC, trials: int = 4, jobs: int = 1, **settings: Any) -> tuple[Outcome, list[str]]:
    """Carry out a sweep in a folder's `runs`."""
    report = checked(folder, text, **settings)
    sweep, told = chosen(report), Listener()
    search = Search(report, sweep, folder / "runs" / "Digit-sweep", trials=trials, jobs=jobs, device="cpu", progress=told)
    return outcome_of(search.run(), sweep, report), told.messages


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    folder = tmp_path_factory.mktemp("sweep")
    return folder, swept(folder)[0]


def test_trials_are_ordinary_runs(done: tuple[Path, Outcome]) -> None:
    folder, outcome = done
    assert len(outcome.trials) == 4
    for each in outcome.trials:
        run = read_run(folder / "runs" / "Digit-sweep" / each.run)
        assert run.status == ("finished" if each.state == "complete" else "pruned")
        assert run.manifest["settings"] == each.settings
        assert run.parameters == {"Net": 64 * each.settings["hidden"] + each.settings["hidden"] * 11 + 10}, (
            "the setting reaches the network"
        )
        assert 1e-3 <= each.settings["lr"] <= 1
        assert each.settings["hidden"] in (4, 8, 12, 16)
        assert each.value == run.history[-1]["validation_accuracy"]
    assert outcome.best is not None
    assert outcome.best.value == max(each.value or 0.0 for each in outcome.trials if each.state == "complete")


def test_the_command_of_the_best_gives_the_same_run(
    done: tuple[Path, Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shlex

    folder, outcome = done
    best = outcome.best
    assert best is not None
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    arguments = shlex.split(outcome.command)
    assert arguments[:2] == ["nnspec", "train"]
    assert main([*arguments[1:], "-o", str(tmp_path), "-q", "--device", "cpu"]) == 0
    (again,) = tmp_path.iterdir()
    first = read_run(folder / "runs" / "Digit-sweep" / best.run)
    assert read_run(again).history[-1]["validation_accuracy"] == pytest.approx(first.history[-1]["validation_accuracy"], abs=0.01)


def test_going_on(done: tuple[Path, Outcome]) -> None:
    folder, before = done
    again, told = swept(folder)
    assert [each.run for each in again.trials] == [each.run for each in before.trials], "nothing is left to do"
    assert "4 trials are done" in told[0]
    more, _ = swept(folder, trials=5)
    assert len(more.trials) == 5
    assert len({each.settings["lr"] for each in more.trials}) == 5, "nothing is drawn twice"
    with pytest.raises(UsageError, match="was begun with other ranges"):
        swept(folder, SPEC.replace("log(1e-3, 1.0)", "log(1e-2, 1.0)"))
    with pytest.raises(UsageError, match="was begun with other goal"):
        swept(folder, SPEC.replace("maximize accuracy", "minimize loss"))
    with pytest.raises(UsageError, match="was begun with other settings"):
        swept(folder, epochs=1)


@pytest.mark.nightly
def test_after_a_kill(tmp_path: Path) -> None:
    """The process that runs the sweep is killed in the middle of a trial; the same command tries that one again."""
    (tmp_path / "model.nn").write_text(SPEC.replace("epochs 2", "epochs 4000"))
    command = [sys.executable, "-m", "nnspec", "sweep", "model.nn", "--device", "cpu", "--trials", "2", "-q"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    folder = tmp_path / "runs" / "Digit-sweep"
    wait(lambda: any(folder.glob("Digit-000-*/metrics.jsonl")))
    process.kill()
    process.wait()
    (first,) = folder.glob("Digit-000-*")
    wait(lambda: read_run(first).status == "failed")  # its own process has noticed
    assert "is gone" in read_run(first).reason
    settings = read_run(first).manifest["settings"]
    outcome, told = swept(tmp_path, SPEC, trials=2)
    assert "the spec has changed since this sweep began" in told[0], "fewer epochs"
    assert "0 trials are done" in told[1]
    assert len(outcome.trials) == 2
    assert any(each.settings == settings for each in outcome.trials), "the values that were under way are tried again"


@pytest.mark.nightly
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_an_interrupt_lets_runs_keep_a_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "model.nn").write_text(SPEC.replace("epochs 2", "epochs 4000"))
    command = [sys.executable, "-m", "nnspec", "sweep", "model.nn", "--device", "cpu", "--trials", "3", "-j", "2"]
    program = (
        "import signal, os, sys; signal.signal(signal.SIGINT, signal.default_int_handler); os.execv(sys.argv[1], sys.argv[1:])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, *command], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    folder = tmp_path / "runs" / "Digit-sweep"
    wait(lambda: len(list(folder.glob("Digit-*/metrics.jsonl"))) == 2)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=90)
    assert process.returncode == 130
    runs = [read_run(each) for each in folder.glob("Digit-0*")]
    assert [run.status for run in runs] == ["stopped", "stopped"]
    assert all((run.path / "checkpoints" / "latest").exists() for run in runs)


def wait(condition: Any, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.1)


@pytest.mark.nightly
def test_two_jobs(tmp_path: Path) -> None:
    outcome, told = swept(tmp_path, trials=3, jobs=2)
    assert len(outcome.trials) == 3
    assert len({each.run for each in outcome.trials}) == 3
    assert sum(each.startswith("trial ") for each in told) == 3


@pytest.mark.nightly
def test_what_falls_behind_is_given_up(tmp_path: Path) -> None:
    """After some trials that learn, one that does not is pruned before its last epoch."""
    text = (
        SPEC.replace("epochs 2", "epochs 6")
        .replace("lr = log(1e-3, 1.0)", "lr = choice(0.5, 0.0)")
        .replace("trials 4", "trials 30")
    )
    outcome, _ = swept(tmp_path, text, trials=14)
    pruned = [each for each in outcome.trials if each.state == "pruned"]
    assert pruned
    run = read_run(tmp_path / "runs" / "Digit-sweep" / pruned[0].run)
    assert run.status == "pruned"
    assert len(run.history) < 6
    assert "others were better" in run.reason
    assert sum(outcome.importance.values()) == pytest.approx(1, abs=0.01)


@pytest.mark.nightly
def test_failed_trials_are_told(tmp_path: Path) -> None:
    text = SPEC.replace("lr = log(1e-3, 1.0)", "lr = choice(1e30, 0.1)")
    outcome, told = swept(tmp_path, text, trials=5)
    failed = [each for each in outcome.trials if each.state == "failed"]
    assert failed
    assert all(each.settings["lr"] == 1e30 for each in failed)
    assert "lower the learning rate" in failed[0].reason
    assert outcome.trials[-1] in failed, "they come last"
    assert any("failed: " in each for each in told)


def test_ends_of_ranges_are_checked_first(tmp_path: Path) -> None:
    text = SPEC.replace("uniform(4, 16, step=4)", "uniform(0, 16)")
    with pytest.raises(UsageError, match="with hidden=0, which the sweep tries, the spec has an error"):
        swept(tmp_path, text)
    assert not list(tmp_path.glob("runs/*/Digit-*"))


def test_settings_of_a_trial() -> None:
    from nnspec.checker import check_source
    from nnspec.diagnostics import Source

    sweep = check_source(Source("model.nn", SPEC)).sweeps["Digit"]
    assert [range_text(each) for each in sweep.ranges] == ["log(0.001, 1.0)", "uniform(4, 16, step=4)", "choice(ReLU, Tanh)"]
    assert settings_of(sweep, {"lr": 0.5, "hidden": 4, "Activation": "Tanh"}) == {"lr": 0.5, "hidden": 4, "Activation": "Tanh"}


@pytest.mark.nightly
def test_the_best_of_kept_weights_counts(tmp_path: Path) -> None:
    text = SPEC.replace("epochs 2", "epochs 3\n  keep_best accuracy").replace("  maximize accuracy\n", "")
    outcome, _ = swept(tmp_path, text, trials=2)
    assert outcome.goal == "maximize accuracy"
    for each in outcome.trials:
        lines = read_run(tmp_path / "runs" / "Digit-sweep" / each.run).history
        assert each.value == max(line["validation_accuracy"] for line in lines)


@pytest.mark.nightly
def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.nn").write_text(SPEC)
    assert main(["sweep", "model.nn", "--trials", "2", "--device", "cpu"]) == 0
    printed = capsys.readouterr()
    assert printed.err.count("trial ") == 2
    assert printed.out.startswith("maximize accuracy, 2 trials\n")
    assert "the best again:\n  nnspec train model.nn --set lr=" in printed.out
    assert main(["sweep", "model.nn", "--trials", "2", "--device", "cpu", "--json", "-q"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["state"] for each in found["trials"]] == ["complete", "complete"]
    assert main(["compare", "runs/Digit-sweep", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["runs"]) == 2
    (tmp_path / "plain.nn").write_text(SPEC.partition("sweep")[0])
    assert main(["sweep", "plain.nn"]) == 2
    assert "has no sweep; add one, such as `sweep Digit {" in capsys.readouterr().err
    assert main(["sweep", "model.nn", "--recipe", "Other"]) == 2


def test_one_sweep_at_a_time(tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    folder = tmp_path / "runs" / "Digit-sweep"
    folder.mkdir(parents=True)
    with (folder / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match="another sweep works in"):
            swept(tmp_path)


def test_without_optuna(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "optuna"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "optuna", None)
    (tmp_path / "model.nn").write_text(SPEC)
    assert main(["sweep", str(tmp_path / "model.nn"), "-o", str(tmp_path / "runs")]) == 2
    assert "pip install 'nnspec[hpo]'" in capsys.readouterr().err


def test_a_spec_that_changes_meanwhile_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnspec.tuning.search.digest", lambda report: "of another text")
    outcome, _ = swept(tmp_path, trials=1)
    assert outcome.best is None
    assert "the spec has changed since the sweep was started" in outcome.trials[0].reason
    assert not list(tmp_path.glob("runs/*/Digit-*"))


@pytest.mark.nightly
def test_a_process_that_dies_fails_its_trial_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nnspec.tuning.trials import Worker

    run, died = Worker.run, []

    def dying(self: Worker, task: Any, wants: Any) -> Any:
        if not died:
            died.append(True)
            self._process.kill()
        return run(self, task, wants)

    monkeypatch.setattr(Worker, "run", dying)
    outcome, _ = swept(tmp_path, trials=2)
    assert sorted(each.state for each in outcome.trials) == ["complete", "failed"]
    assert outcome.trials[-1].reason == "the process of the trial died (signal 9)"
