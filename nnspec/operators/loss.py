"""Losses: what a recipe minimizes. Names and order of arguments are those of `torch.nn.functional`.

Nothing is broadcast: prediction and target have one shape, or the target lacks just the axis of the classes. `keep` is true for
what counts, and with `reduction="mean"` the mean is over what counts; where nothing does, it is 0. Not here: metrics.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnspec.dims import Dim, format_dim
from nnspec.dims.claims import equal
from nnspec.operators.declare import (
    Inferred,
    Obligation,
    Operator,
    Ref,
    TorchCall,
    attribute,
    call_function,
    call_module,
    operator,
    tensor,
)
from nnspec.operators.kinds import Choice, Either, Integer, Listing, Maybe, Real, Refusal
from nnspec.operators.promotion import result_type
from nnspec.operators.targets import class_axis, equal_shapes, keep_fits
from nnspec.types import TensorType

LOSSES = "nnspec.torch_backend.modules.losses"
FUNCTIONAL = "torch.nn.functional"
DOCS = "https://docs.pytorch.org/docs/stable/generated/torch.nn.functional"
_REDUCTIONS = Choice("mean", "sum", "none")
_WEIGHTS = Maybe(Either(Listing(Real()), Choice("balanced")))
_WEIGHT = 'a weight for each class; "balanced": all classes together weigh the same, by their counts in the training part'


def reduced(each: TensorType, reduction: str) -> TensorType:
    """The type of a loss whose unreduced type is `each`."""
    return each if reduction == "none" else TensorType((), each.dtype)


# --- classes ------------------------------------------------------------------------------------------------------------


class ClassLoss(Operator):
    """A loss on one number per class. The class axis is the one that the target lacks."""

    input: TensorType
    target: TensorType
    keep: TensorType | None
    weight: tuple[float, ...] | str | None
    ignore_index: int
    reduction: str
    dim: int | None

    @property
    def counts_classes(self) -> bool:
        """Whether the weights are those of `weight="balanced"`."""
        return self.weight == "balanced"

    @property
    def soft(self) -> bool:
        """The target holds probabilities of the classes, not their indices."""
        return self.target.is_float

    @property
    def axis(self) -> int:
        """The axis of the classes."""
        if self.soft:
            return self._soft_axis()
        return class_axis(self.input, self.target, self.dim, "input").axis

    def _soft_axis(self) -> int:
        rank = self.input.rank
        if self.dim is not None:
            if not -rank <= self.dim < rank:
                raise Refusal("NN213", f"axis {self.dim} does not exist: the scores have {rank} axes", "dim")
            return self.dim % rank
        if rank > 2:
            raise Refusal("NN207", f"any axis of {self.input} could be that of the classes", "input", help="name it: `dim=1`")
        return rank - 1

    @property
    def _each(self) -> TensorType:
        """The type before reduction."""
        if self.soft:
            axis = self.axis
            return TensorType(self.input.dims[:axis] + self.input.dims[axis + 1 :], result_type(self.input, self.target))
        return self.input.with_dims(self.target.dims)

    def infer(self) -> Inferred:
        if self.input.rank == 0:
            raise Refusal("NN203", "the scores need an axis of classes", "input")
        if self.soft:
            self._refuse_float_classes()
            obligations = equal_shapes(self.input, self.target, "input", "target")
        elif self.target.dtype == "int64":
            obligations = list(class_axis(self.input, self.target, self.dim, "input").obligations)
        else:
            message = f"the target holds int64 indices or float probabilities, got {self.target}"
            raise Refusal("NN204", message, "target", help="convert it with `int64(...)`")
        obligations += [*keep_fits(self.keep, self._each), *self._weights_fit()]
        return Inferred({"output": reduced(self._each, self.reduction)}, tuple(obligations))

    def _refuse_float_classes(self) -> None:
        """The numbers of classes, converted to floating point: what torch takes for probabilities."""
        if self.target.rank != self.input.rank - 1:
            return
        message = f"a float target holds a probability for each class, as {self.input}, and the classes are told by int64, got {self.target}"
        raise Refusal(
            "NN204", message, "target", help="give the numbers of the classes themselves, without `float32`, or as `int64(...)`"
        )

    def _weights_fit(self) -> list[Obligation]:
        if self.counts_classes and self.soft:
            raise Refusal("NN107", "balanced weights count classes, and this target holds probabilities", "weight")
        if self.weight is None or isinstance(self.weight, str):
            return []
        classes = self.input.dims[self.axis]
        message = f"`weight` has {len(self.weight)} numbers, and there are {format_dim(classes)} classes"
        return [Obligation(equal(len(self.weight), classes), "NN201", "weight", message)]

    @property
    def smoothing(self) -> float:
        return 0.0

    def lower(self) -> TorchCall:
        axis = self.axis
        options: dict[str, Any] = {"ignore_index": self.ignore_index, "reduction": self.reduction}
        if self.smoothing:
            options["label_smoothing"] = self.smoothing
        if self.weight is None and self.keep is None and axis == min(1, self.input.rank - 1):
            return call_function(f"{FUNCTIONAL}.{self.name}", Ref("input"), Ref("target"), **options)
        weight = None if isinstance(self.weight, str) else self.weight  # without data, all classes weigh the same
        settings = {"function": self.name, "dim": axis, "weight": weight, **options}
        keep = () if self.keep is None else (Ref("keep"),)
        return call_module(f"{LOSSES}.ClassLoss", Ref("input"), Ref("target"), *keep, settings=settings)


@operator("cross_entropy", source=f"{DOCS}.cross_entropy.html")
class cross_entropy(ClassLoss):
    """-log softmax(input)[target]: scores (N, C, ...) against index(C)[N, ...], or against probabilities of the same shape.

    The class axis is the one that the target lacks, so (N, T, C) against (N, T) is right as well.
    """

    input: TensorType = tensor(doc="one score per class, before any softmax")
    target: TensorType = tensor(dtype="any", doc="index(C) without the class axis, or float probabilities")
    keep: TensorType | None = tensor(dtype="bool", optional=True, doc="true counts; the first axes of the target")
    weight: tuple[float, ...] | str | None = attribute(_WEIGHTS, None, ge=0, doc=_WEIGHT)
    ignore_index: int = attribute(Integer(), -100, doc="targets with this value do not count", keyword_only=True)
    reduction: str = attribute(_REDUCTIONS, "mean", doc="what becomes of the losses of all targets", keyword_only=True)
    label_smoothing: float = attribute(Real(), 0.0, ge=0, le=1, doc="share given evenly to all classes", keyword_only=True)
    dim: int | None = attribute(Maybe(Integer()), None, doc="the class axis, where two would fit", keyword_only=True)

    @property
    def smoothing(self) -> float:
        return self.label_smoothing


@operator("nll_loss", source=f"{DOCS}.nll_loss.html")
class nll_loss(ClassLoss):
    """-input[target]: log-probabilities (N, C, ...), from `log_softmax`, against index(C)[N, ...]."""

    input: TensorType = tensor(doc="one log-probability per class")
    target: TensorType = tensor(dtype="index", doc="index(C) without the class axis")
    keep: TensorType | None = tensor(dtype="bool", optional=True, doc="true counts; the first axes of the target")
    weight: tuple[float, ...] | str | None = attribute(_WEIGHTS, None, ge=0, doc=_WEIGHT)
    ignore_index: int = attribute(Integer(), -100, doc="targets with this value do not count", keyword_only=True)
    reduction: str = attribute(_REDUCTIONS, "mean", doc="what becomes of the losses of all targets", keyword_only=True)
    dim: int | None = attribute(Maybe(Integer()), None, doc="the class axis, where two would fit", keyword_only=True)


# --- element by element ---------------------------------------------------------------------------------------------------


class ElementLoss(Operator):
    """A loss on each element, then reduced. The target may be a number, which stands for all elements."""

    input: TensorType
    target: Any
    keep: TensorType | None
    reduction: str

    def infer(self) -> Inferred:
        obligations = [] if isinstance(self.target, int | float) else equal_shapes(self.input, self.target, "input", "target")
        obligations += keep_fits(self.keep, self.input)
        each = self.input if isinstance(self.target, int | float) else self.input.with_dtype(self.dtype(self.target))
        return Inferred({"output": reduced(each, self.reduction)}, tuple(obligations))

    def dtype(self, target: TensorType) -> str:
        """The element type of the loss beside a target that is a tensor; refuses with NN204."""
        return result_type(self.input, target)

    def options(self) -> Mapping[str, Any]:
        """Settings of the loss itself."""
        return {name: value for name, value in self.attributes().items() if name != "reduction"}

    def lower(self) -> TorchCall:
        number = isinstance(self.target, int | float)
        target = float(self.target) if number else Ref("target")
        if number or self.keep is not None:
            keep = () if self.keep is None else (Ref("keep"),)
            settings = {"function": self.name, "reduction": self.reduction, **self.options()}
            return call_function(f"{LOSSES}.element_loss", Ref("input"), target, *keep, **settings)
        return call_function(f"{FUNCTIONAL}.{self.name}", Ref("input"), target, reduction=self.reduction, **self.options())


@operator("mse_loss", source=f"{DOCS}.mse_loss.html")
class mse_loss(ElementLoss):
    """(input - target) ** 2."""

    input: TensorType = tensor(doc="any shape")
    target: Any = tensor(number=True, doc="the same shape, or a number")
    keep: TensorType | None = tensor(dtype="bool", optional=True, doc="true counts; the first axes of the input")
    reduction: str = attribute(_REDUCTIONS, "mean", doc="what becomes of the losses of all elements", keyword_only=True)


@operator("l1_loss", source=f"{DOCS}.l1_loss.html")
class l1_loss(ElementLoss):
    """|input - target|."""

    input: TensorType = tensor(doc="any shape")
    target: Any = tensor(number=True, doc="the same shape, or a number")
    keep: TensorType | None = tensor(dtype="bool", optional=True, doc="true counts; the first axes of the input")
    reduction: str = attribute(_REDUCTIONS, "mean", doc="what becomes of the losses of all elements", keyword_only=True)


@operator("smooth_l1_loss", source=f"Girshick 2015, arXiv:1504.08083; {DOCS}.smooth_l1_loss.html")
class smooth_l1_loss(ElementLoss):
    """0.5 d ** 2 / beta where |d| < beta, else |d| - 0.5 beta, d = input - target."""

    input: TensorType = tensor(doc="any shape")
    target: Any = tensor(number=True, doc="the same shape, or a number")
    keep: TensorType | None = tensor(dtype="bool", optional=True, doc="true counts; the first axes of the input")
    reduction: str = attribute(_REDUCTIONS, "mean", doc="what becomes of the losses of all elements", keyword_only=True)
    beta: float = attribute(Real(), 1.0, ge=0, doc="where the square turns into a line", keyword_only=True)


@operator("huber_loss", source=f"Huber 1964, Annals of Mathematical Statistics 35:73; {DOCS}.huber_loss.html")
class huber_loss(ElementLoss):
    """0.5 d ** 2 where |d| < delta, else delta (|d| - 0.5 delta), d = input - target."""

    input: TensorType = tensor(doc="any shape")
    target: Any = tensor(number=True, doc="the same shape, or a number")
    keep: TensorType | None = tensor(dtype="bool", optional=True, doc="true counts; the first axes of the input")
    reduction: str = attribute(_REDUCTIONS, "mean", doc="what becomes of the losses of all elements", keyword_only=True)
    delta: float = attribute(Real(), 1.0, gt=0, doc="where the square turns into a line", keyword_only=True)

    def dtype(self, target: TensorType) -> str:
        return self.input.dtype


@operator("binary_cross_entropy", source=f"{DOCS}.binary_cross_entropy.html")
class binary_cross_entropy(ElementLoss):
    """-(target log input + (1 - target) log(1 - input)), input a probability."""

    input: TensorType = tensor(doc="probabilities, after a sigmoid")
    target: Any = tensor(number=True, doc="the same shape, from 0 to 1, or a number")
    keep: TensorType | None = tensor(dtype="bool", optional=True, doc="true counts; the first axes of the input")
    reduction: str = attribute(_REDUCTIONS, "mean", doc="what becomes of the losses of all elements", keyword_only=True)

    def infer(self) -> Inferred:
        _probability(self.target)
        return super().infer()

    def dtype(self, target: TensorType) -> str:
        if target.dtype != self.input.dtype:
            raise Refusal("NN204", f"`{self.name}` needs one element type, got {self.input} and {target}", "target")
        return target.dtype


@operator("binary_cross_entropy_with_logits", source=f"{DOCS}.binary_cross_entropy_with_logits.html")
class binary_cross_entropy_with_logits(ElementLoss):
    """`binary_cross_entropy` of sigmoid(input), computed without overflow."""

    input: TensorType = tensor(doc="scores, before any sigmoid")
    target: Any = tensor(number=True, doc="the same shape, from 0 to 1, or a number")
    keep: TensorType | None = tensor(dtype="bool", optional=True, doc="true counts; the first axes of the input")
    reduction: str = attribute(_REDUCTIONS, "mean", doc="what becomes of the losses of all elements", keyword_only=True)
    pos_weight: float | tuple[float, ...] | None = attribute(
        Maybe(Either(Real(), Listing(Real()))), None, ge=0, keyword_only=True,
        doc="weight of positives, one for all or for each of the last axis",
    )  # fmt: skip

    def infer(self) -> Inferred:
        _probability(self.target)
        inferred = super().infer()
        if not isinstance(self.pos_weight, tuple):
            return inferred
        last: Dim = self.input.dims[-1] if self.input.rank else 1
        message = f"`pos_weight` has {len(self.pos_weight)} numbers, and the last axis of the input {format_dim(last)}"
        fits = Obligation(equal(len(self.pos_weight), last), "NN201", "pos_weight", message)
        return inferred._replace(obligations=(*inferred.obligations, fits))

    def dtype(self, target: TensorType) -> str:
        """That of the target, as torch has it."""
        return target.dtype

    def lower(self) -> TorchCall:
        if self.pos_weight is None:
            return super().lower()
        target = float(self.target) if isinstance(self.target, int | float) else Ref("target")
        keep = () if self.keep is None else (Ref("keep"),)
        settings = {"pos_weight": self.pos_weight, "reduction": self.reduction}
        return call_module(f"{LOSSES}.WeightedBinaryLoss", Ref("input"), target, *keep, settings=settings)

    def options(self) -> Mapping[str, Any]:
        return {}


def _probability(target: Any) -> None:
    if isinstance(target, int | float) and not 0 <= target <= 1:
        raise Refusal("NN107", f"the target is a probability, from 0 to 1, got {target}", "target")
