"""`nnspec schema`: the JSON schema of the YAML form, for editors."""

from __future__ import annotations

from nnspec.cli.options import Output


def run(output: Output = "") -> int:
    """Print the JSON schema of the YAML form, for editors."""
    from nnspec.cli.files import write_text
    from nnspec.cli.output import say
    from nnspec.syntax.schema import text

    if output:
        write_text(output, text())
    else:
        say(text().rstrip("\n"))
    return 0
