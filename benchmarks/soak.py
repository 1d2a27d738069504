"""Trainings that are killed, whose disk fails, and that are stopped and gone on with, at length.

    python benchmarks/soak.py [--kills 200] [--seed 0] [--parts kills points faults ranks syscalls resume]

kills     a short training is killed at random times and gone on with each time, to its end
points    it is killed at every call by which Python writes, one after the other
faults    every such call fails, with each of ENOSPC, EIO, EACCES, EROFS, EMFILE
ranks     of two processes, by DDP and by FSDP2, the one that writes is killed at every such call of two saves
syscalls  a save is killed, or its disk is full, at every system call that writes (needs strace)
resume    every recipe of `specs/`, on made data, is stopped at its first step, within an epoch and at an epoch's end

Wanted: nothing is lost, nothing is left over, and every run ends bit for bit as the one that nothing stopped. Prints a table; exit status 1
where anything is otherwise. How it works: `tests/torch/interruptions.py`, `disk_faults.py`, `killed_ranks.py` and `family_runs.py`.
"""

from __future__ import annotations

import argparse
import errno
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

from output import ROOT, print_table, write_results

sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "torch")]

SYSCALLS = ("openat", "write", "fsync", "rename", "mkdir", "unlink", "unlinkat", "rmdir", "chmod", "ftruncate")
#: What strace runs: a save into a folder that has a checkpoint already.
SAVE = """
import sys, torch
sys.path[:0] = [{root!r}]
from pathlib import Path
from nnspec.training.checkpoint import Checkpoint, save
torch.set_num_threads(1)
Path({folder!r}, "begun").touch()
save(Path({folder!r}), 2, Checkpoint({{"network.net": {{"w": torch.full((5000,), 2.0)}}, "optimizer": {{}}}}, {{"step": 2}}))
"""


def kills(folder: Path, count: int, seed: int) -> dict[str, Any]:
    """Random kills of a training of three epochs, twelve steps each, with a checkpoint after each epoch."""
    from interruptions import every_line_saved, newest, random_kills

    from nnspec.training import train

    report = _report(folder)
    began = time.perf_counter()
    with every_line_saved():
        train(report, device="cpu", out=folder / "whole")
    seconds = time.perf_counter() - began
    whole = newest(folder / "whole")
    assert whole is not None
    tally = random_kills(report, folder / "killed", whole, count, seed, seconds)
    wrong = tally.lost + len(tally.differing) + tally.left_over + (tally.steps_lost > 12)
    return {
        "tried": tally.kills, "lost": tally.lost, "differ": len(tally.differing), "left over": tally.left_over, "wrong": wrong,
        "note": f"{tally.trainings} trainings to their end; at most {tally.steps_lost} steps done again, 12 lie between checkpoints",
    }  # fmt: skip


def _report(folder: Path) -> Any:
    from training_specs import checked, digits

    (folder / "spec").mkdir(exist_ok=True)
    return checked(folder / "spec", digits("optimizer Adam(lr=1e-2)", "0.2", "keep_best accuracy"))


def points(folder: Path, count: int, seed: int) -> dict[str, Any]:
    """A kill at every call of a whole training."""
    from interruptions import killed_at

    def tried(point: int, work: Callable[[], Any], out: Path) -> str:
        status = killed_at(point, work, out)
        return "" if status == -9 else f"call {point} ended with {status}"

    return _each_call(folder, tried)


def faults(folder: Path, count: int, seed: int) -> dict[str, Any]:
    """An error of the disk at every call of a whole training."""
    from disk_faults import Disk, failure, watched

    from nnspec.errors import UsageError

    numbers = (errno.ENOSPC, errno.EIO, errno.EACCES, errno.EROFS, errno.EMFILE)
    found: list[dict[str, Any]] = []
    for number in numbers:

        def tried(point: int, work: Callable[[], Any], out: Path, number: int = number) -> str:
            with watched(Disk(out, point, failure(number))) as disk:
                try:
                    work()
                except UsageError as error:
                    return "" if os.strerror(number) in str(error) else f"{disk.met}: {error}"
                except Exception as error:
                    return f"{disk.met}: {type(error).__name__}: {error}"
            return f"{disk.met}: failed, and nobody heard of it"

        found.append(_each_call(folder / str(number), tried))
    whole = {key: sum(each[key] for each in found) for key in ("tried", "lost", "differ", "left over", "wrong")}
    return {**whole, "note": ", ".join(errno.errorcode[number] for number in numbers)}


