"""The base of the syntax tree's classes.

Nodes compare by identity, so that they can be keys; `same_tree` compares what two trees say, apart from spans,
comments and number spelling. They are made by one generic `__init__` instead of `dataclass`, whose code generation would cost
a fifth of the time that a cold `check` may take.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

from nnspec.diagnostics import Span


class Comments(NamedTuple):
    """Comments around a node, each with its `#`: lines above, the end of its line, lines before its closing bracket."""

    leading: tuple[str, ...] = ()
    trailing: str | None = None
    inside: tuple[str, ...] = ()


_NO_COMMENTS = Comments()


class Node:
    """A piece of syntax. Fields are the class's annotations in order; `span` comes first, `comments` by keyword.

    Treat nodes as immutable once the parser has returned them.
    """

    __slots__ = ("comments", "span")
    __match_args__: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    _defaults: ClassVar[dict[str, Any]] = {}
    span: Span
    comments: Comments

    def __init_subclass__(cls) -> None:
        own = tuple(cls.__dict__.get("__annotations__", {}))  # noqa: RUF063 - inspect is slow to import
        cls.fields = cls.__mro__[1].fields + own  # type: ignore[attr-defined]
        cls.__match_args__ = cls.fields  # type: ignore[misc]

    def __init__(self, span: Span, *values: Any, comments: Comments = _NO_COMMENTS, **named: Any) -> None:
        self.span = span
        self.comments = comments
        names = self.fields
        if len(values) == len(names):
            for name, value in zip(names, values, strict=True):
                setattr(self, name, value)
            return
        if len(values) > len(names):
            raise TypeError(f"{type(self).__name__} takes {len(names)} fields, got {len(values)}")
        for name, value in zip(names, values, strict=False):
            setattr(self, name, value)
        for name in names[len(values) :]:
            if name in named:
                setattr(self, name, named.pop(name))
            else:
                setattr(self, name, _default(type(self), name))
        if named:
            raise TypeError(f"{type(self).__name__} has no field {next(iter(named))}")

    def children(self) -> Iterator[Node]:
        """The nodes directly below, in reading order."""
        for name in self.fields:
            value = getattr(self, name)
            if isinstance(value, Node):
                yield value
            elif isinstance(value, tuple):
                for item in value:
                    if isinstance(item, Node):
                        yield item

    def __repr__(self) -> str:
        inner = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.fields)
        return f"{type(self).__name__}({inner})"


def _default(cls: type[Node], name: str) -> Any:
    for base in cls.__mro__:
        defaults = base.__dict__.get("_defaults")
        if defaults and name in defaults:
            return defaults[name]
    raise TypeError(f"{cls.__name__} needs {name}")


def same_tree(left: Any, right: Any, *, comments: bool = False) -> bool:
    """Whether two trees say the same, apart from spans (and comments, unless asked for)."""
    stack = [(left, right)]
    while stack:
        a, b = stack.pop()
        if isinstance(a, Node):
            if type(a) is not type(b) or (comments and a.comments != b.comments):
                return False
            stack.extend((getattr(a, name), getattr(b, name)) for name in a.fields)
        elif isinstance(a, tuple):
            if not isinstance(b, tuple) or len(a) != len(b):
                return False
            stack.extend(zip(a, b, strict=True))
        elif a != b:
            return False
    return True
