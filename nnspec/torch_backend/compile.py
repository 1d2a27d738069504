"""From the typed graph to the module that runs: passes, lowering, weights."""

from __future__ import annotations

import torch

from nnspec.garbage import collector_held
from nnspec.graph.ir import Graph
from nnspec.passes.base import Rewritten
from nnspec.passes.pipeline import FUSIONS, PIPELINES, Fusion, Mode, run_passes
from nnspec.torch_backend.equivalence import Difference, compare_graphs
from nnspec.torch_backend.freeing import weights_alone
from nnspec.torch_backend.lower import lower
from nnspec.torch_backend.module_tree import NetworkModule
from nnspec.torch_backend.weights import State, derive

#: Key in the module's `meta` under which the reports of the passes are found.
REPORTS = "nnspec_reports"


def compile_graph(
    graph: Graph, *, mode: str = "training", state: State | None = None, seed: int | None = None, guards: bool = True,
    fusion: Fusion = "no",
) -> NetworkModule:  # fmt: skip
    """The network of a graph, ready to train or, folded, for inference; with a `fusion` for inference on this machine alone, without
    gradients of weights.

    The graph is the variant of the mode. `state` is a checkpoint of the network as written, in both modes; without it the weights
    are drawn, and the same `seed` gives both modes the same function. `guards` puts checks of the inputs at the door.
    `module.meta["nnspec_reports"]` says what each pass did and what it left alone. Raises ValueError for a mode that does not
    exist or is not the graph's, and for a state of other weights.
    """
    # weights that are made in inference mode can neither be trained nor tell when they change
    with torch.inference_mode(False), collector_held():
        rewritten = optimized(graph, mode, fusion)
        if state is not None:
            _check_keys(graph, state)
        # First weights are drawn in the order of the nodes, which fusing changes.
        if not rewritten.graph.derived and _same_weights(graph, rewritten.graph) and (state is not None or fusion == "no"):
            module = lower(rewritten.graph, guards=guards, seed=seed, state=state)
        else:
            full = weights_alone(lower(graph, guards=False, seed=seed)) if state is None else state
            # What is derived is nobody else's: a copy would be the largest part of what compiling needs.
            made = {rule.target for rule in rewritten.graph.derived}
            module = lower(rewritten.graph, guards=guards, state=derive(rewritten.graph, full), adopted=made)
        module.meta[REPORTS] = rewritten.reports
        if fusion != "no":
            module.requires_grad_(False)
        return module


def verify_compiled(
    graph: Graph,
    module: NetworkModule,
    batch: int,
    *,
    state: State | None = None,
    seed: int | None = None,
    tolerance: float = 1e-4,
) -> Difference:
    """Compare a compiled network, made of this state or with this seed, with the network as written on random inputs of `batch` samples.

    Raises ArithmeticError where they differ by more than `tolerance` of the largest output, which is a bug of a pass.
    """
    reference = lower(graph, seed=seed, state=state).eval()
    found = compare_graphs(graph, reference, module.eval(), sizes=batch_sizes(graph, batch), tolerance=tolerance)
    module.train(graph.training)
    if not found.within(tolerance):
        raise ArithmeticError(
            f"the compiled {graph.name} differs from the network as written by {found.relative:.1e}, first at {found.first}"
        )
    return found


def batch_sizes(graph: Graph, batch: int) -> dict[str, int]:
    """What the symbol of the first axis of the first input is, by name."""
    first = graph.inputs[0].name
    return {symbol.name: batch for symbol, origin in graph.symbols.items() if origin.axis == 0 and origin.input == first}


def optimized(graph: Graph, mode: str, fusion: Fusion = "no") -> Rewritten:
    """The graph after the passes of the mode and of the fusion, which is for inference, and their reports."""
    if mode not in PIPELINES:
        raise ValueError(f"the mode is {' or '.join(map(repr, PIPELINES))}, not {mode!r}")
    if graph.training != (mode == "training"):
        built = "training" if graph.training else "inference"
        raise ValueError(f"the graph was built for {built}, so it cannot be compiled for {mode}")
    known: Mode = "training" if mode == "training" else "inference"
    return run_passes(graph, (*PIPELINES[known], *(FUSIONS[fusion] if known == "inference" else ())))


def _check_keys(graph: Graph, state: State) -> None:
    wanted = {path for path, entry in graph.weights.items() if entry.persistent}
    if wanted != state.keys():
        missing, extra = sorted(wanted - state.keys()), sorted(state.keys() - wanted)
        raise ValueError(f"the state is not one of {graph.name}: missing {missing[:5]}, not in the network {extra[:5]}")


def _same_weights(before: Graph, after: Graph) -> bool:
    return before.weights.keys() == after.weights.keys()
