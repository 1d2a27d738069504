"""ONNX Runtime: https://onnxruntime.ai/docs/api/python/api_summary.html."""

from __future__ import annotations

import torch
from torch import Tensor

from nnspec.engines.engine import Engine, Run, Subject, Unsuitable
from nnspec.engines.onnx_model import NotCovered, OnnxWriter
from nnspec.engines.packages import installed
from nnspec.engines.quantized import quantized


def onnx_model(subject: Subject) -> bytes:
    """The network as a model in memory, at the sizes of the subject. Raises Unsuitable."""
    try:
        model = OnnxWriter(subject.folded, subject.sizes, subject.folded_state).model()
    except NotCovered as error:
        raise Unsuitable(str(error)) from error
    except ValueError as error:  # a protocol buffer holds 2 GiB at most
        raise Unsuitable(f"it cannot be put as ONNX: {error}") from error
    return quantized(model, subject) if subject.precision == "int8" else model


class OnnxRuntime(Engine):
    """The whole network as one call of ONNX Runtime, on the processor."""

    name = "onnxruntime"
    precisions = ("float32", "int8")

    def missing(self) -> str | None:
        lacking = [package for package in ("onnx", "onnxruntime") if installed(package) is None]
        return f"{' and '.join(lacking)} not installed" if lacking else None

    @property
    def version(self) -> str:
        return f"onnxruntime {installed('onnxruntime')}"

    def prepare(self, subject: Subject) -> Run:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = subject.threads
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(onnx_model(subject), options, providers=["CPUExecutionProvider"])
        names = [entry.name for entry in session.get_inputs()]
        wanted = [entry.name for entry in session.get_outputs()]
        execute, as_tensor = session.run, torch.from_numpy
        if len(names) == len(wanted) == 1:  # a small network takes less time than a loop over its inputs
            (name,) = names

            def run_one(inputs: tuple[Tensor, ...]) -> list[Tensor]:
                return [as_tensor(execute(wanted, {name: inputs[0].numpy()})[0])]

            return run_one

        def run(inputs: tuple[Tensor, ...]) -> list[Tensor]:
            feed = {name: each.numpy() for name, each in zip(names, inputs, strict=True)}
            return [as_tensor(each) for each in execute(wanted, feed)]

        return run
