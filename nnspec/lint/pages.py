"""The pages that explain findings: one Markdown file for each code, shipped beside this module and executed as tests."""

from __future__ import annotations

import os

from nnspec.codes import CODES

_FOLDER = os.path.join(os.path.dirname(__file__), "docs")


def find_code(topic: str) -> str | None:
    """The code that is meant by a code in any case, or by a readable name."""
    if topic.upper() in CODES:
        return topic.upper()
    return next((code for code, rule in CODES.items() if rule.name == topic.lower()), None)


def page_path(code: str) -> str:
    """Where the page of a code lies."""
    return os.path.join(_FOLDER, f"{code}.md")


def page_text(code: str) -> str:
    """The page of a code, as Markdown."""
    with open(page_path(code), encoding="utf-8") as file:
        return file.read().rstrip("\n")
