"""The check of one file, for commands that go on with its networks. What `nnspec check` does is in `nnspec.cli.session`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnspec.checker import Report, check_source
from nnspec.diagnostics import Source
from nnspec.project.files import read_bytes, report_name
from nnspec.syntax import read_source


class Checking:
    """How a file is checked."""

    def __init__(self, settings: Mapping[str, Any], sizes: Mapping[str, int]) -> None:
        self._settings, self._sizes = settings, sizes

    def report(self, path: str) -> Report:
        """The report of one file."""
        name = report_name(path)
        source, findings = read_source(name, read_bytes(path))
        if source is None:
            return Report(Source(name, ""), None, tuple(findings), {}, {}, self._settings, self._sizes)
        return check_source(source, settings=self._settings, sizes=self._sizes)
