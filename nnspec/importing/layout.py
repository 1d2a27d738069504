"""Which network the tensors of a checkpoint belong to: names and sizes of weights against those of specs, and the parameters that fit."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import gcd
from typing import Any

from nnspec.checker import Report
from nnspec.errors import SpecError
from nnspec.graph.ir import Graph

Shapes = Mapping[str, tuple[int, ...]]

#: So many networks are looked at closely, and so many graphs are built for each.
_CLOSE = 4
_MOST_TRIALS = 100
#: A network shares at least this part of the names, or it is none.
_LEAST = 0.3


@dataclass(frozen=True)
class Match:
    """A network and how far a checkpoint fills it. `parameters` are those that differ from the spec's; `open_parameters` are ones that no
    weight tells. `mapping` names the tensor for each weight; `missing` are weights without one, `resized` have one of other sizes, and
    `extra` are tensors that no weight takes."""

    report: Report
    graph: Graph
    parameters: dict[str, Any]
    mapping: dict[str, str]
    missing: tuple[str, ...]
    resized: tuple[str, ...]
    extra: tuple[str, ...]
    open_parameters: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether every weight has its tensor."""
        return not self.missing and not self.resized

    @property
    def score(self) -> tuple[int, int]:
        """The larger, the better: weights that are filled, less what is in the way of more; fewer tensors left over."""
        return len(self.mapping) - len(self.missing) - len(self.resized), -len(self.extra)


@dataclass
class _Search:
    """Looks for parameters of one network."""

    report: Report
    name: str
    shapes: Shapes
    trials: int = 0
    known: dict[str, Match | None] = field(default_factory=dict)

    def at(self, parameters: Mapping[str, Any]) -> Match | None:
        """The match with these parameters; None where the network does not exist with them."""
        key = repr(sorted(parameters.items()))
        if key not in self.known:
            self.trials += 1
            try:
                graph = self.report.graph(self.name, **parameters)
            except (SpecError, KeyError):
                self.known[key] = None
            else:
                self.known[key] = matched(self.report, graph, self.shapes, parameters)
        return self.known[key]

    def best(self) -> Match | None:
        """Change one parameter after the other, as long as more weights fit."""
        best, before = self.at({}), None
        while best is not None and best is not before:
            before = best
            for name in best.graph.parameters:
                if (best.is_whole and not best.extra) or self.trials >= _MOST_TRIALS:
                    return best
                tried = [self._with(best, name, value) for value in self._changes(best, name)]
                best = max([best, *(each for each in tried if each is not None)], key=lambda each: each.score)
        return best

    def _with(self, match: Match, name: str, value: Any) -> Match | None:
        """The match with another value; where the network then does not exist, as where heads do not divide a width, with another whole
        number brought to what both have in common."""
        found = self.at({**match.parameters, name: value})
        if found is None and isinstance(value, int):
            for other, size in match.graph.parameters.items():
                if other != name and isinstance(size, int) and not isinstance(size, bool) and gcd(value, size) not in (0, size):
                    found = found or self.at({**match.parameters, name: value, other: gcd(value, size)})
        return found

    def _changes(self, match: Match, name: str) -> Iterable[Any]:
        """Other values of a parameter that the sizes of the checkpoint, or its numbers of copies, speak for."""
        value = match.graph.parameters[name]
        if isinstance(value, bool):
            yield not value
        elif isinstance(value, int):
            yield from self._spoken_for(match, value, lambda other: {**match.parameters, name: other})
        elif isinstance(value, list | tuple) and value and all(isinstance(each, int) for each in value):
            for place, each in enumerate(value):

                def changed(other: int, place: int = place) -> dict[str, Any]:
                    return {**match.parameters, name: [*value[:place], other, *value[place + 1 :]]}

                yield from (changed(other)[name] for other in self._spoken_for(match, each, changed))

    def _spoken_for(self, match: Match, value: int, changed: Callable[[int], dict[str, Any]]) -> list[int]:
        """What a whole number would have to be: with a little more of it, sizes grow by so much, and the checkpoint's are so far away."""
        for more in (value + 1, 2 * value):
            probe = self.at(changed(more))
            if probe is not None:
                break
        else:
            return []
        before, after = match.graph.weights, probe.graph.weights
        if before.keys() != after.keys():
            return [each for each in _copies(self.shapes) if each != value]
        votes: Counter[int] = Counter()
        prefix = _prefix(self.shapes, before)
        for path, entry in before.items():
            wanted = self.shapes.get(prefix + path, ())
            if len(wanted) == len(entry.dims):
                for size, grown, given in zip(entry.dims, after[path].dims, wanted, strict=True):
                    if isinstance(size, int) and isinstance(grown, int) and size != grown:
                        other, rest = divmod((given - size) * (more - value), grown - size)
                        votes[value + other] += rest == 0
        return [each for each, _ in votes.most_common(2) if each >= 1 and each != value]


