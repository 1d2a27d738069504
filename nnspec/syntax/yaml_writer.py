"""The tree as YAML: `write_yaml`. Statements and items; `grammar/yaml.md` describes the form.

`parse_yaml(write_yaml(tree))` gives the same tree. Comments are written where YAML can hold them; those that stand within an
expression make it a literal block; none is lost.
"""

from __future__ import annotations

from collections import Counter

from nnspec.syntax import tree
from nnspec.syntax.writer import StatementWriter, comments_of
from nnspec.syntax.writer_expressions import quoted
from nnspec.syntax.yaml_words import EACH, ITEM_KEYS, TYPE_WORDS, WORDS
from nnspec.syntax.yaml_writer_blocks import Block, Pair, Text, written
from nnspec.syntax.yaml_writer_steps import StepWriter

_KEY_LIMIT = 80


def write_yaml(file: tree.File) -> str:
    """The YAML twin of a spec."""
    writer = _FileWriter()
    pairs = writer.items(file.items)
    leading, trailing, inside = file.comments
    inside = (*(() if trailing is None else (trailing,)), *inside, *writer.hoisted)
    if pairs:
        pairs[0].leading = (*leading, *pairs[0].leading)
    else:
        inside = (*leading, *inside)
    return written(pairs, inside)


class _StatementWriter(StepWriter):
    """Makes pairs of statements."""

    def body(self, node: tree.Body) -> Block:
        """The statements of a body: a mapping, or a list of mappings where keys would stand twice."""
        self.hoisted += node.comments.leading
        return _chunked(self._statements(node.statements), node.comments.inside)

    def _statements(self, nodes: tuple[tree.Statement, ...]) -> list[Pair]:
        """A pair for each statement; neighbours with one key share it."""
        pairs: list[Pair] = []
        for node in nodes:
            pair = self._statement(node)
            if not pairs or pairs[-1].key != pair.key:
                pairs.append(pair)
                continue
            before = pairs[-1]
            if not _is_each(before.value):
                member = Pair(None, before.value, before.leading, before.trailing)
                pairs[-1] = before = Pair(before.key, Block([Pair(EACH, Block([member], is_list=True))]))
            assert isinstance(before.value, Block)
            each = before.value.pairs[0].value
            assert isinstance(each, Block)
            each.pairs.append(Pair(None, pair.value, pair.leading, pair.trailing))
        return pairs

    def _statement(self, node: tree.Statement) -> Pair:
        around, self.hoisted = self.hoisted, []
        for name in (node.word, *node.names):
            if name is not None:
                self.hoist(name.comments)
        key, said = self._key(node)
        spelled = self._spelled_out(node, said)
        short = self._short(node, spelled.pairs[0]) if len(spelled.pairs) == 1 and not said else None
        comments = node.comments
        leading = (*comments.leading, *comments.inside, *self.hoisted)
        self.hoisted = around
        return Pair(key, short or spelled, leading, comments.trailing)

    def _key(self, node: tree.Statement) -> tuple[str, bool]:
        """The key, and whether it holds the values, as in `step critic(every=5)`."""
        names = ", ".join(name.id for name in node.names)
        if node.word is None:
            return (f"{names} =" if names in WORDS else names), False
        if node.names:
            return f"{node.word.id} {names}", False
        if node.body is not None and len(node.values) == 1 and not comments_of(node.values[0]):
            value = node.values[0]
            if isinstance(value, tree.Name) or (isinstance(value, tree.Call) and isinstance(value.function, tree.Name)):
                text = f"{node.word.id} {self.text(value).text}"
                if len(text) <= _KEY_LIMIT:
                    return text, True
        return node.word.id, False

    def _short(self, node: tree.Statement, pair: Pair) -> Text | Block | None:
        """What stands directly behind the key, None if that would be read in another way."""
        is_type = node.word is not None and node.word.id in TYPE_WORDS and bool(node.names)
        if pair.key == "type":
            return pair.value if is_type else None
        if pair.key != "value" or (is_type and isinstance(pair.value, Text)):
            return None
        return pair.value

    def _spelled_out(self, node: tree.Statement, said: bool) -> Block:
        pairs: list[Pair] = []
        if node.type is not None:
            writer = StatementWriter(as_written=True)
            pairs.append(Pair("type", self.laid(writer, writer.type(node.type))))
        if not said:
            pairs += self._values(node)
        if node.origin is not None:
            self.hoist(node.origin.comments, inside=False)
            pairs.append(Pair("from", self.text(node.origin)))
        if node.conditions:
            pairs.append(Pair("where", self._where(node.conditions)))
        if node.body is not None:
            pairs.append(Pair("with", self.body(node.body), (), node.body.comments.trailing))
        return Block(pairs, flows=False)

    def _values(self, node: tree.Statement) -> list[Pair]:
        for value in node.values:
            self.hoist(value.comments, inside=False)
        is_word = node.word is not None and not node.names
        if len(node.values) == 1 and (not is_word or (node.word is not None and node.word.id in WORDS)):
            return [Pair("value", self.value(node.values[0]))]
        if not is_word and not node.values:
            return []
        make = self.value if len(node.values) == 1 else self.text
        return [Pair("values", Block([Pair(None, make(value)) for value in node.values], is_list=True))]

    def _where(self, conditions: tuple[tree.Condition, ...]) -> Text | Block:
        pairs = []
        for condition in conditions:
            self.hoist(condition.test.comments, inside=False)
            self.hoisted += condition.comments.inside
            text = self.text(condition.test).text
            if condition.message is not None:
                self.hoist(condition.message.comments)
                text += ", " + quoted(condition.message.value)
            pairs.append(Pair(None, Text(text), condition.comments.leading, condition.comments.trailing))
        if len(pairs) == 1 and not pairs[0].leading and pairs[0].trailing is None:
            return pairs[0].value
        return Block(pairs, is_list=True)


