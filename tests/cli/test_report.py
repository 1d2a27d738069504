"""`nnspec report`: one page that holds all that it shows, whatever a run or a spec is made of."""

from __future__ import annotations

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from example_specs import Command
from run_folders import CALIBRATION, EVALUATION, PIXEL, SPEC, write_run

HOSTILE = "<script>alert(1)</script>\"'&<img src=x onerror=alert(2)>"
#: Elements that a page of ours may have. None of them runs or loads anything, but for pictures.
ALLOWED = set(
    "html head meta title style body header section footer div p span b i h1 h2 h3 figure img figcaption table thead tbody tr th td dl dt dd "
    "details summary pre svg line polyline circle rect text".split()
)
VOID = {"meta", "img"}


class Page(HTMLParser):
    """Reads a page: its text, its pictures, and what stands open at its end."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.names: list[str] = []
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return "".join(self.words)


def page(nnspec: Command, run: Path) -> Page:
    code, out, err = nnspec("report", str(run))
    assert code == 0, err
    path = Path(out.strip())
    assert path == run / "report.html"
    return read(path)


def read(path: Path) -> Page:
    text = path.read_text(encoding="utf-8")
    found = Page(text)
    assert found.open == [], "every element is closed"
    assert set(found.names) <= ALLOWED
    for tag, name, value in found.attributes:
        assert not name.startswith("on"), (tag, name)
        assert name != "href"
        assert name != "src" or (value or "").startswith("data:image/png;base64,")
    assert "url(" not in text
    assert "@import" not in text
    return found


def test_what_a_classifier_shows(nnspec: Command, folder: Path) -> None:
    run = write_run(folder / "Small-20261121-011023", settings={"lr": 0.3}, evaluation=EVALUATION, best="step_20")
    (run / "mistakes.png").write_bytes(PIXEL)
    (run / "confusion.png").write_bytes(PIXEL)
    (run / "samples").mkdir()
    (run / "samples" / "Book.text.txt").write_text("once upon a time")
    text = page(nnspec, run).text
    for shown in (
        "Small", "finished", "begun 2026-11-21 01:10:23 UTC", "best validation_accuracy, epoch 2", "0.8", "1,210", "4.5 s", "Learning curves",
        "Measured on test, 100 samples.", "cat", "dog", "0.8889", "confusion matrix", "Expected calibration error 0.0625", "mistakes and doubts",
        "once upon a time", "batch_size", "SGD", "0.3", "c0ffee", "train 70, validation 10, test 20", "2.13.0", SPEC.split("\n")[1],
        "kept: epoch 2", "macro average",
    ):  # fmt: skip
        assert shown in text, shown


def test_charts_draw_what_was_logged(nnspec: Command, folder: Path) -> None:
    found = page(nnspec, write_run(folder / "run", evaluation=EVALUATION))
    lines = [(tag, value) for tag, name, value in found.attributes if tag == "polyline" and name == "class"]
    assert [value for _, value in lines].count("train") == 2, "loss and accuracy"
    assert [value for _, value in lines].count("validation") == 2
    assert [value for _, value in lines].count("rate") == 1
    told = [word for word in found.words if word.startswith("validation accuracy, epoch ")]
    assert told == ["validation accuracy, epoch 1: 0.5", "validation accuracy, epoch 2: 0.8", "validation accuracy, epoch 3: 0.7"]
    heights = [
        float(point.split(",")[1]) for _, name, value in found.attributes if name == "points" and value for point in value.split()
    ]
    assert all(0 <= height <= 240 for height in heights)


def test_pictures_are_inside(nnspec: Command, folder: Path) -> None:
    run = write_run(folder / "run")
    (run / "confusion.png").write_bytes(PIXEL)
    (run / "nothing.png").write_bytes(b"<svg onload=alert(1)>")
    found = page(nnspec, run)
    sources = [value for _, name, value in found.attributes if name == "src"]
    assert sources == [f"data:image/png;base64,{base64.b64encode(PIXEL).decode()}"], "an older run's, and no file that is no PNG"


def test_hostile_names(nnspec: Command, folder: Path) -> None:
    spec = SPEC.replace("epochs 3", f"epochs 3  # {HOSTILE}")
    evaluation = {
        **EVALUATION, "classes": [HOSTILE, "$\\bad$"], "notes": [HOSTILE], "unit": HOSTILE,
        "averages": {HOSTILE: {"precision": HOSTILE}}, "calibration": {**CALIBRATION, "confidence": HOSTILE},
    }  # fmt: skip
    run = write_run(
        folder / "run", text=spec, settings={"lr": HOSTILE, HOSTILE: [1, {"a": HOSTILE}]}, evaluation=evaluation, recipe=HOSTILE,
        status=HOSTILE, reason=HOSTILE, judged_by=f"{HOSTILE}, higher is better", best=HOSTILE, parameters={HOSTILE: 3, "b": HOSTILE},
        final={"part": HOSTILE, HOSTILE: 0.5}, data={HOSTILE: {"samples": {HOSTILE: 3}, "hash": HOSTILE}}, sizes={HOSTILE: 3},
        sessions=[{"environment": {HOSTILE: HOSTILE}}, HOSTILE],
    )  # fmt: skip
    with (run / "metrics.jsonl").open("a") as log:
        log.write(json.dumps({"epoch": HOSTILE, "step": 40, HOSTILE: 1.0, f"lr.{HOSTILE}": 2.0, "accuracy": HOSTILE}) + "\n")
        log.write('{"epoch": 5, "cut')
    (run / "samples").mkdir()
    (run / "samples" / "a<script>.png").write_bytes(PIXEL)
    (run / "samples" / "b<script>.txt").write_text(HOSTILE)
    found = page(nnspec, run)
    assert found.text.count("<script>alert(1)</script>") > 10, "shown as it is written"


@pytest.mark.parametrize(
    "changes",
    [
        {"parameters": None}, {"parameters": 3}, {"sessions": None}, {"sessions": {}}, {"final": []}, {"final": {"accuracy": 10**310}},
        {"judged_by": 3}, {"steps": "many"}, {"seconds": None}, {"seconds": "long"}, {"sizes": 3}, {"data": {"digits": 3}},
        {"spec": {"path": "../../secret.nn"}}, {"spec": {"path": 3}}, {"spec": {}},
    ],
    ids=str,
)  # fmt: skip
def test_manifests_of_any_kind(nnspec: Command, folder: Path, changes: dict[str, Any]) -> None:
    (folder / "secret.nn").write_text("secret")
    run = write_run(folder / "below" / "run", evaluation=EVALUATION, **changes)
    assert "secret" not in page(nnspec, run).text


@pytest.mark.parametrize(
    "evaluation",
    [
        {"confusion": [[1, 2]]}, {"confusion": [["a"]]}, {"confusion": 3}, {"per_class": [1]}, {"calibration": {"bins": [{"low": "x"}]}},
        {"classes": {"a": 1}}, {"averages": [1]}, {"samples": "many"}, {"metrics": None}, {"calibration": {"error": 1, "bins": 3}},
    ],
    ids=str,
)  # fmt: skip
def test_evaluations_of_any_kind(nnspec: Command, folder: Path, evaluation: dict[str, Any]) -> None:
    page(nnspec, write_run(folder / "run", evaluation={**EVALUATION, **evaluation}))


@pytest.mark.parametrize(
    "values", [[1e-320, 2e-320], [-1e299, 1e299], [5.0, 5.0], [0.0], [1e-9, 1e9], [3, 10**300], [float("nan"), 1.0]], ids=str
)
def test_figures_of_any_size(nnspec: Command, folder: Path, values: list[float]) -> None:
    page(nnspec, write_run(folder / "run", accuracies=values, final={"part": "test", "accuracy": values[0]}))


def test_links_lead_nowhere(nnspec: Command, folder: Path) -> None:
    (folder / "secret.txt").write_text("secret")
    run = write_run(folder / "run")
    (run / "samples").mkdir()
    (run / "samples" / "own.txt").symlink_to(folder / "secret.txt")
    (run / "spec" / "other.nn").symlink_to(folder / "secret.txt")
    assert "secret" not in page(nnspec, run).text


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"status": "running", "final": None, "steps": None, "seconds": None}, "It goes on still, or was killed"),
        ({"status": "failed", "reason": "the loss is nan since step 3"}, "the loss is nan since step 3"),
        ({"status": "stopped", "reason": "stopped by signal 2"}, "stopped by signal 2"),
    ],
)
def test_runs_without_an_end(nnspec: Command, folder: Path, changes: dict[str, Any], shown: str) -> None:
    text = page(nnspec, write_run(folder / "run", **changes)).text
    assert shown in text
    assert "Learning curves" in text


def test_an_agent(nnspec: Command, folder: Path) -> None:
    lines = [
        {"step": 100 * at, "episode": at, "mean_return": float(at), "loss": 1.0, "epsilon": 0.1, "lr": 0.5, "seconds": at}
        for at in (1, 2)
    ]
    run = write_run(
        folder / "run", data={}, judged_by="mean_return, higher is better", final={"episodes": 100, "mean_return": 9.0}, episodes=2,
        seconds=None, evaluation={"episodes": 100, "metrics": {"mean_return": 9.0}, "returns": [9.0], "lengths": [9], "notes": []},
    )  # fmt: skip
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (run / "returns.png").write_bytes(PIXEL)
    text = page(nnspec, run).text
    for shown in (
        "mean_return, 100 episodes",
        "best mean_return, step 200",
        "2.0 s",
        "mean return",
        "epsilon",
        "returns of the episodes",
    ):
        assert shown in text, shown


def test_a_spec_of_another_version_is_told(nnspec: Command, folder: Path) -> None:
    text = page(nnspec, write_run(folder / "run", text="network Net {\n  future words\n}\n")).text
    assert "this version does not understand the spec of the run" in text
    assert "future words" in text


def test_many_classes(nnspec: Command, folder: Path) -> None:
    matrix = [[3 if row == column else int(column == (row + 1) % 60) for column in range(60)] for row in range(60)]
    text = page(nnspec, write_run(folder / "run", evaluation={**EVALUATION, "classes": [], "confusion": matrix})).text
    assert "mistaken most" in text
    assert "25.0%" in text
    assert "is \\ taken for" not in text


def test_elsewhere(nnspec: Command, folder: Path) -> None:
    run = write_run(folder / "run")
    assert nnspec("report", str(run), "-o", "page.html").out == "page.html\n"
    read(folder / "page.html")
    assert not (run / "report.html").exists()
    code, _, err = nnspec("report", str(run), "-o", "nowhere/page.html")
    assert code == 2
    assert "the report cannot be written to nowhere/page.html" in err


def test_what_is_no_run(nnspec: Command, folder: Path) -> None:
    assert "nowhere does not exist" in nnspec("report", "nowhere").err
    assert ". is not a run folder: it has no manifest.json" in nnspec("report", ".").err
    (folder / "manifest.json").write_text("{}")
    code, _, err = nnspec("report", ".")
    assert code == 2
    assert "cannot be read as a run's manifest" in err


def test_the_page_says_so_itself(nnspec: Command, folder: Path) -> None:
    run = write_run(folder / "run")
    page(nnspec, run)
    text = (run / "report.html").read_text(encoding="utf-8")
    assert re.search(r"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\"", text)
