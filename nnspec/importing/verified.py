"""An imported network held against the model that it was read from, run by ONNX Runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nnspec.checker import Report, check_source
from nnspec.diagnostics import Source
from nnspec.exporting.base import require
from nnspec.graph.ir import Graph
from nnspec.importing.base import Imported, ImportRefused
from nnspec.importing.onnx_file import opset_of, read_model
from nnspec.importing.onnx_graph import OnnxGraph

if TYPE_CHECKING:
    from nnspec.torch_backend.equivalence import Difference

#: Share of an output's largest magnitude by which an imported network may be off.
TOLERANCE = 1e-4


class ImportMismatch(Exception):
    """A network that was read and does not compute what the model does: a mistake of ours."""


def read_onnx(path: str) -> Imported:
    """A model as a spec with weights; raises ImportRefused for what a spec cannot say. Nothing is compared yet."""
    model = read_model(path)
    return OnnxGraph(model, opset_of(model), path).read()


def report_of(imported: Imported, path: str) -> Report:
    """The check of an imported spec. Raises ImportRefused where the language refuses what the file says."""
    report = check_source(Source("imported.nn", imported.text))
    if not report.ok:
        first = next(finding for finding in report.diagnostics if finding.severity == "error")
        line = imported.text.splitlines()[first.span.line - 1].strip()[:100]
        raise ImportRefused(f"`{path}` cannot be put as a spec: {first.message} [{first.code}], in `{line}`")
    return report


def state_of(imported: Imported, graph: Graph) -> dict[str, Any]:
    """The weights as tensors, in the order and of the element types of the network. Raises ImportMismatch where they are others."""
    import torch

    wanted = {path: entry for path, entry in graph.weights.items() if entry.persistent}
    if wanted.keys() != imported.state.keys():
        different = sorted(wanted.keys() ^ imported.state.keys())
        raise ImportMismatch(f"the weights of the spec are not those that were read: {', '.join(different[:5])}")
    return {path: torch.from_numpy(imported.state[path].copy()).to(getattr(torch, entry.dtype)) for path, entry in wanted.items()}


def compare(path: str, imported: Imported, graph: Graph, state: dict[str, Any]) -> Difference:
    """Run the model in ONNX Runtime and the network in torch at two sets of sizes; how far they are apart. Raises ImportMismatch."""
    import torch

    from nnspec.passes.admissible import NoAdmissibleSizes
    from nnspec.torch_backend.equivalence import measure, worst
    from nnspec.torch_backend.example_inputs import random_inputs
    from nnspec.torch_backend.lower import lower

    runtime = require("onnxruntime", "onnx")
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    session = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    module = lower(graph, guards=False, state=state).eval()
    differences = []
    for other in (0, 1):
        try:
            inputs = random_inputs(graph, seed=other, skip=other)
        except NoAdmissibleSizes:
            if other:
                break
            raise
        feed = {name: value.numpy() for name, value in zip(imported.inputs, inputs.values(), strict=True)}
        wanted = [torch.from_numpy(each) for each in session.run(None, feed)]
        with torch.no_grad():
            result = module(*inputs.values())
        found = [result] if isinstance(result, torch.Tensor) else list(result.values())
        difference = measure(wanted, found)
        if not difference.relative <= TOLERANCE:
            raise ImportMismatch(f"the spec that was read from {path} differs from the model by {difference.absolute:.3g}")
        differences.append(difference)
    return worst(differences)
