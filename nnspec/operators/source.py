"""Data sources: what they are called, how they are set, and the types of their fields. `nnspec.data` reads them.

The first axis of every field is that of the samples.
"""

from __future__ import annotations

from typing import ClassVar

from nnspec.dims import Dim
from nnspec.operators.declare import Inferred, Operator, attribute, operator
from nnspec.operators.kinds import Flag, Integer, Listing, Maybe, Real, Refusal, Text
from nnspec.types import TensorType, index


class Source(Operator):
    """A table of samples. `infer` gives no outputs and refuses contradicting settings; `fields_of` gives the types."""

    is_source = True
    #: The body declares columns (`column Age: float32`), and the fields follow from them.
    declares_columns: ClassVar[bool] = False
    #: The body makes the fields (`output x = uniform[N, 2]`); without one the source has none.
    needs_body: ClassVar[bool] = False
    #: The types of the fields depend on what the text holds: `windows_of` gives them.
    reads_text: ClassVar[bool] = False
    #: Samples in all, and of these in a test part that comes with the source; None where only reading tells.
    total_samples: ClassVar[int | None] = None
    test_samples: ClassVar[int] = 0
    #: One whole graph instead of samples: fields have no axis of samples, an epoch is one step, and in a part take part as many nodes.
    nodes_of_part: ClassVar[dict[str, int]] = {}
    #: The samples of each class of `label`, as they come, where that is known.
    samples_by_class: ClassVar[tuple[int, ...] | None] = None

    def infer(self) -> Inferred:
        self.check()
        return Inferred({})

    def check(self) -> None:
        """Refuse settings that contradict one another."""
        held_out = sum(self.__dict__.get(part) or 0 for part in ("validation", "test"))
        if held_out >= 1:
            message = f"validation and test take {held_out:g} of the samples, and nothing is left to train on"
            raise Refusal("NN107", message, "validation")

    def fields_of(self, batch: Dim) -> dict[str, TensorType]:
        """The types of the fields for a batch of so many samples."""
        raise NotImplementedError


def _validation() -> float:
    share: float = attribute(Real(), 0.0, ge=0, lt=1, doc="share of the training samples held out", keyword_only=True)
    return share


def _test(default: float = 0.2) -> float:
    share: float = attribute(Real(), default, ge=0, lt=1, doc="share of the samples held out for the test", keyword_only=True)
    return share


def _seed() -> int:
    seed: int = attribute(Integer(), 0, ge=0, doc="seed of the split", keyword_only=True)
    return seed


def _stratify() -> bool:
    flag: bool = attribute(Flag(), True, doc="every part holds the classes in the same shares", keyword_only=True)
    return flag


# --- pictures of digits and clothes ---------------------------------------------------------------------------------------


class _Picture(Source):
    """What the sources of pictures share: the range of their pixels, or a mean and deviation to normalize by."""

    range: tuple[float, ...]
    mean: float | None
    std: float | None

    def check(self) -> None:
        super().check()
        if self.range[0] >= self.range[1]:
            raise Refusal("NN107", f"`range` has to rise, got {self.range[0]:g} to {self.range[1]:g}", "range")
        if (self.mean is None) != (self.std is None):
            given, missing = ("mean", "std") if self.std is None else ("std", "mean")
            raise Refusal("NN104", f"`{given}` is given without `{missing}`", given)


def _range() -> tuple[float, ...]:
    bounds: tuple[float, ...] = attribute(Listing(Real(), 2), (0.0, 1.0), doc="what black and white become")
    return bounds


def _mean() -> float | None:
    number: float | None = attribute(Maybe(Real()), None, doc="subtracted, after the range", keyword_only=True)
    return number


def _std() -> float | None:
    number: float | None = attribute(Maybe(Real()), None, gt=0, doc="divided by, after the mean", keyword_only=True)
    return number


class _Idx(_Picture):
    """70,000 grey pictures of 28 x 28 in ten classes, 10,000 of them for the test."""

    total_samples = 70_000
    test_samples = 10_000

    range: tuple[float, ...] = _range()
    mean: float | None = _mean()
    std: float | None = _std()
    validation: float = _validation()
    seed: int = _seed()

    def fields_of(self, batch: Dim) -> dict[str, TensorType]:
        return {"image": TensorType((batch, 1, 28, 28)), "label": index(10, (batch,))}


