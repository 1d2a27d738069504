"""Whether the batches that a recipe makes have sizes at which its networks run: the full ones, and the last of an epoch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from nnspec.diagnostics import Diagnostic, Fix, Label, Span
from nnspec.dims import Var
from nnspec.dims.claims import claim_variables, holds
from nnspec.graph.build import Build
from nnspec.graph.ir import Guard
from nnspec.recipes.division import Bounds, measured, parts, samples
from nnspec.recipes.recipe import DataSource

#: Of larger batches, these many sizes of the last one are tried, beginning with 1.
_MOST_TRIED = 4096
#: Where the source stands whose samples are one batch, as no `batch_size` is given.
_WHOLE = "whole"
#: Settings of batches, of which a whole graph makes none.
_OF_BATCHES = ("batch_size", "drop_last", "accumulate")


class Sizes(NamedTuple):
    """The sizes that batches have. The last one of an epoch may have any of `last`; with `known`, it has the only one of them."""

    full: int
    last: tuple[int, ...]
    known: bool


def check_graphs(build: Build, sources: Iterable[DataSource], places: Mapping[str, Span]) -> None:
    """Report settings of batches in a recipe on a whole graph: each of its epochs is one step."""
    graph = next((source for source in sources if source.is_graph), None)
    for word in _OF_BATCHES if graph is not None else ():
        if graph is not None and word in places:
            build.report(
                "NN404", f"`{graph.name}` is one whole graph, so an epoch is one step, and `{word}` has no batches to act on", places[word],
                labels=[Label(graph.span, "the graph")], help=f"take `{word}` out; `keep=` tells which nodes count",
            )  # fmt: skip


def check_batches(
    build: Build, batch: Var, source: DataSource | None, settings: Mapping[str, Any], places: Mapping[str, Span]
) -> None:
    """Report batches that surely occur and that no network takes (an error), and sizes of a last batch at which one fails (a warning).

    `source` is the first one, whose samples make an epoch.
    """
    count = samples(source) if source is not None else None
    size = settings.get("batch_size", count.high if count is not None and count.low == count.high else None)
    if source is not None and "batch_size" not in settings:
        places = {**places, _WHOLE: source.span}
    if not isinstance(size, int):
        return
    if source is not None and count is not None and settings.get("drop_last") and count.high < size:
        text = f"`{source.name}` has {count} samples to learn from, which make no batch of {size:,}"
        _refuse(build, Label(places["drop_last"], "leaves out what fills no batch"), text, places, None)
        return
    sizes = _sizes(size, count, bool(settings.get("drop_last")))
    for guard in build.guards:
        if claim_variables(guard.claim) != {batch}:
            continue
        if not holds(guard.claim, {batch: sizes.full}):
            _refuse(build, _needs(guard), f"no batch of {_counted(sizes.full)} meets this: {guard.message}", places, None)
            return
        failing = _failing(guard, batch, sizes.last)
        if failing is not None and sizes.known:
            text = f"the last batch of an epoch has {_counted(failing)}, and then this fails: {guard.message}"
            _refuse(build, _needs(guard), text, places, _dropping(places))
            return
        if failing is not None:
            _warn(build, guard, failing, size, places)
            return


def check_measuring(
    build: Build, batch: Var, source: DataSource, settings: Mapping[str, Any], places: Mapping[str, Span]
) -> None:
    """Report batches in which a part is measured and that a network does not take. All samples of a part are measured, to the last."""
    known, size = parts(source), settings.get("batch_size")
    places = places if "batch_size" in settings else {**places, _WHOLE: source.span}
    for part in measured(known) if known is not None else ():
        assert known is not None
        sizes = _sizes(size if isinstance(size, int) else known[part].high, known[part], drop_last=False)
        for guard in build.guards:
            failing = _failing(guard, batch, (sizes.full, *sizes.last)) if claim_variables(guard.claim) == {batch} else None
            if failing is not None and sizes.known:
                text = f"the {part} part of `{source.name}` is measured in a batch of {_counted(failing)}, and then this fails: {guard.message}"
                _refuse(build, _needs(guard), text, places, None)
                return


def _failing(guard: Guard, batch: Var, sizes: Iterable[int]) -> int | None:
    """The first of these sizes of a batch at which a condition does not hold."""
    return next((each for each in sizes if not holds(guard.claim, {batch: each})), None)


def _sizes(size: int, count: Bounds | None, drop_last: bool) -> Sizes:
    if count is None:
        return Sizes(size, () if drop_last else tuple(range(1, min(size, _MOST_TRIED))), False)
    full = min(size, count.low)
    rests = {each % min(size, each) for each in range(count.low, count.high + 1)} - {0}
    return Sizes(full, () if drop_last else tuple(sorted(rests)), count.low == count.high)


def _counted(number: int) -> str:
    return f"{number} sample{'' if number == 1 else 's'}"


def _dropping(places: Mapping[str, Span]) -> Fix | None:
    """The fix that leaves the last batch out."""
    from nnspec.syntax.edits import with_statement  # rarely needed

    edit = with_statement(places["batch_size"], "drop_last", "true") if "drop_last" not in places else None
    return Fix("leave the last batch out", (edit,), "suggestion") if edit is not None else None


def _needs(guard: Guard) -> Label:
    return Label(guard.span, f"needs {guard.claim}")


def _refuse(build: Build, why: Label, text: str, places: Mapping[str, Span], fix: Fix | None) -> None:
    whole = places.get(_WHOLE)
    build.program.report(
        Diagnostic(
            "NN409", text, whole or places["batch_size"], label="all of its samples are one batch" if whole else "the size of a batch",
            labels=(why,), fix=fix, severity_override="error",
        )
    )  # fmt: skip
    build.failed = True


def _warn(build: Build, guard: Guard, failing: int, size: int, places: Mapping[str, Span]) -> None:
    build.program.report(
        Diagnostic(
            "NN409", f"the last batch of an epoch may have fewer samples than {size}, and then this can fail: {guard.message}",
            places["batch_size"], labels=(_needs(guard),),
            notes=(f"it fails for a last batch of {_counted(failing)}",), help="`drop_last true` leaves such a batch out",
            fix=_dropping(places),
        )
    )  # fmt: skip
