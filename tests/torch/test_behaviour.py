"""Claims on behaviour are refuted by running the network."""

import pytest

from nnspec.checker import check_source
from nnspec.diagnostics import Source
from nnspec.torch_backend.behaviour import refuted
from nnspec.torch_backend.compile import compile_graph

pytestmark = pytest.mark.torch

NETWORKS = """
network Causal {
  input x: float32[N, T, 8]
  output y = x -> SelfAttention(2, causal=true)
}
network Full {
  input x: float32[N, T, 8]
  output y = x -> SelfAttention(2)
}
network Mixed {
  input x: float32[N, T, 8]
  output y = x - mean(x, dim=0, keepdim=true)
}
network Random {
  input x: float32[N, T, 8]
  output y = x + normal[N, T, 8]
}
"""


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
    ],
)
def test_a_claim_is_refuted_by_a_network_that_breaks_it(network: str, claim: str, holds: bool) -> None:
    report = check_source(Source("t.nn", NETWORKS + f"ensure {network} {{ {claim} }}\n"))
    assert report.ok
    (behaviour,) = report.behaviours
    graph = report.graph(network)
    assert (refuted(behaviour, graph, compile_graph(graph, mode="inference", seed=0)) is None) is holds
