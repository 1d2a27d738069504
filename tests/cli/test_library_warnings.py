"""Warnings of libraries, as a line for people."""

from __future__ import annotations

import sys
import warnings

import pytest

from nnspec.cli import main
from nnspec.cli.library_warnings import in_a_line

RAW = "no oneDNN  for this.\nIt is slow. (Triggered internally at /build/RNN.cpp:12.)"


@pytest.fixture(autouse=True)
def _as_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "warnoptions", [])
    monkeypatch.delenv("NNSPEC_DEBUG", raising=False)


def warn(filename: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn_explicit(RAW, UserWarning, filename, 7)


@pytest.mark.parametrize(
    ("filename", "package"),
    [
        ("/env/lib/python3.11/site-packages/torch/nn/modules/rnn.py", "torch"), ("/usr/lib/python3/dist-packages/six.py", "six"),
        ("/home/me/nnspec/training/loop.py", "nnspec"), ("<string>", "Python"), ("/home/me/site-packages", "Python"),
    ],
)  # fmt: skip
def test_a_line_names_the_package(filename: str, package: str, capsys: pytest.CaptureFixture[str]) -> None:
    with in_a_line():
        warn(filename)
    assert capsys.readouterr() == ("", f"nnspec: {package} warns: no oneDNN for this. It is slow.\n")


@pytest.mark.parametrize("asked", ["-W", "NNSPEC_DEBUG"])
def test_who_asks_has_them_whole(asked: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    if asked == "-W":
        monkeypatch.setattr(sys, "warnoptions", ["always"])
    else:
        monkeypatch.setenv(asked, "1")
    before = warnings.showwarning
    with in_a_line():
        assert warnings.showwarning is before
    assert capsys.readouterr().err == ""


def test_a_command_leaves_things_as_they_were(capsys: pytest.CaptureFixture[str]) -> None:
    before = warnings.showwarning
    assert main(["--version"]) == 0
    assert warnings.showwarning is before
    assert capsys.readouterr().err == ""
