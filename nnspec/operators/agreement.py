"""Metrics of agreement: figures of classifiers that chance and unequal classes do not flatter, how honest their confidence is, and how far
predicted numbers are off.

Each gives a single number, as those of `metric` do. Not here: how they are added up over batches, which is the training's matter.
"""

from __future__ import annotations

from nnspec.operators.declare import Inferred, Obligation, attribute, operator, tensor
from nnspec.operators.kinds import Integer, Maybe
from nnspec.operators.metric import SKLEARN, ClassMetric, Metric, RankingMetric
from nnspec.operators.targets import equal_shapes, keep_fits
from nnspec.types import TensorType

_KEEP = "true counts; the first axes of the target"
_DIM = "the class axis, where two would fit"
_PRED = "one score per class, or decisions: bool, indices, or 0.0 and 1.0"
_TARGET = "indices of classes; bool or 0.0 and 1.0 for yes and no"


@operator("balanced_accuracy", source=f"Brodersen et al. 2010, doi:10.1109/ICPR.2010.764; {SKLEARN}#balanced-accuracy-score")
class balanced_accuracy(ClassMetric):
    """The mean over the classes that occur of the share of each that is predicted right, so that rare classes count as much as others."""

    pred: TensorType = tensor(dtype="any", doc=_PRED)
    target: TensorType = tensor(dtype="any", doc=_TARGET)
    keep: TensorType | None = tensor(dtype="bool", optional=True, doc=_KEEP)
    dim: int | None = attribute(Maybe(Integer()), None, doc=_DIM, keyword_only=True)


@operator("matthews_corrcoef", source=f"Gorodkin 2004, doi:10.1016/j.compbiolchem.2004.09.006; {SKLEARN}#matthews-corrcoef")
class matthews_corrcoef(ClassMetric):
    """The correlation of predicted and true classes: 1 where all are right, 0 where predictions tell nothing."""

    pred: TensorType = tensor(dtype="any", doc=_PRED)
    target: TensorType = tensor(dtype="any", doc=_TARGET)
    keep: TensorType | None = tensor(dtype="bool", optional=True, doc=_KEEP)
    dim: int | None = attribute(Maybe(Integer()), None, doc=_DIM, keyword_only=True)


@operator("cohen_kappa", source=f"Cohen 1960, doi:10.1177/001316446002000104; {SKLEARN}#cohen-kappa")
class cohen_kappa(ClassMetric):
    """The accuracy above that of chance, as a share of what is possible above it; NaN where chance alone is always right."""

    pred: TensorType = tensor(dtype="any", doc=_PRED)
    target: TensorType = tensor(dtype="any", doc=_TARGET)
    keep: TensorType | None = tensor(dtype="bool", optional=True, doc=_KEEP)
    dim: int | None = attribute(Maybe(Integer()), None, doc=_DIM, keyword_only=True)


@operator("average_precision", source=f"{SKLEARN}#precision-recall-f-measure-metrics")
class average_precision(RankingMetric):
    """The area under the curve of precision by recall, as a sum of steps: for rare positives, of which the ROC curve sees little.

    Scores and targets as `auc` takes them; over classes the mean of those that occur, each against the rest.
    """

    pred: TensorType = tensor(doc="a score, higher for yes; or one per class")
    target: TensorType = tensor(dtype="any", doc=_TARGET)
    keep: TensorType | None = tensor(dtype="bool", optional=True, doc=_KEEP)
    dim: int | None = attribute(Maybe(Integer()), None, doc=_DIM, keyword_only=True)


@operator("calibration_error", source="Guo et al. 2017, arXiv:1706.04599, equation 3")
class calibration_error(RankingMetric):
    """The expected calibration error: by how much confidence and accuracy differ, in `bins` of equal width, each weighted by its samples.

    The confidence is the greatest probability of a softmax over the scores of the classes; of a single score that of its sigmoid, or of
    its opposite.
    """

    lower_is_better = True

    pred: TensorType = tensor(doc="one score per class, before any softmax; or one for yes, before any sigmoid")
    target: TensorType = tensor(dtype="any", doc=_TARGET)
    keep: TensorType | None = tensor(dtype="bool", optional=True, doc=_KEEP)
    bins: int = attribute(Integer(), 15, ge=1, le=1000, doc="how many ranges of confidence are told apart", keyword_only=True)
    dim: int | None = attribute(Maybe(Integer()), None, doc=_DIM, keyword_only=True)


class DistanceMetric(Metric):
    """How far numbers are off. Less is better."""

    lower_is_better = True

    pred: TensorType
    target: TensorType
    keep: TensorType | None

    def infer(self) -> Inferred:
        obligations: list[Obligation] = equal_shapes(self.pred, self.target, "pred", "target")
        return self.number([*obligations, *keep_fits(self.keep, self.target)])


@operator("mae", source=f"{SKLEARN}#mean-absolute-error")
class mae(DistanceMetric):
    """The mean absolute error, all elements together."""

    pred: TensorType = tensor(doc="any shape")
    target: TensorType = tensor(doc="the same shape")
    keep: TensorType | None = tensor(dtype="bool", optional=True, doc=_KEEP)


@operator("rmse", source=f"{SKLEARN}#mean-squared-error")
class rmse(DistanceMetric):
    """The square root of the mean squared error, all elements together: the root is taken once, of the mean over all samples."""

    pred: TensorType = tensor(doc="any shape")
    target: TensorType = tensor(doc="the same shape")
    keep: TensorType | None = tensor(dtype="bool", optional=True, doc=_KEEP)
