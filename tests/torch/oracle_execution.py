"""What torch does with a call: a small interpreter of `TorchCall` for single operators.

Not here: whole graphs, which `nnspec.torch_backend` lowers.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from oracle_cases import Case
from torch.utils.flop_counter import FlopCounterMode

from nnspec.dims import evaluate
from nnspec.operators.declare import Operator, Ref, Refusal, TorchCall
from nnspec.torch_backend.targets import resolve
from nnspec.types import FLOATS, TensorType


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
            members: Any = given
            filled[name] = [fill(each, generator) for each in members]
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


def execute(operator: Operator, case: Case, seed: int) -> Execution:
    """Let torch do what the operator is lowered to, on random contents."""
    try:
        call = operator.lower()
    except Refusal as refusal:
        return Execution(error=f"not lowered: {refusal}")
    return invoke(call, operator, contents(operator, case, seed), floating(operator), case.training)


def shape_and_dtype(output: Any) -> tuple[tuple[int, ...], str]:
    return tuple(output.shape), str(output.dtype).removeprefix("torch.")
