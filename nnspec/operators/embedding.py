"""Tables of learned vectors that are looked up by index. Not here: one-hot vectors, which are functions."""

from __future__ import annotations

from nnspec.dims import Dim, format_dim
from nnspec.dims.claims import Relation, at_least
from nnspec.operators.declare import (
    Inferred,
    Obligation,
    Operator,
    Ref,
    TorchCall,
    Weight,
    attribute,
    call_module,
    operator,
    tensor,
)
from nnspec.operators.kinds import Integer, Maybe, Size
from nnspec.types import TensorType


@operator("Embedding", source="https://docs.pytorch.org/docs/stable/generated/torch.nn.Embedding.html")
class Embedding(Operator):
    """Look up one learned vector for each index: index(num_embeddings)[...] -> (..., embedding_dim)."""

    input: TensorType = tensor(dtype="index", doc="indices of any shape, 0 to `num_embeddings` - 1")
    num_embeddings: Dim = attribute(Size(), ge=1, doc="rows of the table")
    embedding_dim: Dim = attribute(Size(), ge=1, doc="features of a vector")
    padding_idx: int | None = attribute(Maybe(Integer()), None, doc="a row that starts at zero and is never updated")

    def infer(self) -> Inferred:
        obligations = []
        classes = self.input.classes
        rows = format_dim(self.num_embeddings)
        if classes is not None:
            message = f"indices of {format_dim(classes)} kinds, and the table has {rows} rows"
            obligations.append(Obligation(
                Relation(classes, "<=", self.num_embeddings), "NN206", "num_embeddings", message,
                help=f"give the table a row for each: num_embeddings={format_dim(classes)}",
            ))  # fmt: skip
        if self.padding_idx is not None:
            needed = self.padding_idx + 1 if self.padding_idx >= 0 else -self.padding_idx
            message = f"`padding_idx` = {self.padding_idx} is not one of the {rows} rows"
            obligations.append(Obligation(at_least(self.num_embeddings, needed), "NN107", "padding_idx", message))
        return Inferred({"output": TensorType((*self.input.dims, self.embedding_dim))}, tuple(obligations))

    def weights(self) -> tuple[Weight, ...]:
        return (Weight("weight", (self.num_embeddings, self.embedding_dim)),)

    def lower(self) -> TorchCall:
        return call_module("torch.nn.Embedding", Ref("input"), settings=self.attributes())
