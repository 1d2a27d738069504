"""`nnspec diff`: what may be named, formats, exit codes, and what is said where nothing can be compared."""

from __future__ import annotations

import io
import json
import subprocess
from pathlib import Path

import pytest
from example_specs import MISSPELT, SOUND, Command

WIDER = SOUND.replace("width: int = 3", "width: int = 5")
BLOCK = "block Part(width: int) {\n  input x: float32[N, D]\n  output x -> Linear(width) -> ReLU\n}\n"
USER = 'use Part from "part.nn"\nnetwork A {\n  input x: float32[N, 4]\n  output y = x -> Part(8) -> Part(8)\n}\n'


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=Nobody", "-c", "user.email=nobody@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a commit; since then `sound.nn` is wider, and `part.nn` has another activation."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    (folder / "misspelt.nn").unlink()
    (folder / "nets").mkdir()
    (folder / "nets/part.nn").write_text(BLOCK, encoding="utf-8")
    (folder / "nets/user.nn").write_text(USER, encoding="utf-8")
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "one")
    git(folder, "tag", "v1")
    (folder / "sound.nn").write_text(WIDER, encoding="utf-8")
    (folder / "nets/part.nn").write_text(BLOCK.replace("ReLU", "GELU"), encoding="utf-8")
    return folder


@pytest.fixture
def wider(folder: Path) -> Path:
    path = folder / "wider.nn"
    path.write_text(WIDER, encoding="utf-8")
    return path


def test_two_files(nnspec: Command, wider: Path) -> None:
    code, out, err = nnspec("diff", "sound.nn", "wider.nn")
    assert (code, err) == (0, "")
    assert out.startswith("sound.nn -> wider.nn: A: 1 layer changed; 1 parameter and 1 output changed;")
    assert "  ~ y, Linear: out_features 3 -> 5\n" in out


def test_the_same_file(nnspec: Command) -> None:
    assert nnspec("diff", "sound.nn", "sound.nn") == (0, "sound.nn: no difference (1 network)\n", "")


def test_the_other_form_is_no_difference(nnspec: Command, folder: Path) -> None:
    assert nnspec("convert", "sound.nn", "--to", "yaml", "--output", "sound.yaml").code == 0
    assert nnspec("diff", "sound.nn", "sound.yaml", "--exit-code").code == 0
    assert nnspec("diff", "sound.nn", "sound.yaml").out == "sound.nn -> sound.yaml: no difference in meaning (1 network)\n"


def test_exit_codes(nnspec: Command, wider: Path) -> None:
    assert nnspec("diff", "sound.nn", "wider.nn").code == 0
    assert nnspec("diff", "sound.nn", "wider.nn", "--exit-code").code == 1
    assert nnspec("diff", "sound.nn", "sound.nn", "--exit-code").code == 0
    assert nnspec("diff", "sound.nn", "misspelt.nn").code == 1
    assert nnspec("diff", "sound.nn", "nowhere.nn").code == 2


def test_formats(nnspec: Command, wider: Path) -> None:
    found = json.loads(nnspec("diff", "sound.nn", "wider.nn", "--json").out)
    assert (found["version"], found["before"], found["after"], found["different"]) == (1, "sound.nn", "wider.nn", True)
    assert found["files"][0]["networks"][0]["layers"][0]["details"] == [{"name": "out_features", "before": "3", "after": "5"}]
    assert nnspec("diff", "sound.nn", "wider.nn", "--format", "json").out == nnspec("diff", "sound.nn", "wider.nn", "--json").out
    assert nnspec("diff", "sound.nn", "wider.nn", "--format", "markdown").out.startswith(
        "**`sound.nn` → `wider.nn`: `A`: 1 layer"
    )
    code, out, err = nnspec("diff", "sound.nn", "wider.nn", "--format", "markdwn")
    assert (code, out) == (2, "")
    assert "a similar one is `markdown`" in err


@pytest.mark.parametrize(
    "arguments", [("sound.nn", "misspelt.nn"), ("misspelt.nn", "sound.nn"), ("misspelt.nn", "misspelt.nn")], ids=" ".join
)
def test_a_side_with_errors(nnspec: Command, arguments: tuple[str, str]) -> None:
    code, out, _ = nnspec("diff", *arguments)
    assert code == 1
    assert "error[NN103]" in out
    assert "misspelt.nn: not compared, because of" in out
    code, out, _ = nnspec("diff", *arguments, "--json")
    assert code == 1
    (file,) = json.loads(out)["files"]
    assert file["status"] == "broken"
    assert {finding["code"] for finding in file["findings"]} == {"NN103"}
    assert {finding["side"] for finding in file["findings"]} == {"before", "after"} - {
        side for side, name in zip(("before", "after"), arguments, strict=True) if name == "sound.nn"
    }


