"""Operators that only passes make: a layer together with what is done to its result, as one call. No spec can write them.

Each keeps the weights and the work of its layer. What they are made of is the matter of `nnspec.passes`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from nnspec.dims import Dim
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


#: Bytes of scores (rows times classes, in float32) that a fused loss makes at a time. Smaller pieces take up to four times as long, for each
#: adds a product to the gradient of the whole matrix; larger ones are no faster. Measured by `python benchmarks/fused_loss.py --pieces`.
SCORES_AT_ONCE = 32 << 20
#: Up to so many bytes scores are made as a whole: less than that is little beside the weights of a network with so many classes, and below it
#: a fused loss is not always the faster one. Measured by `python benchmarks/fused_loss.py`.
FEW_SCORES = 8 << 20


class LinearLoss(_Around):
    """`cross_entropy` of what a linear layer would give, some rows at a time. Reads "input" (..., D), "matrix" (V, D), "target", and perhaps
    "bias" (V) and "keep". With `always` that is done however few there are. The layer in `layer` is the loss; `flop` is the product's work."""

    def __init__(self, loss: Operator, flop: Dim, reads: Sequence[str], *, always: bool) -> None:
        super().__init__(loss, "linear_cross_entropy")
        self.flop, self.reads, self.always = flop, tuple(reads), always

    def cost(self) -> Cost:
        """The product's and the loss's."""
        return Cost(self.flop + self.layer.cost().flop)

    def lower(self) -> TorchCall:
        settings = self.layer.attributes()
        weight = settings["weight"]
        optional = {name: Ref(name) for name in ("bias", "keep") if name in self.reads}
        return call_function(
            "nnspec.torch_backend.modules.linear_loss.linear_cross_entropy", Ref("input"), Ref("matrix"), Ref("target"), **optional,
            weight=None if isinstance(weight, str) else weight, always=self.always,
            **{name: settings[name] for name in ("ignore_index", "reduction", "label_smoothing")},
        )  # fmt: skip


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
