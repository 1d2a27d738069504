"""`nnspec plan`: memory, communication and time on many devices, without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnspec.cli.options import Json, Network, Quiet, Recipe, Settings, Sizes, SpecOrRun
from nnspec.errors import UsageError

if TYPE_CHECKING:
    from nnspec.cli.costed import Costed
    from nnspec.profiling.plan import Device, Plan, Way


def run(
    path: SpecOrRun,
    gpus: Annotated[str, typer.Option("--gpus", metavar="N,N,...", help="Numbers of devices to plan for.")] = "1,2,4,8",
    gpu: Annotated[
        str, typer.Option("--gpu", metavar="NAME", help="Which device: H100, A100, L4, ...; `--gpu list` shows them.")
    ] = "H100",
    memory: Annotated[str, typer.Option("--memory", metavar="SIZE", help="Memory of a device, such as 80GiB, instead.")] = "",
    tflops: Annotated[
        float, typer.Option(min=0, metavar="TFLOP/S", help="What its products attain at best, instead.", show_default=False)
    ] = 0,
    bandwidth: Annotated[float, typer.Option(min=0, metavar="GB/S", help="Of its memory, instead.", show_default=False)] = 0,
    link: Annotated[
        float, typer.Option(min=0, metavar="GB/S", help="From one device to others, instead.", show_default=False)
    ] = 0,
    efficiency: Annotated[float, typer.Option(min=0.01, max=1, help="The share of the best that a training attains.")] = 0.4,
    reserve: Annotated[float, typer.Option(min=0, max=0.9, help="The share of the memory that is left free.")] = 0.1,
    precision: Annotated[str, typer.Option(metavar="float32|bfloat16|float16", help="Of products; else the recipe's.")] = "",
    batch: Annotated[
        int | None, typer.Option(min=1, show_default=False, help="Samples of each device; else the recipe's batch_size, or 8.")
    ] = None,
    recipe: Recipe = "",
    network: Network = "",
    set_: Settings = [],  # noqa: B006  (Typer copies it)
    with_: Sizes = [],  # noqa: B006
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Plan a training on many devices: memory and time.

    For one device, and for several with DDP, FSDP and tensor parallelism: memory of each, bytes that each sends in a step, time of a step,
    and the largest batch. All of it is counted from the spec; `docs/guide/profiling.md` has the formulas.
    """
    from nnspec.cli.costed import costed
    from nnspec.cli.output import say, show_json
    from nnspec.profiling.plan import plan
    from nnspec.recipes.in_parts import not_in_parts

    if gpu == "list":
        say(_devices())
        return 0
    subject = costed(path, recipe, network, set_, with_, training=True, batch=batch, quiet=quiet)
    device = _device(subject, gpu, memory, (tflops, bandwidth, link), efficiency, precision)
    instead = {"precision": precision} if precision else {}
    whole = not_in_parts(subject.recipe, **instead) if subject.recipe is not None else ""
    found = plan(subject.step, subject.symbol, subject.batch, device, _numbers(gpus), reserve, whole)
    if json:
        show_json(as_object(subject, device, found))
    else:
        say(as_text(subject, device, found, reserve))
    return 0 if found.best is not None else 1


