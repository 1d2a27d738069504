"""`nnspec compile`: from a spec to a network that runs, with proof that the passes kept its meaning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from nnspec.cli.options import Json, Network, Quiet, Settings, Sizes, SpecOrRun

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path as FilePath

    from torch import Tensor
    from torch.fx import GraphModule

    from nnspec.checker import Report
    from nnspec.diagnostics import Diagnostic
    from nnspec.graph.ir import Graph
    from nnspec.passes.base import PassReport
    from nnspec.torch_backend.equivalence import Difference

_ENGINES = (
    "The engines to choose among, separated by commas: torch, fused, channels_last, onnxruntime, openvino (all that are installed, if left "
    "out); and inductor and aot_inductor, which call a C++ compiler for seconds to minutes, aot_inductor only the first time."
)
#: Share of the largest output by which the folded network may differ from the one that is written.
TOLERANCE = 1e-4


def run(
    source: SpecOrRun,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="DIR", help="Write the compiled network into this folder.")
    ] = "",
    explain_fusion: Annotated[
        bool, typer.Option("--explain-fusion", help="Say what was fused, and why the rest was not.")
    ] = False,
    batch: Annotated[
        int | None,
        typer.Option("--batch", metavar="N", min=1, show_default=False, help="Measure what runs N samples fastest, and use it."),
    ] = None,
    engine: Annotated[str, typer.Option("--engine", metavar="NAMES", help=_ENGINES)] = "",
    precision: Annotated[
        str, typer.Option("--precision", metavar="float32|bfloat16|int8", help="What may be computed in, with --batch.")
    ] = "float32",
    tolerance: Annotated[
        float | None,
        typer.Option(
            "--tolerance",
            metavar="SHARE",
            show_default=False,
            help="By how much of the largest output bfloat16 or int8 may be off; 0.02 and 0.1 if left out.",
        ),
    ] = None,
    network: Network = "",
    set_: Settings = [],  # noqa: B006
    with_: Sizes = [],  # noqa: B006
    seed: Annotated[int, typer.Option(help="Seed of the first weights.")] = 0,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Compile a network for inference.

    The network is that of a spec with fresh weights, or that of a run as it was trained. What was folded and fused is compared with the
    network as written, on random inputs or on samples of the run's data. With --batch, torch and the runtimes that are installed (ONNX
    Runtime, OpenVINO) are timed at these sizes, and what is measured is remembered.
    """
    from nnspec.cli.output import progress, say, show_json
    from nnspec.torch_backend.lower import lower

    asked = _asked(precision, tolerance, batch)
    subject = _subject(source, network, set_, with_, batch, quiet=quiet)
    graph = subject.graph
    at, module = _compiled(subject, batch, engine, seed, asked, told=lambda text: progress(text, quiet=quiet))
    difference = _difference(subject, lower(graph, seed=seed, state=subject.state), module, at, asked.tolerance)
    same = difference.within(asked.tolerance)
    broken = [] if subject.report is None else broken_claims(subject.report, graph, module, subject.given, seed)
    losses = _losses(subject)
    if json:
        show_json(_as_object(graph.name, module, difference, broken, losses, same=same))
    else:
        say(_as_text(graph.name, module, difference, broken, losses if explain_fusion else {}, explain=explain_fusion, same=same))
    if output and same:
        for written in write(subject, output, seed):
            progress(f"wrote {written}", quiet=quiet)
    return 70 if not same else 1 if broken else 0


class Subject(NamedTuple):
    """What is compiled: a network of a spec, whose `report` holds claims, or one of a run, with its `state` and samples of its data.
    `given` are the sizes that are fixed, `text` is the spec."""

    graph: Graph
    text: str
    report: Report | None
    state: Mapping[str, Tensor] | None
    given: dict[str, int]
    samples: list[tuple[Tensor, ...]]


def _subject(source: str, network: str, set_: list[str], with_: list[str], batch: int | None, *, quiet: bool) -> Subject:
    import os

    if os.path.isdir(source):
        return _of_run(source, network, [*set_, *with_], batch, quiet=quiet)
    from nnspec.cli.options import sizes
    from nnspec.cli.rewriting import written
    from nnspec.cli.subject import network as chosen
    from nnspec.cli.subject import sound_report

    report = sound_report(source, set_, with_, quiet=quiet)
    graph = chosen(report, network)
    # What --with fixes is a number in the graph already; what is left are the sizes of another network of the file.
    open_sizes = {symbol.name for symbol in graph.symbols}
    given = {name: size for name, size in sizes(with_).items() if name in open_sizes}
    assert report.file is not None  # a sound report has a tree
    return Subject(graph, written(report.file, yaml=False), report, None, given, [])


