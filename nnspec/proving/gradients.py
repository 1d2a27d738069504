"""The backward pass: every weight that the graph says is reached gets a gradient, finite, and no other one does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from nnspec.graph.gradients import Gradients
from nnspec.graph.ir import Graph
from nnspec.proving.account import Account
from nnspec.proving.findings import Findings
from nnspec.torch_backend.behaviour import weighted_sum

_NO_DERIVATIVE = "somewhere on the way the derivative does not exist, such as that of a square root at 0: keep away from there"


#: Runs the network on inputs by name.
Run = Callable[[Mapping[str, Tensor]], Any]


class _Backward(NamedTuple):
    """The gradients of a run, and whether what it gave was finite."""

    gradients: dict[str, Tensor | None]
    finite: bool


def compare_gradients(
    graph: Graph, module: nn.Module, run: Run, inputs: Mapping[str, Tensor], findings: Findings, account: Account, *, at: str
) -> int:
    """Run backward from a number made of all outputs of a module that was made of the graph; how many gradients were held against it.

    Where they are not finite, it is tried again with inputs between 0 and 1: a logarithm or a root may exist only there. If then the
    outputs are not finite either, that is what the network computes, and its gradients say nothing. Raises what torch raises.
    """
    found = _backward(module, run, inputs)
    if not all(map(is_finite, found.gradients.values())):
        tame = {name: torch.sigmoid(each) if each.is_floating_point() else each for name, each in inputs.items()}
        found = _backward(module, run, tame)
    if not found.finite:
        account.note("gradients were not compared: on random inputs its outputs are not finite")
        return 0
    reach = Gradients({})
    reached = frozenset[str]().union(*(reach.reach(graph, name).weights for name in graph.outputs))
    compared = 0
    for path, entry in graph.weights.items():
        if entry.trainable and path in found.gradients:
            compared += 1
            complain(findings, path, found.gradients[path], path in reached, entry.span, f"at {at}")
    return compared


def _backward(module: nn.Module, run: Run, inputs: Mapping[str, Tensor]) -> _Backward:
    module.zero_grad(set_to_none=True)
    with torch.enable_grad():
        result = run(inputs)
        loss = weighted_sum(list(result.values()) if isinstance(result, dict) else [result])
        torch.autograd.backward(loss)
    gradients = {path: parameter.grad for path, parameter in module.named_parameters(remove_duplicate=False)}
    module.zero_grad(set_to_none=True)
    return _Backward(gradients, is_finite(loss.detach()))


def complain(findings: Findings, path: str, gradient: Tensor | None, reached: bool, span: Any, at: str) -> None:
    """Report a gradient that is not what the graph says of it."""
    if gradient is None:
        if reached:
            message = f"`{path}` gets no gradient in torch, and the graph says that one reaches it"
            findings.contradiction(message, span, about=f"gradient {path}", notes=(at,))
    elif not is_finite(gradient):
        message = f"`{path}` gets a gradient that is not finite"
        findings.contradiction(message, span, about=f"gradient {path}", notes=(at,), help=_NO_DERIVATIVE)
    elif not reached and gradient.device.type != "meta" and bool((gradient != 0).any()):
        message = f"`{path}` gets a gradient in torch, and the graph says that none reaches it"
        findings.contradiction(message, span, about=f"gradient {path}", notes=(at,))


def is_finite(tensor: Tensor | None) -> bool:
    """Whether nothing speaks against it; on the meta device there are no numbers."""
    return tensor is None or tensor.device.type == "meta" or bool(tensor.isfinite().all())
