"""The runtimes: each makes a call of no arguments from a network with its weights and inputs."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx

import nnspec
from benchmarks.inference.rows import Row
from nnspec.torch_backend.example_inputs import random_inputs
from nnspec.torch_backend.freeing import give_back, weights_alone
from nnspec.torch_backend.lower import lower

Call = Callable[[], Any]


class Subject:
    """A row's network as written, unfused, with its inputs; the state that every runtime gets."""

    def __init__(self, row: Row) -> None:
        self.row = row
        self.graph = nnspec.check(row.source, **row.parameters).graph(row.network)
        self.module: fx.GraphModule = lower(self.graph, guards=False, seed=0).eval().requires_grad_(False)
        _unsettle(self.module)
        self.inputs: tuple[Tensor, ...] = tuple(random_inputs(self.graph, row.sizes, 0).values())

    def release(self) -> None:
        """Let go of the network as written, where another one runs: a process that has compiled or read it does not keep it."""
        weights_alone(self.module)
        del self.module
        give_back()

    def onnx(self, folder: str) -> str:
        """The path of the network as ONNX."""
        from nnspec.exporting import EXPORTERS, ExportContext

        path = Path(folder, "network.onnx")
        spec = Path(self.row.source).read_text() if "\n" not in self.row.source else self.row.source
        context = ExportContext(self.graph, path, spec, sizes=self.row.sizes, state=self.module.state_dict())
        return str(EXPORTERS["onnx"](context).path)


def _unsettle(module: torch.nn.Module) -> None:
    """Running statistics as after a training, so that what is folded counts."""
    generator = torch.Generator().manual_seed(1)
    for name, buffer in module.named_buffers():
        if name.endswith("running_var"):
            buffer.copy_(torch.rand(buffer.shape, generator=generator) + 0.5)
        elif name.endswith("running_mean"):
            buffer.copy_(torch.randn(buffer.shape, generator=generator) * 0.1)


def eager(subject: Subject) -> Call:
    return lambda: subject.module(*subject.inputs)


def channels_last(subject: Subject) -> Call:
    module = subject.module.to(memory_format=torch.channels_last)
    inputs = [each.to(memory_format=torch.channels_last) if each.dim() == 4 else each for each in subject.inputs]
    return lambda: module(*inputs)


def torchscript(subject: Subject) -> Call:
    traced = torch.jit.trace(subject.module, subject.inputs)
    module = torch.jit.optimize_for_inference(torch.jit.freeze(traced))
    return lambda: module(*subject.inputs)


def compiled(subject: Subject) -> Call:
    module = torch.compile(subject.module)
    return lambda: module(*subject.inputs)


def frozen(subject: Subject) -> Call:
    import torch._inductor.config as inductor

    inductor.freezing = True
    module = torch.compile(subject.module)
    return lambda: module(*subject.inputs)


def packaged(subject: Subject) -> Call:
    """A package of AOTInductor, with frozen weights."""
    import torch._inductor as inductor

    program = torch.export.export(subject.module, subject.inputs)
    with tempfile.TemporaryDirectory() as folder:
        path = inductor.aoti_compile_and_package(
            program, package_path=f"{folder}/network.pt2", inductor_configs={"freezing": True}
        )
        package = inductor.aoti_load_package(path)
    return lambda: package(*subject.inputs)


def bfloat16(subject: Subject) -> Call:
    module = subject.module.to(torch.bfloat16)
    inputs = [each.to(torch.bfloat16) if each.is_floating_point() else each for each in subject.inputs]
    return lambda: module(*inputs)


def onnxruntime(subject: Subject, threads: int) -> Call:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    with tempfile.TemporaryDirectory() as folder:
        session = ort.InferenceSession(subject.onnx(folder), options, providers=["CPUExecutionProvider"])
    subject.release()
    feed = {entry.name: each.numpy() for entry, each in zip(session.get_inputs(), subject.inputs, strict=True)}
    return lambda: session.run(None, feed)


def openvino(subject: Subject, threads: int, precision: str = "f32") -> Call:
    import openvino as ov

    with tempfile.TemporaryDirectory() as folder:
        model = ov.Core().read_model(subject.onnx(folder))
    subject.release()
    model.reshape({entry.any_name: list(each.shape) for entry, each in zip(model.inputs, subject.inputs, strict=True)})
    settings = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads}
    request = ov.Core().compile_model(model, "CPU", settings).create_infer_request()
    feed = [each.numpy() for each in subject.inputs]

    def call() -> Any:
        found = request.infer(feed, share_inputs=True, share_outputs=True)
        return [found[place] for place in range(len(found))]

    return call


def ours(subject: Subject, precision: str = "float32") -> Call:
    """nnspec's own: folded, fused, and run by the engine that it chose for this machine and size."""
    from nnspec.engines import compile_for

    module = compile_for(subject.graph, subject.row.sizes, state=subject.module.state_dict(), precision=precision)
    subject.release()
    return lambda: module(*subject.inputs)


def ours_in_torch(subject: Subject) -> Call:
    """The same without runtimes outside of torch."""
    from nnspec.engines import compile_for

    engines = ["torch", "fused", "channels_last"]
    module = compile_for(subject.graph, subject.row.sizes, state=subject.module.state_dict(), engines=engines)
    subject.release()
    return lambda: module(*subject.inputs)


RUNTIMES: dict[str, Callable[[Subject, int], Call]] = {
    "eager": lambda subject, _: eager(subject),
    "channels_last": lambda subject, _: channels_last(subject),
    "TorchScript": lambda subject, _: torchscript(subject),
    "torch.compile": lambda subject, _: compiled(subject),
    "compile + freezing": lambda subject, _: frozen(subject),
    "AOTInductor": lambda subject, _: packaged(subject),
    "ONNX Runtime": onnxruntime,
    "OpenVINO": openvino,
    "nnspec": lambda subject, _: ours(subject),
    "nnspec, torch alone": lambda subject, _: ours_in_torch(subject),
    "nnspec bf16": lambda subject, _: ours(subject, "bfloat16"),
    "eager bf16": lambda subject, _: bfloat16(subject),
    "OpenVINO bf16": lambda subject, threads: openvino(subject, threads, "bf16"),
}
