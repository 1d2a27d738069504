"""What looks at what: the maps are the weights that the layers really mix by, and watching changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F  # noqa: N812
from training_specs import checked, trained

from nnspec.torch_backend.recipes import lower_recipe
from nnspec.training.attention_maps import attention_weights, maps_of, watched

pytestmark = [pytest.mark.torch, pytest.mark.pictures]

SPEC = """
network Net {
  input tokens: index(7)[N, T] where T <= 8
  layer embed = Embedding(7, 8)
  x = embed(tokens)
  a = x + (x -> SelfAttention(2, causal=true) as first)
  b = a + (a -> MultiheadAttention(4, key=a, value=a) as second)
  q = b -> Linear(8) as query -> unflatten(2, [2, 4]) -> transpose(1, 2)
  c = scaled_dot_product_attention(q, q, q, scale=0.5) -> transpose(1, 2) -> flatten(2)
  output logits = c -> Linear(7)
}
data Made = Generated(samples=40, seed=0) {
  output source = randint(0, 7)[N, 6]
  split (validation=0.2, seed=0)
}
train Learn {
  data pairs = Made
  layer net = Net
  minimize cross_entropy(net(pairs.source), pairs.source)
  optimizer SGD(lr=0.1)
  batch_size 8
  epochs 1
}
"""


@pytest.mark.parametrize(("mask", "causal"), [("none", False), ("none", True), ("keep", False), ("bias", False)])
@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("scale", [None, 0.3])
def test_weights_are_those_that_values_are_mixed_by(mask: str, causal: bool, grouped: bool, scale: float | None) -> None:
    torch.manual_seed(0)
    q, k, v = torch.randn(2, 4, 5, 8), torch.randn(2, 2 if grouped else 4, 6, 8), torch.randn(2, 2 if grouped else 4, 6, 3)
    given = {"none": None, "keep": torch.rand(2, 1, 5, 6) < 0.7, "bias": torch.randn(5, 6)}[mask]
    if mask == "keep":
        given[..., 0] = True  # type: ignore[index]
    weights = attention_weights(q, k, v, given, 0.0, causal, scale, grouped)
    wide = v.repeat_interleave(2, dim=1) if grouped else v
    expected = F.scaled_dot_product_attention(q, k, v, given, 0.0, causal, scale=scale, enable_gqa=grouped)
    torch.testing.assert_close(weights @ wide, expected)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 4, 5))


def test_every_layer_has_its_map_in_the_order_of_the_network(tmp_path: Path) -> None:
    recipe = checked(tmp_path, SPEC).recipes["Learn"]
    module = lower_recipe(recipe, seed=0)
    batch = {"pairs.source": torch.randint(0, 7, (3, 6))}
    before = module.eval().compute_evaluation(batch)
    maps = maps_of(recipe, module, batch, torch.device("cpu"))
    assert [(each.layer, tuple(each.weights.shape)) for each in maps] == [
        ("net.first", (2, 6, 6)),
        ("net.second", (4, 6, 6)),
        ("net", (2, 6, 6)),
    ]
    assert float(maps[0].weights.triu(1).abs().max()) == 0
    assert float(maps[1].weights.triu(1).abs().max()) > 0
    for each in maps:
        torch.testing.assert_close(each.weights.sum(-1), torch.ones(each.weights.shape[:2]))
    after = module.compute_evaluation(batch)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())


@pytest.mark.parametrize("wanted", [False, True])
def test_torchs_layer_gives_what_it_gives_unwatched(wanted: bool) -> None:
    torch.manual_seed(0)
    layer, x = nn.MultiheadAttention(8, 2, batch_first=True).eval(), torch.randn(2, 5, 8)
    expected, weights = layer(x, x, x, need_weights=wanted, average_attn_weights=False)
    with watched(layer) as found:
        output, shown = layer(x, x, x, need_weights=wanted, average_attn_weights=False)
    torch.testing.assert_close(output, expected)
    assert (shown is None) == (weights is None)
    if wanted:
        torch.testing.assert_close(shown, weights)
    assert [each.shape for each in found.values()] == [(2, 2, 5, 5)]


def test_a_run_ends_with_the_picture(tmp_path: Path) -> None:
    result = trained(tmp_path, SPEC)
    assert [path.name for path in result.samples] == ["attention.png"]
    with Image.open(result.samples[0]) as image:
        assert image.size[0] > 400 < image.size[1]


def test_a_network_without_attention_has_none(tmp_path: Path) -> None:
    plain = SPEC.replace("SelfAttention(2, causal=true) as first", "Linear(8)").replace(
        "MultiheadAttention(4, key=a, value=a) as second", "Linear(8)"
    )
    plain = plain.replace("scaled_dot_product_attention(q, q, q, scale=0.5)", "q")
    assert trained(tmp_path, plain).samples == ()
