"""`nnspec compile`: from a spec to a network that runs, with proof that the passes kept its meaning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnspec.cli.options import Json, Network, Path, Quiet, Settings, Sizes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path as FilePath

    from torch.fx import GraphModule

    from nnspec.checker import Report
    from nnspec.diagnostics import Diagnostic
    from nnspec.graph.ir import Graph
    from nnspec.passes.base import PassReport
    from nnspec.torch_backend.equivalence import Difference

#: Share of the largest output by which the folded network may differ from the one that is written.
TOLERANCE = 1e-4


def run(
    path: Path,
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
    engine: Annotated[
        str, typer.Option("--engine", metavar="NAMES", help="The engines to choose among, separated by commas.")
    ] = "",
    precision: Annotated[
        str, typer.Option("--precision", metavar="float32|bfloat16", help="What may be computed in, with --batch.")
    ] = "float32",
    tolerance: Annotated[
        float | None,
        typer.Option(
            "--tolerance",
            metavar="SHARE",
            show_default=False,
            help="By how much of the largest output bfloat16 may be off; 0.02 if left out.",
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

    What was folded and fused is compared with the network as written, on random inputs. With --batch, torch and the runtimes that are
    installed (ONNX Runtime, OpenVINO) are timed at these sizes, and what is measured is remembered.
    """
    from nnspec.cli.options import sizes
    from nnspec.cli.output import progress, say, show_json
    from nnspec.cli.subject import network as chosen
    from nnspec.cli.subject import sound_report

    report = sound_report(path, set_, with_, quiet=quiet)
    graph = chosen(report, network)
    # What --with fixes is a number in the graph already; what is left are the sizes of another network of the file.
    open_sizes = {symbol.name for symbol in graph.symbols}
    given = {name: size for name, size in sizes(with_).items() if name in open_sizes}

    from nnspec.torch_backend.equivalence import compare_graphs
    from nnspec.torch_backend.lower import lower

    rounding = _rounding(precision, tolerance, batch)
    at, module = _compiled(graph, given, batch, engine, seed, rounding, told=lambda text: progress(text, quiet=quiet))
    allowed = TOLERANCE if rounding is None else rounding
    difference = compare_graphs(graph, lower(graph, seed=seed), module, sizes=at, tolerance=allowed)
    same = difference.within(allowed)
    broken = broken_claims(report, graph, module, given, seed)
    if json:
        show_json(_as_object(graph.name, module, difference, broken, same=same))
    else:
        say(_as_text(graph.name, module, difference, broken, explain=explain_fusion, same=same))
    if output and same:
        for written in write(graph, report, output, seed, given):
            progress(f"wrote {written}", quiet=quiet)
    return 70 if not same else 1 if broken else 0


def _compiled(graph: Graph, given: dict[str, int], batch: int | None, engine: str, seed: int, rounding: float | None,
              told: Callable[[str], None]) -> tuple[dict[str, int], GraphModule]:  # fmt: skip
    """The sizes at which the network is compared, and the network: by the fastest engine where a batch is given."""
    from nnspec.torch_backend.compile import batch_sizes, compile_graph

    if batch is None:
        return given, compile_graph(graph, mode="inference", seed=seed, fusion="fused")
    from nnspec.engines import compile_for

    at = {**batch_sizes(graph, batch), **given}
    precision = "float32" if rounding is None else "bfloat16"
    return at, compile_for(graph, at, seed=seed, engines=_engines(engine), precision=precision, tolerance=rounding, told=told)


def _rounding(precision: str, tolerance: float | None, batch: int | None) -> float | None:
    """By how much results may be off through rounding to bfloat16; None in float32. Raises UsageError."""
    from nnspec.errors import UsageError

    known = {"float32": "float32", "fp32": "float32", "bfloat16": "bfloat16", "bf16": "bfloat16"}
    if precision not in known:
        raise UsageError(f"--precision {precision}: it is float32 or bfloat16")
    if known[precision] == "float32":
        if tolerance is not None:
            raise UsageError("--tolerance is for `--precision bfloat16`: float32 has to agree")
        return None
    if batch is None:
        raise UsageError("--precision bfloat16 needs `--batch N`: its error and its speed are measured on samples")
    if tolerance is not None and not 0 < tolerance < 1:
        raise UsageError(f"--tolerance {tolerance:g}: it is a share of the largest output, such as 0.01")
    from nnspec.engines.choice import TOLERANCES

    return TOLERANCES["bfloat16"] if tolerance is None else tolerance


def _as_object(name: str, module: GraphModule, difference: Difference, broken: list[Diagnostic], *, same: bool) -> dict[str, Any]:
    from dataclasses import asdict

    from nnspec.engines.compiled import DECISION
    from nnspec.render.json import finding_object
    from nnspec.torch_backend.compile import REPORTS

    decision = module.meta.get(DECISION)
    return {
        "network": name, "passes": [each._asdict() for each in module.meta[REPORTS]], "same": same,
        "difference": {"absolute": difference.absolute, "relative": difference.relative, "first": difference.first},
        "findings": [finding_object(finding, finding.fingerprint) for finding in broken],
        "engine": None if decision is None else asdict(decision),
    }  # fmt: skip


def _as_text(
    name: str, module: GraphModule, difference: Difference, broken: list[Diagnostic], *, explain: bool, same: bool
) -> str:
    from nnspec.engines.compiled import DECISION
    from nnspec.torch_backend.compile import REPORTS

    lines = [describe_passes(name, list(module.meta[REPORTS]), explain=explain)]
    if DECISION in module.meta:
        lines += module.meta[DECISION].lines()
    lines.append(f"compared with the network as written: largest difference {difference.relative:.1e} of the output")
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


def write(graph: Graph, report: Report, folder: str, seed: int, sizes: dict[str, int]) -> list[FilePath]:
    """The compiled network as a program of torch.export, and its weights with the spec. Each is loaded back and compared."""
    from pathlib import Path

    from nnspec.cli.rewriting import written
    from nnspec.exporting import EXPORTERS, TARGETS, ExportContext

    assert report.file is not None  # a sound report has a tree
    Path(folder).mkdir(parents=True, exist_ok=True)
    spec, done = written(report.file, yaml=False), []
    for target in ("pt2", "safetensors"):
        path = Path(folder, f"{graph.name}{TARGETS[target].suffix}")
        done.append(EXPORTERS[target](ExportContext(graph, path, spec, sizes=sizes, seed=seed)).path)
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
        lines += [
            f"  line {each.line}: {each.node}: {'' if each.done else 'left as it is: '}{each.reason} [{each.pass_name}]"
            for each in sorted(passes, key=lambda each: (each.line, each.node))
        ]
    return "\n".join(lines)
