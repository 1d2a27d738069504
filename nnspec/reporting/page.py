"""The report of a run as one HTML page: no scripts, nothing from elsewhere, and every text of a spec or of data escaped.

Not here: what the page shows of classifiers (`classifier`), and how a run is read (`runs`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nnspec.atomic import write_atomic
from nnspec.reporting.charts import Line, figure, line_chart
from nnspec.reporting.classifier import classifier
from nnspec.reporting.markup import Markup, element, folded, pairs, picture, table
from nnspec.reporting.runs import Run, listed, mapping, number
from nnspec.reporting.settings import described
from nnspec.reporting.style import STYLE
from nnspec.version import VERSION

#: Nothing but the page itself and pictures that it holds may be loaded.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
#: Pictures that the page draws by itself, where the run says what is in them.
_DRAWN_HERE = {"confusion.png", "calibration.png"}
_TITLES = {
    "curve.png": "learning curves", "returns.png": "returns of the episodes", "policy.png": "what is decided in each square",
    "masks.png": "masks", "boundary.png": "decision boundary", "attention.png": "attention", "mistakes.png": "mistakes and doubts",
    "confusion.png": "confusion matrix", "calibration.png": "reliability diagram",
}  # fmt: skip
#: Lines of the log, and characters of a text, that are shown.
_MOST_LINES, _MOST_CHARACTERS = 400, 20_000


def report_page(run: Run) -> str:
    """The whole page."""
    head = element(
        "head", Markup('<meta charset="utf-8">'), Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'), element("title", f"{run.recipe}: {run.name}"),
        element("style", Markup(STYLE)),
    )  # fmt: skip
    footer = element("footer", f"Written by nnspec {VERSION}. The page holds all that it shows, and loads nothing.")
    body = element("body", _header(run), *(element("section", part) for part in _sections(run)), footer)
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def write_report(run: Run, place: Path | None = None) -> Path:
    """Write the page, by default as `report.html` of the run's folder; returns where. Raises OSError."""
    path = place or run.path / "report.html"
    write_atomic(path, report_page(run))
    return path


def _sections(run: Run) -> Iterator[list[Markup | None]]:
    for title, parts in (
        ("Learning curves", _curves(run)), ("Figures at the end", _final(run)), ("Classes", classifier(run.evaluation or {})),
        ("Pictures", _pictures(run)), ("Texts", _texts(run)), ("Recipe", _recipe(run)), ("Data", _data(run)),
        ("Environment", _environment(run)), ("Spec", _spec(run)), ("Log", _log(run)),
    ):  # fmt: skip
        if parts:
            yield [element("h2", title), *parts]


# --- the top ------------------------------------------------------------------------------------------------------------------


def _header(run: Run) -> Markup:
    badge = element("span", run.status, class_=f"badge {run.status if run.status.isalpha() else ''}".strip())
    begun = f", begun {run.begun}" if run.begun else ""
    reason = element("p", run.reason, class_="bad") if run.reason else None
    if run.status == "unfinished":
        reason = element("p", "It goes on still, or was killed: no end has been written.", class_="bad")
    cards = element("div", [_card(name, value) for name, value in _cards(run)], class_="cards")
    return element(
        "header", element("h1", run.recipe, badge), element("p", f"run {run.name}{begun}", class_="quiet"), reason, cards
    )


def _cards(run: Run) -> Iterator[tuple[str, str]]:
    for name, value in list(run.final.items())[:6]:
        yield f"{name}, {run.part}" if run.part else name, figure(value)
    best = run.best
    if best is not None:
        yield f"best {best.figure}, {best.place}", figure(best.value)
    if run.parameters:
        yield "parameters", f"{sum(run.parameters.values()):,}"
    if run.steps is not None:
        yield "steps", f"{run.steps:,}"
    if run.seconds is not None:
        yield "time", duration(run.seconds)


def _card(name: str, value: str) -> Markup:
    return element("div", element("b", value), element("span", name), class_="card")