@operator("MNIST", source="LeCun et al. 1998, Proceedings of the IEEE 86:2278")
class MNIST(_Idx):
    """Handwritten digits: `image` float32[N, 1, 28, 28], `label` index(10)[N]."""


@operator("FashionMNIST", source="Xiao et al. 2017, arXiv:1708.07747")
class FashionMNIST(_Idx):
    """Clothes: `image` float32[N, 1, 28, 28], `label` index(10)[N]."""


@operator("KMNIST", source="Clanuwat et al. 2018, arXiv:1812.01718")
class KMNIST(_Idx):
    """Cursive Japanese characters: `image` float32[N, 1, 28, 28], `label` index(10)[N]."""


@operator("Digits", source="Alpaydin & Kaynak 1998, UCI Machine Learning Repository; as in scikit-learn's load_digits")
class Digits(_Picture):
    """1,797 handwritten digits of 8 x 8, enlarged to `size` x `size`: `image` float32[N, 1, size, size], `label` index(10)[N]."""

    total_samples = 1_797
    samples_by_class = (178, 182, 177, 183, 181, 182, 181, 179, 174, 180)

    size: int = attribute(Integer(), 8, ge=8, le=1024, doc="side of the picture, px; beyond 8 it is enlarged, bilinear")
    range: tuple[float, ...] = _range()
    mean: float | None = _mean()
    std: float | None = _std()
    validation: float = _validation()
    test: float = _test()
    stratify: bool = _stratify()
    seed: int = _seed()

    def fields_of(self, batch: Dim) -> dict[str, TensorType]:
        return {"image": TensorType((batch, 1, self.size, self.size)), "label": index(10, (batch,))}


# --- tables that come with scikit-learn -------------------------------------------------------------------------------------


class _Table(Source):
    """A table of measurements: `x` float32[N, features] and `label` index(classes)[N]."""

    columns: ClassVar[tuple[str, ...]]
    classes: ClassVar[int | None]

    features: tuple[str, ...] | None
    standardize: bool

    @property
    def chosen(self) -> tuple[str, ...]:
        """The names of the features, in order."""
        return self.features if self.features is not None else self.columns

    def check(self) -> None:
        super().check()
        if not self.chosen:
            raise Refusal("NN107", "an empty list leaves no features", "features")
        for name in self.chosen:
            if name not in self.columns:
                raise Refusal(
                    "NN111", f'`{self.name}` has no feature "{name}"', "features", help="it has " + ", ".join(self.columns)
                )
        if len(set(self.chosen)) < len(self.chosen):
            raise Refusal("NN105", "a feature is named twice", "features")

    def fields_of(self, batch: Dim) -> dict[str, TensorType]:
        x = TensorType((batch, len(self.chosen)))
        if self.classes is None:
            return {"x": x, "target": TensorType((batch,))}
        return {"x": x, "label": index(self.classes, (batch,))}


def _features() -> tuple[str, ...] | None:
    names: tuple[str, ...] | None = attribute(Maybe(Listing(Text())), None, doc="which features, in order; none: all")
    return names


def _standardize() -> bool:
    flag: bool = attribute(Flag(), False, doc="bring every feature to mean 0 and deviation 1, by the training part")
    return flag


@operator("Iris", source="Fisher 1936, Annals of Eugenics 7:179")
class Iris(_Table):
    """150 flowers of three kinds: `x` float32[N, 4], lengths and widths in cm, and `label` index(3)[N]."""

    total_samples = 150
    samples_by_class = (50, 50, 50)
    columns = ("sepal_length", "sepal_width", "petal_length", "petal_width")
    classes = 3

    features: tuple[str, ...] | None = _features()
    standardize: bool = _standardize()
    validation: float = _validation()
    test: float = _test()
    stratify: bool = _stratify()
    seed: int = _seed()


@operator("Wine", source="Aeberhard & Forina 1991, UCI Machine Learning Repository")
class Wine(_Table):
    """178 wines of three growers: `x` float32[N, 13], a chemical analysis, and `label` index(3)[N]."""

    total_samples = 178
    samples_by_class = (59, 71, 48)
    columns = (
        "alcohol", "malic_acid", "ash", "alcalinity_of_ash", "magnesium", "total_phenols", "flavanoids", "nonflavanoid_phenols",
        "proanthocyanins", "color_intensity", "hue", "od280_od315_of_diluted_wines", "proline",
    )  # fmt: skip
    classes = 3

    features: tuple[str, ...] | None = _features()
    standardize: bool = _standardize()
    validation: float = _validation()
    test: float = _test()
    stratify: bool = _stratify()
    seed: int = _seed()


