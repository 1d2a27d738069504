"""How the samples of a source are divided into parts: by shares, of each class alike where the split is stratified.

One rule for the check, which knows the samples of some sources, and for the loader, which draws them. Not here: which samples go where
(`nnspec.data.split`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from nnspec.diagnostics import Diagnostic, Span
from nnspec.graph.program import Program
from nnspec.recipes.recipe import DataSource
from nnspec.records import record, replace
from nnspec.similar import similar_to
from nnspec.types import FLOATS, TensorType

PARTS = ("train", "validation", "test")
WORDS = (*PARTS, "seed", "stratify", "by", "group")
#: How many samples rounding may move between the parts of a split whose classes are not known.
_ROUNDING = 2


class DivisionError(Exception):
    """A split that cannot be made. `word` is what is to blame in it; where a name is unknown, it is `wrong` and one of `known` was meant."""

    def __init__(self, message: str, word: str, wrong: str = "", known: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.message, self.word, self.wrong, self.known = message, word, wrong, tuple(known)


@record(frozen=True)
class Shares:
    """What share of the samples goes where; the rest is to learn from. `stratify` names the field whose classes are spread evenly.

    `by` names a field or column that orders the samples instead of chance: the last are the test part, those before it the validation
    part, and samples of one value stay together. `group` names one whose values stay together, and chance chooses among the values. Of
    `folds`, the `fold`th is the test part, and `validation` is a share of the rest.
    """

    source: str = "data"
    validation: float = 0.0
    test: float = 0.0
    seed: int = 0
    stratify: str | None = None
    by: str | None = None
    group: str | None = None
    folds: int = 0
    fold: int = 0

    @classmethod
    def of(cls, source: DataSource) -> Shares:
        """By the `split` of the data's body, else by the source's own settings; and by the recipe's folds. Raises DivisionError."""
        found = cls._of(source)
        return found if source.folds is None else found._in_folds(source, *source.folds)

    def _in_folds(self, source: DataSource, folds: int, fold: int) -> Shares:
        operator = source.operator
        own = getattr(operator, "test_samples", 0) or "test" in getattr(operator, "parts_of_their_own", ())
        if source.is_graph or operator.part_samples is not None or own:
            raise DivisionError(f"`{operator.name}` comes with a test part, so that there are no folds to test on", "folds")
        if self.by is not None:
            raise DivisionError(
                f"folds are drawn, and the split of `{source.name}` is ordered by `{self.by}`: leave `by` out", "by"
            )
        return replace(self, test=0.0, folds=folds, fold=fold)

    @classmethod
    def _of(cls, source: DataSource) -> Shares:
        if source.is_graph and source.split:
            name = source.operator.name
            raise DivisionError(
                f"`{name}` comes with its parts: leave the split of `{source.name}` out", next(iter(source.split))
            )
        if source.split:
            return cls._written(source)
        settings = source.operator.attributes()
        stratify = settings.get("stratify")
        field = ("label" if "label" in source.fields else None) if stratify is True else stratify or None
        return cls(source.name, settings.get("validation") or 0.0, settings.get("test") or 0.0, settings.get("seed") or 0, field)

    @classmethod
    def _written(cls, source: DataSource) -> Shares:
        written, name = source.split, source.name
        for word in written:
            if word not in WORDS:
                raise DivisionError(f"the split of `{name}` has no part or setting `{word}`", word, word, WORDS)
        shares = {part: _share(name, part, written[part]) for part in PARTS if part in written}
        total = sum(shares.values())
        if "train" in shares and abs(total - 1) > 1e-6:
            raise DivisionError(f"the parts of the split of `{name}` add up to {total:g}, not to 1", next(iter(shares)))
        if shares.get("test") and getattr(source.operator, "test_samples", 0):
            raise DivisionError(
                f"`{source.operator.name}` comes with a test part: leave `test` out of the split of `{name}`", "test"
            )
        own = next((part for part in getattr(source.operator, "parts_of_their_own", ()) if shares.get(part)), None)
        if own is not None:
            raise DivisionError(f"the {own} part of `{name}` is a file of its own: leave `{own}` out of the split", own)
        if total - shares.get("train", 0) >= 1:
            raise DivisionError(f"the split of `{name}` leaves nothing to learn from", next(iter(shares)))
        seed, stratify = written.get("seed", 0), written.get("stratify")
        if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
            raise DivisionError(f"the `seed` of the split of `{name}` is a whole number of at least 0", "seed")
        if not isinstance(stratify, str | None):
            raise DivisionError(f"the split of `{name}` is stratified by the name of a field", "stratify")
        by, group = written.get("by"), written.get("group")
        if not isinstance(by, str | None):
            raise DivisionError(f"the split of `{name}` is ordered by the name of a field", "by")
        if not isinstance(group, str | None):
            raise DivisionError(f"the split of `{name}` keeps together by the name of a field", "group")
        drawn = next((word for word in ("stratify", "group", "seed") if word in written), None)
        if by is not None and drawn is not None:
            raise DivisionError(f"the split of `{name}` is ordered by `{by}`, and `{drawn}` is for one that is drawn", drawn)
        if group is not None and stratify is not None:
            raise DivisionError(
                f"the split of `{name}` keeps `{group}` together, so that it cannot be stratified as well", "stratify"
            )
        return cls(name, shares.get("validation", 0.0), shares.get("test", 0.0), seed, stratify, by, group)

    def beside_test(self) -> Shares:
        """The same for samples that come with a test part of their own."""
        return replace(self, test=0.0)

    def beside_validation(self) -> Shares:
        """The same for samples that come with a validation part of their own."""
        return replace(self, validation=0.0)

    def sizes(self, groups: Sequence[int]) -> list[dict[str, int]]:
        """How many samples of each group go into each part. What rounding leaves of one group is carried on to the next.

        Raises DivisionError for a part without samples.
        """
        found: list[dict[str, int]] = []
        carried = {"test": 0.0, "validation": 0.0}
        for group in groups:
            sizes, left = {}, group
            for part in carried:
                wanted = group * getattr(self, part) + carried[part]
                sizes[part] = min(round(wanted), left)
                carried[part] = wanted - sizes[part]
                left -= sizes[part]
            found.append({**sizes, "train": left})
        for part in PARTS:
            if not any(sizes[part] for sizes in found) and (part == "train" or getattr(self, part)):
                raise DivisionError(
                    f"the split of `{self.source}` leaves its {part} part empty: there are only {sum(groups)} samples",
                    next((word for word in (part, *carried) if word != "train" and getattr(self, word)), "test"),
                )
        return found


