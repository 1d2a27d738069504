"""Operators that only passes make: a layer together with what is done to its result, as one call. No spec can write them.

Each keeps the name, the weights and the work of its layer. What they are made of is `nnspec.passes.fuse_pointwise`'s matter.
"""

from __future__ import annotations

from collections.abc import Mapping
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
        addend = () if self.addend is None else (Ref("addend"),)
        return call_module(f"{_MODULES}.Fused{self.layer.name}", *call.args, *addend, settings=settings)


class Term(NamedTuple):
    """What is added to an embedding, and what it reads, by its place i among the summands.

    - "rows": those of `table_i` at `indices_i`; `setting` is the row that is never updated, or None.
    - "places": the first rows of `table_i`, one for each step.
    - "tensor": `tensor_i`, which is spread over the samples.
    - "sinusoids": the fixed ones of the places; `setting` is theta.
    """

    kind: str
    setting: float | None = None


class RowNorm(NamedTuple):
    """A norm over the features: its function as `torch.nn.functional` has it, and eps. Reads "norm_weight" and "norm_bias" where it has them."""

    function: str
    eps: float | None


class FusedEmbedding(_Around):
    """An embedding, times `scale`, plus the `terms` in order, then the norm: the normed rows, and besides their "sum" where that is read.

    `type` is that of the sum; `read` are the types of what is read.
    """

    def __init__(
        self, layer: Operator, type: TensorType, terms: tuple[Term, ...], read: Mapping[str, TensorType], scale: float | None = None,
        norm: RowNorm | None = None, keeps_sum: bool = True,
    ) -> None:  # fmt: skip
        parts = [layer.name, *(["mul"] if scale is not None else []), *(term.kind for term in terms)]
        super().__init__(layer, " + ".join([*parts, *([norm.function] if norm else [])]))
        self.type, self.terms, self.read, self.scale, self.norm, self.keeps_sum = type, terms, dict(read), scale, norm, keeps_sum

    def infer(self) -> Inferred:
        outputs = {"output": self.type}
        return Inferred({**outputs, "sum": self.type} if self.norm is not None and self.keeps_sum else outputs)

    def lower(self) -> TorchCall:
        call = self.layer.lower()
        settings = {
            **call.settings, "terms": [list(term) for term in self.terms], "scale": self.scale, "keeps_sum": self.keeps_sum,
            "norm": None if self.norm is None else self.norm.function, "eps": None if self.norm is None else self.norm.eps,
        }  # fmt: skip
        more = {name: Ref(name) for name in self.read if name != "input"}
        return call_module(f"{_MODULES}_embedding.FusedEmbedding", *call.args, settings=settings, **more)


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