def test_a_claim_that_does_not_hold_keeps_nothing_from_being_compared(nnspec: Command, folder: Path) -> None:
    claimed = SOUND + "ensure A { params == 15 }\n"
    (folder / "a.nn").write_text(claimed, encoding="utf-8")
    (folder / "b.nn").write_text(claimed.replace("= 3", "= 5"), encoding="utf-8")
    code, out, _ = nnspec("diff", "a.nn", "b.nn")
    assert code == 1
    assert "error[NN501]" in out
    assert "~ y, Linear: out_features 3 -> 5" in out


def test_standard_input(nnspec: Command, wider: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def feed(text: str) -> None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    feed(WIDER)
    assert nnspec("diff", "sound.nn", "-").out.startswith("sound.nn -> <stdin>: A: 1 layer changed")
    feed(WIDER)
    assert nnspec("diff", "-", "wider.nn").out == "<stdin> -> wider.nn: no difference (1 network)\n"
    feed(nnspec("convert", "wider.nn").out)
    assert (
        nnspec("diff", "wider.nn", "-", "--stdin-name", "x.yaml").out
        == "wider.nn -> x.yaml: no difference in meaning (1 network)\n"
    )
    assert nnspec("diff", "-", "-").code == 2
    assert nnspec("diff", "-").code == 2


# --- options ----------------------------------------------------------------------------------------------------------------

TWO = SOUND + "network B {\n  input x: float32[N, T, 4]\n  output y = x -> Linear(2)\n}\n"


def test_one_network(nnspec: Command, folder: Path) -> None:
    (folder / "a.nn").write_text(TWO, encoding="utf-8")
    (folder / "b.nn").write_text(TWO.replace("Linear(2)", "Linear(4)"), encoding="utf-8")
    assert nnspec("diff", "a.nn", "b.nn", "--network", "A").out == "a.nn -> b.nn: no difference in meaning (1 network)\n"
    assert "out_features 2 -> 4" in nnspec("diff", "a.nn", "b.nn", "--network", "B").out
    code, _, err = nnspec("diff", "a.nn", "b.nn", "--network", "C")
    assert code == 2
    assert "neither side has a network `C`" in err


def test_settings_are_those_of_both_sides(nnspec: Command, wider: Path) -> None:
    assert (
        nnspec("diff", "sound.nn", "wider.nn", "--set", "width=7").out
        == "sound.nn -> wider.nn: no difference in meaning (1 network); network A worded\n  otherwise\n"
    )


def test_sizes(nnspec: Command, folder: Path) -> None:
    (folder / "a.nn").write_text(TWO, encoding="utf-8")
    (folder / "b.nn").write_text(TWO.replace("Linear(2)", "Linear(4)"), encoding="utf-8")
    out = nnspec("diff", "a.nn", "b.nn", "--with", "N=2", "--with", "T=5").out
    assert "for N = 2, T = 5\n" in out
    (row,) = (line for line in out.split("\n") if line.startswith("  FLOPs  "))
    assert row.split() == ["FLOPs", "160", "320", "+160", "(+100", "%)"]
    code, _, err = nnspec("diff", "a.nn", "b.nn", "--with", "H=5")
    assert code == 2
    assert "`H` is no size of the inputs of what was compared" in err


def test_sizes_that_the_conditions_rule_out(nnspec: Command, folder: Path) -> None:
    (folder / "a.nn").write_text(TWO.replace("T, 4]", "T, 4] where T % 4 == 0"), encoding="utf-8")
    code, _, err = nnspec("diff", "a.nn", "a.nn", "--with", "T=5")
    assert code == 2
    assert "T = 5" in err


def test_what_is_built_for_some_sizes_only(nnspec: Command, folder: Path) -> None:
    text = "network A {\n  input x: float32[N, H]\n  output y = x -> repeat H { Linear(H) }\n}\n"
    (folder / "a.nn").write_text(text, encoding="utf-8")
    (folder / "b.nn").write_text(text.replace("Linear(H)", "Linear(H) -> ReLU"), encoding="utf-8")
    assert nnspec("diff", "a.nn", "b.nn").code == 1
    code, out, _ = nnspec("diff", "a.nn", "b.nn", "--with", "H=3")
    assert code == 0
    assert "A: 3 layers added" in out


def test_a_checkpoint(nnspec: Command, wider: Path, folder: Path) -> None:
    header = json.dumps({"y.weight": {"dtype": "F32", "shape": [3, 4], "data_offsets": [0, 48]}}).encode()
    (folder / "x.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(48))
    out = nnspec("diff", "sound.nn", "wider.nn", "--checkpoint", "x.safetensors").out
    assert "x.safetensors for A: 0 of 1 tensor (0 % of 12 numbers) load as they are, 1 does" in out
    assert "+ 1 weight of the network is not in it: y.bias" in out
    found = json.loads(nnspec("diff", "sound.nn", "sound.nn", "--checkpoint", "x.safetensors", "--json").out)["checkpoints"]
    assert [(each["mapping"], each["missing"]) for each in found] == [({"y.weight": "y.weight"}, ["y.bias"])]
    assert nnspec("diff", "sound.nn", "wider.nn", "--checkpoint", "wider.nn").code == 2


# --- revisions and folders ----------------------------------------------------------------------------------------------------


def test_a_file_since_the_last_revision(nnspec: Command, repository: Path) -> None:
    out = nnspec("diff", "sound.nn").out
    assert out.startswith("sound.nn since HEAD: A: 1 layer changed")
    assert nnspec("diff", "sound.nn@v1", "sound.nn").out.replace("v1", "HEAD") == out
    assert nnspec("diff", "sound.nn@v1").out.replace("v1", "HEAD") == out
    assert nnspec("diff", "sound.nn@v1", "sound.nn@HEAD").out == "sound.nn from v1 to HEAD: no difference (1 network)\n"


def test_used_files_are_of_the_same_revision(nnspec: Command, repository: Path) -> None:
    out = nnspec("diff", "nets/user.nn").out
    assert out.startswith("nets/user.nn since HEAD: A: 2 layers retyped;")
    assert "~ y.*.1 in 2 copies (y.0 to y.1): ReLU -> GELU" in out


def test_a_used_file_that_the_revision_lacks(nnspec: Command, repository: Path) -> None:
    git(repository, "rm", "-q", "--cached", "nets/part.nn")
    git(repository, "commit", "-q", "-m", "two")
    code, out, _ = nnspec("diff", "nets/user.nn")
    assert code == 1
    assert '"part.nn" cannot be read: there is no such file in HEAD' in out


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("sound.nn@nope", "sound.nn"), "`nope` is not a revision of the repository"),
        (("gone.nn@v1", "sound.nn"), "there is no `gone.nn` in `v1`"),
        (("nets@v1", "sound.nn"), "is a folder and `sound.nn` a file"),
        (("sound.nn@",), "names no file"),
    ],
    ids=str,
)
def test_wrong_usage(nnspec: Command, repository: Path, arguments: tuple[str, ...], reason: str) -> None:
    code, out, err = nnspec("diff", *arguments)
    assert (code, out) == (2, "")
    assert reason in err