def _of_run(run: str, network: str, set_: list[str], batch: int | None, *, quiet: bool) -> Subject:
    from nnspec.cli.exports import context
    from nnspec.cli.output import progress
    from nnspec.errors import UsageError
    from nnspec.training import RunFolder
    from nnspec.training.calibration import network_inputs

    if set_:
        raise UsageError("a run is compiled as it is: for --set and --with name its spec")
    found = context(run, network, (), quiet=quiet)
    samples: list[tuple[Tensor, ...]] = []
    if batch is not None:
        folder = RunFolder.open(run)
        name = network or next(iter(folder.report().recipes[folder.manifest["recipe"]].instances))
        progress("reading samples of the run's data", quiet=quiet)
        samples = network_inputs(run, name, batch, _BATCHES)
    return Subject(found.graph, found.spec, None, found.state, {}, samples)


#: Batches of a run's data that results are compared and ranges are measured on.
_BATCHES = 9


def _compiled(subject: Subject, batch: int | None, engine: str, seed: int, asked: Asked,
              told: Callable[[str], None]) -> tuple[dict[str, int], GraphModule]:  # fmt: skip
    """The sizes at which the network is compared, and the network: by the fastest engine where a batch is given."""
    from nnspec.torch_backend.compile import batch_sizes, compile_graph

    graph, state = subject.graph, subject.state
    if batch is None:
        return subject.given, compile_graph(graph, mode="inference", state=state, seed=seed, fusion="fused")
    from nnspec.engines import compile_for

    at = {**batch_sizes(graph, batch), **subject.given}
    if subject.samples:
        shapes = {entry.name: each.shape for entry, each in zip(graph.inputs, subject.samples[0], strict=True)}
        at = {symbol.name: shapes[place.input][place.axis] for symbol, place in graph.symbols.items()}
    return at, compile_for(
        graph, at, state=state, seed=seed, engines=_engines(engine), precision=asked.precision, tolerance=asked.tolerance,
        calibration=subject.samples, told=told,
    )  # fmt: skip


def _difference(subject: Subject, reference: GraphModule, module: GraphModule, at: dict[str, int], allowed: float) -> Difference:
    """How far the network is from the one as written: on samples of a run's data, else on random inputs."""
    from nnspec.torch_backend.equivalence import compare, compare_graphs

    if not subject.samples:
        return compare_graphs(subject.graph, reference, module, sizes=at, tolerance=allowed)
    inputs = dict(zip((entry.name for entry in subject.graph.inputs), subject.samples[0], strict=True))
    return compare(reference, module, inputs, tolerance=allowed)


class Asked(NamedTuple):
    """What may be computed in, and by how much of the largest output results may be off."""

    precision: str
    tolerance: float


def _asked(precision: str, tolerance: float | None, batch: int | None) -> Asked:
    """What the options ask for. Raises UsageError."""
    from nnspec.errors import UsageError

    known = {"float32": "float32", "fp32": "float32", "bfloat16": "bfloat16", "bf16": "bfloat16", "int8": "int8"}
    if precision not in known:
        raise UsageError(f"--precision {precision}: it is float32, bfloat16 or int8")
    if known[precision] == "float32":
        if tolerance is not None:
            raise UsageError("--tolerance is for `--precision bfloat16` and `int8`: float32 has to agree")
        return Asked("float32", TOLERANCE)
    if batch is None:
        raise UsageError(f"--precision {known[precision]} needs `--batch N`: its error and its speed are measured on samples")
    if tolerance is not None and not 0 < tolerance < 1:
        raise UsageError(f"--tolerance {tolerance:g}: it is a share of the largest output, such as 0.01")
    from nnspec.engines.choice import TOLERANCES

    return Asked(known[precision], TOLERANCES[known[precision]] if tolerance is None else tolerance)


def _losses(subject: Subject) -> dict[str, list[PassReport]]:
    """What becomes of the losses of the recipes that train the network, by recipe."""
    from nnspec.passes.fuse_linear_loss import fuse_linear_loss

    recipes = {} if subject.report is None else subject.report.recipes
    return {
        name: list(fuse_linear_loss(recipe).reports)
        for name, recipe in recipes.items()
        if any(each.network == subject.graph.name for each in recipe.instances.values())
    }


