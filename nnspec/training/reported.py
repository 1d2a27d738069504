"""The end of a run: what was measured is kept, and the report of the run is written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nnspec.errors import UsageError
from nnspec.reporting.page import write_report
from nnspec.reporting.runs import EVALUATION, read_run
from nnspec.training.atomic import write_atomic
from nnspec.training.progress import Progress
from nnspec.training.run_folder import RunFolder, plain


def report_of(folder: RunFolder, measured: Mapping[str, Any], progress: Progress) -> Path | None:
    """Keep what was measured at the end beside the manifest, and write the page; None where the disk does not take it, which is told: the
    run itself is whole by then."""
    try:
        write_atomic(folder.path / EVALUATION, json.dumps(plain(measured), indent=1, allow_nan=False) + "\n")
        return write_report(read_run(folder.path))
    except (OSError, UsageError) as error:
        progress.message(f"no report of the run: {error}")
        return None
