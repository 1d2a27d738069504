"""Damaged input of every kind that nnspec reads, made from sound input by a seed: each has to end as findings, or as an error that is meant.

A target turns bytes into files and reads them. `benchmarks/input_fuzz.py` runs millions of cases, by `fuzz_processes` and `fuzz_account`; the
tests run some thousands.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import shutil
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import numpy
from hostile_artefacts import SPEC, TABLE, idx, png, project

from nnspec.checker import check_source
from nnspec.data.arrays import read_arrays
from nnspec.data.idx import read_idx
from nnspec.data.images import read_picture
from nnspec.data.tables import read_columns
from nnspec.data.vocabulary import read as read_vocabulary
from nnspec.diagnostics import Source
from nnspec.errors import MissingExtra, UsageError
from nnspec.recipes.recipe import DataSource
from nnspec.training import checkpoint
from nnspec.training.first_weights import _of_path
from nnspec.training.new_samples import _load as read_npy
from nnspec.training.run_folder import RunFolder

ROOT = Path(__file__).resolve().parents[2]
#: What reading may end with.
MEANT = (UsageError, MissingExtra)
#: Numbers that sizes and counts are likely to be wrong at.
EDGES = (
    0,
    1,
    -1,
    127,
    128,
    255,
    256,
    2**15,
    2**16,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**32,
    2**53,
    2**63 - 1,
    2**63,
    2**64 - 1,
    10**30,
)
WORDS = (
    b"->", b"{", b"}", b"[", b"]", b"(", b")", b"=", b":", b",", b"/", b"\n", b"  ", b'"', b"#", b"- ", b"repeat", b"scan", b"if", b"then",
    b"else",
    b"use", b"network", b"block", b"input", b"output", b"train", b"float32", b"Linear", b"N", b"where", b"**", b"//", b"%", b"not", b"...",
    b"&a", b"*a", b"!!", b"null", b"true", b"1e999", b"NaN", b"-0", b"\xff", b"\0", b"\xe2\x80\xae",
    b'"data_offsets"', b'"shape"', b'"dtype"', b"F32", b"BOOL",
)  # fmt: skip


def mutated(data: bytes, draw: Random, others: Sequence[bytes]) -> bytes:
    """The bytes after one to six changes: bits, bytes, numbers and words changed, parts cut, doubled, moved, or taken from another input."""
    found = bytearray(data)
    for _ in range(draw.choice((1, 1, 1, 2, 3, 6))):
        kind, size = draw.randrange(9), len(found)
        at = draw.randrange(size + 1)
        if kind == 0 and size:
            found[at % size] ^= 1 << draw.randrange(8)
        elif kind == 1:
            found[at:at] = draw.choice(WORDS)
        elif kind == 2:
            del found[at : at + draw.choice((1, 2, 8, 100))]
        elif kind == 3:
            part = found[at : at + draw.choice((1, 4, 30, 300))]
            found[at:at] = part * draw.choice((1, 1, 2, 40))
        elif kind == 4:
            other = draw.choice(others)
            begin = draw.randrange(len(other) + 1)
            found[at : at + draw.choice((0, 0, 20))] = other[begin : begin + draw.choice((4, 40, 400))]
        elif kind == 5:
            found = bytearray(_with_number(bytes(found), at, draw))
        elif kind == 6:
            edge = draw.choice(EDGES) % 2**64
            width = draw.choice((1, 2, 4, 8))
            found[at : at + width] = (edge % 2 ** (8 * width)).to_bytes(width, draw.choice(("little", "big")))  # type: ignore[arg-type]
        elif kind == 7:
            del found[at:]
        else:
            begin = draw.randrange(size + 1)
            part = found[begin : begin + draw.choice((3, 30))]
            del found[begin : begin + len(part)]
            found[at:at] = part
    return bytes(found[:200_000])


def _with_number(data: bytes, at: int, draw: Random) -> bytes:
    """Another number in the place of the next one in the text."""
    begin = next((place for place in range(at, min(len(data), at + 400)) if 48 <= data[place] < 58), None)
    if begin is None:
        return data
    end = begin
    while end < len(data) and 48 <= data[end] < 58:
        end += 1
    return data[:begin] + str(draw.choice(EDGES)).encode() + data[end:]


# --- what is read -----------------------------------------------------------------------------------------------------------------


@dataclass
class Target:
    """`read` takes bytes and a folder to write into; `corpus` is what is changed; `share` of the cases are its own."""

    name: str
    corpus: list[bytes]
    read: Callable[[bytes, Path], object]
    share: int


def _specs(ending: str, most: int) -> list[bytes]:
    folders = (ROOT / "tests" / "corpus", ROOT / "specs")
    found = [path.read_bytes() for folder in folders for path in sorted(folder.rglob(f"*{ending}")) if path.stat().st_size < most]
    return found + ([SPEC.encode()] if ending == ".nn" else [])


def _check(name: str) -> Callable[[bytes, Path], object]:
    def read(data: bytes, folder: Path) -> object:
        report = check_source(Source(name, data.decode("utf-8", "replace")))
        for finding in report.diagnostics:
            assert 0 <= finding.span.start <= finding.span.end <= len(finding.span.source.text), finding
        return report.ok or None

    return read


def _written(name: str, read: Callable[[Path], object]) -> Callable[[bytes, Path], object]:
    def through_a_file(data: bytes, folder: Path) -> object:
        path = folder / name
        path.write_bytes(data)
        return read(path)

    return through_a_file


def _checkpoint(original: Path, name: str, *, listed: bool) -> Callable[[bytes, Path], object]:
    """One file of a checkpoint, with the hash that belongs to it where `listed` says so."""

    def read(data: bytes, folder: Path) -> object:
        step = folder / "checkpoints" / "step_1"
        if not step.is_dir():
            shutil.copytree(original, step)
        before = {each: (step / each).read_bytes() for each in (name, "manifest.json")}
        (step / name).write_bytes(data)
        if listed:
            manifest = json.loads(before["manifest.json"])
            manifest["files"][name] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
            (step / "manifest.json").write_text(json.dumps(manifest))
        try:
            return checkpoint.load(folder / "checkpoints", "step_1")
        finally:
            for each, content in before.items():
                (step / each).write_bytes(content)

    return read


def _run(original: Path) -> Callable[[bytes, Path], object]:
    def read(data: bytes, folder: Path) -> object:
        run = folder / "run"
        if not run.is_dir():
            shutil.copytree(original, run)
        (run / "manifest.json").write_bytes(data)
        opened = RunFolder.open(run)
        report = opened.report()
        for recipe in report.recipes.values():
            for source in recipe.sources:
                opened.fitted(source)
        return opened.data_folders()

    return read


def _table_source() -> DataSource:
    return next(iter(check_source(Source("table.nn", SPEC.replace("LOAD", ""))).recipes.values())).sources["d"]


def targets(work: Path) -> list[Target]:
    """All of them; a project is made in the folder."""
    if not (work / "project").is_dir():
        project(work / "project")
    run = work / "project" / "run"
    step = max((run / "checkpoints").glob("step_*"), key=lambda each: int(each.name[5:]))
    source = _table_source()
    arrays, one = io.BytesIO(), io.BytesIO()
    numpy.savez(arrays, x=numpy.arange(6.0).reshape(3, 2), y=numpy.arange(3))
    numpy.save(one, numpy.arange(6, dtype=numpy.float32).reshape(3, 2))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", one.getvalue())
    pictures = [png(8, 8), png(31, 7), (ROOT / "specs" / "mlp" / "MLP-curve.png").read_bytes()[:3_000]]
    vocabulary = json.dumps({"kind": "Characters", "characters": "abc "}).encode()
    pairs = json.dumps(
        {"kind": "BytePair", "special": ["<pad>"], "tokens": ["<pad>", "a", "b", "ab"], "merges": [["a", "b"]]}
    ).encode()
    weights = (step / "network.net.safetensors").read_bytes()
    return [
        Target("a spec (.nn)", _specs(".nn", 900), _check("fuzz.nn"), 18),
        Target("a spec (YAML)", _specs(".yaml", 1_200), _check("fuzz.yaml"), 18),
        Target("a checkpoint's weights", [weights], _checkpoint(step, "network.net.safetensors", listed=True), 10),
        Target("a checkpoint's state", [(step / "state.json").read_bytes()], _checkpoint(step, "state.json", listed=True), 6),
        Target("a checkpoint's manifest", [(step / "manifest.json").read_bytes()], _checkpoint(step, "manifest.json", listed=False), 6),
        Target("weights to load", [weights], _written("w.safetensors", lambda path: _of_path(path.name, (path.parent,))), 8),
        Target("a run's manifest", [(run / "manifest.json").read_bytes()], _run(run), 3),
        Target("a table", [TABLE.encode()], _written("t.csv", lambda path: read_columns(path, source, source.columns)), 8),
        Target("arrays (.npz)", [arrays.getvalue(), packed.getvalue()], _written("a.npz", read_arrays), 8),
        Target("an array (.npy)", [one.getvalue()], _written("a.npy", read_npy), 5),
        Target("an IDX file", [idx((2, 3, 4), bytes(24)), idx((5,), bytes(5))], _written("a.idx", read_idx), 4),
        Target("a packed IDX file", [gzip.compress(idx((2, 3, 4), bytes(24)))], _written("a.gz", read_idx), 3),
        Target("a picture", pictures, _written("a.png", lambda path: read_picture(path, 1, (8, 8))), 8),
        Target("a vocabulary", [vocabulary, pairs], _written("v.json", read_vocabulary), 3),
    ]  # fmt: skip


# --- running ----------------------------------------------------------------------------------------------------------------------


@dataclass
class Outcome:
    """What came of the cases of a target: how many ended as what they were, how many were refused, and what should not have happened, by the
    number of the case. `slowest` and `seconds` are seconds of computing."""

    cases: int = 0
    accepted: int = 0
    refused: int = 0
    slowest: float = 0.0
    seconds: float = 0.0
    crashes: dict[int, str] = field(default_factory=dict)
    slow: dict[int, str] = field(default_factory=dict)

    @property
    def wrong(self) -> dict[int, str]:
        """Crashes, and what took too long."""
        return {**self.slow, **self.crashes}

    def add(self, other: Outcome) -> None:
        """Further cases of the same target."""
        self.cases += other.cases
        self.accepted += other.accepted
        self.refused += other.refused
        self.slowest = max(self.slowest, other.slowest)
        self.seconds += other.seconds
        self.crashes |= other.crashes
        self.slow |= other.slow


def case(target: Target, seed: int, number: int) -> bytes:
    """The bytes of a case."""
    draw = Random(f"{target.name}/{seed}/{number}")
    return mutated(draw.choice(target.corpus), draw, target.corpus)


def fuzz(target: Target, seed: int, numbers: Iterable[int], folder: Path, limit: float = 2.0) -> Outcome:
    """Read the cases with these numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    outcome = Outcome()
    for number in numbers:
        data = case(target, seed, number)
        began = time.process_time()
        outcome.cases += 1
        try:
            found: Any = target.read(data, folder)
            outcome.accepted += found is not None
            outcome.refused += found is None
        except MEANT:
            outcome.refused += 1
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a panic of a library in Rust is no Exception
            outcome.crashes[number] = f"{target.name}, seed {seed}, case {number}: {type(error).__name__}: {str(error)[:200]}"
        passed = time.process_time() - began
        outcome.seconds += passed
        outcome.slowest = max(outcome.slowest, passed)
        if passed > limit:
            outcome.slow[number] = f"{target.name}, seed {seed}, case {number}: {passed:.1f} s"
    return outcome


def shares(all_targets: Sequence[Target], cases: int) -> Iterator[tuple[Target, int]]:
    """How many of the cases each target has."""
    whole = sum(each.share for each in all_targets)
    for each in all_targets:
        yield each, cases * each.share // whole