_NUCLEUS = (
    "radius", "texture", "perimeter", "area", "smoothness", "compactness", "concavity", "concave_points", "symmetry",
    "fractal_dimension",
)  # fmt: skip


@operator("BreastCancer", source="Street et al. 1993, Wisconsin Diagnostic Breast Cancer, UCI Machine Learning Repository")
class BreastCancer(_Table):
    """569 tumours: `x` float32[N, 30], ten measures of the nuclei, each three times, and `label` index(2)[N], 1 benign."""

    total_samples = 569
    samples_by_class = (212, 357)
    columns = tuple(f"{part}_{measure}" for part in ("mean", "error", "worst") for measure in _NUCLEUS)
    classes = 2

    features: tuple[str, ...] | None = _features()
    standardize: bool = _standardize()
    validation: float = _validation()
    test: float = _test()
    stratify: bool = _stratify()
    seed: int = _seed()


@operator("Diabetes", source="Efron et al. 2004, Annals of Statistics 32:407")
class Diabetes(_Table):
    """442 patients: `x` float32[N, 10], and `target` float32[N], how far the disease has gone a year later."""

    total_samples = 442
    columns = ("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6")
    classes = None

    features: tuple[str, ...] | None = _features()
    standardize: bool = _standardize()
    validation: float = _validation()
    test: float = _test()
    seed: int = _seed()


# --- graphs -----------------------------------------------------------------------------------------------------------------


@operator("Cora", source="McCallum et al. 2000, Information Retrieval 3:127; split of Yang et al. 2016, arXiv:1603.08861")
class Cora(Source):
    """2,708 papers of seven subjects and which of them cite one another: one whole graph, of which 140 nodes are learned from.

    `x` float32[2708, 1433], which words a paper has; `edges` index(2708)[2, 10556], each in both directions; `label`
    index(7)[2708]; `part` bool[2708], true for the nodes that are learned from or measured: 140, 500 and 1,000 in training,
    validation and test. An epoch is one step on the whole graph.
    """

    nodes_of_part = {"train": 140, "validation": 500, "test": 1_000}

    normalize_features: bool = attribute(Flag(), False, doc="divide each row of `x` by its sum")

    def fields_of(self, batch: Dim) -> dict[str, TensorType]:
        nodes = 2_708
        return {
            "x": TensorType((nodes, 1_433)), "edges": index(nodes, (2, 10_556)), "label": index(7, (nodes,)),
            "part": TensorType((nodes,), "bool"),
        }  # fmt: skip


# --- what the user has --------------------------------------------------------------------------------------------------------


class DeclaredSource(Source):
    """A source whose columns the body declares; the fields are what the body makes of them."""

    declares_columns = True
    needs_body = True

    def fields_of(self, batch: Dim) -> dict[str, TensorType]:
        return {}


def stratified_by() -> str | None:
    column: str | None = attribute(
        Maybe(Text()), None, doc="a column whose classes every part holds in the same shares", keyword_only=True
    )
    return column


@operator("NPZ", source="https://numpy.org/doc/stable/reference/generated/numpy.savez.html")
class NPZ(DeclaredSource):
    """Arrays in a file of numpy's, samples first. Each declared column is an array."""

    path: str = attribute(Text(), doc="the file, from the folder of the spec or of the data")
    validation: float = _validation()
    test: float = _test(0.0)
    stratify: str | None = stratified_by()
    seed: int = _seed()


@operator("Generated", source="https://docs.pytorch.org/docs/stable/notes/randomness.html")
class Generated(Source):
    """Samples that the body makes of draws and functions, once and the same for the same seed."""

    needs_body = True

    samples: int = attribute(Integer(), ge=1, doc="how many")
    seed: int = attribute(Integer(), 0, ge=0, doc="seed of the draws")
    validation: float = _validation()
    test: float = _test(0.0)

    def fields_of(self, batch: Dim) -> dict[str, TensorType]:
        return {}
