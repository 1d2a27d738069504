"""Whether the batches that a recipe makes have sizes at which its networks run: the full ones, and the last of an epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from nnspec.diagnostics import Diagnostic, Fix, Label, Span
from nnspec.dims import Var
from nnspec.dims.claims import claim_variables, holds
from nnspec.graph.build import Build
from nnspec.graph.ir import Guard
from nnspec.graph.recipe import DataSource
from nnspec.graph.samples import Bounds, samples

#: Of larger batches, these many sizes of the last one are tried, beginning with 1.
_MOST_TRIED = 4096


class Sizes(NamedTuple):
    """The sizes that batches have. The last one of an epoch may have any of `last`; with `known`, it has the only one of them."""

    full: int
    last: tuple[int, ...]
    known: bool


def check_batches(
    build: Build, batch: Var, source: DataSource | None, settings: Mapping[str, Any], places: Mapping[str, Span]
) -> None:
    """Report batches that surely occur and that no network takes (an error), and sizes of a last batch at which one fails (a warning).

    `source` is the first one, whose samples make an epoch.
    """
    size = settings.get("batch_size")
    if not isinstance(size, int):
        return
    sizes = _sizes(size, samples(source) if source is not None else None, bool(settings.get("drop_last")))
    for guard in build.guards:
        if claim_variables(guard.claim) != {batch}:
            continue
        if not holds(guard.claim, {batch: sizes.full}):
            _refuse(build, guard, f"no batch of {_counted(sizes.full)} meets this: {guard.message}", places, None)
            return
        failing = next((each for each in sizes.last if not holds(guard.claim, {batch: each})), None)
        if failing is not None and sizes.known:
            text = f"the last batch of an epoch has {_counted(failing)}, and then this fails: {guard.message}"
            _refuse(build, guard, text, places, _dropping(places))
            return
        if failing is not None:
            _warn(build, guard, failing, size, places)
            return


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


def _refuse(build: Build, guard: Guard, text: str, places: Mapping[str, Span], fix: Fix | None) -> None:
    build.program.report(
        Diagnostic(
            "NN409", text, places["batch_size"], label="the size of a batch", labels=(Label(guard.span, f"needs {guard.claim}"),),
            fix=fix, severity_override="error",
        )
    )  # fmt: skip
    build.failed = True


def _warn(build: Build, guard: Guard, failing: int, size: int, places: Mapping[str, Span]) -> None:
    build.program.report(
        Diagnostic(
            "NN409", f"the last batch of an epoch may have fewer samples than {size}, and then this can fail: {guard.message}",
            places["batch_size"], labels=(Label(guard.span, f"needs {guard.claim}"),),
            notes=(f"it fails for a last batch of {_counted(failing)}",), help="`drop_last true` leaves such a batch out",
            fix=_dropping(places),
        )
    )  # fmt: skip
