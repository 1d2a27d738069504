"""Metrics: what a recipe measures over all samples of a split. Here is what they are asked and what types they take; how they are
added up over batches is the training's matter.

Each gives a single number. Metrics are never lowered: a network cannot hold one.
"""

from __future__ import annotations

from typing import Literal

from nnspec.dims import Dim
from nnspec.dims.claims import Relation
from nnspec.operators.declare import Inferred, Obligation, Operator, attribute, operator, tensor
from nnspec.operators.kinds import Choice, Integer, Maybe, Refusal
from nnspec.operators.targets import class_axis, equal_shapes, keep_fits
from nnspec.types import TensorType

#: How a prediction is given: one score per class, a decision (a class, or yes and no) for each target, or a score of "yes".
Form = Literal["scores", "decision", "positive_score"]
SKLEARN = "https://scikit-learn.org/stable/modules/model_evaluation.html"


class Metric(Operator):
    """A measurement of predictions `pred` against `target`, over all samples."""

    is_metric = True

    @staticmethod
    def number(obligations: list[Obligation]) -> Inferred:
        """The result of every metric: one number."""
        return Inferred({"output": TensorType(())}, tuple(obligations))


class ClassMetric(Metric):
    """A metric on classes.

    `pred` is either one score per class (float, one axis more than the target), or a decision: booleans, indices, or floats 0
    and 1, of the target's own shape.
    """

    pred: TensorType
    target: TensorType
    keep: TensorType | None
    dim: int | None

    @property
    def form(self) -> Form:
        """How the prediction is given."""
        return "scores" if self.pred.is_float and self.pred.rank == self.target.rank + 1 else "decision"

    @property
    def axis(self) -> int | None:
        """The axis of the classes in `pred`, where it holds one score per class."""
        return class_axis(self.pred, self.target, self.dim, "pred").axis if self.form == "scores" else None

    @property
    def classes(self) -> Dim | None:
        """How many classes there are, 2 for yes and no, None where the types do not say."""
        axis = self.axis
        if axis is not None:
            return self.pred.dims[axis]
        if not self.target.is_integer and not self.pred.is_integer:
            return 2
        return self.target.classes if self.target.classes is not None else self.pred.classes

    def infer(self) -> Inferred:
        if self.form == "scores":
            if self.target.dtype == "bool" or self.target.is_float:
                advice = "compare with a decision of the target's own shape, such as `pred > 0` after `-> squeeze(1)`"
                raise Refusal(
                    "NN204", f"scores of classes are measured against indices, got {self.target}", "target", help=advice
                )
            obligations = list(class_axis(self.pred, self.target, self.dim, "pred").obligations)
        else:
            if self.dim is not None:
                raise Refusal("NN102", "`dim` names the axis of the classes, and `pred` has none", "dim")
            obligations = equal_shapes(self.pred, self.target, "pred", "target")
        return self.number([*obligations, *keep_fits(self.keep, self.target)])


_KEEP = "true counts; the first axes of the target"
_DIM = "the class axis, where two would fit"
_PRED = "one score per class, or decisions: bool, indices, or 0.0 and 1.0"
_TARGET = "indices of classes; bool or 0.0 and 1.0 for yes and no"


@operator("accuracy", source=f"{SKLEARN}#accuracy-score")
class accuracy(ClassMetric):
    """The share of targets that are predicted right, or are among the `top_k` highest scores."""

    pred: TensorType = tensor(dtype="any", doc=_PRED)
    target: TensorType = tensor(dtype="any", doc=_TARGET)
    keep: TensorType | None = tensor(dtype="bool", optional=True, doc=_KEEP)
    top_k: int = attribute(Integer(), 1, ge=1, doc="how many guesses count")
    dim: int | None = attribute(Maybe(Integer()), None, doc=_DIM, keyword_only=True)

    def infer(self) -> Inferred:
        inferred = super().infer()
        if self.top_k == 1:
            return inferred
        axis = self.axis
        if axis is None:
            raise Refusal("NN107", "`top_k` needs a score for each class, and `pred` holds decisions", "top_k")
        message = f"`top_k` = {self.top_k} exceeds the number of classes"
        enough = Obligation(Relation(self.pred.dims[axis], ">=", self.top_k), "NN107", "top_k", message)
        return inferred._replace(obligations=(*inferred.obligations, enough))


class RetrievalMetric(ClassMetric):
    """A metric made of true positives, false positives and false negatives.

    `average` none means: with two classes those of class 1 (or yes), else "macro".
    """

    average: str | None


_AVERAGE = Maybe(Choice("binary", "macro", "micro", "weighted"))
_AVERAGE_DOC = "binary: class 1 only; macro: mean over classes; micro: all classes together; weighted: mean by frequency"


@operator("precision", source=f"{SKLEARN}#precision-recall-f-measure-metrics")
class precision(RetrievalMetric):
    """Of what is predicted positive, the share that is; 0 where nothing is predicted positive."""

    pred: TensorType = tensor(dtype="any", doc=_PRED)
    target: TensorType = tensor(dtype="any", doc=_TARGET)
    keep: TensorType | None = tensor(dtype="bool", optional=True, doc=_KEEP)
    average: str | None = attribute(_AVERAGE, None, doc=_AVERAGE_DOC, keyword_only=True)
    dim: int | None = attribute(Maybe(Integer()), None, doc=_DIM, keyword_only=True)


@operator("recall", source=f"{SKLEARN}#precision-recall-f-measure-metrics")
class recall(RetrievalMetric):
    """Of what is positive, the share that is predicted so; 0 where nothing is positive."""

    pred: TensorType = tensor(dtype="any", doc=_PRED)
    target: TensorType = tensor(dtype="any", doc=_TARGET)
    keep: TensorType | None = tensor(dtype="bool", optional=True, doc=_KEEP)
    average: str | None = attribute(_AVERAGE, None, doc=_AVERAGE_DOC, keyword_only=True)
    dim: int | None = attribute(Maybe(Integer()), None, doc=_DIM, keyword_only=True)