def _copies(shapes: Shapes) -> list[int]:
    """How many numbered copies there are, at each place where names have numbers."""
    found: dict[str, int] = {}
    for name in shapes:
        for place in re.finditer(r"(?<=\.)\d+(?=\.)", name):
            prefix = name[: place.start()]
            found[prefix] = max(found.get(prefix, 0), int(place[0]) + 1)
    return sorted(set(found.values()) - {0, 1})


def matched(report: Report, graph: Graph, shapes: Shapes, parameters: Mapping[str, Any]) -> Match:
    """How far tensors of these sizes fill a network. What begins all their names, such as `module.`, is left off."""
    wanted = {path: entry.dims for path, entry in graph.weights.items() if entry.persistent}
    prefix = _prefix(shapes, wanted)
    given = {name.removeprefix(prefix): name for name in shapes}
    mapping = {path: given[path] for path in wanted if path in given and tuple(wanted[path]) == shapes[given[path]]}
    resized = tuple(path for path in wanted if path in given and path not in mapping)
    # Files from before torch 0.4.1 do not count batches.
    missing = tuple(path for path in wanted if path not in given and not path.endswith("num_batches_tracked"))
    extra = tuple(name for path, name in given.items() if path not in wanted)
    return Match(report, graph, dict(parameters), mapping, missing, resized, extra)


def _prefix(shapes: Shapes, wanted: Mapping[str, Any]) -> str:
    found = Counter(name.partition(".")[0] + "." for name in shapes)
    for prefix, count in found.items():
        if count == len(shapes) and sum(name.removeprefix(prefix) in wanted for name in shapes) > sum(
            name in wanted for name in shapes
        ):
            return prefix
    return ""


def best_match(shapes: Shapes, reports: Iterable[Report], told: Callable[[str], None] = lambda text: None) -> Match | None:
    """The network of these specs that a checkpoint belongs to, with the parameters that fit best; None where none shares enough names."""
    close: list[tuple[float, Report, str]] = []
    for report in reports:
        for name in report.networks:
            graph = report.graph(name)
            wanted = {path: entry.dims for path, entry in graph.weights.items() if entry.persistent}
            prefix = _prefix(shapes, wanted)
            given = {each.removeprefix(prefix) for each in shapes}
            shared = len(given & wanted.keys())
            whole = sum(tuple(wanted[path]) == shapes.get(prefix + path) for path in wanted)
            if shared >= _LEAST * min(len(given), len(wanted)):
                close.append((shared / len(given | wanted.keys()) + whole / max(len(wanted), 1), report, name))
    close.sort(key=lambda entry: -entry[0])
    best: Match | None = None
    for _, report, name in close[:_CLOSE]:
        told(f"looking at {name} of {report.source.path}")
        found = _Search(report, name, shapes).best()
        if found is not None and (best is None or found.score > best.score):
            best = found
        if best is not None and best.is_whole and not best.extra:
            break
    return best if best is None or not best.mapping else _with_open_parameters(best, shapes)


def _with_open_parameters(match: Match, shapes: Shapes) -> Match:
    """With the whole numbers that could be others and leave all weights as they are, such as a number of heads."""
    from dataclasses import replace

    search = _Search(match.report, match.graph.name, shapes)
    found = []
    for name, value in match.graph.parameters.items():
        if isinstance(value, int) and not isinstance(value, bool):
            others = [search.at({**match.parameters, name: other}) for other in (2 * value, max(value // 2, 1)) if other != value]
            if any(other is not None and other.score == match.score for other in others):
                found.append(name)
    return replace(match, open_parameters=tuple(found))
