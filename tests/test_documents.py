"""The documents say what is so: commands exist, sessions print what they show, generated pages are fresh, links lead somewhere."""

from __future__ import annotations

import os
import re
import runpy
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from nnspec.codes import CODES
from nnspec.operators import OPERATORS

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "docs/ARCHITECTURE.md").read_text(encoding="utf-8")
DOCUMENTS = sorted(
    path for pattern in ("README.md", "docs/**/*.md", "grammar/*.md", "tests/mdtest/README.md") for path in ROOT.glob(pattern)
)
#: Commands whose output is the same on every machine.
FIXED = ("check", "explain", "summary", "fmt", "convert", "render")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def prose(text: str) -> str:
    """A document without its fenced blocks and without code in backticks."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))


# --- links ---------------------------------------------------------------------------------------------------------------------


def broken_links(path: Path) -> list[str]:
    """Relative links of a document that lead nowhere."""
    found = []
    for target in LINK.findall(prose(path.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        place = path.parent / file if file else path
        if not place.exists() or (anchor and anchor not in anchors(place)):
            found.append(target)
    return found


def anchors(path: Path) -> set[str]:
    """What the headings of a Markdown file are called in links."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=relative)
def test_links_lead_somewhere(path: Path) -> None:
    assert broken_links(path) == []


def test_a_broken_link_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A b\n[x](page.md#a-b) [y](#c) [z](gone.md) [w](https://example.org) `[no](link)`\n", encoding="utf-8")
    assert broken_links(page) == ["#c", "gone.md"]


# --- the README ------------------------------------------------------------------------------------------------------------------


def sessions() -> list[tuple[str, str]]:
    """The commands of the README with what they print."""
    found = []
    for block in re.findall(r"^```console\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            found.append((command.partition("  #")[0].strip(), output))
    return found


SESSIONS = sessions()
NNSPEC = [(command, output) for command, output in SESSIONS if command.startswith("nnspec ")]
each_command = pytest.mark.parametrize("command", [command for command, _ in NNSPEC])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the specs of the README."""
    for name, text in re.findall(r"^```nn name=(\S+)\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE):
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def run(folder: Path, *arguments: str) -> str:
    environment = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1", "PYTHONPATH": str(ROOT)}
    environment.pop("FORCE_COLOR", None)
    result = subprocess.run(
        [sys.executable, "-m", "nnspec", *arguments], cwd=folder, capture_output=True, text=True, check=False, env=environment
    )
    assert result.returncode in (0, 1), result.stderr
    return result.stdout


def test_the_first_commands_are_the_makefiles() -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert [command for command, _ in SESSIONS][:2] == ["make demo", "make test"]
    assert {"demo", "test"} <= set(targets)


def test_the_session_has_its_parts() -> None:
    words = [shlex.split(command)[1] for command, _ in NNSPEC]
    assert words == ["check", "check", "check", "train", "profile", "export"]


@pytest.mark.parametrize(("command", "output"), [each for each in NNSPEC if shlex.split(each[0])[1] in FIXED])
def test_the_session_prints_what_it_shows(command: str, output: str, folder: Path) -> None:
    printed = run(folder, *shlex.split(command)[1:])
    assert [line.rstrip() for line in printed.rstrip().split("\n")] == output.rstrip().split("\n")


@each_command
def test_commands_and_options_exist(command: str, folder: Path) -> None:
    _, word, *arguments = shlex.split(command)
    page = run(folder, word, "--help")
    for argument in arguments:
        if argument.startswith("-"):
            assert re.search(rf"(^|[\s,]){re.escape(argument)}\b", page), argument
        elif argument.endswith(".nn"):
            assert (folder / argument).exists()


def test_commands_in_the_text_exist(folder: Path) -> None:
    known = run(folder, "--help")
    for word in re.findall(r"`nnspec ([a-z]+)[^`]*`", README):
        assert re.search(rf"^  {word} ", known, flags=re.MULTILINE), word
    for topic in re.findall(r"`nnspec explain (\w+)`", README):
        assert topic in CODES or topic in OPERATORS


def test_extras_exist() -> None:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    known = set(project["optional-dependencies"])
    install = README.split("## Install")[1].split("\n## ")[0]
    named = set(re.findall(r"nnspec\[(\w+)\]", install)) | set(re.findall(r"`(\w+)` for", install))
    assert named == known - {"dev"}


@pytest.mark.torch
def test_the_python_example_runs(folder: Path) -> None:
    pytest.importorskip("sklearn")
    example = re.findall(r"^```python\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)[0]
    (folder / "example.py").write_text(example, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [sys.executable, "example.py"], cwd=folder, capture_output=True, text=True, check=False, env=environment
    )
    assert result.returncode == 0, result.stderr
    assert 0 < float(result.stdout) <= 1


# --- generated pages --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def generator() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "docs/generate.py"))


@pytest.mark.parametrize("name", ["operators.md", "rules.md"])
def test_generated_pages_are_up_to_date(generator: dict[str, Any], name: str) -> None:
    """`python docs/generate.py` writes them."""
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == generator["pages"]()[ROOT / "docs" / name]


def test_every_code_is_in_a_group(generator: dict[str, Any]) -> None:
    page = generator["rules_page"]()
    assert [code for code in CODES if f"| [{code}](" not in page] == []


def test_every_operator_is_on_the_page(generator: dict[str, Any]) -> None:
    headings = re.findall(r"^### (.+)$", generator["operators_page"](), flags=re.MULTILINE)
    assert sorted(headings) == sorted(OPERATORS)


# --- the map ------------------------------------------------------------------------------------------------------------------------


def test_every_invariant_names_a_test_that_exists() -> None:
    invariants = [part for part in ARCHITECTURE.split("\n\n") if part.startswith("**Architecture invariant: ")]
    assert len(invariants) == ARCHITECTURE.count("Architecture invariant: ") >= 10
    for invariant in invariants:
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", invariant)
        assert named, invariant
        for path, function in named:
            assert re.search(rf"^def {function}\(", (ROOT / path).read_text(encoding="utf-8"), flags=re.MULTILINE), invariant


def test_every_room_is_on_the_map() -> None:
    rows = ARCHITECTURE.split("| package | what lives there |")[1].split("\n\n")[0]
    listed = set(re.findall(r"`nnspec\.(\w+)`", rows))
    packages = {path.parent.name for path in (ROOT / "nnspec").glob("*/__init__.py")} | {"grammar"}
    modules = {path.stem for path in (ROOT / "nnspec").glob("*.py")}
    assert packages <= listed <= packages | modules


@pytest.mark.parametrize("path", [path for path in DOCUMENTS if path.name != "operators.md"], ids=relative)
def test_paths_in_documents_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    named = re.findall(r"`((?:nnspec|tests|docs|grammar|specs|benchmarks)/[\w/.]*)(?:::\w+)?`", text)
    assert [each for each in named if not (ROOT / each).exists()] == []


def test_records_are_numbered_and_have_their_parts() -> None:
    records = sorted((ROOT / "docs/decisions").glob("*.md"))
    assert [int(path.name[:4]) for path in records] == list(range(1, len(records) + 1))
    for path in records:
        text = path.read_text(encoding="utf-8")
        assert text.startswith(f"# {path.name[:4]}: ")
        assert re.findall(r"^## (.+)$", text, flags=re.MULTILINE) == ["Context", "Decision", "Given up"]
