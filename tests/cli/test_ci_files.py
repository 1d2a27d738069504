"""The hooks for pre-commit and the action for GitHub: what they say is run, with what the services give."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from example_project import plant
from example_specs import Command
from spec_files import ROOT

ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
HOOKS = {hook["id"]: hook for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))}
WORKFLOW = (ROOT / "docs" / "guide" / "nnspec.workflow.yml").read_text(encoding="utf-8")
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"]}


@pytest.fixture
def project(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    plant(folder / "checkout")
    (folder / "checkout" / "compose.yaml").write_text("services:\n  web: {}\n", encoding="utf-8")
    monkeypatch.chdir(folder / "checkout")
    return folder / "checkout"


# --- pre-commit -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hook", HOOKS.values(), ids=HOOKS)
def test_a_hook_says_all_that_it_needs(hook: dict[str, Any]) -> None:
    assert set(hook) == {"id", "name", "description", "entry", "language", "files", "types_or", "require_serial"}
    assert hook["language"] == "python"
    wanted = {"a.nn": True, "deep/a.yaml": True, "a.yml": True, "a.py": False, "a.nn.bak": False, "ann": False}
    assert {path: bool(re.search(hook["files"], path)) for path in wanted} == wanted


def test_the_hooks_run_on_the_files_that_they_get(nnspec: Command, project: Path) -> None:
    command, *check = HOOKS["nnspec-check"]["entry"].split()
    assert command == "nnspec"
    assert nnspec(*check, "sound.nn", "compose.yaml", "sub/twin.yaml").code == 0
    assert nnspec(*check, "compose.yaml") == (0, "No findings in 0 files.\n", "")
    assert nnspec(*check, "sound.nn", "broken.nn").code == 1
    _, *fmt = HOOKS["nnspec-fmt"]["entry"].split()
    (project / "loose.nn").write_text("network   A{input x:float32[N];output y=x->ReLU}\n", encoding="utf-8")
    assert nnspec(*fmt, "loose.nn", "compose.yaml").code == 0
    assert (project / "loose.nn").read_text(encoding="utf-8").startswith("network A {\n")
    assert (project / "compose.yaml").read_text(encoding="utf-8") == "services:\n  web: {}\n"


# --- the action -----------------------------------------------------------------------------------------------------------------


class Ran(NamedTuple):
    """How a script of the action ended, what it printed, and what it wrote for GitHub."""

    code: int
    out: str
    err: str
    outputs: dict[str, str]
    variables: dict[str, str]


def run(step: str, workspace: Path, **inputs: str) -> Ran:
    """Run a script as GitHub does: inputs have their defaults, and reach it through the step's environment alone."""
    given = {name: entry.get("default", "") for name, entry in ACTION["inputs"].items()} | {
        name.replace("_", "-"): value for name, value in inputs.items()
    }
    temporary = workspace.parent / "runner"
    (temporary / "nnspec" / "bin").mkdir(parents=True, exist_ok=True)
    program = temporary / "nnspec" / "bin" / "nnspec"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m nnspec "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    files = {name: temporary / name for name in ("GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_STEP_SUMMARY")}
    for path in files.values():
        path.write_text("", encoding="utf-8")
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(temporary), "CI": "true", "GITHUB_ACTIONS": "true", "PYTHONPATH": str(ROOT),
        "GITHUB_WORKSPACE": str(workspace), "GITHUB_ACTION_PATH": str(ROOT), "RUNNER_TEMP": str(temporary),
        "NNSPEC_COMMAND": str(program), **{name: str(path) for name, path in files.items()},
    }  # fmt: skip
    for name, text in STEPS[step].get("env", {}).items():
        environment[name] = re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda match: given[match[1]], text)
    result = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", STEPS[step]["run"]],
        cwd=workspace / given["working-directory"], env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return Ran(result.returncode, result.stdout, result.stderr, _pairs(files["GITHUB_OUTPUT"]), _pairs(files["GITHUB_ENV"]))


def _pairs(path: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in path.read_text(encoding="utf-8").splitlines())


def test_no_input_stands_in_a_script() -> None:
    scripts = [step["run"] for step in STEPS.values() if "run" in step]
    assert len(scripts) == 2
    assert not any("${{" in script for script in scripts)


def test_a_clean_check(project: Path) -> None:
    ran = run("Check", project, paths="sound.nn")
    assert (ran.code, ran.out, ran.outputs) == (0, "", {"exit-code": "0"})


