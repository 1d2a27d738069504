"""Operators that only passes make: a layer together with what is done to its result, as one call. No spec can write them.

Each keeps the name, the weights and the work of its layer. What they are made of is `nnspec.passes.fuse_pointwise`'s matter.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from nnspec.operators.declare import Cost, Inferred, Operator, Ref, TorchCall, Weight, call_function, call_module
from nnspec.types import TensorType

_MODULES = "nnspec.torch_backend.modules.fused"


class Pointwise(NamedTuple):
    """A function of each element: its name as `torch.nn.functional` has it, and its settings in order."""

    function: str
    settings: tuple[tuple[str, Any], ...] = ()


class _Around(Operator):
    """An operator that does more than its layer, with the layer's results, weights and work: what is done to single elements counts nothing."""

    family = "fused"

    def __init__(self, layer: Operator, name: str) -> None:
        super().__init__()
        self.layer = layer
        self.__dict__["name"] = name

    def infer(self) -> Inferred:
        return Inferred(self.layer.infer().outputs)

    def cost(self) -> Cost:
        """The layer's."""
        return self.layer.cost()

    def weights(self) -> tuple[Weight, ...]:
        return self.layer.weights()

    def __repr__(self) -> str:
        return f"{self.name}({self.layer!r})"


class FusedLayer(_Around):
    """`layer`, then `+ addend` where one is read, then `activation`. Reads "input", and perhaps "addend" of the result's type."""

    def __init__(self, layer: Operator, activation: Pointwise | None = None, addend: TensorType | None = None) -> None:
        parts = [layer.name, *(["add"] if addend is not None else []), *([activation.function] if activation else [])]
        super().__init__(layer, " + ".join(parts))
        self.activation, self.addend = activation, addend

    def lower(self) -> TorchCall:
        call = self.layer.lower()
        settings: dict[str, Any] = {**call.settings}
        if self.activation is not None:
            settings |= {"function": self.activation.function, "function_settings": dict(self.activation.settings)}
        addend = {} if self.addend is None else {"addend": Ref("addend")}
        return call_module(f"{_MODULES}.Fused{self.layer.name}", *call.args, settings=settings, **addend)


class DroppedGraphLayer(_Around):
    """A graph layer that drops a share of its features itself, before it reads them. Reads what the layer reads."""

    mode_dependent = True

    def __init__(self, layer: Operator, share: float) -> None:
        super().__init__(layer, f"{layer.name} with dropout")
        self.share = share

    def lower(self) -> TorchCall:
        call = self.layer.lower()
        return call._replace(settings={**call.settings, "input_dropout": self.share})


class ChannelsLast(Operator):
    """Pictures (N, C, H, W) as they are, laid out in memory pixel by pixel. Reads "input"."""

    name = "channels_last"
    family = "fused"

    def __init__(self, input: TensorType) -> None:
        super().__init__()
        self.input = input

    def infer(self) -> Inferred:
        return Inferred({"output": self.input})

    def lower(self) -> TorchCall:
        return call_function(f"{_MODULES}.channels_last", Ref("input"))
