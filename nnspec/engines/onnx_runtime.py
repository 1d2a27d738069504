"""ONNX Runtime: https://onnxruntime.ai/docs/api/python/api_summary.html."""

from __future__ import annotations

from threading import Lock
from typing import Any

import torch
from torch import Tensor

from nnspec.engines.engine import Engine, Run, Subject, Unsuitable
from nnspec.engines.onnx_model import NotCovered, OnnxWriter
from nnspec.engines.packages import installed
from nnspec.engines.quantized import quantized

#: Inputs and outputs of so many bytes together are sooner copied than handed over.
_SMALL = 64 << 10


def onnx_model(subject: Subject) -> bytes:
    """The network as a model in memory, at the sizes of the subject. Raises Unsuitable."""
    model = written(OnnxWriter(subject.folded, subject.sizes, subject.folded_state))
    return quantized(model, subject) if subject.precision == "int8" else model


def written(writer: OnnxWriter) -> bytes:
    """The writer's model. Raises Unsuitable."""
    try:
        return writer.model()
    except NotCovered as error:
        raise Unsuitable(str(error)) from error
    except ValueError as error:  # a protocol buffer holds 2 GiB at most
        raise Unsuitable(f"it cannot be put as ONNX: {error}") from error


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
        held: list[Any] = []
        if subject.precision == "int8":
            model = onnx_model(subject)
        else:
            writer = OnnxWriter(subject.folded, subject.sizes, subject.folded_state, outside=True)
            model = written(writer)
            assert writer.outside is not None
            held = [onnxruntime.OrtValue.ortvalue_from_numpy(each) for each in writer.outside.values()]
            options.add_external_initializers(list(writer.outside), held)
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        plain = _fed(session, held)
        if sum(each.nbytes for each in subject.inputs) > _SMALL:
            return plain
        moved = [*subject.inputs, *plain(subject.inputs)]
        return _bound(session, subject.inputs, plain) if sum(each.nbytes for each in moved) <= _SMALL else plain


def _fed(session: Any, weights: list[Any]) -> Run:
    """Arrays in, arrays out: nothing is copied. The session reads weights where they lie, for as long as it is used."""
    names = [entry.name for entry in session.get_inputs()]
    wanted = [entry.name for entry in session.get_outputs()]

    def run(inputs: tuple[Tensor, ...], weights: list[Any] = weights) -> list[Tensor]:
        feed = {name: each.numpy() for name, each in zip(names, inputs, strict=True)}
        return [torch.from_numpy(each) for each in session.run(wanted, feed)]

    return run


def _bound(session: Any, inputs: tuple[Tensor, ...], plain: Run) -> Run:
    """Inputs are copied to one place and outputs from one, which is less than ONNX Runtime takes to look at arrays. A second thread goes the
    plain way."""
    sources = [torch.empty_like(each, memory_format=torch.contiguous_format) for each in inputs]
    results = [torch.empty_like(each) for each in plain(inputs)]
    binding = session.io_binding()
    for bind, entries, tensors in (
        (binding.bind_input, session.get_inputs(), sources), (binding.bind_output, session.get_outputs(), results),
    ):  # fmt: skip
        for entry, tensor in zip(entries, tensors, strict=True):
            bind(entry.name, "cpu", 0, tensor.numpy().dtype, list(tensor.shape), tensor.data_ptr())
    execute, free = session.run_with_iobinding, Lock()
    if len(sources) == len(results) == 1:  # a small network takes less time than a loop over its inputs
        (source,), (result,) = sources, results

        def run_one(inputs: tuple[Tensor, ...]) -> list[Tensor]:
            if not free.acquire(blocking=False):
                return plain(inputs)
            try:
                source.copy_(inputs[0])
                execute(binding)
                return [result.clone()]
            finally:
                free.release()

        return run_one

    def run(inputs: tuple[Tensor, ...]) -> list[Tensor]:
        if not free.acquire(blocking=False):
            return plain(inputs)
        try:
            for source, each in zip(sources, inputs, strict=True):
                source.copy_(each)
            execute(binding)
            return [result.clone() for result in results]
        finally:
            free.release()

    return run
