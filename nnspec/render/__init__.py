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


#: What a format shows besides findings; the others do not speak of it.
_OPTIONS = {
    "full": ("colour", "width", "held"),
    "concise": ("colour", "width", "held"),
    "json": ("held", "suppressed"),
    "sarif": ("suppressed",),
}


def render(findings: Sequence[Diagnostic], style: str, *, files: int, **options: Any) -> str:
    """The report of a run in the given format, without a final line end; "" where there is nothing to say.

    `files` counts the files that were checked. Options that a format has no place for are left out: `colour` and `width` of the
    terminal; `held`, how many findings a baseline holds; `suppressed`, findings that comments took back, each with the reason.
    """
    module = import_module(f"nnspec.render.{FORMATS[style]}")
    chosen = {name: options[name] for name in _OPTIONS.get(style, ()) if name in options}
    text: str = module.report(findings, files=files, **chosen)
    return text


def in_order(findings: Sequence[Diagnostic]) -> list[Diagnostic]:
    """Findings by file, then by place."""
    return sorted(findings, key=Diagnostic.sort_key)
