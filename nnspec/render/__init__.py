"""Findings as text: one module per format. Values come in, text goes out; nothing here prints, reads files or checks specs.

`render(findings, "json", files=2)` gives the whole report of a run as one string.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from nnspec.diagnostics import Diagnostic

#: Format -> the module of this package whose `report` writes it.
FORMATS: dict[str, str] = {
    "full": "full",
    "concise": "concise",
    "json": "json",
    "github": "github",
    "gitlab": "gitlab",
    "junit": "junit",
    "sarif": "sarif",
}


def render(findings: Sequence[Diagnostic], style: str, *, files: int, **options: Any) -> str:
    """The report of a run in the given format, without a final line end; "" where there is nothing to say.

    `files` counts the files that were checked. Only the terminal formats take options: `colour`, `width`.
    """
    module = import_module(f"nnspec.render.{FORMATS[style]}")
    text: str = module.report(findings, files=files, **(options if style in ("full", "concise") else {}))
    return text


def in_order(findings: Sequence[Diagnostic]) -> list[Diagnostic]:
    """Findings by file, then by place."""
    return sorted(findings, key=Diagnostic.sort_key)
