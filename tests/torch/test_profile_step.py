"""What a step costs by line of the spec: times, work, limits, memory, trace and page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from nnspec.checker import Report, check_source
from nnspec.cli import main
from nnspec.diagnostics import Source
from nnspec.profiling.measure import LineCost, Measurement, measure_step
from nnspec.profiling.memory_estimate import recipe_memory
from nnspec.profiling.page import page
from nnspec.profiling.roofline import Roofline, roofline
from nnspec.training.profiled_step import RecipeSubject

pytestmark = pytest.mark.torch

#: The comment would be a script, if a page did not escape it.
SPEC = """network Net(width: int = 24) {
  input x: float32[N, 1, 8, 8]
  h = x -> Conv2d(8, 3) -> ReLU -> Flatten  # <script>alert("&")</script>
  output y = h -> Linear(width) -> ReLU
    -> Linear(10)
}
train Net {
  data digits = Digits()
  minimize cross_entropy(digits.image -> Net, digits.label)
  optimizer Adam(lr=1e-3)
  batch_size 16
  epochs 1
}
"""
STEPS = """network G {
  input z: float32[N, 4]
  output x: float32[N, 8] = z -> Linear(16) -> ReLU -> Linear(8)
}
network D {
  input x: float32[N, 8]
  output y: float32[N, 1] = x -> Linear(16) -> ReLU -> Linear(1)
}
train Both {
  data real = Digits()
  fake = normal[N, 4] -> G
  step d {
    minimize mean(D(detach(fake))) - mean(D(real.image[:, 0, 0]))
    update D
  }
  step g {
    minimize -mean(D(fake))
    update G
  }
  optimizer Adam(lr=1e-3)
  batch_size 16
  steps 10
}
"""
AT = Roofline(1e9, 1e8, 1e-6, "cpu", 1)


def checked(text: str) -> Report:
    report = check_source(Source("net.nn", text))
    assert report.ok, [finding.message for finding in report.findings]
    return report


def subject_of(text: str = SPEC) -> RecipeSubject:
    (recipe,) = checked(text).recipes.values()
    return RecipeSubject(recipe, {"N": 16}, "cpu")


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Measurement, Path]:
    trace = tmp_path_factory.mktemp("trace") / "trace.json"
    return measure_step(subject_of(), repeats=2, warmup=1, trace=trace), trace


def test_a_step_has_three_phases_and_its_lines(measured: tuple[Measurement, Path]) -> None:
    found, _ = measured
    assert found.backward is not None
    assert found.step is not None
    lines = {line.line: line for line in found.by_line()}
    assert set(lines) == {3, 4, 5, 9}
    assert lines[3].operators == {"Conv2d": 1, "ReLU": 1, "Flatten": 1}
    assert lines[9].operators["cross_entropy"] == 1
    assert lines[3].flop == 2 * 16 * 8 * 36 * 9
    assert lines[4].flop == 2 * 16 * 288 * 24
    assert lines[5].flop == 2 * 16 * 24 * 10
    assert lines[4].parameter_bytes == 4 * (288 * 24 + 24)
    assert all(line.forward_ms > 0 for line in lines.values())
    assert lines[4].optimizer_ms > 0
    assert lines[9].optimizer_ms == 0
    assert (lines[4].backward_ms or 0) > 0


def test_bytes_of_a_line_are_what_is_read_and_written(measured: tuple[Measurement, Path]) -> None:
    line = next(line for line in measured[0].by_line() if line.line == 5)
    assert line.moved_bytes == 4 * (16 * 24 + 16 * 10 + 24 * 10 + 10)
    assert line.output_bytes == 4 * 16 * 10


def test_the_peak_has_a_line(measured: tuple[Measurement, Path]) -> None:
    found, _ = measured
    recording = found.recording
    assert recording.peak == max(held for _, held, _ in recording.timeline())
    assert recording.peak > recording.fixed > 0
    phases = [each.phase for each in recording.allocations]
    assert {"forward", "backward"} <= set(phases)
    assert recording.peak_at is not None
    assert any(each.phase == "backward" and each.origin is not None and each.origin.line == 4 for each in recording.allocations)


def test_all_that_a_step_allocates_is_freed(measured: tuple[Measurement, Path]) -> None:
    (*_, (_, held, _)) = measured[0].recording.timeline()
    assert held == measured[0].recording.fixed


def test_the_trace_names_lines_forward_and_backward(measured: tuple[Measurement, Path]) -> None:
    events = json.loads(measured[1].read_text())["traceEvents"]
    names = {event.get("name", "") for event in events}
    assert any("Conv2d (net.nn:3)" in name and "backward" not in name for name in names)
    assert any(name.startswith("backward of") and "Linear (net.nn:5)" in name for name in names)


def test_a_page_is_whole_and_escaped(measured: tuple[Measurement, Path]) -> None:
    subject = subject_of()
    estimate = recipe_memory(subject.recipe, subject.symbols)
    text = page(measured[0], estimate, {"net.nn": SPEC}, ["a <note>"])
    assert text.count("<svg") == text.count("</svg>") == 3
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "a &lt;note&gt;" in text
    assert "http" not in text


def test_steps_of_several_networks() -> None:
    found = measure_step(subject_of(STEPS), repeats=1, warmup=1)
    lines = {line.line: line for line in found.by_line()}
    assert lines[7].flop == 3 * 2 * 16 * (8 * 16 + 16)  # three calls of D, in two stages
    assert lines[3].flop == 2 * 16 * (4 * 16 + 16 * 8)
    assert lines[7].parameter_bytes == 4 * (8 * 16 + 16 + 16 + 1)
    assert found.step is not None


def test_limits() -> None:
    """1 GFLOP/s and 100 MB/s: ten FLOPs a byte are even."""
    line = LineCost("a.nn", 1, forward_ms=20.0, flop=10_000_000, moved_bytes=100_000)
    assert line.bound(AT) == "compute"
    assert line.share_of_attainable(AT) == pytest.approx(0.5)
    line = LineCost("a.nn", 1, forward_ms=4.0, backward_ms=4.0, flop=1000, moved_bytes=100_000)
    assert line.bound(AT) == "memory"
    assert line.share_of_attainable(AT) == pytest.approx(3 * 1e-3 / 8e-3)
    assert LineCost("a.nn", 1, forward_ms=4.0).share_of_attainable(AT) is None
    assert AT.ridge == 10


def test_the_roofline_is_measured_once() -> None:
    found = roofline("cpu")
    assert found is roofline("cpu")
    assert found.flop_per_second > 1e8
    assert found.bytes_per_second > 1e8
    assert 0 < found.call_seconds < 1e-2


def test_small_operators_are_warned_of(measured: tuple[Measurement, Path]) -> None:
    found, _ = measured
    slow = found.roofline._replace(call_seconds=1.0)
    fast = found.roofline._replace(call_seconds=0.0)
    assert Measurement(**{**vars(found), "roofline": slow}).launch_bound
    assert not Measurement(**{**vars(found), "roofline": fast}).launch_bound


# --- the command --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.nn").write_text(SPEC, encoding="utf-8")
    return tmp_path


def command(*arguments: str) -> int:
    return main(["profile", "net.nn", "--repeats", "1", "--device", "cpu", "-q", *arguments])


def test_report_in_80_columns(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("--html", "page.html", "--trace", "trace.json") == 0
    out = capsys.readouterr().out
    table = out.split("\n\n")[1]
    assert max(map(len, table.split("\n"))) <= 80
    for word in ("Conv2d", "bwd ms", "device", "counted", "samples/s"):
        assert word in out
    assert (spec / "page.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert json.loads((spec / "trace.json").read_text())["traceEvents"]


def test_json(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("--json", "--batch", "4") == 0
    found: Any = json.loads(capsys.readouterr().out)
    assert found["batch"] == 4
    assert found["memory"]["error"] == pytest.approx(found["memory"]["estimated_bytes"] / found["memory"]["measured_bytes"] - 1)
    assert {line["line"] for line in found["lines"]} == {3, 4, 5, 9}
    assert found["roofline"]["flop_per_second"] > 0


def test_beside_the_network_as_written(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("--inference", "--vs", "eager", "--json") == 0
    assert "as written" in json.loads(capsys.readouterr().out)["others"]
    assert command("--vs", "eager") == 2
    assert command("--vs", "onnx") == 2


def test_what_fits(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("--fit", "1MiB", "--json") == 0
    found: Any = json.loads(capsys.readouterr().out)
    largest = found["largest_batch"]
    assert found["peak_bytes"][str(largest)] <= 2**20
    assert command("--fit", "1KiB") == 1
    assert "no batch" in capsys.readouterr().out
    assert command("--fit", "much") == 2
    assert command("--fit", "free") == 0


def test_a_network_by_itself(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("--network", "Net", "--nodes") == 0
    out = capsys.readouterr().out
    assert "backward ms" in out
    assert "cross_entropy" not in out
    assert command("--network", "Net", "--recipe", "Net") == 2
    assert command("--recipe", "Nat") == 2


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_step_on_cuda(tmp_path: Path) -> None:
    (recipe,) = checked(SPEC).recipes.values()
    subject = RecipeSubject(recipe, {"N": 64}, "cuda")
    found = measure_step(subject, repeats=3, trace=tmp_path / "trace.json")
    assert found.peak_bytes >= torch.cuda.memory_allocated() > 0
    assert found.recording.allocations
    assert found.launch_ms > 0
    assert all(line.forward_ms > 0 for line in found.by_line())
    assert found.roofline.flop_per_second > 1e11
