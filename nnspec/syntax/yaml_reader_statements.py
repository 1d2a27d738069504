"""Statements of a YAML file: what their keys say, and the short and the spelled-out form of their values."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from nnspec.diagnostics import Span
from nnspec.similar import nearest
from nnspec.syntax import tree
from nnspec.syntax.nn_parser import parse_type
from nnspec.syntax.node import Comments
from nnspec.syntax.yaml_reader_nodes import Entry, Value
from nnspec.syntax.yaml_reader_steps import StepReader, taken_trailing
from nnspec.syntax.yaml_words import EACH, STATEMENT_KEYS, TYPE_WORDS, WORDS

_KEY: Final = re.compile(r"([^\W\d]\w*)(?:[ \t]+([^\W\d]\w*(?:\s*,\s*[^\W\d]\w*)*)|((?:\s*,\s*[^\W\d]\w*)+))?\s*(=)?\Z")
_WORD: Final = re.compile(r"([^\W\d]\w*)\s+(?=\S)")
_MESSAGE: Final = re.compile(r',\s*("(?:\\.|[^"\\\n])*")\s*\Z')
_KEYS_HELP: Final = "a statement has " + ", ".join(f"`{key}`" for key in STATEMENT_KEYS)
_PIECE: Final = re.compile(r"[^\W\d]\w*")


class Key(NamedTuple):
    """`[word] name, ...`, or `word expression`. `alone`: a single name, which may be a word."""

    word: tree.Name | None
    names: tuple[tree.Name, ...]
    value: tree.Expression | None = None
    alone: bool = False

    def before(self, value: Value) -> Key:
        """What the key says before a value: with `values` in it, a single name is a word."""
        if not self.alone or not (self.names[0].id in WORDS or (value.kind == "mapping" and _has(value, "values"))):
            return self
        return Key(self.names[0], ())


class StatementReader(StepReader):
    """Reads statements and bodies."""

    # --- keys

    def key(self, entry: Entry) -> Key | None:
        """What a key says; None if it says nothing, which is reported."""
        key = entry.key
        assert key is not None
        region = self.scalars.region(key)
        text = region.text.strip()
        shift = len(region.text) - len(region.text.lstrip())
        found = _KEY.match(text)
        if found is None:
            return self._key_with_value(key)
        names: list[tree.Name] = []
        for piece in _PIECE.finditer(text):
            name = self.named(piece.group(), self.scalars.span(region.part(shift + piece.start(), shift + piece.end())), key)
            if name is None:
                return None
            names.append(name)
        if found[2] is not None:
            return Key(names[0], tuple(names[1:]))
        return Key(None, tuple(names), None, len(names) == 1 and found[4] is None)

    def _key_with_value(self, key: Value) -> Key | None:
        """`step critic(every=5)`"""
        region = self.scalars.region(key)
        found = _WORD.match(region.text)
        if found is None:
            shown = key.text if len(key.text) <= 40 else key.text[:37] + "..."
            self.report(f"`{shown}` is no statement", key, help="a key is `word name`, `name`, or `word`")
            return None
        word = self.named(found[1], self.scalars.span(region.part(0, found.end(1))), key)
        value = self.scalars.expression(region.part(found.end()))
        return None if word is None else Key(word, (), value)

    # --- statements

    def statements(self, entry: Entry) -> list[tree.Statement]:
        """What a pair of a body spells: one statement, or those that share its key."""
        key = self.key(entry)
        if key is None:
            self.scalars.extra += self.unclaimed(entry)
            span = self.span(entry.start, max(entry.value.end, entry.start))
            return [tree.Statement(span, values=(tree.Broken(span),))]
        value = entry.value
        if value.kind == "mapping" and len(value.entries) == 1 and _has(value, EACH):
            return self._each(entry, key, value.entries[0])
        return [self.statement(entry, key)]

    def _each(self, entry: Entry, key: Key, each: Entry) -> list[tree.Statement]:
        if each.value.kind != "sequence":
            self.report("`each` holds a list: one value for each statement", each.value)
            return []
        statements: list[tree.Statement] = []
        for member in each.value.entries:
            if not statements:
                member.leading[:0] = [*entry.leading, *_texts(entry.opening), *each.leading, *_texts(each.opening)]
                entry.opening = each.opening = None
                entry.leading.clear()
                each.leading.clear()
            statements.append(self.statement(member, key))
        if statements:
            last = statements[-1]
            trailing = last.comments.trailing or taken_trailing(entry) or taken_trailing(each)
            last.comments = Comments((*last.comments.leading, *self.unclaimed(entry)), trailing)
        return statements

    def statement(self, entry: Entry, key: Key) -> tree.Statement:
        """One statement. Comments that found no better place stand above it."""
        outer, self.scalars.extra = self.scalars.extra, []
        value = entry.value
        key = key.before(value)
        span = self.span(entry.start, max(value.end, entry.start))
        if value.kind == "mapping" and self._is_spelled_out(value):
            node = self._spelled_out(key, value, span)
        elif value.is_empty and key.word is not None:
            node = tree.Statement(span, key.word, (), None, self._said(key))
        elif value.kind == "scalar" and key.names and key.word is not None and key.word.id in TYPE_WORDS:
            node = tree.Statement(span, key.word, key.names, self._type(value))
        else:
            node = tree.Statement(span, key.word, key.names, None, (self.expression(value),))
        self._comment(node, entry)
        self.scalars.extra = outer
        return node

    def _said(self, key: Key) -> tuple[tree.Expression, ...]:
        """The values of a statement that stands in its key: `step critic`, `step critic(every=5)`."""
        return key.names if key.value is None else (key.value,)

    def _comment(self, node: tree.Statement, entry: Entry) -> None:
        leading = [*entry.leading]
        entry.leading.clear()
        trailing = taken_trailing(entry)
        if trailing is None and entry.key is None and entry.value.kind == "mapping" and entry.value.entries:
            trailing = taken_trailing(entry.value.entries[0])
        last = _last_step(node)
        if last is not None and last.comments.trailing is not None:
            if trailing is not None:
                leading.append(trailing)
            trailing = last.comments.trailing
            last.comments = last.comments._replace(trailing=None)
        node.comments = Comments((*leading, *self.scalars.extra, *self.unclaimed(entry)), trailing)

    def _is_spelled_out(self, value: Value) -> bool:
        """Whether a mapping has keys of a statement; one that has none of them is a step."""
        return not value.entries or any(_has(value, key) for key in STATEMENT_KEYS)

    def _spelled_out(self, key: Key, value: Value, span: Span) -> tree.Statement:
        parts = {entry.key.text: entry for entry in self.pairs(value) if entry.key is not None}
        for name, entry in parts.items():
            if name not in STATEMENT_KEYS and entry.key is not None:
                similar = nearest(name, STATEMENT_KEYS)
                help = f"`{similar}` is one" if similar else _KEYS_HELP
                self.report(f"a statement has no `{name}`", entry.key, help=help)
        kind = self._type(parts["type"].value) if "type" in parts else None
        values: tuple[tree.Expression, ...] = ()
        if "value" in parts:
            values = (self.expression(parts["value"].value),)
            if "values" in parts:
                self.report("`values` beside `value`", parts["values"].value)
        elif "values" in parts:
            values = self._values(parts["values"].value)
        names = key.names
        if key.value is not None or (key.word is not None and names and kind is None and not values):
            names = ()
            if key.value is not None and values:
                self.report("a value in the key and another one below it", parts["value" if "value" in parts else "values"].value)
            values = self._said(key)
        origin = self.expression(parts["from"].value) if "from" in parts else None
        conditions = self._conditions(parts["where"].value) if "where" in parts else ()
        body = self.body(parts["with"]) if "with" in parts else None
        return tree.Statement(span, key.word, names, kind, values, origin, conditions, body)

    def _values(self, value: Value) -> tuple[tree.Expression, ...]:
        if value.kind != "sequence":
            return (self.expression(value),)
        return tuple(self.expression(entry.value) for entry in value.entries)

    def _type(self, value: Value) -> tree.Type:
        if value.kind != "scalar" or value.refused or value.is_empty:
            if not value.refused:
                help = 'a type that begins with a bracket stands in quotes: "[int]"' if value.kind == "sequence" else None
                self.report("expected a type", value, help=help, fix=self.quote(value))
            return tree.Type(self.span(value.start, value.end), "")
        return self.scalars.read(self.scalars.region(value), parse_type)

    # --- conditions

    def _conditions(self, value: Value) -> tuple[tree.Condition, ...]:
        if value.kind != "sequence":
            return (self._condition(value),)
        conditions = []
        for entry in value.entries:
            condition = self._condition(entry.value)
            condition.comments = Comments(tuple(entry.leading), entry.trailing)
            entry.leading.clear()
            entry.trailing = None
            conditions.append(condition)
        return tuple(conditions)

    def _condition(self, value: Value) -> tree.Condition:
        """`D % heads == 0, "width {D} must be a multiple of {heads}"`"""
        span = self.span(value.start, value.end)
        if value.kind != "scalar" or value.refused or value.is_empty:
            return tree.Condition(span, self.held(self.expression(value)), None)
        region = self.scalars.region(value)
        found = _MESSAGE.search(region.text)
        test = self.held(self.scalars.expression(region if found is None else region.part(0, found.start())))
        message: tree.Expression | None = None
        if found is not None:
            message = self.scalars.expression(region.part(found.start(1), found.end(1)))
        return tree.Condition(span, test, message if isinstance(message, tree.String) else None)

    # --- bodies

    def body(self, entry: Entry) -> tree.Body:
        """What stands below `with`: a mapping of statements, or a list of such mappings."""
        value = entry.value
        body = tree.Body(self.span(value.start, value.end), tuple(self.members(value)))
        trailing = entry.opening if entry.opening is not None else entry.trailing
        entry.opening = entry.trailing = None
        body.comments = Comments((), trailing, self.inside(value))
        return body

    def inside(self, value: Value) -> tuple[str, ...]:
        """The comments at the end of a block that holds statements, or lists of them."""
        texts: list[str] = []
        if value.kind == "sequence" and value.entries:
            texts += self.unclaimed(value.entries[-1])
        texts += value.inside
        value.inside.clear()
        return tuple(texts)

    def members(self, value: Value, skipped: tuple[str, ...] = ()) -> list[tree.Statement]:
        """The statements of a mapping, or of a list of mappings."""
        if value.kind == "sequence":
            return self._chunks(value)
        if value.kind == "scalar":
            if not value.is_empty and not value.refused:
                self.report("expected statements: a mapping", value)
            return []
        statements: list[tree.Statement] = []
        for pair in self.pairs(value):
            if self._findings.is_full:
                break
            if pair.key is not None and pair.key.text not in skipped:
                statements += self.statements(pair)
        return statements

    def _chunks(self, value: Value) -> list[tree.Statement]:
        statements: list[tree.Statement] = []
        before: list[str] = []
        for entry in value.entries:
            chunk = entry.value
            before += [*entry.leading, *_texts(entry.opening)]
            entry.leading.clear()
            entry.opening = None
            if chunk.kind == "mapping" and chunk.entries:
                chunk.entries[0].leading[:0] = before
                before = []
            if chunk.kind == "mapping":
                statements += self.members(chunk)
            elif not chunk.refused:
                self.report("expected a mapping of statements", chunk)
            if entry is not value.entries[-1]:
                before += self.unclaimed(entry)
        value.inside[:0] = before
        return statements


def _has(value: Value, name: str) -> bool:
    return any(entry.key is not None and entry.key.kind == "scalar" and entry.key.text == name for entry in value.entries)


def _texts(text: str | None) -> list[str]:
    return [] if text is None else [text]


def _last_step(node: tree.Statement) -> tree.Expression | None:
    """The step at the end of a statement, whose comment at the end of the line is that of the statement."""
    if node.body is not None or node.conditions or node.origin is not None or not node.values:
        return None
    value = node.values[-1]
    return value.steps[-1] if isinstance(value, tree.Pipeline) else None
