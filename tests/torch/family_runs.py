"""Every recipe of `specs/` in small: on made data, with a few samples and steps, stopped and gone on with.

The specs are as they are; their data have the files and sizes that they ask for, and a few of the samples are kept.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest import mock

import numpy
import torch
from citation_graphs import papers
from hostile_artefacts import idx, png
from interruptions import different
from torch import Tensor
from training_specs import hear

from nnspec.checker import Report, check_path
from nnspec.data import Dataset, citations
from nnspec.data.rows import Computed, Ragged, Rows, Windows
from nnspec.training import Interrupted, train
from nnspec.training.prepared import prepare
from nnspec.training.update import Updater

ROOT = Path(__file__).resolve().parents[2]
SAMPLES, BATCH = 16, 4
#: Batches at which a training is stopped: its first, one within an epoch, and one that ends one. A whole graph is one batch, and ends one.
STOPS = (1, 6, 8)


@dataclass(frozen=True)
class Family:
    """A recipe of a spec, as it is run here. An agent `acts`, and has no batches that could be made ahead of time."""

    spec: str
    recipe: str
    settings: Mapping[str, Any]
    stops: tuple[int, ...] = STOPS

    @property
    def acts(self) -> bool:
        """Whether it is an agent."""
        return self.recipe in _AGENTS

    @property
    def name(self) -> str:
        return f"{self.spec}:{self.recipe}"


#: Left out: what goes on with another run (`Finetune`, whose loop is that of `Scratch`).
_LEFT_OUT = {"Finetune"}
_AGENTS = {
    "DQN": ({"train.steps": 1_300}, (1, 40, 200)), "DoubleDuellingDQN": ({"train.steps": 1_300}, (1, 40, 200)),
    **{name: ({"train.steps": 300}, (1, 40, 211)) for name in ("LakeQLearning", "LakeSARSA")},
    **{name: ({"train.episodes": 3}, (1, 40, 211)) for name in ("CliffQLearning", "CliffSARSA")},
}  # fmt: skip
_WHOLE_GRAPHS = {"GCN", "GAT", "SAGE"}
#: Two epochs, and so eight batches: the last cannot be stopped at.
_SHORT = {"Scratch": (1, 4, 6)}


def families() -> dict[str, Family]:
    """All of them, by "FOLDER/SPEC:RECIPE"."""
    found = {}
    for path in sorted((ROOT / "specs").glob("*/*.nn")):
        spec = f"{path.parent.name}/{path.stem}"
        for recipe in check_path(path).recipes:
            if recipe in _LEFT_OUT:
                continue
            if recipe in _AGENTS:
                settings, stops = _AGENTS[recipe]
                family = Family(spec, recipe, settings, stops)
            else:
                sizes = {} if recipe in _WHOLE_GRAPHS else {"train.batch_size": BATCH}
                family = Family(spec, recipe, {"train.steps": 12, **sizes}, _SHORT.get(recipe, STOPS))
            found[family.name] = family
    return found


# --- data -------------------------------------------------------------------------------------------------------------------------


def make_data(folder: Path) -> None:
    """The files that the specs ask for, by a seed."""
    draw = random.Random(0)
    for part in ("train", "t10k"):
        (folder / "mnist").mkdir(parents=True, exist_ok=True)
        (folder / "mnist" / f"{part}-images-idx3-ubyte").write_bytes(idx((40, 28, 28), draw.randbytes(40 * 784)))
        (folder / "mnist" / f"{part}-labels-idx1-ubyte").write_bytes(idx((40,), bytes(each % 10 for each in range(40))))
    words = "free prize call now hello how are you today see tomorrow love win cash text claim".split()
    lines = [f"{draw.choice(['ham', 'spam'])}\t{' '.join(draw.choices(words, k=draw.randint(3, 14)))}" for _ in range(200)]
    (folder / "sms-spam").mkdir()
    (folder / "sms-spam" / "sms.tsv").write_text("\n".join(lines) + "\n")
    (folder / "tinyshakespeare").mkdir()
    (folder / "tinyshakespeare" / "input.txt").write_text("".join(draw.choices("abcdefghij \n", k=6_000)))
    (folder / "ett").mkdir()
    rows = "".join("x," + ",".join(f"{draw.gauss(0, 1):.3f}" for _ in range(7)) + "\n" for _ in range(14_400))
    (folder / "ett" / "ETTh1.csv").write_text("date,HUFL,HULL,MUFL,MULL,LUFL,LULL,OT\n" + rows)
    for kind in ("images", "masks"):
        (folder / "dsb2018-nuclei-256" / kind).mkdir(parents=True)
        for number in range(30):
            (folder / "dsb2018-nuclei-256" / kind / f"{number:02d}.png").write_bytes(_picture(256, draw))
    for number in range(60):
        place = folder / "pictures" / f"kind{number % 10}" / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(_picture(32, draw))
    (folder / "cora").mkdir()
    numpy.savez(folder / "cora" / "cora.derived.npz", **papers())  # type: ignore[arg-type]


def _picture(side: int, draw: random.Random) -> bytes:
    import zlib

    return png(side, side, zlib.compress(b"".join(b"\0" + bytes([draw.randrange(1, 256)] * side) for _ in range(side))))


def _first(rows: Tensor | Rows, count: int) -> Tensor | Rows:
    if isinstance(rows, Tensor):
        return rows[:count].clone()
    if isinstance(rows, Ragged):
        return Ragged(rows.values, rows.lengths[:count])
    if isinstance(rows, Windows):
        return Windows(rows.tokens[: (count - 1) * rows.stride + 1 + rows.length], rows.length, rows.offset, rows.stride)
    assert isinstance(rows, Computed)
    return Computed(rows.compute, {name: _first(each, count) for name, each in rows.fields.items()})


def shortened(dataset: Dataset, count: int = SAMPLES) -> Dataset:
    """The first samples of each part."""
    if dataset.is_graph:
        return dataset
    parts = {part: {name: _first(rows, count) for name, rows in fields.items()} for part, fields in dataset.parts.items()}
    learned = {name: _first(rows, count) for name, rows in dataset.learned.items()} if dataset.learned is not None else None
    return replace(dataset, parts=parts, learned=learned)


# --- running ----------------------------------------------------------------------------------------------------------------------


@contextmanager
def small(data: Path) -> Iterator[None]:
    """While this lasts, trainings have the made data and few samples of them, and draw nothing."""

    def prepared(*given: Any, **named: Any) -> Any:
        report, recipe, datasets = prepare(*given, **named)
        return report, recipe, {name: shortened(each) for name, each in datasets.items()}

    nothing = lambda *given, **named: None  # noqa: E731
    with ExitStack() as stack:
        stack.enter_context(mock.patch.dict(os.environ, {"NNSPEC_DATA": str(data), "NNSPEC_CACHE": str(data / "none")}))
        stack.enter_context(mock.patch.object(citations, "SHA256", citations.content(papers())))
        for place, stand_in in {
            "train.prepare": prepared, "train._draw_items": nothing, "train.draw_samples": lambda *given: (),
            "pictures.draw_curve": nothing, "pictures.draw_confusion": nothing, "agent_pictures.draw_returns": nothing,
            "agent_pictures.draw_policy": nothing, "acting.JUDGED": 2, "acting._MEASURED": 1,
        }.items():  # fmt: skip
            module, _, name = place.partition(".")
            stack.enter_context(mock.patch.object(import_module(f"nnspec.training.{module}"), name, stand_in))
        yield


@contextmanager
def stopped_at(batch: int) -> Iterator[None]:
    """Send this process SIGTERM while it works on a batch, counted from 1."""
    step, calls = Updater.step, iter(range(1, 10**9))

    def counted(self: Updater, *given: Any) -> Any:
        if next(calls) == batch:
            hear(signal.SIGTERM)
        return step(self, *given)

    with mock.patch.object(Updater, "step", counted):
        yield


def report_of(family: Family, workers: int = 0) -> Report:
    settings = {**family.settings, **({"train.workers": workers} if workers else {})}
    report = check_path(ROOT / "specs" / f"{family.spec}.nn", settings=settings)
    assert report.ok, [each.message for each in report.diagnostics]
    return report


def uninterrupted(family: Family, folder: Path) -> Path:
    """The run that nothing stops."""
    return train(report_of(family), family.recipe, device="cpu", out=folder / "whole").run


def resumed(family: Family, folder: Path, stop: int, whole: Path, workers: int = 0) -> list[str]:
    """Stop at a batch, go on, and say in what the run differs from the whole one, which had no workers."""
    torch.manual_seed(stop)  # what is around has no part in it
    try:
        with stopped_at(stop):
            train(report_of(family, workers), family.recipe, device="cpu", out=folder / f"{stop}-{workers}")
    except Interrupted as found:
        run = found.run
    else:
        return [f"was not stopped at batch {stop}"]
    train(report_of(family, workers), family.recipe, device="cpu", resume=run)
    return different(run, whole)
