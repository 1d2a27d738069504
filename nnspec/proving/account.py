"""What a proof has to tell: the findings, and what was compared, in words and for programs."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nnspec.diagnostics import Diagnostic

_WIDTH = 80


@dataclass
class Account:
    """What was compared in one network or recipe. Counts are of comparisons that agreed or did not; `errors` of those that did not.

    `sizes` are those at which it ran, `on_meta` those of them at which only shapes and types were there. `values` is how many results
    were compared in one run. `notes` say what was not done, and why.
    """

    name: str
    ran: bool = False
    sizes: list[dict[str, int]] = field(default_factory=list)
    on_meta: list[dict[str, int]] = field(default_factory=list)
    values: int = 0
    parameters: int = 0
    weights: int = 0
    flop_counts: int = 0
    flop_uncounted: list[str] = field(default_factory=list)
    gradients: int = 0
    errors: int = 0
    notes: list[str] = field(default_factory=list)

    kind = "network"

    def note(self, text: str) -> None:
        """Say something once."""
        if text not in self.notes:
            self.notes.append(text)

    def add_sizes(self, sizes: Mapping[str, int], *, meta: bool) -> None:
        """Note sizes at which it ran."""
        for place in (self.sizes, *([self.on_meta] if meta else [])):
            if dict(sizes) not in place:
                place.append(dict(sizes))

    def lines(self) -> list[str]:
        """The account, in lines of at most 80 characters."""
        if not self.ran:
            why = [*([f"contradicted in {_count(self.errors, 'place')}"] if self.errors else []), *self.notes]
            return _wrapped(f"not proved: {self.called}: {'; '.join(why) or 'nothing of it could be run'}")
        state = "proved" if not self.errors else f"contradicted in {_count(self.errors, 'place')}"
        parts = [part for part in self.parts() if part]
        head = f"{state}: {self.called} at {_count(len(self.sizes), 'size')}"
        return _wrapped(", ".join([head, *parts]) + self.ending()) + [
            line for note in self.notes for line in _wrapped(note, "  ")
        ]

    @property
    def called(self) -> str:
        return self.name

    def parts(self) -> list[str]:
        """What was compared."""
        return [
            f"{_count(self.values, 'value')} each",
            f"{_count(self.parameters, 'parameter')}" if self.weights else "",
            _count(self.flop_counts, "FLOP count") if self.flop_counts else "",
            _count(self.gradients, "gradient") if self.gradients else "",
        ]

    def ending(self) -> str:
        return ""

    def as_object(self) -> dict[str, Any]:
        """The account for programs."""
        return {
            "kind": self.kind, "name": self.name, "ran": self.ran, "errors": self.errors, "sizes": self.sizes, "on_meta": self.on_meta,
            "values": self.values, "parameters": self.parameters, "weights": self.weights, "flop_counts": self.flop_counts,
            "flop_uncounted": self.flop_uncounted, "gradients": self.gradients, "notes": self.notes,
        }  # fmt: skip


@dataclass
class NetworkAccount(Account):
    """Of a network: also the sizes that were refused at the door, and the claims of `ensure` that were tested."""

    refused: list[dict[str, int]] = field(default_factory=list)
    stricter: list[dict[str, int]] = field(default_factory=list)
    claims: list[str] = field(default_factory=list)

    def ending(self) -> str:
        refused = [", ".join(f"{name}={size}" for name, size in sizes.items()) for sizes in self.refused]
        told = f"; refused {' and '.join(refused[:3])}" if refused else ""
        told += f" and {len(refused) - 3} more" if len(refused) > 3 else ""
        return told + (f"; {_count(len(self.claims), 'claim')} tested" if self.claims else "")

    def as_object(self) -> dict[str, Any]:
        return {**super().as_object(), "refused": self.refused, "stricter": self.stricter, "claims": self.claims}


@dataclass
class RecipeAccount(Account):
    """Of a recipe: also how many steps of training were made, and the metrics that were computed."""

    steps: int = 0
    metrics: list[str] = field(default_factory=list)

    kind = "recipe"

    @property
    def called(self) -> str:
        return f"recipe {self.name}"

    def parts(self) -> list[str]:
        steps = _count(self.steps, "training step") if self.steps else ""
        return [*super().parts(), steps, _count(len(self.metrics), "metric") if self.metrics else ""]

    def as_object(self) -> dict[str, Any]:
        return {**super().as_object(), "steps": self.steps, "metrics": self.metrics}


@dataclass
class SampleAccount(Account):
    """Of a `sample` item: also the recipe from whose networks it was drawn."""

    recipe: str = ""

    kind = "sample"

    @property
    def called(self) -> str:
        return f"sample {self.name}" + (f" of {self.recipe}" if self.recipe != self.name else "")

    def as_object(self) -> dict[str, Any]:
        return {**super().as_object(), "recipe": self.recipe}


@dataclass(frozen=True)
class Proof:
    """What running a report's networks and recipes has shown.

    `findings` are new: NN504 where torch contradicts what was inferred, NN501 where a claim does not hold. `settled` are findings of the
    check that they replace, namely NN502 of claims that have been tested now.
    """

    findings: tuple[Diagnostic, ...]
    accounts: tuple[Account, ...]
    settled: frozenset[Diagnostic] = frozenset()

    @property
    def ok(self) -> bool:
        """Whether nothing was contradicted."""
        return all(finding.severity != "error" for finding in self.findings)

    def applied(self, findings: Iterable[Diagnostic]) -> list[Diagnostic]:
        """The findings of the check with those of the proof, in order."""
        return sorted([*(each for each in findings if each not in self.settled), *self.findings], key=Diagnostic.sort_key)

    def as_text(self) -> str:
        """The accounts of all networks and recipes, in lines of at most 80 characters."""
        return "\n".join(line for account in self.accounts for line in account.lines())

    def as_object(self) -> list[dict[str, Any]]:
        """The accounts for programs."""
        return [account.as_object() for account in self.accounts]


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _wrapped(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(
        text, _WIDTH, initial_indent=indent, subsequent_indent=indent + "  ", break_long_words=False, break_on_hyphens=False
    )