def _as_object(
    name: str,
    module: GraphModule,
    difference: Difference,
    broken: list[Diagnostic],
    losses: dict[str, list[PassReport]],
    *,
    same: bool,
) -> dict[str, Any]:
    from dataclasses import asdict

    from nnspec.engines.compiled import DECISION
    from nnspec.render.json import finding_object
    from nnspec.torch_backend.compile import REPORTS

    decision = module.meta.get(DECISION)
    return {
        "network": name, "passes": [each._asdict() for each in module.meta[REPORTS]], "same": same,
        "training": {recipe: [each._asdict() for each in reports] for recipe, reports in losses.items()},
        "difference": {"absolute": difference.absolute, "relative": difference.relative, "first": difference.first},
        "findings": [finding_object(finding, finding.fingerprint) for finding in broken],
        "engine": None if decision is None else asdict(decision),
    }  # fmt: skip


def _as_text(
    name: str, module: GraphModule, difference: Difference, broken: list[Diagnostic], losses: dict[str, list[PassReport]], *,
    explain: bool, same: bool,
) -> str:  # fmt: skip
    from nnspec.engines.compiled import DECISION
    from nnspec.torch_backend.compile import REPORTS

    lines = [describe_passes(name, list(module.meta[REPORTS]), explain=explain)]
    for recipe, reports in losses.items():
        lines += [
            f"trained by {recipe}:" if reports else f"trained by {recipe}: no cross-entropy to fuse",
            *map(_explained, reports),
        ]
    if DECISION in module.meta:
        lines += module.meta[DECISION].lines()
    lines.append(f"compared with the network as written: {difference.told()}")
    if not same:
        lines.append(f"they differ, first at {difference.first}: please report it with the spec")
    if broken:
        from nnspec.render import render

        lines.append(render(broken, "full", files=1))
    return "\n".join(lines)


def _engines(given: str) -> list[str] | None:
    """The engines that are named, None for all. Raises UsageError for a name that there is not."""
    if not given:
        return None
    from nnspec.engines import ENGINES
    from nnspec.errors import UsageError

    names = [name.strip() for name in given.split(",")]
    unknown = [name for name in names if name not in ENGINES]
    if unknown:
        raise UsageError(f"--engine {unknown[0]}: there is {', '.join(f'`{name}`' for name in ENGINES)}")
    return names


def broken_claims(report: Report, graph: Graph, module: GraphModule, sizes: dict[str, int], seed: int) -> list[Diagnostic]:
    """The claims of `ensure` on the network's behaviour that running it refutes."""
    from nnspec.proving.claims import broken

    tested = [broken(claim, report, graph, module, sizes, seed) for claim in report.behaviours if claim.network == graph.name]
    return [finding for finding in tested if finding is not None]


def write(subject: Subject, folder: str, seed: int) -> list[FilePath]:
    """The compiled network as a program of torch.export, and its weights with the spec. Each is loaded back and compared."""
    from pathlib import Path

    from nnspec.exporting import EXPORTERS, TARGETS, ExportContext

    Path(folder).mkdir(parents=True, exist_ok=True)
    done = []
    for target in ("pt2", "safetensors"):
        path = Path(folder, f"{subject.graph.name}{TARGETS[target].suffix}")
        given = ExportContext(subject.graph, path, subject.text, sizes=subject.given, seed=seed, state=subject.state, folded=True)
        done.append(EXPORTERS[target](given).path)
    return done


def describe_passes(name: str, passes: list[PassReport], *, explain: bool) -> str:
    """What the passes did, by pass; with `explain`, each node, and what was left alone."""
    done = [each for each in passes if each.done]
    counts: dict[str, int] = {}
    for each in done:
        counts[each.pass_name] = counts.get(each.pass_name, 0) + 1
    lines = [
        f"compiled {name}: " + (", ".join(f"{pass_name} {count}" for pass_name, count in counts.items()) or "nothing to fold")
    ]
    if explain:
        lines += map(_explained, sorted(passes, key=lambda each: (each.line, each.node)))
    return "\n".join(lines)


def _explained(each: PassReport) -> str:
    return f"  line {each.line}: {each.node}: {'' if each.done else 'left as it is: '}{each.reason} [{each.pass_name}]"