@operator("f1", source=f"{SKLEARN}#precision-recall-f-measure-metrics")
class f1(RetrievalMetric):
    """The harmonic mean of precision and recall; 0 where both are."""

    pred: TensorType = tensor(dtype="any", doc=_PRED)
    target: TensorType = tensor(dtype="any", doc=_TARGET)
    keep: TensorType | None = tensor(dtype="bool", optional=True, doc=_KEEP)
    average: str | None = attribute(_AVERAGE, None, doc=_AVERAGE_DOC, keyword_only=True)
    dim: int | None = attribute(Maybe(Integer()), None, doc=_DIM, keyword_only=True)


@operator("iou", source="Jaccard 1912; mean over classes as in Everingham et al. 2010, PASCAL VOC")
class iou(RetrievalMetric):
    """Intersection over union: of yes and no, that of yes; of classes, the mean over those that occur."""

    pred: TensorType = tensor(dtype="any", doc=_PRED)
    target: TensorType = tensor(dtype="any", doc=_TARGET)
    keep: TensorType | None = tensor(dtype="bool", optional=True, doc=_KEEP)
    average: str | None = attribute(_AVERAGE, None, doc=_AVERAGE_DOC, keyword_only=True)
    dim: int | None = attribute(Maybe(Integer()), None, doc=_DIM, keyword_only=True)


class RankingMetric(Metric):
    """A metric of scores, of which only one is needed for yes and no.

    `pred` is a score for each target, higher for yes; or one score per class (float, one axis more than the target).
    """

    pred: TensorType
    target: TensorType
    keep: TensorType | None
    dim: int | None

    @property
    def form(self) -> Form:
        """How the prediction is given."""
        return "scores" if self.target.is_integer and self.pred.rank == self.target.rank + 1 else "positive_score"

    @property
    def axis(self) -> int | None:
        """The axis of the classes in `pred`, where it holds one score per class."""
        return class_axis(self.pred, self.target, self.dim, "pred").axis if self.form == "scores" else None

    def infer(self) -> Inferred:
        if self.form == "scores":
            obligations = list(class_axis(self.pred, self.target, self.dim, "pred").obligations)
        else:
            obligations = equal_shapes(self.pred, self.target, "pred", "target")
            if self.target.classes is not None:
                message = f"one score for each target tells two classes apart, and the target is {self.target}"
                obligations.append(Obligation(Relation(self.target.classes, "<=", 2), "NN206", "target", message))
        return self.number([*obligations, *keep_fits(self.keep, self.target)])


@operator("auc", source=f"Hanley & McNeil 1982, Radiology 143:29; {SKLEARN}#receiver-operating-characteristic-roc")
class auc(RankingMetric):
    """The area under the ROC curve: how probably a positive has a higher score than a negative; ties count half.

    Scores (N,) against yes and no (N,); or scores per class (N, C), in any scale, against index(C)[N]: the mean over classes,
    each against the rest (with two classes, the second).
    """

    pred: TensorType = tensor(doc="a score, higher for yes; or one per class")
    target: TensorType = tensor(dtype="any", doc=_TARGET)
    keep: TensorType | None = tensor(dtype="bool", optional=True, doc=_KEEP)
    dim: int | None = attribute(Maybe(Integer()), None, doc=_DIM, keyword_only=True)


@operator("r2", source=f"{SKLEARN}#r2-score-the-coefficient-of-determination")
class r2(Metric):
    """1 - sum((target - pred) ** 2) / sum((target - mean(target)) ** 2), all elements together."""

    pred: TensorType = tensor(doc="any shape")
    target: TensorType = tensor(doc="the same shape")
    keep: TensorType | None = tensor(dtype="bool", optional=True, doc=_KEEP)

    def infer(self) -> Inferred:
        return self.number([*equal_shapes(self.pred, self.target, "pred", "target"), *keep_fits(self.keep, self.target)])


@operator("perplexity", source="Jelinek et al. 1977, Journal of the Acoustical Society of America 62:S63")
class perplexity(Metric):
    """exp of the mean cross-entropy, in nats, of all targets that count."""

    lower_is_better = True

    pred: TensorType = tensor(doc="one score per class, before any softmax")
    target: TensorType = tensor(dtype="index", doc="indices of classes")
    keep: TensorType | None = tensor(dtype="bool", optional=True, doc=_KEEP)
    dim: int | None = attribute(Maybe(Integer()), None, doc=_DIM, keyword_only=True)

    @property
    def axis(self) -> int:
        """The axis of the classes in `pred`."""
        return class_axis(self.pred, self.target, self.dim, "pred").axis

    def infer(self) -> Inferred:
        obligations = class_axis(self.pred, self.target, self.dim, "pred").obligations
        return self.number([*obligations, *keep_fits(self.keep, self.target)])


@operator("exact_match", source="Rajpurkar et al. 2016, arXiv:1606.05250, section 6.1")
class exact_match(Metric):
    """The share of samples of which every element that counts is right."""

    pred: TensorType = tensor(dtype="any", doc="(N, ...): indices or booleans")
    target: TensorType = tensor(dtype="any", doc="the same shape")
    keep: TensorType | None = tensor(dtype="bool", optional=True, doc=_KEEP)

    def infer(self) -> Inferred:
        if self.target.rank == 0:
            raise Refusal("NN203", "`exact_match` needs an axis of samples", "target")
        return self.number([*equal_shapes(self.pred, self.target, "pred", "target"), *keep_fits(self.keep, self.target)])
