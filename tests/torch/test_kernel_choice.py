"""The choice of a kernel: timed once for each key, held against the first one, and kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from nnspec.torch_backend.modules.kernel_choice import MARGIN, KernelChoice, cuda_ms

pytestmark = pytest.mark.torch


class Trials:
    """Kernels that note their calls, and a clock on which each takes what it is said to take."""

    def __init__(self, **took: float) -> None:
        self.took = took
        self.calls: list[str] = []
        self.choice = KernelChoice(self.ms)

    def ms(self, run: Callable[[], Any]) -> float:
        run()
        return self.took[self.calls[-1]]

    def kernel(self, name: str, result: Any) -> Callable[[], Any]:
        def run() -> Any:
            self.calls.append(name)
            if isinstance(result, Exception):
                raise result
            return result

        return run

    def run(self, key: Any = "size", **results: Any) -> Any:
        return self.choice.run(key, {name: self.kernel(name, result) for name, result in results.items()})


X = torch.tensor([1.0, 2.0])


@pytest.mark.parametrize(
    ("took", "best"), [({"a": 1.0, "b": 0.5}, "b"), ({"a": 1.0, "b": 2.0}, "a"), ({"a": 1.0, "b": 1 / MARGIN + 1e-3}, "a")]
)
def test_the_fastest_is_kept_and_nothing_is_timed_again(took: dict[str, float], best: str) -> None:
    trials = Trials(**took)
    assert torch.equal(trials.run(a=X, b=X.clone()), X)
    assert trials.choice.chosen == {"size": best}
    assert trials.choice.measured == {"size": took}
    trials.calls.clear()
    trials.run(a=X, b=X)
    assert trials.calls == [best]


def test_each_key_is_measured_by_itself() -> None:
    trials = Trials(a=1.0, b=0.5)
    trials.run("small", a=X, b=X)
    trials.took = {"a": 1.0, "b": 3.0}
    trials.run("large", a=X, b=X)
    assert trials.choice.chosen == {"small": "b", "large": "a"}


def test_a_kernel_that_fails_is_told_and_not_taken() -> None:
    trials = Trials(a=1.0, b=0.5)
    with pytest.warns(RuntimeWarning, match="the kernel `b` is not used for size: it fails: no compiler"):
        assert torch.equal(trials.run(a=X, b=RuntimeError("no compiler\nand more")), X)
    trials.calls.clear()
    trials.run(a=X, b=X)
    assert trials.calls == ["a"], "told once, and not tried again"


@pytest.mark.parametrize(("wrong", "said"), [
    (X + 0.1, "its result differs by 1.00e-01, and 2.00e-04 is allowed"), (X.double(), "another shape or element type"),
    (X[:1], "another shape or element type"), ((X, X), "another shape or element type"),
    (torch.tensor([1.0, float("nan")]), "its result differs by"),
])  # fmt: skip
def test_a_kernel_that_computes_something_else_is_told_and_not_taken(wrong: Any, said: str) -> None:
    trials = Trials(a=1.0, b=0.5)
    with pytest.warns(RuntimeWarning, match=said):
        found: Tensor = trials.run(a=X, b=wrong)
    assert torch.equal(found, X)
    assert trials.choice.chosen == {"size": "a"}


def test_less_precise_types_may_differ_more() -> None:
    trials = Trials(a=1.0, b=0.5)
    x = torch.tensor([1.0, 2.0], dtype=torch.bfloat16)
    trials.run(a=(x, x), b=(x + 0.01, x))
    assert trials.choice.chosen == {"size": "b"}
    nothing = torch.full((2,), float("nan"))
    trials.run("nan", a=nothing, b=nothing.clone())
    assert trials.choice.chosen["nan"] == "b", "both are no numbers at the same places"


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_clock_on_cuda() -> None:
    x = torch.randn(2000, 2000, device="cuda")
    x @ x
    assert cuda_ms(lambda: x @ x) > 0
