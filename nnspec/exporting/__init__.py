"""The targets that a network can be exported to. Each is a module of this package and is imported when it is used.

`EXPORTERS` maps a target's name to a function from an `ExportContext` to an `ExportResult`; `TARGETS` says what each is.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import NamedTuple

from nnspec.errors import MissingExtra
from nnspec.exporting.base import ExportContext, ExportError, ExportMismatch, ExportResult


class Target(NamedTuple):
    """A target: the module that makes it, the ending of its file, what it is, whether it can be made without torch, and the extra and what
    else it needs."""

    module: str
    suffix: str
    summary: str
    without_torch: bool = False
    extra: str = "torch"
    besides: str = ""

    @property
    def needs(self) -> str:
        """What has to be there, for people; "" where nothing has to."""
        if self.without_torch:
            return ""
        extras = "torch" if self.extra == "torch" else f"torch,{self.extra}"
        return f"nnspec[{extras}]" + (f" and {self.besides}" if self.besides else "")


TARGETS: dict[str, Target] = {
    "onnx": Target("onnx", ".onnx", "an ONNX model, run and compared with onnxruntime", extra="onnx"),
    "openvino": Target("openvino", ".xml", "a model of OpenVINO, with its weights in .bin beside it", extra="engines"),
    "pt2": Target("pt2", ".pt2", "a program of torch.export, equal bit for bit"),
    "aoti": Target("aoti", ".aoti.pt2", "a package of AOTInductor: machine code for this processor", besides="a C++ compiler"),
    "safetensors": Target("safetensors", ".safetensors", "the weights, with the spec beside them as JSON"),
    "python": Target("python", ".py", "a PyTorch module that needs nothing but torch", without_torch=True),
    "mermaid": Target("mermaid", ".mmd", "a Mermaid flow chart", without_torch=True),
    "dot": Target("dot", ".dot", "a Graphviz graph", without_torch=True),
}


#: Those whose files can hold weights as whole numbers of eight bits.
INT8_TARGETS = ("onnx", "openvino")


def _exporter(target: Target) -> Callable[[ExportContext], ExportResult]:
    def run(context: ExportContext) -> ExportResult:
        result: ExportResult = import_module(f"nnspec.exporting.{target.module}").export(context)
        return result

    return run


EXPORTERS: dict[str, Callable[[ExportContext], ExportResult]] = {name: _exporter(target) for name, target in TARGETS.items()}

__all__ = [
    "EXPORTERS",
    "INT8_TARGETS",
    "TARGETS",
    "ExportContext",
    "ExportError",
    "ExportMismatch",
    "ExportResult",
    "MissingExtra",
    "Target",
]
