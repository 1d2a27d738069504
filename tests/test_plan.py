"""Plans for many devices, against sums made by hand. No torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nnspec.checker import check_path, check_source
from nnspec.diagnostics import Source
from nnspec.dims import Var, evaluate
from nnspec.operators.declare import OPERATORS
from nnspec.profiling.accelerators import ACCELERATORS
from nnspec.profiling.memory_estimate import largest_batch, step_memory
from nnspec.profiling.plan import Device, Plan, largest_unit, plan
from nnspec.profiling.static_work import least_seconds, step_work
from nnspec.profiling.step_calls import StepCalls, network_calls

SPECS = Path(__file__).resolve().parent.parent / "specs"
GPT2 = check_path(SPECS / "transformer" / "gpt2.nn", settings={"dropout": 0})
#: Bytes, FLOP/s, bytes/s of memory, bytes/s of the link.
DEVICE = Device("made up", 16e9, 1e13, 1e12, 1e11)


def adam() -> Any:
    return OPERATORS["Adam"]({}, {"lr": 1e-3})


def gpt2(tokens: int = 128) -> tuple[StepCalls, Var]:
    graph = GPT2.graph("GPT2", training=True)
    symbols = {var.name: var for var in graph.symbols}
    return network_calls(graph, {symbols["T"]: tokens}, training=True, optimizer=adam()), symbols["N"]


def planned(ranks: list[int], batch: int = 2, device: Device = DEVICE) -> Plan:
    step, symbol = gpt2()
    return plan(step, symbol, batch, device, ranks, reserve=0.0)


PARAMETERS = 124_439_808
WEIGHTS = 4 * PARAMETERS


def test_gpt2_with_adam_takes_16_bytes_a_parameter() -> None:
    step, _ = gpt2()
    estimate = step_memory(step)
    assert evaluate(step.parameters, {}) == PARAMETERS
    tensors = len([entry for entry in step.entries if entry.trainable])
    total = evaluate(estimate.weights + estimate.gradients + estimate.optimizer, {})
    assert total == 16 * PARAMETERS + 4 * tensors  # and each weight's number of steps


def test_ddp_sends_twice_the_gradients() -> None:
    ways = {way.ranks: way for way in planned([2, 4, 8]).ways if way.name == "DDP"}
    assert [ways[ranks].sent for ranks in (2, 4, 8)] == [WEIGHTS, WEIGHTS * 3 // 2, WEIGHTS * 7 // 4]
    alone = planned([1]).ways[0]
    assert alone.sent == 0
    assert ways[2].memory == alone.memory + WEIGHTS  # the buckets
    assert ways[2].samples == 4


def test_fsdp_divides_weights_gradients_and_state() -> None:
    found = planned([1, 4])
    alone = found.ways[0]
    fsdp = next(way for way in found.ways if way.name == "FSDP")
    assert fsdp.sent == 3 * WEIGHTS * 3 // 4
    # At the peak all gradients but a few are there: 16 bytes a parameter become 4, and two units are whole.
    unit = 4 * 50257 * 768
    step, _ = gpt2()
    assert largest_unit(step) == unit
    saved = alone.memory - fsdp.memory + 2 * unit
    assert 12 * PARAMETERS * 0.6 < saved <= 12 * PARAMETERS + 4 * 200


def test_tensor_parallelism_reduces_two_results_a_layer_each_way() -> None:
    tokens, width, layers, batch = 128, 768, 12, 2
    ways = {way.ranks: way for way in planned([2, 8], batch).ways if way.name == "tensor"}
    result = 4 * batch * tokens * width
    assert ways[2].sent == 2 * layers * result * 2 * 2 // 2  # two pairs a layer, forward and backward, 2 (n - 1) / n = 1
    assert ways[2].samples == batch
    assert ways[8].why_not == "12 heads cannot be divided by 8"
    assert not ways[8].fits


def test_a_network_without_pairs_is_not_divided() -> None:
    text = "network A {\n  input x: float32[N, 3, 8, 8]\n  output y = x -> Conv2d(4, 3) -> ReLU -> Flatten -> Linear(10)\n}\n"
    graph = check_source(Source("a.nn", text)).graph("A", training=True)
    (symbol,) = graph.symbols
    found = plan(network_calls(graph, {}, training=True, optimizer=adam()), symbol, 4, DEVICE, [2])
    assert next(way for way in found.ways if way.name == "tensor").why_not
    assert found.best is not None


def test_work_of_a_step_by_hand() -> None:
    text = "network A {\n  input x: float32[N, 100]\n  output y = x -> Linear(50) -> ReLU -> Linear(10)\n}\n"
    graph = check_source(Source("a.nn", text)).graph("A", training=True)
    (symbol,) = graph.symbols
    work = step_work(network_calls(graph, {symbol: 8}, training=True, optimizer=adam()))
    assert work.flop == 3 * 2 * 8 * (100 * 50 + 50 * 10)
    weights = 4 * (100 * 50 + 50 + 50 * 10 + 10)
    assert work.update_bytes == 7 * weights  # weights and two of state read and written, gradients read
    moved = 4 * (8 * (100 + 50) + 8 * (50 + 50) + 8 * (50 + 10)) + weights
    assert work.moved == 3 * moved + work.update_bytes
    seconds = least_seconds(work, 1e6, 1e30)
    assert seconds.forward == pytest.approx(2 * 8 * 5500 / 1e6)
    assert seconds.backward == pytest.approx(2 * seconds.forward)


def test_what_fits_and_what_is_taken() -> None:
    small = planned([1, 2, 4, 8], device=DEVICE._replace(memory=1.5e9))
    alone, best = small.ways[0], small.best
    assert not alone.fits
    assert alone.largest is None
    assert best is not None
    assert best.fits
    assert best.samples_per_second >= 0.99 * max(way.samples_per_second for way in small.ways if way.fits)
    even = planned([4], device=DEVICE._replace(memory=80e9, link=1e15, bytes_per_second=1e15)).best
    assert even is not None
    assert even.name == "DDP"  # FSDP is hardly faster
    assert planned([1], device=DEVICE._replace(memory=1e6)).best is None


def test_the_largest_batch_is_the_largest() -> None:
    step, symbol = gpt2(32)
    estimate = step_memory(step)
    budget = 4 * 2**30
    largest = largest_batch(estimate, symbol, budget)
    assert largest is not None
    assert estimate.peak({symbol: largest})[0] <= budget < estimate.peak({symbol: largest + 1})[0]
    assert largest_batch(estimate, symbol, 1) is None


def test_the_table_of_devices() -> None:
    for each in ACCELERATORS.values():
        assert each.float32 <= each.bits16
        assert 1e9 < each.link < each.bandwidth
        assert 1e10 <= each.memory < 1e12
    attained = Device.of(ACCELERATORS["A100"], "bfloat16", 0.5)
    assert attained.flop_per_second == 156e12
