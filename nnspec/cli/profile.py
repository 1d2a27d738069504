"""`nnspec profile`: measured time and memory, by line of the spec."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnspec.cli.options import Device, Json, Network, Quiet, Settings, Sizes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from nnspec.graph.ir import Graph
    from nnspec.profiling.measure import Measurement, Spread


def run(
    source: Annotated[str, typer.Argument(metavar="PATH|RUN", help="A spec, or a run folder.", show_default=False)],
    batch: Annotated[int, typer.Option(min=1, help="Samples in a batch: the size of the symbol N.")] = 8,
    training: Annotated[bool, typer.Option("--training", help="Measure a training step: forward, backward, optimizer.")] = False,
    repeats: Annotated[int, typer.Option(min=1, help="How many runs to take the median of.")] = 10,
    network: Network = "",
    device: Device = "auto",
    set_: Settings = [],  # noqa: B006  (Typer copies it)
    with_: Sizes = [],  # noqa: B006
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Measure time and memory, by line of the spec."""
    from nnspec.cli.options import sizes
    from nnspec.cli.output import one_of, progress, say, show_json

    one_of("--device", device, ("auto", "cpu", "cuda"))
    graph, state = _subject(source, network, set_, training=training, quiet=quiet)
    given = sizes(with_)
    if any(symbol.name == "N" for symbol in graph.symbols):
        given.setdefault("N", batch)

    from nnspec.cli.devices import chosen_device
    from nnspec.profiling.measure import measure
    from nnspec.torch_backend.lower import lower

    progress(f"measuring {graph.name}, {repeats} runs", quiet=quiet)
    where = chosen_device(device)
    measured = measure(graph, lower(graph, seed=0, state=state), sizes=given, device=where, repeats=repeats)
    if json:
        show_json(as_object(measured))
    else:
        say(as_text(measured, graph.span.source.path if graph.span else ""))
    return 0


def _subject(
    source: str, network: str, set_: list[str], *, training: bool, quiet: bool
) -> tuple[Graph, Mapping[str, Tensor] | None]:
    """The graph to measure, and the weights where a run has trained them."""
    import os

    from nnspec.cli.subject import network as chosen
    from nnspec.cli.subject import sound_report
    from nnspec.errors import UsageError

    if not os.path.isdir(source):
        return chosen(sound_report(source, set_, quiet=quiet), network, training=training), None
    if training or set_:
        raise UsageError("a run is measured as it is, in inference: for --training or --set name its spec")
    from nnspec.cli.exports import context

    given = context(source, network, (), quiet=quiet)
    return given.graph, given.state


def as_text(measured: Measurement, path: str) -> str:
    """Lines of the spec with their time, then the whole."""
    from nnspec.cli.tables import memory, milliseconds, table, work

    total = sum(node.forward_ms for node in measured.nodes) or 1.0
    training = measured.backward is not None
    rows = []
    for node in measured.nodes:
        place = str(node.line) if node.path == path else f"{node.path}:{node.line}"
        attained = f"{work(node.flop_per_second)}FLOP/s" if node.flop else ""
        times = [milliseconds(node.forward_ms), f"{100 * node.forward_ms / total:.0f} %"]
        times += [milliseconds(node.backward_ms)] if training else []
        rows.append([place, node.module or node.name, node.operator, *times, attained, memory(node.output_bytes)])
    header = ["line", "name", "operator", "forward ms", "share", *(["backward ms"] if training else []), "attained", "memory"]
    sizes = ", ".join(f"{name}={size}" for name, size in measured.sizes.items())
    lines = [
        f"{measured.network} on {measured.device}, {measured.threads} threads, {sizes}",
        "",
        table(header, rows, (0, *range(3, len(header)))),
        "",
    ]
    parts = {"forward": measured.forward, "backward": measured.backward, "optimizer": measured.step}
    lines += [f"{name:<10}{_spread(part)}" for name, part in parts.items() if part is not None]
    lines.append(
        f"{'rate':<10}{measured.samples_per_second:,.0f} samples/s, {work(measured.flop_per_second)}FLOP/s in the forward pass"
    )
    saved = f", {memory(measured.saved_bytes)} kept for the backward pass" if measured.saved_bytes is not None else ""
    lines.append(f"{'memory':<10}{memory(measured.peak_bytes)} at most{saved}")
    return "\n".join(lines)


def _spread(part: Spread) -> str:
    from nnspec.cli.tables import milliseconds

    return f"{milliseconds(part.median)} ms ({milliseconds(part.least)} to {milliseconds(part.most)})"


def as_object(measured: Measurement) -> dict[str, Any]:
    """The measurement for programs."""
    spreads = {"forward": measured.forward, "backward": measured.backward, "step": measured.step}
    names = ("network", "device", "threads", "sizes", "batch", "flop", "peak_bytes", "saved_bytes", "samples_per_second")
    return {
        **{name: getattr(measured, name) for name in names},
        **{f"{name}_ms": part._asdict() if part is not None else None for name, part in spreads.items()},
        "nodes": [node._asdict() for node in measured.nodes],
    }
