"""Which rules speak: codes by prefix or readable name, chosen in layers, a settings file first and the command line over it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nnspec.codes import CODES
from nnspec.errors import UsageError
from nnspec.records import record
from nnspec.similar import nearest

#: A whole code or name counts as longer than any prefix.
_WHOLE = 100


@record(frozen=True)
class Layer:
    """What one place says of the rules. `select` replaces what was chosen before, None leaves it; words are checked already."""

    select: tuple[str, ...] | None = None
    extend: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()


def codes_of(word: str) -> frozenset[str]:
    """The codes that begin with the word, or the one with this name."""
    return frozenset(code for code, rule in CODES.items() if code.startswith(word.upper()) or rule.name == word)


def checked_word(word: str) -> str:
    """The word, if it means any code; UsageError where it does not."""
    if word and codes_of(word):
        return word
    close = nearest(word, [*CODES, *(rule.name for rule in CODES.values())])
    hint = f"a similar one is `{close}`" if close else "`nnspec list rules` has them all"
    raise UsageError(f"no code begins with `{word}`, and no finding has this name; {hint}")


def checked_ignored(word: str) -> str:
    """The word, if it means a warning or a note; UsageError where it means nothing, or errors only."""
    if all(CODES[code].severity == "error" for code in codes_of(checked_word(word))):
        raise UsageError(f"`{word}` is an error, and an error cannot be ignored")
    return word


def speaking(layers: Sequence[Layer]) -> frozenset[str]:
    """The codes that are on after all layers. Within a layer the longer word wins, and `ignore` where both are equal."""
    return frozenset(code for code in CODES if _speaks(code, layers))


def _speaks(code: str, layers: Sequence[Layer]) -> bool:
    on = CODES[code].on
    for layer in layers:
        chosen, ignored = exactness(code, (*(layer.select or ()), *layer.extend)), exactness(code, layer.ignore)
        if layer.select is not None or chosen or ignored:
            on = chosen > ignored
    return on


def exactness(code: str, words: Iterable[str]) -> int:
    """How exactly the words name a code: the length of the longest that begins it, most for a whole code or name, 0 for none."""
    found = 0
    for word in words:
        if word == CODES[code].name or word.upper() == code:
            return _WHOLE
        if code.startswith(word.upper()):
            found = max(found, len(word))
    return found
