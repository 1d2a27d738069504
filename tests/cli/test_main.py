"""The door: help, unknown commands, bugs, pipes and interrupts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from example_specs import Command

from nnspec.cli import COMMANDS
from nnspec.version import VERSION


def test_help_lists_every_command(nnspec: Command) -> None:
    code, out, _ = nnspec("--help")
    assert code == 0
    for command in COMMANDS:
        assert f"\n  {command} " in out
    listed = [line for line in out.split("\n") if line.strip().split(" ")[0] in COMMANDS]
    assert all(len(line.split(None, 1)) == 2 and not line.endswith("...") for line in listed)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command(nnspec: Command, command: str) -> None:
    code, out, _ = nnspec(command, "--help")
    assert code == 0
    assert f"Usage: nnspec {command} " in out


def test_version(nnspec: Command) -> None:
    assert nnspec("--version") == (0, f"nnspec {VERSION}\n", "")


def test_no_command_prints_help(nnspec: Command) -> None:
    code, out, err = nnspec()
    assert code == 2
    assert "check" in out + err


@pytest.mark.parametrize("arguments", [("chek", "a.nn"), ("check",), ("check", "a.nn", "--nonsense")], ids=" ".join)
def test_wrong_usage(nnspec: Command, arguments: tuple[str, ...]) -> None:
    code, out, err = nnspec(*arguments)
    assert (code, out) == (2, "")
    assert "Usage: nnspec" in err


def broken(error: BaseException) -> SimpleNamespace:
    def fail(*_: object, **__: object) -> None:
        raise error

    return SimpleNamespace(run=fail)


def test_a_bug_asks_for_a_report(nnspec: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NNSPEC_DEBUG", raising=False)
    monkeypatch.setattr("nnspec.cli.doctor.examine", broken(ZeroDivisionError("oh")).run)
    code, out, err = nnspec("doctor")
    assert (code, out) == (70, "")
    assert "ZeroDivisionError: oh" in err
    assert "report" in err
    assert "Traceback" not in err
    monkeypatch.setenv("NNSPEC_DEBUG", "1")
    assert "Traceback" in nnspec("doctor").err


def test_an_interrupt(nnspec: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnspec.cli.doctor.examine", broken(KeyboardInterrupt()).run)
    assert nnspec("doctor").code == 130


def test_a_missing_package_names_its_extra(nnspec: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnspec.cli.doctor.examine", broken(ModuleNotFoundError("no", name="onnxruntime")).run)
    code, _, err = nnspec("doctor")
    assert code == 2
    assert "pip install 'nnspec[onnx]'" in err


def test_a_closed_pipe_is_quiet(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "nnspec", "explain", "NN220"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == 141


def test_text_that_the_terminal_cannot_show(tmp_path: Path) -> None:
    (tmp_path / "a.nn").write_text("network 網 {\n}\n", encoding="utf-8")
    command = [sys.executable, "-m", "nnspec", "check", "a.nn"]
    environment = {"PYTHONIOENCODING": "ascii", "PATH": ""}
    result = subprocess.run(command, capture_output=True, cwd=tmp_path, env=environment, check=False)
    assert result.returncode == 1
    assert b"network ??" in result.stdout or b"network ?" in result.stdout
