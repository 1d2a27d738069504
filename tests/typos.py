"""One-edit typos of names in specs: where they are put, and whether the finding there proposes the right name."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from string import ascii_letters, ascii_lowercase, ascii_uppercase
from typing import NamedTuple

import mdtest_runner
from test_mdtest import CASES as SUITES

from nnspec.checker import check_source, parse
from nnspec.diagnostics import Diagnostic, Source
from nnspec.operators.declare import OPERATORS, Operator
from nnspec.syntax import tree
from nnspec.syntax.node import Node
from nnspec.syntax.table import load

ROOT = Path(__file__).resolve().parent.parent
_QUOTED = re.compile(r"`([^`]+)`")
_RESERVED = frozenset(load().keywords)
#: What is said of names that are not known. Anything else at a name is about one that exists, or is new: the typo is valid there.
_UNKNOWN = frozenset(("NN101", "NN102", "NN103", "NN109", "NN110", "NN111", "NN112", "NN113"))
#: A help that names more than so many things lists what there is, and proposes nothing.
_PROPOSED = 3


class Site(NamedTuple):
    """A name in a spec: what it is, and where it stands."""

    kind: str
    name: str
    path: str
    text: str
    start: int


class Typo(NamedTuple):
    """A misspelt name at a site."""

    site: Site
    wrong: str

    @property
    def text(self) -> str:
        """The spec with the typo."""
        return self.site.text[: self.site.start] + self.wrong + self.site.text[self.site.start + len(self.site.name) :]


class Outcome(NamedTuple):
    """What was found at a typo: whether there was anything, whether it proposes the right name, and the first message."""

    found: bool
    proposed: bool
    message: str = ""


def misspellings(name: str, source: random.Random, most: int) -> list[str]:
    """One-edit typos of a name: a letter left out, added, replaced, or swapped with its neighbour; at most so many, each kind alike."""
    places = range(len(name))
    left_out = {name[:at] + name[at + 1 :] for at in places}
    swapped = {name[:at] + name[at + 1] + name[at] + name[at + 2 :] for at in places[:-1]}
    replaced = {name[:at] + letter + name[at + 1 :] for at in places for letter in _letters(name, at)}
    added = {name[:at] + letter + name[at:] for at in range(len(name) + 1) for letter in _letters(name, min(at, len(name) - 1))}
    kinds = [sorted(each for each in kind if _is_name(each) and each != name) for kind in (left_out, swapped, replaced, added)]
    for kind in kinds:
        source.shuffle(kind)
    chosen = [kind[at] for at in range(max(map(len, kinds))) for kind in kinds if at < len(kind)]
    return list(dict.fromkeys(chosen))[:most]


def _letters(name: str, at: int) -> str:
    """Letters that a finger may hit there, of the case around."""
    return ascii_uppercase if name[at].isupper() else ascii_lowercase


def _is_name(text: str) -> bool:
    return bool(text) and text[0] in ascii_letters + "_" and text not in _RESERVED


def outcome(typo: Typo) -> Outcome:
    """Check a spec with a typo. Where nothing is found there, what was written is valid in that place."""
    report = check_source(Source(typo.site.path, typo.text))
    start, end = typo.site.start, typo.site.start + len(typo.wrong)
    there = [
        each for each in report.diagnostics
        if each.code in _UNKNOWN and each.span.source is report.source and each.span.start < end and start < each.span.end
    ]  # fmt: skip
    if not there:
        return Outcome(False, False)
    nearest = [each for each in there if (each.span.start, each.span.end) == (start, end)] or there
    right = [each for each in nearest if _proposes(each, typo.site.name)]
    return Outcome(True, bool(right), f"{nearest[0].code} {nearest[0].message} | {nearest[0].label} | {nearest[0].help}")


def _proposes(finding: Diagnostic, name: str) -> bool:
    if name in _QUOTED.findall(finding.label):
        return True
    named = _QUOTED.findall(finding.help or "")
    if name in named and len(named) <= _PROPOSED:
        return True
    return finding.fix is not None and any(edit.replacement == name for edit in finding.fix.edits)


# --- operators and their arguments --------------------------------------------------------------------------------------------

_NETWORK = "network Reader {{\n  input x: float32[N, 8, H, W]\n  output y = {}\n}}\n"
_RECIPE = """network Reader {{
  input image: float32[N, 1, 8, 8]
  output logits = image -> Flatten -> Linear(10)
}}
train Fit {{
  data digits = {data}
  logits = digits.image -> Reader
  minimize cross_entropy(logits, digits.label)
  measure {measure}
  optimizer {optimizer}
  batch_size 32
  epochs 1
}}
"""
_AGENT = """network Reader {{
  input state: float32[N, 4]
  output q = state -> Linear(2)
}}
agent Fit {{
  environment pole = {environment}
  act argmax(Reader(pole.observation), dim=1)
  explore {exploration}
  data past = {memory}
  minimize mse_loss(pick(Reader(past.state), past.action), past.reward)
  optimizer SGD(lr=0.1)
  batch_size 32
  steps 100
}}
"""
_AGENT_PARTS = {"environment": 'Gym("CartPole-v1")', "exploration": "epsilon(0.1)", "memory": "Replay(capacity=100)"}
_PARTS = {"data": "Digits()", "measure": "accuracy(logits, digits.label)", "optimizer": "SGD(lr=0.1)"}


def operator_sites() -> Iterator[Site]:
    """Each operator where it may stand."""
    for name, cls in OPERATORS.items():
        yield _site("operator", name, _spec(cls, "\0", ""), "minimal.nn")


def argument_sites() -> Iterator[Site]:
    """Each argument of each operator, given by name."""
    for name, cls in OPERATORS.items():
        for field in cls.fields:
            yield _site("argument", field, _spec(cls, name, "\0=1"), "minimal.nn")


def _spec(cls: type[Operator], name: str, arguments: str) -> str:
    call = f"{name}({arguments})"
    if cls.is_acting:
        part = next(part for part in _AGENT_PARTS if getattr(cls, f"is_{part}"))
        return _AGENT.format(**_AGENT_PARTS | {part: call})
    if cls.is_source or cls.is_metric or cls.is_optimizer or cls.is_schedule:
        part = "data" if cls.is_source else "measure" if cls.is_metric else "optimizer"
        if cls.is_metric:
            call = f"{name}(logits, digits.label{', ' if arguments else ''}{arguments})"
        return _RECIPE.format(**_PARTS | {part: f"SGD(lr={call})" if cls.is_schedule else call})
    if cls.name[0].isupper():
        return _NETWORK.format(f"x -> {call if arguments else name}")
    return _NETWORK.format(f"{name}(x{', ' if arguments else ''}{arguments})")


def _site(kind: str, name: str, marked: str, path: str) -> Site:
    return Site(kind, name, path, marked.replace("\0", name), marked.index("\0"))


# --- names in specs -----------------------------------------------------------------------------------------------------------


def spec_sites(texts: Iterable[tuple[str, str]]) -> Iterator[Site]:
    """The names that specs read, and their words and types: each once for each kind, where it is first met. `texts`: path and text."""
    seen: set[tuple[str, str]] = set()
    for path, text in texts:
        file, _ = parse(Source(path, text))
        own = {item.name.id for item in file.items if isinstance(item, tree.Item)}
        for kind, name, start in _named(file, own):
            if (kind, name) not in seen and name.isascii():
                seen.add((kind, name))
                yield Site(kind, name, path, text, start)


def texts() -> Iterator[tuple[str, str]]:
    """The specs that come with the package, then those of the Markdown suites that are sound and stand alone."""
    for path in sorted((ROOT / "specs").glob("*/*.nn")):
        yield str(path), path.read_text(encoding="utf-8")
    for suite in SUITES:
        for block in suite.blocks:
            if block.language == "nn" and not block.options and "[NN" not in block.text and "use " not in block.text:
                yield f"{suite.path.stem}.nn", mdtest_runner.without_assertions(mdtest_runner.wrapped(block.text))


def _named(node: Node, items: set[str]) -> Iterator[tuple[str, str, int]]:
    """Kind, name and offset of what is read below a node."""
    match node:
        case tree.Name():
            kind = "item" if node.id in items else "operator in a spec" if node.id in OPERATORS else "value"
            yield kind, node.id, node.span.start
        case tree.Argument():
            if node.name is not None:
                yield "argument in a spec", node.name.id, node.name.span.start
            yield from _named(node.value, items)
        case tree.Member():
            yield "member", node.name.id, node.name.span.start
            yield from _named(node.value, items)
        case tree.Type():
            if node.element is None:
                yield "type", node.name, node.span.start
            for child in node.children():
                yield from _named(child, items)
        case tree.Repeat():
            yield from _named(node.count, items)
            yield from _named(node.body, items)
        case tree.Comprehension():
            yield from _named(node.element, items)
            yield from _named(node.values, items)
        case tree.Statement() | tree.Item():
            if node.word is not None:
                yield "word", node.word.id, node.word.span.start
            called = (*node.names, node.word) if isinstance(node, tree.Statement) else (node.name, node.word)
            for child in node.children():
                if child not in called:
                    yield from _named(child, items)
        case tree.Parameter():
            yield from _named(node.type, items)
            if node.default is not None:
                yield from _named(node.default, items)
        case tree.Path() | tree.String() | tree.Use():
            return
        case _:
            for child in node.children():
                yield from _named(child, items)
