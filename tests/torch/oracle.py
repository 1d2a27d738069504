"""torch as an oracle for operators: hundreds of random cases, and in each the same answer.

How to use it, in a file `tests/torch/test_operators_FAMILY.py`:

```python
from oracle import Case, check, covers, float_tensor, names

@covers("Linear", cases=300)
def linear(draw: Random) -> Case:
    width = draw.randint(1, 6)
    return Case(
        {"input": float_tensor(draw.randint(1, 3), width)},
        {"out_features": draw.randint(1, 5), "in_features": draw.choice([None, width, width + 1])},
    )

@pytest.mark.parametrize("name", names(__name__))
def test_agrees_with_torch(name: str) -> None:
    check(name)
```

A generator returns one random case, valid or not; a second parameter, `name`, receives the operator's name where one generator
serves several (`@covers("Conv1d", "Conv2d")`). For each case `check` holds the operator against torch:

- refusals: our ranges, `Refusal`s and violated obligations, if and only if torch raises (or, for NN212, gives an empty tensor);
- shapes and element types of all results; weights and buffers: names, order, shapes, element types, trainable or not, persistent;
- `cost().flop` against `FlopCounterMode` (`flop=False` where torch does not count what we count: then test `cost` by hand);
- symbols: some sizes are replaced by symbols, the operator is inferred again, and evaluating results, obligations, weights and
  cost at the numbers gives what the numbers gave (NN301, "has to be known", is the only refusal that may be added).

What is not compared: settings of a kind that the language does not have (NN106), and tensors of a rank or element type that the
operator does not declare; there we refuse more than torch does, by design, and generators need not draw it.
`Case(..., stricter=True)` marks a case that we refuse and torch may accept; say why beside it. `covers(refuses=False)` is for
operators that refuse nothing; otherwise at least one drawn case has to be refused, and at least a fifth accepted, so that
a generator cannot be empty of either. Modules are compared in inference mode unless `Case(..., training=True)`.
`values` of a case replaces drawn contents of tensors: `{"index": lambda generator: torch.tensor([0, 1])}`.
`fixed_ones` keeps sizes of 1 as they are where others become symbols: a symbol beside a symbol has to be equal to it, not 1.

`test_operators_covered.py` asserts that every operator with a lowering is covered by some `@covers` in a file
`tests/torch/test_operators_*.py`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random

import torch
from oracle_cases import Case, bind, holds, ours
from oracle_execution import Execution, execute, fill, shape_and_dtype
from oracle_symbols import compare_symbols

import nnspec.operators  # noqa: F401  (fills the table)
from nnspec.operators.declare import OPERATORS, Inferred, Operator, Weight
from nnspec.types import TensorType

Generator = Callable[..., Case]


@dataclass(frozen=True)
class Entry:
    """How an operator is covered."""

    generate: Generator
    cases: int
    flop: bool
    refuses: bool
    module: str


COVERED: dict[str, Entry] = {}


def covers(*operators: str, cases: int = 200, flop: bool = True, refuses: bool = True) -> Callable[[Generator], Generator]:
    """Enter a generator for the operators of these names."""

    def enter(generate: Generator) -> Generator:
        for name in operators:
            if name in COVERED and COVERED[name].module != generate.__module__:
                raise ValueError(f"{name} is covered twice")
            COVERED[name] = Entry(generate, cases, flop, refuses, generate.__module__)
        return generate

    return enter


def names(module: str) -> list[str]:
    """The operators that a test file covers."""
    return [name for name, entry in COVERED.items() if entry.module == module]


def float_tensor(*dims: int, dtype: str = "float32") -> TensorType:
    return TensorType(dims, dtype)


def check(name: str, *, seed: int = 0) -> None:
    """Hold an operator against torch on all of its cases."""
    entry, cls = COVERED[name], OPERATORS[name]
    takes_name = len(inspect.signature(entry.generate).parameters) > 1
    draw = Random(f"{name} {seed}")
    accepted = refused = 0
    for number in range(entry.cases):
        case = entry.generate(draw, name) if takes_name else entry.generate(draw)
        with said_which(cls, case):
            compare(cls, case, entry, number)
            compare_symbols(cls, case, draw)
        verdict = ours(cls, case)
        accepted += verdict.accepted
        refused += not verdict.accepted and not verdict.by_design
    assert accepted * 5 >= entry.cases, f"{name}: only {accepted} of {entry.cases} cases are accepted"
    assert refused or not entry.refuses, f"{name}: the generator draws nothing that is refused"


@contextmanager
def said_which(cls: type[Operator], case: Case) -> Iterator[None]:
    """Say which case it was, where something goes wrong."""
    try:
        yield
    except (AssertionError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        shown = {name: str(value) if isinstance(value, TensorType) else value for name, value in case.tensors.items()}
        raise AssertionError(f"{cls.name} on {shown} with {dict(case.attributes)}: {error}") from error


def compare(cls: type[Operator], case: Case, entry: Entry, seed: int) -> None:
    """The same refusals, results, weights and cost as torch."""
    verdict = ours(cls, case)
    if verdict.by_design or verdict.operator is None:
        return
    done = execute(verdict.operator, case, seed)
    if not verdict.accepted:
        empty = verdict.refusal.startswith("NN212") and any(0 in shape_and_dtype(output)[0] for output in done.outputs)
        assert done.error or empty or case.stricter, (
            f"we refuse it ({verdict.refusal}), and torch gives {[shape_and_dtype(o) for o in done.outputs]}"
        )
        return
    assert verdict.inferred is not None
    assert not done.error, f"we accept it, and torch says {done.error}"
    assert not case.stricter, "the case is marked as refused by us alone, and we accept it"
    wanted = [(tuple(type.dims), type.dtype) for type in verdict.inferred.outputs.values()]
    assert [shape_and_dtype(output) for output in done.outputs] == wanted, (
        f"torch gives {[shape_and_dtype(o) for o in done.outputs]}, we say {wanted}"
    )
    _compare_classes(verdict.inferred, done)
    if done.module is not None:
        _compare_weights(verdict.operator.weights(), done.module)
    if entry.flop:
        flop = verdict.operator.cost().flop
        assert flop == done.flop, f"torch counts {done.flop} FLOP, we say {flop}"


def _compare_classes(inferred: Inferred, done: Execution) -> None:
    for (name, type), output in zip(inferred.outputs.items(), done.outputs, strict=True):
        if isinstance(type.classes, int) and output.numel():
            assert int(output.min()) >= 0, f"{name} is said to be an index and has {output.min()}"
            assert int(output.max()) < type.classes, f"{name} is said to lie below {type.classes} and has {output.max()}"


def _compare_weights(owned: tuple[Weight, ...], module: torch.nn.Module) -> None:
    kept = {name: shape_and_dtype(tensor) for name, tensor in module.state_dict().items()}
    stated = {weight.name: (tuple(weight.dims), weight.dtype) for weight in owned if weight.persistent}
    assert list(stated.items()) == list(kept.items()), f"torch keeps {kept}, we say {stated}"
    everything = {name for name, _ in (*module.named_parameters(), *module.named_buffers())}
    assert {weight.name for weight in owned} == everything, f"torch has {everything}"
    trained = {name for name, parameter in module.named_parameters() if parameter.requires_grad}
    assert {weight.name for weight in owned if weight.trainable} == trained, f"torch trains {trained}"


def lowered_operators() -> list[str]:
    """Every operator of the table that says how torch does it."""
    return sorted(name for name, cls in OPERATORS.items() if cls.lower is not Operator.lower)


__all__ = [
    "COVERED", "Case", "Entry", "Execution", "bind", "check", "covers", "execute", "fill", "float_tensor", "holds",
    "lowered_operators", "names", "ours",
]  # fmt: skip
