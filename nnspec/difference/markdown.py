"""A difference as GitHub's Markdown, for a comment on a pull request.

The first line says the essential. What the specs say stands in code, where nothing of it is markup.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from nnspec.difference.checkpoints import CheckpointReport
from nnspec.difference.files import Difference, FileDifference
from nnspec.difference.networks import NetworkDifference
from nnspec.difference.quantities import UNBROKEN
from nnspec.difference.sentences import (
    changed_networks,
    checkpoint_lines,
    checkpoint_sentence,
    claim_line,
    expression_lines,
    file_sentence,
    has_others,
    interface_lines,
    item_words,
    network_sentence,
    recipe_lines,
    reordered,
    sizes_text,
    total_rows,
    variant_lines,
)
from nnspec.difference.specs import Item, SpecDifference
from nnspec.difference.totals import Totals
from nnspec.difference.weight_wording import weight_lines, weight_sentence
from nnspec.difference.weights import Weights
from nnspec.difference.wording import Line, Word, layer_lines
from nnspec.render.cells import visible

#: Longer lists are folded, and longer tables cut.
_MOST_OPEN = 12
_MOST_ROWS = 60
_WORDS = {"+": "added", "-": "removed", "~": "changed", ">": "moved", "=": "renamed", "!": "beware"}
_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~&])")


def report(difference: Difference) -> str:
    """The whole comment."""
    files = [file for file in difference.files if file.status != "same" or len(difference.files) == 1]
    parts = [f"**{_headline(difference, files)}**"]
    for file in files:
        if len(files) > 1:
            parts.append(f"### {_words(file_sentence(file))}")
        parts += _file(file)
    for checkpoint in difference.checkpoints:
        parts += _checkpoint(checkpoint)
    return "\n\n".join(parts)


def _headline(difference: Difference, files: Sequence[FileDifference]) -> str:
    if len(files) == 1:
        return _words(file_sentence(files[0]))
    if not files:
        return f"{len(difference.files)} specs without a difference in meaning"
    return f"{len(files)} of {len(difference.files)} specs changed: {', '.join(code(file.name) for file in files)}"


# --- text -----------------------------------------------------------------------------------------------------------------------


def escaped(text: str) -> str:
    """Plain text in which nothing is markup."""
    return _SPECIAL.sub(r"\\\1", visible(text)).replace(UNBROKEN, " ")


def code(text: str) -> str:
    """A code span, whatever the text holds."""
    shown = visible(text)
    if not shown.strip():
        return "(nothing)"
    longest = max((len(run) for run in re.findall("`+", shown)), default=0)
    if not longest:
        return f"`{shown}`"
    fence = "`" * (longest + 1)
    return f"{fence} {shown} {fence}"


def cell(text: str) -> str:
    """Markdown inside a table: a bar would end the cell."""
    return text.replace("|", "\\|").replace(UNBROKEN, " ")


def _words(words: Iterable[Word]) -> str:
    return "".join(code(word.text) if word.code else escaped(word.text) for word in words)


def _list(lines: Sequence[Line]) -> list[str]:
    """A list; a long one is folded behind its length."""
    if not lines:
        return []
    items = "\n".join(f"- **{line.kind or _WORDS[line.mark]}** {_words(line.words)}" for line in lines)
    return [items] if len(lines) <= _MOST_OPEN else [_folded(f"{len(lines)} changes", items)]


def _folded(title: str, text: str) -> str:
    """What is shown on a click. HTML needs an empty line before Markdown."""
    return f"<details><summary>{title}</summary>\n\n{text}\n\n</details>"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]], right: bool = False) -> str:
    ruler = ["---", *(["---:" if right else "---"] * (len(header) - 1))]
    return "\n".join("| " + " | ".join(map(cell, row)) + " |" for row in (header, ruler, *rows))


# --- files ----------------------------------------------------------------------------------------------------------------------


def _file(file: FileDifference) -> Iterator[str]:
    if file.findings:
        lines = [f"{finding.span}: {finding.severity}[{finding.code}] {finding.message}" for finding in file.findings]
        yield _fenced(map(visible, lines))
    if file.spec is not None and file.status == "changed":
        yield from _spec(file.spec)


def _fenced(lines: Iterable[str], language: str = "") -> str:
    text = "\n".join(lines)
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}"


def _spec(spec: SpecDifference) -> Iterator[str]:
    changed = changed_networks(spec)
    for network in changed:
        renamed = f" (was {code(network.before)})" if network.before != network.after else ""
        if len(changed) > 1 or has_others(spec):
            yield f"#### Network {code(network.after)}{renamed}"
        if len(changed) > 1:
            yield f"{_words(network_sentence(network))}."
        yield from _network(network)
    for item in spec.items:
        yield from _item(item)
    for recipe in spec.recipes:
        if recipe.differs:
            yield f"#### Recipe {code(recipe.name)}"
            yield from _list(list(recipe_lines(recipe)))
    for name, details in spec.claims.items():
        yield f"#### Claims on {code(name)}"
        yield from _list([claim_line(detail) for detail in details])


def _item(item: Item) -> Iterator[str]:
    yield f"#### {_words(item_words(item))}"
    if item.lines:
        yield _fenced(map(visible, item.lines), "diff")


def _network(network: NetworkDifference) -> Iterator[str]:
    yield from _totals(network.totals)
    yield from _list([*interface_lines(network), *layer_lines(network.layers)])
    for name, variant in network.variants.items():
        yield f"Only {escaped(name)}:"
        yield from _list([*variant_lines(variant), *layer_lines(variant.layers)])
    if network.layers.reordered:
        yield escaped(reordered(network.layers.reordered))
    yield from _weights(network.weights, weight_sentence(network.weights))


def _totals(totals: Totals) -> Iterator[str]:
    if not any(total.differs for total in totals.all.values()):
        return
    rows = total_rows(totals)
    if rows:
        table = _table(["", "before", "after", "change"], ([row.name, row.before, row.after, row.change] for row in rows), True)
        yield table
    notes = [escaped(sizes_text(totals))] if totals.sizes else []
    notes += [code(line) for line in expression_lines(totals)]
    if notes:
        yield "<sub>" + "<br>".join(notes) + "</sub>"


# --- weights --------------------------------------------------------------------------------------------------------------------


def _weights(weights: Weights, title: str) -> Iterator[str]:
    """What does not load as it is, folded; what to beware of stands open."""
    lines = list(weight_lines(weights))
    yield from _list([line for line in lines if line.mark == "!"])
    parts = _list([line for line in lines if line.mark != "!"])
    renamed = weights.of("renamed")
    if renamed:
        rows = [[code(weight.before), code(weight.after)] for weight in renamed[:_MOST_ROWS]]
        parts.append(_table(["old name", "new name"], rows))
        if len(renamed) > _MOST_ROWS:
            parts.append(f"and {len(renamed) - _MOST_ROWS:,} more; `--json` has all")
    if parts:
        yield _folded(escaped(title), "\n\n".join(parts))


def _checkpoint(report: CheckpointReport) -> Iterator[str]:
    yield f"#### Checkpoint: {_words(checkpoint_sentence(report))}"
    lines = list(checkpoint_lines(report))
    if lines:
        yield _folded("What does not load as it is", "\n\n".join(_list(lines)))
