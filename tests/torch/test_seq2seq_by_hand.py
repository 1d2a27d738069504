"""The encoder-decoder against a training loop written by hand in torch: twenty steps, equal bit for bit."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from spec_files import ROOT
from torch import Tensor
from torch.nn import functional as F  # noqa: N812
from training_specs import checked, weights

from nnspec.data import load
from nnspec.torch_backend.recipes import lower_recipe
from nnspec.training import train
from nnspec.training.batches import epoch_order

pytestmark = pytest.mark.torch

STEPS, BATCH, RATE, HEADS = 20, 32, 1e-3, 4


def test_seq2seq(tmp_path: Path) -> None:
    text = (ROOT / "specs" / "transformer" / "seq2seq.nn").read_text(encoding="utf-8")
    text = re.sub(r"lr=piecewise\(.*?\)\)", f"lr={RATE}", text, flags=re.DOTALL).replace("samples=20K", "samples=800")
    text = re.sub(r"\n  steps \w+", f"\n  steps {STEPS}", re.sub(r"batch_size \d+", f"batch_size {BATCH}", text))
    report = checked(tmp_path, text)
    recipe = report.recipes["Seq2Seq"]
    p = {key: each.clone().requires_grad_() for key, each in lower_recipe(recipe, seed=0).instances["model"].state_dict().items()}
    fields = load(recipe.sources["pairs"], tmp_path).parts["train"]
    run = train(report, device="cpu", out=tmp_path / "runs").run

    def linear(x: Tensor, name: str) -> Tensor:
        return F.linear(x, p[f"{name}.weight"], p[f"{name}.bias"])

    def norm(x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], p[f"{name}.weight"], p[f"{name}.bias"])

    def heads(x: Tensor) -> Tensor:
        return x.reshape(*x.shape[:2], HEADS, -1).transpose(1, 2)

    def attend(parts: list[Tensor], name: str, mask: Tensor | None, *, causal: bool = False) -> Tensor:
        y = F.scaled_dot_product_attention(*map(heads, parts), mask, is_causal=causal)
        return linear(y.transpose(1, 2).flatten(2), f"{name}.out_proj")

    def own(x: Tensor, name: str) -> list[Tensor]:
        return list(F.linear(x, p[f"{name}.in_proj_weight"], p[f"{name}.in_proj_bias"]).chunk(3, dim=-1))

    def other(y: Tensor, memory: Tensor, name: str) -> list[Tensor]:
        ways = zip(p[f"{name}.in_proj_weight"].chunk(3), p[f"{name}.in_proj_bias"].chunk(3), strict=True)
        return [F.linear(x, weight, bias) for x, (weight, bias) in zip((y, memory, memory), ways, strict=True)]

    def forward(x: Tensor, name: str) -> Tensor:
        return linear(F.relu(linear(x, f"{name}.linear1")), f"{name}.linear2")

    def embedded(tokens: Tensor) -> Tensor:
        found = F.embedding(tokens, p["embed.weight"], padding_idx=0) * 8.0
        return found + p["place.weight"][: tokens.shape[1]]

    def logits(source: Tensor, target: Tensor) -> Tensor:
        keep = (source != 0)[:, None, None, :]
        memory = embedded(source)
        for layer in ("encoder.0", "encoder.1"):
            memory = memory + attend(own(norm(memory, f"{layer}.norm1"), f"{layer}.self_attn"), f"{layer}.self_attn", keep)
            memory = memory + forward(norm(memory, f"{layer}.norm2"), f"{layer}.ff")
        memory = norm(memory, "encoder_norm")
        y = embedded(target)
        for layer in ("decoder.0", "decoder.1"):
            y = y + attend(own(norm(y, f"{layer}.norm1"), f"{layer}.self_attn"), f"{layer}.self_attn", None, causal=True)
            name = f"{layer}.cross_attn"
            y = y + attend(other(norm(y, f"{layer}.norm2"), memory, name), name, keep)
            y = y + forward(norm(y, f"{layer}.norm3"), f"{layer}.ff")
        return norm(y, "decoder_norm") @ p["embed.weight"].T

    ordered = list(p.values())
    optimizer = torch.optim.Adam(ordered, lr=RATE, betas=(0.9, 0.98), fused=True)
    order = epoch_order(len(fields["source"]), 0, 0)
    for low in range(0, STEPS * BATCH, BATCH):
        chosen = order[low : low + BATCH]
        source, target = fields["source"][chosen], fields["target"][chosen]
        optimizer.zero_grad()
        F.cross_entropy(logits(source, target[:, :-1]).transpose(1, 2), target[:, 1:]).backward()
        torch.nn.utils.clip_grad_norm_(ordered, 1.0)
        optimizer.step()
    found = weights(run)
    for key, tensor in p.items():
        ours = found[f"network.model/{key}"]
        assert torch.equal(ours, tensor), f"{key} differs by {float((ours - tensor).detach().abs().max())}"
