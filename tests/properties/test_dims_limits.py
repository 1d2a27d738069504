"""What dimensions refuse, and that nothing a spec can say makes the prover slow."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise

import pytest
from effort import calls_made

from nnspec.dims import Dim, DimensionTooLargeError, Poly, as_int, as_var, evaluate, format_dim, maximum, minimum, product, symbol
from nnspec.dims.claims import AllOf, AnyOf, Claim, Relation, at_least, divisible, equal
from nnspec.dims.facts import Facts

H, W = symbol("H"), symbol("W")
MANY = [symbol(f"v{place}") for place in range(200)]


def repeated(times: int, step: Callable[[Dim], Dim], start: Dim = H) -> Dim:
    for _ in range(times):
        start = step(start)
    return start


def test_constants_are_python_integers() -> None:
    for dim in (
        H - H,
        H * 0,
        (H + 2) - H,
        0 * H,
        H // H,
        (3 * H) // H,
        H**0,
        H % 1,
        0 // H,
        maximum(H, H + 2) - H,
        minimum(7, 9),
    ):
        assert isinstance(dim, int)
    assert as_int(H) is None
    assert as_int(H - H) == 0


def test_symbols_are_only_equal_to_themselves() -> None:
    assert symbol("H") != H
    assert symbol("H") - H != 0
    assert H + W == W + H
    assert as_var(H + 1) is None
    assert len({H + 1, 1 + H, H}) == 2
    assert copy.deepcopy(H) is H


def test_order_and_truth_are_refused() -> None:
    for compare in (lambda: H < 3, lambda: W >= H, lambda: H < 3, lambda: sorted([H, W])):
        with pytest.raises(TypeError, match="has no order"):
            compare()
    with pytest.raises(TypeError, match="neither true nor false"):
        bool(H)
    with pytest.raises(TypeError, match="belongs to one process"):
        pickle.dumps(H)
    with pytest.raises(TypeError):
        H + 0.5  # type: ignore[operator]


@pytest.mark.parametrize("divisor", [0, -1, -16])
def test_divisors_below_one_are_refused(divisor: int) -> None:
    with pytest.raises(ValueError, match=f"divided by {divisor}"):
        H // divisor
    with pytest.raises(ValueError, match=f"divided by {divisor}"):
        H % divisor


def test_sizes_beyond_reach_are_refused() -> None:
    with pytest.raises(DimensionTooLargeError, match="exponent 65"):
        H**65
    with pytest.raises(DimensionTooLargeError, match="too large"):
        evaluate(2**H, {as_var(H): 10**9})  # type: ignore[dict-item]
    with pytest.raises(DimensionTooLargeError):
        evaluate(repeated(40, lambda x: x * x), {as_var(H): 3})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="not an integer"):
        H**-1
    with pytest.raises(KeyError, match="W"):
        evaluate(H + W, {as_var(H): 3})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("dim", "text"),
    [
        (2 * (H // 16), "2*(H//16)"), (H - 4, "H - 4"), (4 - H, "4 - H"), (H * W, "H*W"), (H % 16, "H % 16"), (H**2 * W, "H**2*W"),
        (16 * ((H + 4) // 16) - 188, "16*((H + 4)//16) - 188"), (3 * (H % 4) + 2, "3*(H % 4) + 2"), ((H // 4 + 3) % 7, "(H//4 + 3) % 7"),
        (W % H, "W % H"), (-H, "-H"), (maximum(H, W, 3), "max(H, W, 3)"), (2**H, "2**H"), ((3 * H) // 4, "(3*H)//4"),
        ((H // 2) * (W // 2), "(H//2)*(W//2)"), (-(H // 2), "-(H//2)"), (H // W, "H//W"), ((H + W) // (W + 1), "(H + W)//(W + 1)"),
    ],
)  # fmt: skip
def test_how_dimensions_are_written(dim: Dim, text: str) -> None:
    assert format_dim(dim) == text
    assert str(dim) == text


LARGE: dict[str, Callable[[], Claim]] = {
    "squares": lambda: at_least(repeated(40, lambda x: x * x), 5),
    "squares of two": lambda: at_least(repeated(40, lambda x: x * x), W),
    "binomials": lambda: at_least((H + W + 1) ** 20, (H + W) ** 20),
    "long numbers": lambda: equal((H * 10**1000 + 7) // (10**500 + 3), 10**700),
    "nested floors": lambda: equal(repeated(1000, lambda x: 3 * (x // 2) + 1), H),
    "many pools": lambda: at_least(repeated(2000, lambda x: (x - 1) // 2 + 1), 2),
    "pools and back": lambda: equal(repeated(30, lambda x: (x - 1) // 2 + 1) * 2**30, H),
    "extremes": lambda: at_least(repeated(60, lambda x: maximum(minimum(x + 3, W), x // 2)), 1),
    "a long sum": lambda: equal(sum(MANY), 1000),
    "a long product": lambda: equal(product(MANY), 1000),
    "many cases": lambda: AnyOf(tuple(equal(H, size) for size in range(1, 500))),
    "many cases of many": lambda: AnyOf(tuple(equal(MANY[size % 200], size) for size in range(1, 120))),
    "large primes": lambda: equal((H % 4093) * (H % 3), 5),
    "large primes of two": lambda: equal(H % 4093 + W % 4091, 5),
    "degree": lambda: equal(H**9 - 3 * H**4 + H, 12345),
    "classes and degree": lambda: equal((H % 4096) * H**7 + H**3, 12345),
    "powers": lambda: equal(H**W, 64),
}


@pytest.mark.parametrize("name", LARGE)
def test_large_claims_end_soon(name: str) -> None:
    def decided() -> None:
        claim, facts = LARGE[name](), Facts()
        verdict = facts.decide(claim)
        facts.learn(claim)
        facts.format(H // 2)
        assert verdict.kind in ("true", "false", "iff", "unknown")

    assert calls_made(decided) < 2_000_000  # about a second


def test_many_facts_end_soon() -> None:
    def learnt() -> None:
        facts = Facts()
        for left, right in pairwise(MANY[:101]):
            assert facts.declare(Relation(left, "<=", right))
        assert facts.decide(Relation(MANY[3], "<=", MANY[4] + 1)).kind == "true"
        other = Facts()
        for place in range(40):
            other.learn(equal(MANY[place] * MANY[place + 1], MANY[place + 2] * 7))
        for prime in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37):
            assert other.learn(divisible(H, prime))
        assert other.decide(divisible(H, 30030)).kind == "true"

    assert calls_made(learnt) < 1_300_000


@pytest.mark.parametrize(("stride", "growth"), [(1, 2.1), (2, 2.5)])
def test_a_chain_of_layers_is_about_linear(stride: int, growth: float) -> None:
    def chained(layers: int) -> int:
        return calls_made(lambda: repeated(layers, lambda x: (x + 2 - 3) // stride + 1))

    assert chained(2000) < growth * chained(1000)


def test_a_chain_that_keeps_its_size() -> None:
    assert repeated(2000, lambda x: (x + 2 - 3) // 1 + 1) == H
    assert isinstance(repeated(2000, lambda x: (x + 2 - 3) // 2 + 1), Poly)


def test_claims_in_layers_are_cheap() -> None:
    def decided() -> None:
        for levels in range(1, 7):
            facts, sizes = Facts(), [H]
            for _ in range(levels):
                sizes.append(sizes[-1] // 2)
            for skip, low in zip(reversed(sizes[:-1]), reversed(sizes[1:]), strict=True):
                claim = equal(2 * low, skip)
                assert facts.decide(claim).kind == "iff"
                assert facts.learn(claim)
            assert facts.decide(divisible(H, 2**levels)).kind == "true"
            assert facts.decide(AllOf((divisible(H, 2**levels), at_least(H, 2)))).kind == "true"

    assert calls_made(decided) < 100_000


def test_no_heavy_imports() -> None:
    code = "import sys, nnspec.dims.preconditions; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "numpy", "sympy", "rich", "lark", "dataclasses", "inspect"} & set(loaded)
