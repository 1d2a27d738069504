"""Random whole networks, fused and as written: both compute the same, forward and backward."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import redirect_stderr
from io import StringIO
from typing import NamedTuple

import torch
from torch import Tensor, fx

from differential.generator import generate
from differential.spelling import spelled
from nnspec.checker import check_source
from nnspec.diagnostics import Source
from nnspec.graph.ir import Graph
from nnspec.passes.admissible import NoAdmissibleSizes, admissible_sizes
from nnspec.passes.reading import nodes_within
from nnspec.torch_backend.compile import REPORTS, compile_graph
from nnspec.torch_backend.equivalence import Difference, compare, measure
from nnspec.torch_backend.example_inputs import inputs_at
from nnspec.torch_backend.lower import lower

#: Share of the largest number by which results and gradients may differ: sums are made in another order.
TOLERANCE = 2e-4


class Trial(NamedTuple):
    """What was found of one network: how many layers were fused, and the text where something differs."""

    fused: int
    wrong: str = ""


def trial(seed: int, index: int) -> Trial | None:
    """Compare one network with itself, fused; None where it has errors, draws numbers, or is run at no sizes."""
    text = spelled(generate(seed, index))
    report = check_source(Source("t.nn", text))
    if not report.ok or report.default_network is None:
        return None
    graph = report.graph(report.default_network)
    if any(node.operator.random for node in nodes_within(graph)):
        return None
    try:  # weights may have sizes that depend on the inputs: numbers in their place
        sizes = {symbol.name: size for symbol, size in admissible_sizes(graph).items()}
        numbered = check_source(Source("t.nn", text), sizes=sizes)
        graph = numbered.graph(report.default_network)
        inputs = inputs_at(graph, admissible_sizes(graph), seed)
    except (NoAdmissibleSizes, KeyError, ValueError):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reference = lower(graph, guards=False, seed=0)
        try:
            with redirect_stderr(StringIO()):  # torch.fx prints where generated code fails
                reference.eval()(*inputs.values())
        except (RuntimeError, ValueError, IndexError):  # what is right in its types may be wrong in its values
            return None
        fused = 0
        for fusion in ("fused", "channels_last"):
            module = compile_graph(graph, mode="inference", state=reference.state_dict(), guards=False, fusion=fusion)
            fused += sum(each.done for each in module.meta[REPORTS] if each.pass_name in ("fuse_pointwise", "fuse_embedding"))
            found = compare(reference, module, inputs, tolerance=TOLERANCE).joined(_gradients(graph, reference, module, inputs))
            if not found.within(TOLERANCE) and found.absolute > 1e-5:
                return Trial(fused, f"{fusion}: {found}\n{text}")
    return Trial(fused)


def _gradients(graph: Graph, reference: fx.GraphModule, module: fx.GraphModule, inputs: dict[str, Tensor]) -> Difference:
    """The gradients of all float inputs, of the sum of what the network gives; no difference where torch cannot compute them."""
    try:
        wanted = _gradient(reference.eval(), inputs)
    except RuntimeError:
        return Difference(0.0, 0.0)
    return measure(wanted, _gradient(module.eval(), inputs))


def _gradient(module: fx.GraphModule, inputs: dict[str, Tensor]) -> tuple[Tensor, ...]:
    given = [tensor.clone().requires_grad_() if tensor.is_floating_point() else tensor for tensor in inputs.values()]
    result = module(*given)
    outputs = [result] if isinstance(result, Tensor) else list(result.values())
    total = sum((output.abs().double().sum() for output in outputs if output.requires_grad), torch.zeros((), dtype=torch.float64))
    followed = [tensor for tensor in given if tensor.requires_grad]
    if not followed or not total.requires_grad:
        return (torch.zeros(1),) * len(followed)
    found = torch.autograd.grad(total, followed, allow_unused=True)
    return tuple(torch.zeros(1) if gradient is None else gradient for gradient in found)


def trials(seed: int, start: int, count: int) -> Iterator[Trial]:
    """The trials of some networks that could be compared."""
    for index in range(start, start + count):
        found = trial(seed, index)
        if found is not None:
            yield found
