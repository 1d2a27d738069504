"""The claims of `ensure` on behaviour, tested on the compiled network."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from nnspec.checker import Report, rebuild
from nnspec.diagnostics import Diagnostic
from nnspec.errors import SpecError
from nnspec.graph.behaviours import weight_labels
from nnspec.graph.ir import Graph
from nnspec.graph.program import Behaviour
from nnspec.torch_backend.behaviour import refuted


def broken(claim: Behaviour, report: Report, graph: Graph, module: nn.Module, sizes: Mapping[str, int] | None = None,
           seed: int = 0) -> Diagnostic | None:  # fmt: skip
    """NN501 where running refutes a claim. `module` was compiled from `graph`, for inference; what is claimed of gradients is tested on
    the variant for training. Raises NoAdmissibleSizes."""
    if claim.kind == "grads_reach":
        try:
            graph = rebuild(report, claim.network, training=True)
        except SpecError as error:
            return next(iter(error.findings), None)
    seen = refuted(claim, graph, module, sizes, seed=seed)
    if seen is None:
        return None
    labels = weight_labels(list(seen.weights))
    return Diagnostic("NN501", f"`{claim.kind}` does not hold for `{graph.name}`: {seen.text}", claim.span, labels=labels)
