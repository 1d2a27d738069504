"""A profile as one page: tables and pictures in a file that needs no other one and no network. Everything that comes from a spec is escaped.

What is drawn where stands in `nnspec.profiling.charts`. Not here: measuring.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from nnspec.dims import evaluate
from nnspec.profiling import charts
from nnspec.profiling.amounts import memory, milliseconds, work
from nnspec.profiling.measure import LineCost, Measurement
from nnspec.profiling.memory_estimate import MemoryEstimate

_STYLE = """
:root { --ink: #1d2330; --soft: #667085; --line: #e3e6ec; --ground: #ffffff; --panel: #f7f8fa; --forward: #3566c8; --backward: #e0892b;
  --optimizer: #3a9a6a; --accent: #c0392b; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9f0; --soft: #98a2b3; --line: #333a47; --ground: #14181f; --panel: #1c222c;
  --forward: #6f9bf0; --backward: #f0a954; --optimizer: #5fc08d; --accent: #ef6a5b; } }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--ground); margin: 0 auto; padding: 2rem 1.25rem 4rem;
  max-width: 68rem; }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2.2rem 0 .6rem; } p { margin: .3rem 0; color: var(--soft); }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); gap: .75rem; margin: 1.25rem 0; }
.figures div { background: var(--panel); border: 1px solid var(--line); border-radius: .5rem; padding: .6rem .8rem; }
.figures b { display: block; font-size: 1.25rem; } .figures span { color: var(--soft); font-size: .85rem; }
.warning { border-left: 4px solid var(--accent); background: var(--panel); padding: .6rem .9rem; margin: 1rem 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th { color: var(--soft); font-weight: 500; } .left { text-align: left; } code { font: 13px/1.4 ui-monospace, monospace; }
svg { max-width: 100%; height: auto; } svg text { fill: var(--ink); font: 12px system-ui, sans-serif; } svg .soft { fill: var(--soft); }
.grid { stroke: var(--line); } .forward { fill: var(--forward); } .backward { fill: var(--backward); } .optimizer { fill: var(--optimizer); }
.roof { stroke: var(--soft); fill: none; stroke-width: 2; } .peak { stroke: var(--accent); stroke-dasharray: 4 3; }
.key { display: inline-block; width: .8rem; height: .8rem; border-radius: .15rem; margin: 0 .35rem 0 1rem; vertical-align: -.1rem; }
"""


def page(measured: Measurement, estimate: MemoryEstimate, texts: Mapping[str, str], notes: Iterable[str] = ()) -> str:
    """The page. `texts` are those of the specs by path, of which each line is shown."""
    sizes = ", ".join(f"{name} = {size}" for name, size in measured.sizes.items())
    lines = measured.by_line()
    parts = [
        f"<h1>{escape(measured.network)}</h1>",
        f"<p>{escape(measured.device)}, {measured.threads} threads, {escape(sizes)}</p>",
        _figures(measured, estimate),
        _warning(measured),
        "<h2>Time by line</h2>",
        _keys(measured),
        f'<div class="wide">{charts.bars(lines, texts)}</div>',
        "<h2>Against the roofline</h2>",
        f"<p>{_roofline_text(measured)}</p>",
        f'<div class="wide">{charts.roofline(lines, measured.roofline)}</div>',
        "<h2>Memory over the step</h2>",
        f"<p>{_peak_text(measured)}</p>",
        f'<div class="wide">{charts.timeline(measured.recording)}</div>',
        "<h2>Counted beforehand, and measured</h2>",
        _estimate_table(measured, estimate),
        "<h2>Lines</h2>",
        f'<div class="wide">{_table(lines, measured, texts)}</div>',
        *(f"<p>{escape(note)}</p>" for note in notes),
    ]
    title = f"{escape(measured.network)}: profile"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head>\n<body>\n" + "\n".join(filter(None, parts)) + "\n</body></html>\n"
    )


def _figures(measured: Measurement, estimate: MemoryEstimate) -> str:
    counted, _ = estimate.peak()
    figures = [(f"{milliseconds(measured.whole.milliseconds)} ms", "a step")]
    for name, part in (("forward", measured.forward), ("backward", measured.backward), ("optimizer", measured.step)):
        if part is not None and measured.backward is not None:
            figures.append(
                (f"{milliseconds(part.median)} ms", f"{name}, {milliseconds(part.least)} to {milliseconds(part.most)}")
            )
    figures.append((f"{measured.samples_per_second:,.0f}", "samples a second"))
    figures.append((memory(measured.peak_bytes), f"at most; {memory(counted)} counted"))
    figures += [(f"{milliseconds(other.milliseconds)} ms", f"a step, {name}") for name, other in measured.others.items()]
    return (
        '<div class="figures">'
        + "".join(f"<div><b>{escape(value)}</b><span>{escape(what)}</span></div>" for value, what in figures)
        + "</div>"
    )


def _warning(measured: Measurement) -> str:
    if not measured.launch_bound:
        return ""
    share = min(100 * measured.launch_ms / measured.whole.milliseconds, 100)
    return (
        f'<div class="warning">{measured.recording.calls:,} calls of small operators take about {share:.0f} % of the step. '
        "A larger batch costs little more, and fusing them helps (<code>--vs compile</code>).</div>"
    )


def _keys(measured: Measurement) -> str:
    phases = ["forward", *(["backward", "optimizer"] if measured.backward is not None else [])]
    return "<p>" + "".join(f'<span class="key" style="background: var(--{phase})"></span>{phase}' for phase in phases) + "</p>"


def _roofline_text(measured: Measurement) -> str:
    at = measured.roofline
    return (
        f"This device attains {work(at.flop_per_second)}FLOP/s in products and {work(at.bytes_per_second)}B/s of memory, measured just before. "
        f"A line left of {at.ridge:.0f} FLOP a byte is limited by memory, right of it by products."
    )


def _peak_text(measured: Measurement) -> str:
    at = measured.recording.peak_at
    if at is None:
        return f"{memory(measured.peak_bytes)} at most."
    where = f" at {escape(at.origin.operator)} of line {at.origin.line}" if at.origin is not None else ""
    return f"{memory(measured.peak_bytes)} at most, in the {escape(at.phase or 'step')}{where}."


def _estimate_table(measured: Measurement, estimate: MemoryEstimate) -> str:
    counted, moment = estimate.peak()
    rows: list[tuple[str, str]] = [
        (name, memory(evaluate(getattr(estimate, name), {})))
        for name in ("weights", "gradients", "optimizer", "inputs", "activations")
    ]
    at = f"{moment.phase}, line {moment.node.origin.line}" if moment.node is not None else moment.phase
    error = f"{100 * (counted / measured.peak_bytes - 1):+.1f} %" if measured.peak_bytes else ""
    rows += [
        (f"peak, counted without running ({at})", memory(counted)),
        ("peak, measured", memory(measured.peak_bytes)),
        ("error", error),
    ]
    if measured.saved_bytes is not None:
        rows.insert(5, ("kept for the backward pass, measured", memory(measured.saved_bytes)))
    body = "".join(f'<tr><td class="left">{escape(name)}</td><td>{escape(value)}</td></tr>' for name, value in rows)
    return f'<table style="max-width: 34rem">{body}</table>'


def _table(lines: list[LineCost], measured: Measurement, texts: Mapping[str, str]) -> str:
    total = sum(line.total_ms for line in lines) or 1.0
    head = [
        "line",
        "spec",
        "forward ms",
        "backward ms",
        "optimizer ms",
        "share",
        "FLOPs",
        "bytes",
        "FLOP/s",
        "limit",
        "of attainable",
        "results",
    ]
    rows = []
    for line in lines:
        share = line.share_of_attainable(measured.roofline)
        attained = f"{work(line.flop / line.forward_ms * 1000)}FLOP/s" if line.flop and line.forward_ms else ""
        cells: list[Any] = [
            line.line, charts.source_line(line, texts), milliseconds(line.forward_ms), milliseconds(line.backward_ms),
            milliseconds(line.optimizer_ms), f"{100 * line.total_ms / total:.1f} %", work(line.flop), memory(line.moved_bytes), attained,
            line.bound(measured.roofline), f"{100 * share:.0f} %" if share is not None else "", memory(line.output_bytes),
        ]  # fmt: skip
        rows.append("<tr>" + "".join(_cell(place, cell) for place, cell in enumerate(cells)) + "</tr>")
    header = "".join(f'<th class="left">{name}</th>' if place == 1 else f"<th>{name}</th>" for place, name in enumerate(head))
    return f"<table><tr>{header}</tr>{''.join(rows)}</table>"


def _cell(place: int, value: Any) -> str:
    return f'<td class="left"><code>{escape(str(value))}</code></td>' if place == 1 else f"<td>{escape(str(value))}</td>"
