"""Expressions, chains and steps of a tree as parts of a YAML file. What YAML cannot spell better stays text of `.nn`."""

from __future__ import annotations

from typing import Final

from nnspec.syntax import tree
from nnspec.syntax.node import Comments
from nnspec.syntax.writer import StatementWriter, comments_of
from nnspec.syntax.writer_document import Part, layout
from nnspec.syntax.yaml_words import STEP_KEYS
from nnspec.syntax.yaml_writer_blocks import WIDTH, Block, Pair, Text

_ENDLESS: Final = 1 << 30
_DEPTH: Final = 8
"""How deep steps are held by steps as blocks; deeper ones are text, as YAML is read to a limited depth only."""


class StepWriter:
    """Makes texts and blocks of nodes; `hoisted` collects comments that have no place in YAML, for the statement around."""

    def __init__(self) -> None:
        self.hoisted: list[str] = []
        self._depth = 0

    # --- texts

    def text(self, node: tree.Expression) -> Text:
        """An expression on one line; with comments in it, on several. The comments around it are the caller's."""
        writer = StatementWriter(as_written=True)
        return self.laid(writer, writer.bare(node, True))

    def laid(self, writer: StatementWriter, doc: Part) -> Text:
        """A document as a text, without the comments that the writer could not place."""
        text, _ = layout(doc, _ENDLESS)
        if "\n" in text:
            text, _ = layout(doc, WIDTH - 10)
        self.hoisted += writer.hoisted
        writer.hoisted.clear()
        return Text(text)

    def hoist(self, comments: Comments, *, inside: bool = True) -> None:
        """Hand comments to the statement."""
        self.hoisted += comments.leading
        self.hoisted += () if comments.trailing is None else (comments.trailing,)
        self.hoisted += comments.inside if inside else ()

    def value(self, node: tree.Expression) -> Text | Block:
        """A chain as a list, anything else as text. The node's own comments are the caller's."""
        if not isinstance(node, tree.Pipeline):
            return self.text(node)
        self.hoisted += node.comments.inside
        return Block([self._head(node.head), *map(self._step, node.steps)], is_list=True)

    def _head(self, node: tree.Expression) -> Pair:
        self.hoisted += node.comments.leading
        function = node.function if isinstance(node, tree.Call) else None
        is_maker = isinstance(function, tree.Name) and function.id[:1].isupper()
        value = self._call(node) if is_maker and isinstance(node, tree.Call) else None
        return Pair(None, value or self.text(node), (), node.comments.trailing)

    # --- steps

    def _step(self, node: tree.Expression) -> Pair:
        return Pair(None, self.step(node), node.comments.leading, node.comments.trailing)

    def step(self, node: tree.Expression) -> Text | Block:
        """A step: a name, or a mapping with its arguments. Its own comments are the caller's."""
        ends: list[Pair] = []
        inner = node
        if isinstance(node, tree.Named):
            if node.comments.inside or comments_of(node.path):
                return self.text(node)
            writer = StatementWriter(as_written=True)
            ends.append(Pair("as", self.laid(writer, writer.path(node.path))))
            inner = node.value
        taken = ""
        while isinstance(inner, tree.Member) and _is_quiet(inner, node) and not comments_of(inner.name):
            taken = f".{inner.name.id}{taken}"
            inner = inner.value
        if taken:
            ends.insert(0, Pair("take", Text(taken)))
        if not _is_quiet(inner, node):
            return self.text(node)
        block = self._call(inner) if isinstance(inner, tree.Call) else None
        if block is None and not taken and self._depth < _DEPTH:
            self._depth += 1
            block = self._control(inner)
            self._depth -= 1
        if block is None:
            return self.text(node)
        block.pairs += ends
        return block

    def _call(self, node: tree.Call) -> Block | None:
        """`{Conv2d: [64, 7], stride: 2}`; None if this cannot be said so."""
        function = _dotted(node.function)
        named = self._named(node.arguments)
        if function is None or named is None or not node.arguments or node.comments.inside:
            return None
        if function in STEP_KEYS or function in (pair.key for pair in named):
            return None
        return Block([Pair(function, self._positional(node.arguments)), *named])

    def _positional(self, arguments: tuple[tree.Argument, ...]) -> Text | Block:
        values = [self._argument(argument.value) for argument in arguments if argument.name is None]
        if len(values) == 1 and isinstance(values[0], Text):
            return values[0]
        return Block([Pair(None, value) for value in values], is_list=True)

    def _named(self, arguments: tuple[tree.Argument, ...]) -> list[Pair] | None:
        """The named arguments, None where their order, their names or comments stand against it."""
        pairs: dict[str, Pair] = {}
        for argument in arguments:
            if comments_of(argument):
                return None
            if argument.name is None:
                if pairs:
                    return None
            elif argument.name.id in STEP_KEYS or argument.name.id in pairs:
                return None
            else:
                pairs[argument.name.id] = Pair(argument.name.id, self._argument(argument.value))
        return list(pairs.values())

    def _argument(self, node: tree.Expression) -> Text | Block:
        """An argument; a list of values is one in YAML, too."""
        if isinstance(node, tree.List) and not comments_of(node):
            return Block([Pair(None, self._argument(item)) for item in node.items], is_list=True)
        return self.text(node)

    # --- steps that hold steps

    def _control(self, node: tree.Expression) -> Block | None:
        """A step that holds steps; None if it is none."""
        pairs: list[Pair]
        if isinstance(node, tree.Group):
            return Block([Pair("group", Text("")), Pair("do", self._grouped(node))])
        if isinstance(node, tree.Repeat):
            head = "" if node.variable is None else f"{node.variable.id} in "
            if node.variable is not None:
                self.hoist(node.variable.comments)
            self.hoist(node.count.comments, inside=False)
            pairs = [Pair("repeat", Text(head + self.text(node.count).text))]
        elif isinstance(node, tree.OptionalStep):
            self.hoist(node.test.comments, inside=False)
            pairs = [Pair("if", self.text(node.test))]
        elif isinstance(node, tree.Scan):
            named = self._named(node.arguments)
            if named is None:
                return None
            positional = [argument for argument in node.arguments if argument.name is None]
            pairs = [Pair("scan", self._positional(node.arguments) if positional else Text("")), *named]
        else:
            return None
        return Block([*pairs, Pair("do", self._body(node.body, node.comments.inside))])

    def _body(self, body: tree.Expression, inside: tuple[str, ...]) -> Block:
        """The steps between braces."""
        if not isinstance(body, tree.Pipeline):
            return Block([self._step(body)], is_list=True, inside=inside)
        leading, trailing, ends = body.comments
        self.hoisted += ends
        pairs = [self._step(body.head), *map(self._step, body.steps)]
        pairs[0].leading = (*leading, *pairs[0].leading)
        if pairs[-1].trailing is None:
            pairs[-1].trailing = trailing
        elif trailing is not None:
            self.hoisted.append(trailing)
        return Block(pairs, is_list=True, inside=inside)

    def _grouped(self, node: tree.Group) -> Block:
        """The steps between parentheses, which are no anchor of comments themselves."""
        inner = node.inner
        self.hoist(inner.comments, inside=isinstance(inner, tree.Pipeline))
        if not isinstance(inner, tree.Pipeline):
            return Block([Pair(None, self.step(inner))], is_list=True, inside=node.comments.inside)
        self.hoisted += inner.head.comments.leading
        pairs = [Pair(None, self.step(inner.head), (), inner.head.comments.trailing), *map(self._step, inner.steps)]
        return Block(pairs, is_list=True, inside=node.comments.inside)


def _is_quiet(node: tree.Expression, outer: tree.Expression) -> bool:
    """Whether no comments stand around a node within another one."""
    return node is outer or not (node.comments.leading or node.comments.trailing is not None)


def _dotted(node: tree.Expression) -> str | None:
    """`Conv2d`, `vae.decoder`; None if it is no such name, or has comments in it."""
    parts: list[str] = []
    while isinstance(node, tree.Member):
        if comments_of(node):
            return None
        parts.append(node.name.id)
        node = node.value
    if not isinstance(node, tree.Name) or comments_of(node):
        return None
    return ".".join((node.id, *reversed(parts)))
