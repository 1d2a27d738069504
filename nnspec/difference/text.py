"""A difference as text for a terminal, in 80 columns unless it is told otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from textwrap import TextWrapper

from nnspec.difference.checkpoints import CheckpointReport
from nnspec.difference.files import Difference, FileDifference
from nnspec.difference.networks import NetworkDifference
from nnspec.difference.quantities import UNBROKEN
from nnspec.difference.recipes import RecipeDifference
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
from nnspec.difference.weight_wording import weight_lines
from nnspec.difference.wording import Line, Word, layer_lines
from nnspec.render.cells import visible
from nnspec.render.paint import Line as Painted
from nnspec.render.paint import Piece, join

_STYLES = {"+": "added", "-": "removed", "~": "warning", ">": "info", "=": "info", "!": "error"}
#: Lists of weights and texts longer than this are cut, and the cut is said.
_MOST_LINES = 16


def report(difference: Difference, *, colour: bool = False, width: int = 80) -> str:
    """The whole report."""
    writer = _Writer(max(width, 40))
    for file in difference.files:
        if file.status != "same" or len(difference.files) == 1:
            writer.file(file)
    if len(difference.files) > 1:
        writer.closing(difference)
    for checkpoint in difference.checkpoints:
        writer.checkpoint(checkpoint)
    return join(writer.lines, colour=colour).strip("\n")


class _Writer:
    """Gathers lines."""

    def __init__(self, width: int) -> None:
        self.lines: list[Painted] = []
        self._width = width

    def plain(self, text: str = "", style: str = "", indent: int = 0) -> None:
        """A line, broken where it is too long."""
        start = " " * indent
        wrapper = TextWrapper(self._width, initial_indent=start, subsequent_indent=start + "  ", break_long_words=False,
                              break_on_hyphens=False)  # fmt: skip
        for line in wrapper.wrap(visible(text)) or [""]:
            self.lines.append([Piece(line.replace(UNBROKEN, " "), style)])

    def line(self, line: Line, indent: int = 2) -> None:
        """A line with its mark."""
        start = " " * indent
        wrapper = TextWrapper(self._width, initial_indent=start + "  ", subsequent_indent=start + "    ", break_long_words=False,
                              break_on_hyphens=False)  # fmt: skip
        first, *more = (each.replace(UNBROKEN, " ") for each in wrapper.wrap(visible(_text(line.words))) or [""])
        self.lines.append([Piece(start), Piece(line.mark, _STYLES[line.mark]), Piece(first[indent + 1 :])])
        self.lines += [[Piece(each)] for each in more]

    def marked(self, lines: Sequence[Line], indent: int = 2, most: int | None = None) -> None:
        """Lines, cut after `most` of them."""
        shown = lines if most is None or len(lines) <= most + 1 else lines[:most]
        for line in shown:
            self.line(line, indent)
        if len(shown) < len(lines):
            self.plain(f"... and {len(lines) - len(shown):,} more; --json lists all", "dim", indent)

    # --- files ----------------------------------------------------------------------------------------------------------------

    def file(self, file: FileDifference) -> None:
        """A pair of files."""
        if self.lines:
            self.plain()
        self.plain(_text(file_sentence(file)), "bold" if file.status != "same" else "")
        if file.spec is not None and file.status == "changed":
            self.spec(file.spec)

    def spec(self, spec: SpecDifference) -> None:
        changed = changed_networks(spec)
        for network in changed:
            sentence = f": {_text(network_sentence(network))}" if len(changed) > 1 else ""
            renamed = f" (was {network.before})" if network.before != network.after else ""
            if len(changed) > 1 or has_others(spec):
                self.heading(f"network {network.after}{renamed}{sentence}")
            else:
                self.plain()
            self.network(network)
        for item in spec.items:
            self.item(item)
        for recipe in spec.recipes:
            if recipe.differs:
                self.recipe(recipe)
        for name, details in spec.claims.items():
            self.heading(f"ensure {name}")
            self.marked([claim_line(detail) for detail in details])

    def heading(self, text: str) -> None:
        self.plain()
        self.plain(text, "bold")

    # --- networks -------------------------------------------------------------------------------------------------------------

    def network(self, network: NetworkDifference) -> None:
        """What changed in a network."""
        self.marked(list(interface_lines(network)))
        self.marked(list(layer_lines(network.layers)))
        for name, variant in network.variants.items():
            self.plain(f"{name}:", indent=2)
            self.marked([*variant_lines(variant), *layer_lines(variant.layers)], 4)
        if network.layers.reordered:
            self.plain(reordered(network.layers.reordered), "dim", 2)
        self.totals(network.totals)
        self.weights(network)

    def totals(self, totals: Totals) -> None:
        rows = total_rows(totals)
        if not any(total.differs for total in totals.all.values()):
            return
        cells = [["", "before", "after", "change"], *([row.name, row.before, row.after, row.change] for row in rows)]
        widths = [max(len(row[column]) for row in cells) for column in range(4)]
        self.plain()
        for place, row in enumerate(cells if rows else ()):
            text = "  ".join(
                [row[0].ljust(widths[0]), *(cell.rjust(size) for cell, size in zip(row[1:], widths[1:], strict=True))]
            )
            self.lines.append([Piece(f"  {text}".replace(UNBROKEN, " "), "dim" if place == 0 else "")])
        if totals.sizes:
            self.plain(sizes_text(totals), "dim", 2)
        for line in expression_lines(totals):
            self.plain(_ascii(line), "dim", 2)

    def weights(self, network: NetworkDifference) -> None:
        lines = list(weight_lines(network.weights))
        if lines:
            self.plain()
            self.plain("weights", "dim", indent=2)
            self.marked(lines, 2, _MOST_LINES)

    # --- the rest -------------------------------------------------------------------------------------------------------------

    def recipe(self, recipe: RecipeDifference) -> None:
        self.heading(f"recipe {recipe.name}")
        self.marked(list(recipe_lines(recipe)))

    def item(self, item: Item) -> None:
        self.heading(_text(item_words(item)))
        for line in item.lines[:_MOST_LINES]:
            self.lines.append([Piece("  " + visible(line), {"+": "added", "-": "removed"}.get(line[:1], ""))])
        if len(item.lines) > _MOST_LINES:
            self.plain(f"... and {len(item.lines) - _MOST_LINES:,} more lines; --json has all", "dim", 2)

    def closing(self, difference: Difference) -> None:
        same = sum(file.status == "same" for file in difference.files)
        changed = len(difference.files) - same
        self.plain()
        self.plain(f"{changed:,} of {len(difference.files):,} files changed, {same:,} without a difference in meaning")

    def checkpoint(self, checkpoint: CheckpointReport) -> None:
        """What a checkpoint brings."""
        self.plain()
        self.plain(_text(checkpoint_sentence(checkpoint)))
        self.marked(list(checkpoint_lines(checkpoint)), 2, _MOST_LINES)


def _text(words: Iterable[Word]) -> str:
    return "".join(word.text if word.code else _ascii(word.text) for word in words)


def _ascii(text: str) -> str:
    return text.replace("→", "->")
