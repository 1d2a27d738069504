"""The command line: finds the command, imports it alone, and turns what happens into exit codes.

0 clean, 1 findings, 2 wrong usage or a missing package, 70 our own bug, 128 + n for signal n. Each command is a module of this
package with a function `run`, which returns its exit code.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

#: Command -> module of this package; help lists them in this order. A module `list` would hide the builtin here.
COMMANDS: dict[str, str] = {
    "check": "check",
    "fmt": "fmt",
    "convert": "convert",
    "render": "render",
    "explain": "explain",
    "summary": "summary",
    "diff": "diff",
    "compile": "compile",
    "train": "train",
    "sweep": "sweep",
    "evaluate": "evaluate",
    "report": "report",
    "compare": "compare",
    "predict": "predict",
    "sample": "sample",
    "profile": "profile",
    "plan": "plan",
    "export": "export",
    "import": "importing",
    "lighten": "lighten",
    "list": "listing",
    "new": "new",
    "doctor": "doctor",
    "schema": "schema",
}

#: What a package is for -> the extra that brings it.
EXTRAS: dict[str, str] = {
    "torch": "torch", "numpy": "torch", "safetensors": "torch", "PIL": "images", "sklearn": "sklearn",
    "matplotlib": "plot", "onnx": "onnx", "onnxscript": "onnx", "onnxruntime": "onnx", "watchfiles": "watch",
    "gymnasium": "agents", "pyarrow": "parquet", "optuna": "hpo", "sqlalchemy": "hpo", "tensorboard": "tensorboard",
    "openvino": "engines", "mlflow": "mlflow",
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    from nnspec.cli.library_warnings import in_a_line

    given = list(sys.argv[1:] if arguments is None else arguments)
    with in_a_line():
        try:
            result = _application(given)(given, prog_name="nnspec", standalone_mode=False)
            sys.stdout.flush()
            return result if isinstance(result, int) else 0
        except BrokenPipeError:
            return _pipe_closed()
        except KeyboardInterrupt:
            return 130
        except Exception as error:
            return _failed(error)


def _application(arguments: Sequence[str]) -> Any:
    """The Typer application with the one command that is asked for, or with all where that is open."""
    from importlib import import_module

    import typer

    application = typer.Typer(
        name="nnspec", no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False, help=_ROOT_HELP,
        context_settings={"help_option_names": ["-h", "--help"]},
    )  # fmt: skip

    @application.callback()
    def root(
        version: bool = typer.Option(False, "--version", is_eager=True, callback=_show_version, help="Print the version."),
    ) -> None:
        """Takes the options that stand before a command."""

    first = arguments[0] if arguments else ""
    for name in [first] if first in COMMANDS else COMMANDS:
        application.command(name)(import_module(f"nnspec.cli.{COMMANDS[name]}").run)
    return application


_ROOT_HELP = """Check, compile, train, profile and export neural networks that are described in .nn and .yaml files.

Exit codes: 0 clean, 1 findings, 2 wrong usage, 70 a bug of nnspec."""


def _show_version(wanted: bool) -> None:
    if wanted:
        from typer import Exit

        from nnspec.version import VERSION

        print(f"nnspec {VERSION}")
        raise Exit


def _pipe_closed() -> int:
    """The reader has gone: say nothing, and keep Python from trying again at its end."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 128 + 13


def _failed(error: Exception) -> int:
    from nnspec.errors import MissingExtra, SpecError, UsageError

    if isinstance(error, UsageError | MissingExtra):
        return _say(f"nnspec: {error}", 2)
    if type(error).__name__ == "Interrupted":  # of `nnspec.training`, which imports torch
        return _say(f"nnspec: {error}", 128 + getattr(error, "number", 2))
    if isinstance(error, SpecError):
        from nnspec.cli.output import show_findings

        show_findings(error.findings, files=1)
        return 1
    if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] in EXTRAS:
        package = (error.name or "").partition(".")[0]
        return _say(f"nnspec: this needs the package `{package}`: pip install 'nnspec[{EXTRAS[package]}]'", 2)
    show, code = getattr(error, "show", None), getattr(error, "exit_code", None)
    if callable(show) and isinstance(code, int):  # a usage error of Typer
        show()
        return code
    if isinstance(error, OSError):
        from nnspec.errors import remedy

        if remedy(error):
            return _refused(error, remedy(error))
    return _crash(error)


def _refused(error: OSError, advice: str) -> int:
    """The system will not have it: a full disk, a folder that may not be written. Standard output may be what is full."""
    import os

    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    where = f"{error.filename}: " if error.filename else ""
    return _say(f"nnspec: {where}{error.strerror or error}: {advice}", 2)


def _crash(error: Exception) -> int:
    import os
    import traceback

    if os.environ.get("NNSPEC_DEBUG"):
        traceback.print_exception(error)
        return 70
    last = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{os.path.basename(os.path.dirname(last.filename))}/{os.path.basename(last.filename)}:{last.lineno} in {last.name}"
    place = getattr(error, "place", "") or "\n  ".join([place, *getattr(error, "__notes__", ())])
    return _say(
        f"nnspec: a bug in nnspec, not in your spec: {type(error).__name__}: {error}\n  at {place}\n"
        "Please report it with the spec that shows it. NNSPEC_DEBUG=1 prints the whole traceback.",
        70,
    )


def _say(text: str, code: int) -> int:
    try:
        print(text, file=sys.stderr)
    except OSError:  # standard error is on the full disk: the exit code has to say it
        import os

        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    return code
