"""The JSON schema: it is up to date, accepts what the YAML writer writes, and refuses what an editor should mark."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from yaml_trees import read_nn

from nnspec.operators import OPERATORS
from nnspec.syntax.schema import FILE, schema, text
from nnspec.syntax.table import grammar_file
from nnspec.syntax.yaml_writer import write_yaml

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDERS = [ROOT / "specs", *([Path(os.environ["NNSPEC_EXAMPLES"])] if os.environ.get("NNSPEC_EXAMPLES") else [])]
SPECS = {path.name: path for folder in FOLDERS for path in sorted(folder.rglob("*.nn"))}


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    made = schema()
    jsonschema.Draft202012Validator.check_schema(made)
    return jsonschema.Draft202012Validator(made)


def is_valid(validator: jsonschema.Draft202012Validator, source: str) -> bool:
    return bool(validator.is_valid(yaml.safe_load(source)))


def test_the_file_is_up_to_date() -> None:
    """Otherwise: python -m nnspec.syntax.schema"""
    assert Path(grammar_file(FILE)).read_text(encoding="utf-8") == text()


def test_it_is_the_same_at_every_call() -> None:
    assert json.dumps(schema()) == json.dumps(schema())


@pytest.mark.parametrize("name", SPECS)
def test_twins_are_valid(validator: jsonschema.Draft202012Validator, name: str) -> None:
    twin = write_yaml(read_nn(SPECS[name].read_text(encoding="utf-8")))
    errors: list[Any] = sorted(validator.iter_errors(yaml.safe_load(twin)), key=str)
    assert [error.message for error in errors] == []


@pytest.mark.parametrize(
    "source",
    [
        "spec: 1",
        "- network A: B()\n- network A: C()",
        "network A: {h: [x, {MyBlock: [1, 2], depth: 3}]}",
        "network A: {h: [x, {my.block: 3, as: conv1, take: .last}]}",
        "network A: {h: [x, {Linear: 4 * width, bias: false}]}",
        "network A: {h: [x, {Conv2d: [8, [3, 5]], stride: [2, 2], padding: '\"same\"'}]}",
        "network A: {h: [x, {repeat: w in widths, do: [ReLU]}]}",
        "train A: {epochs: 10, optimizer: Adam(lr=1e-3), step critic(every=5): {with: {update: G}}}",
        "ensure A: [params == 3]",
    ],
)
def test_valid(validator: jsonschema.Draft202012Validator, source: str) -> None:
    assert is_valid(validator, source)


@pytest.mark.parametrize(
    "source",
    [
        "spec: one",
        "netwrok A: {}",
        "network: {}",
        "network A: {h: [x, {Conv2d: 8, kernal_size: 3}]}",
        "network A: {h: [x, {Conv2d: 8, bias: 3}]}",
        "network A: {h: [x, {Linear: 8, as: 3}]}",
        "network A: {h: [x, {Linear: 8, take: last}]}",
        "network A: {params: {1x: int}}",
        "network A: {params: {n: 3}}",
        "network A: {value: B(), with: {}, more: {type: [int]}}",
        "use: A",
    ],
)
def test_invalid(validator: jsonschema.Draft202012Validator, source: str) -> None:
    assert not is_valid(validator, source)


def test_settings_carry_their_documentation() -> None:
    conv = schema()["$defs"]["step"]["dependentSchemas"]["Conv2d"]["properties"]
    assert set(OPERATORS["Conv2d"].fields) <= set(conv)
    assert OPERATORS["Conv2d"].attribute_fields()["stride"].doc in conv["stride"]["description"]
    assert "default [1, 1]" in conv["stride"]["description"]
