"""The specs on text against training loops written by hand in torch: twenty steps, equal bit for bit.

Texts of our own stand for the data sets, under their names.
"""

from __future__ import annotations

import random
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from spec_files import ROOT
from torch import Tensor
from torch.nn import functional as F  # noqa: N812
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence
from training_specs import checked, weights

from nnspec.torch_backend.recipes import lower_recipe
from nnspec.training import train
from nnspec.training.batches import epoch_order
from nnspec.training.prepared import prepare

pytestmark = pytest.mark.torch

STEPS, RATE = 20, 1e-3
WORDS = "the cat sat on a mat and you have won a prize call now see me at home today".split()


def write_texts(folder: Path) -> None:
    """Files that are like those of the specs, and small."""
    draw = random.Random(0)
    lines = [" ".join(draw.choices(WORDS, k=draw.randint(1, 12))) for _ in range(150)]
    (folder / "sms-spam").mkdir()
    (folder / "sms-spam" / "sms.tsv").write_text(
        "".join(f"{('ham', 'spam')[place % 3 == 0]}\t{line}\n" for place, line in enumerate(lines))
    )
    (folder / "tinyshakespeare").mkdir()
    (folder / "tinyshakespeare" / "input.txt").write_text("\n".join(lines))


class ByHand:
    """A recipe of a spec, run for twenty steps at one rate; and its first weights `p` by key, which a loop of torch's goes on with."""

    def __init__(
        self, folder: Path, spec: str, recipe: str, replaced: dict[str, str] | None = None, dropout: float | None = None
    ) -> None:
        write_texts(folder)
        for used in (ROOT / "specs" / spec).parent.glob("*.nn"):
            shutil.copy(used, folder)
        text = (ROOT / "specs" / f"{spec}.nn").read_text(encoding="utf-8")
        text = re.sub(r"lr=(piecewise\(.*?\)\)|cosine\(.*?\))", f"lr={RATE}", text, flags=re.DOTALL)
        text = re.sub(r"\n  (epochs|steps) \w+", f"\n  steps {STEPS}", text)
        text = re.sub(r"\n  measure_every.*", "", text)
        for before, after in (replaced or {}).items():
            assert before in text, before
            text = text.replace(before, after)
        self.report = checked(folder, text)
        first = self.report.recipes[recipe]
        _, self.recipe, self.data = prepare(self.report, first, folder)
        (self.instance,) = self.recipe.instances
        state = lower_recipe(self.recipe, seed=0).instances[self.instance].state_dict()
        self.p = {key: tensor.clone().requires_grad_() for key, tensor in state.items()}
        self.fields = next(iter(self.data.values())).parts["train"]
        self.run = train(self.report, recipe, device="cpu", out=folder / "runs").run

    def linear(self, x: Tensor, name: str) -> Tensor:
        return F.linear(x, self.p[f"{name}.weight"], self.p[f"{name}.bias"])

    def norm(self, x: Tensor, name: str, eps: float = 1e-5) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], self.p[f"{name}.weight"], self.p[f"{name}.bias"], eps)

    def groups(self) -> list[list[Tensor]]:
        """Matrices and the rest, the first weight's own kind first."""
        flat = [tensor.dim() < 2 for tensor in self.p.values()]
        kinds = (flat[0], not flat[0])
        return [[tensor for tensor in self.p.values() if (tensor.dim() < 2) == kind] for kind in kinds]

    def batches(self, size: int, drop_last: bool = False) -> Iterator[tuple[Tensor, ...]]:
        """Samples of the run in its order, padded by hand; the random state is that of its beginning."""
        rows = self.fields["tokens"]
        count, taken, epoch = len(rows), 0, 0
        texts = [row[row != 0] for row in rows[:]]
        torch.manual_seed(0)
        while True:
            order = epoch_order(count, 0, epoch)
            for low in range(0, count, size):
                if taken == STEPS:
                    return
                taken += 1
                chosen = order[low : low + size]
                tokens = pad_sequence([texts[index] for index in chosen], batch_first=True)
                yield tokens, (tokens != 0).sum(1), self.fields["kind"][chosen]
            epoch += 1

    def learn(self, losses: Iterator[Tensor], optimizer: torch.optim.Optimizer, ordered: list[Tensor]) -> None:
        """Twenty steps; then all weights have to be those of the run."""
        for loss in losses:
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(ordered, 1.0)
            optimizer.step()
        found = weights(self.run)
        for key, tensor in self.p.items():
            ours = found[f"network.{self.instance}/{key}"]
            assert torch.equal(ours, tensor), f"{key} differs by {float((ours - tensor).detach().abs().max())}"


