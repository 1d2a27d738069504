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
- symbols: some sizes are replaced by symbols, the operator is inferred again, and evaluating results, obligations, weights and cost at
  the numbers gives what the numbers gave (NN301, "has to be known", is the only refusal that may be added).

What is not compared: settings of a kind that the language does not have (NN106), and tensors of a rank or element type that the operator
does not declare; there we refuse more than torch does, by design, and generators need not draw it.
`Case(..., stricter=True)` marks a case that we refuse and torch may accept; say why beside it. `covers(refuses=False)` is
for operators that refuse nothing; otherwise at least one drawn case has to be refused, and at least a fifth accepted, so that a
generator cannot be empty of either. Modules are compared in inference mode unless `Case(..., training=True)`.
`fixed_ones` keeps sizes of 1 as they are where others become symbols: a symbol beside a symbol has to be equal to it, not 1.
`values` of a case replaces drawn contents of tensors: `{"index": lambda generator: torch.tensor([0, 1])}`.

`test_operators_covered.py` asserts that every operator with a lowering is covered by some `@covers` in `tests/torch/test_operators_*.py`.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

import nnspec.operators  # noqa: F401  (fills the table)
from nnspec.dims import Dim, Poly, Var, evaluate, symbol, variables
from nnspec.dims.claims import AllOf, Claim, Relation
from nnspec.operators.declare import DOMAINS, OPERATORS, Inferred, Operator, Ref, Refusal, TensorField, TorchCall, Weight
from nnspec.operators.kinds import Either, Kind, Listing, Maybe, Repeated, Size
from nnspec.torch_backend.targets import resolve
from nnspec.types import FLOATS, TensorType

Given = TensorType | tuple[TensorType, ...] | float | int


@dataclass(frozen=True)
class Case:
    """Arguments of one call: types (or numbers) of tensors and settings as a spec would write them, by field."""

    tensors: Mapping[str, Given] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    training: bool = False
    stricter: bool = False
    fixed_ones: bool = False
    values: Mapping[str, Callable[[torch.Generator], torch.Tensor]] = field(default_factory=dict)


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


# --- our side -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Verdict:
    """What we say: a bound operator and its results, or why not."""

    operator: Operator | None
    inferred: Inferred | None
    refusal: str = ""
    #: Refused because the language does not have it, whatever torch does.
    by_design: bool = False

    @property
    def accepted(self) -> bool:
        return not self.refusal


def bind(cls: type[Operator], case: Case, *, ranges: bool = True) -> Operator:
    """The call with accepted settings; raises Refusal. Without `ranges`, only their kinds are looked at."""
    accepted = {}
    for name, value in case.attributes.items():
        declared = cls.attribute_fields()[name]
        accepted[name] = declared.accept(value) if ranges else declared.kind.accept(value)
    for name, declared in cls.fields.items():
        if declared.required and name not in case.attributes and name not in case.tensors:
            raise AssertionError(f"{cls.name}: the generator leaves out `{name}`")
    return cls(case.tensors, accepted)


def undeclared(cls: type[Operator], case: Case) -> str:
    """Why the tensors are not what the operator declares; empty if they are."""
    for name, declared in cls.tensor_fields().items():
        given = case.tensors.get(name)
        for each in given if isinstance(given, tuple) and not isinstance(given, TensorType) else (given,):
            if isinstance(each, TensorType):
                ranks = declared.rank if isinstance(declared.rank, tuple) else (declared.rank,)
                if each.dtype not in DOMAINS[declared.dtype]:
                    return f"NN204 {name} is {each}"
                if declared.rank is not None and each.rank not in ranks:
                    return f"NN203 {name} is {each}"
    return ""


def ours(cls: type[Operator], case: Case) -> Verdict:
    """What we say of a case without symbols."""
    try:
        loose = bind(cls, case, ranges=False)
    except Refusal as refusal:
        return Verdict(None, None, f"{refusal.code} {refusal.message}", by_design=True)
    declared = undeclared(cls, case)
    if declared:
        return Verdict(loose, None, declared, by_design=True)
    try:
        operator = bind(cls, case)
        inferred = operator.infer()
    except Refusal as refusal:
        _check_text(cls, refusal.message, refusal.blame)
        return Verdict(loose, None, f"{refusal.code} {refusal.message}", by_design=refusal.code in ("NN106", "NN203", "NN204"))
    for obligation in inferred.obligations:
        _check_text(cls, obligation.message, obligation.blame)
        if not holds(obligation.claim, {}):
            return Verdict(operator, inferred, f"{obligation.code} {obligation.message}")
    return Verdict(operator, inferred)


