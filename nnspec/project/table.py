"""The table of settings in `nnspec.toml`, or `[tool.nnspec]` in `pyproject.toml`: its keys, and what each may hold.

The only module that needs pydantic; it is imported where such a table is found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nnspec.codes import CODES, Severity
from nnspec.errors import UsageError
from nnspec.project.patterns import Patterns
from nnspec.project.positions import line_of
from nnspec.project.selection import checked_ignored, checked_word, codes_of
from nnspec.similar import nearest

Value = bool | int | float | str | None
Place = tuple[str | int, ...]


class Table(BaseModel):
    """What a settings file says. Every key may be left out."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    select: list[str] | None = Field(None, description="a list of codes or names")
    extend_select: list[str] = Field([], alias="extend-select", description="a list of codes or names")
    ignore: list[str] = Field([], description="a list of codes or names")
    per_file_ignores: dict[str, list[str]] = Field(
        {}, alias="per-file-ignores", description="a table of patterns, each with a list of codes or names"
    )
    severity: dict[str, Severity] = Field({}, description='a table of codes or names, each with "error", "warning" or "info"')
    exclude: list[str] = Field([], description="a list of patterns")
    strict: bool = Field(False, description="true or false")
    baseline: str | None = Field(None, description="the path of a file, as text")
    sizes: dict[str, Annotated[int, Field(ge=1)]] = Field(
        {}, alias="with", description="a table of sizes, each with a whole number of at least 1"
    )
    settings: dict[str, Value | list[Value]] = Field(
        {}, alias="set", description="a table of parameters, each with a number, text, true, false or a list"
    )
    format: Literal["full", "concise", "json", "github", "gitlab", "junit", "sarif"] | None = Field(
        None, description='"full", "concise", "json", "github", "gitlab", "junit" or "sarif"'
    )
    cache: bool = Field(True, description="true or false")


_KEYS = {field.alias or name: field for name, field in Table.model_fields.items()}


def read_table(values: dict[str, Any], path: str, text: str, section: tuple[str, ...]) -> Table:
    """The settings of a file. `section` leads to its table. UsageError with file and line for what cannot stand there."""

    def refuse(place: Place, reason: str) -> UsageError:
        return UsageError(f"{path}:{line_of(text, values, section, place)}: {reason}")

    try:
        table = Table.model_validate(values)
    except ValidationError as error:
        first = min(
            error.errors(include_url=False), key=lambda each: line_of(text, values, section, _key_place(values, each["loc"]))
        )
        place = _key_place(values, first["loc"])
        raise refuse(place, _complaint(values, place)) from None
    for place, check in _checks(table):
        try:
            check()
        except UsageError as error:
            key = f"`{place[0]}`"
            raise refuse(place, f"{key}: {error}") from None
    return table


def _key_place(values: Any, place: Place) -> Place:
    """The part of a place that leads to something in the file; pydantic adds names of types to it."""
    way: list[str | int] = []
    for step in place:
        known = step in values if isinstance(values, dict) else isinstance(values, list) and isinstance(step, int)
        if not known:
            break
        values = values[step]
        way.append(step)
    return tuple(way)


def _complaint(values: Any, place: Place) -> str:
    key = str(place[0])
    if key not in _KEYS:
        close = nearest(key, _KEYS)
        return f"there is no setting `{key}`; " + (f"a similar one is `{close}`" if close else f"there are {', '.join(_KEYS)}")
    for step in place:
        values = values[step]
    if len(place) > 1 and isinstance(place[1], str):
        return f"`{key}` takes {_KEYS[key].description}, and `{place[1]}` has {_shown(values)}"
    return f"`{key}` takes {_KEYS[key].description}, not {_shown(values)}"


def _shown(value: Any) -> str:
    import json

    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _checks(table: Table) -> Iterator[tuple[Place, Callable[[], object]]]:
    """What has to hold beyond types: each place, and a function that raises where it does not hold."""
    yield from _words("select", table.select or (), checked_word)
    yield from _words("extend-select", table.extend_select, checked_word)
    yield from _words("ignore", table.ignore, checked_ignored)
    for number, pattern in enumerate(table.exclude):
        yield ("exclude", number), partial(Patterns, [pattern], "")
    for pattern, words in table.per_file_ignores.items():
        yield ("per-file-ignores", pattern), partial(Patterns, [pattern], "")
        for number, word in enumerate(words):
            yield ("per-file-ignores", pattern, number), partial(checked_ignored, word)
    for word, level in table.severity.items():
        yield ("severity", word), partial(_checked_level, word, level)


def _words(key: str, words: Iterable[str], check: Callable[[str], str]) -> Iterator[tuple[Place, Callable[[], object]]]:
    for number, word in enumerate(words):
        yield (key, number), partial(check, word)


def _checked_level(word: str, level: Severity) -> None:
    checked_word(word)
    if level != "error" and all(CODES[code].severity == "error" for code in codes_of(word)):
        raise UsageError(f"`{word}` is an error, and an error cannot be lowered")
