"""Claims on behaviour, tested by running: what one place of the input may not reach, and what has to stay the same.

A test can refute a claim, not prove it: it runs the network on random inputs at a few sizes. All claims but `grads_reach` are about the
network in inference: in training, a batch norm mixes samples and dropout draws.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from nnspec.dims import Var, variables
from nnspec.graph.ir import Graph, WeightEntry
from nnspec.graph.program import Behaviour
from nnspec.torch_backend.example_inputs import random_inputs
from nnspec.torch_backend.lower import lower

#: Relative to the largest output. What is computed from the same numbers in the same way may not change at all, but for this.
SAME = 1e-6
#: What rounding in another order may change.
REORDERED = 1e-4
_TRIALS = 3
#: How large the inputs are that a range is tried with.
_SCALES = (1.0, 0.0, 10.0, 1000.0)


class Refuted(NamedTuple):
    """What was seen that a claim rules out, and the weights that it is about."""

    text: str
    weights: tuple[WeightEntry, ...] = ()


def refuted(
    claim: Behaviour, graph: Graph, module: nn.Module, sizes: Mapping[str, int] | None = None, *, seed: int = 0
) -> Refuted | None:
    """What was seen that the claim rules out, or None where all trials agree with it.

    `module` was made of `graph`, the network's variant for inference, or for `grads_reach` of that for training. Its mode and torch's
    random state are left alone. Raises NoAdmissibleSizes.
    """
    if claim.kind == "grads_reach":
        return _unreached(claim, graph, sizes, seed)
    with _inference(module, seed), torch.no_grad():
        for trial in range(_TRIALS):
            found = _TESTS[claim.kind](_Trial(claim, graph, module, sizes, seed, trial))
            if found is not None:
                return Refuted(found)
    return None


@contextmanager
def _inference(module: nn.Module, seed: int) -> Iterator[None]:
    modes = {part: part.training for part in module.modules()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module.eval()
        try:
            yield
        finally:
            for part, mode in modes.items():
                part.training = mode


class _Trial:
    """Inputs of one trial, others of the same sizes, and how to run the network on them."""

    def __init__(
        self, claim: Behaviour, graph: Graph, module: nn.Module, sizes: Mapping[str, int] | None, seed: int, number: int
    ) -> None:
        self.claim, self.graph, self.module, self.number = claim, graph, module, number
        self.inputs = random_inputs(graph, sizes, seed + number, skip=number)
        same = {
            symbol.name: self.inputs[origin.input].shape[origin.axis]
            for symbol, origin in graph.symbols.items()
            if origin.input in self.inputs
        }
        other = random_inputs(graph, {**same, **(sizes or {})}, seed + number + 100, skip=number)
        self.other = {name: tensor * 10**number if tensor.is_floating_point() else tensor for name, tensor in other.items()}
        self.generator = torch.Generator().manual_seed(seed + number)

    def output(self, **changed: Tensor) -> Tensor:
        """The output that the claim is about; `changed` inputs by name."""
        result = self.module(*[changed.get(entry.name, self.inputs[entry.name]) for entry in self.graph.inputs])
        value: Tensor = result[self.claim.output] if isinstance(result, dict) else result
        return value if value.is_floating_point() or value.is_complex() else value.double()

    @property
    def input(self) -> Tensor:
        return self.inputs[self.claim.input]

    def replaced_from(self, step: int, axis: int) -> Tensor:
        """The input with everything from a place of the axis on taken from the other inputs."""
        length = self.input.shape[axis] - step
        return torch.cat((self.input.narrow(axis, 0, step), self.other[self.claim.input].narrow(axis, step, length)), dim=axis)


def _differs(left: Tensor, right: Tensor, tolerance: float) -> bool:
    """Whether they differ by more than this share of the largest number; what is not a number equals only itself."""
    if not left.numel():
        return False
    same = (left == right) | (left.isnan() & right.isnan())
    gap = torch.where(same, 0.0, (left - right).abs().double()).nan_to_num(nan=float("inf"))
    scale = float(left.abs().double().nan_to_num(0.0, 0.0, 0.0).max())
    return float(gap.max()) > tolerance * max(scale, 1e-12)


def _causal(trial: _Trial) -> str | None:
    """Changing the input from a step on leaves the outputs of earlier steps as they are."""
    claim, axis = trial.claim, trial.claim.axis
    base, length = trial.output(), trial.input.shape[axis]
    for step in sorted({1, length // 2, length - 1} - {0, length}):
        after = trial.output(**{claim.input: trial.replaced_from(step, axis)})
        if _differs(base.narrow(axis, 0, step), after.narrow(axis, 0, step), SAME):
            return f"changing `{claim.input}` from step {step} on changes `{claim.output}` before it, with {length} steps"
    return None


def _batch_independent(trial: _Trial) -> str | None:
    """Changing the other samples of a batch leaves a sample's output as it is."""
    claim, base = trial.claim, trial.output()
    after = trial.output(**{claim.input: trial.replaced_from(1, 0)})
    if _differs(base[:1], after[:1], SAME):
        return f"changing other samples of `{claim.input}` changes `{claim.output}` of the first, in inference"
    return None