def test_lstm_of_characters(tmp_path: Path) -> None:
    hand = ByHand(tmp_path, "rnn/text_classifier", "Spam")
    vocab = len(hand.data["sms"].vocabularies["sms.text"])
    lstm = torch.nn.LSTM(48, 48, batch_first=True, bidirectional=True)
    lstm.load_state_dict({key.removeprefix("rnn."): tensor.detach() for key, tensor in hand.p.items() if key.startswith("rnn.")})
    hand.p |= {f"rnn.{key}": tensor for key, tensor in lstm.named_parameters()}
    assert hand.p["embedding.weight"].shape == (vocab, 48)

    def losses() -> Iterator[Tensor]:
        for tokens, lengths, kind in hand.batches(32):
            h = F.dropout(F.embedding(tokens, hand.p["embedding.weight"]), 0.2)
            _, (last, _) = lstm(pack_padded_sequence(h, lengths, batch_first=True, enforce_sorted=False))
            yield F.cross_entropy(hand.linear(torch.cat((last[0], last[1]), dim=-1), "head"), kind)

    ordered = list(hand.p.values())
    hand.learn(losses(), torch.optim.Adam(ordered, lr=RATE, fused=True), ordered)


def attention(hand: ByHand, x: Tensor, name: str, heads: int, mask: Tensor | None) -> Tensor:
    """Self-attention; causal without a mask."""
    packed = F.linear(x, hand.p[f"{name}.in_proj_weight"], hand.p[f"{name}.in_proj_bias"])
    q, k, v = (each.reshape(*x.shape[:2], heads, -1).transpose(1, 2) for each in packed.chunk(3, dim=-1))
    y = F.scaled_dot_product_attention(q, k, v, mask, is_causal=mask is None)
    return hand.linear(y.transpose(1, 2).flatten(2), f"{name}.out_proj")


