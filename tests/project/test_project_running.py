"""Files checked in one process or several, from texts or from what was kept: the same is found each time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from example_project import FILES, FORMATS, SOUND, USER, plant
from hypothesis import given
from hypothesis import strategies as st
from spec_files import ROOT

from nnspec.project import cache, workers
from nnspec.project.files import specs
from nnspec.project.outcome import Outcome, Unreadable, described, outcome
from nnspec.project.running import Run
from nnspec.project.settings import CommandLine, Discovery
from nnspec.project.verdict import present, verdict
from nnspec.render import render


def checked(*paths: str, processes: int = 1, **given: Any) -> list[Outcome]:
    discovery = Discovery(CommandLine(**given))
    run = Run(discovery, processes=processes)
    found = run.outcomes(specs(paths or ["."], discovery))
    assert run.cache_trouble == ""
    return found


def said(outcomes: list[Outcome]) -> str:
    """Everything that formats show of outcomes."""
    told = verdict(outcomes)
    taken = [(each.finding, each.reason) for each in told.suppressed]
    return "\n".join(render(told.findings, style, files=len(outcomes), suppressed=taken) for style in ("full", "json", "sarif"))


class Watch:
    """Which files were checked, and not answered from what was kept."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.paths: list[str] = []
        whole = Run._answers

        def answers(run: Run, tasks: Any) -> Any:
            self.paths += [task["path"] for task in tasks]
            return whole(run, tasks)

        monkeypatch.setattr(Run, "_answers", answers)

    def taken(self) -> list[str]:
        paths, self.paths = self.paths, []
        return paths


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    return Watch(monkeypatch)


# --- what is found ----------------------------------------------------------------------------------------------------------


def test_outcomes_come_in_the_order_of_the_paths(home: Path) -> None:
    plant(home)
    paths = ["sound.nn", "broken.nn", "lib.nn"]
    assert [each.path for each in checked(*paths, cache=False)] == paths


def test_what_stands_in_a_used_file_is_told_once(home: Path) -> None:
    plant(home, "first.nn", "second.nn", "lib.nn")
    outcomes = checked("first.nn", "second.nn", "lib.nn", cache=False)
    assert sorted(each.finding.code for one in outcomes for each in one.found) == ["NN601", "NN601", "NN605", "NN605"]
    told = present(outcomes)
    assert [(each.finding.code, each.own, Path(each.path).name) for each in told] == [
        ("NN601", True, "first.nn"),
        ("NN605", False, "lib.nn"),
        ("NN601", True, "second.nn"),
    ]


def test_the_number_of_processes_makes_no_difference(home: Path) -> None:
    plant(home)
    for number in range(20):
        (home / f"more_{number}.nn").write_text(FILES["narrow.nn"], encoding="utf-8")  # type: ignore[arg-type]
    alone = said(checked(cache=False))
    assert alone == said(checked(cache=False, processes=2)) == said(checked(cache=False, processes=5))


def test_many_files_are_shared_out(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[int] = []
    whole = workers.answers
    monkeypatch.setattr(workers, "answers", lambda tasks, processes: used.append(processes) or whole(tasks, processes))
    monkeypatch.setattr(workers, "cores", lambda: 2)
    for number in range(40):
        (home / f"{number}.nn").write_text(SOUND, encoding="utf-8")
    (home / "nnspec.toml").touch()
    discovery = Discovery()
    assert len(Run(discovery).outcomes(specs(["."], discovery))) == 40
    assert used == [2]
    (home / "1.nn").write_text(SOUND + "# changed\n", encoding="utf-8")
    Run(discovery).outcomes(specs(["."], discovery))
    assert used == [2], "one file is checked here"


def test_a_process_that_dies_names_the_file(home: Path) -> None:
    (home / "a.nn").write_text(SOUND, encoding="utf-8")
    slow = {"path": "a.nn", "text": SOUND, "settings": {}, "sizes": {}, "enabled": []}
    started: list[Any] = []
    whole = workers._start
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workers, "_start", lambda: started.append(whole()) or started[-1])
        patch.setattr(workers, "_PROGRAM", "import os, sys; sys.stdin.readline(); os.kill(os.getpid(), 9)  # {path}")
        with pytest.raises(workers.WorkerFailed, match=r"the process that checked `a\.nn` died \(signal 9\)"):
            workers.answers([slow], 1)
    assert all(process.returncode is not None for process in started)