def test_findings_are_annotations_and_a_table(project: Path) -> None:
    ran = run("Check", project, paths="narrow.nn\nsub/odd näme.nn\n", args="--select NN220")
    assert ran.code == 1
    assert ran.outputs == {"exit-code": "1"}
    assert ran.out.startswith("::error title=nnspec NN305 (output-missing),file=sub/odd näme.nn,line=1,")
    assert ran.out.count("\n::warning title=nnspec NN220 ") == 2
    summary = (project.parent / "runner" / "GITHUB_STEP_SUMMARY").read_text(encoding="utf-8")
    assert "| warning | NN220 undeclared-precondition | `narrow.nn:2:30` | " in summary


def test_annotations_count_from_the_checkout(project: Path) -> None:
    ran = run("Check", project, working_directory="sub", paths="twin.yaml", args="--strict")
    assert ran.code == 1
    assert "file=sub/twin.yaml,line=3," in ran.out


def test_a_sarif_log(project: Path) -> None:
    ran = run("Check", project, paths=".", sarif_file="out.sarif")
    assert ran.code == 1
    assert ran.outputs == {"exit-code": "1", "sarif-file": str(project / "out.sarif")}
    log = json.loads((project / "out.sarif").read_text(encoding="utf-8"))
    addresses = {result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for result in log["runs"][0]["results"]}
    assert addresses >= {"broken.nn", "sub/twin.yaml", "sub/odd%20n%C3%A4me.nn"}
    assert log["runs"][0]["originalUriBaseIds"]["%SRCROOT%"]["uri"] == project.as_uri() + "/"


def test_a_log_to_upload_has_a_place_of_its_own(project: Path) -> None:
    ran = run("Check", project, paths="sound.nn", upload_sarif="true")
    path = Path(ran.outputs["sarif-file"])
    assert path == project.parent / "runner" / "nnspec.sarif"
    assert json.loads(path.read_text(encoding="utf-8"))["runs"][0]["results"] == []
    assert "outputs.sarif-file != ''" in STEPS["Upload the SARIF log"]["if"]


def test_wrong_usage_keeps_its_exit_code(project: Path) -> None:
    ran = run("Check", project, paths="nowhere.nn", upload_sarif="true")
    assert (ran.code, ran.outputs["exit-code"]) == (2, "2")
    assert "there is no file or folder `nowhere.nn`" in ran.err
    path = project.parent / "runner" / "nnspec.sarif"
    assert ("sarif-file" in ran.outputs) == path.exists()


@pytest.mark.slow
@pytest.mark.parametrize("text", ["$(touch pwned)", "`touch pwned`", "x; touch pwned", '"; touch pwned; "', "*", "-rf"])
def test_inputs_are_not_run(project: Path, text: str) -> None:
    for name in ("paths", "args", "sarif_file"):
        ran = run("Check", project, **{"paths": "sound.nn", name: text})
        assert not (project / "pwned").exists()
        assert ran.code in (0, 1, 2)
    assert "No such file" not in run("Check", project, paths="sound.nn", args="--ignore *").err


@pytest.mark.parametrize(
    ("wanted", "requirement"),
    [("", str(ROOT)), ("0.1.0", "nnspec==0.1.0"), ("nnspec @ git+https://x", "nnspec @ git+https://x"), ("./local", "./local")],
)
def test_what_is_installed(project: Path, wanted: str, requirement: str) -> None:
    """With a Python that writes down what it is asked, and makes the folder of a virtual environment."""
    fake = project.parent / "fake"
    fake.mkdir()
    log = project.parent / "asked.txt"
    script = (
        f'#!/bin/sh\nprintf "%s\\n" "$*" >> "{log}"\nif [ "$2" = venv ]; then mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; fi\n'
    )
    (fake / "python").write_text(script, encoding="utf-8")
    (fake / "python").chmod(0o755)
    previous = os.environ["PATH"]
    os.environ["PATH"] = f"{fake}{os.pathsep}{previous}"
    try:
        ran = run("Install nnspec", project, nnspec=wanted)
    finally:
        os.environ["PATH"] = previous
    assert ran.code == 0, ran.err
    runner = project.parent / "runner"
    assert log.read_text(encoding="utf-8") == f"-m venv {runner}/nnspec\n-m pip install --quiet {requirement}\n"
    assert ran.variables == {"NNSPEC_COMMAND": f"{runner}/nnspec/bin/nnspec"}


def test_the_example_workflow_gives_inputs_that_there_are() -> None:
    steps = yaml.safe_load(WORKFLOW)["jobs"]["check"]["steps"]
    given = next(step["with"] for step in steps if "nnspec" in step["uses"])
    assert set(given) <= set(ACTION["inputs"])
    guide = (ROOT / "docs" / "guide" / "ci.md").read_text(encoding="utf-8")
    assert "nnspec.workflow.yml" in guide
    assert all(f"`{name}`" in guide for name in ACTION["inputs"])
