"""Several cases of the corpus of bad specs in one file: each with names of its own, and with its marks moved to where they then stand."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bad_specs import Case, Mark

_ITEM = {
    ".nn": re.compile(r"^([a-z]\w*)[ \t]+([A-Za-z_]\w*)[ \t]*(?=[({=]|$)", re.MULTILINE),
    ".yaml": re.compile(r"^([a-z]\w*) ([A-Za-z_]\w*):", re.MULTILINE),
}
#: Items whose names are read by no other item.
_RECIPES = ("train", "agent", "sample")
_PLAIN_KEY = re.compile(r"(?!use\b|spec\b)[^\s:]+( [^\s:]+)?:")
_BLOCK = re.compile(r"^(?:block|network) \w+(.*?^\}|:.*?(?=^\S|\Z))", re.MULTILINE | re.DOTALL)


def joined(cases: Sequence[Case]) -> Case:
    """One case of them all, of the same form. What is wrong in it is what is wrong in each, and nothing else."""
    first = cases[0]
    result = Case(first.path, "; ".join(case.name for case in cases), first.line, [])
    lines = 0
    if first.path.suffix == ".yaml":
        result.text, lines = "spec: 1\n", 1
    for number, case in enumerate(cases):
        apart = _Apart(case, number)
        text, marks = apart.text(case.text), [apart.mark(mark) for mark in case.marks]
        if text.startswith("spec: 1\n"):
            text, marks = text.removeprefix("spec: 1\n"), [_moved(mark, -1) if not mark.path else mark for mark in marks]
        result.marks += [_moved(mark, lines) if not mark.path else mark for mark in marks]
        result.files |= {apart.file(name): apart.text(content) for name, content in case.files.items()}
        result.text += text
        lines += text.count("\n")
    return result


def is_joinable(case: Case) -> bool:
    """Whether a case can stand beside others: it takes no options, and its YAML has no key that a file can have once only."""
    if case.path.suffix == ".yaml":
        keys = [line for line in case.text.removeprefix("spec: 1\n").split("\n") if line and line[0] not in " #}]"]
        if not all(_PLAIN_KEY.match(line) for line in keys):
            return False
    return not case.options


def blocks(case: Case) -> set[str]:
    """What the blocks of a case say. Two that say the same are a finding of their own (NN626)."""
    return {" ".join(text.split()) for text in _BLOCK.findall(case.text)}


def _moved(mark: Mark, lines: int) -> Mark:
    if mark.start is None or mark.end is None:
        return mark
    return Mark(mark.code, (mark.start[0] + lines, mark.start[1]), (mark.end[0] + lines, mark.end[1]), mark.path)


class _Apart:
    """Gives the items and files of a case names that no other case has."""

    def __init__(self, case: Case, number: int) -> None:
        self._case, self._number = case, number
        items = {pair for text in (case.text, *case.files.values()) for pair in _ITEM[case.path.suffix].findall(text)}
        names = {name for word, name in items if word not in _RECIPES}
        recipes = [rf"(?<=^{word} ){name}\b" for word, name in items if name not in names]
        stems = [rf'(?<="){name.partition(".")[0]}(?=\.(?:nn|yaml)")' for name in case.files]
        self._renamed = re.compile("|".join([*(rf"\b{name}\b" for name in names), *recipes, *stems]) or "(?!)", re.MULTILINE)

    def text(self, text: str) -> str:
        return self._renamed.sub(lambda found: f"{found[0]}_{self._number}", text)

    def file(self, name: str) -> str:
        stem, _, suffix = name.partition(".")
        return f"{stem}_{self._number}.{suffix}"

    def mark(self, mark: Mark) -> Mark:
        """The mark where it stands after renaming."""
        if mark.start is None or mark.end is None:
            return mark
        text = self._case.files[mark.path] if mark.path else self._case.text
        path = self.file(mark.path) if mark.path else ""
        return Mark(mark.code, self._place(text, mark.start), self._place(text, mark.end), path)

    def _place(self, text: str, place: tuple[int, int]) -> tuple[int, int]:
        line, column = place
        content = text.split("\n")[line - 1]
        before = sum(found.end() <= column - 1 for found in self._renamed.finditer(content))
        return line, column + before * len(f"_{self._number}")