def test_a_bug_in_a_process_names_the_file_and_the_place(home: Path) -> None:
    wrong = {"path": "a.nn", "text": SOUND, "settings": {}, "sizes": None, "enabled": []}
    with pytest.raises(workers.WorkerFailed, match=r"while checking `b\.nn`") as raised:
        workers.answers([wrong | {"sizes": {}}, wrong | {"path": "b.nn", "text": 3}], 2)
    assert ".py:" in raised.value.place
    assert "Traceback" in raised.value.__notes__[0]


def test_a_bug_in_this_process_names_the_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "a.nn").write_text(SOUND, encoding="utf-8")

    def fail(_: Any) -> Any:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("nnspec.project.worker.result", fail)
    with pytest.raises(ZeroDivisionError) as raised:
        checked("a.nn")
    assert raised.value.__notes__ == ["while checking `a.nn`"]


def test_an_interrupt_ends_the_processes_at_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []
    whole = workers._start
    monkeypatch.setattr(workers, "_start", lambda: started.append(whole()) or started[-1])
    monkeypatch.setattr(workers, "_PROGRAM", "import sys, time; sys.stdin.readline(); time.sleep(60)  # {path}")
    task = {"path": "a.nn", "text": SOUND}
    threading.Timer(0.5, signal.raise_signal, [signal.SIGINT]).start()
    with pytest.raises(KeyboardInterrupt):
        workers.answers([task] * 3, 2)
    # killed, not waited for: they would have slept a minute and ended with 0
    assert [process.returncode for process in started] == [-9, -9]


# --- plain data ---------------------------------------------------------------------------------------------------------------


