"""Models of OpenVINO (`.xml` with the weights in `.bin` beside it), converted from ONNX: https://docs.openvino.ai."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnspec.errors import UsageError
from nnspec.exporting.base import ExportContext, ExportResult, agreed, require, require_torch
from nnspec.exporting.int8_weights import round_file

if TYPE_CHECKING:
    from nnspec.torch_backend.equivalence import Difference


def export(context: ExportContext) -> ExportResult:
    """Write both files in float32, load them back, and compare at two sets of sizes."""
    require_torch()
    require("onnx", "engines")
    require("onnxscript", "engines")
    openvino = require("openvino", "engines")
    if context.path.suffix != ".xml":
        raise UsageError(f"a model of OpenVINO is called something.xml, so it cannot be {context.path}")
    from tempfile import TemporaryDirectory

    from nnspec.exporting import onnx, tracing
    from nnspec.torch_backend.equivalence import worst

    core = openvino.Core()
    with TemporaryDirectory() as folder:
        written = onnx.write(context, Path(folder, "model.onnx"))
        notes = (round_file(written.path).note, *written.notes) if context.int8_weights else written.notes
        model = core.read_model(str(written.path))
        for key, value in context.facts.items():
            model.set_rt_info(value, key.split("."))
        _save(openvino, model, context.path)
    compiled = core.compile_model(core.read_model(str(context.path)), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    compared = tracing.inputs_to_compare(context, written.inputs, written.fixed)
    difference = worst(_difference(context, compiled, values) for values in compared)
    weights = context.path.with_suffix(".bin").name
    return ExportResult(context.path, difference, (f"the weights are in {weights}, which belongs beside it", *notes))


def _save(openvino: Any, model: Any, path: Path) -> None:
    """Write both files beside their places, then put them there: the weights first, since the other names them."""
    beside = path.with_name(f".{path.stem}.tmp.xml")
    openvino.save_model(model, str(beside), compress_to_fp16=False)
    os.replace(beside.with_suffix(".bin"), path.with_suffix(".bin"))
    os.replace(beside, path)


def _difference(context: ExportContext, compiled: Any, inputs: dict[str, Any]) -> Difference:
    import torch

    from nnspec.exporting import tracing

    # An input that the network does not use is no input of the model.
    names = {name for port in compiled.inputs for name in port.get_names()}
    found = compiled({name: value.numpy() for name, value in inputs.items() if name in names})
    results = [torch.from_numpy(found[place].copy()) for place in range(len(compiled.outputs))]
    with torch.no_grad():
        wanted = context.reference(*inputs.values())
    return agreed(wanted, tracing.outputs_by_name(context.graph, results), "OpenVINO", int8_weights=context.int8_weights)
