"""A compiled network is compared with the network as written, where that is asked for."""

import pytest
import torch

import nnspec
from nnspec.checker import check_source
from nnspec.diagnostics import Source
from nnspec.torch_backend.compile import compile_graph, verify_compiled

pytestmark = pytest.mark.torch

NETWORK = """
network Small {
  input x: float32[N, 3, H, W]
  output y = x -> Conv2d(4, 3, padding=1, bias=false) -> BatchNorm2d -> ReLU
}
"""


def test_a_folded_network_agrees() -> None:
    module = nnspec.compile(NETWORK, mode="inference", example_batch=3)
    assert module(torch.zeros(2, 3, 5, 5)).shape == (2, 4, 5, 5)


def test_a_changed_network_is_told() -> None:
    graph = check_source(Source("small.nn", NETWORK)).graph()
    module = compile_graph(graph, mode="inference", seed=0)
    with torch.no_grad():
        next(module.parameters()).add_(1.0)
    with pytest.raises(ArithmeticError, match="differs from the network as written"):
        verify_compiled(graph, module, 3, seed=0)
