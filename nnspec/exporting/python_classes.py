"""The classes of an exported module: one for the network, and one for all uses of a block that differ in numbers alone. No torch.

Each use is written with marks for its numbers and its parts (`python_slots`). Uses with one text are one class; a number that differs
among them becomes a parameter of it, called as the block's own parameter where it has that value, and a part of another class is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

from nnspec.exporting.inlining import Inlined
from nnspec.exporting.python_parts import Members, is_plain
from nnspec.exporting.python_plan import Part, plan
from nnspec.exporting.python_slots import Slots, Text, filled
from nnspec.exporting.python_statements import Line, Names, Statements
from nnspec.graph.ir import Graph, Value
from nnspec.graph.values import carry

#: What a use gives for a parameter of its class.
Given = str | Part


@dataclass(eq=False)
class Use:
    """A part as text with marks: the members of its class by name, and its `forward`."""

    part: Part
    members: Members
    slots: Slots
    arguments: list[str]
    lines: list[Line]
    returned: str
    made: list[tuple[str, Text]]

    @cached_property
    def key(self) -> tuple[Any, ...]:
        """What uses of one class have in common."""
        return self.part.name, repr(self.made), tuple(self.arguments), tuple(line.text for line in self.lines), self.returned


@dataclass(eq=False)
class Class:
    """A class of the file. `parameters` are, by name, what each of its uses gives: an expression, or a part."""

    name: str
    uses: list[Use] = field(default_factory=list)
    parameters: dict[str, list[Given]] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    is_settled: bool = False


def written_part(graph: Graph, part: Part, inlined: Inlined, prepare: Callable[[Statements], list[str]]) -> Use:
    """A part with marks. `prepare` gives the arguments their names; returns the lines that come first."""
    slots = Slots()
    members = Members(graph, part, inlined, slots)
    statements = Statements(part.pieces, part.outputs, members, inlined, Names(), _labels(graph, part))
    first = prepare(statements)
    lines = [*map(Line, first), *statements.body()]
    returned = ", ".join(statements.values[value] for value in part.outputs)
    arguments = [statements.values[value] for value in part.inputs]
    return Use(part, members, slots, arguments, lines, returned, members.lines())


def _labels(graph: Graph, part: Part) -> dict[Value, str]:
    """What the statements of a part call values. A block gives what it computes names too, which are not those around it; what it is given
    keeps the name that it has outside."""
    if part.path:
        return {value: name for name, bound in part.names.items() if isinstance(value := carry(bound), Value)}
    values = [(value, node.frames) for node in graph.nodes for value in node.outputs.values() if value.label]
    return {
        value: value.label
        for value, frames in values
        if not any(carry(frame.names.get(value.label)) is value for frame in frames)  # named inside a block, which made it
    }


class Classes:
    """The classes that a network needs besides its own. `of` finds the class of a part."""

    def __init__(self, graph: Graph, inlined: Inlined) -> None:
        self.graph, self.inlined = graph, inlined
        self.root = plan(graph)
        self._uses: dict[Part, Use] = {}
        self._classes: dict[tuple[Any, ...], Class] = {}
        self._names: set[str] = {"Group", "Tensor", "Any", graph.name}
        #: The texts of the classes, each after those that it names.
        self.texts: list[str] = []

    def collect(self, use: Use) -> None:
        """Write the parts that a text is made of, and those below them."""
        for part in use.slots.parts:
            below = written_part(self.graph, part, self.inlined, partial(_prepared, part=part))
            self._uses[part] = below
            if below.key not in self._classes:
                self._classes[below.key] = Class(self._free(part.name))
            self._classes[below.key].uses.append(below)
            self.collect(below)

    def _free(self, wanted: str) -> str:
        name, number = wanted, 1
        while name in self._names:
            number += 1
            name = f"{wanted}{number}"
        self._names.add(name)
        return name

    def of(self, part: Part) -> Class:
        return self._classes[self._uses[part].key]

    @property
    def uses_group(self) -> bool:
        return any(use.members.uses_group for use in self._uses.values())

    # --- texts --------------------------------------------------------------------------------------------------------------

    def alone(self, use: Use) -> tuple[list[str], list[Line]]:
        """The construction and the statements of a class that has one use and no parameters: the network."""

        def number(place: int) -> str:
            return repr(use.slots.numbers[place][1])

        def part(place: int) -> str:
            return self.constructed(use.slots.parts[place])

        construction = list(_assigned(use.made, number, part))
        return construction, [line._replace(text=filled(line.text, number, part)) for line in use.lines]

    def constructed(self, part: Given) -> str:
        """The expression that makes a part, where everything is known."""
        if isinstance(part, str):
            return part
        found = self.of(part)
        self.settle(found)
        place = self.place(part)
        return f"{found.name}({', '.join(f'{name}={self.constructed(each[place])}' for name, each in found.parameters.items())})"

    def place(self, part: Part) -> int:
        """Which of the uses of its class a part is."""
        return self.of(part).uses.index(self._uses[part])

    def settle(self, found: Class) -> None:
        """Find the parameters of a class, and write it after those that it names."""
        if not found.is_settled:
            found.is_settled = True
            text = _Writer(self, found).text()
            self.texts.append("\n".join(text))


class _Writer:
    """Writes one class out of its uses."""

    def __init__(self, classes: Classes, found: Class) -> None:
        self.classes, self.found = classes, found
        self.first = found.uses[0]
        self.in_forward: set[str] = set()

    def text(self) -> list[str]:
        construction = list(_assigned(self.first.made, self._number, self._part))
        forward = [line._replace(text=filled(line.text, self._number_later, self._part)) for line in self.first.lines]
        kept = [f"self.{name} = {name}" for name in self.found.parameters if name in self.in_forward]
        parameters = "".join(f", {name}: {self.found.types[name]}" for name in self.found.parameters)
        part = self.first.part
        result = "Tensor" if len(part.outputs) == 1 else f"tuple[{', '.join(['Tensor'] * len(part.outputs))}]"
        arguments = "".join(f", {name}: Tensor" for name in self.first.arguments)
        return [
            f"class {self.found.name}(nn.Module):", f'    """The block `{part.name}`{self._place()}."""', "",
            f"    def __init__(self{parameters}) -> None:", "        super().__init__()",
            *indented([*kept, *construction], 2), "",
            f"    def forward(self{arguments}) -> {result}:",
            *indented(with_return(self._with_types(forward), self.first.returned), 2),
        ]  # fmt: skip

    def _place(self) -> str:
        times = len(self.found.uses)
        return f", used {times} times" if times > 1 else ""

    def _with_types(self, lines: list[Line]) -> list[Line]:
        """The lines with those types that are the same in all uses."""
        return [
            line._replace(place="", type=line.type if all(use.lines[at].type == line.type for use in self.found.uses) else "")
            for at, line in enumerate(lines)
        ]

    # --- what differs among uses --------------------------------------------------------------------------------------------

    def _number(self, place: int) -> str:
        hint = self.first.slots.numbers[place][0]
        return self._unified(hint, [repr(use.slots.numbers[place][1]) for use in self.found.uses])

    def _number_later(self, place: int) -> str:
        found = self._number(place)
        name = next((name for name in self.found.parameters if found == name or found.endswith(f"* {name}")), None)
        if name is None:
            return found
        self.in_forward.add(name)
        return found[: len(found) - len(name)] + f"self.{name}"

    def _part(self, place: int) -> str:
        parts = [use.slots.parts[place] for use in self.found.uses]
        made = {self.classes.of(part) for part in parts}
        if len(made) > 1:
            path = parts[0].path.rpartition(".")[2]
            hint = path if is_plain(path) else self.classes.of(parts[0]).name.lower()
            return self._unified(hint, list(parts), "nn.Module")
        (below,) = made
        self.classes.settle(below)
        at = [self.classes.place(part) for part in parts]
        given = {
            name: self._unified(name, [each[one] for one in at], below.types[name]) for name, each in below.parameters.items()
        }
        return f"{below.name}({', '.join(f'{name}={value}' for name, value in given.items())})"

    def _unified(self, hint: str, values: list[Given], type: str = "") -> str:
        """The expression for something that has these values in the uses."""
        if len(set(values)) == 1:
            return self.classes.constructed(values[0])
        own = self._own()
        for name, known in {**self.found.parameters, **own}.items():
            if known == values:
                return self._parameter(name, values, type)
        for name, known in {**own, **self.found.parameters}.items():
            factor = _factor(known, values)
            if factor > 1:
                return f"{factor} * {self._parameter(name, known)}"
        return self._parameter(hint, values, type)

    def _parameter(self, name: str, values: list[Given], type: str = "") -> str:
        """A parameter of the class with these values, new or known."""
        if self.found.parameters.get(name) == values:
            return name
        free, number = name, 1
        while free in self.found.parameters or not is_plain(free):
            number += 1
            free = f"{name}_{number}"
        self.found.parameters[free] = values
        self.found.types[free] = type or _type_of(values)
        return free

    def _own(self) -> dict[str, list[Given]]:
        """The block's own parameters, in small letters as names of sizes are not, that are numbers in all uses."""
        found: dict[str, list[Given]] = {}
        for name, value in self.first.part.names.items():
            if isinstance(value, int | float) and not isinstance(value, bool) and name.islower():
                found[name] = [repr(use.part.names.get(name)) for use in self.found.uses]
        return {name: values for name, values in found.items() if len(set(values)) > 1}


