"""`nnspec summary`: parameters, work and memory, without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nnspec.cli.options import Json, Network, Path, Quiet, Settings, Sizes

if TYPE_CHECKING:
    from nnspec.profiling.summary import Summary


def run(
    path: Path,
    network: Network = "",
    set_: Settings = [],  # noqa: B006  (Typer copies it)
    with_: Sizes = [],  # noqa: B006
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Show shapes, parameters, FLOPs and memory, line by line."""
    from nnspec.cli.options import sizes
    from nnspec.cli.output import say, show_json
    from nnspec.cli.subject import network as chosen
    from nnspec.cli.subject import sound_report
    from nnspec.profiling.summary import summarize

    report = sound_report(path, set_, quiet=quiet)
    summary = summarize(chosen(report, network), sizes(with_))
    if json:
        show_json(as_object(summary))
    else:
        say(as_text(summary))
    return 0


def as_text(summary: Summary) -> str:
    """The table, the totals, and what the inputs have to fulfil."""
    from nnspec.cli.tables import memory, number, table

    rows = [
        [
            str(row.line),
            row.name,
            row.operator,
            row.output,
            number(row.parameters),
            number(row.flop),
            memory(row.activation_bytes),
        ]
        for row in summary.rows
    ]
    header = ["line", "name", "operator", "output", "parameters", "FLOPs", "memory"]
    lines = [
        f"{summary.network}: {', '.join(summary.inputs)} -> {', '.join(summary.outputs)}",
        "",
        table(header, rows, (0, 4, 5, 6)),
        "",
    ]
    buffers = f" and {number(summary.buffers)} numbers in buffers" if summary.buffers != 0 else ""
    lines.append(f"parameters  {number(summary.parameters)}{buffers}, {memory(summary.weight_bytes)}")
    lines.append(f"FLOPs       {number(summary.flop)} for a forward pass; a multiply and an add count two")
    peak = f", at most {memory(summary.peak_bytes)} at once in inference" if summary.peak_bytes is not None else ""
    lines.append(f"memory      {memory(summary.activation_bytes)} of results{peak}")
    lines += [f"needs       {condition}" for condition in summary.preconditions]
    if summary.peak_bytes is None:
        lines.append("Symbols stay symbols: give numbers with --with, such as --with N=1.")
    return "\n".join(lines)


def as_object(summary: Summary) -> dict[str, Any]:
    """The summary for programs: numbers where they are known, else expressions as text."""
    return {
        "network": summary.network,
        "inputs": list(summary.inputs),
        "outputs": list(summary.outputs),
        "rows": [{name: plain(value) for name, value in row._asdict().items()} for row in summary.rows],
        "totals": {
            name: plain(getattr(summary, name))
            for name in ("parameters", "buffers", "weight_bytes", "flop", "activation_bytes", "peak_bytes")
        },
        "preconditions": list(summary.preconditions),
        "sizes": summary.sizes,
    }


def plain(value: Any) -> Any:
    """A number, text or none as it is; an expression as text."""
    from nnspec.dims import Poly, format_dim

    return format_dim(value) if isinstance(value, Poly) else value
