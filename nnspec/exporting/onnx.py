"""ONNX models, with the symbols of the spec as names of axes, and what is known of the network as metadata."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nnspec.exporting.base import ExportContext, ExportError, ExportResult, agreed, require, require_torch
from nnspec.exporting.int8_weights import round_file

if TYPE_CHECKING:
    from nnspec.torch_backend.equivalence import Difference

#: Beyond this the weights go into a file beside the model, because one protocol buffer holds 2 GiB at most.
SINGLE_FILE = 1_800_000_000
OPSET = 20


class Written(NamedTuple):
    """A model in a file: the inputs that it was traced with, and for each input its axes that tracing fixed."""

    path: Path
    inputs: dict[str, Any]
    fixed: dict[str, dict[int, str]]

    @property
    def notes(self) -> tuple[str, ...]:
        """What to say of it."""
        from nnspec.exporting import tracing

        return tuple(tracing.notes_on(self.fixed, self.inputs))


def export(context: ExportContext) -> ExportResult:
    """Write the model, check it with onnx's checker, and compare with onnxruntime at two sets of sizes; then round its weights, where that is
    wanted, and compare again."""
    require_torch()
    onnx = require("onnx", "onnx")
    require("onnxscript", "onnx")
    runtime = require("onnxruntime", "onnx")
    from nnspec.exporting import tracing
    from nnspec.torch_backend.equivalence import worst

    written = write(context, context.path)
    onnx.checker.check_model(str(context.path), full_check=True)
    compared = tuple(tracing.inputs_to_compare(context, written.inputs, written.fixed))

    def difference(*, int8_weights: bool) -> Difference:
        session = runtime.InferenceSession(str(context.path), providers=["CPUExecutionProvider"])
        return worst(_difference(context, session, values, int8_weights=int8_weights) for values in compared)

    found, notes = difference(int8_weights=False), written.notes
    if context.int8_weights:
        notes = (round_file(context.path).note, *notes)
        onnx.checker.check_model(str(context.path), full_check=True)
        found = difference(int8_weights=True)
    return ExportResult(context.path, found, notes)


def write(context: ExportContext, path: Path) -> Written:
    """Write the model of the folded network, with every axis free that can be."""
    import torch

    from nnspec.exporting import tracing

    axes = tracing.symbolic_axes(context.graph)
    inputs = context.inputs()
    module = tracing.network_to_trace(context, folded=True)
    fixed = tracing.fixed_axes(tracing.traced(module, inputs, axes), axes)
    free = {name: {axis: symbol for axis, symbol in named.items() if axis not in fixed[name]} for name, named in axes.items()}
    size = sum(tensor.numel() * tensor.element_size() for tensor in module.state_dict().values())
    with tracing.quiet():
        program = torch.onnx.export(
            module, tuple(inputs.values()), dynamo=True, opset_version=OPSET, input_names=list(inputs),
            output_names=list(context.graph.outputs), dynamic_shapes=tuple(free[name] for name in inputs), verbose=False,
        )  # fmt: skip
        if program is None:
            raise ExportError("torch made no ONNX model of the network")
        program.model.producer_name, program.model.producer_version = "nnspec", context.facts["nnspec.version"]
        for key, value in context.facts.items():
            program.model.metadata_props[key] = value
        program.save(str(path), external_data=size > SINGLE_FILE)
    return Written(path, inputs, fixed)


def _difference(context: ExportContext, session: Any, inputs: dict[str, Any], *, int8_weights: bool) -> Difference:
    import torch

    from nnspec.exporting import tracing

    names = [entry.name for entry in session.get_inputs()]
    # An input that the network does not use is no input of the model.
    found = session.run(None, {name: inputs[name].numpy() for name in names})
    with torch.no_grad():
        wanted = context.reference(*inputs.values())
    results = tracing.outputs_by_name(context.graph, [torch.from_numpy(value) for value in found])
    return agreed(wanted, results, "ONNX", int8_weights=int8_weights)
