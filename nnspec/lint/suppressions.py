"""Comments that take a finding back: `# nnspec: ignore[NN220]: reason`.

At the end of a line, the comment speaks of the findings that begin on this line, and of the statement or step that ends there, or of the
head that opens a body; on a line of its own, of the whole statement, item or step below it; `ignore-file[...]` of the whole file. Codes or
readable names, several separated by commas; the reason is required. Errors cannot be taken back: they say that the spec means nothing.

All of it takes time in proportion to the text. Not here: where the comments of a text are (`nnspec.lint.comment_places`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from heapq import heappop, heappush
from typing import TYPE_CHECKING, NamedTuple

from nnspec.codes import CODES
from nnspec.diagnostics import Diagnostic, Edit, Fix, Span
from nnspec.lint.comment_places import Places
from nnspec.lint.pages import find_code
from nnspec.similar import nearest
from nnspec.syntax import tree

if TYPE_CHECKING:
    from nnspec.graph.ir import Graph
    from nnspec.graph.program import Program
    from nnspec.recipes.recipe import Recipe

_FORM = re.compile(r"#\s*nnspec:\s*(?P<word>[\w-]*)\s*(?:\[(?P<codes>[^\]]*)\])?\s*(?P<rest>.*)$")
_HELP = "write `# nnspec: ignore[CODE]: reason`"
_WORDS = ("ignore", "ignore-file")


class Suppression(NamedTuple):
    """One code of a comment: where it stands, and the stretch of text in which it takes findings of that code back."""

    code: str
    span: Span
    comment: Span
    start: int
    end: int
    reason: str


class Suppressed(NamedTuple):
    """A finding that a comment took back, and why."""

    finding: Diagnostic
    reason: str


class Outcome(NamedTuple):
    """What is left of the findings, complaints about comments among them, and what was taken back."""

    kept: list[Diagnostic]
    suppressed: tuple[Suppressed, ...]


def suppress(findings: Sequence[Diagnostic], program: Program, networks: Mapping[str, Graph], recipes: Mapping[str, Recipe],
             enabled: Collection[str] = ()) -> Outcome:  # fmt: skip
    """Apply the comments of the spec's own file and of those that it uses. Only those of the spec itself are complained about.

    `networks` and `recipes` are those that could be checked, `enabled` the rules that speak only where they are asked for.
    """
    found: list[Suppression] = []
    complaints: list[Diagnostic] = []
    for file in program.files:
        if "nnspec:" in file.span.source.text:
            own, wrong = _read(file)
            found += own
            complaints += wrong if file.span.source is program.source else []
    by = _answered(findings, found)
    kept = [finding for place, finding in enumerate(findings) if place not in by]
    taken = tuple(Suppressed(findings[place], found[number].reason) for place, number in sorted(by.items()))
    if found and not program.lost and not any(finding.severity == "error" for finding in findings):
        unchecked = list(_unchecked(program, networks, recipes))
        complaints += _unused(found, set(by.values()), program, unchecked, enabled)
    return Outcome([*kept, *complaints], taken)


def _answered(findings: Sequence[Diagnostic], found: Sequence[Suppression]) -> dict[int, int]:
    """Which finding is taken back by which suppression, by their places in the lists: the first that reaches it."""
    groups: dict[tuple[str, str], tuple[list[int], list[int]]] = {}
    for number, each in enumerate(found):
        groups.setdefault((each.code, each.span.source.path), ([], []))[0].append(number)
    for place, finding in enumerate(findings):
        group = groups.get((finding.code, finding.span.source.path))
        if group is not None and finding.severity != "error":
            group[1].append(place)
    by: dict[int, int] = {}
    for numbers, places in groups.values():
        places.sort(key=lambda place: findings[place].span.start)
        numbers.sort(key=lambda number: found[number].start, reverse=True)
        open_ones: list[int] = []
        for place in places:
            at = findings[place].span.start
            while numbers and found[numbers[-1]].start <= at:
                heappush(open_ones, numbers.pop())
            while open_ones and found[open_ones[0]].end <= at:
                heappop(open_ones)
            if open_ones:
                by[place] = open_ones[0]
    return by


# --- reading the comments ---------------------------------------------------------------------------------------------------


def _read(file: tree.File) -> tuple[list[Suppression], list[Diagnostic]]:
    places = Places(file)
    found: list[Suppression] = []
    complaints: list[Diagnostic] = []
    for comment, start in places.comments():
        form = _FORM.match(comment.text)
        assert form is not None
        wrong = _malformed(comment, form)
        if wrong is not None:
            complaints.append(wrong)
            continue
        stretch = (0, len(file.span.source.text) + 1) if form["word"] == "ignore-file" else places.stretch(start)
        own, unknown = _codes(comment, form, stretch)
        found += own
        complaints += unknown
    return found, complaints


def _malformed(comment: Span, form: re.Match[str]) -> Diagnostic | None:
    word = form["word"]
    if word not in _WORDS:
        span = Span(comment.source, comment.start + form.start("word"), comment.start + form.end("word")) if word else comment
        similar = nearest(word, _WORDS)
        return Diagnostic(
            "NN802", f"no comment can ask for `{word}`" if word else "this comment does not say what it asks for", span,
            fix=Fix(f"write `{similar}`", (Edit(span, similar),), "suggestion") if similar else None, help=None if similar else _HELP,
        )  # fmt: skip
    if form["codes"] is None:
        return Diagnostic("NN802", "this comment does not say which finding it ignores", comment, help=_HELP)
    if not _reason(form):
        return Diagnostic("NN802", "this comment does not say why", comment, help=_HELP)
    return None


def _reason(form: re.Match[str]) -> str:
    rest = form["rest"].strip()
    return rest[1:].strip() if rest.startswith(":") else ""


def _codes(comment: Span, form: re.Match[str], stretch: tuple[int, int]) -> tuple[list[Suppression], list[Diagnostic]]:
    found: list[Suppression] = []
    complaints: list[Diagnostic] = []
    offset = comment.start + form.start("codes")
    for word in form["codes"].split(","):
        begin = offset + len(word) - len(word.lstrip())
        span = Span(comment.source, begin, begin + len(word.strip()))
        offset += len(word) + 1
        code = find_code(word.strip())
        if code is None:
            complaints.append(_unknown(word.strip(), span, comment))
        elif CODES[code].severity == "error":
            complaints.append(Diagnostic("NN802", f"{code} is an error, and an error cannot be ignored", span))
        else:
            found.append(Suppression(code, span, comment, *stretch, _reason(form)))
    return found, complaints


def _unknown(word: str, span: Span, comment: Span) -> Diagnostic:
    if not word:
        return Diagnostic("NN802", "a code is missing between these brackets", comment, help=_HELP)
    similar = None if re.fullmatch(r"[A-Za-z]+\d+", word) else nearest(word, [code.name for code in CODES.values()])
    fix = Fix(f"write `{similar}`", (Edit(span, similar),), "suggestion") if similar else None
    return Diagnostic("NN802", f"no finding has the code or the name `{word}`", span, fix=fix, help=None if fix else _HELP)


# --- comments that take nothing back ----------------------------------------------------------------------------------------


def _unchecked(program: Program, networks: Mapping[str, Graph], recipes: Mapping[str, Recipe]) -> Iterator[Span]:
    """The items of the spec in which nothing was looked for: blocks that nothing here uses, recipes that are not run yet."""
    for item in program.file.items:
        if not isinstance(item, tree.Item):
            continue
        match item.word.id:
            case "block" | "network":
                checked = item.name.id in networks or program.is_used(item.name.span)
            case "train" | "agent":
                checked = item.name.id in recipes
            case word:
                checked = word != "sample"
        if not checked:
            yield item.span


def _unused(found: Sequence[Suppression], used: set[int], program: Program, unchecked: Sequence[Span],
            enabled: Collection[str]) -> Iterator[Diagnostic]:  # fmt: skip
    left = {each.comment.start for number, each in enumerate(found) if number in used and each.span.source is program.source}
    for number, each in enumerate(found):
        if number in used or each.span.source is not program.source or not (CODES[each.code].on or each.code in enabled):
            continue
        if any(item.start < each.end and each.start < item.end for item in unchecked):
            continue
        edit = _without_code(each) if each.comment.start in left else _without_comment(each.comment)
        yield Diagnostic(
            "NN801", f"there is no {each.code} ({CODES[each.code].name}) to ignore here", each.span,
            fix=Fix("take it out", (edit,), "safe"),
        )  # fmt: skip


def _without_comment(comment: Span) -> Edit:
    """The comment and the blanks before it; its whole line where nothing else stands on it."""
    text, start, end = comment.source.text, comment.start, comment.end
    while start and text[start - 1] in " \t":
        start -= 1
    if start and text[start - 1] != "\n":
        return Edit(Span(comment.source, start, end), "")
    last = text.find("\n", end)
    return Edit(Span(comment.source, start, len(text) if last < 0 else last + 1), "")


def _without_code(each: Suppression) -> Edit:
    text, start, end = each.span.source.text, each.span.start, each.span.end
    after, before = (
        re.match(r"[ \t]*,[ \t]*", text[end : each.comment.end]),
        re.search(r",[ \t]*\Z", text[each.comment.start : start]),
    )
    if after:
        end += after.end()
    elif before:
        start -= len(before.group())
    return Edit(Span(each.span.source, start, end), "")