def _share(source: str, part: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise DivisionError(f"`{part}` of the split of `{source}` is a share from 0 to 1, not {value!r}", part)
    return float(value)


# --- as far as the text tells ---------------------------------------------------------------------------------------------------


class Bounds(NamedTuple):
    """A number that lies between two, which are equal where it is known."""

    low: int
    high: int

    def __str__(self) -> str:
        return f"{self.low:,}" if self.low == self.high else f"{self.low:,} to {self.high:,}"


def parts(source: DataSource) -> dict[str, Bounds] | None:
    """The samples of each part that there is, of a whole graph the nodes; None where only reading tells."""
    if source.is_graph:
        return {part: Bounds(nodes, nodes) for part, nodes in _nodes(source).items()}
    if source.operator.part_samples is not None:
        return {part: Bounds(count, count) for part, count in source.operator.part_samples.items() if count}
    total, own_test = _total(source), getattr(source.operator, "test_samples", 0)
    try:
        shares = _shares(source)
        groups = _groups(source, shares, total) if total is not None else None
        sizes = shares.sizes(groups) if groups is not None else None
    except DivisionError:
        return None
    if total is None or shares.by is not None or shares.group is not None:
        return None
    if shares.folds:
        return _parts_of_folds(shares, total)
    found: dict[str, Bounds] = {}
    for part in PARTS:
        share = getattr(shares, part) if part != "train" else 1 - shares.validation - shares.test
        if sizes is not None and share:
            exact = sum(each[part] for each in sizes)
            found[part] = Bounds(exact, exact)
        elif share:
            found[part] = Bounds(max(int(total * share) - _ROUNDING, 1), min(int(total * share) + 1 + _ROUNDING, total))
    return found | ({"test": Bounds(own_test, own_test)} if own_test else {})


def _parts_of_folds(shares: Shares, total: int) -> dict[str, Bounds]:
    """A fold and the rest, up to rounding."""
    test = Bounds(total // shares.folds, -(-total // shares.folds))
    rest = Bounds(total - test.high, total - test.low)
    held = Bounds(int(rest.low * shares.validation), min(int(rest.high * shares.validation) + 1 + _ROUNDING, rest.high))
    found = {"train": Bounds(max(rest.low - held.high, 1), rest.high - held.low), "test": test}
    return found | ({"validation": held} if shares.validation else {})


def samples(source: DataSource) -> Bounds | None:
    """The samples to learn from; None where only reading tells."""
    found = parts(source)
    return None if found is None else found["train"]


def measured(present: Collection[str]) -> list[str]:
    """The parts that a training is measured on, of those that there are: the validation part, and in the end the last there is."""
    last = next(part for part in ("test", "validation", "train") if part in present)
    return list(dict.fromkeys([*(["validation"] if "validation" in present else []), last]))


def held_out(source: DataSource) -> Mapping[str, float] | None:
    """The shares of the parts that are kept from learning, those of 0 left out; None where the split cannot be made. That of a file of its
    own is only known when it is read, and 0 here."""
    if source.is_graph:
        nodes = _nodes(source)
        return {part: count / sum(nodes.values()) for part, count in nodes.items() if part != "train"}
    own = source.operator.part_samples
    if own is not None:
        return {part: own[part] / sum(own.values()) for part in ("validation", "test") if own.get(part)}
    try:
        shares = Shares.of(source)
    except DivisionError:
        return None
    files = dict.fromkeys(getattr(source.operator, "parts_of_their_own", ()), 0.0)
    return {part: share for part in ("validation", "test") if (share := getattr(shares, part))} | files


def check_division(source: DataSource, places: Mapping[str, Span], program: Program) -> bool:
    """Whether the samples can be divided as the source says; else it is reported, at the word that is to blame."""
    try:
        shares, total = _shares(source), _total(source)
        if source.split and source.operator.part_samples is not None:
            raise DivisionError(
                f"`{source.operator.name}` comes in parts: leave the `split` of `{source.name}` out", next(iter(source.split))
            )
        if shares.stratify is not None:
            _check_classes(source, shares.stratify)
        for word in ("by", "group"):
            if getattr(shares, word) is not None:
                _check_values(source, getattr(shares, word), word)
        groups = _groups(source, shares, total) if total is not None else None
        if groups is not None:
            shares.sizes(groups)
    except DivisionError as error:
        program.report(_finding(error, source, places, program))
        return False
    return True


def _types(source: DataSource) -> dict[str, TensorType]:
    """The tensors of a source as they are read, by name."""
    computed = source.graph is not None and source.operator.name != "Generated"
    return source.fields if not computed or source.graph is None else {each.name: each.value.type for each in source.graph.inputs}


def _check_values(source: DataSource, field: str, word: str) -> None:
    """Whether a field, as it is read, holds one text or number for each sample."""
    read, what = _types(source), "the order" if word == "by" else "the values"
    known = [*source.operator.texts, *source.columns, *read]
    if field not in known:
        raise DivisionError(f"`{source.name}` is split by {what} of `{field}`, which it does not have", word, field, known)
    if field in read and read[field].rank != 1:
        raise DivisionError(
            f"`{source.name}` is split by {what} of `{field}`, which holds no single values but {read[field]}", word
        )


def _check_classes(source: DataSource, field: str) -> None:
    """Whether a field, as it is read, holds classes to split by."""
    types = {
        **{name: column.dtype for name, column in source.columns.items()},
        **{name: type.dtype for name, type in _types(source).items()},
    }
    if field not in types:
        message = f"`{source.name}` is split by the classes of `{field}`, which it does not have"
        raise DivisionError(message, "stratify", field, types)
    if types[field] in (*FLOATS, "str"):
        raise DivisionError(
            f"`{source.name}` is split by the classes of `{field}`, which holds no classes but {types[field]}", "stratify"
        )


def _finding(error: DivisionError, source: DataSource, places: Mapping[str, Span], program: Program) -> Diagnostic:
    place = places.get(error.word) or source.operator.written.get(error.word) or source.span
    similar = similar_to(error.wrong, error.known)
    return Diagnostic(
        "NN404", error.message, place, label=similar.label(), fix=program.rename_fix(place, similar),
        help="there are " + ", ".join(f"`{name}`" for name in error.known) if error.known and not similar else None,
    )  # fmt: skip


def _nodes(source: DataSource) -> Mapping[str, int]:
    """How many nodes of a whole graph each part has."""
    nodes: Mapping[str, int] = source.operator.nodes_of_part  # type: ignore[attr-defined]  # `is_graph` says that it has them
    return nodes


def _shares(source: DataSource) -> Shares:
    shares = Shares.of(source)
    return shares.beside_test() if getattr(source.operator, "test_samples", 0) else shares


def _total(source: DataSource) -> int | None:
    """The samples that are divided: those that come as a test part are none of them."""
    total = getattr(source.operator, "total_samples", None) or source.operator.attributes().get("samples")
    return total - getattr(source.operator, "test_samples", 0) if isinstance(total, int) else None


def _groups(source: DataSource, shares: Shares, total: int) -> list[int] | None:
    """The samples by class, or all in one group; None where the classes are not known."""
    if shares.by is not None or shares.group is not None or shares.folds:
        return None
    if shares.stratify is None or (not shares.validation and not shares.test):
        return [total]
    counts = getattr(source.operator, "samples_by_class", None)
    return list(counts) if shares.stratify == "label" and counts else None
