"""Statements of a network as the text of a spec: values that go from one statement to the next only are chains of arrows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from nnspec.graph.reserved_names import INSIDE, TOP

_RESERVED = frozenset("and as else false for from if in none not or repeat scan then true where".split())


@dataclass
class Statement:
    """`names = head -> step -> step`. `reads` are the names in the head and in the steps, as often as they stand there; `is_plain` where
    the head is one name, to which an earlier chain may lead."""

    names: tuple[str, ...]
    head: str
    steps: list[str]
    reads: list[str]
    is_plain: bool = False


@dataclass
class Draft:
    """A network that is being written. `outputs` are values by the name of the output; `weights` are lines above the statements; `heads` begin
    the paths of weights, so that no statement with unnamed layers may be called so."""

    name: str
    comment: str = ""
    inputs: list[str] = field(default_factory=list)
    weights: list[str] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)
    outputs: list[tuple[str, str]] = field(default_factory=list)
    heads: set[str] = field(default_factory=set)

    def text(self) -> str:
        """The spec. What nothing reads is left out."""
        kept = {value for _, value in self.outputs}
        chained = _chained(_needed(self.statements, kept), kept)
        last = self._last(chained)
        lines = [f"  {line}" for line in (*self.inputs, *self.weights)]
        for statement in chained:
            written = " -> ".join((statement.head, *statement.steps))
            if last is statement:
                lines.append(f"  output {self.outputs[0][0]} = {written}")
            else:
                lines.append(f"  {', '.join(statement.names)} = {written}")
        lines += [f"  output {name} = {value}" for name, value in self.outputs[1 if last is not None else 0 :]]
        above = "".join(f"# {line}\n" for line in self.comment.splitlines())
        return f"{above}spec 1\n\nnetwork {self.name} {{\n" + "\n".join(lines) + "\n}\n"

    def _last(self, chained: Sequence[Statement]) -> Statement | None:
        """The last statement, where it makes the first output and nobody else reads that."""
        if not chained or not self.outputs or chained[-1].names != (self.outputs[0][1],) or self.outputs[0][0] in self.heads:
            return None
        read = [name for statement in chained for name in statement.reads] + [value for _, value in self.outputs[1:]]
        return None if self.outputs[0][1] in [_base(name) for name in read] else chained[-1]


def _chained(statements: Sequence[Statement], kept: set[str]) -> list[Statement]:
    uses = Counter(_base(name) for statement in statements for name in statement.reads)
    kept = {_base(name) for name in kept}
    found: list[Statement] = []
    for statement in statements:
        before = found[-1] if found else None
        if (
            before is not None and statement.is_plain and statement.head in before.names and len(before.names) == 1
            and uses[statement.head] == 1 and statement.head not in kept
        ):  # fmt: skip
            found[-1] = Statement(
                statement.names,
                before.head,
                [*before.steps, *statement.steps],
                [*before.reads, *statement.reads[1:]],
                before.is_plain,
            )
        else:
            found.append(statement)
    return found


def _needed(statements: Sequence[Statement], kept: set[str]) -> list[Statement]:
    """The statements that something reads."""
    read, found = {_base(name) for name in kept}, []
    for statement in reversed(statements):
        if read.intersection(statement.names):
            found.append(statement)
            read.update(map(_base, statement.reads))
    return found[::-1]


def _base(name: str) -> str:
    return name.partition(".")[0]


class SpecNames:
    """Names that a spec can have, each given once."""

    def __init__(self) -> None:
        self._taken: set[str] = set(_RESERVED)

    def keep(self, names: set[str]) -> None:
        """Give nobody these names."""
        self._taken |= names

    def give(self, wanted: str, otherwise: str = "value") -> str:
        """The name itself where a spec can have it and it is free; else one like it."""
        plain = "".join(letter if letter.isascii() and (letter.isalnum() or letter == "_") else "_" for letter in wanted)[:48]
        plain = plain.strip("_") or otherwise
        name = plain = plain if not plain[0].isdigit() else f"{otherwise}_{plain}"
        number = 1
        while name in self._taken:
            number += 1
            name = f"{plain}_{number}"
        self._taken.add(name)
        return name


def weight_path(name: str) -> str | None:
    """A name of a weight in another program as a path of a spec, without its last part; None where it is none, such as `val_12`."""
    *parts, last = name.split(".")
    if not parts or last not in _LAST:
        return None
    if not all(part.isdecimal() or (part.isascii() and part.isidentifier()) for part in parts):
        return None
    parts[0] = f"layer{parts[0]}" if parts[0].isdecimal() else parts[0]
    if any(part in _RESERVED or part in (INSIDE if place else TOP) for place, part in enumerate(parts)):
        return None
    return ".".join(parts)


_LAST = frozenset({"weight", "bias", "running_mean", "running_var", "weight_ih_l0", "in_proj_weight", "in_proj_bias"})


def number(value: float | bool) -> str:
    """A number as a spec writes it; negative ones in parentheses."""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(value)
    return f"({text})" if text.startswith("-") else text


def sizes(values: Sequence[int]) -> str:
    """Sizes for all axes: one number where all are the same."""
    return str(values[0]) if len(set(values)) == 1 else f"[{', '.join(map(str, values))}]"
