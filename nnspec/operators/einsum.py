"""Sums of products written with a letter for each axis: `einsum("bik,bkj->bij", a, b)`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from nnspec.dims import Dim, format_dim, product
from nnspec.dims.claims import equal
from nnspec.operators.axes import simpler
from nnspec.operators.broadcasting import merged
from nnspec.operators.declare import (
    Cost,
    Inferred,
    Obligation,
    Operator,
    Ref,
    TorchCall,
    attribute,
    call_function,
    operator,
    tensor,
)
from nnspec.operators.kinds import Refusal, Text
from nnspec.operators.matrix import same_element
from nnspec.operators.promotion import result_type
from nnspec.types import TensorType

#: An axis of an operand: a letter, or the number of an axis that `...` stands for, counted from the last.
Axis = str | int
DOTS = "..."


class Equation(NamedTuple):
    """The letters of each operand and of the result, with `...` written out."""

    operands: tuple[tuple[Axis, ...], ...]
    result: tuple[Axis, ...]


def parse(equation: str, types: tuple[TensorType, ...]) -> Equation:
    """Read an equation for operands of these types. Refuses: NN106 (the text), NN114 (their number), NN203 (their ranks)."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    texts = left.split(",")
    if len(texts) != len(types):
        raise Refusal("NN114", f"`{equation}` has {len(texts)} operands, and {len(types)} tensors are given", "operands")
    operands = tuple(_operand(text, types[place], equation, place) for place, text in enumerate(texts))
    dots = max((sum(isinstance(axis, int) for axis in operand) for operand in operands), default=0)
    front: tuple[Axis, ...] = tuple(range(-dots, 0))
    if not arrow:
        letters = [axis for operand in operands for axis in operand if isinstance(axis, str)]
        return Equation(operands, (*front, *sorted(letter for letter in set(letters) if letters.count(letter) == 1)))
    result: tuple[Axis, ...] = ()
    for part in _letters(right, equation):
        result += front if part == DOTS else (part,)
    _check_result(equation, operands, result)
    return Equation(operands, result)


def _letters(text: str, equation: str) -> list[str]:
    before, dots, after = text.partition(DOTS)
    letters = [*before, *([DOTS] if dots else []), *after]
    for letter in letters:
        if letter != DOTS and not (letter.isascii() and letter.isalpha()):
            raise Refusal("NN106", f"`{equation}` has `{letter}` where a letter, `,`, `...` or `->` may stand", "equation")
    return letters


def _operand(text: str, type: TensorType, equation: str, place: int) -> tuple[Axis, ...]:
    letters = _letters(text, equation)
    named = sum(letter != DOTS for letter in letters)
    more = type.rank - named
    if more < 0 or (more > 0 and DOTS not in letters):
        raise Refusal("NN203", f"`{text}` in `{equation}` names {named} axes, and {type} has {type.rank}", f"operands.{place}")
    found: tuple[Axis, ...] = ()
    for letter in letters:
        found += tuple(range(-more, 0)) if letter == DOTS else (letter,)
    return found


def _check_result(equation: str, operands: tuple[tuple[Axis, ...], ...], result: tuple[Axis, ...]) -> None:
    known = {axis for operand in operands for axis in operand}
    for place, axis in enumerate(result):
        if axis in result[:place]:
            raise Refusal("NN106", f"`{equation}` names `{axis}` twice in its result", "equation")
        if axis not in known:
            raise Refusal("NN106", f"`{equation}` has `{axis}` in its result, and no operand has it", "equation")


@operator("einsum", source="https://docs.pytorch.org/docs/stable/generated/torch.einsum.html")
class einsum(Operator):
    """The sum of products that the equation names: axes with one letter go together, letters that the result lacks are summed.

    Axes with one letter have to be equal. (torch also broadcasts a size of 1; here only the axes of `...` broadcast.) A letter
    twice in an operand takes its diagonal. The work is counted as torch contracts, from left to right.
    Findings: NN106, NN114, NN201, NN203, NN204.
    """

    equation: str = attribute(Text(), doc='such as "bik,bkj->bij"')
    operands: tuple[TensorType, ...] = tensor(dtype="any", variadic=True, doc="the tensors")

    def infer(self) -> Inferred:
        if not self.operands:
            raise Refusal("NN114", "`einsum` needs at least one tensor", "operands")
        equation = parse(self.equation, self.operands)
        sizes, obligations = self._sizes(equation)
        self._check_elements(equation)
        dims = tuple(sizes[axis] for axis in equation.result)
        return Inferred({"output": TensorType(dims, result_type(*self.operands))}, tuple(obligations))

    def _sizes(self, equation: Equation) -> tuple[dict[Axis, Dim], list[Obligation]]:
        """The size of each axis, with NN201 where two of one name differ."""
        sizes: dict[Axis, Dim] = {}
        found: list[Obligation] = []
        for place, (axes, type) in enumerate(zip(equation.operands, self.operands, strict=True)):
            for axis, size in zip(axes, type.dims, strict=True):
                known = sizes.setdefault(axis, size)
                if known == size:
                    continue
                message = f"axis `{axis}` of `{self.equation}` is {format_dim(known)} and {format_dim(size)}"
                if isinstance(axis, int):
                    sizes[axis], claim = merged(known, size)
                    message = f"axes of `...` in `{self.equation}` do not broadcast: {format_dim(known)} and {format_dim(size)}"
                else:
                    sizes[axis], claim = simpler(known, size), equal(known, size)
                if claim is not None:
                    found.append(Obligation(claim, "NN201", f"operands.{place}", message))
        return sizes, found

    def _check_elements(self, equation: Equation) -> None:
        """A sum over a shared axis is a matrix product, which asks for one element type."""
        if any(summed for _, _, summed in self._pairs(equation)):
            for other in self.operands[1:]:
                same_element("einsum", self.operands[0], other, "operands")

    def _pairs(self, equation: Equation) -> Iterable[tuple[set[Axis], set[Axis], set[Axis]]]:
        """For each product, from left to right: the axes of both factors after their own sums, and those it sums over."""
        sizes, _ = self._sizes(equation)
        sets = [set(operand) for operand in equation.operands]
        left = sets[0]
        for number, right in enumerate(sets[1:], start=1):
            needed = set(equation.result).union(*sets[number + 1 :])
            left, right = left & (right | needed), right & (left | needed)
            summed = {axis for axis in left & right if axis not in needed and sizes[axis] != 1}
            yield left, right, summed
            left = (left | right) & needed

    def cost(self) -> Cost:
        equation = parse(self.equation, self.operands)
        sizes, _ = self._sizes(equation)
        flop: Dim = 0
        for left, right, summed in self._pairs(equation):
            if summed:
                flop = flop + 2 * product(sizes[axis] for axis in left | right)
        return Cost(flop)

    def lower(self) -> TorchCall:
        return call_function("torch.einsum", self.equation, Ref("operands"))
