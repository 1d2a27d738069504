"""Train the specs of the repository on real data, each to the figure that it has to reach.

    python -m benchmarks.zoo [--quick] [--only WORD] [--seeds N] [--runs DIR] [--known]

A run that is there already, finished, of the same text and settings, is not made again: an interrupted zoo goes on where it was. The full
mode writes `specs/README.md`, with `--known` from the runs that are there, without any new one. The short one (`--quick`, one seed, other
settings) says whether each family reaches a smaller figure. Sets that are not in the data directory (`NNSPEC_DATA`) are passed over,
which is said.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.zoo.entries import ENTRIES, Entry
from benchmarks.zoo.judging import Judgement, judge
from benchmarks.zoo.page import Result, write_page
from nnspec.checker import check_path
from nnspec.training.manifest import digest
from nnspec.training.run_folder import RunFolder

ROOT = Path(__file__).resolve().parent.parent.parent
#: The run that judges generated digits.
_JUDGE = "cnn/lenet5:LeNet5"
#: What a `sample` item is called where it is not called after the recipe.
_ITEMS = {"gan/cyclegan:CycleGAN": "Translated"}


def main() -> int:
    arguments = _arguments()
    runs = Path(arguments.runs) / ("quick" if arguments.quick else "full")
    began, missed = time.perf_counter(), 0
    results: list[Result] = []
    for whole in _chosen(arguments.only):
        entry = whole.shortened() if arguments.quick else whole
        if entry.needs and not (Path(os.environ.get("NNSPEC_DATA", "")) / entry.needs).is_dir():
            print(f"{entry.key}: passed over, {entry.needs} is not in the data directory", flush=True)
            continue
        seeds = range(min(entry.seeds, arguments.seeds or entry.seeds))
        found = [_trained(entry, seed, runs, known=arguments.known) for seed in seeds]
        if arguments.known and not any(found):
            results.append(Result(entry, entry.target, (), (), 0, "", 0.0))
            continue
        result = _result(
            entry, _target(entry, results), [each for each in found if each is not None], runs, quick=arguments.quick
        )
        if result is None:
            missed += 1
            print(f"{entry.key}: no run finished", flush=True)
            continue
        results.append(result)
        if not arguments.quick:
            _keep_pictures(entry, [each for each in found if each is not None])
        good = result.reaches()
        missed += not good
        print(
            f"{entry.key}: {entry.figure} {result.text}{'' if good else f', and {result.target} was to be reached'}", flush=True
        )
    if not arguments.quick and not arguments.only:
        write_page(ROOT / "specs" / "README.md", results)
    print(f"{len(results)} recipes in {(time.perf_counter() - began) / 60:.1f} min, {missed} below their figure")
    return int(missed > 0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the short mode")
    parser.add_argument("--only", default="", help="entries whose name has this in it")
    parser.add_argument("--known", action="store_true", help="train nothing, take what has been trained")
    parser.add_argument("--seeds", type=int, default=0, help="at most so many")
    parser.add_argument("--runs", default=str(ROOT / "runs" / "zoo"), help="where the runs lie")
    return parser.parse_args()


def _chosen(word: str) -> list[Entry]:
    return [entry for entry in ENTRIES if word.lower() in f"{entry.family} {entry.key}".lower()]


def _target(entry: Entry, results: Sequence[Result]) -> float | None:
    """What has to be reached: the stated figure, or that of the entry's twin, where it has been measured."""
    twins = [
        each.mean for each in results if each.is_measured and (each.entry.spec, each.entry.recipe) == (entry.spec, entry.twin)
    ]
    return twins[0] if twins else entry.target


def _trained(entry: Entry, seed: int, runs: Path, *, known: bool = False) -> Path | None:
    """The run of a seed, made where it is not there; None where it failed, which has been said, or where only `known` ones count."""
    # The runs of a spec lie in one folder: a recipe may go on with what another one has learned.
    folder, settings = runs / entry.spec.replace("/", "."), {"train.seed": seed, **entry.settings}
    spec = ROOT / "specs" / f"{entry.spec}.nn"
    there = next(_finished(folder, entry.recipe, settings, digest(check_path(spec))), None)
    if there is not None or known:
        return there
    given = [argument for name, value in settings.items() for argument in ("--set", f"{name}={value}")]
    command = [
        sys.executable,
        "-m",
        "nnspec",
        "train",
        str(spec),
        "--recipe",
        entry.recipe,
        *given,
        "-o",
        str(folder),
        "--json",
        "--quiet",
    ]
    print(f"{entry.key}: training, seed {seed}", flush=True)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{entry.key}, seed {seed}: {done.stderr.strip() or done.stdout.strip()}", flush=True)
        return None
    return Path(json.loads(done.stdout)["run"])


def _finished(folder: Path, recipe: str, settings: Mapping[str, Any], text: str) -> Iterator[Path]:
    """Finished runs of a recipe, of the same text and settings, the newest first."""
    for place in sorted(folder.glob("*/manifest.json"), reverse=True):
        manifest = json.loads(place.read_text())
        same = manifest["recipe"] == recipe and manifest["settings"] == settings and manifest["spec"]["sha256"] == text
        if same and manifest["status"] == "finished":
            yield place.parent


def _result(entry: Entry, target: float | None, found: Sequence[Path], runs: Path, *, quick: bool) -> Result | None:
    if not found:
        return None
    manifests = [RunFolder.open(run).manifest for run in found]
    values = [float(each["final"].get(entry.figure, 0.0)) for each in manifests]
    judged: list[Judgement] = []
    if entry.figure in ("judged", "classes"):
        judging = _judge_run(runs, quick=quick)
        judged = [judge(run, judging, _ITEMS.get(entry.key, entry.recipe)) for run in found] if judging else []
        values = [float(each.passes if entry.figure == "judged" else each.classes) for each in judged]
    parameters = sum(value for name, value in manifests[0]["parameters"].items() if name not in ("target",))
    seconds = statistics.mean(float(each["seconds"]) for each in manifests)
    return Result(entry, target, tuple(values), tuple(map(str, judged)), parameters, _flop(found[0], entry.recipe), seconds)


def _keep_pictures(entry: Entry, found: Sequence[Path]) -> None:
    """Put pictures of the first run that has them where the page of its family shows them."""
    folder = (ROOT / "specs" / entry.spec).parent
    for name, kept in entry.pictures.items():
        for run in found:
            if (run / name).is_file():
                shutil.copyfile(run / name, folder / kept)
                break


def _judge_run(runs: Path, *, quick: bool) -> Path | None:
    """The run of the network that judges, which is trained where it is not there."""
    entry = next(each for each in ENTRIES if each.key == _JUDGE)
    return _trained(entry.shortened() if quick else entry, 0, runs)


def _flop(run: Path, recipe: str) -> str:
    """The work of a forward pass of the recipe's loss for one sample, with what is not known left as it is."""
    from nnspec.dims import Poly, format_dim, substitute, variables

    flop = RunFolder.open(run).report().recipes[recipe].training.flop
    if isinstance(flop, Poly):
        flop = substitute(flop, {each: 1 for each in variables(flop) if each.name == "N"})
    return f"{flop / 1e6:,.2f} M" if isinstance(flop, int) else format_dim(flop)


if __name__ == "__main__":
    sys.exit(main())
