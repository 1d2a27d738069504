"""Findings of a proof, at their places in the spec. The same thing at the same place is said once, however many copies and sizes show it."""

from __future__ import annotations

from collections.abc import Iterable

from nnspec.codes import Severity
from nnspec.diagnostics import Diagnostic, Label, Span
from nnspec.graph.ir import Frame, Graph, Node
from nnspec.passes.base import describe

_HELP = "this is a mistake of nnspec, not of the spec: please report it with the spec"


class Findings:
    """What has been found so far, and how many errors there are since `begin`, those among them that stand already."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, int, int, str], Diagnostic] = {}
        self._errors: set[tuple[str, int, int, str]] = set()

    def begin(self) -> None:
        """Count errors from 0 on: another network begins, which may share its mistakes with those before."""
        self._errors = set()

    @property
    def errors(self) -> int:
        """How many places have an error since the last `begin`."""
        return len(self._errors)

    @property
    def all(self) -> tuple[Diagnostic, ...]:
        return tuple(self._found.values())

    def add(self, finding: Diagnostic, about: str = "") -> None:
        """Enter a finding, unless one about the same is there at this place."""
        key = (finding.span.source.path, finding.span.start, finding.span.end, about or finding.message)
        self._found.setdefault(key, finding)
        if finding.severity == "error":
            self._errors.add(key)

    def contradiction(
        self, message: str, span: Span, *, about: str, notes: Iterable[str] = (), labels: Iterable[Label] = (),
        frames: tuple[Frame, ...] = (), severity: Severity | None = None, help: str = _HELP,
    ) -> None:  # fmt: skip
        """NN504: running says something else than was inferred."""
        around = [f"in `{frame.name}`, used at {frame.span}" for frame in reversed(frames[-3:])]
        finding = Diagnostic(
            "NN504", message, span, labels=tuple(labels), notes=(*notes, *around), help=help if severity is None else None,
            severity_override=severity,
        )  # fmt: skip
        self.add(finding, about)

    def at_node(self, node: Node, message: str, *, about: str, notes: Iterable[str] = ()) -> None:
        """A contradiction at the place of a node, which the message calls `{}`."""
        named = message.replace("{}", f"`{describe(node)}`", 1)
        self.contradiction(named, node.origin, about=about, notes=notes, frames=node.frames)


def span_of(graph: Graph) -> Span:
    """The name of the item that a graph was built from."""
    assert graph.span is not None
    text = graph.span.text
    start = text.find(graph.name)
    if start < 0:
        return Span(graph.span.source, graph.span.start, min(graph.span.end, graph.span.start + len(text.partition("\n")[0])))
    return Span(graph.span.source, graph.span.start + start, graph.span.start + start + len(graph.name))
