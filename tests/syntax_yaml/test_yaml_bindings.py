"""Bindings that YAML can spell and `.nn` cannot: with a type and without a value."""

from __future__ import annotations

import pytest

from nnspec.checker import check_source
from nnspec.diagnostics import Source

RECIPE = """network Line:
  input x: float32[N, 4]
  output y: [x, {Linear: 3}]

train Flowers:
  data iris: Iris()
  scores: Line(iris.x)
  other:
    type: float32[N, 3]
  minimize: cross_entropy(scores, iris.label)
  optimizer: SGD(lr=0.1)
  epochs: 3
"""
DATA = """data Square:
  value: Generated(samples=100)
  with:
    other:
      type: float32[N, 2]
    output x: uniform[N, 2]

network Line:
  input x: float32[N, 2]
  output y: [x, {Linear: 1}]

train Points:
  data points: Square
  minimize: mean(Line(points.x) ** 2)
  optimizer: SGD(lr=0.1)
  epochs: 3
"""
NETWORK = "network Line:\n  input x: float32[N, 4]\n  other:\n    type: float32[N, 3]\n  output y: [x, {Linear: 3}]\n"


@pytest.mark.parametrize("text", [RECIPE, DATA, NETWORK], ids=["recipe", "data", "network"])
def test_a_binding_without_a_value(text: str) -> None:
    (finding,) = check_source(Source("spec.yaml", text)).diagnostics
    assert (finding.code, finding.message) == ("NN115", "one value belongs here")
    assert finding.span.text.startswith("other")
