"""Sources of files: folders of pictures, pictures with their masks, windows of a series, and arrays in many files.

Here is how they are set and what types their fields have; `nnspec.data` reads them. Not here: tables and arrays
(`source`).
"""

from __future__ import annotations

from pathlib import PurePosixPath

from nnspec.dims import Dim
from nnspec.operators.declare import attribute, operator
from nnspec.operators.kinds import Either, Flag, Integer, Kind, Listing, Maybe, Pair, Refusal, Text
from nnspec.operators.source import (
    DeclaredSource,
    Source,
    _mean,
    _Picture,
    _range,
    _seed,
    _std,
    _stratify,
    _test,
    _validation,
    stratified_by,
)
from nnspec.types import TensorType, index


@operator("Pairs", source="Ronneberger et al. 2015, arXiv:1505.04597, section 3")
class Pairs(_Picture):
    """Pictures and their masks: `image` float32[N, channels, H, W], `mask` float32[N, 1, H, W], 1.0 where the mask is brighter than half.

    A picture and a mask belong together where the `*` of their patterns stands for the same text, the sample's `id`. A split can go by it:
    `split (by="id", test=0.2)`.
    """

    texts = ("id",)

    path: str = attribute(Text(), doc="the folder, from that of the spec or of the data")
    image: str = attribute(Text(), doc='the pictures below it: `"images/*.png"`', keyword_only=True)
    mask: str = attribute(Text(), doc='the masks below it: `"masks/*.png"`', keyword_only=True)
    size: tuple[int, int] = attribute(Pair(), ge=1, le=16_384, doc="height and width of every picture, px", keyword_only=True)
    channels: int = attribute(Integer(), 3, ge=1, le=4, doc="1 grey, 3 colour, 4 colour and opacity", keyword_only=True)
    range: tuple[float, ...] = _range()
    mean: float | None = _mean()
    std: float | None = _std()
    validation: float = _validation()
    test: float = _test(0.0)
    seed: int = _seed()

    def check(self) -> None:
        super().check()
        if self.channels == 2:
            raise Refusal("NN107", "pictures have 1, 3 or 4 channels, not 2", "channels")
        for name in ("image", "mask"):
            _check_pattern(name, getattr(self, name))
        if self.image == self.mask:
            raise Refusal("NN107", f'pictures and masks would be the same files, "{self.image}"', "mask")

    def fields_of(self, batch: Dim) -> dict[str, TensorType]:
        return {"image": TensorType((batch, self.channels, *self.size)), "mask": TensorType((batch, 1, *self.size))}


def _check_pattern(name: str, pattern: str) -> None:
    path = PurePosixPath(pattern)
    if pattern.count("*") != 1 or "*" not in path.name or any(letter in pattern for letter in "?[]"):
        raise Refusal(
            "NN107", f'`{name}` has one `*`, in the name of the file, such as "images/*.png", and not "{pattern}"', name
        )
    if path.is_absolute() or ".." in path.parts:
        raise Refusal("NN107", f'`{name}` leads out of the folder: "{pattern}"', name)


@operator("Windows", source="Zhou et al. 2021, arXiv:2012.07436, section 5.1")
class Windows(Source):
    """Windows of a series in a CSV file: `past` float32[N, input, columns] and `future` float32[N, horizon, columns], the rows that follow.

    There is a window at every row. `rows` divides the series in time: so many rows to learn from, then to validate, then to test. What is
    to be told lies in its part; what it is told from may reach back into the part before. Windows are views of one series, gathered for
    each batch.
    """

    path: str = attribute(Text(), doc="the file, from the folder of the spec or of the data; its first line names the columns")
    columns: tuple[str, ...] = attribute(Listing(Text()), doc="which columns, in order", keyword_only=True)
    input: int = attribute(Integer(), ge=1, doc="rows that are given", keyword_only=True)
    horizon: int = attribute(Integer(), ge=1, doc="rows that are to be told", keyword_only=True)
    rows: tuple[int, ...] = attribute(
        Listing(Integer(), 3), ge=0, doc="rows to learn from, to validate, to test", keyword_only=True
    )
    standardize: bool = attribute(
        Flag(), True, doc="bring every column to mean 0 and deviation 1, by the rows to learn from", keyword_only=True
    )

    def check(self) -> None:
        if not self.columns:
            raise Refusal("NN107", "an empty list leaves no columns", "columns")
        if len(set(self.columns)) < len(self.columns):
            raise Refusal("NN105", "a column is named twice", "columns")
        if self.rows[0] < self.input + self.horizon:
            message = f"a window has {self.input} + {self.horizon} rows, and there are {self.rows[0]} to learn from"
            raise Refusal("NN107", message, "rows")
        for part, rows in zip(("validate", "test"), self.rows[1:], strict=True):
            if 0 < rows < self.horizon:
                raise Refusal("NN107", f"the {self.horizon} rows to be told do not fit into {rows} rows to {part}", "rows")

    @property
    def part_samples(self) -> dict[str, int]:
        """The windows of each part."""
        train, validation, test = self.rows
        counts = {"train": train - self.input - self.horizon + 1}
        return counts | {
            part: rows - self.horizon + 1 if rows else 0 for part, rows in (("validation", validation), ("test", test))
        }

    def fields_of(self, batch: Dim) -> dict[str, TensorType]:
        count = len(self.columns)
        return {"past": TensorType((batch, self.input, count)), "future": TensorType((batch, self.horizon, count))}


