"""The settings of a project: where they are found, what they may hold, and what is said where they hold something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnspec.codes import CODES
from nnspec.errors import UsageError
from nnspec.project.settings import CommandLine, Discovery, Settings

OFF = next(code for code, rule in CODES.items() if not rule.on)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def settings(text: str, **given: object) -> Settings:
    Path("nnspec.toml").write_text(text, encoding="utf-8")
    return Discovery(CommandLine(**given)).of("a.nn")  # type: ignore[arg-type]


def refusal(text: str, name: str = "nnspec.toml") -> str:
    Path(name).write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as raised:
        Discovery().of("a.nn")
    return str(raised.value)


def test_no_file_gives_the_defaults() -> None:
    found = Discovery().of("a.nn")
    assert found.path == ""
    assert found.speaking == {code for code, rule in CODES.items() if rule.on}
    assert (found.enabled, found.strict, found.baseline, found.sizes, found.settings) == (frozenset(), False, "", {}, {})
    assert found.cache
    assert found.format is None


def test_the_nearest_file_counts_alone(home: Path) -> None:
    (home / "nnspec.toml").write_text('strict = true\nignore = ["NN601"]\n', encoding="utf-8")
    deep = home / "sub" / "deep"
    deep.mkdir(parents=True)
    (home / "sub" / "pyproject.toml").write_text('[project]\nname = "x"\n\n[tool.nnspec]\nignore = ["NN602"]\n', encoding="utf-8")
    (deep / "pyproject.toml").write_text('[project]\nname = "nnspec"\n', encoding="utf-8")
    discovery = Discovery()
    assert discovery.of("a.nn").strict
    near = discovery.of("sub/deep/a.nn")
    assert near.path == str(home / "sub" / "pyproject.toml")
    assert (near.strict, "NN601" in near.speaking, "NN602" in near.speaking) == (False, True, False)
    assert discovery.files == [str(home / "nnspec.toml"), str(home / "sub" / "pyproject.toml")]


def test_a_file_of_its_own_goes_before_a_shared_one() -> None:
    Path("pyproject.toml").write_text("[tool.nnspec]\nstrict = true\n", encoding="utf-8")
    assert not settings("strict = false\n").strict


@pytest.mark.parametrize(
    "text", ["[tool]\nnnspec = { strict = true }\n", "tool.nnspec.strict = true\n", '[tool."nnspec"]\nstrict=true\n']
)
def test_every_spelling_of_the_table_is_seen(text: str) -> None:
    Path("pyproject.toml").write_text(text, encoding="utf-8")
    assert Discovery().of("a.nn").strict


def test_a_broken_shared_file_is_ours_only_if_it_speaks_of_nnspec() -> None:
    Path("pyproject.toml").write_text('[project]\nname = "nnspec\n', encoding="utf-8")
    assert Discovery().of("a.nn").path == ""
    assert refusal("[tool.nnspec]\nstrict = tru\n", "pyproject.toml").startswith("`pyproject.toml` cannot be read: ")


def test_config_and_isolated(home: Path) -> None:
    Path("nnspec.toml").write_text("strict = true\n", encoding="utf-8")
    (home / "other").mkdir()
    Path("other/mine.toml").write_text('ignore = ["NN601"]\nbaseline = "b.json"\n', encoding="utf-8")
    assert not Discovery(CommandLine(isolated=True)).of("a.nn").strict
    found = Discovery(CommandLine(config="other/mine.toml")).of("a.nn")
    assert not found.strict
    assert found.baseline == str(home / "other" / "b.json")
    with pytest.raises(UsageError, match="leave one out"):
        Discovery(CommandLine(config="other/mine.toml", isolated=True))
    Path("pyproject.toml").write_text("[project]\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"has no table `\[tool.nnspec\]`"):
        Discovery(CommandLine(config="pyproject.toml"))
    with pytest.raises(UsageError, match="cannot read"):
        Discovery(CommandLine(config="nowhere.toml"))


def test_the_command_line_wins(home: Path) -> None:
    text = (
        'select = ["NN6"]\nbaseline = "b.json"\nwith = { H = 8, W = 8 }\nset = { width = 3, "train.epochs" = 1 }\ncache = true\n'
    )
    found = settings(text, select="NN220", strict=True, baseline="c.json", sizes={"H": 9}, settings={"width": 4}, cache=False)
    assert found.speaking == {"NN220"}
    assert found.strict
    assert found.baseline == str(home / "c.json")
    assert found.sizes == {"H": 9, "W": 8}
    assert found.settings == {"width": 4, "train.epochs": 1}
    assert not found.cache


def test_selecting_a_rule_that_is_off_enables_it() -> None:
    assert settings(f'extend-select = ["{OFF}"]\n').enabled == {OFF}
    assert settings(f'select = ["{CODES[OFF].name}"]\n').enabled == {OFF}
    assert settings("", extend_select=OFF).enabled == {OFF}
    assert settings(f'extend-select = ["{OFF}"]\nignore = ["{OFF}"]\n').enabled == frozenset()


def test_severity() -> None:
    found = settings('[severity]\nNN6 = "error"\nNN601 = "info"\nundeclared-precondition = "error"\nNN2 = "warning"\n')
    assert found.level("NN602") == "error"
    assert found.level("NN601") == "info"
    assert found.level("NN220") == "error"
    assert found.level("NN221") == "warning"
    assert found.level("NN201") is None, "an error stays one"
    assert found.level("NN701") is None


def test_per_file_ignores(home: Path) -> None:
    found = settings('[per-file-ignores]\n"tests/*" = ["NN6"]\n"draft.nn" = ["undeclared-precondition"]\n')
    assert not found.speaks("NN601", str(home / "tests" / "a.nn"))
    assert found.speaks("NN220", str(home / "tests" / "a.nn"))
    assert not found.speaks("NN220", str(home / "deep" / "draft.nn"))
    assert found.speaks("NN601", str(home / "a.nn"))


def test_what_decides_about_findings_has_a_key() -> None:
    first = settings("").checking_key
    assert settings('ignore = ["NN601"]\nstrict = true\nseverity = { NN220 = "error" }\n').checking_key == first
    keys = {settings(text).checking_key for text in ("with = { H = 8 }", "set = { H = 8 }", f'extend-select = ["{OFF}"]')}
    assert len({*keys, first}) == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('selct = ["NN6"]\n', "nnspec.toml:1: there is no setting `selct`; a similar one is `select`"),
        ('\n\nzzz = 1\n', "nnspec.toml:3: there is no setting `zzz`; there are select, extend-select, ignore, "),
        ('select = "NN6"\n', 'nnspec.toml:1: `select` takes a list of codes or names, not "NN6"'),
        ('strict = "yes"\n', 'nnspec.toml:1: `strict` takes true or false, not "yes"'),
        ("strict = 1\n", "nnspec.toml:1: `strict` takes true or false, not 1"),
        ('cache = "folder"\n', 'nnspec.toml:1: `cache` takes true or false, not "folder"'),
        ("baseline = 3\n", "nnspec.toml:1: `baseline` takes the path of a file, as text, not 3"),
        ('format = "xml"\n', 'nnspec.toml:1: `format` takes "full", "concise", '),
        ("with = { H = 0 }\n", "nnspec.toml:1: `with` takes a table of sizes, each with a whole number of at least 1, and `H` has 0"),
        ('[with]\nW = 3\nH = "8"\n', "nnspec.toml:3: `with` takes a table of sizes, "),
        ("[set]\nday = 2024-01-01\n", "nnspec.toml:2: `set` takes a table of parameters, "),
        ("[severity]\nNN601 = \"eror\"\n", "nnspec.toml:2: `severity` takes a table of codes or names, "),
        ('[severity]\nNN601 = "error"\nNN103 = "warning"\n', "nnspec.toml:3: `severity`: `NN103` is an error, and an error cannot be lowered"),
        ('[severity]\nNN999 = "error"\n', "nnspec.toml:2: `severity`: no code begins with `NN999`"),
        ('ignore = [\n  "NN601",\n  "NN103",\n]\n', "nnspec.toml:3: `ignore`: `NN103` is an error, and an error cannot be ignored"),
        ('select = [\n  "NN6",\n  "unsed-binding",\n]\n', "nnspec.toml:3: `select`: no code begins with `unsed-binding`"),
        ('select = [\n  "NN6",\n  6,\n]\n', "nnspec.toml:1: `select` takes a list of codes or names, not 6"),
        ('[per-file-ignores]\n"a.nn" = ["NN6"]\n"b.nn" = ["NN0"]\n', "nnspec.toml:3: `per-file-ignores`: `NN0` is an error"),
        ('exclude = ["old", "[z-a]"]\n', "nnspec.toml:1: `exclude`: a pattern cannot be read"),
        ("strict = tru\n", "`nnspec.toml` cannot be read: "),
    ],
)  # fmt: skip
def test_what_cannot_stand_there(text: str, said: str) -> None:
    assert refusal(text).startswith(said)


def test_lines_are_those_of_the_shared_file() -> None:
    text = '[project]\nname = "x"\nselect = 3\n\n[tool.nnspec]\nstrict = true\nselect = 3\n'
    assert refusal(text, "pyproject.toml").startswith("pyproject.toml:7: `select` takes ")
    text = '[tool.nnspec.severity]\nNN601 = "error"\nNN602 = "x"\n'
    assert refusal(text, "pyproject.toml").startswith("pyproject.toml:3: `severity` takes a table ")


@pytest.mark.parametrize(("option", "given"), [("--select", {"select": "NN6,x"}), ("--ignore", {"ignore": "NN103"})])
def test_words_of_the_command_line(option: str, given: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=f"^{option} "):
        settings("", **given)
