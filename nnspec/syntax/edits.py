"""Small changes to a text of either form, as edits: a setting of a call, a step taken out, a value passed through a function.

Each returns None where the change cannot be made by touching a few characters. Not here: whether a change is wanted.
"""

from __future__ import annotations

import re

from nnspec.diagnostics import Edit, Span

_ARROW_BEFORE = re.compile(r"[ \t\r\n]*->[ \t\r\n]*\Z")
_COMMA_BEFORE = re.compile(r",[ \t]*\Z")
_DASH_BEFORE = re.compile(r"(?:\A|\n)[ \t]*-[ \t]+\Z")
_ENDS_STEP = re.compile(r"[ \t]*(\n|->|\)|,|#|\Z)")
_NAME = re.compile(r"[A-Za-z_]\w*\Z")


def is_yaml(span: Span) -> bool:
    """Whether a span lies in a text of the YAML form."""
    return span.source.path.endswith((".yaml", ".yml"))


def with_setting(call: Span, name: str, value: str, written: Span | None = None) -> Edit | None:
    """Give a call (`Conv2d(64, 3)`, `{Conv2d: 64}`) a setting that it does not write yet, or another value: where it is `written`."""
    if written is not None:
        return Edit(written, value)
    text = call.text
    if text.endswith(")"):
        inside = text[:-1].rstrip()
        separator = "" if inside.endswith("(") else " " if inside.endswith(",") else ", "
        return _insertion(call, call.start + len(inside), f"{separator}{name}={value}")
    if not is_yaml(call):
        return _insertion(call, call.end, f"({name}={value})") if _NAME.match(text) else None
    if text.startswith("{") and text.endswith("}"):
        return _insertion(call, call.start + len(text[:-1].rstrip()), f", {name}: {value}")
    if ":" in text and not text.startswith(("[", "{", '"', "'")):
        indent = " " * (call.source.position(call.start)[1] - 1)
        return _insertion(call, call.end, f"\n{indent}{name}: {value}")
    return None


def without_setting(call: Span, name: str, written: Span) -> Edit | None:
    """Take a setting that is written by name out of a call, or one that is written by position and alone."""
    source, start, end = call.source, written.start, written.end
    text = source.text[call.start : start]
    before = re.search(rf"(,[ \t\r\n]*)?\b{re.escape(name)}[ \t]*=[ \t]*\Z", text)
    if before is None:
        return _without_key(call, name, written) if is_yaml(call) else _without_brackets(call, written)
    start -= len(before.group())
    if before.group(1) is None:
        after = re.match(r"[ \t]*,[ \t\r\n]*", source.text[end : call.end])
        end += len(after.group()) if after else 0
    if (
        source.text[start - 1 : start] == "("
        and source.text[end : end + 1] == ")"
        and source.text[call.start : start - 1].isidentifier()
    ):
        start, end = start - 1, end + 1
    return Edit(Span(source, start, end), "")


def _without_key(call: Span, name: str, written: Span) -> Edit | None:
    """Take out `, name: value` of a mapping in one line, or the line `name: value`."""
    source = call.source
    before = re.search(rf"(,[ \t]*|\n[ \t]*){re.escape(name)}:[ \t]*\Z", source.text[call.start : written.start])
    ends = "\n" if before is not None and before.group(1).startswith("\n") else ",}"
    if before is None or source.text[written.end : written.end + 1] not in (*ends, ""):
        return None
    return Edit(Span(source, written.start - len(before.group()), written.end), "")


def _without_brackets(call: Span, written: Span) -> Edit | None:
    """`BatchNorm2d(64)` without its only argument."""
    whole = re.fullmatch(r"(\w+)\([ \t]*(.*?)[ \t]*\)", call.text)
    if whole is None or whole.group(2) != written.text:
        return None
    return Edit(Span(call.source, call.start + whole.end(1), call.end), "")


def without_step(step: Span) -> Edit | None:
    """Take a step out of a chain, together with the arrow before it, or as an entry of a list in YAML."""
    source = step.source
    if re.match(r"[ \t\r\n]*(as\b|\.)", source.text[step.end :]):
        return None
    before = source.text[: step.start]
    if not is_yaml(step) or "->" in before[before.rfind("\n") + 1 :]:
        arrow = _ARROW_BEFORE.search(before)
        return Edit(Span(source, arrow.start(), step.end), "") if arrow else None
    comma, dash = _COMMA_BEFORE.search(before), _DASH_BEFORE.search(before)
    if comma:
        return Edit(Span(source, comma.start(), step.end), "")
    if dash and source.text[step.end : step.end + 1] in ("\n", "\r", ""):
        return Edit(Span(source, dash.start(), step.end), "")
    return None


def with_step_before(step: Span, other: str) -> Edit | None:
    """Put another step before one of a chain, or before an entry of a list in YAML."""
    text = step.source.text[: step.start]
    if re.search(r"->[ \t\r\n]*\Z", text):
        return _insertion(step, step.start, f"{other} -> ")
    if not is_yaml(step):
        return None
    if _COMMA_BEFORE.search(text):
        return _insertion(step, step.start, f"{other}, ")
    dash = re.search(r"(\n[ \t]*-[ \t]+)\Z", text)
    return _insertion(step, step.start, other + dash.group(1)) if dash else None


