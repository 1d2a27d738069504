"""Steps of a `data` item that are fitted to its training part and kept with the run. `nnspec.data.fitting` does both.

Not here: layers that learn or track statistics (`normalization`), and changes by numbers that the spec writes (`augmentation`).
"""

from __future__ import annotations

from typing import ClassVar

from nnspec.dims import format_dim
from nnspec.dims.claims import equal
from nnspec.operators.declare import Inferred, Obligation, Operator, Ref, TorchCall, attribute, call_function, operator, tensor
from nnspec.operators.kinds import Listing, Maybe, Real, Refusal
from nnspec.types import TensorType

SKLEARN = "https://scikit-learn.org/stable/modules/preprocessing.html"


class FittedStep(Operator):
    """A step whose numbers come from the training part, where the spec does not write them."""

    data_only = True
    #: The settings that fitting brings.
    fitted_settings: ClassVar[tuple[str, ...]] = ()

    @property
    def is_fitted(self) -> bool:
        """Whether all of them are there."""
        return all(getattr(self, name) is not None for name in self.fitted_settings)


@operator("Standardize", source=f"{SKLEARN}#standardization-or-mean-removal-and-variance-scaling")
class Standardize(FittedStep):
    """(input - mean) / std for each column, by mean and deviation (over n) of the training part. What is constant there becomes 0.

    In the body of a `data` item only. The numbers are kept with the run, and `predict` uses them again.
    """

    fitted_settings = ("mean", "std")

    input: TensorType = tensor(rank=(1, 2), doc="(N) or (N, columns)")
    mean: tuple[float, ...] | None = attribute(
        Maybe(Listing(Real())), None, doc="one number a column; none: fitted", keyword_only=True
    )
    std: tuple[float, ...] | None = attribute(
        Maybe(Listing(Real())), None, gt=0, doc="one number a column; none: fitted", keyword_only=True
    )

    def infer(self) -> Inferred:
        if (self.mean is None) != (self.std is None):
            given, missing = ("mean", "std") if self.std is None else ("std", "mean")
            raise Refusal("NN104", f"`{given}` is given without `{missing}`", given)
        columns = self.input.dims[1] if self.input.rank == 2 else 1
        found = []
        for name in self.fitted_settings:
            numbers = getattr(self, name)
            if numbers is not None and len(numbers) != columns:
                message = f"`{name}` has {len(numbers)} numbers, and there are {format_dim(columns)} columns"
                found.append(Obligation(equal(len(numbers), columns), "NN201", name, message))
        return Inferred({"output": self.input}, tuple(found))

    def lower(self) -> TorchCall:
        settings = {name: None if (numbers := getattr(self, name)) is None else list(numbers) for name in self.fitted_settings}
        return call_function("nnspec.torch_backend.functions.standardize", Ref("input"), **settings)
