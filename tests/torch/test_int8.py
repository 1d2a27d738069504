"""Networks in int8: with samples of the data throughout, without them in matrix products alone; and runs that are compiled."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from test_training_resume import ADVERSARIAL
from torch import Tensor
from training_specs import digits, trained

import nnspec
from nnspec.cli import main
from nnspec.engines import choice, compile_for
from nnspec.engines.compiled import DECISION
from nnspec.engines.engine import Subject, Unsuitable
from nnspec.engines.onnx_runtime import onnx_model
from nnspec.graph.ir import Graph
from nnspec.passes.admissible import admissible_sizes
from nnspec.torch_backend.lower import lower
from nnspec.training.calibration import network_inputs
from nnspec.training.errors import RunError

pytestmark = pytest.mark.torch
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

MLP = "network Net { input x: float32[N, 64] output y = x -> Linear(128) -> ReLU -> Linear(8) }"
CNN = "network Net { input x: float32[N, 4, 16, 16] output y = x -> Conv2d(16, 3) -> ReLU -> Conv2d(16, 3) -> Flatten }"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NNSPEC_CACHE", str(tmp_path / "cache" / "data"))
    monkeypatch.setattr(choice, "_SECONDS", 0.001)


def subject(text: str, calibration: tuple[tuple[Tensor, ...], ...] = ()) -> Subject:
    graph = nnspec.check(text).graph("Net")
    state = lower(graph, guards=False, seed=0).state_dict()
    return Subject(graph, state, admissible_sizes(graph, {"N": 16}), 2, "int8", 0.05, calibration)


def batches(shape: tuple[int, ...], count: int) -> tuple[tuple[Tensor, ...], ...]:
    generator = torch.Generator().manual_seed(0)
    return tuple((torch.rand(shape, generator=generator),) for _ in range(count))


def kinds(model: bytes) -> set[str]:
    return {node.op_type for node in onnx.load_model_from_string(model).graph.node}


def test_without_samples_products_are_of_whole_numbers() -> None:
    assert "MatMulInteger" in kinds(onnx_model(subject(MLP)))


def test_convolutions_need_samples() -> None:
    with pytest.raises(Unsuitable, match="with samples of the data"):
        onnx_model(subject(CNN))
    assert "QuantizeLinear" in kinds(onnx_model(subject(CNN, batches((16, 4, 16, 16), 3))))


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("text", [MLP, CNN])
def test_the_error_is_measured_and_kept_within_the_tolerance(engine: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip(engine)
    monkeypatch.setattr(choice, "MARGIN", 0.0)  # taken however slow it is
    graph: Graph = nnspec.check(text).graph("Net")
    samples = batches((16, 64) if text == MLP else (16, 4, 16, 16), 4)
    module = compile_for(graph, {"N": 16}, seed=0, engines=[engine], precision="int8", calibration=samples)
    decision = module.meta[DECISION]
    timing = next(each for each in decision.timings if each.engine == engine)
    assert decision.engine == engine, decision.lines()
    assert 0 < timing.error <= 0.05
    reference = lower(graph, seed=0).eval()
    with torch.no_grad():
        wanted, found = reference(*samples[0]), module(*samples[0])
    assert float((wanted - found).abs().max() / wanted.abs().max()) == pytest.approx(timing.error, rel=0.05)
    strict = compile_for(graph, {"N": 16}, seed=0, engines=[engine], precision="int8", calibration=samples, tolerance=1e-6)
    refused = next(each for each in strict.meta[DECISION].timings if each.engine == engine)
    assert strict.meta[DECISION].engine == "torch"
    assert "1e-06 is allowed" in refused.reason


def test_a_decision_is_not_remembered_for_other_weights_or_samples() -> None:
    graph = nnspec.check(MLP).graph("Net")
    samples = batches((16, 64), 3)
    made = [
        compile_for(graph, {"N": 16}, seed=seed, engines=["onnxruntime"], precision="int8", calibration=given)
        for seed, given in ((0, samples), (0, samples), (1, samples), (0, samples[1:]))
    ]
    assert [each.meta[DECISION].remembered for each in made] == [False, True, False, False]


def test_a_run_is_compiled_with_its_weights_and_compared_on_its_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = trained(tmp_path, digits("optimizer SGD(lr=0.1)")).run
    capsys.readouterr()
    assert main(["compile", str(run), "--batch", "32", "--precision", "int8", "--tolerance", "0.2", "--json", "--quiet"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["same"]
    assert found["engine"]["precision"] == "int8"
    assert found["engine"]["sizes"] == {"N": 32}
    assert main(["compile", str(run), "-o", str(tmp_path / "compiled"), "--quiet"]) == 0
    from safetensors.torch import load_file

    written = load_file(tmp_path / "compiled" / "Net.safetensors")
    assert any(tensor.abs().max() > 0 for tensor in written.values())
    assert main(["compile", str(run), "--set", "dropout=0.5"]) == 2
    assert "a run is compiled as it is" in capsys.readouterr().err


def test_inputs_of_a_run_are_those_of_its_data(tmp_path: Path) -> None:
    run = trained(tmp_path, digits("optimizer SGD(lr=0.1)")).run
    found = network_inputs(run, "net", 32, 3)
    assert [[tuple(each.shape) for each in batch] for batch in found] == [[(32, 1, 8, 8)]] * 3
    assert not torch.equal(found[0][0], found[1][0])
    adversarial = trained(tmp_path, ADVERSARIAL).run
    assert network_inputs(adversarial, "Maker", 32, 2)[0][0].shape == (32, 8)
    with pytest.raises(RunError, match="measures nothing with `Judge`"):
        network_inputs(adversarial, "Judge", 32, 2)