def test_plain_data_is_json_and_comes_back(home: Path) -> None:
    from nnspec.checker import check_path

    plant(home)
    settings = Discovery().of(".")
    for path in specs(["."]):
        if path.endswith("bytes.nn"):
            continue
        report = check_path(path)
        plain = described(report)
        back = outcome(json.loads(json.dumps(plain)), path, report.source, settings)
        assert [repr(each.finding) for each in back.found] == [repr(finding) for finding in report.diagnostics]
        assert [each.finding.code for each in back.suppressed] == [each.finding.code for each in report.suppressed]
        for each, finding in zip(back.found, report.diagnostics, strict=True):
            assert each.finding.span.text == finding.span.text
            assert [label.span.source.text for label in each.finding.labels] == [
                label.span.source.text for label in finding.labels
            ]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 90) | st.text(max_size=5) | st.sampled_from(["NN601", "safe", "error"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["code", "at", "message", "fix"]), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(st.data())
def test_damaged_data_is_unreadable_or_can_be_shown(data: st.DataObject) -> None:
    from nnspec.checker import check_source
    from nnspec.diagnostics import Source

    source = Source("narrow.nn", str(FILES["narrow.nn"]))
    plain = json.loads(json.dumps(described(check_source(source))))
    target = data.draw(st.sampled_from([plain, plain["found"][0], plain["found"][1]]))
    target[data.draw(st.sampled_from(sorted(target)))] = data.draw(VALUES)
    try:
        back = outcome(plain, "narrow.nn", source, Discovery().of("."))
    except Unreadable:
        return
    said([back])


# --- what is kept -------------------------------------------------------------------------------------------------------------


def test_an_unchanged_file_is_not_checked_again(home: Path, watch: Watch) -> None:
    plant(home)
    first = said(checked())
    assert len(watch.taken()) == 9, "one file is no text"
    assert said(checked()) == first
    assert watch.taken() == []


def test_a_changed_file_is_checked_again(home: Path, watch: Watch) -> None:
    plant(home)
    checked()
    watch.taken()
    (home / "sound.nn").write_text(SOUND.replace("x -> ", "y -> "), encoding="utf-8")
    assert "NN101" in said(checked())
    assert watch.taken() == ["sound.nn"]
    (home / "sound.nn").write_text(SOUND, encoding="utf-8")
    os.utime(home / "narrow.nn", (0, 0))
    checked()
    assert watch.taken() == ["sound.nn"], "times do not count, texts do"


def test_what_a_file_uses_counts(home: Path, watch: Watch) -> None:
    plant(home, "first.nn", "second.nn", "sound.nn", "lib.nn")
    checked()
    watch.taken()
    (home / "lib.nn").write_text(str(FILES["lib.nn"]).replace("dropout=0.1", "num_layers=2"), encoding="utf-8")
    assert "NN605" not in said(checked("first.nn", "second.nn", "sound.nn"))
    assert watch.taken() == ["first.nn", "second.nn"]


def test_files_that_are_used_by_way_of_others_count(home: Path, watch: Watch) -> None:
    plant(home, "lib.nn")
    (home / "deep").mkdir()
    (home / "deep" / "middle.nn").write_text('use Unit from "../lib.nn"\nblock Twice(n: int) {\n  input x: float32[N, T, D]\n'
                                             "  output x -> Unit(n) -> Unit(n)\n}\n", encoding="utf-8")  # fmt: skip
    (home / "top.nn").write_text(USER.format(name="Top").replace("Unit", "Twice").replace("lib.nn", "deep/middle.nn"))
    first = said(checked("top.nn"))
    assert "NN605" in first
    watch.taken()
    assert said(checked("top.nn")) == first
    assert watch.taken() == []
    (home / "lib.nn").write_text(str(FILES["lib.nn"]).replace("dropout=0.1", ""), encoding="utf-8")
    assert "NN605" not in said(checked("top.nn"))
    assert watch.taken() == ["top.nn"]


def test_a_used_file_that_vanishes_or_appears_is_noticed(home: Path, watch: Watch) -> None:
    plant(home, "first.nn")
    missing = said(checked("first.nn"))
    assert "cannot be read" in missing
    plant(home, "first.nn", "lib.nn")
    assert "NN605" in said(checked("first.nn"))
    (home / "lib.nn").unlink()
    assert said(checked("first.nn")) == missing
    assert watch.taken() == ["first.nn"] * 3


def test_a_project_that_begins_elsewhere_is_noticed(home: Path, watch: Watch) -> None:
    plant(home, "lib.nn")
    (home / "sub").mkdir()
    (home / "sub" / "first.nn").write_text(USER.format(name="First").replace("lib.nn", "../lib.nn"), encoding="utf-8")
    assert "NN605" in said(checked("sub/first.nn"))
    (home / "sub" / ".git").mkdir()
    assert "leads out of the project" in said(checked("sub/first.nn"))
    assert len(watch.taken()) == 2


def test_what_decides_about_findings_is_kept_apart(home: Path, watch: Watch) -> None:
    plant(home, "narrow.nn")
    checked()
    checked(sizes={"H": 8, "W": 8})
    checked(extend_select="NN640")
    assert watch.taken() == ["narrow.nn"] * 3
    assert "NN220" in said(checked())
    assert "NN220" not in said(checked(sizes={"H": 8, "W": 8}))
    assert watch.taken() == []


def test_what_is_chosen_among_findings_is_not(home: Path, watch: Watch) -> None:
    plant(home, "narrow.nn")
    assert "NN220" not in said(checked(ignore="NN220"))
    assert "NN220" in said(checked())
    assert "NN220" not in said(checked(select="NN601"))
    assert watch.taken() == ["narrow.nn"]


def test_another_name_of_a_file_is_checked_if_it_is_spoken_of(home: Path, watch: Watch) -> None:
    plant(home, "narrow.nn", "sound.nn")
    checked("narrow.nn", "sound.nn")
    watch.taken()
    assert str(home / "narrow.nn") in said(checked(str(home / "narrow.nn"), str(home / "sound.nn")))
    assert watch.taken() == [str(home / "narrow.nn")]


def test_another_version_is_not_believed(home: Path, watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(home, "narrow.nn")
    checked()
    monkeypatch.setattr("nnspec.project.identity.identity", lambda: "another")
    checked()
    checked()
    assert watch.taken() == ["narrow.nn"] * 2


def test_the_identity_changes_with_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nnspec.project import identity

    (tmp_path / "site" / "nnspec" / "project").mkdir(parents=True)
    code = tmp_path / "site" / "nnspec" / "checker.py"
    code.write_text("x = 1\n", encoding="utf-8")
    monkeypatch.setattr(identity, "__file__", str(tmp_path / "site" / "nnspec" / "project" / "identity.py"))
    first = identity.identity()
    assert identity.identity() == first
    code.write_text("x = 22\n", encoding="utf-8")
    assert identity.identity() != first
    record = tmp_path / "site" / f"nnspec-{identity.VERSION}.dist-info" / "RECORD"
    record.parent.mkdir()
    record.write_text("", encoding="utf-8")
    installed = identity.identity()
    code.write_text("x = 333\n", encoding="utf-8")
    assert identity.identity() == installed, "a wheel is written as a whole"
    record.write_text("another", encoding="utf-8")
    assert identity.identity() != installed


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: "[]",
        lambda text: '{"nnspec": "x"}',
        lambda text: "[" * 100_000,
        lambda text: text.replace('"results":{', '"results":[{').replace("}}}}", "}}}]}"),
        lambda text: text.replace('"at":[0,', '"at":[7,'),
        lambda text: text.replace('"at":[0,', '"at":["x",'),
        lambda text: text.replace('"NN220"', '"NN000"'),
        lambda text: text.replace('"found":[{', '"found":[3,{'),
        lambda text: text.replace('"sources":[]', '"sources":3'),
        lambda text: text.replace('"used":[]', '"used":[{"user":9}]'),
    ],
)
def test_a_damaged_cache_is_empty(home: Path, watch: Watch, damage: Any) -> None:
    plant(home, "narrow.nn")
    first = said(checked())
    (kept,) = (home / cache.FOLDER).glob("*.json")
    good = kept.read_text(encoding="utf-8")
    assert damage(good) != good
    kept.write_text(damage(good), encoding="utf-8")
    assert said(checked()) == first
    assert watch.taken() == ["narrow.nn"] * 2
    assert kept.read_text(encoding="utf-8") == good, "it is written anew"


