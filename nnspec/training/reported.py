"""The end of a run: what was measured is kept, and the report of the run is written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nnspec.atomic import write_atomic
from nnspec.reporting.page import write_report
from nnspec.reporting.runs import EVALUATION, read_run
from nnspec.training.run_folder import RunFolder, plain


def report_of(folder: RunFolder, measured: Mapping[str, Any]) -> Path:
    """Keep what was measured at the end beside the manifest, and write the page. Raises OSError; the run itself is whole by then."""
    write_atomic(folder.path / EVALUATION, json.dumps(plain(measured), indent=1, allow_nan=False) + "\n")
    return write_report(read_run(folder.path))
