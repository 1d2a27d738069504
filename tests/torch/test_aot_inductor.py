"""AOTInductor as an engine: made once, then had without a compiler, and never taken for another network or other weights."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from test_lower_scan import recurrent
from torch import Tensor

import nnspec
from nnspec.engines import ENGINES, Subject, aot_inductor, choice, compile_for, kept_packages
from nnspec.engines.compiled import DECISION
from nnspec.engines.engine import Unsuitable
from nnspec.engines.identity import meaning
from nnspec.exporting.aoti import lacking_compiler
from nnspec.graph.ir import Graph
from nnspec.passes.admissible import admissible_sizes
from nnspec.torch_backend.compile import optimized
from nnspec.torch_backend.lower import lower

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore")]  # Inductor's own

ENGINE = ENGINES["aot_inductor"]
#: No convolution: the weights stay outside. A layer has the name that programs cannot hold, and the outputs are not in alphabetical order.
DENSE = """
network Net {
  input rows: float32[N, 8]
  h = rows -> Linear(6) as code -> ReLU -> LayerNorm as norm
  output logits = h -> Linear(4) as head
  output all = softmax(logits, dim=1)
}
"""
CONVOLUTIONS = """
network Net {
  input image: float32[N, 3, H, 8] where H % 2 == 0
  h = image -> Conv2d(6, 3, padding=1) as conv -> BatchNorm2d as norm -> ReLU -> MaxPool2d(2)
  output logits = h -> AdaptiveAvgPool2d(1) -> Flatten -> Linear(4) as head
}
"""
#: Each is compiled for ten seconds.
BOTH = [
    pytest.param(DENSE, id="outside", marks=pytest.mark.nightly),
    pytest.param(CONVOLUTIONS, id="packed", marks=pytest.mark.nightly),
]


def graph(text: str) -> Graph:
    return nnspec.check(text).graph("Net")


def subject(text: str, seed: int = 0, **more: Any) -> Subject:
    network = graph(text)
    state = lower(network, guards=False, seed=seed).state_dict()
    return Subject(network, state, admissible_sizes(network, {"N": 2, "H": 6} if "H" in text else {"N": 2}), 1, **more)


def silent(text: str) -> None:
    pytest.fail(f"nothing is to be said, and it says: {text}")


def close(found: list[Tensor], made: Subject, inputs: tuple[Tensor, ...]) -> None:
    expected = made.outputs(lower(made.graph, state=made.state)(*inputs))
    for left, right in zip(found, expected, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-5)


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache without packages."""
    monkeypatch.setenv("NNSPEC_CACHE", str(tmp_path / "cache" / "data"))
    return tmp_path / "cache" / "packages"


Keep = Callable[[str], Path]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[str, bytes]]:
    """The name and the bytes of a network's package: made once for all tests of this file."""
    if (lacking := lacking_compiler()) is not None:
        pytest.skip(f"it {lacking}")
    importlib.import_module("torch._inductor.config")  # which reads CXX once

    compiler = os.environ.get("CXX")

    @cache
    def package(text: str) -> tuple[str, bytes]:
        folder = tmp_path_factory.mktemp("made")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("NNSPEC_CACHE", str(folder / "data"))
            patch.setenv("CXX", compiler) if compiler else patch.delenv("CXX")
            said: list[str] = []
            made = subject(text, told=said.append)
            close(ENGINE.prepare(made)(made.inputs), made, made.inputs)
            assert said == ["compiling Net with AOTInductor: that takes seconds to minutes"]
        (path,) = (folder / "packages").iterdir()
        return path.name, path.read_bytes()

    return package


@pytest.fixture
def keep(compiled: Callable[[str], tuple[str, bytes]], empty: Path, no_compiler: None) -> Keep:
    """Puts a network's package into a cache, where there is no compiler."""

    def kept(text: str) -> Path:
        name, data = compiled(text)
        empty.mkdir(mode=0o700, parents=True, exist_ok=True)
        (empty / name).write_bytes(data)
        (empty / name).chmod(0o600)
        return empty / name

    return kept


# --- without a compiler -------------------------------------------------------------------------------------------------------


