"""`nnspec profile`: what a training step or a forward pass costs, by line of the spec."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnspec.cli.options import Device, Json, Network, Quiet, Recipe, Settings, Sizes, SpecOrRun

if TYPE_CHECKING:
    from nnspec.cli.costed import Costed
    from nnspec.profiling.measure import Measurement
    from nnspec.profiling.memory_estimate import MemoryEstimate


def run(
    source: SpecOrRun,
    batch: Annotated[
        int | None, typer.Option(min=1, show_default=False, help="Samples in a batch; else the recipe's batch_size, or 8.")
    ] = None,
    training: Annotated[
        bool | None,
        typer.Option(
            "--training/--inference", show_default=False, help="A training step, which is the default, or a forward pass."
        ),
    ] = None,
    vs: Annotated[
        str, typer.Option("--vs", metavar="eager|compile", help="Beside it: the network as written, or under torch.compile.")
    ] = "",
    fit: Annotated[
        str, typer.Option("--fit", metavar="SIZE|free", help="Only count the largest batch that fits: 8GiB, or what is free.")
    ] = "",
    trace: Annotated[str, typer.Option("--trace", metavar="FILE", help="Write a Chrome trace of one step.")] = "",
    html: Annotated[str, typer.Option("--html", metavar="FILE", help="Write a page with pictures.")] = "",
    nodes: Annotated[bool, typer.Option("--nodes", help="Show each node, not each line.")] = False,
    repeats: Annotated[int, typer.Option(min=1, help="How many runs to take the median of.")] = 10,
    recipe: Recipe = "",
    network: Network = "",
    device: Device = "auto",
    set_: Settings = [],  # noqa: B006  (Typer copies it)
    with_: Sizes = [],  # noqa: B006
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Measure time and memory, by line of the spec.

    Where the spec has a recipe, its training step is measured on random data: its losses and its optimizer. Else, or with --network, a
    network by itself: a forward pass and a synthetic backward pass. Each line is held against what the device attains, measured here.
    """
    from nnspec.cli.costed import costed
    from nnspec.cli.output import one_of, progress, say, show_json

    one_of("--device", device, ("auto", "cpu", "cuda"))
    one_of("--vs", vs, ("", "eager", "compile"))
    subject = costed(source, recipe, network, set_, with_, training=training, batch=batch, quiet=quiet)
    if fit:
        return _fit(subject, fit, device, json=json)
    estimate = subject.estimate.at({subject.symbol: subject.batch} if subject.symbol is not None else {})

    from nnspec.cli.profiled import measured
    from nnspec.profiling.brought import NOTE

    progress(f"measuring {subject.name}, {repeats} runs", quiet=quiet)
    found = measured(subject, device, repeats=repeats, vs=vs, trace=trace)
    notes = (*found.notes, *estimate.notes, *((NOTE,) if subject.brought else ()))
    if html:
        from pathlib import Path

        from nnspec.profiling.page import page

        Path(html).write_text(page(found, estimate, subject.texts, notes), encoding="utf-8")
    if json:
        show_json(as_object(found, estimate, notes))
        return 0
    from nnspec.cli.profile_tables import as_text

    say(as_text(found, estimate, subject.path, notes, by_node=nodes))
    for what, path in (("trace", trace), ("page", html)):
        if path:
            say(f"{what:<10}{path}")
    return 0


def _fit(subject: Costed, text: str, device: str, *, json: bool) -> int:
    """The largest batch that fits, from the formulas alone."""
    from nnspec.cli.memory_sizes import free_bytes, read_bytes
    from nnspec.cli.output import say, show_json
    from nnspec.cli.tables import memory
    from nnspec.errors import UsageError
    from nnspec.profiling.memory_estimate import largest_batch

    if subject.symbol is None:
        raise UsageError(f"`{subject.name}` has no batch to be made larger: its data are one whole")
    budget = free_bytes(device) if text == "free" else read_bytes("--fit", text)
    largest = largest_batch(subject.estimate, subject.symbol, budget)
    peaks = {number: subject.estimate.peak({subject.symbol: number})[0] for number in {1, largest or 1}}
    if json:
        what = {"name": subject.name, "budget_bytes": budget, "largest_batch": largest}
        show_json({**what, "peak_bytes": {str(number): peak for number, peak in sorted(peaks.items())}, "notes": subject.notes})
        return 0 if largest else 1
    kind = "a training step" if subject.training else "a forward pass"
    say(f"{subject.name}, {kind}, in {memory(budget)}")
    say(f"{'one':<10}{memory(peaks[1])} with a batch of one sample")
    if largest is None:
        say(f"{'fits':<10}no batch: one sample is too much; `nnspec plan` shows what several devices would need")
        return 1
    say(f"{'fits':<10}a batch of {largest:,} samples, with {memory(peaks[largest])} at most")
    for note in subject.notes:
        say(f"{'note':<10}{note}")
    return 0


def as_object(measured: Measurement, estimate: MemoryEstimate, notes: tuple[str, ...] = ()) -> dict[str, Any]:
    """The measurement for programs."""
    spreads = {"forward": measured.forward, "backward": measured.backward, "step": measured.step}
    names = (
        "network",
        "device",
        "threads",
        "sizes",
        "batch",
        "flop",
        "peak_bytes",
        "saved_bytes",
        "samples_per_second",
        "launch_ms",
    )
    roofline = measured.roofline
    return {
        **{name: getattr(measured, name) for name in names},
        "launch_bound": measured.launch_bound,
        **{f"{name}_ms": part._asdict() if part is not None else None for name, part in spreads.items()},
        "roofline": roofline._asdict(),
        "lines": [
            {
                "path": line.path, "line": line.line, "operators": line.operators, "names": line.names, "forward_ms": line.forward_ms,
                "backward_ms": line.backward_ms, "optimizer_ms": line.optimizer_ms, "flop": line.flop, "moved_bytes": line.moved_bytes,
                "output_bytes": line.output_bytes, "parameter_bytes": line.parameter_bytes, "bound": line.bound(roofline),
                "share_of_attainable": line.share_of_attainable(roofline),
            }
            for line in measured.by_line()
        ],
        "nodes": [node._asdict() for node in measured.nodes],
        "memory": memory_object(measured, estimate),
        "others": {name: _whole(other) for name, other in measured.others.items()},
        "notes": list(notes),
    }  # fmt: skip


def memory_object(measured: Measurement, estimate: MemoryEstimate) -> dict[str, Any]:
    """The timeline of memory as measured, and the estimate beside it."""
    from nnspec.dims import evaluate

    peak, moment = estimate.peak()
    at = measured.recording.peak_at
    parts = ("weights", "gradients", "optimizer", "inputs", "activations")
    return {
        "measured_bytes": measured.peak_bytes,
        "measured_at": {"phase": at.phase, **({"path": at.origin.path, "line": at.origin.line} if at.origin else {})}
        if at
        else None,
        "estimated_bytes": peak,
        "estimated_at": {"phase": moment.phase, **({"line": moment.node.origin.line} if moment.node is not None else {})},
        "error": peak / measured.peak_bytes - 1 if measured.peak_bytes else None,
        "estimated_parts": {name: evaluate(getattr(estimate, name), {}) for name in parts},
        "timeline": [{"ns": at_, "bytes": held, "phase": each.phase} for at_, held, each in measured.recording.timeline()],
    }


def _whole(whole: Any) -> dict[str, Any]:
    parts = {"forward": whole.forward, "backward": whole.backward, "step": whole.optimizer}
    return {f"{name}_ms": part._asdict() if part is not None else None for name, part in parts.items()}