def _numbers(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts or not all(part.isdecimal() and int(part) for part in parts):
        raise UsageError(f"--gpus {text}: write numbers of devices, such as 1,2,4,8")
    return [int(part) for part in parts]


def _device(
    subject: Costed, name: str, memory: str, own: tuple[float, float, float], efficiency: float, precision: str
) -> Device:  # fmt: skip
    """The device of the table, with what the command line says instead."""
    from nnspec.cli.memory_sizes import read_bytes
    from nnspec.cli.output import one_of
    from nnspec.profiling.accelerators import ACCELERATORS
    from nnspec.profiling.plan import Device

    one_of("--gpu", name, ACCELERATORS)
    one_of("--precision", precision, ("", "float32", "bfloat16", "float16"))
    used = precision or (str(subject.recipe.settings.get("precision", "float32")) if subject.recipe is not None else "float32")
    tflops, bandwidth, link = own
    device = Device.of(ACCELERATORS[name], used, efficiency)
    return device._replace(
        name=f"{name} in {used}",
        memory=read_bytes("--memory", memory) if memory else device.memory,
        flop_per_second=tflops * 1e12 * efficiency if tflops else device.flop_per_second,
        bytes_per_second=bandwidth * 1e9 if bandwidth else device.bytes_per_second,
        link=link * 1e9 if link else device.link,
    )


def _devices() -> str:
    from nnspec.cli.tables import table
    from nnspec.profiling.accelerators import ACCELERATORS

    rows = [
        [each.name, f"{each.memory / 1e9:.0f}", f"{each.float32 / 1e12:.1f}", f"{each.bits16 / 1e12:.1f}", f"{each.bandwidth / 1e9:,.0f}",
         f"{each.link / 1e9:.0f}"]
        for each in ACCELERATORS.values()
    ]  # fmt: skip
    return table(["device", "GB", "float32 TFLOP/s", "16 bits TFLOP/s", "memory GB/s", "link GB/s"], rows, range(1, 6))


def as_text(subject: Costed, device: Device, found: Plan, reserve: float) -> str:
    """A row for each way, then what is recommended."""
    from nnspec.cli.tables import memory, milliseconds, number, table, work
    from nnspec.dims import evaluate

    kind = f"a batch of {subject.batch} on each" if subject.symbol is not None else "the whole of its data"
    work_ = found.work
    lines = [
        f"{subject.name} on {device.name}, {memory(int(device.memory))} of memory each, {100 * reserve:.0f} % left free; {kind}",
        f"{number(evaluate(subject.step.parameters, {}))} parameters, {work(work_.flop)}FLOPs and {memory(work_.moved)} moved in a step",
        "",
    ]
    header = ["gpus", "how", "memory each", "fits", "sent", "step ms", "samples/s", "largest batch"]
    rows = []
    for way in found.ways:
        if way.why_not:
            rows.append([str(way.ranks), way.name, "", "no", "", "", "", ""])
            continue
        largest = _largest(way, subject)
        rows.append([
            str(way.ranks), way.name, memory(way.memory), "yes" if way.fits else "no", memory(way.sent) if way.sent else "",
            milliseconds(1000 * way.seconds), f"{way.samples_per_second:,.0f}", largest,
        ])  # fmt: skip
    lines += [table(header, rows, (0, 2, 4, 5, 6, 7)), ""]
    lines += _recommended(found, device, reserve)
    refused: dict[tuple[str, str], list[str]] = {}
    for way in found.ways:
        if way.why_not:
            refused.setdefault((way.name, way.why_not), []).append(str(way.ranks))
    lines += [f"{'note':<10}{name} on {', '.join(ranks)}: {why}" for (name, why), ranks in refused.items()]
    return "\n".join([*lines, *(f"{'note':<10}{note}" for note in subject.notes)])


def _largest(way: Way, subject: Costed) -> str:
    from nnspec.profiling.memory_estimate import MOST_SAMPLES

    if subject.symbol is None:
        return ""
    return "any" if way.largest == MOST_SAMPLES else f"{way.largest:,}" if way.largest else "none"


def _recommended(found: Plan, device: Device, reserve: float) -> list[str]:
    from nnspec.cli.tables import memory, milliseconds

    if found.best is None:
        least = min((way for way in found.ways if not way.why_not), key=lambda way: way.memory)
        budget = memory(int(device.memory * (1 - reserve)))
        return [
            f"{'none fits':<10}the least is {memory(least.memory)} on each of {least.ranks} ({least.name}), and {budget} are there:",
            f"{'':<10}a smaller --batch, more --gpus, a larger --gpu",
        ]
    best = found.best
    on = "one device" if best.ranks == 1 else f"{best.ranks} devices with {best.name}"
    return [
        f"{'take':<10}{on}: {milliseconds(1000 * best.seconds)} ms a step, {best.samples_per_second:,.0f} samples/s, "
        f"{memory(best.memory)} each"
    ]  # fmt: skip


def as_object(subject: Costed, device: Device, found: Plan) -> dict[str, Any]:
    """The plan for programs."""
    from nnspec.dims import evaluate

    estimate = found.estimate
    parts = ("weights", "gradients", "optimizer", "inputs", "activations", "parameters")
    return {
        "name": subject.name, "batch": subject.batch, "sizes": subject.sizes, "device": device._asdict(),
        "flop": found.work.flop, "moved_bytes": found.work.moved,
        "memory": {name: evaluate(getattr(estimate, name), {}) for name in parts} | {"peak": estimate.peak()[0]},
        "ways": [{**way._asdict(), "samples_per_second": way.samples_per_second} for way in found.ways],
        "best": {"name": found.best.name, "ranks": found.best.ranks} if found.best is not None else None,
        "notes": list(subject.notes),
    }  # fmt: skip