def test_encoder(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    hand = ByHand(tmp_path, "transformer/text_classifier", "Spam")

    def losses() -> Iterator[Tensor]:
        for tokens, _, kind in hand.batches(32):
            keep = tokens != 0
            h = F.embedding(tokens, hand.p["embedding.weight"]) + hand.p["positions.weight"][: tokens.shape[1]]
            h = F.dropout(h, 0.2)
            for layer in ("layers.0", "layers.1"):
                seen = attention(hand, hand.norm(h, f"{layer}.norm1"), f"{layer}.self_attn", 4, keep[:, None, None, :])
                h = h + F.dropout(seen, 0.2)
                inner = F.relu(hand.linear(hand.norm(h, f"{layer}.norm2"), f"{layer}.ff.linear1"))
                h = h + F.dropout(hand.linear(F.dropout(inner, 0.2), f"{layer}.ff.linear2"), 0.2)
            h = hand.norm(h, "norm")
            real = keep.unsqueeze(-1)
            mean = torch.where(real, h, 0.0).sum(1) / real.sum(1)
            yield F.cross_entropy(hand.linear(mean, "head"), kind)

    first, second = hand.groups()
    decays = [0.01 if tensors[0].dim() > 1 else 0.0 for tensors in (first, second)]
    groups = [{"params": tensors, "weight_decay": decay} for tensors, decay in zip((first, second), decays, strict=True)]
    hand.learn(losses(), torch.optim.AdamW(groups, lr=RATE, fused=True), first + second)


def test_gpt(tmp_path: Path) -> None:
    hand = ByHand(tmp_path, "transformer/gpt", "Shakespeare")
    text = (tmp_path / "tinyshakespeare" / "input.txt").read_text()
    own = text[: len(text) - round(len(text) * 0.1)]
    index = {character: place for place, character in enumerate(sorted(set(own)), start=2)}
    tokens = torch.tensor([index[character] for character in own])
    count, length = (len(own) - 1) // 64, 64

    def losses() -> Iterator[Tensor]:
        taken = epoch = 0
        torch.manual_seed(0)
        while True:
            generator = torch.Generator().manual_seed(epoch * 64)
            starts = torch.randint(len(own) - length, (count,), generator=generator)
            for low in range(0, count - 11, 12):
                if taken == STEPS:
                    return
                taken += 1
                rows = [tokens[start : start + length + 1] for start in starts[low : low + 12].tolist()]
                batch = torch.stack(rows)
                yield loss_of(batch[:, :-1], batch[:, 1:])
            epoch += 1

    def loss_of(seen: Tensor, following: Tensor) -> Tensor:
        h = F.embedding(seen, hand.p["wte.weight"]) + hand.p["wpe.weight"]
        for layer in range(4):
            name = f"h.{layer}"
            h = h + attention(hand, hand.norm(h, f"{name}.ln_1"), f"{name}.attn", 4, None)
            inner = F.gelu(hand.linear(hand.norm(h, f"{name}.ln_2"), f"{name}.mlp.c_fc"), approximate="tanh")
            h = h + hand.linear(inner, f"{name}.mlp.c_proj")
        logits = hand.norm(h, "ln_f") @ hand.p["wte.weight"].T
        return F.cross_entropy(logits.transpose(1, 2), following)

    first, second = hand.groups()
    groups = [{"params": tensors, "weight_decay": 0.1 if tensors[0].dim() > 1 else 0.0} for tensors in (first, second)]
    hand.learn(losses(), torch.optim.AdamW(groups, lr=RATE, betas=(0.9, 0.99), fused=True), first + second)


def bert(hand: ByHand, tokens: Tensor, name: str = "bert") -> Tensor:
    """The hidden states of a BERT of two layers and four heads."""
    e = f"{name}.embeddings"
    word = F.embedding(tokens, hand.p[f"{e}.word_embeddings.weight"], padding_idx=0)
    place = F.embedding(torch.arange(tokens.shape[1]), hand.p[f"{e}.position_embeddings.weight"])
    segment = F.embedding(torch.zeros_like(tokens), hand.p[f"{e}.token_type_embeddings.weight"])
    x = F.dropout(hand.norm(word + place + segment, f"{e}.LayerNorm", 1e-12), 0.1)
    mask = (tokens != 0)[:, None, None, :]
    for layer in (f"{name}.encoder.layer.0", f"{name}.encoder.layer.1"):
        q, k, v = (
            hand.linear(x, f"{layer}.attention.self.{part}").unflatten(2, (4, 16)).transpose(1, 2)
            for part in ("query", "key", "value")
        )
        mixed = F.scaled_dot_product_attention(q, k, v, mask, 0.1).transpose(1, 2).flatten(2)
        mixed = F.dropout(hand.linear(mixed, f"{layer}.attention.output.dense"), 0.1)
        a = hand.norm(x + mixed, f"{layer}.attention.output.LayerNorm", 1e-12)
        widened = hand.linear(F.gelu(hand.linear(a, f"{layer}.intermediate.dense")), f"{layer}.output.dense")
        x = hand.norm(a + F.dropout(widened, 0.1), f"{layer}.output.LayerNorm", 1e-12)
    return x


def test_bert_learns_masked_tokens(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    hand = ByHand(tmp_path, "transformer/bert", "Pretrain")
    vocab = len(hand.data["sms"].vocabularies["sms.text"])

    def losses() -> Iterator[Tensor]:
        for tokens, _, _ in hand.batches(32):
            chosen = (torch.rand(tokens.shape) < 0.15) & (tokens != 0)
            dice = torch.rand(tokens.shape)
            other = torch.where(dice < 0.9, torch.randint(2, vocab, tokens.shape), tokens)
            seen = torch.where(chosen, torch.where(dice < 0.8, 1, other), tokens)
            h = hand.norm(F.gelu(hand.linear(bert(hand, seen), "transform")), "norm")
            logits = h @ hand.p["bert.embeddings.word_embeddings.weight"].T + hand.p["bias"]
            wanted = torch.where(chosen, tokens, -100)
            yield F.cross_entropy(logits.transpose(1, 2), wanted, reduction="sum") / chosen.sum().clamp(min=1)

    first, second = hand.groups()
    groups = [{"params": tensors, "weight_decay": 0.01 if tensors[0].dim() > 1 else 0.0} for tensors in (first, second)]
    hand.learn(losses(), torch.optim.AdamW(groups, lr=RATE, fused=True), first + second)


CLASSIFIERS: dict[str, Callable[[str], bool]] = {
    "Scratch": lambda key: False,
    "Finetune": lambda key: key.startswith("bert.embeddings."),
}


@pytest.mark.parametrize("recipe", CLASSIFIERS)
def test_bert_classifies(tmp_path: Path, recipe: str) -> None:
    """The recipe that loads has nothing to load from here; in its place something is frozen, and stays."""
    pytest.importorskip("tokenizers")
    hand = ByHand(
        tmp_path, "transformer/bert", recipe, {"  load model.bert from Pretrain.lm.bert\n": "  freeze model.bert.embeddings\n"}
    )
    ordered = [tensor for key, tensor in hand.p.items() if not CLASSIFIERS[recipe](key)]

    def losses() -> Iterator[Tensor]:
        for tokens, _, kind in hand.batches(32):
            pooled = torch.tanh(hand.linear(bert(hand, tokens)[:, 0], "bert.pooler.dense"))
            yield F.cross_entropy(hand.linear(F.dropout(pooled, 0.1), "classifier"), kind)

    hand.learn(losses(), torch.optim.AdamW(ordered, lr=RATE, fused=True), ordered)
