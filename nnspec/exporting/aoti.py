"""Packages of AOTInductor: the network compiled to machine code, with its weights, for programs that have torch's runtime and no Python.

https://docs.pytorch.org/docs/stable/torch.compiler_aot_inductor.html
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnspec.errors import UsageError
from nnspec.exporting.base import ExportContext, ExportError, ExportResult, agreed, require_torch

if TYPE_CHECKING:
    import torch

_COMPILERS = ("g++", "clang++", "c++")


def lacking_compiler() -> str | None:
    """Why there is no C++ compiler that torch could call; None where there is one."""
    wanted = os.environ.get("CXX")
    if any(map(shutil.which, (wanted,) if wanted else _COMPILERS)):
        return None
    named = f"CXX={wanted} is not there" if wanted else f"none of {', '.join(_COMPILERS)} is there"
    return f"needs a C++ compiler, and {named}: install one, or name it in CXX"


def write_package(program: torch.export.ExportedProgram, path: Path, settings: Mapping[str, Any] | None = None) -> None:
    """Compile a program into a package, whose name ends in `.pt2`, with these settings of Inductor. Takes seconds to minutes.

    Raises ExportError where Inductor cannot compile it.
    """
    import torch
    from torch import _inductor as inductor  # the door that torch documents

    from nnspec.exporting import tracing

    with tracing.quiet(), torch.no_grad():
        try:
            inductor.aoti_compile_and_package(program, package_path=str(path), inductor_configs=dict(settings or {}))
        except Exception as error:
            # torch raises whatever its compiler meets; its first line says what.
            raise ExportError(f"Inductor cannot compile the network: {str(error).strip().split(chr(10))[0]}") from error


def export(context: ExportContext) -> ExportResult:
    """Compile the folded network, load the package back and compare at two sets of sizes. Takes seconds to minutes.

    Loading a package runs the machine code in it: load only packages that you have made, on a processor such as that they were made on.
    """
    require_torch()
    lacking = lacking_compiler()
    if lacking is not None:
        raise UsageError(f"the target aoti {lacking}")
    if not context.path.name.endswith(".pt2"):
        raise UsageError(f"a package of AOTInductor is called something.pt2, so it cannot be {context.path}")
    import torch
    from torch import _inductor as inductor  # the door that torch documents

    from nnspec.exporting import tracing
    from nnspec.torch_backend.equivalence import worst

    axes = tracing.symbolic_axes(context.graph)
    inputs = context.inputs()
    module = tracing.network_to_trace(context, folded=True).requires_grad_(False)
    program = tracing.traced(module, inputs, axes)
    fixed = tracing.fixed_axes(program, axes)
    write_package(program, context.path)
    with tracing.quiet():
        loaded = inductor.aoti_load_package(str(context.path))
    differences = []
    for values in tracing.inputs_to_compare(context, inputs, fixed):
        with torch.no_grad():
            wanted, found = context.reference(*values.values()), loaded(*values.values())
        differences.append(agreed(wanted, tracing.outputs_by_name(context.graph, found), "aoti"))
    return ExportResult(
        context.path, worst(differences), ("it runs on processors such as this one", *tracing.notes_on(fixed, inputs))
    )
