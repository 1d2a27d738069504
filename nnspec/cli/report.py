"""`nnspec report`: a run as one HTML page."""

from __future__ import annotations

from nnspec.cli.options import Output, Quiet, Run


def run(run: Run, output: Output = "", quiet: Quiet = False) -> int:
    """Write the report of a run: one HTML page.

    Shows the spec, settings, data and environment, learning curves, final figures, classes, calibration and pictures. It holds all that it
    shows and loads nothing, so it can be mailed or kept. Without --output it is RUN/report.html. Needs no PyTorch.
    """
    from pathlib import Path

    from nnspec.cli.output import progress, say
    from nnspec.errors import UsageError
    from nnspec.reporting.page import write_report
    from nnspec.reporting.runs import read_run

    found = read_run(run)
    if found.evaluation is None and found.status == "finished":
        progress(
            "nnspec: the run keeps no evaluation.json, so figures by class are left out: it is of an older version",
            quiet=quiet,
        )
    try:
        say(str(write_report(found, Path(output) if output else None)))
    except OSError as error:
        raise UsageError(f"the report cannot be written to {output or run}: {error.strerror or error}") from error
    return 0
