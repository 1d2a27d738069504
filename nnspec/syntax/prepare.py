"""Makes the parser's table out of `grammar/nnspec.lark`: `python -m nnspec.syntax.prepare` writes `grammar/table.json`.

The only place that knows Lark. Lark checks the grammar (strictly: a conflict is an error) and computes the LALR(1)
table; at run time `automaton` follows that table without Lark, whose import and start-up would cost `check` 80 ms.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from nnspec.syntax.table import START_SYMBOLS, grammar_file, read_grammar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lark import Lark
    from lark.grammar import Rule

_OUTSIDE_RULES = ("SEMICOLON", "NEWLINE", "COMMENT", "BAD_STRING", "BAD")
"""Terminals that only the layout reads; Lark would drop them."""


def build(grammar: str, *, strict: bool = False) -> dict[str, Any]:
    """The table as plain data. `strict` refuses conflicts and colliding terminals; it needs `interegular`.

    - `grammar`: the text that the table was made of
    - `lexer`: pairs of terminal and regular expression, in the order in which they are tried
    - `keywords`: reserved word -> terminal
    - `rules`: [number of symbols, left side, action, places of the symbols whose lists are spliced in]; action is
      `_pass` (hand the only symbol on), `_list` (a list for the rule above), or the name of the builder's method
    - `rows`, `states`: the distinct rows of the action table, and the row of each state; entries are states to shift
      to, or -1 - (number of the rule to reduce)
    - `gotos`: for each state, left side -> next state
    - `starts`: start symbol -> [first state, last state]
    """
    lark = load_lark(grammar, strict=strict)
    lexer, keywords = _terminals(lark)
    rules = _used_rules(lark)
    numbers = _numbered(lark)
    states, gotos = _states(lark, numbers, {rule: number for number, rule in enumerate(rules)})
    rows: list[dict[str, int]] = []
    seen: dict[str, int] = {}
    for row in states:
        key = json.dumps(row)
        if key not in seen:
            seen[key] = len(rows)
            rows.append(row)
    table = lark.parser.parser._parse_table
    return {
        "grammar": grammar,
        "lexer": lexer,
        "keywords": keywords,
        "rules": _actions(rules),
        "rows": rows,
        "states": [seen[json.dumps(row)] for row in states],
        "gotos": gotos,
        "starts": {name: [numbers[table.start_states[name]], numbers[table.end_states[name]]] for name in START_SYMBOLS},
    }


def load_lark(grammar: str, *, strict: bool) -> Lark:
    """Lark's parser for the grammar, with one start for each start symbol."""
    from lark import Lark

    class Layout:
        always_accept = _OUTSIDE_RULES

        def process(self, stream: Iterator[Any]) -> Iterator[Any]:
            return stream

    return Lark(
        grammar,
        parser="lalr",
        lexer="basic",
        start=list(START_SYMBOLS),
        postlex=Layout(),
        strict=strict,
        keep_all_tokens=True,
        maybe_placeholders=False,
    )


def _terminals(lark: Lark) -> tuple[list[list[str]], dict[str, str]]:
    """Lark's own order: priority, longest possible match, longest pattern, name. Words become keywords of `NAME`."""
    terminals = sorted(
        lark.terminals,
        key=lambda t: (-t.priority, -t.pattern.max_width, -len(t.pattern.value), t.name),
    )
    ignored = set(lark.ignore_tokens)
    lexer: list[list[str]] = []
    keywords: dict[str, str] = {}
    for terminal in terminals:
        pattern = terminal.pattern
        if pattern.type == "str" and re.fullmatch(r"[a-z]+", pattern.value):
            keywords[pattern.value] = terminal.name
        else:
            lexer.append(["BLANK" if terminal.name in ignored else terminal.name, pattern.to_regexp()])
    return lexer, dict(sorted(keywords.items()))


def _used_rules(lark: Lark) -> list[Rule]:
    used = {
        action[1]
        for row in lark.parser.parser._parse_table.states.values()
        for action in row.values()
        if action[0].name == "Reduce"
    }
    return sorted(used, key=lambda rule: (rule.origin.name, rule.order, [symbol.name for symbol in rule.expansion]))


def _numbered(lark: Lark) -> dict[int, int]:
    """Lark's number of each state -> ours: in the order in which they are reached, so that every build gives the same table."""
    table = lark.parser.parser._parse_table
    order = [table.start_states[name] for name in START_SYMBOLS]
    numbers = {state: number for number, state in enumerate(order)}
    for state in order:
        for _, (action, target) in sorted(table.states[state].items(), key=lambda entry: str(entry[0])):
            if action.name != "Reduce" and target not in numbers:
                numbers[target] = len(order)
                order.append(target)
    return numbers


def _states(lark: Lark, numbers: dict[int, int], rules: dict[Rule, int]) -> tuple[list[dict[str, int]], list[dict[str, int]]]:
    """The actions and the gotos of each state."""
    table = lark.parser.parser._parse_table
    nonterminals = {rule.origin.name for rule in lark.rules}
    states: list[dict[str, int]] = [{} for _ in numbers]
    gotos: list[dict[str, int]] = [{} for _ in numbers]
    for state, number in numbers.items():
        for symbol, (action, target) in sorted(table.states[state].items(), key=lambda entry: str(entry[0])):
            name = str(symbol)
            if action.name == "Reduce":
                states[number][name] = -1 - rules[target]
            elif name in nonterminals:
                gotos[number][name] = numbers[target]
            else:
                states[number][name] = numbers[target]
    for last in table.end_states.values():
        states[numbers[last]]["$END"] = numbers[last]
    return states, gotos


def _actions(rules: list[Rule]) -> list[list[Any]]:
    """What to do at each reduction. A rule whose name starts with `_` gives a list, unless it only chooses."""
    alternatives: dict[str, list[Rule]] = {}
    for rule in rules:
        alternatives.setdefault(rule.origin.name, []).append(rule)
    lists = {name for name in alternatives if name.startswith("_")}
    while True:
        choosers = {
            name
            for name in lists
            if all(len(rule.expansion) == 1 and rule.expansion[0].name not in lists for rule in alternatives[name])
        }
        # the helpers that Lark makes for `*` and `+` start with two underscores and always are lists
        choosers = {name for name in choosers if not name.startswith("__")}
        if not choosers:
            break
        lists -= choosers
    return [_action(rule, lists) for rule in rules]


def _action(rule: Rule, lists: set[str]) -> list[Any]:
    size = len(rule.expansion)
    spliced = [place for place, symbol in enumerate(rule.expansion) if symbol.name in lists]
    name = rule.origin.name
    if name in lists:
        action = "_list"
    elif rule.alias is None and size == 1 and not spliced and (name.startswith("_") or rule.options.expand1):
        action = "_pass"
    else:
        action = rule.alias or name
    return [size, name, action, spliced]


def main() -> None:
    """Write `table.json` beside the grammar."""
    data = build(read_grammar(), strict=True)
    with open(grammar_file("table.json"), "w", encoding="utf-8") as file:
        file.write(json.dumps(data, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