def test_the_folder_is_for_nobody_else(home: Path) -> None:
    plant(home, "sound.nn")
    checked()
    assert (home / cache.FOLDER / ".gitignore").read_text(encoding="utf-8") == "*\n"
    assert (
        (home / cache.FOLDER / "CACHEDIR.TAG")
        .read_text(encoding="utf-8")
        .startswith("Signature: 8a477f597d28d172789f06886806bc55\n")
    )
    assert not list((home / cache.FOLDER).glob("*.tmp"))


def test_another_place(home: Path, watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    for project in ("one", "two"):
        plant(home / project, "narrow.nn")
    monkeypatch.setenv("NNSPEC_CACHE_DIR", str(home / "kept"))
    for project in ("one", "two", "one", "two"):
        checked(f"{project}/narrow.nn")
    assert watch.taken() == ["one/narrow.nn", "two/narrow.nn"]
    assert len(list((home / "kept").glob("*.json"))) == 2
    assert not (home / "one" / cache.FOLDER).exists()
    assert cache.clear(str(home / "one"), os.environ) == 1
    checked("one/narrow.nn", "two/narrow.nn")
    assert watch.taken() == ["one/narrow.nn"]


def test_nothing_is_kept_without_a_project_or_if_not_wanted(home: Path, watch: Watch) -> None:
    plant(home, "sound.nn")
    checked(cache=False)
    assert not (home / cache.FOLDER).exists()
    (home / "nnspec.toml").write_text("cache = false\n", encoding="utf-8")
    checked()
    assert not (home / cache.FOLDER).exists()
    (home / "nnspec.toml").unlink()
    checked()
    checked()
    assert len(watch.taken()) == 4
    assert [path.name for path in home.iterdir()] == ["sound.nn"]


def test_a_cache_that_cannot_be_written(home: Path) -> None:
    plant(home, "sound.nn")
    (home / cache.FOLDER).write_text("not a folder", encoding="utf-8")
    discovery = Discovery()
    run = Run(discovery)
    assert len(run.outcomes(["sound.nn"])) == 1
    assert cache.FOLDER in run.cache_trouble


def test_two_runs_at_once_keep_what_both_found(home: Path, watch: Watch) -> None:
    plant(home, "narrow.nn", "sound.nn")
    first, second = Run(Discovery()), Run(Discovery())
    for run in (first, second):
        run._job("sound.nn", cache.Texts())
        run._cache(run._job("sound.nn", cache.Texts()))  # both have read the cache while it was empty
    first.outcomes(["narrow.nn"])
    second.outcomes(["sound.nn"])
    watch.taken()
    checked("narrow.nn", "sound.nn")
    assert watch.taken() == []


def test_files_that_are_gone_are_forgotten(home: Path) -> None:
    plant(home, "narrow.nn", "sound.nn")
    checked()
    (home / "narrow.nn").unlink()
    (home / "other.nn").write_text(SOUND, encoding="utf-8")
    checked()
    (kept,) = (home / cache.FOLDER).glob("*.json")
    assert sorted(json.loads(kept.read_text(encoding="utf-8"))["results"]) == ["other.nn", "sound.nn"]


def test_old_files_are_thinned_out(home: Path) -> None:
    plant(home, "sound.nn")
    checked()
    (kept,) = (home / cache.FOLDER).glob("*.json")
    os.utime(kept, (0, 0))
    checked(sizes={"N": 3})
    assert not kept.exists()


# --- as whole processes ----------------------------------------------------------------------------------------------------------


def test_what_is_kept_needs_none_of_what_checks(home: Path) -> None:
    plant(home)
    checked()
    program = (
        "import sys; from nnspec.cli import main; code = main(['check', '.', '--format', 'concise']);"
        "heavy = ('nnspec.checker', 'nnspec.graph.program', 'nnspec.syntax', 'yaml', 'torch', 'numpy', 'rich', 'multiprocessing');"
        "print('@', code, [name for name in heavy if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.endswith("@ 1 []\n"), result.stdout[-200:] + result.stderr


@pytest.mark.slow
def test_an_interrupt_in_the_terminal(home: Path) -> None:
    """An interrupt goes to all processes of the terminal at once."""
    text = (ROOT / "specs" / "unet" / "unet.nn").read_text(encoding="utf-8")
    for number in range(1500):  # many more than can be checked until the interrupt comes
        (home / f"{number}.nn").write_text(text, encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-m", "nnspec", "check", ".", "--no-cache"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    time.sleep(2)
    os.killpg(process.pid, signal.SIGINT)
    out, error = process.communicate(timeout=30)
    assert (process.returncode, out, error) == (130, b"", b"")


def test_names_of_files_need_not_be_text(home: Path) -> None:
    name = os.fsdecode(b"\xff b.nn")
    try:
        (home / name).write_text(str(FILES["narrow.nn"]), encoding="utf-8")
    except OSError:
        pytest.skip("this file system takes no such name")
    (home / "nnspec.toml").touch()
    for _ in range(2):
        outcomes = checked()
        assert [each.path for each in outcomes] == [name]
        told = verdict(outcomes)
        for style in FORMATS:
            assert render(told.findings, style, files=1)
        assert "%FF%20b.nn" in render(told.findings, "sarif", files=1)


def test_a_file_that_is_named_twice_is_checked_once(home: Path) -> None:
    plant(home, "narrow.nn")
    assert specs(["./narrow.nn", "narrow.nn", "."]) == ["./narrow.nn"]
    outcomes = checked("narrow.nn", str(home / "narrow.nn"), cache=False)
    assert [finding.code for finding in verdict(outcomes).findings] == ["NN220", "NN220"]
