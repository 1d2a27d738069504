"""Claims on behaviour are refuted by running the network."""

from __future__ import annotations

import pytest
import torch

from nnspec.checker import Report, check_source
from nnspec.diagnostics import Source
from nnspec.proving.claims import broken
from nnspec.torch_backend.behaviour import refuted
from nnspec.torch_backend.compile import compile_graph
from nnspec.torch_backend.lower import lower

pytestmark = pytest.mark.torch

NETWORKS = """
network Causal {
  input x: float32[N, T, 8]
  output y = x -> SelfAttention(2, causal=true)
}
network Full {
  input x: float32[N, T, 8]
  output y = x -> SelfAttention(2, causal=false)
}
network Mixed {
  input x: float32[N, T, 8]
  output y = x - mean(x, dim=0, keepdim=true)
}
network Random {
  input x: float32[N, T, 8]
  output y = x + normal[N, T, 8]
}
# The mask hides steps; the scores have rank 2; the total looks at all steps.
network Masked {
  input x: float32[N, T, 8]
  input keep: bool[N, T]
  h = x -> SelfAttention(2, causal=true, keep=keep)
  output score: float32[N, T] = h -> Linear(1) -> squeeze(2)
  output next: float32[N, T, 8] = concat(h[:, 1:], h[:, 0:1], dim=1)
  output total: float32[N, T] = cumsum(sum(float32(keep), dim=1, keepdim=true) + 0 * score, dim=1)
}
# A leak of a thousandth, and time as the last axis.
network Leaky {
  input x: float32[N, 8, T]
  output y: float32[N, 8, T] = cumsum(x, dim=2) + 0.001 * mean(x, dim=2, keepdim=true)
  output clean: float32[N, 8, T] = cumsum(x, dim=2)
}
# Time first of two inputs.
network Two {
  input a: float32[N, T, 4]
  input b: float32[N, T, 4]
  output y: float32[N, T, 4] = cumsum(a, dim=1) + flip(b, 1)
}
network Sets {
  input x: float32[N, V, 8]
  input keep: bool[N, V]
  output y = x -> SelfAttention(2, causal=false, keep=keep)
}
network Channels {
  input x: float32[N, 8, C]
  output y: float32[N, 8, C] = relu(x) - mean(x, dim=2, keepdim=true)
  output ordered: float32[N, 8, C] = cumsum(x, dim=2)
}
# Each node takes its neighbours' sum.
network Neighbours {
  input x: float32[V, 4]
  input edges: index(V)[2, E]
  arriving = float32(one_hot(edges[1]))
  output y: float32[V, 4] = transpose(arriving, 0, 1) @ index_select(x, 0, edges[0])
  output first: float32[V, 4] = x - index_select(x, 0, arange(1))
}
network Norm {
  input x: float32[N, 8]
  output y = x -> Linear(4) -> BatchNorm1d
}
network Holes {
  input x: float32[N, T, 8]
  output y = log(x - 1000)
  output z = concat(log(x[:, 1:]), x[:, 0:1], dim=1)
}
"""


def claimed(network: str, claim: str, networks: str = NETWORKS) -> Report:
    report = check_source(Source("t.nn", networks + f"ensure {network} {{ {claim} }}\n"))
    assert report.ok, [finding.message for finding in report.findings]
    assert len(report.behaviours) == 1
    return report


def said(network: str, claim: str, networks: str = NETWORKS, seed: int = 0) -> str | None:
    """What refutes the claim."""
    report = claimed(network, claim, networks)
    graph = report.graph(network)
    finding = broken(report.behaviours[0], report, graph, compile_graph(graph, mode="inference", seed=seed), seed=seed)
    assert finding is None or finding.span.text == claim
    return None if finding is None else finding.message


@pytest.mark.parametrize(
    ("network", "claim", "holds"),
    [
        ("Causal", "causal(x -> y)", True),
        ("Full", "causal(x -> y)", False),
        ("Full", "permutation_equivariant(x -> y)", True),
        ("Causal", "permutation_equivariant(x -> y)", False),
        ("Causal", "batch_independent(x -> y)", True),
        ("Mixed", "batch_independent(x -> y)", False),
        ("Full", "deterministic(x -> y)", True),
        ("Random", "deterministic(x -> y)", False),
        ("Masked", "causal(x -> score)", True),
        ("Masked", "causal(x -> next)", False),
        ("Masked", "causal(keep -> total)", False),
        ("Leaky", "causal(x -> y, dim=2)", False),
        ("Leaky", "causal(x -> clean, dim=2)", True),
        ("Leaky", "causal(x -> clean)", True),
        ("Two", "causal(a -> y)", True),
        ("Two", "causal(b -> y)", False),
        ("Sets", "permutation_equivariant(x -> y)", True),
        ("Channels", "permutation_equivariant(x -> y, dim=2)", True),
        ("Channels", "permutation_equivariant(x -> ordered, dim=2)", False),
        ("Channels", "permutation_equivariant(x -> ordered)", True),
        ("Neighbours", "permutation_equivariant(x -> y, dim=0)", True),
        ("Neighbours", "permutation_equivariant(x -> first, dim=0)", False),
        ("Norm", "batch_independent(x -> y)", True),
        ("Holes", "causal(x -> y)", True),
        ("Holes", "causal(x -> z)", False),
        ("Holes", "deterministic(x -> y)", True),
    ],
)
def test_a_claim_is_refuted_by_a_network_that_breaks_it(network: str, claim: str, holds: bool) -> None:
    assert (said(network, claim) is None) is holds


