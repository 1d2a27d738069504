"""Claims on behaviour, tested by running: what one place of the input may not reach, and what has to stay the same.

A test can refute a claim, not prove it: it runs the network in inference mode on random inputs at a few sizes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from nnspec.graph.ir import Graph
from nnspec.graph.program import Behaviour
from nnspec.torch_backend.example_inputs import random_inputs

#: Relative to the largest output; what rounding in another order may change.
TOLERANCE = 1e-4
_TRIALS = 3


def refuted(claim: Behaviour, graph: Graph, module: nn.Module, sizes: Mapping[str, int] | None = None) -> str | None:
    """What was seen that the claim rules out, or None where all trials agree with it."""
    module.eval()
    for trial in range(_TRIALS):
        inputs = random_inputs(graph, sizes, seed=trial, skip=trial)
        other = random_inputs(graph, _same_sizes(graph, inputs, sizes), seed=trial + 100, skip=trial)
        with torch.no_grad():
            found = _TESTS[claim.kind](claim, graph, module, inputs, other)
        if found is not None:
            return found
    return None


def _same_sizes(graph: Graph, inputs: Mapping[str, Tensor], given: Mapping[str, int] | None) -> dict[str, int]:
    read = {
        symbol.name: inputs[origin.input].shape[origin.axis] for symbol, origin in graph.symbols.items() if origin.input in inputs
    }
    return {**read, **(given or {})}


def _output(claim: Behaviour, graph: Graph, module: nn.Module, inputs: Mapping[str, Tensor]) -> Tensor:
    result = module(*[inputs[entry.name] for entry in graph.inputs])
    value: Tensor = result[claim.output] if isinstance(result, dict) else result
    return value.float()


def _differs(left: Tensor, right: Tensor) -> bool:
    scale = max(float(left.abs().max()), 1e-12) if left.numel() else 1.0
    return bool(left.numel()) and float((left - right).abs().max()) > TOLERANCE * scale


def _causal(claim: Behaviour, graph: Graph, module: nn.Module, inputs: dict[str, Tensor], other: dict[str, Tensor]) -> str | None:
    """Changing the input from a step on leaves the outputs of earlier steps as they are; steps are axis 1."""
    base = _output(claim, graph, module, inputs)
    length = inputs[claim.input].shape[1]
    for step in sorted({1, length // 2, length - 1} - {0, length}):
        changed = inputs[claim.input].clone()
        changed[:, step:] = other[claim.input][:, step:]
        after = _output(claim, graph, module, {**inputs, claim.input: changed})
        if _differs(base[:, :step], after[:, :step]):
            return f"changing `{claim.input}` from step {step} on changes `{claim.output}` before it"
    return None


def _batch_independent(
    claim: Behaviour, graph: Graph, module: nn.Module, inputs: dict[str, Tensor], other: dict[str, Tensor]
) -> str | None:
    """Changing the other samples of a batch leaves a sample's output as it is."""
    base = _output(claim, graph, module, inputs)
    changed = inputs[claim.input].clone()
    changed[1:] = other[claim.input][1:]
    after = _output(claim, graph, module, {**inputs, claim.input: changed})
    return (
        f"changing other samples of `{claim.input}` changes `{claim.output}` of the first"
        if _differs(base[:1], after[:1])
        else None
    )


def _permutation_equivariant(
    claim: Behaviour, graph: Graph, module: nn.Module, inputs: dict[str, Tensor], other: dict[str, Tensor]
) -> str | None:
    """Reordering axis 1 of the input reorders axis 1 of the output alike."""
    order = torch.arange(inputs[claim.input].shape[1]).flip(0)
    base = _output(claim, graph, module, inputs)
    after = _output(claim, graph, module, {**inputs, claim.input: inputs[claim.input][:, order]})
    return f"reordering `{claim.input}` does not reorder `{claim.output}` alike" if _differs(base[:, order], after) else None


def _deterministic(
    claim: Behaviour, graph: Graph, module: nn.Module, inputs: dict[str, Tensor], other: dict[str, Tensor]
) -> str | None:
    """Two runs on the same input agree to the last bit."""
    first, second = (_output(claim, graph, module, inputs) for _ in range(2))
    return None if torch.equal(first, second) else f"two runs on the same inputs give different `{claim.output}`"


_TESTS: dict[str, Callable[[Behaviour, Graph, nn.Module, dict[str, Tensor], dict[str, Tensor]], str | None]] = {
    "causal": _causal,
    "batch_independent": _batch_independent,
    "permutation_equivariant": _permutation_equivariant,
    "deterministic": _deterministic,
}
