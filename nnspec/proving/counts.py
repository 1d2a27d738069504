"""Counted work and weights against torch's own: its counter of floating-point operations, and the parameters of its modules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import fx, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from nnspec.dims import Dim, Var, evaluate, format_dim
from nnspec.graph.ir import Graph, Node
from nnspec.passes.reading import call_of, nodes_within
from nnspec.proving.account import Account
from nnspec.proving.findings import Findings, span_of
from nnspec.proving.sizes import number, shown
from nnspec.proving.watch import typed_node
from nnspec.torch_backend.module_tree import tensors
from nnspec.torch_backend.requirements import module_dtypes, settings_of
from nnspec.torch_backend.targets import LoweringError, dtype, resolve


class FlopCounts:
    """Counts what each node does, while attention is computed by its two products, which is what torch counts.

    Not compared: what torch's counter has no formula for, and padded sequences, of which torch computes only what is there.
    """

    def __init__(self, findings: Findings, account: Account, sizes: Mapping[Var, int]) -> None:
        self.findings, self.account, self.sizes = findings, account, sizes
        self.compared = 0

    def __call__(self, node: fx.Node, run: Callable[[], Any]) -> Any:
        typed = typed_node(node)
        if typed is None:
            return run()
        counter = FlopCounterMode(display=False)
        with counter, sdpa_kernel(SDPBackend.MATH):
            result = run()
        wanted = number(typed.operator.cost().flop, self.sizes)
        found = int(counter.get_total_flops())
        if wanted is None or (not found and not wanted):
            return result
        padded = "lengths" in typed.inputs and found <= wanted
        if not found or padded:
            name = typed.operator.name + (" with lengths" if padded else "")
            if name not in self.account.flop_uncounted:
                self.account.flop_uncounted.append(name)
            return result
        self.compared += 1
        if found != wanted:
            self._report(typed, found, wanted)
        return result

    def _report(self, node: Node, found: int, wanted: int) -> None:
        self.findings.at_node(
            node, f"torch counts {found:,} FLOP in {{}}, and {wanted:,} were inferred", about="flop",
            notes=(f"inferred as {format_dim(node.operator.cost().flop)}", f"at {shown(self.sizes)}"),
        )  # fmt: skip


def compare_weights(graph: Graph, module: nn.Module, findings: Findings, account: Account) -> None:
    """Names, shapes and number of the weights of a lowered network."""
    found = dict(tensors(module))
    kept = module.state_dict().keys()
    counted = sum(parameter.numel() for parameter in module.parameters())
    wanted = evaluate(graph.parameter_count, {})
    account.parameters, account.weights = wanted, len(graph.weights)
    if counted != wanted:
        findings.contradiction(
            f"`{graph.name}` has {counted:,} parameters in torch, and {wanted:,} were inferred",
            span_of(graph),
            about="parameters",
        )
    for path, entry in graph.weights.items():
        tensor = found.get(path)
        shape = tuple(evaluate(dim, {}) for dim in entry.dims)
        if tensor is None or tuple(tensor.shape) != shape or tensor.dtype != dtype(entry.dtype):
            said = "none" if tensor is None else f"{tensor.dtype}{list(tensor.shape)}"
            findings.contradiction(
                f"`{path}` is {said} in torch, and {entry.dtype}{list(shape)} was inferred", entry.span, about="weights"
            )
        elif tensor.requires_grad != entry.trainable or (path in kept) != entry.persistent:
            kind = ("a parameter" if tensor.requires_grad else "a buffer") + ("" if path in kept else " that is not saved")
            findings.contradiction(f"`{path}` is {kind} in torch, and something else was inferred", entry.span, about="weights")


def blame_weights(graph: Graph, error: Exception, findings: Findings) -> None:
    """Find the layers whose weights are not those that torch's modules have; where there is none, tell what lowering says."""
    dtypes = module_dtypes(graph)
    blamed = False
    for node in nodes_within(graph):
        call = call_of(node)
        if call is None or call.kind != "module" or node.path is None:
            continue
        wanted = {weight.name: _shape(weight.dims) for weight in node.operator.weights()}
        try:
            with torch.device("meta"):
                made = resolve(call.target)(**settings_of(call))
        except (TypeError, ValueError, RuntimeError, LoweringError) as refused:
            findings.at_node(node, f"torch does not make {{}}: {_first(refused)}", about="made")
            blamed = True
            continue
        made = made.to(dtypes[node.path]) if node.path in dtypes else made
        found = {name: tuple(tensor.shape) for name, tensor in tensors(made)}
        if found != wanted:
            blamed = True
            findings.at_node(
                node, f"{{}} has the weights {_listed(found)} in torch, and {_listed(wanted)} was inferred", about="weights"
            )
    if not blamed:
        findings.contradiction(f"`{graph.name}` cannot be lowered: {_first(error)}", span_of(graph), about="lowered")


def _shape(dims: tuple[Dim, ...]) -> tuple[Any, ...]:
    return tuple(dim if isinstance(dim, int) else format_dim(dim) for dim in dims)


def _listed(weights: Mapping[str, tuple[Any, ...]]) -> str:
    return ", ".join(f"{name}[{', '.join(map(str, shape))}]" for name, shape in weights.items()) or "none"


def _first(error: Exception) -> str:
    return str(error).strip().split("\n")[0]
