"""Writes the pages that are made of the code: `python docs/generate.py`; with `--check` it only says which are out of date.

`operators.md` comes from the declarations of the operators, `rules.md` from the table of codes.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from nnspec.codes import CODES
from nnspec.operators import FAMILIES, OPERATORS, load_operators
from nnspec.operators.declare import Operator
from nnspec.render.operator import operator_page

FOLDER = Path(__file__).resolve().parent
NOTICE = "<!-- Written by `python docs/generate.py`. Do not edit. -->"
LEVELS = {"error": "error", "warning": "warning", "info": "note"}
GROUPS = {
    "NN0": "Text that cannot be read",
    "NN1": "Names and arguments",
    "NN2": "Shapes and types",
    "NN3": "Structure",
    "NN4": "Recipes",
    "NN5": "Claims",
    "NN6": "Lint of networks and losses",
    "NN7": "Lint of training",
    "NN8": "Lint of the text",
    "NN9": "Said, not done",
}


def operators_page() -> str:
    """Every operator by family, in the order of the table."""
    load_operators()
    members = {family: [operator for operator in OPERATORS.values() if operator.family == family] for family in FAMILIES}
    parts = [
        f"# Operators\n\n{NOTICE}",
        f"{len(OPERATORS)} operators, functions, losses, metrics, optimizers, schedules and data sources. `nnspec explain NAME` prints "
        "one, `nnspec list operators` lists them. The first line of an entry is how a spec writes it, with the defaults.",
        "\n".join(f"- [{family}](#{family}): {', '.join(f'`{each.name}`' for each in members[family])}" for family in FAMILIES),
    ]
    for family in FAMILIES:
        module = sys.modules[f"nnspec.operators.{family}"]
        intro = (module.__doc__ or "").strip().split("\n\n")[0]
        parts += [f"## {family}\n\n{intro}", *(entry(operator) for operator in members[family])]
    return "\n\n".join(parts) + "\n"


def entry(operator: type[Operator]) -> str:
    """The page of an operator, with headings that fit below its family's."""
    page = operator_page(operator)
    page = re.sub(r"^# (.+)$", r"### \1", page, count=1, flags=re.MULTILINE)
    return re.sub(r"^## (.+)$", r"\1:\n", page, flags=re.MULTILINE)


def rules_page() -> str:
    """Every code by group, each linked to its page."""
    parts = [
        f"# Rules\n\n{NOTICE}",
        "What `nnspec check` finds. A code is stable and never used again for something else. `nnspec explain CODE` prints its page. "
        "Errors say that a spec means nothing, and cannot be ignored. Rules that are off speak where they are selected.",
    ]
    for prefix, title in GROUPS.items():
        rows = [
            f"| [{code}](../nnspec/lint/docs/{code}.md) | {rule.name} | {LEVELS[rule.severity]}{'' if rule.on else ', off'} | {rule.summary} |"
            for code, rule in CODES.items()
            if code.startswith(prefix)
        ]
        parts.append("\n".join([f"## {title}\n", "| code | name | level | says |", "|---|---|---|---|", *rows]))
    return "\n\n".join(parts) + "\n"


def pages() -> dict[Path, str]:
    """The text that each generated page should have."""
    return {FOLDER / "operators.md": operators_page(), FOLDER / "rules.md": rules_page()}


def main(arguments: list[str]) -> int:
    """Write the pages, or with `--check` compare them; 1 where one is out of date."""
    stale = [path for path, text in pages().items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        if "--check" in arguments:
            print(f"{path} is out of date: run `python docs/generate.py`")
        else:
            path.write_text(pages()[path], encoding="utf-8")
            print(f"wrote {path}")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
