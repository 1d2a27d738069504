"""Every code has its page, and every page its code."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnspec.codes import CODES
from nnspec.lint.pages import find_code, page_path, page_text

PAGES = Path(page_path("NN001")).parent


def test_pages_and_codes_match() -> None:
    assert {path.stem for path in PAGES.glob("*.md")} == set(CODES)


@pytest.mark.parametrize("code", CODES)
def test_page(code: str) -> None:
    rule, text = CODES[code], page_text(code)
    level = {"error": "An error", "warning": "A warning", "info": "A note"}[rule.severity]
    assert text.startswith(f"# {code}: {rule.name}\n\n{level}: {rule.summary}.\n\n## What it says\n")
    headings = [line for line in text.split("\n") if line.startswith("## ")]
    assert headings == ["## What it says", "## Why", "## Example", "## Instead"]


@pytest.mark.parametrize("code", CODES)
def test_names_and_summaries_follow_the_style(code: str) -> None:
    rule = CODES[code]
    assert rule.name == rule.name.lower().replace(" ", "-")
    assert not rule.summary.endswith(".")
    assert rule.summary[0].islower() or rule.summary[0] == "`" or rule.summary.startswith(("YAML", "UTF"))


def test_codes_are_found_by_code_and_by_name() -> None:
    assert find_code("nn220") == "NN220"
    assert find_code("undeclared-precondition") == "NN220"
    assert find_code("Conv2d") is None
    assert len({rule.name for rule in CODES.values()}) == len(CODES)
