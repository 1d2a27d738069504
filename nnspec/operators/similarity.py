"""Losses on distributions, regions and distances between vectors. The losses on classes and on single elements live in `loss`."""

from __future__ import annotations

from nnspec.operators.axes import axis
from nnspec.operators.declare import Inferred, Operator, Ref, TorchCall, attribute, call_function, operator, tensor
from nnspec.operators.kinds import Choice, Flag, Integer, Real, Refusal
from nnspec.operators.loss import DOCS, FUNCTIONAL, LOSSES, reduced
from nnspec.operators.promotion import result_type
from nnspec.operators.targets import equal_shapes, keep_fits
from nnspec.types import TensorType


@operator("kl_div", source=f"Kullback & Leibler 1951; {DOCS}.kl_div.html")
class kl_div(Operator):
    """target (log target - input): how far the distribution `input`, given as logarithms, is from `target`.

    Torch's default, the mean over all elements, is not the divergence; "batchmean" is. So `reduction` has to be chosen.
    """

    input: TensorType = tensor(doc="log-probabilities")
    target: TensorType = tensor(doc="probabilities of the same shape, or with `log_target` their logarithms")
    reduction: str = attribute(
        Choice("batchmean", "sum", "mean", "none"), doc="batchmean: the sum over the number of samples", keyword_only=True
    )
    log_target: bool = attribute(Flag(), False, doc="the target is given as logarithms", keyword_only=True)

    def infer(self) -> Inferred:
        if self.reduction == "batchmean" and self.input.rank == 0:
            raise Refusal("NN203", "`batchmean` needs an axis of samples", "input")
        each = self.input.with_dtype(result_type(self.input, self.target))
        return Inferred(
            {"output": reduced(each, self.reduction)}, tuple(equal_shapes(self.input, self.target, "input", "target"))
        )

    def lower(self) -> TorchCall:
        return call_function(
            f"{LOSSES}.kl_div", Ref("input"), Ref("target"), reduction=self.reduction, log_target=self.log_target
        )


@operator("gaussian_nll_loss", source=f"Nix & Weigend 1994; {DOCS}.gaussian_nll_loss.html")
class gaussian_nll_loss(Operator):
    """0.5 (log var + (input - target) ** 2 / var): a mean and a variance are predicted for each element."""

    input: TensorType = tensor(doc="the predicted mean, any shape")
    target: TensorType = tensor(doc="the same shape")
    var: TensorType = tensor(doc="the predicted variance, not negative, the same shape")
    full: bool = attribute(Flag(), False, doc="add the constant 0.5 log(2 pi)", keyword_only=True)
    eps: float = attribute(Real(), 1e-6, ge=0, doc="least variance", keyword_only=True)
    reduction: str = attribute(
        Choice("mean", "sum", "none"), "mean", doc="what becomes of the losses of all elements", keyword_only=True
    )

    def infer(self) -> Inferred:
        obligations = [
            *equal_shapes(self.input, self.target, "input", "target"),
            *equal_shapes(self.input, self.var, "input", "var"),
        ]
        each = self.input.with_dtype(result_type(self.input, self.target, self.var))
        return Inferred({"output": reduced(each, self.reduction)}, tuple(obligations))

    def lower(self) -> TorchCall:
        return call_function(f"{FUNCTIONAL}.gaussian_nll_loss", Ref("input"), Ref("target"), Ref("var"), **self.attributes())


@operator("dice_loss", source="Dice 1945, Ecology 26:297; Milletari et al. 2016, arXiv:1606.04797, with plain sums below")
class dice_loss(Operator):
    """1 - (2 sum(p t) + smooth) / (sum p + sum t + smooth) of each sample, over all axes but the first; then the mean."""

    input: TensorType = tensor(doc="probabilities, after a sigmoid, (N, ...)")
    target: TensorType = tensor(doc="0 or 1, the same shape")
    keep: TensorType | None = tensor(dtype="bool", optional=True, doc="true counts; the first axes of the input")
    smooth: float = attribute(Real(), 1.0, ge=0, doc="keeps empty regions from dividing by 0", keyword_only=True)
    reduction: str = attribute(
        Choice("mean", "sum", "none"), "mean", doc="what becomes of the losses of all samples", keyword_only=True
    )

    def infer(self) -> Inferred:
        if self.input.rank == 0:
            raise Refusal("NN203", "`dice_loss` needs an axis of samples", "input")
        obligations = [*equal_shapes(self.input, self.target, "input", "target"), *keep_fits(self.keep, self.input)]
        each = TensorType(self.input.dims[:1], result_type(self.input, self.target))
        return Inferred({"output": reduced(each, self.reduction)}, tuple(obligations))

    def lower(self) -> TorchCall:
        keep = () if self.keep is None else (Ref("keep"),)
        return call_function(f"{LOSSES}.dice_loss", Ref("input"), Ref("target"), *keep, **self.attributes())


@operator("cosine_similarity", source=f"{DOCS}.cosine_similarity.html")
class cosine_similarity(Operator):
    """x1 . x2 / (|x1| |x2|) along `dim`, which goes: from -1 to 1."""

    x1: TensorType = tensor(doc="any shape of one axis or more")
    x2: TensorType = tensor(doc="the same shape")
    dim: int = attribute(Integer(), 1, doc="the axis of the vectors")
    eps: float = attribute(Real(), 1e-8, gt=0, doc="least length")

    def infer(self) -> Inferred:
        place = axis(self.dim, self.x1.rank)
        obligations = equal_shapes(self.x1, self.x2, "x1", "x2")
        dims = self.x1.dims[:place] + self.x1.dims[place + 1 :]
        return Inferred({"output": TensorType(dims, result_type(self.x1, self.x2))}, tuple(obligations))

    def lower(self) -> TorchCall:
        return call_function(f"{FUNCTIONAL}.cosine_similarity", Ref("x1"), Ref("x2"), dim=self.dim, eps=self.eps)


@operator("triplet_margin_loss", source=f"Balntas et al. 2016, BMVC; {DOCS}.triplet_margin_loss.html")
class triplet_margin_loss(Operator):
    """max(0, |anchor - positive| - |anchor - negative| + margin), vectors along the last axis."""

    anchor: TensorType = tensor(rank=2, doc="(N, D)")
    positive: TensorType = tensor(rank=2, doc="(N, D): to come close")
    negative: TensorType = tensor(rank=2, doc="(N, D): to stay away")
    margin: float = attribute(Real(), 1.0, gt=0, doc="by how much the negative is to be farther")
    p: float = attribute(Real(), 2.0, gt=0, doc="the norm: 2 is the Euclidean one")
    reduction: str = attribute(
        Choice("mean", "sum", "none"), "mean", doc="what becomes of the losses of all samples", keyword_only=True
    )

    def infer(self) -> Inferred:
        obligations = [
            *equal_shapes(self.anchor, self.positive, "anchor", "positive"),
            *equal_shapes(self.anchor, self.negative, "anchor", "negative"),
        ]
        each = TensorType(self.anchor.dims[:1], result_type(self.anchor, self.positive, self.negative))
        return Inferred({"output": reduced(each, self.reduction)}, tuple(obligations))

    def lower(self) -> TorchCall:
        tensors = (Ref("anchor"), Ref("positive"), Ref("negative"))
        return call_function(f"{FUNCTIONAL}.triplet_margin_loss", *tensors, **self.attributes())
