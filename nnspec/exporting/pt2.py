"""Programs of torch.export (`.pt2`), with free axes where the network has symbols. As written they compute the network bit for bit."""

from __future__ import annotations

import io

from nnspec.atomic import write_atomic
from nnspec.exporting.base import ExportContext, ExportResult, agreed, require_torch

#: Said of recurrent layers that know where samples end.
_WHOLE = "recurrent layers over `lengths` stay whole calls of torch, which nothing can lower further: `--to onnx` and `--to aoti` unroll them"


def export(context: ExportContext) -> ExportResult:
    """Write the program, load it back and compare at two sets of sizes.

    Loading a `.pt2` file runs what it contains: load only files that you have made.
    """
    require_torch()
    import torch

    from nnspec.exporting import packed, tracing
    from nnspec.torch_backend.equivalence import worst

    axes = tracing.symbolic_axes(context.graph)
    inputs = context.inputs()
    with packed.kept():
        program = tracing.traced(tracing.network_to_trace(context, folded=context.folded), inputs, axes)
    notes = (_WHOLE,) if packed.replaced(program) else ()
    fixed = tracing.fixed_axes(program, axes)
    with tracing.quiet():
        written = io.BytesIO()  # torch's own writer calls a full disk an "unexpected position"
        torch.export.save(program, written, extra_files=_extra_files(context))
        write_atomic(context.path, written.getvalue())
        loaded = torch.export.load(context.path).module()
    differences = []
    for values in tracing.inputs_to_compare(context, inputs, fixed):
        with torch.no_grad():
            wanted, found = context.reference(*values.values()), loaded(*values.values())
        differences.append(agreed(wanted, tracing.outputs_by_name(context.graph, found), "pt2"))
    return ExportResult(context.path, worst(differences), (*tracing.notes_on(fixed, inputs), *notes))


def _extra_files(context: ExportContext) -> dict[str, str]:
    import json

    facts = {"network": context.graph.name, "preconditions": context.preconditions, "spec": context.spec}
    return {"nnspec.json": json.dumps(facts)}