def _check_text(cls: type[Operator], message: str, blame: str) -> None:
    assert blame == "" or blame in cls.fields, f"{cls.name} blames `{blame}`, which it does not have"
    assert message, f"{cls.name} says nothing"
    assert not message.endswith("."), message


def holds(claim: Claim, sizes: Mapping[Var, int]) -> bool:
    """Whether a claim is true at these sizes."""
    if isinstance(claim, Relation):
        left, right = evaluate(claim.left, sizes), evaluate(claim.right, sizes)
        return {
            "==": left == right, "!=": left != right, "<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right,
        }[claim.op]  # fmt: skip
    parts = [holds(part, sizes) for part in claim.claims]
    return all(parts) if isinstance(claim, AllOf) else any(parts)


def at(type: TensorType, sizes: Mapping[Var, int]) -> TensorType:
    """The type at these sizes."""
    classes = None if type.classes is None else evaluate(type.classes, sizes)
    return TensorType(tuple(evaluate(dim, sizes) for dim in type.dims), type.dtype, classes)


# --- torch's side -------------------------------------------------------------------------------------------------------


@dataclass
class Execution:
    """What torch did."""

    outputs: tuple[Any, ...] = ()
    module: torch.nn.Module | None = None
    flop: int = 0
    error: str = ""


def fill(type: TensorType, generator: torch.Generator) -> torch.Tensor:
    """A tensor of this type with random contents; indices lie below the number of classes."""
    dims = [evaluate(dim, {}) for dim in type.dims]
    dtype = getattr(torch, type.dtype)
    if type.dtype == "bool":
        return torch.randint(0, 2, dims, generator=generator).bool()
    if dtype.is_floating_point or dtype.is_complex:
        return torch.randn(dims, generator=generator).to(dtype)
    most = type.classes if isinstance(type.classes, int) else 5
    return torch.randint(0, max(most, 1), dims, generator=generator).to(dtype)


def contents(operator: Operator, case: Case, seed: int) -> dict[str, Any]:
    """Tensors for the fields, by name."""
    generator = torch.Generator().manual_seed(seed)
    filled: dict[str, Any] = {}
    for name, given in case.tensors.items():
        if name in case.values:
            filled[name] = case.values[name](generator)
        elif isinstance(given, TensorType):
            filled[name] = fill(given, generator)
        elif isinstance(given, tuple):
            filled[name] = [fill(each, generator) for each in given]
        else:
            filled[name] = given
    return filled


def argument(value: Any, operator: Operator, tensors: Mapping[str, Any]) -> Any:
    """An argument of a `TorchCall` as torch gets it."""
    if isinstance(value, Ref):
        if value.field in tensors:
            return tensors[value.field]
        missing = operator.__dict__.get(value.field)
        return list(missing) if isinstance(missing, tuple) else missing
    if isinstance(value, list | tuple):
        return type(value)(argument(item, operator, tensors) for item in value)
    return resolve(value) if isinstance(value, str) and value.startswith("torch.") else value


def invoke(call: TorchCall, operator: Operator, tensors: Mapping[str, Any], dtype: str, training: bool) -> Execution:
    """Interpret a `TorchCall`. What torch raises becomes `error`."""
    args = [argument(value, operator, tensors) for value in call.args]
    kwargs = {name: argument(value, operator, tensors) for name, value in call.kwargs.items()}
    module = None
    counter = FlopCounterMode(display=False)
    try:
        if call.kind == "module":
            module = construct(call, dtype).train(training)
            result = counted(counter, module, args, kwargs)
        elif call.kind == "function":
            result = counted(counter, resolve(call.target), args, kwargs)
        else:
            result = counted(counter, getattr(args[0], call.target), args[1:], kwargs)
    except (RuntimeError, ValueError, TypeError, IndexError, AssertionError, NotImplementedError, ZeroDivisionError) as error:
        return Execution(error=f"{type(error).__name__}: {error}")
    return Execution(_selected(call, operator, result), module, counter.get_total_flops())