def test_without_a_compiler_and_a_package_it_says_what_it_needs(empty: Path, no_compiler: None) -> None:
    reason = "it needs a C++ compiler, and CXX=no-such-compiler is not there: install one, or name it in CXX"
    assert ENGINE.missing() == reason
    with pytest.raises(Unsuitable) as error:
        ENGINE.prepare(subject(DENSE))
    assert str(error.value) == reason
    module = compile_for(graph(DENSE), {"N": 2}, seed=0, engines=["aot_inductor"])
    assert {each.engine: each.reason for each in module.meta[DECISION].timings}["aot_inductor"] == reason


def test_a_choice_without_a_compiler_is_made_again_with_one(empty: Path, no_compiler: None) -> None:
    kept_packages.keep("0" * 32, b"another network's", silent)
    assert ENGINE.missing() is None
    for _ in range(2):
        decision = compile_for(graph(DENSE), {"N": 2}, seed=0, engines=["aot_inductor"]).meta[DECISION]
        assert "needs a C++ compiler" in {each.engine: each.reason for each in decision.timings}["aot_inductor"]
        assert not decision.remembered


def test_it_is_tried_only_where_it_is_named() -> None:
    assert ENGINE.asked_only


@pytest.mark.slow
@pytest.mark.parametrize("text", BOTH)
def test_a_kept_package_needs_no_compiler(keep: Keep, text: str) -> None:
    keep(text)
    assert ENGINE.missing() is None
    made = subject(text, told=silent)
    run = ENGINE.prepare(made)
    close(run(made.inputs), made, made.inputs)
    other = tuple(torch.randn_like(each) for each in made.inputs)
    first = run(other)
    before = [each.clone() for each in first]
    close(first, made, other)
    close(run(made.inputs), made, made.inputs)
    assert all(map(torch.equal, before, first)), "outputs stay as they are"
    lies = tuple(each.transpose(0, -1).contiguous().transpose(0, -1) for each in other)
    assert not lies[0].is_contiguous()
    close(run(lies), made, lies)


