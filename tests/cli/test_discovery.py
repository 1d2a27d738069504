"""`explain`, `list`, `new`, `doctor`, `schema`: what a newcomer asks."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from example_specs import Command

from nnspec.codes import CODES
from nnspec.operators import OPERATORS, load_operators

load_operators()


@pytest.mark.parametrize("topic", ["NN220", "nn220", "undeclared-precondition"])
def test_explain_a_finding(nnspec: Command, topic: str) -> None:
    code, out, _ = nnspec("explain", topic)
    assert code == 0
    assert out.startswith("# NN220: undeclared-precondition\n")


def test_explain_an_operator(nnspec: Command) -> None:
    code, out, _ = nnspec("explain", "Conv2d")
    assert code == 0
    assert out.startswith("# Conv2d\n")
    assert (
        'x -> Conv2d(out_channels, kernel_size, stride=1, padding=0, dilation=1, groups=1, bias=true, padding_mode="zeros"' in out
    )
    assert "- `kernel_size`:" in out
    assert "Source: " in out


@pytest.mark.parametrize("operator", sorted(OPERATORS))
def test_every_operator_has_a_page(nnspec: Command, operator: str) -> None:
    code, out, _ = nnspec("explain", operator)
    assert code == 0
    described = out.split("\n\n")[1]
    assert not described.startswith("```"), "the docstring says what the operator does"


def test_explain_something_unknown(nnspec: Command) -> None:
    code, _, err = nnspec("explain", "Conv2")
    assert code == 2
    assert "a similar one is `Conv2d`" in err


def test_list(nnspec: Command) -> None:
    assert nnspec("list").code == 0
    out = nnspec("list", "rules").out
    assert all(code in out for code in CODES)
    operators = json.loads(nnspec("list", "operators", "--json").out)
    assert {entry["name"] for entry in operators} == set(OPERATORS)
    assert all(entry["summary"] for entry in operators)
    assert nnspec("list", "operator").code == 2


def test_new_and_check(nnspec: Command, folder: Path) -> None:
    code, out, _ = nnspec("new", "mine", "--from", "simple_cnn")
    assert code == 0
    assert "nnspec check mine.nn" in out
    assert nnspec("check", "mine.nn").code == 0
    assert nnspec("new", "mine", "--from", "simple_cnn").code == 2
    assert nnspec("new", "mine.yaml", "--from", "simple_cnn").code == 0
    assert nnspec("check", "mine.yaml").code == 0
    assert "a similar one" in nnspec("new", "other", "--from", "simple_cn").err


def test_every_spec_can_be_a_start(nnspec: Command) -> None:
    specs = json.loads(nnspec("list", "specs", "--json").out)
    assert len(specs) >= 11
    for spec in specs:
        assert spec["summary"], f"{spec['name']} has no comment that says what it is"
        assert nnspec("new", spec["name"], "--from", f"{spec['group']}/{spec['name']}", "--force").code == 0
        assert nnspec("check", f"{spec['name']}.nn").code == 0


def test_doctor(nnspec: Command) -> None:
    code, out, _ = nnspec("doctor")
    assert code == 0
    assert "check, fmt, convert, explain, diff: yes" in out
    assert json.loads(nnspec("doctor", "--json").out)["abilities"]


@pytest.mark.torch
def test_doctor_looks_for_a_compiler(nnspec: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "cc").write_text("")
    (tmp_path / "cc").chmod(0o755)
    monkeypatch.setenv("CXX", str(tmp_path / "cc"))
    assert "C++ compiler: yes" in nnspec("doctor").out
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert "C++ compiler: none: `compile --engine inductor,aot_inductor`" in nnspec("doctor").out


def test_schema_accepts_the_twin(nnspec: Command, folder: Path) -> None:
    nnspec("convert", "sound.nn", "-o", "twin.yaml")
    schema = json.loads(nnspec("schema").out)
    jsonschema.validate(yaml.safe_load((folder / "twin.yaml").read_text(encoding="utf-8")), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"netwrk A": {}}, schema)
