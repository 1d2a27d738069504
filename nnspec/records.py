"""Plain data classes without code generation.

`dataclasses.dataclass` writes and compiles source for every class, a fifth of the time that a cold `check` may take. `record`
gives the same kind of class through shared methods. Type checkers read it as a dataclass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, dataclass_transform

Record = TypeVar("Record")
_REQUIRED: Any = object()


class _Field:
    """A field with a default, or with a function that makes one."""

    __slots__ = ("default", "factory")

    def __init__(self, default: Any, factory: Callable[[], Any] | None) -> None:
        self.default, self.factory = default, factory


def field(*, default: Any = _REQUIRED, default_factory: Callable[[], Any] | None = None) -> Any:
    """A field whose default is made anew for each record."""
    return _Field(default, default_factory)


@dataclass_transform(field_specifiers=(field,))
def record(*, frozen: bool = False, eq: bool = True) -> Callable[[type[Record]], type[Record]]:
    """Make a class of its annotations: `__init__`, `__repr__`, equality by value, and a hash if it is `frozen`.

    With `eq=False` records compare by identity.
    """

    def decorate(cls: type[Record]) -> type[Record]:
        own = {name: cls.__dict__.get(name, _REQUIRED) for name in vars(cls).get("__annotations__", {})}
        fields = {**getattr(cls, "__record_fields__", {}), **own}
        shared: dict[str, Any] = {"__init__": _init, "__repr__": _repr}
        if eq:
            shared |= {"__eq__": _eq, "__hash__": _hash if frozen else None}
        if frozen:
            shared |= {"__setattr__": _refuse, "__delattr__": _refuse}
        for name, value in {"__record_fields__": fields, "__match_args__": tuple(fields), **shared}.items():
            setattr(cls, name, value)
        return cls

    return decorate


def replace(given: Record, **changes: Any) -> Record:
    """The record with other values in some fields."""
    values = {name: given.__dict__[name] for name in given.__record_fields__}  # type: ignore[attr-defined]  # a record has them
    return type(given)(**{**values, **changes})


def _init(self: Any, *values: Any, **named: Any) -> None:
    fields, into = self.__record_fields__, self.__dict__
    if len(values) > len(fields):
        raise TypeError(f"{type(self).__name__} takes {len(fields)} values, got {len(values)}")
    into.update(zip(fields, values, strict=False))
    if len(values) == len(fields) and not named:
        return
    for name, default in list(fields.items())[len(values) :]:
        if name in named:
            into[name] = named.pop(name)
        elif default is _REQUIRED:
            raise TypeError(f"{type(self).__name__} needs {name}")
        elif isinstance(default, _Field):
            into[name] = default.default if default.factory is None else default.factory()
        else:
            into[name] = default
    if named:
        raise TypeError(f"{type(self).__name__} has no field {next(iter(named))}, or it is given twice")


def _values(record: Any) -> tuple[Any, ...]:
    return tuple(record.__dict__[name] for name in record.__record_fields__)


def _repr(self: Any) -> str:
    shown = ", ".join(f"{name}={value!r}" for name, value in zip(self.__record_fields__, _values(self), strict=True))
    return f"{type(self).__name__}({shown})"


def _eq(self: Any, other: object) -> Any:
    return _values(self) == _values(other) if type(other) is type(self) else NotImplemented


def _hash(self: Any) -> int:
    return hash(_values(self))


def _refuse(self: Any, name: str, value: Any = None) -> None:
    raise AttributeError(f"{type(self).__name__} is frozen, so its {name} cannot be changed")
