"""The YAML form to the tree: `parse_yaml`. What may stand in a file and in an item; `grammar/yaml.md` describes the form.

The parts: `yaml_reader_nodes` (YAML itself), `yaml_reader_comments`, `yaml_reader_scalars` (text of `.nn` in scalars),
`yaml_reader_steps`, `yaml_reader_statements`.
"""

from __future__ import annotations

import re
from typing import Final

from nnspec.diagnostics import Diagnostic, Source, Span
from nnspec.syntax import tree
from nnspec.syntax.builder import KNOWN_VERSION
from nnspec.syntax.limits import SOURCE_LIMIT
from nnspec.syntax.nn_parser import parse_annotation
from nnspec.syntax.node import Comments
from nnspec.syntax.source import too_large
from nnspec.syntax.yaml_reader_comments import attach_comments
from nnspec.syntax.yaml_reader_nodes import Entry, Findings, Value, read_nodes
from nnspec.syntax.yaml_reader_scalars import Region
from nnspec.syntax.yaml_reader_statements import StatementReader
from nnspec.syntax.yaml_words import ITEM_KEYS

_ITEM: Final = re.compile(r"\s*([^\W\d]\w*)\s+([^\W\d]\w*)\s*\Z")
_USE: Final = re.compile(r'\s*(.*?)\s+from\s+("(?:\\.|[^"\\\n])*")\s*\Z', re.DOTALL)
_IMPORTED: Final = re.compile(r"\s*([^\W\d]\w*)(?:\s+as\s+([^\W\d]\w*))?\s*\Z")
_NOT_ITEM_HELP: Final = "a file holds `spec`, `use`, and items such as `network Name`, `train Name`, `ensure Name`"


def parse_yaml(source: Source) -> tuple[tree.File, list[Diagnostic]]:
    """The tree of a whole YAML file, and what is wrong with its text. Never raises for any text.

    Findings: NN006, NN007 (limits), NN010 (not YAML), NN011 (duplicate keys), NN012 (refused features), NN013 (not a spec), and
    those of the expressions in it.
    """
    findings = Findings(source)
    reader = _FileReader(source, findings)
    if len(source.text) > SOURCE_LIMIT:
        findings.append(too_large(source, len(source.text)))
        return reader.file(None, []), findings
    root, scalars = read_nodes(source, findings)
    rest, reader.has_comments = attach_comments(source.text, root, scalars)
    file = reader.file(root, rest)
    findings.sort(key=lambda finding: finding.span.start)
    return file, list(findings)


