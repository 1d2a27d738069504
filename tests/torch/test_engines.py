"""The choice of an engine, and what a network does that runs by one: the same everywhere, at other sizes and with other weights."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

import nnspec
from nnspec.engines import ENGINES, Decision, Engine, Subject, choice, compile_for, compiled, table
from nnspec.engines.compiled import DECISION
from nnspec.engines.engine import Run, Unsuitable
from nnspec.graph.ir import Graph
from nnspec.passes.admissible import admissible_sizes
from nnspec.torch_backend.lower import lower

pytestmark = pytest.mark.torch

TEXT = """
network Net {
  input image: float32[N, 3, H, 8] where H % 2 == 0
  h = image -> Conv2d(6, 3, padding=1) as conv -> BatchNorm2d as norm -> ReLU -> MaxPool2d(2)
  output logits = h -> AdaptiveAvgPool2d(1) -> Flatten -> Linear(4) as head
  output share = softmax(logits, dim=1)
}
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing is remembered from elsewhere, and timing is short."""
    monkeypatch.setenv("NNSPEC_CACHE", str(tmp_path / "cache" / "data"))
    monkeypatch.setattr(choice, "_SECONDS", 0.001)
    monkeypatch.setattr(choice, "_REST_S", 0.0)
    return tmp_path / "cache" / "engines.json"


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> Engine:
    """An engine by its name; where it cannot be had, the test is skipped, which says why."""
    found = ENGINES[request.param]
    if (reason := found.missing()) is not None:
        pytest.skip(reason)
    return found


def graph() -> Graph:
    return nnspec.check(TEXT).graph("Net")


class Made(Engine):
    """An engine for tests, which runs the network in torch and says how long it takes."""

    def __init__(
        self, name: str, seconds: float = 0.0, wrong: float = 0.0, trouble: Exception | None = None, lacks: str | None = None
    ):
        self.name, self.seconds, self.wrong, self.trouble, self.lacks = name, seconds, wrong, trouble, lacks
        self.calls = 0

    def missing(self) -> str | None:
        return self.lacks

    def prepare(self, subject: Subject) -> Run:
        if self.trouble is not None:
            raise self.trouble
        module = subject.module("no")

        def run(inputs: tuple[Tensor, ...]) -> list[Tensor]:
            self.calls += 1
            return [each + self.wrong for each in subject.outputs(module(*inputs))]

        return run


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> dict[str, Engine]:
    """Plain torch, slowed down, and whatever a test adds."""
    made: dict[str, Engine] = {"torch": Made("torch", 0.003)}
    made["torch"].torch_module = ENGINES["torch"].torch_module  # type: ignore[method-assign]
    for module in (table, choice, compiled):
        monkeypatch.setattr(module, "ENGINES", made)

    def timed(runs: Mapping[str, Run], inputs: tuple[Tensor, ...]) -> dict[str, float]:
        """What each says that it takes: what a machine with other work measures is no matter of a test."""
        return {name: getattr(made[name], "seconds", 0.0) * 1e3 + 0.1 for name in runs}

    monkeypatch.setattr(choice, "_timed", timed)
    return made


def decided(**more: object) -> Decision:
    found: Decision = compile_for(graph(), {"N": 2, "H": 6}, seed=0, **more).meta[DECISION]  # type: ignore[arg-type]
    return found


def test_the_fastest_is_taken_and_the_others_are_told_of(engines: dict[str, Engine]) -> None:
    for each in (Made("quick"), Made("slow", 0.01), Made("wrong", wrong=0.1), Made("none", lacks="it is not installed"),
                 Made("not", trouble=Unsuitable("it has no wings")), Made("broken", trouble=RuntimeError("oh\nno"))):  # fmt: skip
        engines[each.name] = each
    found = decided()
    assert found.engine == "quick"
    assert not found.remembered
    said = {each.engine: each.reason for each in found.timings}
    assert said["none"] == "it is not installed"
    assert said["not"] == "it has no wings"
    assert said["broken"] == "it fails: oh"
    assert said["wrong"].startswith("it differs by ")
    assert {each.engine for each in found.timings if each.ms is not None} == {"torch", "quick", "slow"}
    assert found.lines()[0] == "runs with `quick` at N = 2, H = 6"


def test_who_cannot_win_is_not_timed_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """And one bad round puts nobody out."""
    takes = {"fast": [9.0, 1.0, 1.0, 1.0, 1.0, 1.0], "near": [1.2] * 6, "tie": [1.1, 1.1, 1.1, 1.1, 1.1, 1.05], "far": [1.6] * 6}
    runs: dict[str, Run] = {name: (lambda inputs: []) for name in takes}
    rounds = {id(run): iter(takes[name]) for name, run in runs.items()}
    monkeypatch.setattr(choice, "_median_ms", lambda run, inputs: next(rounds[id(run)]))
    assert choice._timed(runs, ()) == {"fast": 1.0, "near": 1.2, "tie": 1.05, "far": 1.6}
    left = {name: len(list(rounds[id(run)])) for name, run in runs.items()}
    assert left == {"fast": 0, "near": 2, "tie": 0, "far": 4}


def test_one_that_is_left_is_timed_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[Run] = []
    runs: dict[str, Run] = {name: (lambda inputs: []) for name in ("fast", "far")}
    monkeypatch.setattr(choice, "_median_ms", lambda run, inputs: called.append(run) or (1.0 if run is runs["fast"] else 2.0))
    assert choice._timed(runs, ()) == {"fast": 1.0, "far": 2.0}
    assert len(called) == 4


def test_what_is_not_faster_by_a_margin_is_not_taken(engines: dict[str, Engine]) -> None:
    engines["same"] = Made("same", 0.003)
    assert decided().engine == "torch"


def test_only_those_that_are_named_are_tried(engines: dict[str, Engine]) -> None:
    engines["quick"] = Made("quick")
    assert decided(engines=["torch"]).engine == "torch"
    assert engines["quick"].calls == 0  # type: ignore[attr-defined]


def test_a_decision_is_remembered_for_the_same_network_and_sizes(engines: dict[str, Engine], cache: Path) -> None:
    engines["quick"] = Made("quick")
    first, again = decided(), decided()
    assert (first.remembered, again.remembered) == (False, True)
    assert again.engine == first.engine
    assert again.timings == first.timings
    assert len(json.loads(cache.read_text())) == 1
    other: Decision = compile_for(graph(), {"N": 3, "H": 6}, seed=0).meta[DECISION]
    assert not other.remembered
    assert len(json.loads(cache.read_text())) == 2
    cache.write_text("not JSON")
    assert not decided().remembered


def test_bfloat16_is_taken_where_it_is_near_enough(engines: dict[str, Engine]) -> None:
    engines["rough"], engines["exact"] = Made("rough", wrong=0.001), Made("exact", 0.002)
    engines["rough"].precisions = ("float32", "bfloat16")
    found = decided(precision="bfloat16")
    assert found.engine == "rough"
    said = {each.engine: each for each in found.timings}
    assert said["exact"].error == 0, "float32 is allowed as well, where an engine has nothing else"
    assert 0 < said["rough"].error < 0.02
    assert found.lines()[0] == "runs with `rough` at N = 2, H = 6, bfloat16 allowed"
    assert found.lines()[2].endswith(f"off by {said['rough'].error:.1e} of the output")
    strict = decided(precision="bfloat16", tolerance=1e-6)
    assert strict.engine == "exact"
    assert {each.engine: each.reason for each in strict.timings}["rough"].endswith("and 1e-06 is allowed")


@pytest.mark.parametrize("engine", [name for name, each in ENGINES.items() if "bfloat16" in each.precisions], indirect=True)
def test_every_engine_in_bfloat16(engine: Engine) -> None:
    network = graph()
    reference = lower(network, seed=0)
    subject = Subject(network, reference.state_dict(), admissible_sizes(network, {"N": 2, "H": 6}), 1, "bfloat16", 0.02)
    found = engine.prepare(subject)(subject.inputs)
    for left, right in zip(found, subject.outputs(reference(*subject.inputs)), strict=True):
        assert left.dtype == torch.float32
        torch.testing.assert_close(left, right, rtol=0.03, atol=0.01)
    assert engine.torch_module(subject) is None


def test_a_remembered_engine_that_fails_is_measured_again(engines: dict[str, Engine]) -> None:
    engines["quick"] = Made("quick")
    assert decided().engine == "quick"
    engines["quick"] = Made("quick", trouble=RuntimeError("it is gone"))
    said: list[str] = []
    found = decided(told=said.append)
    assert (found.engine, found.remembered) == ("torch", False)
    assert said[0] == "`quick` was the fastest, and fails now: it is gone"


def test_where_nothing_can_be_remembered_it_is_measured(
    engines: dict[str, Engine], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NNSPEC_CACHE", str(tmp_path / "file" / "data"))
    assert not decided().remembered
    assert not decided().remembered


# --- what the network does then -----------------------------------------------------------------------------------------------


def test_it_runs_by_the_engine_at_its_sizes_and_in_torch_elsewhere(engines: dict[str, Engine]) -> None:
    made = engines["quick"] = Made("quick")
    module, reference = compile_for(graph(), {"N": 2, "H": 6}, seed=0), lower(graph(), seed=0)
    assert isinstance(module, torch.fx.GraphModule)
    assert [node.op for node in module.graph.nodes] == ["placeholder", "call_module", "output"]
    before = made.calls

    def same(x: Tensor) -> None:
        found, expected = module(x), reference(x)
        assert list(found) == list(expected) == ["logits", "share"]
        for name in expected:
            torch.testing.assert_close(found[name], expected[name])

    same(torch.randn(2, 3, 6, 8))
    assert made.calls == before + 1
    same(torch.randn(5, 3, 4, 8))
    same(torch.randn(2, 3, 6, 8).requires_grad_())
    module.double(), reference.double()
    same(torch.randn(2, 3, 6, 8, dtype=torch.float64))
    assert made.calls == before + 1
    with pytest.raises(ValueError, match="H % 2"):
        module(torch.randn(2, 3, 5, 8))


def test_names_of_weights_are_those_of_the_folded_network_and_new_weights_count(engines: dict[str, Engine]) -> None:
    engines["quick"] = made = Made("quick")
    module = compile_for(graph(), {"N": 2, "H": 6}, seed=0)
    assert set(module.state_dict()) == {"conv.weight", "conv.bias", "head.weight", "head.bias"}
    x = torch.randn(2, 3, 6, 8)
    before = module(x)["logits"]
    calls = made.calls
    module.load_state_dict({name: 2 * value for name, value in module.state_dict().items()})
    after = module(x)["logits"]
    assert made.calls == calls, "the engine has the old weights"
    assert not torch.allclose(before, after)


def test_copies_run_in_torch(engines: dict[str, Engine]) -> None:
    engines["quick"] = made = Made("quick")
    module = compile_for(graph(), {"N": 2, "H": 6}, seed=0)
    x = torch.randn(2, 3, 6, 8)
    expected, calls = module(x)["logits"], made.calls
    for again in (pickle.loads(pickle.dumps(module)), copy.deepcopy(module)):
        torch.testing.assert_close(again(x)["logits"], expected)
    assert made.calls == calls


def test_a_layer_may_be_called_engine(engines: dict[str, Engine]) -> None:
    engines["quick"] = Made("quick")
    renamed = nnspec.check(TEXT.replace("as head", "as engine")).graph("Net")
    module = compile_for(renamed, {"N": 2, "H": 6}, seed=0)
    assert set(module.state_dict()) == {"conv.weight", "conv.bias", "engine.weight", "engine.bias"}
    torch.testing.assert_close(module(torch.ones(2, 3, 6, 8)), lower(renamed, seed=0)(torch.ones(2, 3, 6, 8)))


@pytest.mark.filterwarnings("ignore")  # Inductor's own
@pytest.mark.parametrize("engine", ENGINES, indirect=True)
def test_every_engine_computes_the_network(engine: Engine) -> None:
    network = graph()
    reference = lower(network, seed=0)
    subject = Subject(network, reference.state_dict(), admissible_sizes(network, {"N": 2, "H": 6}), 1)
    found = engine.prepare(subject)(subject.inputs)
    for left, right in zip(found, subject.outputs(reference(*subject.inputs)), strict=True):
        torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("engine", [name for name, each in ENGINES.items() if not each.asked_only], indirect=True)
@pytest.mark.parametrize("samples", [2, 200])
def test_outputs_stay_and_inputs_may_lie_anyhow(engine: Engine, samples: int) -> None:
    """Small ones are copied, large ones are not."""
    module = compile_for(graph(), {"N": samples, "H": 6}, seed=0, engines=[engine.name])
    lies, other = torch.randn(samples, 6, 8, 3).permute(0, 3, 1, 2), torch.randn(samples, 3, 6, 8)
    with torch.no_grad():
        first = module(lies)["logits"]
        kept = first.clone()
        module(other)
        assert torch.equal(first, kept)
        torch.testing.assert_close(first, module(lies.contiguous())["logits"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("engine", [name for name, each in ENGINES.items() if not each.asked_only], indirect=True)
def test_threads_may_share_a_network(engine: Engine) -> None:
    from concurrent.futures import ThreadPoolExecutor

    module = compile_for(graph(), {"N": 2, "H": 6}, seed=0, engines=[engine.name])
    inputs = [torch.full((2, 3, 6, 8), float(value)) for value in range(16)]
    with torch.no_grad(), ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda x: module(x)["logits"], inputs))
        for x, logits in zip(inputs, found, strict=True):
            torch.testing.assert_close(logits, module(x)["logits"])


def test_the_door(capfd: pytest.CaptureFixture[str]) -> None:
    module = nnspec.compile(TEXT, mode="inference", example_batch=2)
    decision: Decision = module.meta[DECISION]
    assert decision.sizes["N"] == 2
    assert {each.engine for each in decision.timings} == {name for name, each in ENGINES.items() if not each.asked_only}
    x = torch.randn(2, 3, decision.sizes["H"], 8)
    torch.testing.assert_close(module(x)["logits"], nnspec.compile(TEXT, mode="inference")(x)["logits"], rtol=1e-4, atol=1e-5)


def test_the_door_takes_names_of_engines() -> None:
    module = nnspec.compile(TEXT, mode="inference", example_batch=2, engines=["fused"])
    assert [each.engine for each in module.meta[DECISION].timings] == ["torch", "fused"]
    with pytest.raises(ValueError, match="there is no engine `abacus`: there is `torch`, `fused`"):
        nnspec.compile(TEXT, mode="inference", example_batch=2, engines=["abacus"])
    for more in ({"mode": "inference"}, {"example_batch": 2}):
        with pytest.raises(ValueError, match="engines are chosen among for"):
            nnspec.compile(TEXT, engines=["fused"], **more)  # type: ignore[arg-type]


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from nnspec.cli import main

    spec = tmp_path / "net.nn"
    spec.write_text(TEXT)
    assert main(["compile", str(spec), "--batch", "2", "--engine", "torch,fused"]) == 0
    output = capsys.readouterr().out
    assert "runs with `" in output
    assert "  fused: " in output
    assert "onnxruntime" not in output
    assert main(["compile", str(spec), "--batch", "2", "--engine", "torch,fused", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["engine"]
    assert found["remembered"]
    assert found["sizes"]["N"] == 2
    assert main(["compile", str(spec), "--batch", "2", "--precision", "bf16", "--engine", "torch,fused"]) == 0
    assert "bfloat16 allowed" in capsys.readouterr().out
    assert main(["compile", str(spec), "--batch", "2", "--with", "H=6", "--engine", "torch,fused"]) == 0
    assert "at N = 2" in capsys.readouterr().out
    for wrong, why in (
        (["--precision", "int4"], "it is float32, bfloat16 or int8"), (["--precision", "bf16"], "needs `--batch N`"),
        (["--batch", "2", "--tolerance", "0.1"], "is for `--precision bfloat16`"),
        (["--batch", "2", "--precision", "bf16", "--tolerance", "7"], "a share of the largest output"),
    ):  # fmt: skip
        assert main(["compile", str(spec), *wrong]) == 2
        assert why in capsys.readouterr().err
    assert main(["compile", str(spec), "--batch", "2", "--engine", "abacus"]) == 2
    assert "--engine abacus: there is `torch`, `fused`" in capsys.readouterr().err


def test_a_network_compiled_in_inference_mode_still_notices_new_weights(engines: dict[str, Engine]) -> None:
    engines["quick"] = Made("quick")
    with torch.inference_mode():
        module = compile_for(graph(), {"N": 2, "H": 6}, seed=0)
        plain = nnspec.compile(TEXT, mode="inference")
    x = torch.rand(2, 3, 6, 8)
    before = module(x)["logits"]
    with torch.no_grad():
        for weight in (*module.parameters(), *plain.parameters()):
            weight.zero_()
    assert before.abs().sum() > 0
    assert module(x)["logits"].abs().sum() == plain(x)["logits"].abs().sum() == 0


def test_hooks_see_each_call_and_a_rewritten_graph_is_what_runs(engines: dict[str, Engine]) -> None:
    engines["quick"] = Made("quick")
    module = compile_for(graph(), {"N": 2, "H": 6}, seed=0)
    x, seen = torch.rand(2, 3, 6, 8), []
    handle = module.register_forward_hook(lambda *call: seen.append("own"))
    module(x)
    handle.remove()
    handle = torch.nn.modules.module.register_module_forward_hook(lambda *call: seen.append("global"))
    module(x)
    handle.remove()
    expected = module(x)
    assert seen[0] == "own"
    assert "global" in seen
    assert torch.equal(module(image=x)["logits"], expected["logits"])
    output = next(node for node in module.graph.nodes if node.op == "output")
    with module.graph.inserting_before(output):
        output.args = (module.graph.call_function(dict, ((("none", 0),),)),)
    module.recompile()
    assert module(x) == {"none": 0}