@operator(
    "Shards", source="https://numpy.org/doc/stable/reference/generated/numpy.savez.html; https://huggingface.co/docs/safetensors"
)
class Shards(DeclaredSource):
    """Arrays in many files, `Shards("train-*.npz")` or `.safetensors`, of which samples are read when a batch needs them.

    For data that memory does not hold: columns with one number a sample are kept in memory, arrays stay in their files. Each declared
    column is an array of every file, samples first; `.npz` files are not compressed. All samples together are shuffled, as of any source.
    """

    path: str = attribute(Text(), doc="the files, from the folder of the spec or of the data; `*` stands for what differs")
    validation_path: str | None = attribute(
        Maybe(Text()), None, doc="other files, which are the validation part", keyword_only=True
    )
    test_path: str | None = attribute(Maybe(Text()), None, doc="other files, which are the test part", keyword_only=True)
    validation: float = _validation()
    test: float = _test(0.0)
    stratify: str | None = stratified_by()
    seed: int = _seed()

    @property
    def parts_of_their_own(self) -> tuple[str, ...]:
        """The parts that come in files of their own."""
        return tuple(part for part in ("validation", "test") if getattr(self, f"{part}_path") is not None)

    def check(self) -> None:
        super().check()
        for name in ("path", "validation_path", "test_path"):
            pattern = getattr(self, name)
            if pattern is not None and "*" in pattern.rpartition("/")[0]:
                raise Refusal("NN107", f'`{name}` has its `*` in the name of the files, not of a folder: "{pattern}"', name)
        for part in self.parts_of_their_own:
            if getattr(self, part):
                raise Refusal(
                    "NN107", f"`{part}` is a share of `path`, and `{part}_path` names files for it: leave one out", part
                )


class _Classes(Kind):
    """How many classes, or their names in order."""

    name = "a whole number or a list of names"

    def accept(self, value: object) -> int | tuple[str, ...]:
        accepted: int | tuple[str, ...] = Either(Integer(), Listing(Text())).accept(value)
        return accepted


@operator("ImageFolder", source="https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.ImageFolder.html")
class ImageFolder(_Picture):
    """Pictures in a folder with one subfolder per class: `image` float32[N, channels, H, W] and `label`.

    With `classes`, their number or the subfolders' names in order, the label is index(classes)[N]; without, int64[N].
    """

    path: str = attribute(Text(), doc="the folder, from that of the spec or of the data")
    size: tuple[int, int] = attribute(Pair(), ge=1, le=16_384, doc="height and width that every picture is brought to, px")
    classes: int | tuple[str, ...] | None = attribute(Maybe(_Classes()), None, ge=1, doc="how many, or the subfolders' names")
    channels: int = attribute(Integer(), 3, ge=1, le=4, doc="1 grey, 3 colour, 4 colour and opacity", keyword_only=True)
    range: tuple[float, ...] = _range()
    mean: float | None = _mean()
    std: float | None = _std()
    validation: float = _validation()
    test: float = _test(0.0)
    stratify: bool = _stratify()
    seed: int = _seed()

    def check(self) -> None:
        super().check()
        if self.channels == 2:
            raise Refusal("NN107", "pictures have 1, 3 or 4 channels, not 2", "channels")

    def fields_of(self, batch: Dim) -> dict[str, TensorType]:
        classes = len(self.classes) if isinstance(self.classes, tuple) else self.classes
        label = TensorType((batch,), "int64") if classes is None else index(classes, (batch,))
        return {"image": TensorType((batch, self.channels, *self.size)), "label": label}