class _FileWriter(_StatementWriter):
    """Makes pairs of items."""

    def items(self, nodes: tuple[tree.Version | tree.Use | tree.Item, ...]) -> list[Pair]:
        """A pair for each item, neighbouring imports in one; members of a list where keys would stand twice."""
        pairs: list[Pair] = []
        for node in nodes:
            around, self.hoisted = self.hoisted, []
            pair = self._item_pair(node)
            pair.leading = (*pair.leading, *self.hoisted)
            self.hoisted = around
            if isinstance(node, tree.Use) and pairs and pairs[-1].key == "use":
                before = pairs[-1]
                if isinstance(before.value, Text):
                    member = Pair(None, before.value, before.leading, before.trailing)
                    pairs[-1] = before = Pair("use", Block([member], is_list=True, flows=False))
                assert isinstance(before.value, Block)
                before.value.pairs.append(Pair(None, pair.value, pair.leading, pair.trailing))
            else:
                pairs.append(pair)
        if _is_unique(pairs):
            return pairs
        return [Pair(None, Block([pair], flows=False)) for pair in pairs]

    def _item_pair(self, node: tree.Version | tree.Use | tree.Item) -> Pair:
        leading = (*node.comments.leading, *node.comments.inside)
        if isinstance(node, tree.Version):
            self.hoist(node.number.comments)
            return Pair("spec", Text(node.number.text), leading, node.comments.trailing)
        if isinstance(node, tree.Use):
            return Pair("use", self._use(node), leading, node.comments.trailing)
        return self._item(node, leading)

    def _use(self, node: tree.Use) -> Text:
        names = []
        for imported in node.names:
            self.hoisted += comments_of(imported)
            names.append(imported.name.id + ("" if imported.alias is None else f" as {imported.alias.id}"))
        self.hoist(node.path.comments)
        return Text(f"{', '.join(names)} from {quoted(node.path.value)}")

    def _item(self, node: tree.Item, leading: tuple[str, ...]) -> Pair:
        self.hoist(node.word.comments)
        self.hoist(node.name.comments)
        key, trailing = f"{node.word.id} {node.name.id}", node.comments.trailing
        if isinstance(node.body, tree.Claims):
            return self._ensure(key, node.body, leading, trailing)
        pairs: list[Pair] = []
        if node.parameters:
            pairs.append(Pair("params", self._parameters(node.parameters)))
        if node.value is not None:
            self.hoist(node.value.comments, inside=False)
            value = self.value(node.value)
            if node.body is None and not pairs:
                return Pair(key, value, leading, trailing)
            pairs.append(Pair("value", value))
        inside: tuple[str, ...] = ()
        if node.body is not None:
            body = self.body(node.body)
            opening = node.body.comments.trailing
            if self._stands_alone(node, body):
                pairs += body.pairs
                trailing, inside = opening, body.inside
            else:
                pairs.append(Pair("with", body, (), opening))
        documentation, leading = _documentation(leading) if pairs else (None, leading)
        if documentation is not None:
            pairs.insert(0, Pair("doc", Text(documentation)))
        return Pair(key, Block(pairs, flows=False, inside=inside), leading, trailing)

    def _stands_alone(self, node: tree.Item, body: Block) -> bool:
        """Whether the statements stand beside `params`, and not below `with`."""
        if node.value is not None or node.comments.trailing is not None or body.is_list:
            return False
        if not body.pairs:
            return node.body is None or node.body.comments.trailing is None
        keys = {pair.key for pair in body.pairs}
        return not keys <= set(ITEM_KEYS) and not keys & {"doc", "params", "with"}

    def _ensure(self, key: str, node: tree.Claims, leading: tuple[str, ...], trailing: str | None) -> Pair:
        leading = (*leading, *node.comments.leading)
        pairs = [Pair(None, self.text(claim), claim.comments.leading, claim.comments.trailing) for claim in node.claims]
        opening, inside = node.comments.trailing, node.comments.inside
        claims = Block(pairs, is_list=True, flows=opening is None, inside=inside)
        is_plain = opening is None and not inside and not any(comments_of(claim) for claim in node.claims)
        if trailing is None:
            return Pair(key, claims, leading, opening)
        if is_plain and len(key) + sum(len(pair.value.text) + 4 for pair in pairs if isinstance(pair.value, Text)) < _KEY_LIMIT:
            return Pair(key, claims, leading, trailing)
        return Pair(key, Block([Pair("with", claims, (), opening)], flows=False), leading, trailing)

    def _parameters(self, parameters: tuple[tree.Parameter, ...]) -> Block:
        pairs = []
        for parameter in parameters:
            leading, trailing, inside = parameter.comments
            self.hoist(parameter.name.comments)
            writer = StatementWriter(as_written=True)
            text = self.laid(writer, writer.annotation(parameter))
            pairs.append(Pair(parameter.name.id, text, (*leading, *inside), trailing))
        if _is_unique(pairs):
            return Block(pairs)
        return Block([Pair(None, Block([pair], flows=False)) for pair in pairs], is_list=True, flows=False)