def _permutation_equivariant(trial: _Trial) -> str | None:
    """Reordering an axis of the input reorders the same axis of the output alike. Other inputs with an axis of the same symbol, such as a
    mask, are reordered with it, and indices below that symbol are renumbered."""
    claim, axis = trial.claim, trial.claim.axis
    order = torch.randperm(trial.input.shape[axis], generator=trial.generator)
    if torch.equal(order, torch.arange(len(order))):
        order = order.roll(1)
    changed = {entry.name: _reordered(trial, entry.name, order) for entry in trial.graph.inputs}
    changed[claim.input] = trial.input.index_select(axis, order)
    if _differs(trial.output().index_select(axis, order), trial.output(**changed), REORDERED):
        return f"reordering `{claim.input}` along axis {axis} does not reorder `{claim.output}` alike"
    return None


def _reordered(trial: _Trial, name: str, order: Tensor) -> Tensor:
    types = {entry.name: entry.value.type for entry in trial.graph.inputs}
    size, type, tensor = types[trial.claim.input].dims[trial.claim.axis], types[name], trial.inputs[name]
    symbols: set[Var] = set(variables(size))
    if not symbols:
        return tensor
    for axis, dim in enumerate(type.dims):
        tensor = tensor.index_select(axis, order) if dim == size else tensor
    return torch.argsort(order)[tensor] if type.classes == size else tensor


def _deterministic(trial: _Trial) -> str | None:
    """Two runs on the same input agree to the last bit."""
    first, second = trial.output(), trial.output()
    same = bool(((first == second) | (first.isnan() & second.isnan())).all())
    return None if same else f"two runs on the same inputs give different `{trial.claim.output}`"


def _range(trial: _Trial) -> str | None:
    """Every value lies within the bounds, for inputs of several sizes."""
    claim = trial.claim
    low, high = (-float("inf") if claim.low is None else claim.low), (float("inf") if claim.high is None else claim.high)
    for scale in _SCALES:
        scaled = {name: tensor * scale if tensor.is_floating_point() else tensor for name, tensor in trial.inputs.items()}
        found = trial.output(**scaled).double()
        if not found.numel():
            continue
        seen = (float(found.min()), float(found.max()))
        room = [1e-6 * max(1.0, abs(bound)) if abs(bound) != float("inf") else 0.0 for bound in (low, high)]
        wrong = next((value for value in seen if not low - room[0] <= value <= high + room[1]), None)
        if wrong is not None:
            return f"`{claim.output}` is {'no number' if wrong != wrong else f'{wrong:.6g}'} for random inputs of scale {scale:g}"
    return None


_TESTS: dict[str, Callable[[_Trial], str | None]] = {
    "causal": _causal,
    "batch_independent": _batch_independent,
    "permutation_equivariant": _permutation_equivariant,
    "deterministic": _deterministic,
    "range": _range,
}


# --- gradients ----------------------------------------------------------------------------------------------------------------


def _unreached(claim: Behaviour, graph: Graph, sizes: Mapping[str, int] | None, seed: int) -> Refuted | None:
    """The weights that get no gradient but zero in training, with none of several first weights and inputs."""
    if not graph.training:
        raise ValueError("gradients are those of the network's variant for training")
    missed = {path: entry for path, entry in graph.weights.items() if entry.trainable}
    for trial in range(_TRIALS):
        module = lower(graph, seed=seed + trial)
        inputs = random_inputs(graph, sizes, seed + trial, skip=trial)
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            torch.manual_seed(seed + trial)
            result = module(*inputs.values())
            chosen = result if not isinstance(result, dict) else result[claim.output] if claim.output else list(result.values())
            torch.autograd.backward(weighted_sum(chosen if isinstance(chosen, list) else [chosen]))
        for path, parameter in module.named_parameters(remove_duplicate=False):
            if parameter.grad is not None and bool((parameter.grad != 0).any()):
                missed.pop(path, None)
        if not missed:
            return None
    names = ", ".join(f"`{path}`" for path in list(missed)[:3]) + (f" and {len(missed) - 3} more" if len(missed) > 3 else "")
    what = f"`{claim.output}`" if claim.output else "the outputs"
    return Refuted(
        f"the gradient of {what} is zero at {names}, with {_TRIALS} draws of weights and inputs", tuple(missed.values())
    )


def weighted_sum(outputs: Sequence[Any]) -> Tensor:
    """A number whose gradients reach every element of the outputs, each by another factor: zero where none has a gradient."""
    generator = torch.Generator().manual_seed(0)
    parts = []
    for output in outputs:
        if isinstance(output, Tensor) and output.is_floating_point() and output.requires_grad:
            factors = torch.rand(output.shape, generator=generator).to(output.device) + 0.5
            parts.append((output.float() * factors).sum())
    return torch.stack(parts).sum() if parts else torch.zeros((), requires_grad=True)