@pytest.mark.slow
def test_another_process_is_ready_at_once(keep: Keep, tmp_path: Path) -> None:
    keep(DENSE)
    spec = tmp_path / "net.nn"
    spec.write_text(DENSE)
    arguments = ["compile", str(spec), "--batch", "2", "--engine", "aot_inductor", "--json"]
    # One thread, for which the package was made.
    ran = subprocess.run(
        [sys.executable, "-m", "nnspec", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert ran.returncode == 0, ran.stderr
    assert "compiling" not in ran.stderr
    found = {each["engine"]: each for each in json.loads(ran.stdout)["engine"]["timings"]}
    assert found["aot_inductor"]["ms"] is not None, found


# --- weights ------------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_weights_outside_are_those_of_torch_and_may_be_any(keep: Keep) -> None:
    keep(DENSE)
    for seed in (0, 1):
        made = subject(DENSE, seed, told=silent)
        run = ENGINE.prepare(made)
        close(run(made.inputs), made, made.inputs)
        network = made.module("fused")
        before = run(made.inputs)[0]
        with torch.no_grad():
            network.get_parameter("head.bias").add_(1)
        torch.testing.assert_close(run(made.inputs)[0], before + 1)  # nothing was copied
    network.double()
    del network, made.__dict__["_modules"]["fused"]
    assert run(made.inputs)[0].isfinite().all(), "the memory stays for as long as the call"


@pytest.mark.nightly
def test_packed_weights_are_not_taken_for_others(keep: Keep) -> None:
    keep(CONVOLUTIONS)
    with pytest.raises(Unsuitable, match=r"needs a C\+\+ compiler"):
        ENGINE.prepare(subject(CONVOLUTIONS, 1, told=silent))


@pytest.mark.slow
@pytest.mark.parametrize("text", BOTH)
def test_changed_weights_count(keep: Keep, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(text)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    monkeypatch.setattr(choice, "_timed", lambda runs, inputs: {name: 9.0 if name == "torch" else 1.0 for name in runs})
    made = subject(text)
    module = compile_for(
        made.graph, {var.name: size for var, size in made.sizes.items()}, state=made.state, engines=["aot_inductor"]
    )
    assert module.meta[DECISION].engine == "aot_inductor"
    close(made.outputs(module(*made.inputs)), made, made.inputs)
    state = {name: 2 * each for name, each in module.state_dict().items()}
    module.load_state_dict(state)
    plain = lower(made.folded, guards=False, state=state)
    for left, right in zip(made.outputs(module(*made.inputs)), made.outputs(plain(*made.inputs)), strict=True):
        torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("text", BOTH)
def test_threads_may_share_a_package(keep: Keep, text: str) -> None:
    keep(text)
    made = subject(text)
    run = ENGINE.prepare(made)
    inputs = [tuple(torch.full_like(each, float(value)) for each in made.inputs) for value in range(32)]
    with ThreadPoolExecutor(4) as pool:
        for given, found in zip(inputs, pool.map(run, inputs), strict=True):
            close(found, made, given)


# --- what is not to be trusted ------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_damaged_package_is_never_loaded(keep: Keep, monkeypatch: pytest.MonkeyPatch) -> None:
    path = keep(DENSE)
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    monkeypatch.setattr(aot_inductor, "_loaded", lambda *given, **more: pytest.fail("it was loaded"))
    said: list[str] = []
    with pytest.raises(Unsuitable):
        ENGINE.prepare(subject(DENSE, told=said.append))
    assert said == [f"{path.name} is made anew: it is not what was written (SHA-256)"]
    assert not path.exists()


@pytest.mark.slow
def test_a_package_that_computes_something_else_is_made_anew(keep: Keep) -> None:
    path, other = keep(DENSE), DENSE.replace("ReLU", "Tanh")
    kept_packages.keep(aot_inductor._key(subject(other), outside=True), path.read_bytes(), silent)
    said: list[str] = []
    with pytest.raises(Unsuitable, match=r"needs a C\+\+ compiler"):
        ENGINE.prepare(subject(other, told=said.append))
    assert len(said) == 1
    assert "the package of Net is made anew: it differs by " in said[0]
    assert list(path.parent.iterdir()) == [path]


def test_what_is_no_package_is_made_anew(empty: Path, no_compiler: None) -> None:
    made = subject(DENSE)
    kept_packages.keep(aot_inductor._key(made, outside=True), b"no archive", silent)
    said: list[str] = []
    with pytest.raises(Unsuitable):
        ENGINE.prepare(subject(DENSE, told=said.append))
    assert "the package of Net is made anew: " in said[0]


# --- the key ------------------------------------------------------------------------------------------------------------------


def lines(text: str) -> list[str]:
    return list(meaning(optimized(graph(text), "inference").graph))


def test_a_key_is_of_what_is_computed_not_of_how_it_is_written() -> None:
    assert lines(DENSE) == lines("# a remark\n" + DENSE.replace(" -> ", "  ->  "))
    changed = [
        DENSE.replace("Linear(6)", "Linear(7)"), DENSE.replace("ReLU", "Tanh"), DENSE.replace("as head", "as tail"),
        DENSE.replace("dim=1", "dim=0"), DENSE.replace("= h ->", "= relu(h) ->"), DENSE.replace("output all", "output some"),
        DENSE.replace("[N, 8]", "[N, 9]"), DENSE.replace("LayerNorm as", "LayerNorm(eps=0.1) as"),
    ]  # fmt: skip
    assert len({"\n".join(lines(each)) for each in (DENSE, *changed)}) == 9


def test_wiring_counts() -> None:
    text = "network Net {\n  input x: float32[N, 4]\n  a = x -> Linear(4) as a\n  b = a -> Linear(4) as b\n  output y = OF - x\n}"
    assert len({"\n".join(lines(text.replace("OF", of))) for of in ("a", "b")}) == 2
    assert lines(text.replace("OF", "b")) == lines(text.replace("b = ", "c = ").replace("OF", "c"))


def test_what_a_scan_does_counts() -> None:
    made = [recurrent(), recurrent(reverse=True), recurrent(lengths=True), recurrent(shift=True)]
    assert len({"\n".join(meaning(each)) for each in made}) == 4
    assert list(meaning(recurrent())) == list(meaning(recurrent()))


@pytest.mark.parametrize("part", ["instructions", "processor", "VERSION", "_VERSION"])
def test_a_key_is_of_the_machine_and_the_versions(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = subject(DENSE)
    before = aot_inductor._key(made, outside=True)
    assert before != aot_inductor._key(made, outside=False)
    monkeypatch.setattr(aot_inductor, part, "other" if part.endswith("VERSION") else lambda: "other")
    assert aot_inductor._key(made, outside=True) != before
