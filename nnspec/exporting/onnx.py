"""ONNX models, with the symbols of the spec as names of axes and its preconditions as metadata."""

from __future__ import annotations

import json
from typing import Any

from nnspec.exporting.base import ExportContext, ExportError, ExportResult, agreed, require, require_torch

#: Beyond this the weights go into a file beside the model, because one protocol buffer holds 2 GiB at most.
SINGLE_FILE = 1_800_000_000
OPSET = 20


def export(context: ExportContext) -> ExportResult:
    """Write the model, check it with onnx's checker, and compare with onnxruntime at two sets of sizes."""
    require_torch()
    onnx = require("onnx", "onnx")
    require("onnxscript", "onnx")
    runtime = require("onnxruntime", "onnx")
    from nnspec.exporting import tracing

    axes = tracing.symbolic_axes(context.graph)
    inputs = context.inputs()
    module = tracing.network_to_trace(context)
    fixed = tracing.fixed_axes(tracing.traced(module, inputs, axes), axes)
    free = {name: {axis: symbol for axis, symbol in named.items() if axis not in fixed[name]} for name, named in axes.items()}
    _write(context, module, inputs, free)
    onnx.checker.check_model(str(context.path), full_check=True)
    session = runtime.InferenceSession(str(context.path), providers=["CPUExecutionProvider"])
    largest = max(_difference(context, session, values) for values in tracing.inputs_to_compare(context, inputs, fixed))
    return ExportResult(context.path, largest, tuple(tracing.notes_on(fixed, inputs)))


def _write(context: ExportContext, module: Any, inputs: dict[str, Any], free: dict[str, dict[int, str]]) -> None:
    import torch

    from nnspec.exporting import tracing

    size = sum(tensor.numel() * tensor.element_size() for tensor in module.state_dict().values())
    with tracing.quiet():
        program = torch.onnx.export(
            module, tuple(inputs.values()), dynamo=True, opset_version=OPSET, input_names=list(inputs),
            output_names=list(context.graph.outputs), dynamic_shapes=tuple(free[name] for name in inputs), verbose=False,
        )  # fmt: skip
        if program is None:
            raise ExportError("torch made no ONNX model of the network")
        for key, value in _metadata(context).items():
            program.model.metadata_props[key] = value
        program.save(str(context.path), external_data=size > SINGLE_FILE)


def _metadata(context: ExportContext) -> dict[str, str]:
    found = {"nnspec.network": context.graph.name, "nnspec.preconditions": json.dumps(list(context.preconditions))}
    return found | {"nnspec.spec": context.spec} if context.spec else found


def _difference(context: ExportContext, session: Any, inputs: dict[str, Any]) -> float:
    import torch

    from nnspec.exporting import tracing

    names = [entry.name for entry in session.get_inputs()]
    # An input that the network does not use is no input of the model.
    found = session.run(None, {name: inputs[name].numpy() for name in names})
    with torch.no_grad():
        wanted = context.reference(*inputs.values())
    return agreed(wanted, tracing.outputs_by_name(context.graph, [torch.from_numpy(value) for value in found]), "ONNX")
