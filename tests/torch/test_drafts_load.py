"""Damaged tables: what is drafted checks without a finding and loads, and all else is refused in one sentence."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from nnspec.checker import check_path
from nnspec.cli import main
from nnspec.data import load

pytestmark = pytest.mark.torch

TABLE = "id,a,b,kind\n" + "".join(f"{row},{Random(row).gauss(0, 1):.3f},{'uvw'[row % 3]},{'xy'[row % 2]}\n" for row in range(30))
INSERTED = (
    b'"', b",", b";", b"\n", b"\r", b"\t", b"\xef\xbb\xbf", b"\0", b"'", b"\\", "ü".encode(), b"1e400", b"nan", b"\x1a",
    "\u2028".encode(), b'""', b"\n\n\n", b"\xff",
)  # fmt: skip
REPLACED = (
    (b",", b";"),
    (b",", b"\t"),
    (b",", b", "),
    (b",", b"|"),
    (b"x", b""),
    (b"u", b"NA"),
    (b".", b","),
    (b"x", b'"x\ny"'),
    (b"u", b"`{"),
)


def damaged(draw: Random) -> bytes:
    data = bytearray(TABLE.encode())
    for _ in range(draw.choice([1, 1, 2, 5, 20])):
        kind, place = draw.randrange(4), draw.randrange(len(data))
        if kind == 0:
            data[place:place] = draw.choice(INSERTED)
        elif kind == 1:
            del data[place : place + draw.randrange(1, 9)]
        elif kind == 2:
            data[place:place] = data[max(0, place - 20) : place]
        else:
            data = data.replace(*draw.choice(REPLACED), draw.choice([1, 3, -1]))
    return bytes(data)


def test_what_is_drafted_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    drafted = 0
    for seed in range(80):
        draw = Random(seed)
        (tmp_path / "t.csv").write_bytes(damaged(draw))
        options = draw.choice([[], ["--bad-rows", "drop"], ["--bad-rows", "drop"], ["--task", "classification"]])
        code = main(["new", "t.nn", "--from", "t.csv", "--target", draw.choice(["kind", "kind", "a", "b"]), "--force", *options])
        said = capsys.readouterr().err
        if code:
            assert (code, said.count("\n")) == (2, 1), (seed, said)
            continue
        drafted += 1
        report = check_path(tmp_path / "t.nn")
        assert not report.findings, seed
        (recipe,) = report.recipes.values()
        assert load(recipe.sources["table"], tmp_path).size() > 0
    assert 15 < drafted < 75, "both happen"
