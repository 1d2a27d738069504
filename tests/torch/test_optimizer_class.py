"""Optimizers without torch's compiler are torch's: the same updates, state and hooks. And what it takes to be ready stays out of a training."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from spec_files import ROOT
from torch import nn
from training_specs import digits

from nnspec.operators.declare import OPERATORS
from nnspec.operators.optimizer import Optimizer
from nnspec.training.optimizer_class import optimizer_class

pytestmark = pytest.mark.torch

NAMES = sorted(name for name, each in OPERATORS.items() if issubclass(each, Optimizer))


def trained(kind: Any, steps: int = 3, given: dict[str, Any] | None = None) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
    optimizer = kind(
        [{"params": [network[0].weight], "lr": 0.02}, {"params": [network[0].bias, *network[2].parameters()]}], lr=0.01
    )
    if given is not None:
        optimizer.load_state_dict(given)
    for _ in range(steps):
        optimizer.zero_grad()
        network(torch.randn(5, 4)).square().sum().backward()
        optimizer.step()
    return network, optimizer


def same(one: torch.optim.Optimizer, other: torch.optim.Optimizer) -> None:
    torch.testing.assert_close(one.state_dict(), other.state_dict(), rtol=0, atol=0)


def test_all_optimizers_are_tried() -> None:
    assert {"SGD", "Adam", "AdamW", "RMSprop"} < set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_updates_and_state_are_those_of_torch(name: str) -> None:
    ours, own = trained(optimizer_class(name))
    theirs, its = trained(getattr(torch.optim, name))
    assert all(map(torch.equal, ours.state_dict().values(), theirs.state_dict().values()))
    same(own, its)
    again, resumed = trained(optimizer_class(name), 1, its.state_dict())
    other, restored = trained(getattr(torch.optim, name), 1, own.state_dict())
    assert all(map(torch.equal, again.state_dict().values(), other.state_dict().values()))
    same(resumed, restored)
    assert isinstance(own, getattr(torch.optim, name))
    assert all(each.requires_grad for each in ours.parameters())
    assert str(own) == str(its)


def test_hooks_and_entries_of_profiles_are_those_of_torch() -> None:
    _, optimizer = trained(optimizer_class("SGD"))
    met: list[str] = []
    optimizer.register_step_pre_hook(lambda *given: met.append("before"))
    optimizer.register_step_post_hook(lambda *given: met.append("after"))
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        optimizer.step()
    assert met == ["before", "after"]
    assert "Optimizer.step#SGD.step" in {each.key for each in profile.key_averages()}


#: A quarter and a fifth of the time that a small training took, but for these.
LATE = ("torch._dynamo", "sympy", "sklearn", "torch.distributed.fsdp", "scipy", "pandas")
PROGRAM = f"""
import os, sys
from nnspec.cli import main
def ready(*arguments):
    code = main(list(arguments))
    late = [name for name in {LATE!r} if name in sys.modules]
    assert (code, late) == (0, []), (arguments, code, late)
ready("compile", "model.nn", "-q")
ready("train", "model.nn", "--output", "runs", "--device", "cpu", "-q")
run = os.path.join("runs", *os.listdir("runs"))
ready("train", "model.nn", "--resume", run, "-q")
ready("evaluate", run)
"""


def test_a_training_is_ready_without_the_compiler(tmp_path: Path) -> None:
    (tmp_path / "model.nn").write_text(digits(settings="clip_grad_norm 1\n  ema 0.9"))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
