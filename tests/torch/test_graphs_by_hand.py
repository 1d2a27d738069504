"""The graph networks of the repository against training loops written by hand: twenty steps, equal bit for bit."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from citation_graphs import put_papers
from spec_files import ROOT
from torch import Tensor, nn
from torch.nn import functional
from training_specs import checked, log, weights

from nnspec.data import load
from nnspec.torch_backend.recipes import lower_recipe
from nnspec.training import train

pytestmark = pytest.mark.torch

STEPS = 20
Propagate = Callable[[dict[str, Tensor], str, Any, Tensor], Tensor]


def arrived(messages: Tensor, target: Tensor, nodes: int) -> Tensor:
    return torch.zeros(nodes, *messages.shape[1:]).index_add(0, target, messages)


def with_loops(edges: Tensor, nodes: int) -> tuple[Tensor, Tensor]:
    loops = torch.arange(nodes)
    return torch.cat([edges[0], loops]), torch.cat([edges[1], loops])


class Words:
    """The features without their zeros, of which a share is dropped: what papers have of most words is nothing."""

    def __init__(self, x: Tensor, p: float) -> None:
        self.rows, self.columns = x.nonzero(as_tuple=True)
        self.values = functional.dropout(x[self.rows, self.columns], p)
        self.shape = x.shape

    def __len__(self) -> int:
        return self.shape[0]

    def __matmul__(self, matrix: Tensor) -> Tensor:
        found: Tensor = Product.apply(matrix, self)
        return found


def summed(values: Tensor, read: Tensor, into: Tensor, count: int, matrix: Tensor) -> Tensor:
    """Rows of a matrix, each times a value, added up where they belong: `into` is in order."""
    lengths = torch.bincount(into, minlength=count)
    begins = lengths.cumsum(0) - lengths
    return functional.embedding_bag(read, matrix.contiguous(), begins, mode="sum", per_sample_weights=values)


class Product(torch.autograd.Function):
    """Words times a matrix. Of the gradient, too, rows are added up: those of the papers that have a word."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, words: Words) -> Tensor:
        ctx.words = words
        return summed(words.values, words.columns, words.rows, len(words), matrix)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        words: Words = ctx.words
        order = torch.argsort(words.columns, stable=True)
        return summed(words.values[order], words.rows[order], words.columns[order], words.shape[1], gradient), None


def gcn(w: dict[str, Tensor], name: str, x: Tensor | Words, edges: Tensor) -> Tensor:
    source, target = with_loops(edges, len(x))
    root = torch.bincount(target).float().rsqrt()
    h = x @ w[f"{name}.lin.weight"].T
    return arrived(h[source] * (root[source] * root[target])[:, None], target, len(x)) + w[f"{name}.bias"]


def gat(w: dict[str, Tensor], name: str, x: Tensor | Words, edges: Tensor) -> Tensor:
    source, target = with_loops(edges, len(x))
    heads = w[f"{name}.att_src"].shape[1]
    h = (x @ w[f"{name}.lin.weight"].T).reshape(len(x), heads, -1)
    one, other = (h * w[f"{name}.att_src"]).sum(-1), (h * w[f"{name}.att_dst"]).sum(-1)
    score = functional.leaky_relu(one[source] + other[target], 0.2)
    places = target[:, None].expand_as(score)
    largest = torch.full((len(x), heads), -1e9).scatter_reduce(0, places, score.detach(), "amax")
    power = (score - largest[target]).exp()
    share = functional.dropout(power / arrived(power, target, len(x))[target], 0.6)
    return arrived(h[source] * share[:, :, None], target, len(x)).flatten(1) + w[f"{name}.bias"]


def sage(w: dict[str, Tensor], name: str, x: Tensor | Words, edges: Tensor) -> Tensor:
    source, target = edges
    count = torch.bincount(target, minlength=len(x)).clamp(min=1).float()
    h = x @ w[f"{name}.lin_l.weight"].T
    neighbours = arrived(h[source], target, len(x)) / count[:, None]
    return neighbours + w[f"{name}.lin_l.bias"] + x @ w[f"{name}.lin_r.weight"].T


CASES: dict[str, tuple[Propagate, float, Callable[[Tensor], Tensor], float, Callable[[str], bool]]] = {
    "gcn": (gcn, 0.5, torch.relu, 0.01, lambda key: key == "conv1.lin.weight"),
    "gat": (gat, 0.6, functional.elu, 0.005, lambda key: not key.endswith("bias")),
    "sage": (sage, 0.5, torch.relu, 0.01, lambda key: not key.endswith("bias")),
}


def text_of(name: str) -> str:
    """The spec with twenty steps, to their end."""
    text = (ROOT / "specs" / "graph" / f"{name}.nn").read_text(encoding="utf-8")
    return re.sub(r"\n  (patience|keep_best) \w+", "", re.sub(r"epochs \d+", f"epochs {STEPS}", text))


@pytest.fixture
def one_thread() -> Iterator[None]:
    """With several threads torch splits a sum by where its numbers come from, and a loop by hand gathers them otherwise."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("name", CASES)
def test_twenty_steps(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_papers(tmp_path, monkeypatch)
    report = checked(tmp_path, text_of(name))
    (recipe,) = report.recipes.values()
    (instance,) = recipe.instances
    propagate, p, activation, rate, decays = CASES[name]
    first = lower_recipe(recipe, seed=0).instances[instance].state_dict()
    w = {key: nn.Parameter(value.clone()) for key, value in first.items()}
    run = train(report, device="cpu", out=tmp_path / "runs").run

    parts = load(recipe.sources["cora"], tmp_path).parts
    x, edges, label = (parts["train"][field] for field in ("x", "edges", "label"))
    optimizer = torch.optim.Adam(
        [
            {"params": [w[key] for key in w if decays(key)], "weight_decay": 5e-4},
            {"params": [w[key] for key in w if not decays(key)], "weight_decay": 0.0},
        ],
        lr=rate,
        fused=True,
    )
    keep = parts["train"]["part"]
    torch.manual_seed(0)
    for line in log(run):
        h = activation(propagate(w, "conv1", Words(x, p), edges))
        logits = propagate(w, "conv2", functional.dropout(h, p), edges)
        loss = functional.cross_entropy(logits[keep], label[keep])
        assert line["loss"] == pytest.approx(float(loss.detach()), rel=1e-6)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    found = weights(run)
    for key, expected in w.items():
        ours = found[f"network.{instance}/{key}"]
        assert torch.equal(ours, expected), f"{key} differs by {float((ours - expected).abs().max().detach())}"