def test_outside_of_a_repository(nnspec: Command, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(folder.parent))
    code, _, err = nnspec("diff", "sound.nn")
    assert code == 2
    assert "`sound.nn` is not in a git repository" in err


def test_folders(nnspec: Command, repository: Path) -> None:
    (repository / "new.nn").write_text(SOUND.replace("network A", "network New"), encoding="utf-8")
    (repository / "narrow.nn").rename(repository / "slim.nn")
    out = nnspec("diff", ".@v1", ".").out
    assert "nets/user.nn since v1: A: 2 layers retyped" in out
    assert "nets/part.nn since v1: block Part changed" in out
    assert "new.nn added: New (15 parameters)" in out
    assert "narrow.nn" not in out, "a file that was only renamed is the same spec"
    assert out.endswith("4 of 5 files changed, 1 without a difference in meaning\n")
    found = json.loads(nnspec("diff", ".@v1", ".", "--json").out)
    assert [(file["after"], file["status"]) for file in found["files"]] == [
        ("nets/part.nn", "changed"), ("nets/user.nn", "changed"), ("new.nn", "added"), ("slim.nn", "same"), ("sound.nn", "changed"),
    ]  # fmt: skip


def test_a_file_that_is_gone(nnspec: Command, repository: Path) -> None:
    (repository / "sound.nn").unlink()
    out = nnspec("diff", ".@v1", ".").out
    assert "sound.nn@v1 removed: A (15 parameters)" in out


def test_both_forms_of_a_spec_are_said_once(nnspec: Command, repository: Path) -> None:
    git(repository, "commit", "-q", "-a", "-m", "two")
    for text, message in ((SOUND, "three"), (WIDER, "")):
        (repository / "sound.nn").write_text(text, encoding="utf-8")
        assert nnspec("convert", "sound.nn", "--to", "yaml", "--output", "sound.yaml").code == 0
        if message:
            git(repository, "add", "-A")
            git(repository, "commit", "-q", "-m", message)
    out = nnspec("diff", ".").out
    assert out.count("out_features 3 -> 5") == 1
    assert "sound.nn and sound.yaml since HEAD: A: 1 layer changed" in out


def test_errors_of_one_file_do_not_hide_the_others(nnspec: Command, repository: Path) -> None:
    (repository / "narrow.nn").write_text(MISSPELT, encoding="utf-8")
    code, out, _ = nnspec("diff", ".")
    assert code == 1
    assert "narrow.nn: not compared, because of 1 error" in out
    assert "sound.nn since HEAD: A: 1 layer changed" in out


def test_what_the_settings_leave_out_is_left_out_of_revisions_too(nnspec: Command, repository: Path) -> None:
    (repository / "nnspec.toml").write_text('exclude = ["nets"]\n', encoding="utf-8")
    found = json.loads(nnspec("diff", ".@v1", ".", "--json").out)
    assert [file["after"] for file in found["files"]] == ["narrow.nn", "sound.nn"]