class _FileReader(StatementReader):
    """Reads items."""

    def file(self, root: Value | None, rest: list[str]) -> tree.File:
        items: list[tree.Version | tree.Use | tree.Item] = []
        inside: list[str] = []
        span = self.span(0, len(self._source.text))
        if root is not None:
            for entry in self._pairs_of_file(root):
                if self._findings.is_full:
                    break
                items += self._items(entry)
                if items:
                    items[-1].comments = _with_leading(items[-1].comments, self.scalars.extra)
                else:
                    inside += self.scalars.extra
                self.scalars.extra = []
            for entry in root.entries:
                inside += self.unclaimed(entry)
            inside += root.inside
        return tree.File(span, tuple(items), comments=Comments(inside=(*inside, *rest)))

    def _pairs_of_file(self, root: Value) -> list[Entry]:
        """The pairs of the mapping that a file is, or of the mappings of its list."""
        if root.kind == "mapping":
            return self.pairs(root)
        if root.kind == "scalar":
            if not root.is_empty and not root.refused:
                self.report("expected a mapping of items", root, help=_NOT_ITEM_HELP)
            return []
        pairs: list[Entry] = []
        for entry in root.entries:
            if entry.value.kind != "mapping":
                self.report("expected a mapping of items", entry.value, help=_NOT_ITEM_HELP)
                continue
            _hand_down(entry)
            pairs += self.pairs(entry.value)
        return pairs

    def _items(self, entry: Entry) -> list[tree.Version | tree.Use | tree.Item]:
        key = entry.key
        assert key is not None
        if key.text == "spec":
            return self._version(entry)
        if key.text == "use":
            return self._uses(entry)
        region = self.scalars.region(key)
        found = _ITEM.match(region.text)
        if found is None or found[1] in ("spec", "use"):
            shown = key.text if len(key.text) <= 40 else key.text[:37] + "..."
            self.report(f"`{shown}` is no item", key, help=_NOT_ITEM_HELP)
            self.scalars.extra += self.unclaimed(entry)
            return []
        word, name = (self.named(found[i], self.scalars.span(region.part(*found.span(i))), key) for i in (1, 2))
        if word is None or name is None:
            self.scalars.extra += self.unclaimed(entry)
            return []
        return [self._item(entry, word, name)]

    # --- version and imports

    def _version(self, entry: Entry) -> list[tree.Version | tree.Use | tree.Item]:
        number = self.text(entry.value) if entry.value.kind == "scalar" else None
        if not isinstance(number, tree.Number):
            self.report("expected the number of the language's version", entry.value, help=f"write `spec: {KNOWN_VERSION}`")
            return []
        if number.value != KNOWN_VERSION or not isinstance(number.value, int):
            message = f"version `{number.text}` of the language is not known"
            label = f"this compiler reads version {KNOWN_VERSION}"
            self._findings.report("NN014", message, entry.value.start, entry.value.end, label)
        version = tree.Version(self.span(entry.start, entry.value.end), number)
        version.comments = self._around(entry)
        return [version]

    def _uses(self, entry: Entry) -> list[tree.Version | tree.Use | tree.Item]:
        value = entry.value
        if value.kind != "sequence":
            use = self._use(value, self.span(entry.start, value.end))
            if use is not None:
                use.comments = self._around(entry)
            return [] if use is None else [use]
        uses: list[tree.Version | tree.Use | tree.Item] = []
        for member in value.entries:
            use = self._use(member.value, self.span(member.start, member.value.end))
            if use is not None:
                if not uses:
                    member.leading[:0] = [*entry.leading, *([] if entry.opening is None else [entry.opening])]
                    entry.leading.clear()
                    entry.opening = None
                use.comments = self._around(member)
                uses.append(use)
        return uses

    def _use(self, value: Value, span: Span) -> tree.Use | None:
        """`ResNet18, ResNet as Net from "../resnet.nn"`"""
        region = self.scalars.region(value) if value.kind == "scalar" and not value.refused else None
        found = None if region is None else _USE.match(region.text)
        if region is None or found is None:
            self.report("expected names and a file", value, help='`A, B as C from "other.nn"`')
            return None
        names: list[tree.Imported] = []
        place = found.start(1)
        for piece in found[1].split(","):
            part = _IMPORTED.match(piece)
            if part is None:
                start = place + len(piece) - len(piece.lstrip())
                span = self.scalars.span(region.part(start, start + max(len(piece.strip()), 1)))
                message = f"`{piece.strip()[:40]}` is no name to import"
                self._findings.report("NN013", message, span.start, span.end, help='`A, B as C from "other.nn"`')
                return None
            name, alias = (self._piece(region.part(place), part, group, value) for group in (1, 2))
            if name is None:
                return None
            names.append(tree.Imported(name.span if alias is None else name.span.to(alias.span), name, alias))
            place += len(piece) + 1
        path = self.scalars.expression(region.part(*found.span(2)))
        return tree.Use(span, tuple(names), path) if isinstance(path, tree.String) else None

    def _piece(self, region: Region, found: re.Match[str], group: int, value: Value) -> tree.Name | None:
        start, end = found.span(group)
        return None if start < 0 else self.named(found[group], self.scalars.span(region.part(start, end)), value)

    # --- items

    def _item(self, entry: Entry, word: tree.Name, name: tree.Name) -> tree.Item:
        value = entry.value
        item = tree.Item(self.span(entry.start, max(value.end, entry.start)), word, name)
        if value.kind == "mapping" and (word.id != "ensure" or any(key in ("doc", "with") for key in _keys(value))):
            self._fill(item, entry)
        elif word.id == "ensure":
            item.body = self._claims(value, entry)
        elif value.is_empty:
            item.body = tree.Body(self.span(value.start, value.end), ())
        else:
            item.value = self.expression(value)
        extra, self.scalars.extra = self.scalars.extra, []
        item.comments = _with_leading(self._around(entry, item.comments.leading), extra)
        return item

    def _around(self, entry: Entry, documentation: tuple[str, ...] = ()) -> Comments:
        """The comments of an item: above it, its documentation, at its end; then those that found no better place."""
        leading = (*entry.leading, *documentation)
        entry.leading.clear()
        trailing = entry.trailing if entry.trailing is not None else entry.opening
        if entry.trailing is not None:
            entry.trailing = None
        else:
            entry.opening = None
        return Comments((*leading, *self.unclaimed(entry)), trailing)

    def _fill(self, item: tree.Item, entry: Entry) -> None:
        """The parts of an item: its statements stand beside `doc` and `params`, or below `with`."""
        value = entry.value
        pairs = {pair.key.text: pair for pair in self.pairs(value) if pair.key is not None}
        direct = any(key not in ITEM_KEYS for key in pairs)
        if "doc" in pairs:
            item.comments = Comments(self._documentation(pairs["doc"]))
        if "params" in pairs:
            item.parameters = tuple(self._parameters(pairs["params"].value))
        if direct or not value.entries:
            if "with" in pairs:
                self.report("`with` beside statements", pairs["with"].value, help="write all statements below `with`, or none")
            self._direct(item, entry, value)
            return
        if "value" in pairs:
            item.value = self.expression(pairs["value"].value)
        if item.word.id == "ensure":
            item.body = self._claims(pairs["with"].value, pairs["with"]) if "with" in pairs else tree.Claims(item.span, ())
        elif "with" in pairs:
            item.body = self.body(pairs["with"])
        elif item.value is None:
            item.body = tree.Body(item.span, (), comments=Comments(inside=self.inside(value)))

    def _direct(self, item: tree.Item, entry: Entry, value: Value) -> None:
        if item.word.id == "ensure" and value.entries:
            self.report("expected a list of claims", value, help=f"`ensure {item.name.id}: [params == 5]`")
            return
        body = tree.Body(self.span(value.start, value.end), tuple(self.members(value, ("doc", "params", "with"))))
        body.comments = Comments((), entry.opening, self.inside(value))
        entry.opening = None
        item.body = body if item.word.id != "ensure" else tree.Claims(body.span, (), comments=body.comments)

    def _documentation(self, entry: Entry) -> tuple[str, ...]:
        if entry.value.kind != "scalar":
            self.report("`doc` holds text", entry.value)
            return ()
        return tuple(("# " + line).rstrip() for line in entry.value.text.rstrip("\n").split("\n"))

    def _parameters(self, value: Value) -> list[tree.Parameter]:
        """`{classes: int = 10}`, or a list of such mappings."""
        if value.kind == "sequence":
            for entry in value.entries:
                _hand_down(entry)
            return [parameter for entry in value.entries for parameter in self._parameters(entry.value)]
        if value.kind == "scalar":
            if not value.is_empty and not value.refused:
                self.report("expected parameters: a mapping of names to types", value, help="params: {classes: int = 10}")
            return []
        parameters = []
        for pair in self.pairs(value):
            parameter = self._parameter(pair)
            if parameter is not None:
                parameters.append(parameter)
        return parameters

    def _parameter(self, pair: Entry) -> tree.Parameter | None:
        assert pair.key is not None
        name, value = self.name(pair.key), pair.value
        if name is None or value.kind != "scalar" or value.refused or value.is_empty:
            if name is not None and not value.refused:
                help = 'a type that begins with a bracket stands in quotes: "[int] = [32, 16]"'
                self.report("expected a type", value, help=help, fix=self.quote(value))
            return None
        outer, self.scalars.extra = self.scalars.extra, []
        kind, default, bounds = self.scalars.read(self.scalars.region(value), parse_annotation)
        parameter = tree.Parameter(self.span(pair.start, value.end), name, kind, default, bounds)
        parameter.comments = Comments((*pair.leading, *self.scalars.extra), pair.trailing)
        pair.leading.clear()
        pair.trailing = None
        self.scalars.extra = outer
        return parameter

    def _claims(self, value: Value, entry: Entry) -> tree.Claims:
        """The claims of `ensure`: a list, or a single one."""
        span = self.span(value.start, value.end)
        if value.kind == "mapping":
            self.report("expected a list of claims", value)
            return tree.Claims(span, ())
        if value.kind == "scalar":
            return tree.Claims(span, () if value.is_empty else (self.text(value),))
        claims = []
        for member in value.entries:
            claim = self.expression(member.value)
            claim.comments = Comments(tuple(member.leading), member.trailing, claim.comments.inside)
            member.leading.clear()
            member.trailing = None
            claims.append(claim)
        node = tree.Claims(span, tuple(claims), comments=Comments((), entry.opening, tuple(value.inside)))
        entry.opening = None
        value.inside.clear()
        return node


def _keys(value: Value) -> list[str]:
    return [entry.key.text for entry in value.entries if entry.key is not None]


def _hand_down(entry: Entry) -> None:
    """Give the comments above a mapping in a list to its first pair."""
    if entry.value.kind == "mapping" and entry.value.entries:
        entry.value.entries[0].leading[:0] = entry.leading
        entry.leading.clear()


def _with_leading(comments: Comments, texts: list[str]) -> Comments:
    return comments._replace(leading=(*comments.leading, *texts))