def _chunked(pairs: list[Pair], inside: tuple[str, ...]) -> Block:
    """A mapping, or a list of mappings in each of which no key stands twice."""
    if _is_unique(pairs):
        return Block(pairs, flows=False, inside=inside)
    chunks: list[list[Pair]] = [[]]
    for pair in pairs:
        if any(pair.key == other.key for other in chunks[-1]):
            chunks.append([])
        chunks[-1].append(pair)
    return Block([Pair(None, Block(chunk, flows=False)) for chunk in chunks], is_list=True, flows=False, inside=inside)


def _is_unique(pairs: list[Pair]) -> bool:
    return max(Counter(pair.key for pair in pairs).values(), default=0) <= 1


def _is_each(value: Text | Block) -> bool:
    return isinstance(value, Block) and not value.is_list and len(value.pairs) == 1 and value.pairs[0].key == EACH


def _documentation(comments: tuple[str, ...]) -> tuple[str | None, tuple[str, ...]]:
    """The text of the comments above an item for `doc`, if it can be read back and speaks to people; else the comments."""
    lines = [text[2:] for text in comments]
    exact = all(("# " + line).rstrip() == text and "nnspec:" not in line for line, text in zip(lines, comments, strict=True))
    if not comments or not exact or not lines[0].strip() or not lines[-1].strip() or lines[0][0].isspace():
        return None, comments
    return "\n".join(lines), ()