def _factor(known: list[Given], values: list[Given]) -> int:
    """The whole number by which all the ones are the others, or 0."""
    before, after = _whole(known), _whole(values)
    if len(before) != len(after) or not before:
        return 0
    factors = {divmod(value, one) for one, value in zip(before, after, strict=True)}
    return factors.pop()[0] if len(factors) == 1 and next(iter(factors))[1] == 0 else 0


def _whole(values: list[Given]) -> list[int]:
    """The values as whole numbers from 1 on; none where some are others."""
    found = [int(each) for each in values if isinstance(each, str) and each.isdecimal() and int(each)]
    return found if len(found) == len(values) else []


def _type_of(values: list[Given]) -> str:
    texts = [each for each in values if isinstance(each, str)]
    if all(each.lstrip("-").isdecimal() for each in texts):
        return "int"
    return "tuple[int, ...]" if texts[0].startswith("(") else "float"


def _assigned(made: list[tuple[str, Text]], number: Callable[[int], str], part: Callable[[int], str]) -> Iterator[str]:
    """The statements of `__init__`, without indentation."""
    for name, text in made:
        written = filled(text, number, part)
        yield from (f"self.{name} = {written}" if is_plain(name) else f'self.add_module("{name}", {written})').split("\n")


def _prepared(statements: Statements, part: Part) -> list[str]:
    statements.arguments({value: part.argument(value) or value.label or "x" for value in part.inputs})
    return list(statements.sizes_of(part))


def with_return(lines: list[Line], returned: str) -> list[str]:
    """Statements as text, with what is returned at their end: at once where the last statement makes it."""
    last = lines[-1] if lines else Line("")
    if last.text.startswith(f"{returned} = ") and "\n" not in last.text:
        lines = [*lines[:-1], last._replace(text=f"return {last.text.removeprefix(f'{returned} = ')}")]
    else:
        lines = [*lines, Line(f"return {returned}")]
    return [_commented(line) for line in lines]


def _commented(line: Line) -> str:
    told = "  ".join(part for part in (line.type, line.place) if part)
    return f"{line.text}  # {told}" if told else line.text


def indented(lines: Any, depth: int) -> list[str]:
    """Lines further in."""
    return [("    " * depth + line).rstrip() for line in lines]
