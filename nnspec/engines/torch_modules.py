"""The network as a module of torch: as folded, fused, and fused with pictures in the order of channels last."""

from __future__ import annotations

import torch
from torch import Tensor

from nnspec.engines.engine import Engine, Run, Subject, Unsuitable
from nnspec.passes.pipeline import Fusion
from nnspec.torch_backend.compile import compile_graph
from nnspec.torch_backend.module_tree import NetworkModule


class _TorchModule(Engine):
    """Runs in torch, at any sizes; the module itself is what is compiled."""

    fusion: Fusion

    def prepare(self, subject: Subject) -> Run:
        if subject.precision != "float32":
            return _in_bfloat16(subject, self.fusion)
        module = subject.module(self.fusion)
        return lambda inputs: subject.outputs(module(*inputs))

    def torch_module(self, subject: Subject) -> NetworkModule | None:
        return subject.module(self.fusion) if subject.precision == "float32" else None


def _in_bfloat16(subject: Subject, fusion: Fusion) -> Run:
    """The network with its weights rounded; what comes in is rounded, what goes out is in float32 again."""
    module = compile_graph(subject.graph, mode="inference", state=subject.state, fusion=fusion, guards=False).to(torch.bfloat16)

    def run(inputs: tuple[Tensor, ...]) -> list[Tensor]:
        given = [each.to(torch.bfloat16) if each.is_floating_point() else each for each in inputs]
        found = subject.outputs(module(*given))
        return [each.float() if each.is_floating_point() else each for each in found]

    return run


class Plain(_TorchModule):
    """Torch's own layers, one by one."""

    name, fusion = "torch", "no"

    def prepare(self, subject: Subject) -> Run:
        module = subject.module("no")
        return lambda inputs: subject.outputs(module(*inputs))

    def torch_module(self, subject: Subject) -> NetworkModule:
        return subject.module("no")


class Fused(_TorchModule):
    """Layers that compute what follows them (`nnspec.passes.fuse_pointwise`)."""

    name, fusion, precisions = "fused", "fused", ("float32", "bfloat16")


class FusedChannelsLast(_TorchModule):
    """The same, with pictures laid out pixel by pixel (`nnspec.passes.choose_layout`)."""

    name, fusion, precisions = "channels_last", "channels_last", ("float32", "bfloat16")

    def prepare(self, subject: Subject) -> Run:
        if not any(node.operator.name in ("Conv2d", "ConvTranspose2d") for node in subject.folded.nodes):
            raise Unsuitable("it has no convolution over pictures")
        return super().prepare(subject)
