"""nnspec's verdicts on a network against what torch does, at several sizes.

The network is checked once with symbols and once at each sizes. Agreement means:

- where the check with symbols finds an error, torch runs at no sizes that are tried, and small ones are tried in order;
- else its preconditions hold exactly where torch runs, and the conditions it offers to declare say the same;
- the check at given sizes finds no error exactly where torch runs;
- shapes and element types of the outputs are torch's;
- the YAML twin gives the same findings.

Where torch runs and a reason of `strictness` speaks against it, both checks have to refuse.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from random import Random

from differential.description import Network
from differential.execution import Outcome, execute
from differential.spelling import spelled
from differential.verdicts import Verdict, check, twin

Sizes = dict[str, int]
#: Errors of the check with symbols that say what is not known, and not that no size would do.
UNDECIDED = {
    "NN301": "a number is needed to build the network, and it is a symbol",
    "NN223": "two declared symbols would have to be equal, and nothing says so",
}
#: A symbol beside a symbol has to be equal to it: that one of them might be 1 is no way out, for the result would have no known size.
BROADCAST = "a symbolic size that happens to be 1 is not broadcast"
OPEN = "a symbolic size that happens to be -1 is not left open"
_SEARCHED = 36


@dataclass(frozen=True)
class Disagreement:
    kind: str
    detail: str
    sizes: tuple[tuple[str, int], ...] = ()


@dataclass
class Comparison:
    """What came out for one network."""

    disagreements: list[Disagreement] = field(default_factory=list)
    compared: int = 0
    runs: bool = False
    unknown: bool = False
    #: Why nnspec refuses what torch runs, with (operator, reason), and how often.
    design: Counter[tuple[str, str]] = field(default_factory=Counter)
    ran: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)

    def differ(self, kind: str, detail: str, sizes: Mapping[str, int] | None = None) -> None:
        self.disagreements.append(Disagreement(kind, detail, tuple((sizes or {}).items())))


def compare(network: Network, seed: int = 0, tries: int = 5) -> Comparison:
    """Hold nnspec against torch on one network."""
    return _Comparing(network, seed, tries).result()


class _Comparing:
    def __init__(self, network: Network, seed: int, tries: int) -> None:
        self.network, self.tries = network, tries
        self.text = spelled(network)
        self.rng = Random(f"sizes {seed}")
        self.found = Comparison()
        self.outcomes: list[tuple[Sizes, Outcome]] = []
        #: More sizes to look at, each once, where it has to be known which sizes vary.
        self.further = self.varied()

    def result(self) -> Comparison:
        symbolic = self.ask({}) if self.network.symbols else None
        for sizes in self.sizes():
            self.run(sizes)
            self.at(sizes, self.outcomes[-1][1])
        try:
            if symbolic is not None:
                self.with_symbols(symbolic)
        except ZeroDivisionError:
            self.found.differ("crash", traceback.format_exc(limit=-3))
        if self.network.yaml:
            self.in_yaml()
        return self.found

    def ask(self, sizes: Sizes, path: str = "net.nn", text: str | None = None) -> Verdict | None:
        """nnspec's verdict; None where it raises, which is a disagreement in itself."""
        try:
            return check(text or self.text, training=self.network.training, sizes=sizes, path=path)
        except Exception:
            self.found.differ("crash", traceback.format_exc(limit=-3), sizes)
            return None

    def run(self, sizes: Sizes) -> Outcome:
        outcome = execute(self.network, sizes)
        self.outcomes.append((sizes, outcome))
        if outcome.at:
            self.found.failed[outcome.at] += 1
        self.found.ran.update(outcome.ran)
        return outcome

    # --- sizes ------------------------------------------------------------------------------------------------------------

    def sizes(self) -> Iterator[Sizes]:
        """The usual sizes, then others: near them, small, and random."""
        yield self.network.usual
        if not self.network.symbols:
            return
        met = [self.network.usual]
        for place in range(self.tries):
            made = {name: self._another(name, usual, place) for name, usual in self.network.symbols}
            if made not in met:
                met.append(made)
                yield made

    def _another(self, name: str, usual: int, place: int) -> int:
        """One sample with the others as usual, then small sizes, then any."""
        if place == 0:
            return 1 if name == "N" else usual
        if place == 1:
            return self.rng.randint(1, 3)
        near = max(1, usual + self.rng.choice([-2, -1, 0, 0, 1, 2]))
        return self.rng.choice([usual, near, near, self.rng.randint(1, 4), self.rng.randint(1, 4 if name == "N" else 18)])

    def systematic(self, *further: int) -> Iterator[Sizes]:
        """Each symbol from 1 to 12 (and at further sizes) with the others as usual, and all of them together."""
        usual = self.network.usual
        count = -len(further) * (len(usual) + 1)
        for size in (*further, *range(1, 13)):
            for made in [{**usual, name: size} for name in usual] + [dict.fromkeys(usual, size)] * (len(usual) > 1):
                count += 1
                if count <= _SEARCHED:
                    yield made

    def varied(self) -> Iterator[Sizes]:
        """Systematic sizes, larger ones too, then random ones."""
        yield from self.systematic(16, 25, 36, 50)
        for _ in range(_SEARCHED):
            yield {name: self.rng.randint(1, 44) for name, _ in self.network.symbols}

    # --- comparing --------------------------------------------------------------------------------------------------------

    def at(self, sizes: Sizes, outcome: Outcome) -> None:
        """The check at given sizes."""
        verdict = self.ask(sizes)
        if verdict is None:
            return
        self.found.compared += 1
        self.found.runs = self.found.runs or outcome.runs
        if not self.network.symbols:
            self.found.unknown = self.found.unknown or verdict.unknown
        self._verdicts("at these sizes", verdict.graph is not None and verdict.admits(sizes), verdict, outcome, sizes)

    def _verdicts(self, when: str, accepted: bool, verdict: Verdict, outcome: Outcome, sizes: Sizes) -> None:
        if accepted and not outcome.runs:
            said = outcome.error or f"torch runs it, and it should be refused: {outcome.strict}"
            self.found.differ(f"accepts {when}", f"at `{outcome.at}`: {said}", sizes)
        elif not accepted and outcome.runs:
            self.found.differ(f"refuses {when}", _said(verdict, sizes), sizes)
        elif accepted:
            types = verdict.types(sizes)
            if types != outcome.outputs:
                self.found.differ(f"types {when}", f"torch gives {outcome.outputs}, nnspec says {types}", sizes)
        elif not outcome.error:
            self.found.design.update(outcome.strict[:1])

    def with_symbols(self, verdict: Verdict) -> None:
        self.found.unknown = verdict.unknown
        if verdict.graph is None:
            self._never(verdict)
            return
        advised = verdict.advised()
        for sizes, outcome in list(self.outcomes):
            self.found.compared += 1
            accepted = verdict.admits(sizes)
            excuse = self._excuse(outcome) if not accepted and outcome.runs else None
            if excuse is not None:
                self.found.design["symbols", excuse] += 1
            else:
                self._verdicts("with symbols", accepted, verdict, outcome, sizes)
            if advised is not None and not verdict.unknown and not self.network.training:
                self._advice(advised, accepted, outcome, sizes)

    def _never(self, verdict: Verdict) -> None:
        """The check with symbols finds an error: torch may run nowhere."""
        undecided = sorted(verdict.codes & set(UNDECIDED))
        if undecided:
            if any(outcome.runs for _, outcome in self.outcomes):
                self.found.design[("symbols", UNDECIDED[undecided[0]])] += 1
            return
        self.found.compared += 1
        for sizes in self.systematic():
            if not any(outcome.runs for _, outcome in self.outcomes):
                self.run(sizes)
        running = [(sizes, outcome) for sizes, outcome in self.outcomes if outcome.runs]
        for sizes, outcome in running[:1]:
            excuse = self._excuse(outcome)
            if excuse is not None:
                self.found.design["symbols", excuse] += 1
            else:
                self.found.differ("refuses always", _said(verdict, sizes), sizes)

    def _advice(self, advised: list[str], accepted: bool, outcome: Outcome, sizes: Sizes) -> None:
        """What NN220 offers to declare, with what is declared, says what the preconditions say."""
        if outcome.at == "where":
            return
        offered = all(all(_conditions(text, sizes)) for text in advised)
        if offered != accepted:
            self.found.differ("advice", f"offered: {advised}, which is {offered}; the preconditions are {accepted}", sizes)

    def _excuse(self, outcome: Outcome) -> str | None:
        """Why torch may run where nnspec, knowing symbols only, refuses by design."""
        return OPEN if outcome.open else BROADCAST if self._by_one(outcome) else None

    def _by_one(self, outcome: Outcome) -> bool:
        """Whether torch broadcast a size of 1 that is another one at other sizes."""
        suspects = {key: pair for key, pair in outcome.met.items() if pair[0] != pair[1] and 1 in pair}
        if not suspects:
            return False
        if any(_varies(suspects, other) for _, other in self.outcomes):
            return True
        return any(_varies(suspects, self.run(sizes)) for sizes in self.further)

    def in_yaml(self) -> None:
        """The YAML twin gives the same findings, preconditions and types."""
        try:
            text = twin(self.text)
        except Exception:
            self.found.differ("crash", traceback.format_exc(limit=-3))
            return
        ours, theirs = self.ask({}), self.ask({}, "net.yaml", text)
        self.found.compared += 1
        if ours is not None and theirs is not None and ours.summary() != theirs.summary():
            self.found.differ("yaml", f"{ours.summary()} against {theirs.summary()}\n{text}")


def _varies(suspects: Mapping[tuple[int, int, int], tuple[int, int]], other: Outcome) -> bool:
    """Whether one of the sizes of 1 was another one in this run."""
    return any(key in other.met and other.met[key][pair.index(1)] != 1 for key, pair in suspects.items())


def _said(verdict: Verdict, sizes: Sizes) -> str:
    if verdict.graph is None:
        return "; ".join(f"{finding.code} {finding.message}" for finding in verdict.errors)
    return "; ".join(verdict.broken(sizes))


def _conditions(text: str, sizes: Sizes) -> tuple[bool, ...]:
    """Conditions as the language writes them, which Python reads as well. One that divides by 0 does not hold."""
    try:
        found: tuple[bool, ...] = eval(f"({text},)", {"__builtins__": {}, "min": min, "max": max}, dict(sizes))
    except ZeroDivisionError:
        return (False,)
    return found
