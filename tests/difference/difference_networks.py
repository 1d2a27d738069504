"""Random networks and random edits of them, for property tests: chains in groups, some named, some repeated, some with a residual."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import strategies as st

#: Steps that keep the width of their input.
KEEPING = ("ReLU", "GELU", "Dropout(0.1)", "LayerNorm", "relu", "Identity")
WIDTHS = (4, 6, 8)


class Step(NamedTuple):
    """A step of a chain, and the name that `as` gives it."""

    call: str
    name: str = ""

    @property
    def text(self) -> str:
        return f"{self.call} as {self.name}" if self.name else self.call


class Stack(NamedTuple):
    """A network: chains one after the other, each bound to a name; after some a residual sum with what went in."""

    chains: tuple[tuple[Step, ...], ...]
    residual: tuple[bool, ...]
    repeated: int

    @property
    def text(self) -> str:
        lines = ["network Random {", "  input x: float32[N, 4]"]
        last = "x"
        for place, (chain, residual) in enumerate(zip(self.chains, self.residual, strict=True)):
            steps = " -> ".join(step.text for step in chain)
            lines.append(f"  h{place} = {last} -> {steps}" if steps else f"  h{place} = {last} + 0")
            last = f"h{place}"
            if residual:
                lines.append(f"  r{place} = {last} + sum({last}, dim=1, keepdim=true)")
                last = f"r{place}"
        lines.append(f"  body = {last} -> Linear(8) as middle -> repeat {self.repeated} {{ Linear(8) -> ReLU }} as blocks")
        return "\n".join([*lines, "  output y = body -> Linear(3)", "}", ""])


@st.composite
def stacks(draw: st.DrawFn) -> Stack:
    """Random networks."""
    chains = draw(st.lists(st.lists(calls(), min_size=1, max_size=4), min_size=1, max_size=3))
    named = []
    for place, chain in enumerate(chains):
        wanted = draw(st.lists(st.booleans(), min_size=len(chain), max_size=len(chain)))
        names = [f"n{place}_{at}" if wanted[at] and call[0].isupper() else "" for at, call in enumerate(chain)]
        named.append(tuple(map(Step, chain, names)))
    residual = draw(st.lists(st.booleans(), min_size=len(chains), max_size=len(chains)))
    return Stack(tuple(named), tuple(residual), draw(st.integers(1, 3)))


def calls() -> st.SearchStrategy[str]:
    """Random steps."""
    return st.one_of(st.sampled_from(KEEPING), st.sampled_from(WIDTHS).map(lambda width: f"Linear({width})"))


@st.composite
def edited(draw: st.DrawFn, stack: Stack) -> Stack:
    """The network after up to three edits: a step put in, taken out, exchanged, moved, named; another number of copies."""
    chains = [list(chain) for chain in stack.chains]
    residual, repeated = list(stack.residual), stack.repeated
    for number in range(draw(st.integers(1, 3))):
        chain = draw(st.sampled_from(chains))
        place = draw(st.integers(0, len(chain)))
        kind = draw(st.sampled_from(("insert", "remove", "replace", "swap", "name", "repeat", "residual")))
        if kind == "insert":
            chain.insert(place, Step(draw(calls())))
        elif kind == "repeat":
            repeated = draw(st.integers(1, 4))
        elif kind == "residual":
            at = draw(st.integers(0, len(residual) - 1))
            residual[at] = not residual[at]
        elif place < len(chain):
            _change(chain, place, kind, draw(calls()), number)
    return Stack(tuple(map(tuple, chains)), tuple(residual), repeated)


def _change(chain: list[Step], place: int, kind: str, call: str, number: int) -> None:
    step = chain[place]
    if kind == "remove":
        del chain[place]
    elif kind == "replace":
        chain[place] = Step(call, step.name if call[0].isupper() else "")
    elif kind == "swap" and place + 1 < len(chain):
        chain[place], chain[place + 1] = chain[place + 1], step
    elif kind == "name" and step.call[0].isupper():
        chain[place] = Step(step.call, f"other{number}")
