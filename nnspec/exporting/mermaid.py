"""Flow charts for Mermaid, as Markdown pages show them."""

from __future__ import annotations

from collections.abc import Iterator

from nnspec.atomic import write_atomic
from nnspec.exporting.base import ExportContext, ExportResult
from nnspec.exporting.diagram import Box, Group, diagram
from nnspec.graph.ir import Graph

_SHAPES = {"input": ("([", "])"), "output": ("([", "])"), "layer": ("[", "]"), "function": ("(", ")")}


def export(context: ExportContext) -> ExportResult:
    """Write the chart. There is nothing to compare."""
    write_atomic(context.path, chart(context.graph))
    return ExportResult(context.path, None)


def chart(graph: Graph) -> str:
    """The network as Mermaid text."""
    drawn = diagram(graph)
    lines = ["flowchart TD", *_group(drawn.root, "", 1)]
    lines += [f'    {arrow.source} -- "{_escape(arrow.text)}" --> {arrow.target}' for arrow in drawn.arrows]
    return "\n".join(lines) + "\n"


def _group(group: Group, id: str, depth: int) -> Iterator[str]:
    indent = "    " * depth
    for box in group.boxes:
        yield indent + _box(box)
    for number, inner in enumerate(group.groups.values()):
        inner_id = f"{id}g{number}_"
        yield f'{indent}subgraph {inner_id}["{_escape(inner.title)}"]'
        yield from _group(inner, inner_id, depth + 1)
        yield f"{indent}end"


def _box(box: Box) -> str:
    before, after = _SHAPES[box.kind]
    text = _escape(box.title) + (f"<br/><small>{_escape(box.detail)}</small>" if box.detail else "")
    return f'{box.id}{before}"{text}"{after}'


def _escape(text: str) -> str:
    for character, entity in (("&", "#amp;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;")):
        text = text.replace(character, entity)
    return text
