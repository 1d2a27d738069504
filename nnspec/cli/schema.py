"""`nnspec schema`: the JSON schema of the YAML form, for editors."""

from __future__ import annotations

from nnspec.cli.options import Output


def run(output: Output = "") -> int:
    """Print the JSON schema of the YAML form, for editors."""
    import json

    from nnspec.cli.files import write_text
    from nnspec.cli.output import say
    from nnspec.syntax.schema import schema

    text = json.dumps(schema(), indent=2, ensure_ascii=False)
    if output:
        write_text(output, text + "\n")
    else:
        say(text)
    return 0
