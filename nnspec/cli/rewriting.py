"""Specs parsed and written again, in either form."""

from __future__ import annotations

from nnspec.cli.files import is_yaml, read_bytes, report_name
from nnspec.diagnostics import Diagnostic
from nnspec.syntax import read_source, tree


def parsed(path: str, *, yaml: bool | None = None) -> tuple[tree.File | None, list[Diagnostic]]:
    """The tree of a file, and its syntax findings. `yaml` says which form it has where its name does not."""
    source, findings = read_source(report_name(path), read_bytes(path))
    if source is None:
        return None, findings
    if is_yaml(path) if yaml is None else yaml:
        from nnspec.syntax.yaml_reader import parse_yaml

        return parse_yaml(source)
    from nnspec.syntax import parse

    return parse(source)


def written(file: tree.File, *, yaml: bool) -> str:
    """The text of a tree, in the canonical format of a form."""
    if yaml:
        from nnspec.syntax.yaml_writer import write_yaml

        return write_yaml(file)
    from nnspec.syntax.writer import format_file

    return format_file(file)
