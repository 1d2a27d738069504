"""`nnspec summary`: parameters, work and memory, without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from nnspec.cli.options import Json, Network, Path, Quiet, Settings, Sizes

if TYPE_CHECKING:
    from nnspec.checker import Report
    from nnspec.graph.ir import Graph
    from nnspec.profiling.memory_estimate import MemoryEstimate
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
    graph = chosen(report, network)
    summary = summarize(graph, sizes(with_))
    training = _training(report, graph, sizes(with_))
    if json:
        show_json({**as_object(summary), "training": _training_object(training)})
    else:
        say("\n".join([as_text(summary), *_training_text(training)]))
    return 0


class Training(NamedTuple):
    """The memory of a training step: counted with an optimizer, which is a recipe's, or assumed. None where sizes are missing."""

    estimate: MemoryEstimate
    optimizer: str
    assumed: bool


def _training(report: Report, graph: Graph, given: dict[str, int]) -> Training | None:
    from nnspec.errors import SpecError
    from nnspec.profiling.memory_estimate import network_memory

    try:
        variant = report.graph(graph.name, training=True)
    except SpecError:
        return None
    sizes = {var: given[var.name] for var in variant.symbols if var.name in given}
    if len(sizes) < len(variant.symbols):
        return None
    optimizers = {
        step.optimizer.operator.name: step.optimizer.operator
        for recipe in report.recipes.values() for step in recipe.steps
        if any(instance.network == graph.name and (not step.name or name in step.updates) for name, instance in recipe.instances.items())
    }  # fmt: skip
    chosen = next(iter(optimizers.values())) if len(optimizers) == 1 else None
    return Training(network_memory(variant, chosen, sizes), chosen.name if chosen is not None else "Adam", chosen is None)


def _training_text(training: Training | None) -> list[str]:
    from nnspec.cli.tables import memory

    if training is None:
        return []
    estimate = training.estimate
    parts = ((estimate.weights, "weights"), (estimate.gradients, "gradients"), (estimate.optimizer, "optimizer state"),
             (estimate.activations, "activations"))  # fmt: skip
    assumed = ", which is assumed" if training.assumed else ""
    told = ", ".join(f"{memory(amount)} {name}" for amount, name in parts if amount)
    return [
        f"training    {memory(estimate.peak()[0])} at most in a step with {training.optimizer}{assumed}:",
        f"            {told}",
    ]


def _training_object(training: Training | None) -> dict[str, Any] | None:
    from nnspec.dims import evaluate

    if training is None:
        return None
    parts = ("weights", "gradients", "optimizer", "inputs", "activations")
    amounts = {f"{name}_bytes": evaluate(getattr(training.estimate, name), {}) for name in parts}
    return {"peak_bytes": training.estimate.peak()[0], **amounts, "with": training.optimizer, "assumed": training.assumed}


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
