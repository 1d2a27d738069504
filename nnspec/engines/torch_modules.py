"""The network as a module of torch: as folded, fused, and fused with pictures in the order of channels last."""

from __future__ import annotations

from nnspec.engines.engine import Engine, Run, Subject, Unsuitable
from nnspec.passes.pipeline import Fusion
from nnspec.torch_backend.module_tree import NetworkModule


class _TorchModule(Engine):
    """Runs in torch, at any sizes; the module itself is what is compiled."""

    fusion: Fusion

    def prepare(self, subject: Subject) -> Run:
        module = self.torch_module(subject)
        return lambda inputs: subject.outputs(module(*inputs))

    def torch_module(self, subject: Subject) -> NetworkModule:
        return subject.module(self.fusion)


class Plain(_TorchModule):
    """Torch's own layers, one by one."""

    name, fusion = "torch", "no"


class Fused(_TorchModule):
    """Layers that compute what follows them (`nnspec.passes.fuse_pointwise`)."""

    name, fusion = "fused", "fused"


class FusedChannelsLast(_TorchModule):
    """The same, with pictures laid out pixel by pixel (`nnspec.passes.choose_layout`)."""

    name, fusion = "channels_last", "channels_last"

    def torch_module(self, subject: Subject) -> NetworkModule:
        if not any(node.operator.name in ("Conv2d", "ConvTranspose2d") for node in subject.folded.nodes):
            raise Unsuitable("it has no convolution over pictures")
        return super().torch_module(subject)
