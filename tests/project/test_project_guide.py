"""The guide on CI says what is so: keys of settings, the example of them, the JSON report, options and variables."""

from __future__ import annotations

import inspect
import json
import re
import tomllib
from pathlib import Path

import yaml
from example_project import FORMATS
from spec_files import ROOT

from nnspec.checker import check_source
from nnspec.cli import check, fmt
from nnspec.diagnostics import Source
from nnspec.project.settings import Discovery
from nnspec.project.table import Table
from nnspec.render import render

GUIDE = (ROOT / "docs" / "guide" / "ci.md").read_text(encoding="utf-8")
HOOKS = (ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE, flags=re.DOTALL | re.MULTILINE)


def table(heading: str) -> set[str]:
    """The names in the first column of the table under a heading."""
    rows = GUIDE.split(f"\n{heading}\n")[1].split("\n## ")[0].split("\n")
    return {name for row in rows if row.startswith("| `") for name in re.findall(r"`([^`]+)`", row.split("|")[1])}


def test_the_table_has_every_key() -> None:
    keys = {field.alias or name for name, field in Table.model_fields.items()}
    assert table("## Settings") == keys


def test_the_example_of_settings_can_be_read(home: Path) -> None:
    (text,) = blocks("toml")
    (home / "pyproject.toml").write_text(text, encoding="utf-8")
    found = Discovery().of("a.nn")
    assert found.path == str(home / "pyproject.toml")
    assert found.enabled == {"NN627"}
    assert "strict" in tomllib.loads(text)["tool"]["nnspec"]


def test_the_example_of_json_has_every_key() -> None:
    (text,) = blocks("json")
    source = Source("a.nn", "network A {\n  input x: float32[N, 4]\n  spare = x -> ReLU\n  output y = x -> Linaer(3)\n}\n")
    report = json.loads(render(check_source(source).diagnostics, "json", files=1))
    example = json.loads(text)
    assert example["version"] == report["version"]
    assert set(example["summary"]) == set(report["summary"])
    finding = next(each for each in report["findings"] if each["fix"])
    assert set(example["findings"][0]) == set(finding)
    assert set(example["findings"][0]["fix"]) == set(finding["fix"])
    assert set(example["findings"][0]["fix"]["edits"][0]) == set(finding["fix"]["edits"][0])
    assert all(f"`{style}`" in GUIDE for style in FORMATS)


def test_options_exist() -> None:
    text = (
        inspect.getsource(check) + inspect.getsource(fmt) + (ROOT / "nnspec" / "cli" / "options.py").read_text(encoding="utf-8")
    )
    known = set(re.findall(r'"(--[a-z-]+)"', text))
    known |= {f"--{name.replace('_', '-')}" for name in inspect.signature(check.run).parameters}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", GUIDE)) - {"--name-only"}
    assert named <= known


def test_hooks_exist() -> None:
    config = yaml.safe_load(next(text for text in blocks("yml") if "hooks:" in text))
    assert {hook["id"] for hook in config["repos"][0]["hooks"]} == {hook["id"] for hook in yaml.safe_load(HOOKS)}
