"""What the reports say of edits as people make them. `NNSPEC_SNAPSHOTS=write` rewrites the files; read the difference."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from difference_pairs import PAIRS, whole

from nnspec.difference.document import document
from nnspec.difference.files import Difference
from nnspec.difference.markdown import report as markdown
from nnspec.difference.text import report as text

GOLDEN = Path(__file__).parent / "golden"
REWRITE = os.environ.get("NNSPEC_SNAPSHOTS") == "write"


def as_json(difference: Difference) -> str:
    return json.dumps(document(difference), indent=1, ensure_ascii=False)


FORMATS: dict[str, Callable[[Difference], str]] = {"txt": text, "md": markdown, "json": as_json}
#: JSON lists every layer; some examples are enough to fix its form.
IN_JSON = ("insert_front", "unet_depth", "recipe")
CASES = [(name, ending) for name in PAIRS for ending in FORMATS if ending != "json" or name in IN_JSON]


@pytest.mark.parametrize(("name", "ending"), CASES, ids=lambda value: value)
def test_report(name: str, ending: str) -> None:
    said = FORMATS[ending](whole(PAIRS[name])) + "\n"
    path = GOLDEN / f"{name}.{ending}"
    if REWRITE:
        path.parent.mkdir(exist_ok=True)
        path.write_text(said, encoding="utf-8")
    assert said == path.read_text(encoding="utf-8")


def test_every_file_has_its_case() -> None:
    assert {path.name for path in GOLDEN.iterdir()} == {f"{name}.{ending}" for name, ending in CASES}


@pytest.mark.parametrize("name", PAIRS)
def test_lines_fit_a_terminal(name: str) -> None:
    """But for words that are longer, such as a name."""
    for line in text(whole(PAIRS[name])).split("\n"):
        assert len(line) <= 80 or " " not in line.strip(), line


def test_colour_only_adds_escapes() -> None:
    import re

    difference = whole(PAIRS["insert_front"])
    coloured = text(difference, colour=True)
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == text(difference)
