"""`nnspec train --nproc`: processes that are started, stopped, lost and started again; and what is refused before any is."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from distributed_runs import Job, environment, train_together
from training_specs import checked, digits, recipe, weights

from nnspec.cli import main
from nnspec.data import load
from nnspec.torch_backend.recipes import lower_recipe
from nnspec.training import RunFolder, TrainingError, checkpoint, train
from nnspec.training.batches import Batches
from nnspec.training.precision import check_gpus
from nnspec.training.ranks import Ranks, of_environment
from nnspec.training.sharing import draws, said, verify_sharing

pytestmark = pytest.mark.torch

#: Some seconds of work for two processes.
LONG = digits("optimizer SGD(lr=0.1, momentum=0.9)", "0.2").replace("epochs 3", "epochs 150")


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "nnspec", "train", "model.nn", "--device", "cpu", "-o", "runs", *arguments]
    return subprocess.Popen(
        command, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def wait_for_checkpoint(folder: Path, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 120
    while not list(folder.glob("runs/*/checkpoints/latest")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.01)


def ranks_below(process: subprocess.Popen[str]) -> dict[str, int]:
    """The processes that the launch has started, by rank."""
    found = {}
    for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
        variables = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
        found |= {each.decode()[5:]: int(child) for each in variables if each.startswith(b"RANK=")}
    return found


# --- what is started -------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.nightly
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds the processes in /proc")
def test_a_lost_process_is_started_again(tmp_path: Path) -> None:
    """What comes out has the same bits as a training that lost none."""
    (tmp_path / "model.nn").write_text(LONG)
    process = start(tmp_path, "--nproc", "2", "--max-restarts", "1", "--json")
    wait_for_checkpoint(tmp_path, process)
    os.kill(ranks_below(process)["1"], signal.SIGKILL)
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    assert "rank 1 was ended by signal 9; starting all again (1 of 1)" in err
    assert "a process was lost; going on from the last checkpoint" in err
    (run,) = (tmp_path / "runs").iterdir()
    report = json.loads(out)
    assert report["run"] == str(run.relative_to(tmp_path))
    assert report["steps"] == 1800
    manifest = RunFolder.open(run).manifest
    assert (manifest["status"], len(manifest["sessions"])) == ("finished", 2)
    (tmp_path / "whole").mkdir()
    whole = train_together(tmp_path / "whole", [Job("whole", LONG)])["whole"].run
    assert whole is not None
    found, expected = weights(run), weights(whole)
    assert found.keys() == expected.keys()
    assert [name for name in expected if not torch.equal(found[name], expected[name])] == []


@pytest.mark.slow
@pytest.mark.parametrize("together", [(), ("--nproc", "2")], ids=["one", "two"])
def test_a_signal_leaves_a_checkpoint(tmp_path: Path, together: tuple[str, ...]) -> None:
    (tmp_path / "model.nn").write_text(LONG)
    process = start(tmp_path, *together)
    wait_for_checkpoint(tmp_path, process)
    process.terminate()
    out, err = process.communicate(timeout=100)
    assert process.returncode == 143, err
    assert out == ""
    assert err.count("stopped by signal 15") == 1
    assert "Traceback" not in err
    (run,) = (tmp_path / "runs").iterdir()
    assert RunFolder.open(run).manifest["status"] == "stopped"
    step = checkpoint.load(run / "checkpoints").state["step"]
    assert 12 <= step < 1800


@pytest.mark.slow
@pytest.mark.nightly
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds the processes in /proc")
def test_without_restarts_a_lost_process_ends_all(tmp_path: Path) -> None:
    (tmp_path / "model.nn").write_text(LONG)
    process = start(tmp_path, "--nproc", "2")
    wait_for_checkpoint(tmp_path, process)
    os.kill(ranks_below(process)["1"], signal.SIGKILL)
    out, err = process.communicate(timeout=100)
    assert (process.returncode, out) == (137, "")
    assert err.rstrip().endswith("nnspec: rank 1 was ended by signal 9; with --max-restarts N all would be started again")
    assert "Traceback" not in err
    assert "a bug in nnspec" not in err


@pytest.mark.slow
@pytest.mark.nightly
def test_a_mistake_is_told_once_and_not_made_again(tmp_path: Path) -> None:
    (tmp_path / "model.nn").write_text(digits("optimizer SGD(lr=1e30)"))
    process = start(tmp_path, "--nproc", "2", "--max-restarts", "3", "--quiet")
    out, err = process.communicate(timeout=100)
    assert (process.returncode, out) == (2, "")
    assert err.startswith("nnspec: the loss is nan at step")
    assert err.count("\n") == 1


# --- what is refused -------------------------------------------------------------------------------------------------------------


def refusal(capsys: pytest.CaptureFixture[str], folder: Path, text: str, *arguments: str) -> str:
    """What is said of a training that cannot begin."""
    (folder / "model.nn").write_text(text)
    capsys.readouterr()
    assert main(["train", str(folder / "model.nn"), "--device", "cpu", "-o", str(folder / "runs"), *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert not (folder / "runs").exists()
    return err.strip()


def test_more_processes_than_samples_in_a_batch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    err = refusal(capsys, tmp_path, digits(), "--nproc", "33")
    assert err == "nnspec: a batch has 32 samples, fewer than there are processes (33): start fewer, or raise `batch_size`"


def test_a_launch_within_a_launch(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("RANK", "0")
    err = refusal(capsys, tmp_path, digits(), "--nproc", "2")
    assert err == "nnspec: this is already rank 0 of 4 processes (WORLD_SIZE is set): start it without --nproc"


def test_standard_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "-", "--nproc", "2"]) == 2
    assert "several processes cannot all read standard input" in capsys.readouterr().err


def test_an_agent_acts_in_one_process(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("gymnasium")
    from agent_specs import replay

    err = refusal(capsys, tmp_path, replay(), "--nproc", "2")
    assert "is an agent, which acts in one process" in err


def test_what_sharded_weights_cannot_do(tmp_path: Path) -> None:
    found = recipe(tmp_path, digits(settings="parallel fsdp\n  precision float16"))
    with pytest.raises(
        TrainingError, match=r"`parallel fsdp` does not train `Small`.*take bfloat16, or train with `parallel ddp`"
    ):
        verify_sharing(found, 2)
    verify_sharing(found, 1)


def test_fewer_gpus_than_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(
        Exception, match="there are 2 processes on this machine, and 1 GPU: start at most 1, or run with --device cpu"
    ):
        check_gpus(2)
    check_gpus(1)


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as found:
        found.bind(("localhost", 0))
        found.listen()
        yield int(found.getsockname()[1])


def test_a_port_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: int) -> None:
    for name, value in {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "localhost", "MASTER_PORT": str(taken)}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(TrainingError, match=f"port {taken} of localhost is in use: set MASTER_PORT to one that is free"):
        train(checked(tmp_path, digits()), device="cpu", out=tmp_path / "runs")


# --- who is who --------------------------------------------------------------------------------------------------------------------


def test_variables_of_a_launch() -> None:
    torchrun = {
        "RANK": "5",
        "WORLD_SIZE": "8",
        "LOCAL_RANK": "1",
        "LOCAL_WORLD_SIZE": "4",
        "MASTER_ADDR": "a",
        "MASTER_PORT": "1",
    }
    found = of_environment(torchrun)
    assert (found.rank, found.size, found.local, found.nearby, found.first) == (5, 8, 1, 4, False)
    assert of_environment({}).size == 1
    assert of_environment({"WORLD_SIZE": "1", "RANK": "0"}).size == 1
    slurm = {name: torchrun[name] for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")}
    assert of_environment(slurm).local == 0


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"WORLD_SIZE": "2"}, "RANK and MASTER_ADDR and MASTER_PORT are not set"),
        ({"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "a"}, "MASTER_PORT is not set"),
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE=two is not a whole number"),
        ({"WORLD_SIZE": "2", "RANK": "2", "MASTER_ADDR": "a", "MASTER_PORT": "1"}, "RANK=2 is not below WORLD_SIZE=2"),
    ],
)
def test_variables_that_are_missing_or_wrong(variables: dict[str, str], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        of_environment(variables)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize("samples", [1, 2, 7, 32, 33])
def test_shares_make_the_batch(size: int, samples: int) -> None:
    shares = [Ranks(rank, size).share(samples) for rank in range(size)]
    counted = [index for each in shares if each.counted for index in range(each.low, each.high)]
    assert counted == list(range(samples))
    assert all(each.high > each.low for each in shares)
    assert max(each.counted for each in shares) - min(each.counted for each in shares) <= 1


@pytest.mark.parametrize(
    ("minimize", "mean"),
    [
        ("cross_entropy(logits, digits.label)", True), ("sum(logits ** 2)", False), ("mean(logits ** 2) / 3", True),
        ("mean(logits @ permute(logits, [1, 0]))", False),
    ],
)  # fmt: skip
def test_losses_that_are_no_mean_over_samples_are_said(tmp_path: Path, minimize: str, mean: bool) -> None:
    found = recipe(tmp_path, digits().replace("minimize cross_entropy(logits, digits.label)", f"minimize {minimize}"))
    datasets = {name: load(source, tmp_path) for name, source in found.sources.items()}
    cpu, ranks = torch.device("cpu"), Ranks(0, 2)
    batches = Batches(datasets, 32, 0, False, cpu, ranks)
    sentences = list(said(found, lower_recipe(found, seed=0), batches, ranks, cpu))
    assert sentences[0] == "2 processes share each batch of 32 (ddp)"
    assert any("is not the mean of the losses of its parts" in each for each in sentences) != mean


def test_what_cannot_be_shared(tmp_path: Path) -> None:
    found = recipe(tmp_path, digits())
    dataset = next(load(source, tmp_path) for source in found.sources.values())
    with pytest.raises(TrainingError, match=r"a batch has 3 samples, fewer than there are processes \(4\)"):
        Batches({"d": dataset}, 3, 0, False, torch.device("cpu"), Ranks(0, 4))
    with pytest.raises(TrainingError, match="`d` is one whole graph, which 2 processes cannot share"):
        Batches({"d": replace(dataset, nodes={"train": 100})}, 3, 0, False, torch.device("cpu"), Ranks(0, 2))


def test_what_draws_is_known(tmp_path: Path) -> None:
    assert not draws(recipe(tmp_path, digits()))
    assert draws(recipe(tmp_path, digits(dropout="0.1")))
