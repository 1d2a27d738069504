"""Tables whose columns the body of a `data` item declares. `nnspec.data` reads them. Not here: arrays (`source`), series (`file_source`)."""

from __future__ import annotations

from nnspec.operators.declare import attribute, operator
from nnspec.operators.kinds import Choice, Listing, Maybe, Refusal, Text
from nnspec.operators.source import DeclaredSource, _seed, _test, _validation, stratified_by

_LEFT_OUT = Choice("error", "drop")


def quoting_of(what: str) -> str | None:
    """The setting that says how values are quoted."""
    mark: str | None = attribute(
        Maybe(Text()), '"', doc=f"the mark around values of {what} that hold a delimiter; none: there is none", keyword_only=True
    )
    return mark


def _on_missing() -> str:
    policy: str = attribute(
        _LEFT_OUT,
        "error",
        doc="what becomes of a row with a gap that its column does not fill; what is left out is told",
        keyword_only=True,
    )
    return policy


def _part_path(part: str) -> str | None:
    path: str | None = attribute(Maybe(Text()), None, doc=f"another file, which is the {part} part", keyword_only=True)
    return path


class Table(DeclaredSource):
    """What tables share: files of their own for parts."""

    validation_path: str | None
    test_path: str | None

    @property
    def parts_of_their_own(self) -> tuple[str, ...]:
        """The parts that come in files of their own."""
        return tuple(part for part in ("validation", "test") if getattr(self, f"{part}_path") is not None)

    def check(self) -> None:
        super().check()
        for part in self.parts_of_their_own:
            if getattr(self, part):
                raise Refusal(
                    "NN107", f"`{part}` is a share of `path`, and `{part}_path` names a file for it: leave one out", part
                )


@operator("CSV", source="RFC 4180; settings as in https://pandas.pydata.org/docs/reference/api/pandas.read_csv.html")
class CSV(Table):
    """A table in a text file: `CSV("iris.csv") { column petal_length: float32 ... output x = stack([...], dim=1) }`.

    A column whose name is no name of the language is declared by what is left of it: `Age (years)` as `Age_years`.
    """

    path: str = attribute(Text(), doc="the file, from the folder of the spec or of the data")
    delimiter: str = attribute(Text(), ",", doc="what stands between two values", keyword_only=True)
    names: tuple[str, ...] | None = attribute(
        Maybe(Listing(Text())), None, doc="names of all columns of a file without a header", keyword_only=True
    )
    missing: tuple[str, ...] = attribute(Listing(Text()), (), doc="values that mean: not known", keyword_only=True)
    quote: str | None = quoting_of("the file")
    decimal: str = attribute(Choice(".", ","), ".", doc="what stands before decimals", keyword_only=True)
    encoding: str = attribute(
        Choice("utf-8", "utf-16", "latin-1", "cp1252", "shift_jis", "gb18030"),
        "utf-8",
        doc="how the text is encoded",
        keyword_only=True,
    )
    on_missing: str = _on_missing()
    on_bad_rows: str = attribute(
        _LEFT_OUT, "error", doc="what becomes of a row that does not fit its columns; what is left out is told", keyword_only=True
    )
    validation_path: str | None = _part_path("validation")
    test_path: str | None = _part_path("test")
    validation: float = _validation()
    test: float = _test(0.0)
    stratify: str | None = stratified_by()
    seed: int = _seed()

    def check(self) -> None:
        super().check()
        if len(self.delimiter) != 1:
            raise Refusal("NN107", f'`delimiter` is one character, got "{self.delimiter}"', "delimiter")
        if self.quote is not None and len(self.quote) != 1:
            raise Refusal("NN107", f'`quote` is one character, got "{self.quote}"', "quote")
        if self.names is not None and len(set(self.names)) < len(self.names):
            raise Refusal("NN105", "a column is named twice", "names")
        if self.delimiter == self.decimal:
            raise Refusal("NN107", f'"{self.decimal}" cannot both part values and stand before decimals', "decimal")


@operator("Parquet", source="https://arrow.apache.org/docs/python/parquet.html")
class Parquet(Table):
    """A table in a Parquet file, whose columns have types: `Parquet("t.parquet") { column age: float32 ... }`. Needs pyarrow."""

    path: str = attribute(Text(), doc="the file, from the folder of the spec or of the data")
    on_missing: str = _on_missing()
    validation_path: str | None = _part_path("validation")
    test_path: str | None = _part_path("test")
    validation: float = _validation()
    test: float = _test(0.0)
    stratify: str | None = stratified_by()
    seed: int = _seed()