def construct(call: TorchCall, dtype: str) -> torch.nn.Module:
    """The module that a call names, with weights of this element type."""
    settings = {name: argument(value, Operator(), {}) for name, value in call.settings.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = resolve(call.target)(**settings)
    assert isinstance(made, torch.nn.Module), call.target
    return made.to(getattr(torch, dtype))


def counted(counter: FlopCounterMode, function: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """The result of a call whose work is counted."""
    with torch.no_grad(), counter, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args, **kwargs)


def _selected(call: TorchCall, operator: Operator, result: Any) -> tuple[Any, ...]:
    if call.select:
        return tuple(getattr(result, key) if isinstance(key, str) else result[key] for key in call.select.values())
    return tuple(result) if isinstance(result, list | tuple) else (result,)


def floating(operator: Operator) -> str:
    """The element type of the operator's weights."""
    try:
        owned = operator.weights()
    except (IndexError, ZeroDivisionError):
        return "float32"
    return next((weight.dtype for weight in owned if weight.dtype in FLOATS), "float32")


# --- the comparison -----------------------------------------------------------------------------------------------------


def check(name: str, *, seed: int = 0) -> None:
    """Hold an operator against torch on all of its cases."""
    entry, cls = COVERED[name], OPERATORS[name]
    takes_name = len(inspect.signature(entry.generate).parameters) > 1
    draw = Random(f"{name} {seed}")
    accepted = refused = 0
    for number in range(entry.cases):
        case = entry.generate(draw, name) if takes_name else entry.generate(draw)
        with_context(cls, case, lambda case=case, number=number: compare(cls, case, entry, number))
        with_context(cls, case, lambda case=case: compare_symbols(cls, case, draw, entry))
        verdict = ours(cls, case)
        accepted += verdict.accepted
        refused += not verdict.accepted and not verdict.by_design
    assert accepted * 5 >= entry.cases, f"{name}: only {accepted} of {entry.cases} cases are accepted"
    assert refused or not entry.refuses, f"{name}: the generator draws nothing that is refused"


def with_context(cls: type[Operator], case: Case, act: Callable[[], None]) -> None:
    """Say which case it was, where something goes wrong."""
    try:
        act()
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
        empty = verdict.refusal.startswith("NN212") and any(0 in _type(output)[0] for output in done.outputs)
        assert done.error or empty or case.stricter, f"we refuse it ({verdict.refusal}), and torch gives {[_type(o) for o in done.outputs]}"
        return
    assert verdict.inferred is not None
    assert not done.error, f"we accept it, and torch says {done.error}"
    assert not case.stricter, "the case is marked as refused by us alone, and we accept it"
    wanted = [(tuple(type.dims), type.dtype) for type in verdict.inferred.outputs.values()]
    assert [_type(output) for output in done.outputs] == wanted, f"torch gives {[_type(o) for o in done.outputs]}, we say {wanted}"
    _compare_classes(verdict.inferred, done)
    if done.module is not None:
        _compare_weights(verdict.operator.weights(), done.module)
    if entry.flop:
        flop = verdict.operator.cost().flop
        assert flop == done.flop, f"torch counts {done.flop} FLOP, we say {flop}"


def execute(operator: Operator, case: Case, seed: int) -> Execution:
    """Let torch do what the operator is lowered to, on random contents."""
    try:
        call = operator.lower()
    except Refusal as refusal:
        return Execution(error=f"not lowered: {refusal}")
    return invoke(call, operator, contents(operator, case, seed), floating(operator), case.training)


def _type(output: Any) -> tuple[tuple[int, ...], str]:
    return tuple(output.shape), str(output.dtype).removeprefix("torch.")


def _compare_classes(inferred: Inferred, done: Execution) -> None:
    for (name, type), output in zip(inferred.outputs.items(), done.outputs, strict=True):
        if isinstance(type.classes, int) and output.numel():
            assert int(output.min()) >= 0, f"{name} is said to be an index and has {output.min()}"
            assert int(output.max()) < type.classes, f"{name} is said to lie below {type.classes} and has {output.max()}"


def _compare_weights(owned: tuple[Weight, ...], module: torch.nn.Module) -> None:
    kept = {name: _type(tensor) for name, tensor in module.state_dict().items()}
    stated = {weight.name: (tuple(weight.dims), weight.dtype) for weight in owned if weight.persistent}
    assert list(stated.items()) == list(kept.items()), f"torch keeps {kept}, we say {stated}"
    everything = {name for name, _ in (*module.named_parameters(), *module.named_buffers())}
    assert {weight.name for weight in owned} == everything, f"torch has {everything}"
    trained = {name for name, parameter in module.named_parameters() if parameter.requires_grad}
    assert {weight.name for weight in owned if weight.trainable} == trained, f"torch trains {trained}"


# --- symbols ------------------------------------------------------------------------------------------------------------


def compare_symbols(cls: type[Operator], case: Case, draw: Random, entry: Entry) -> None:
    """Sizes as symbols, evaluated afterwards, give what the numbers gave."""
    verdict = ours(cls, case)
    if verdict.by_design:
        return
    sizes: dict[Var, int] = {}
    symbolic = replace(
        case,
        tensors={name: _abstract(given, draw, sizes, 1 + case.fixed_ones) for name, given in case.tensors.items()},
        attributes={name: _abstract_setting(cls.attribute_fields()[name].kind, value, draw, sizes)
                    for name, value in case.attributes.items()},
    )  # fmt: skip
    try:
        operator = bind(cls, symbolic)
        inferred = operator.infer()
    except Refusal as refusal:
        assert not verdict.accepted or refusal.code == "NN301", f"with symbols: {refusal.code} {refusal.message}"
        return
    violated = [obligation.message for obligation in inferred.obligations if not holds(obligation.claim, sizes)]
    assert bool(violated) == (not verdict.accepted), f"numbers: {verdict.refusal or 'accepted'}; symbols: {violated or 'accepted'}"
    if verdict.accepted and verdict.operator is not None and verdict.inferred is not None:
        found = {name: at(type, sizes) for name, type in inferred.outputs.items()}
        assert found == verdict.inferred.outputs, f"numbers give {verdict.inferred.outputs}, symbols {found}"
        assert evaluate(operator.cost().flop, sizes) == verdict.operator.cost().flop, "the cost differs with symbols"
        owned = [weight._replace(dims=tuple(evaluate(dim, sizes) for dim in weight.dims)) for weight in operator.weights()]
        assert tuple(owned) == verdict.operator.weights(), "the weights differ with symbols"
        _compare_lowered(operator, sizes)


def _compare_lowered(operator: Operator, sizes: Mapping[Var, int]) -> None:
    """Whatever the lowering computes at run time has to be made of the input's own symbols."""
    try:
        call = operator.lower()
    except Refusal as refusal:
        assert refusal.code == "NN301", f"lowering with symbols: {refusal.code} {refusal.message}"
        return
    for dim in _dims_in((call.args, list(call.kwargs.values()), list(call.settings.values()))):
        evaluate(dim, sizes)


def _dims_in(value: Any) -> list[Poly]:
    if isinstance(value, slice):
        return _dims_in([value.start, value.stop, value.step])
    if isinstance(value, list | tuple):
        return [dim for item in value for dim in _dims_in(item)]
    return [value] if isinstance(value, Poly) else []


def _symbol_for(size: int, draw: Random, sizes: dict[Var, int], least: int = 1) -> Dim:
    """The size, a fresh symbol for it if it is at least `least`, or a symbol that stands for the same size already."""
    if size < least or draw.random() < 0.4:
        return size
    same = [var for var, value in sizes.items() if value == size]
    if same and draw.random() < 0.7:
        return Poly({((draw.choice(same), 1),): 1})
    fresh = symbol(f"S{len(sizes)}")
    (var,) = variables(fresh)
    sizes[var] = size
    return fresh


def _abstract(given: Given, draw: Random, sizes: dict[Var, int], least: int) -> Any:
    if isinstance(given, TensorType):
        classes = given.classes if not isinstance(given.classes, int) else _symbol_for(given.classes, draw, sizes)
        return TensorType(tuple(_symbol_for(evaluate(dim, {}), draw, sizes, least) for dim in given.dims), given.dtype, classes)
    return tuple(_abstract(each, draw, sizes, least) for each in given) if isinstance(given, tuple) else given


def _abstract_setting(kind: Kind, value: Any, draw: Random, sizes: dict[Var, int]) -> Any:
    if isinstance(kind, Maybe):
        return None if value is None else _abstract_setting(kind.inner, value, draw, sizes)
    if isinstance(kind, Either):
        fitting = next((inner for inner in kind.kinds if _accepts(inner, value)), kind.kinds[0])
        return _abstract_setting(fitting, value, draw, sizes)
    if isinstance(kind, Listing | Repeated) and isinstance(value, list | tuple):
        return [_abstract_setting(kind.member, item, draw, sizes) for item in value]
    if isinstance(kind, Repeated):
        return _abstract_setting(kind.member, value, draw, sizes)
    if isinstance(kind, Size) and isinstance(value, int) and not isinstance(value, bool):
        return _symbol_for(value, draw, sizes)
    return value


def _accepts(kind: Kind, value: Any) -> bool:
    try:
        kind.accept(value)
    except Refusal:
        return False
    return True


def lowered_operators() -> list[str]:
    """Every operator of the table that says how torch does it."""
    return sorted(name for name, cls in OPERATORS.items() if cls.lower is not Operator.lower)


__all__ = [
    "COVERED", "Case", "Entry", "Execution", "TensorField", "bind", "check", "covers", "execute", "fill", "float_tensor", "holds",
    "lowered_operators", "names", "ours",
]  # fmt: skip
