"""A network as torch.export sees it: which axes are symbols, and which turn out to be fixed."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.experimental.symbolic_shapes import is_concrete_int

from nnspec.dims import Poly, as_var
from nnspec.exporting.base import ExportContext, ExportError
from nnspec.graph.ir import Graph
from nnspec.passes.admissible import NoAdmissibleSizes
from nnspec.torch_backend.compile import compile_graph
from nnspec.torch_backend.module_tree import NetworkModule

Axes = dict[str, dict[int, str]]


def network_to_trace(context: ExportContext, *, folded: bool) -> fx.GraphModule:
    """The network without checks, which a traced program could not contain: as written, or folded."""
    if not folded:
        return _apart(context.reference)
    return _apart(compile_graph(context.graph, mode="inference", state=context.reference.state_dict(), guards=False))


def _apart(network: NetworkModule) -> fx.GraphModule:
    """The network; below `network` where a layer is called `code`, which is what a loaded program calls its own text."""
    if "code" not in network._modules:
        return network
    graph = fx.Graph()
    given = tuple(graph.placeholder(node.name) for node in network.graph.nodes if node.op == "placeholder")
    graph.output(graph.call_module("network", given))
    around = nn.Module()
    around.add_module("network", network)
    return fx.GraphModule(around, graph).eval()


def symbolic_axes(graph: Graph) -> Axes:
    """For each input its axes of no fixed size, and what they are called."""
    axes: Axes = {}
    for entry in graph.inputs:
        axes[entry.name] = {}
        for axis, dim in enumerate(entry.value.type.dims):
            if isinstance(dim, Poly):
                var = as_var(dim)
                axes[entry.name][axis] = var.name if var is not None else f"{entry.name}_{axis}"
    return axes


def traced(module: nn.Module, inputs: dict[str, Tensor], axes: Axes) -> torch.export.ExportedProgram:
    """The program of torch.export, with every axis free that can be."""
    shapes = tuple(dict.fromkeys(axes[name], torch.export.Dim.AUTO) for name in inputs)
    with quiet():
        try:
            return torch.export.export(module, tuple(inputs.values()), dynamic_shapes=shapes)
        except Exception as error:
            # torch raises whatever its tracing meets; its first line says what.
            reason = str(error).strip().split("\n")[0]
            raise ExportError(f"torch cannot trace the network: {reason}") from error


def fixed_axes(program: torch.export.ExportedProgram, axes: Axes) -> Axes:
    """The axes that should be free and were fixed by the tracing, as a loop over a sequence fixes its length."""
    shapes = {node.name: node.meta["val"].shape for node in program.graph.nodes if node.op == "placeholder"}
    names = dict(zip(axes, program.graph_signature.user_inputs, strict=True))
    fixed: Axes = {}
    for name, free in axes.items():
        shape = shapes[names[name]]
        fixed[name] = {axis: symbol for axis, symbol in free.items() if is_concrete_int(shape[axis])}
    return fixed


def notes_on(fixed: Axes, inputs: dict[str, Tensor]) -> list[str]:
    """What to say of fixed axes."""
    return [
        f"axis {axis} ({symbol}) of `{name}` is fixed at {inputs[name].shape[axis]}"
        for name, axes in fixed.items()
        for axis, symbol in axes.items()
    ]


def inputs_to_compare(context: ExportContext, inputs: dict[str, Tensor], fixed: Axes) -> Iterator[dict[str, Tensor]]:
    """The inputs of the tracing, and, where there are any, others with other sizes of the axes that are free."""
    yield inputs
    sizes = dict(context.sizes)
    for name, axes in fixed.items():
        sizes |= {symbol: inputs[name].shape[axis] for axis, symbol in axes.items() if symbol in _symbols(context.graph)}
    try:
        yield context.inputs(1, sizes)
    except NoAdmissibleSizes:
        return


def _symbols(graph: Graph) -> set[str]:
    return {var.name for var in graph.symbols}


@contextmanager
def quiet() -> Iterator[None]:
    """Silence torch's exporter: it deprecates its own calls (FutureWarning, DeprecationWarning, UserWarning) and logs that
    torchvision is not installed, neither of which the user can do anything about."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx._internal.exporter._registration", "torch.export", "onnxscript")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def outputs_by_name(graph: Graph, result: Any) -> Any:
    """The result of a traced program in the network's form: a tensor, or a dictionary in the spec's order."""
    if len(graph.outputs) == 1:
        return result if isinstance(result, Tensor) else result[0]
    return result if isinstance(result, dict) else dict(zip(graph.outputs, result, strict=True))
