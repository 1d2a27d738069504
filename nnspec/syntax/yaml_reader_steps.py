"""Expressions and chains of a YAML file: a scalar is an expression, a sequence a chain, a mapping a step with arguments."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from nnspec.diagnostics import Edit, Fix, Label, Source, Span
from nnspec.syntax import tree
from nnspec.syntax.characters import strange_name
from nnspec.syntax.limits import NAME_LIMIT
from nnspec.syntax.node import Comments
from nnspec.syntax.table import load
from nnspec.syntax.yaml_reader_nodes import Entry, Findings, Value
from nnspec.syntax.yaml_reader_scalars import Scalars
from nnspec.syntax.yaml_words import CONTROLS, STEP_KEYS

_EACH: Final = re.compile(r"\s*([A-Za-z_]\w*)\s+in\b")
_TAKE: Final = re.compile(r"\s*((?:\.[A-Za-z_]\w*)+)\s*\Z", re.ASCII)
_NAME: Final = re.compile(r"[^\W\d]\w*\Z")
_DOTTED: Final = re.compile(r"[^\W\d]\w*(\s*\.\s*[^\W\d]\w*)*\Z")


class StepReader:
    """Reads values. Whatever is wrong is reported, and stands in the tree as `Broken`."""

    def __init__(self, source: Source, findings: Findings) -> None:
        self._source = source
        self._findings = findings
        self.scalars = Scalars(source, findings)
        self.has_comments = True

    def report(self, message: str, value: Value, label: str = "", help: str | None = None, fix: Fix | None = None) -> None:
        """A finding on a value, NN013."""
        end = value.end if value.kind == "scalar" or value.flow else value.start + 1
        self._findings.report("NN013", message, value.start, end, label, help=help, fix=fix)

    def span(self, start: int, end: int) -> Span:
        return Span(self._source, start, end)

    def broken(self, value: Value) -> tree.Broken:
        return tree.Broken(self.span(value.start, value.end))

    # --- expressions

    def expression(self, value: Value) -> tree.Expression:
        """A value that stands for an expression."""
        if value.kind == "sequence":
            return self.chain(value)
        if value.kind == "mapping":
            step = self._step_of(value)
            if isinstance(step, tree.Repeat | tree.Scan | tree.OptionalStep):
                self.report("a step where a value has to stand", value, help="put it into a list, after what it is applied to")
            return step
        return self.text(value)

    def text(self, value: Value) -> tree.Expression:
        """A scalar as an expression."""
        if value.refused:
            return self.broken(value)
        if value.is_empty:
            self.report("nothing stands where a value has to", value)
            return self.broken(value)
        return self.scalars.expression(self.scalars.region(value))

    def held(self, node: tree.Expression) -> tree.Expression:
        """In parentheses, if it would not hold together: what stands for a part of something looser."""
        if isinstance(node, tree.Conditional | tree.Pipeline):
            return tree.Group(node.span, node)
        return node

    def chain(self, value: Value) -> tree.Expression:
        """A list: the head, then steps. A list of one is that one."""
        if not value.entries:
            self.report("an empty list where a value has to stand", value, help='the empty list is written "[]", in quotes')
            return self.broken(value)
        first, *rest = value.entries
        if first.value.kind == "sequence":
            self.report("a list where the head of a chain has to stand", first.value, help=_LIST_HELP)
        head = self.broken(first.value) if first.value.kind == "sequence" else self.expression(first.value)
        if not rest:
            return head
        head = self.held(head)
        head.comments = Comments((), taken_trailing(first), head.comments.inside)
        steps = tuple(self._member(entry) for entry in rest)
        return tree.Pipeline(self.span(head.span.start, steps[-1].span.end), head, steps)

    def _member(self, entry: Entry) -> tree.Expression:
        """A step of a chain, with the comments of its entry."""
        step = self.step(entry.value)
        leading = [*entry.leading]
        entry.leading.clear()
        trailing = taken_trailing(entry)
        for pair in entry.value.entries if entry.value.kind == "mapping" else ():
            leading += pair.leading
            pair.leading.clear()
            text = taken_trailing(pair)
            if trailing is None:
                trailing = text
            elif text is not None:
                leading.append(text)
        return _commented(step, (*leading, *self.unclaimed(entry)), trailing)

    def unclaimed(self, entry: Entry) -> list[str]:
        """The comments of an entry and of all below it that no node has taken, in order. They count as taken from now on."""
        found: list[str] = []
        stack: list[Entry | Value] = [entry] if self.has_comments else []
        while stack:
            current = stack.pop()
            if isinstance(current, Value):
                found += current.inside
                current.inside.clear()
                continue
            found += current.leading
            found += [text for text in (current.opening, current.trailing) if text is not None]
            current.leading.clear()
            current.opening = current.trailing = None
            stack.append(current.value)
            stack.extend(reversed(current.value.entries))
        return found

    # --- steps

    def step(self, value: Value) -> tree.Expression:
        """What may stand after `->`."""
        if value.kind == "mapping":
            return self._step_of(value)
        if value.kind == "sequence":
            self.report("a list where a step has to stand", value, help=_LIST_HELP)
            return self.broken(value)
        if value.refused or value.is_empty:
            return self.text(value)
        return self.scalars.step(self.scalars.region(value))

    def _step_of(self, value: Value) -> tree.Expression:
        """`{Conv2d: [64, 7], stride: 2, as: conv1}`"""
        pairs = self.pairs(value)
        if not pairs:
            self.report("an empty mapping where a step has to stand", value)
            return self.broken(value)
        span = self.span(value.start, value.end)
        special = {entry.key.text: entry for entry in pairs[1:] if entry.key is not None and entry.key.text in STEP_KEYS}
        first = pairs[0]
        assert first.key is not None
        if first.key.text in CONTROLS and "do" in special:
            step = self._control(first, special.pop("do"), pairs[1:], span)
        else:
            step = self._call(first, pairs[1:], span)
        take, name = special.pop("take", None), special.pop("as", None)
        if take is not None:
            step = self._take(step, take.value, span)
        if name is not None and self._is_text(name.value):
            step = tree.Named(span, step, self.scalars.path(self.scalars.region(name.value)))
        for entry in special.values():
            self.report(f"`{first.key.text}` holds no steps", entry.value, help="`do` goes with " + ", ".join(CONTROLS))
        return step

    def _is_text(self, value: Value) -> bool:
        if value.kind == "scalar" and not value.refused and not value.is_empty:
            return True
        if not value.refused:
            self.report("expected text", value)
        return False

    def _call(self, first: Entry, rest: list[Entry], span: Span) -> tree.Expression:
        assert first.key is not None
        arguments = (*self._positional(first.value), *self._named(rest))
        function = self._function(first.key)
        if first.value.is_empty and not arguments:
            return function
        return tree.Call(span, function, arguments)

    def _function(self, key: Value) -> tree.Expression:
        """The name of what is applied, perhaps with dots."""
        if not _DOTTED.match(key.text.strip()):
            help = "a step is a name, or {Name: arguments}"
            self.report(f"`{key.text[:40]}` is no name of an operator or block", key, help=help)
            return self.broken(key)
        return self.scalars.expression(self.scalars.region(key))

    def _positional(self, value: Value) -> Iterator[tree.Argument]:
        if value.kind == "sequence":
            for entry in value.entries:
                item = self._argument(entry.value)
                yield tree.Argument(item.span, None, item)
        elif not value.is_empty:
            item = self._argument(value)
            yield tree.Argument(item.span, None, item)

    def _named(self, entries: list[Entry]) -> Iterator[tree.Argument]:
        for entry in entries:
            assert entry.key is not None
            if entry.key.text in STEP_KEYS:
                continue
            name = self.name(entry.key, reserved=False)
            value = self._argument(entry.value)
            if name is not None:
                yield tree.Argument(self.span(name.span.start, value.span.end), name, value)

    def _argument(self, value: Value) -> tree.Expression:
        """A list among the arguments of a step is a list of values, not a chain."""
        if value.kind != "sequence":
            return self.expression(value)
        items = tuple(self._argument(entry.value) for entry in value.entries)
        return tree.List(self.span(value.start, value.end), items)

    def _take(self, step: tree.Expression, value: Value, span: Span) -> tree.Expression:
        """`.last`: the output that goes on."""
        found = _TAKE.match(value.text) if value.kind == "scalar" else None
        if found is None or not isinstance(step, tree.Call | tree.Name | tree.Member):
            self.report("`take` is written `.name`, and stands beside an operator or block", value)
            return step
        region = self.scalars.region(value)
        place = found.start(1)
        for name in found[1][1:].split("."):
            part = self.scalars.span(region.part(place + 1, place + 1 + len(name)))
            step = tree.Member(span, step, tree.Name(part, name))
            place += 1 + len(name)
        return step

    # --- steps that hold steps

    def _control(self, first: Entry, do: Entry, rest: list[Entry], span: Span) -> tree.Expression:
        assert first.key is not None
        word = first.key.text
        if word != "scan":
            for entry in rest:
                if entry.key is not None and entry.key.text not in STEP_KEYS:
                    self.report(f"`{word}` has no `{entry.key.text}`", entry.key)
        if word == "group":
            if not first.value.is_empty:
                self.report("`group` has no value of its own", first.value, help="{group: , do: [steps], as: name}")
            return self._inside(tree.Group(span, self._body(do, grouped=True)), do)
        if word == "scan":
            arguments = (*self._positional(first.value), *self._named(rest))
            return self._inside(tree.Scan(span, arguments, self._body(do)), do)
        if word == "if":
            return self._inside(tree.OptionalStep(span, self.held(self.expression(first.value)), self._body(do)), do)
        variable, count = self._repetition(first.value)
        return self._inside(tree.Repeat(span, variable, count, self._body(do)), do)

    def _inside(self, node: tree.Expression, do: Entry) -> tree.Expression:
        node.comments = Comments(inside=tuple(do.value.inside))
        do.value.inside.clear()
        return node

    def _repetition(self, value: Value) -> tuple[tree.Name | None, tree.Expression]:
        """`depth`, or `width in widths`."""
        if value.kind != "scalar" or value.refused or value.is_empty:
            return None, self.held(self.expression(value))
        region = self.scalars.region(value)
        found = _EACH.match(region.text)
        if found is None or found[1] in load().keywords:
            return None, self.held(self.scalars.expression(region))
        name = tree.Name(self.scalars.span(region.part(found.start(1), found.end(1))), found[1])
        return name, self.held(self.scalars.expression(region.part(found.end())))

    def _body(self, do: Entry, *, grouped: bool = False) -> tree.Expression:
        """The steps of `do`: one, or a chain whose head is a step."""
        value = do.value
        if value.kind != "sequence":
            return self.step(value)
        if not value.entries:
            self.report("`do` holds no step", value)
            return self.broken(value)
        steps = [self._member(entry) for entry in value.entries]
        leading = () if do.opening is None else (do.opening,)
        do.opening = None
        if len(steps) == 1:
            return _commented(steps[0], (*leading, *steps[0].comments.leading), steps[0].comments.trailing)
        head, last = steps[0], steps[-1]
        chain = tree.Pipeline(self.span(head.span.start, last.span.end), head, tuple(steps[1:]))
        if grouped:
            self.scalars.extra += (*leading, *head.comments.leading)
            _commented(head, (), head.comments.trailing)
            return chain
        _commented(chain, (*leading, *head.comments.leading), last.comments.trailing)
        _commented(head, (), head.comments.trailing)
        _commented(last, last.comments.leading, None)
        return chain

    # --- mappings and names

    def pairs(self, value: Value) -> list[Entry]:
        """The pairs of a mapping whose keys are plain and different."""
        if value.pairs is not None:
            return value.pairs
        seen: dict[str, Value] = {}
        kept = value.pairs = []
        for entry in value.entries:
            key = entry.key
            if key is None or key.kind != "scalar" or key.refused:
                if key is not None and not key.refused:
                    self.report("a key that is no text", key, help="a key is a name, or a word and a name")
                continue
            name = " ".join(key.text.replace(",", " , ").split())
            if name == "<<":
                self._findings.report("NN012", "a merge key", key.start, key.end, "not allowed in a spec", help=_MERGE_HELP)
            elif name in seen:
                self._duplicate(name, seen[name], key)
            else:
                seen[name] = key
                kept.append(entry)
        return kept

    def _duplicate(self, name: str, first: Value, second: Value) -> None:
        labels = (Label(self.span(first.start, first.end), "first here"),)
        help = "statements of one word share a key: {each: [first, second]}"
        message = f"the key `{name if len(name) <= 40 else name[:37] + '...'}` stands twice"
        self._findings.report("NN011", message, second.start, second.end, "and again", labels=labels, help=help)

    def name(self, key: Value, *, reserved: bool = True) -> tree.Name | None:
        """A key that is one name."""
        region = self.scalars.region(key)
        return self.named(key.text.strip(), self.scalars.span(region), key, reserved=reserved)

    def named(self, text: str, span: Span, key: Value, *, reserved: bool = True) -> tree.Name | None:
        """A name within a key; None if it is not one, which is reported."""
        shown = text if len(text) <= 40 else text[:37] + "..."
        if not _NAME.match(text):
            self.report(f"`{shown}` is no name", key, help="names have the letters a to z, A to Z, digits and `_`")
            return None
        if not text.isascii() or len(text) > NAME_LIMIT:
            self._findings.take([strange_name(text, [span])])
        if reserved and text in load().keywords:
            self.report(f"`{text}` is a reserved word, not a name", key)
            return None
        return tree.Name(span, text)

    def quote(self, value: Value) -> Fix | None:
        """Put a flow list on one line into quotes."""
        text = self._source.text[value.start : value.end]
        if '"' in text or "\n" in text or not value.flow:
            return None
        return Fix("put it in quotes", (Edit(self.span(value.start, value.end), f'"{text}"'),))


_MERGE_HELP: Final = "write the pairs out"
_LIST_HELP: Final = 'a list of values is written in quotes: "[64, 128]"; steps in steps are {group: , do: [...]}'


def _commented(node: tree.Expression, leading: tuple[str, ...], trailing: str | None) -> tree.Expression:
    node.comments = Comments(leading, trailing, node.comments.inside)
    return node


def taken_trailing(entry: Entry) -> str | None:
    """The comment at the end of an entry, or of its first line; it counts as taken from now on."""
    text = entry.trailing if entry.trailing is not None else entry.opening
    if entry.trailing is not None:
        entry.trailing = None
    else:
        entry.opening = None
    return text