def _each_call(folder: Path, tried: Callable[[int, Callable[[], Any], Path], str]) -> dict[str, Any]:
    from interruptions import calls_of, different, every_line_saved, left_over, newest

    from nnspec.training import train

    folder.mkdir(exist_ok=True)
    report = _report(folder)
    whole = folder / "whole"
    whole.mkdir()
    result = {"tried": 0, "lost": 0, "differ": 0, "left over": 0, "wrong": 0}
    with every_line_saved():
        disk = calls_of(lambda: train(report, device="cpu", out=whole), whole)
        expected = newest(whole)
        assert expected is not None
        for point in range(1, disk.calls + 1):
            out = folder / str(point)
            out.mkdir()
            result["tried"] += 1
            wrong = tried(point, lambda out=out: train(report, device="cpu", out=out), out)
            if wrong:
                print(f"=== {wrong}", flush=True)
                result["wrong"] += 1
            try:
                train(report, device="cpu", resume=newest(out), out=out)
            except Exception as error:
                print(f"=== call {point}: {type(error).__name__}: {error}", flush=True)
                result["lost"] += 1
                continue
            again = newest(out)
            assert again is not None
            result["differ"] += bool(different(again, expected))
            result["left over"] += len(left_over(again))
            shutil.rmtree(out)
    result["wrong"] += result["lost"] + result["differ"] + result["left over"]
    return {**result, "note": ", ".join(f"{number} {kind}" for kind, number in disk.kinds.items())}


def ranks(folder: Path, count: int, seed: int) -> dict[str, Any]:
    """A kill of the first of two processes at every call by which it writes checkpoints, for each way to share a training."""
    from interruptions import newest
    from killed_ranks import killed_and_gone_on_with, points_of_saves, train_ranks
    from training_specs import checked, digits

    result: dict[str, Any] = {"tried": 0, "lost": 0, "differ": 0, "left over": 0, "wrong": 0}
    notes = []
    for way in ("ddp", "fsdp"):
        place = folder / way
        (place / "spec").mkdir(parents=True)
        report = checked(
            place / "spec", digits("optimizer Adam(lr=1e-2)", "0.2", f"keep_best accuracy\n  parallel {way}"), epochs=2
        )
        (place / "whole").mkdir()
        assert train_ranks(report, place / "whole") == [0, 0]
        whole, points = newest(place / "whole"), points_of_saves(place / "whole")
        assert whole is not None
        for point in points:
            result["tried"] += 1
            wrong = killed_and_gone_on_with(report, place / str(point), point, whole)
            result["wrong"] += bool(wrong)
            result["lost"] += any("lost" in each for each in wrong)
            for each in wrong:
                print(f"=== {way}: {each}", flush=True)
            shutil.rmtree(place / str(point))
        notes.append(f"{way} {len(points)}")
    return {**result, "note": f"calls: {', '.join(notes)}"}


def syscalls(folder: Path, count: int, seed: int) -> dict[str, Any]:
    """A kill, and a full disk, at every system call of a save that writes."""
    result: dict[str, Any] = {"tried": 0, "lost": 0, "differ": 0, "left over": 0, "wrong": 0, "note": "strace is not installed"}
    if shutil.which("strace") is None:
        return result
    old = new = loud = 0
    for act in ("signal=KILL", "error=ENOSPC"):
        for call in SYSCALLS:
            for when in range(1, 40):
                place = folder / "checkpoints"
                shutil.rmtree(place, ignore_errors=True)
                status = _traced(place, call, act, when)
                if status is None:
                    break
                result["tried"] += 1
                value, left = _value(place)
                old, new, loud = old + (value == 1), new + (value == 2), loud + (status != 0)
                result["lost"] += value not in (1, 2)
                result["left over"] += left
                if act.startswith("error") and status == 0 and value != 2:
                    print(f"=== {call} {when}: failed, and nobody heard of it", flush=True)
                    result["wrong"] += 1
    result["wrong"] += result["lost"] + result["left over"]
    return {**result, "note": f"the old one {old} times, the new one {new} times; {loud} ended with an error"}