def test_what_is_said() -> None:
    assert said("Full", "causal(x -> y)") == (
        "`causal` does not hold for `Full`: changing `x` from step 1 on changes `y` before it, with 6 steps"
    )
    assert said("Mixed", "batch_independent(x -> y)") == (
        "`batch_independent` does not hold for `Mixed`: changing other samples of `x` changes `y` of the first, in inference"
    )


def test_a_sample_of_a_batch_norm_stands_alone_in_inference_only() -> None:
    """Claims are about inference: the same network in training mixes its samples, and its mode is put back."""
    report = claimed("Norm", "batch_independent(x -> y)")
    module = lower(report.graph("Norm"), seed=0).train()
    assert refuted(report.behaviours[0], report.graph("Norm"), module) is None
    assert module.training


def test_the_random_state_is_left_alone() -> None:
    report = claimed("Random", "deterministic(x -> y)")
    module = lower(report.graph("Random"), seed=0)
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    assert refuted(report.behaviours[0], report.graph("Random"), module) is not None
    assert torch.equal(torch.rand(2), expected)


# --- ranges -----------------------------------------------------------------------------------------------------------------

RANGES = """
network Scores {
  input x: float32[N, 8]
  layer head = Linear(4)
  output y = head(x)
  output small = 0.001 * head(x)
  output share = abs(head(x)) / (1 + abs(head(x)))
  output none_at_all = log(head(x))
  output counts = argmax(head(x), dim=1)
}
"""


@pytest.mark.parametrize(
    ("claim", "seen"),
    [
        ("range(y, -100, 100)", "for random inputs of scale 1000"),
        ("range(y, 0, none)", "for random inputs of scale 1"),
        ("range(y, none, 0)", "for random inputs of scale 1"),
        ("range(small, -0.5, 0.5)", "for random inputs of scale 1000"),
        ("range(share, 0, 1)", None),
        ("range(share, 0.0, 0.9)", "for random inputs of scale 10"),
        ("range(none_at_all, none, 100)", "`none_at_all` is no number for random inputs of scale 1"),
        ("range(counts, 0, 2)", "`counts` is 3"),
    ],
)
def test_ranges(claim: str, seen: str | None) -> None:
    found = said("Scores", claim, RANGES)
    assert (found is None) if seen is None else (found is not None and seen in found)


# --- gradients ----------------------------------------------------------------------------------------------------------------

GRADIENTS = """
network Reached {
  input x: float32[N, 8]
  h = x -> Linear(1) -> ReLU
  output y = h -> Linear(3)
  output z = x -> Linear(2)
}
network Cancelled {
  input x: float32[N, 8]
  h = x -> Linear(16) as dead
  output y = (x -> Linear(3)) + 0 * sum(h, dim=1, keepdim=true)
}
network Chosen {
  input x: float32[N, 8]
  output y = if training then x -> Linear(3) as a else x -> Linear(3) as a
}
"""


@pytest.mark.parametrize(
    ("network", "claim", "seen"),
    [
        ("Reached", "grads_reach(all)", None),
        ("Cancelled", "grads_reach(y)", "the gradient of `y` is zero at `dead.weight`, `dead.bias`, with 3 draws"),
        ("Cancelled", "grads_reach(all)", "the gradient of the outputs is zero at"),
    ],
)
def test_gradients(network: str, claim: str, seen: str | None) -> None:
    """One unit behind a ReLU is dead at about half of all first weights: one draw that is not suffices."""
    for seed in range(4):
        found = said(network, claim, GRADIENTS, seed)
        assert (found is None) if seen is None else (found is not None and seen in found)


def test_weights_without_gradient_are_shown_in_their_lines() -> None:
    report = claimed("Cancelled", "grads_reach(y)", GRADIENTS)
    graph = report.graph("Cancelled")
    finding = broken(report.behaviours[0], report, graph, lower(graph))
    assert finding is not None
    assert [(label.span.text, label.text) for label in finding.labels] == [("Linear(16)", "`dead.weight` gets no gradient")]


def test_gradients_are_those_of_the_variant_for_training() -> None:
    report = claimed("Reached", "grads_reach(all)", GRADIENTS)
    with pytest.raises(ValueError, match="variant for training"):
        refuted(report.behaviours[0], report.graph("Reached"), lower(report.graph("Reached")))
