"""`nnspec explain`: the page of a finding or an operator."""

from __future__ import annotations

from typing import Annotated

import typer


def run(
    topic: Annotated[str, typer.Argument(metavar="CODE|OPERATOR", help="Such as NN220 or Conv2d.", show_default=False)],
) -> int:
    """Explain a finding or an operator, with examples."""
    from nnspec.cli.output import say
    from nnspec.codes import CODES
    from nnspec.errors import UsageError
    from nnspec.lint.pages import find_code, page_text

    code = find_code(topic)
    if code:
        say(page_text(code))
        return 0
    from nnspec.operators import OPERATORS, load_operators

    load_operators()
    if topic in OPERATORS:
        from nnspec.render.operator import operator_page

        say(operator_page(OPERATORS[topic]))
        return 0
    from nnspec.similar import nearest

    close = nearest(topic, [*OPERATORS, *CODES, *(rule.name for rule in CODES.values())])
    hint = f"; a similar one is `{close}`" if close else ""
    raise UsageError(f"there is no finding and no operator `{topic}`{hint}; see `nnspec list rules`, `nnspec list operators`")
