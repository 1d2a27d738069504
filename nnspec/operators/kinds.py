"""Kinds of settings: what an operator's attribute may be, and the value that results.

A kind takes compile-time values as the language has them (int, float, bool, str, None, list, symbolic dimensions, makers) and
returns what the operator works with. It refuses with NN106 (wrong kind) or NN107 (out of range).
"""

from __future__ import annotations

from typing import Any

from nnspec.dims import Dim, Poly, format_dim


class Refusal(Exception):
    """An operator cannot be what was asked for. Carries facts for one finding; caught by `graph`, never shown raw.

    `blame` names the field at which the caret goes; empty for the operator itself.
    """

    def __init__(self, code: str, message: str, blame: str = "", *, notes: tuple[str, ...] = (), help: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.blame, self.notes, self.help = code, message, blame, notes, help


def describe(value: Any) -> str:
    """A compile-time value as a person would call it."""
    match value:
        case None:
            return "none"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case Poly():
            return f"`{format_dim(value)}`"
        case str():
            return f'"{value}"'
        case list() | tuple():
            return "[" + ", ".join(describe(item) for item in value) + "]"
        case _:
            return getattr(value, "described", type(value).__name__)


class Kind:
    """A kind of setting. `name` is what messages, documents and the JSON schema call it."""

    name = "value"

    def accept(self, value: Any) -> Any:
        raise NotImplementedError

    def refuse(self, value: Any, why: str = "") -> Refusal:
        text = f"expected {self.name}, got {describe(value)}"
        return Refusal("NN106", f"{text}: {why}" if why else text)

    def members(self, value: Any) -> tuple[Any, ...]:
        """The numbers of an accepted value that a range applies to."""
        if isinstance(value, list | tuple):
            return tuple(number for item in value for number in self.members(item))
        return (value,) if isinstance(value, int | float) and not isinstance(value, bool) else ()

    def check_range(self, value: Any, ge: float | None, gt: float | None, le: float | None, lt: float | None) -> None:
        for number in self.members(value):
            for limit, wrong, word in (
                (ge, ge is not None and number < ge, "at least"),
                (gt, gt is not None and number <= gt, "greater than"),
                (le, le is not None and number > le, "at most"),
                (lt, lt is not None and number >= lt, "less than"),
            ):
                if wrong:
                    raise Refusal("NN107", f"must be {word} {limit}, got {describe(number)}")


class Integer(Kind):
    """A whole number that has to be known when the network is built."""

    name = "a whole number"

    def accept(self, value: Any) -> int:
        if isinstance(value, Poly):
            raise Refusal("NN301", f"must be a number when the network is built, and {describe(value)} is not known")
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.refuse(value)
        return value


class Size(Kind):
    """A whole number, or a symbolic dimension."""

    name = "a size"

    def accept(self, value: Any) -> Dim:
        if isinstance(value, bool) or not isinstance(value, int | Poly):
            raise self.refuse(value)
        return value


class Real(Kind):
    """A number; whole ones are accepted for it."""

    name = "a number"

    def accept(self, value: Any) -> float:
        if isinstance(value, Poly):
            raise Refusal("NN301", f"must be a number when the network is built, and {describe(value)} is not known")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.refuse(value)
        return value


class Flag(Kind):
    name = "true or false"

    def accept(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise self.refuse(value)
        return value


class Text(Kind):
    name = "text in double quotes"

    def accept(self, value: Any) -> str:
        if not isinstance(value, str):
            raise self.refuse(value)
        return value


class Choice(Kind):
    """One of several words."""

    def __init__(self, *options: str) -> None:
        self.options = options
        self.name = "one of " + ", ".join(f'"{option}"' for option in options)

    def accept(self, value: Any) -> str:
        if not isinstance(value, str) or value not in self.options:
            raise self.refuse(value)
        return value


class Listing(Kind):
    """A list whose members are of one kind; `length` fixes how many."""

    def __init__(self, member: Kind, length: int | None = None) -> None:
        self.member, self.length = member, length
        self.name = f"a list of {length}" if length else f"a list, each {member.name}"

    def accept(self, value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple) or (self.length is not None and len(value) != self.length):
            raise self.refuse(value)
        return tuple(self.member.accept(item) for item in value)


class Repeated(Kind):
    """`n` numbers; one number stands for all of them: `3` for `[3, 3]`."""

    def __init__(self, count: int, member: Kind | None = None) -> None:
        self.count, self.member = count, member or Integer()
        self.name = f"{self.member.name} or a list of {count}"

    def accept(self, value: Any) -> tuple[Any, ...]:
        if isinstance(value, list | tuple):
            if len(value) != self.count:
                raise self.refuse(value)
            return tuple(self.member.accept(item) for item in value)
        return (self.member.accept(value),) * self.count


def Pair(member: Kind | None = None) -> Repeated:  # noqa: N802  (reads as the other kinds do)
    """Height and width: `3` or `[3, 5]`."""
    return Repeated(2, member)


class Maybe(Kind):
    """The kind, or none."""

    def __init__(self, inner: Kind) -> None:
        self.inner = inner
        self.name = f"{inner.name}, or none"

    def accept(self, value: Any) -> Any:
        return None if value is None else self.inner.accept(value)


class Either(Kind):
    """The first kind that accepts the value."""

    def __init__(self, *kinds: Kind) -> None:
        self.kinds = kinds
        self.name = ", or ".join(kind.name for kind in kinds)

    def accept(self, value: Any) -> Any:
        for kind in self.kinds:
            try:
                return kind.accept(value)
            except Refusal as refusal:
                if refusal.code == "NN301":
                    raise
        raise self.refuse(value)


class Maker(Kind):
    """Something that makes layers: an operator, a block, or a chain of them."""

    name = "an operator, a block or a chain"

    def accept(self, value: Any) -> Any:
        if not getattr(value, "is_maker", False):
            raise self.refuse(value)
        return value
