"""Graphs for Graphviz."""

from __future__ import annotations

from collections.abc import Iterator

from nnspec.atomic import write_atomic
from nnspec.exporting.base import ExportContext, ExportResult
from nnspec.exporting.diagram import Box, Group, diagram
from nnspec.graph.ir import Graph

_STYLES = {
    "input": 'shape=ellipse, style=filled, fillcolor="#e8f0fe"', "output": 'shape=ellipse, style=filled, fillcolor="#e6f4ea"',
    "layer": "shape=box", "function": 'shape=box, style="rounded"',
}  # fmt: skip


def export(context: ExportContext) -> ExportResult:
    """Write the graph. There is nothing to compare."""
    write_atomic(context.path, digraph(context.graph))
    return ExportResult(context.path, None)


def digraph(graph: Graph) -> str:
    """The network as DOT text."""
    drawn = diagram(graph)
    lines = [f"digraph {_quoted(graph.name)} {{", '    node [fontname="Helvetica", fontsize=11];']
    lines += ['    edge [fontname="Helvetica", fontsize=9];', *_group(drawn.root, "", 1)]
    lines += [f"    {arrow.source} -> {arrow.target} [label={_quoted(arrow.text)}];" for arrow in drawn.arrows]
    return "\n".join([*lines, "}"]) + "\n"


def _group(group: Group, id: str, depth: int) -> Iterator[str]:
    indent = "    " * depth
    for box in group.boxes:
        yield indent + _box(box)
    for number, inner in enumerate(group.groups.values()):
        inner_id = f"{id}{number}_"
        yield f"{indent}subgraph cluster_{inner_id} {{"
        yield f"{indent}    label={_quoted(inner.title)};"
        yield from _group(inner, inner_id, depth + 1)
        yield f"{indent}}}"


def _box(box: Box) -> str:
    label = box.title + (f"\n{box.detail}" if box.detail else "")
    return f"{box.id} [label={_quoted(label)}, {_STYLES[box.kind]}];"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