def duration(seconds: float) -> str:
    """`4.8 s`, `3 min 20 s` or `2 h 5 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60:,} h {minutes % 60} min"


# --- figures ------------------------------------------------------------------------------------------------------------------


def _curves(run: Run) -> list[Markup | None]:
    panels = [panel for name in run.figures if (panel := _curve(run, name)) is not None]
    panels += [
        panel for name in _rates(run) if (panel := _panel(name, [Line(name, "rate", run.curve(name, run.unit))], run.unit))
    ]
    if not panels:
        return []
    kinds = [
        ("train", "training part"),
        ("validation", "validation part"),
        ("final", "measured at the end"),
        ("kept", "weights kept"),
    ]
    legend = element("p", [(element("i", class_=kind), text) for kind, text in kinds], class_="legend")
    return [legend, element("div", panels, class_="grid")]


def _curve(run: Run, name: str) -> Markup | None:
    lines = [Line(f"train {name}", "train", run.curve(name, run.unit))]
    lines.append(Line(f"validation {name}", "validation", run.curve(f"validation_{name}", run.unit)))
    kept = run.manifest.get("best") and run.best
    mark = number(kept.line.get(run.unit)) if kept else None
    return _panel(name, lines, run.unit, run.final.get(name), mark)


def _panel(name: str, lines: list[Line], unit: str, level: float | None = None, mark: float | None = None) -> Markup | None:
    lines = [line for line in lines if line.points]
    if not lines:
        return None
    return element("div", element("h3", name.replace("_", " ")), line_chart(name, lines, unit, level, mark), class_="panel")


def _rates(run: Run) -> list[str]:
    names = dict.fromkeys(name for line in run.history for name in line)
    return [name for name in names if name.partition(".")[0] == "lr" or name == "epsilon"]


def _final(run: Run) -> list[Markup | None]:
    if not run.final:
        return []
    evaluation = run.evaluation or {}
    samples = number(evaluation.get("samples"))
    measured = (
        f"Measured on {run.part}" + (f", {samples:,} {evaluation.get('unit', 'samples')}" if samples is not None else "") + "."
    )
    rows = [(name, figure(value)) for name, value in run.final.items()]
    notes = [element("p", f"Note: {each}") for each in listed(evaluation.get("notes"))]
    return [element("p", measured, class_="quiet") if run.part else None, table(("figure", "value"), rows, [1]), *notes]


# --- pictures and texts -----------------------------------------------------------------------------------------------------------


def _pictures(run: Run) -> list[Markup | None]:
    here = _DRAWN_HERE if run.evaluation is not None else set()
    shown = {
        name: data for name, data in run.pictures().items() if name not in here and not (name == "curve.png" and run.figures)
    }
    figures = [
        element("figure", picture(data, name), element("figcaption", _TITLES.get(name, name)), class_="panel")
        for name, data in shown.items()
    ]
    return [element("div", figures, class_="panels")] if figures else []


def _texts(run: Run) -> list[Markup | None]:
    return [
        element("div", element("h3", name), element("pre", _cut(text), class_="text"))
        for name, text in run.samples().items()
    ]  # fmt: skip


def _cut(text: str) -> str:
    if len(text) <= _MOST_CHARACTERS:
        return text
    return f"{text[:_MOST_CHARACTERS]}\n[... {len(text) - _MOST_CHARACTERS:,} characters more]"


# --- what it was made of ----------------------------------------------------------------------------------------------------------


def _recipe(run: Run) -> list[Markup | None]:
    settings, why = described(run)
    given = mapping(run.manifest["settings"])
    entries = list(settings.items()) if settings else [("seed", run.manifest.get("seed"))]
    parts: list[Markup | None] = [pairs(entries)]
    if why:
        parts.append(element("p", why, class_="bad"))
    if given:
        told = ", ".join(f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in given.items())
        parts.append(element("p", f"Given from outside of the spec: {told}", class_="quiet"))
    counts = [(name, f"{count:,}") for name, count in run.parameters.items()]
    if len(counts) > 1:
        parts.append(table(("network", "parameters"), counts, [1]))
    return parts


def _data(run: Run) -> list[Markup | None]:
    rows = []
    for name, entry in mapping(run.manifest["data"]).items():
        known = mapping(entry)
        samples = [f"{part} {count:,}" for part, count in mapping(known.get("samples")).items() if isinstance(count, int)]
        rows.append((name, ", ".join(samples), known.get("hash")))
    sizes = [(name, f"{value:,}") for name, value in mapping(run.manifest.get("sizes")).items() if isinstance(value, int)]
    parts: list[Markup | None] = [table(("source", "samples", "hash"), rows)] if rows else []
    return [*parts, pairs(sizes)] if sizes else parts


def _environment(run: Run) -> list[Markup | None]:
    entries: list[tuple[str, Any]] = list(run.environment.items())
    sessions = len(listed(run.manifest.get("sessions")))
    if sessions > 1:
        entries.append(("sessions", f"{sessions}: it was stopped and went on"))
    return [pairs(entries)] if entries else []


def _spec(run: Run) -> list[Markup | None]:
    return [folded(name, element("pre", text), is_open=at == 0) for at, (name, text) in enumerate(run.texts().items())]


def _log(run: Run) -> list[Markup | None]:
    if not run.history:
        return []
    names = list(dict.fromkeys(name for line in run.history for name in line))
    every = -(-len(run.history) // _MOST_LINES)
    shown = [line for at, line in enumerate(run.history) if at % every == 0 or at == len(run.history) - 1]
    rows = [[_cell(line.get(name)) for name in names] for line in shown]
    cut = f", of which every {every}th is shown" if every > 1 else ""
    return [folded(f"{len(run.history):,} lines{cut}", table(names, rows, range(len(names))))]


def _cell(value: Any) -> str:
    found = number(value)
    return figure(found) if found is not None else "" if value is None else str(value)


__all__ = ["duration", "report_page", "write_report"]