def _traced(place: Path, call: str, act: str, when: int) -> int | None:
    """Save under strace; the exit code, or None where there is no such call below the folder any more."""
    import torch

    from nnspec.training.checkpoint import Checkpoint, save

    save(place, 1, Checkpoint({"network.net": {"w": torch.full((5000,), 1.0)}, "optimizer": {}}, {"step": 1}))
    log = place.parent / "trace"
    command = ["strace", "-f", "-qq", "-y", "-o", str(log), "-P", str(place), "-P", f"{place}/step_2.tmp"]
    files = ("network.net.safetensors", "optimizer.safetensors", "state.json", "manifest.json")
    for path in (*(f"{place}/step_2.tmp/{name}" for name in files), f"{place}/step_2", f"{place}/latest"):
        command += ["-P", path]
    command += ["-e", f"trace={call}", "-e", f"inject={call}:{act}:when={when}"]
    code = SAVE.format(root=str(ROOT), folder=str(place))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([*command, sys.executable, "-c", code], capture_output=True, env=environment, check=False)
    met = len([line for line in log.read_text(errors="replace").splitlines() if f"{call}(" in line])
    return done.returncode if met >= when and (done.returncode or met) else None


def _value(place: Path) -> tuple[int, int]:
    """Which checkpoint is there, and what is left over after the next start."""
    from nnspec.training import CheckpointError, checkpoint

    try:
        found = int(checkpoint.load(place).state["step"])
    except CheckpointError:
        return 0, 0
    checkpoint.sweep(place)
    return found, len([each for each in place.iterdir() if each.name.endswith((".tmp", ".old"))])


def resume(folder: Path, count: int, seed: int) -> dict[str, Any]:
    """Every recipe, three stops each, without workers and with two (agents have none)."""
    from family_runs import families, make_data, resumed, small, uninterrupted

    make_data(folder / "data")
    result: dict[str, Any] = {"tried": 0, "lost": 0, "differ": 0, "left over": 0, "wrong": 0}
    found = families()
    with small(folder / "data"):
        for name, family in found.items():
            place = folder / name.replace("/", "_").replace(":", "_")
            began = time.perf_counter()
            whole = uninterrupted(family, place)
            for stop, workers in product(family.stops, (0,) if family.acts else (0, 2)):
                result["tried"] += 1
                wrong = resumed(family, place, stop, whole, workers)
                if wrong:
                    result["differ"] += 1
                    print(f"=== {name}, {workers} workers, stopped at batch {stop}: {', '.join(wrong[:5])}", flush=True)
            print(f"{name}: {time.perf_counter() - began:.1f} s", file=sys.stderr, flush=True)
    result["wrong"] = result["differ"]
    return {**result, "note": f"{len(found)} recipes, three stops each, without workers and with two"}


PARTS: dict[str, Callable[[Path, int, int], dict[str, Any]]] = {
    "kills": kills, "points": points, "faults": faults, "ranks": ranks, "syscalls": syscalls, "resume": resume,
}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    options = parser.parse_args()
    import torch
    from interruptions import few_bytes_drawn

    torch.set_num_threads(1)  # processes are forked
    found: dict[str, dict[str, Any]] = {}
    for part in options.parts:
        began = time.perf_counter()
        print(f"{part} ...", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory() as folder, few_bytes_drawn():
            found[part] = PARTS[part](Path(folder), options.kills, options.seed)
        found[part]["seconds"] = time.perf_counter() - began
        print(f"{part}: {found[part]}", file=sys.stderr, flush=True)
    names = ("tried", "lost", "differ", "left over", "wrong", "seconds")
    print_table(["", *names], [[part, *(each[name] for name in names)] for part, each in found.items()])
    for part, each in found.items():
        print(f"  {part}: {each['note']}")
    write_results("soak", found)
    return int(any(each["wrong"] for each in found.values()))


if __name__ == "__main__":
    sys.exit(main())