def with_step_after(step: Span, text: str) -> Edit | None:
    """Put another step behind one of a chain: `x -> A` becomes `x -> A -> B`."""
    source = step.source
    before, after = source.text[: step.start].rstrip(), source.text[step.end :]
    line = before[before.rfind("\n") + 1 :]
    if not is_yaml(step) or line.endswith("->"):
        return _insertion(step, step.end, f" -> {text}") if before.endswith("->") and _ENDS_STEP.match(after) else None
    if before.endswith((",", "[")) and after.lstrip(" ").startswith((",", "]")):
        return _insertion(step, step.end, f", {text}")
    if line.strip() == "-" and after[:1] in ("\n", ""):
        return _insertion(step, step.end, f"\n{line[: line.index('-')]}- {text}")
    return None


def wrapped(value: Span, function: str) -> Edit | None:
    """Pass a value through a function: `fake` becomes `detach(fake)`."""
    return None if "\n" in value.text else Edit(value, f"{function}({value.text})")


def unwrapped(call: Span, argument: Span) -> Edit | None:
    """Put the argument of a call in the place of the call: `softmax(h, dim=1)` becomes `h`."""
    inside = call.source is argument.source and call.start < argument.start and argument.end < call.end
    if not inside or "\n" in argument.text:
        return None
    return Edit(call, argument.text if _is_operand(argument.text) else f"({argument.text})")


def renamed(call: Span, name: str, other: str) -> Edit | None:
    """Call another operator of the same settings: `nll_loss(h, y)` becomes `cross_entropy(h, y)`."""
    text = call.text
    start = len(text) - len(text.lstrip("{ "))
    end = start + len(name)
    following = text[end : end + 1]
    if text[start:end] != name or following.isalnum() or following == "_":
        return None
    return Edit(Span(call.source, call.start + start, call.start + end), other)


def _is_operand(text: str) -> bool:
    """Whether a text can stand wherever a call can, without parentheses of its own."""
    depth = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if not depth and not (character.isalnum() or character in "_.)]}"):
            return False
    return True


def without_lines(statement: Span) -> Edit | None:
    """Take out a statement that has its lines to itself. A comment at its end stays, on a line of its own."""
    text, start, end = statement.source.text, statement.start, statement.end
    first = text.rfind("\n", 0, start) + 1
    last = text.find("\n", end)
    last = len(text) if last < 0 else last
    before, after = text[first:start].strip(), text[end:last].strip()
    if before not in ("", "-") or "#" in statement.text or (after and (not after.startswith("#") or before)):
        return None
    if after:
        return Edit(Span(statement.source, start, last - len(text[end:last].lstrip())), "")
    return Edit(Span(statement.source, first, min(last + 1, len(text))), "")


def with_statement(above: Span, word: str, value: str) -> Edit | None:
    """Write a statement (`drop_last true`, in YAML `drop_last: true`) below one that has its lines to itself."""
    text = above.source.text
    first, last = text.rfind("\n", 0, above.start) + 1, text.find("\n", above.end)
    rest = text[above.end : last if last >= 0 else len(text)]
    if text[first : above.start].strip() or rest.strip()[:1] not in ("", "#"):
        return None
    line = f"{word}: {value}" if is_yaml(above) else f"{word} {value}"
    ending = "\r\n" if rest.endswith("\r") else "\n"
    return _insertion(above, above.end + len(rest.rstrip()), f"{ending}{text[first : above.start]}{line}")


def with_condition(kind: Span, before: Span | None, condition: str) -> Edit | None:
    """Add a condition to an input of the YAML form: `kind` is its type, `before` the last condition that it has already."""
    source = kind.source
    if before is None:
        text, start, end = source.text, kind.start, kind.end
        if text[start - 1 : start] in ('"', "'") and text[end : end + 1] == text[start - 1 : start]:
            start, end = start - 1, end + 1
        written = text[start:end]
        if "\n" in written or text[end : end + 1] not in ("", "\n", "\r", " ", ",", "}"):
            return None
        if re.search(r"\btype:[ ]*\Z", text[:start]):
            above = text[text.rfind("\n", 0, start) + 1 : start]
            is_block = above.strip() == "type:"
            added = f"\n{above[: above.index('type:')]}where: {condition}" if is_block else f', where: "{condition}"'
            return _insertion(kind, end, added)
        return Edit(Span(source, start, end), f'{{type: {_quoted(written)}, where: "{condition}"}}')
    if "\n" in before.text:
        return None
    line = source.text[source.text.rfind("\n", 0, before.start) + 1 : before.start]
    if re.fullmatch(r"[ ]*-[ ]+", line):
        return _insertion(before, before.end, f"\n{line}{condition}")
    if re.search(r"[,\[][ ]*\Z", line):
        return _insertion(before, before.end, f', "{condition}"')
    return Edit(before, f'[{_quoted(before.text)}, "{condition}"]') if re.search(r"\bwhere:[ ]*\Z", line) else None


def _quoted(scalar: str) -> str:
    """A scalar that can stand in brackets."""
    if scalar[:1] in ('"', "'"):
        return scalar
    return f'"{scalar}"' if '"' not in scalar and "\\" not in scalar else "'" + scalar.replace("'", "''") + "'"


def without_entry(entry: Span) -> Edit | None:
    """Take an entry of a list with commas out, `B` of `A, B as C, D`, together with one comma. None where there is no comma."""
    source, text = entry.source, entry.source.text
    before, after = re.search(r",\s*\Z", text[: entry.start]), re.match(r"\s*,\s*", text[entry.end :])
    if after:
        return Edit(Span(source, entry.start, entry.end + after.end()), "")
    return Edit(Span(source, before.start(), entry.end), "") if before else None


def _insertion(call: Span, at: int, text: str) -> Edit:
    return Edit(Span(call.source, at, at), text)
