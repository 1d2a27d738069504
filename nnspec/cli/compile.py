"""`nnspec compile`: from a spec to a network that runs, with proof that the passes kept its meaning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nnspec.cli.options import Json, Network, Path, Quiet, Settings, Sizes

if TYPE_CHECKING:
    from pathlib import Path as FilePath

    from torch.fx import GraphModule

    from nnspec.checker import Report
    from nnspec.diagnostics import Diagnostic
    from nnspec.graph.ir import Graph
    from nnspec.passes.base import PassReport

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
    network: Network = "",
    set_: Settings = [],  # noqa: B006
    with_: Sizes = [],  # noqa: B006
    seed: Annotated[int, typer.Option(help="Seed of the first weights.")] = 0,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Compile a network for inference.

    What was folded and fused is compared with the network as written, on random inputs.
    """
    from nnspec.cli.options import sizes
    from nnspec.cli.output import progress, say, show_json
    from nnspec.cli.subject import network as chosen
    from nnspec.cli.subject import sound_report

    report = sound_report(path, set_, with_, quiet=quiet)
    graph = chosen(report, network)

    from nnspec.torch_backend.compile import REPORTS, compile_graph
    from nnspec.torch_backend.equivalence import compare_graphs
    from nnspec.torch_backend.lower import lower

    module = compile_graph(graph, mode="inference", seed=seed, fused=True)
    difference = compare_graphs(graph, lower(graph, seed=seed), module, sizes=sizes(with_), tolerance=TOLERANCE)
    passes: list[PassReport] = list(module.meta[REPORTS])
    same = difference.within(TOLERANCE)
    broken = broken_claims(report, graph, module, sizes(with_), seed)
    if json:
        from nnspec.render.json import finding_object

        found = {"absolute": difference.absolute, "relative": difference.relative, "first": difference.first}
        claims = [finding_object(finding, finding.fingerprint) for finding in broken]
        show_json(
            {
                "network": graph.name, "passes": [each._asdict() for each in passes], "difference": found, "same": same,
                "findings": claims,
            }
        )  # fmt: skip
    else:
        say(describe_passes(graph.name, passes, explain=explain_fusion))
        say(f"compared with the network as written: largest difference {difference.relative:.1e} of the output")
        if not same:
            say(f"they differ, first at {difference.first}: please report it with the spec")
    if broken and not json:
        from nnspec.render import render

        say(render(broken, "full", files=1))
    if output and same:
        for written in write(graph, report, output, seed, sizes(with_)):
            progress(f"wrote {written}", quiet=quiet)
    return 70 if not same else 1 if broken else 0


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
