"""How a rule is declared: a function, the codes that it may give, and what it looks at.

```python
@on_node("NN610", "BatchNorm1d", "BatchNorm2d")
def bias_before_normalization(node: Node, view: View) -> Iterator[Diagnostic]: ...

@on_recipe("NN703")
def unfinished_schedule(training: Training) -> Iterator[Diagnostic]: ...

@on_text("NN626")
def duplicate_block(text: Text) -> Iterator[Diagnostic]: ...
```

A rule on nodes is asked for each node of the operators that it names, in every network and recipe; one on recipes for each
recipe that could be checked; one on a text once. A finding that several graphs give at one place is told once. A rule that holds of a
place only where it holds in `every` instance of it, such as a step without effect, says so. Not here: the rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from nnspec.diagnostics import Diagnostic

if TYPE_CHECKING:
    from nnspec.graph.ir import Node
    from nnspec.graph.program import Program
    from nnspec.lint.training import Training
    from nnspec.lint.view import View

NodeRule = Callable[["Node", "View"], Iterator[Diagnostic]]
RecipeRule = Callable[["Training"], Iterator[Diagnostic]]
TextRule = Callable[["Program"], Iterator[Diagnostic]]


class Entry(NamedTuple):
    """A rule and the codes that it may give. With `every`, it has to complain of each node that a place of the text makes."""

    codes: tuple[str, ...]
    rule: Callable[..., Iterator[Diagnostic]]
    every: bool = False


ON_NODE: dict[str, list[Entry]] = {}
ON_RECIPE: list[Entry] = []
ON_TEXT: list[Entry] = []

Rule = TypeVar("Rule", bound=Callable[..., Iterator[Diagnostic]])


def on_node(codes: str, *operators: str, every: bool = False) -> Callable[[Rule], Rule]:
    """Enter a rule for the operators of these names. `codes` are separated by blanks."""

    def enter(rule: Rule) -> Rule:
        for operator in operators:
            ON_NODE.setdefault(operator, []).append(Entry(tuple(codes.split()), rule, every))
        return rule

    return enter


def on_recipe(codes: str) -> Callable[[Rule], Rule]:
    """Enter a rule for recipes."""
    return _entering(ON_RECIPE, codes)


def on_text(codes: str) -> Callable[[Rule], Rule]:
    """Enter a rule for a spec as it is written."""
    return _entering(ON_TEXT, codes)


def _entering(entries: list[Entry], codes: str) -> Callable[[Rule], Rule]:
    def enter(rule: Rule) -> Rule:
        entries.append(Entry(tuple(codes.split()), rule))
        return rule

    return enter
