"""Trainings whose process dies, or whose disk fails, at any call that writes: nothing whole is lost, and nothing fails in silence."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from disk_faults import Disk, failure, watched
from interruptions import calls_of, different, every_line_saved, killed_at, left_over, newest, random_kills
from training_specs import checked, digits

from nnspec.checker import Report
from nnspec.cli import main
from nnspec.errors import UsageError
from nnspec.training import checkpoint, train

pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(not hasattr(os, "fork") or not os.path.isdir("/proc/self/fd"), reason="needs fork and /proc"),
]

SPEC = digits("optimizer Adam(lr=1e-2)", "0.2", "keep_best accuracy").replace("epochs 3", "epochs 2")
STEPS_AN_EPOCH = 12
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Children compute on one thread, and sums by two are rounded in another order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def _each_line_is_saved() -> Iterator[None]:
    with every_line_saved():
        yield


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return checked(tmp_path_factory.mktemp("spec"), SPEC)


@pytest.fixture(scope="module")
def whole(report: Report, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Disk, float]:
    """The run that nothing stops, the calls by which it writes, and its seconds."""
    out = tmp_path_factory.mktemp("whole")
    began = time.perf_counter()
    with every_line_saved():
        disk = calls_of(lambda: train(report, device="cpu", out=out), out)
    run = newest(out)
    assert run is not None
    return run, disk, time.perf_counter() - began


def test_what_is_counted(whole: tuple[Path, Disk, float]) -> None:
    _, disk, _ = whole
    assert {"open", "write", "fsync", "rename", "mkdir", "unlink", "chmod"} <= disk.kinds.keys()
    assert disk.calls > 100


def finished(report: Report, out: Path) -> Path:
    """The run in a folder, gone on with to its end; where none was begun, a new one."""
    train(report, device="cpu", resume=newest(out), out=out)
    run = newest(out)
    assert run is not None
    return run


#: Every so many calls one is tried; `benchmarks/soak.py` tries them all.
EVERY = 47


def test_a_kill_at_any_call_of_a_training(report: Report, whole: tuple[Path, Disk, float], tmp_path: Path) -> None:
    run, disk, _ = whole
    for point in range(1, disk.calls + 1, EVERY):
        out = tmp_path / str(point)
        out.mkdir()
        assert killed_at(point, lambda out=out: train(report, device="cpu", out=out), out) == -9, f"nothing happened at {point}"
        again = finished(report, out)
        assert not different(again, run), f"killed at call {point}"
        assert not left_over(again), "left-overs are swept"
        shutil.rmtree(out)


@pytest.mark.nightly
def test_kills_at_random_times(report: Report, whole: tuple[Path, Disk, float], tmp_path: Path) -> None:
    run, _, seconds = whole
    tally = random_kills(report, tmp_path, run, 10, 0, seconds)
    assert tally.kills == 10
    assert (tally.lost, tally.left_over, tally.differing) == (0, 0, [])
    assert tally.steps_lost <= STEPS_AN_EPOCH


ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES, errno.EROFS, errno.EMFILE)


@pytest.mark.nightly
@pytest.mark.parametrize("number", ERRORS, ids=errno.errorcode.__getitem__)
def test_an_error_at_any_call_of_a_training_is_told(
    report: Report, whole: tuple[Path, Disk, float], tmp_path: Path, number: int
) -> None:
    run, disk, _ = whole
    for point in range(1 + ERRORS.index(number), disk.calls + 1, 2 * EVERY):
        out = tmp_path / str(point)
        out.mkdir()
        with watched(Disk(out, point, failure(number))) as faulty, pytest.raises(UsageError) as found:
            train(report, device="cpu", out=out)
        said = str(found.value)
        assert os.strerror(number) in said, faulty.met
        assert out.name in said or "checkpoint" in said, "it says where"
        assert ": " in said.partition(os.strerror(number))[2] or number not in (errno.ENOSPC, errno.EIO), "it says what to do"
        broken = newest(out)
        if broken is not None and checkpoint.is_there(broken / "checkpoints"):
            checkpoint.load(broken / "checkpoints", told=lambda text: pytest.fail(f"{faulty.met}: {text}"))
        again = finished(report, out)
        assert not different(again, run), faulty.met
        assert not left_over(again), faulty.met
        shutil.rmtree(out)


@pytest.mark.parametrize(
    "limit", [pytest.param(2_000, marks=pytest.mark.nightly), 20_000, pytest.param(60_000, marks=pytest.mark.nightly)]
)
def test_a_limit_on_the_size_of_files_ends_a_training_with_a_sentence(tmp_path: Path, limit: int) -> None:
    """A real refusal by the system: a write is cut short, and what follows fails."""
    checked(tmp_path, SPEC)
    done = subprocess.run(
        [sys.executable, "-m", "nnspec", "train", "model.nn", "--output", "runs"], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "File too large" in done.stderr
    assert "raise the limit on the size of a file" in done.stderr
    assert "bug in nnspec" not in done.stderr
    run = newest(tmp_path / "runs")
    if run is not None and checkpoint.is_there(run / "checkpoints"):
        checkpoint.load(run / "checkpoints", told=pytest.fail)


def test_a_full_disk(tmp_path: Path) -> None:
    """A real one: a file system of 150 kB, in a namespace of its own."""
    checked(tmp_path, SPEC)
    small = tmp_path / "small"
    small.mkdir()
    script = (
        'mount -t tmpfs -o size=150k none small || exit 99; "$0" -m nnspec train model.nn --output small/runs; echo "exit $?"'
    )
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare")
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, sys.executable], cwd=tmp_path, capture_output=True,
        text=True, env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}, check=False,
    )  # fmt: skip
    if done.returncode == 99 or "exit" not in done.stdout:
        pytest.skip(f"no file system can be mounted here: {done.stderr[:200]}")
    assert "exit 2" in done.stdout, done.stderr
    assert "No space left on device: make room on the disk" in done.stderr
    assert "bug in nnspec" not in done.stderr


def test_a_report_that_cannot_be_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Standard output on a full disk: the exit code says it, and so does standard error."""
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    (tmp_path / "ok.nn").write_text("network A {\n  input x: float32[N, 8]\n  output y = x -> Linear(8)\n}\n")
    for command in (["check", "ok.nn"], ["summary", "ok.nn"]):
        with open("/dev/full", "w") as full:
            done = subprocess.run(
                [sys.executable, "-m", "nnspec", *command], cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True,
                env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False,
            )  # fmt: skip
        assert done.returncode == 2, (command, done.stderr)
        assert "No space left on device: make room on the disk" in done.stderr


@pytest.mark.parametrize("target", ["safetensors", "python", "dot", "mermaid"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES], ids=errno.errorcode.__getitem__)
def test_an_export_that_cannot_be_written(
    tmp_path: Path, target: str, number: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.nn").write_text("network A {\n  input x: float32[N, 8]\n  output y: float32[N, 2] = x -> Linear(2)\n}\n")
    out = tmp_path / "out"
    out.mkdir()
    command = ["export", "a.nn", "--to", target, "--output", f"out/a.{target}"]
    with watched(Disk(out)) as disk:
        assert main(command) == 0
    good = {each.name: each.read_bytes() for each in out.iterdir()}
    capsys.readouterr()
    for point in range(1, disk.calls + 1):
        with watched(Disk(out, point, failure(number))) as faulty:
            status = main(command)
        said = capsys.readouterr().err
        assert status == 2, (faulty.met, said)
        assert os.strerror(number) in said
        assert "bug in nnspec" not in said
        shutil.rmtree(out)
        out.mkdir()
    assert main(command) == 0
    assert {each.name: each.read_bytes() for each in out.iterdir()}.keys() == good.keys()
