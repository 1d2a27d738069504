"""Growing sequences: each way against what it is by definition, and `generate` in recipes and samples."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from torch import Tensor
from training_specs import trained

from nnspec.checker import check_source
from nnspec.data import DataError
from nnspec.diagnostics import Source
from nnspec.torch_backend.modules.generation import Generation, grow
from nnspec.training import TrainingError, evaluate, sample

pytestmark = pytest.mark.torch

KINDS = 4


def chain(seed: int = 0) -> tuple[Tensor, Tensor]:
    """A Markov chain over four tokens: the logits of what follows each."""
    logits = torch.randn(KINDS, KINDS, generator=torch.Generator().manual_seed(seed)) * 2
    return logits, logits.log_softmax(dim=1)


def test_greedy_takes_the_likeliest() -> None:
    logits, _ = chain()
    grown = grow(lambda tokens: logits[tokens[:, -1]], torch.tensor([[0], [2]]), Generation(5))
    for row in grown.tolist():
        assert all(logits[a].argmax() == b for a, b in itertools.pairwise(row))


def test_nothing_follows_a_stop() -> None:
    logits = torch.full((KINDS, KINDS), -5.0)
    logits[0, 1], logits[1, 2], logits[2, 3], logits[3, 3] = 5, 5, 5, 5
    grown = grow(lambda tokens: logits[tokens[:, -1]], torch.tensor([[0], [2]]), Generation(4, stop=2, pad=0))
    assert grown.tolist() == [[0, 1, 2, 0, 0], [2, 3, 3, 3, 3]]
    early = grow(lambda tokens: logits[tokens[:, -1]], torch.tensor([[1]]), Generation(4, stop=2, pad=0))
    assert early.tolist() == [[1, 2, 0, 0, 0]]


def test_draws_follow_the_logits() -> None:
    logits, _ = chain()
    torch.manual_seed(0)
    start = torch.zeros(20_000, 1, dtype=torch.int64)
    for temperature in (1.0, 0.5):
        drawn = grow(lambda tokens: logits[tokens[:, -1]], start, Generation(1, temperature=temperature))[:, 1]
        found = torch.bincount(drawn, minlength=KINDS) / len(drawn)
        assert torch.allclose(found, (logits[0] / temperature).softmax(dim=0), atol=0.02)


def test_top_k_and_top_p() -> None:
    logits = torch.tensor([[3.0, 2.0, 1.0, 0.0]]).log_softmax(dim=1)
    torch.manual_seed(0)
    start = torch.zeros(2_000, 1, dtype=torch.int64)

    def kinds(**how: float) -> set[int]:
        return set(grow(lambda tokens: logits[tokens[:, -1] * 0], start, Generation(1, temperature=1.0, **how))[:, 1].tolist())  # type: ignore[arg-type]

    assert kinds(top_k=2) == {0, 1}
    assert kinds(top_k=9) == {0, 1, 2, 3}
    likeliest = float(logits[0, 0].exp())
    assert kinds(top_p=likeliest - 0.01) == {0}
    assert kinds(top_p=likeliest + 0.01) == {0, 1}
    assert kinds(top_p=1.0) == {0, 1, 2, 3}


@pytest.mark.parametrize("seed", range(5))
def test_a_wide_beam_finds_the_likeliest_sequence(seed: int) -> None:
    logits, log = chain(seed)
    length = 4
    grown = grow(lambda tokens: logits[tokens[:, -1]], torch.tensor([[0], [3]]), Generation(length, beam=KINDS**length))
    for row in grown.tolist():
        best = max(
            itertools.product(range(KINDS), repeat=length),
            key=lambda rest: sum(float(log[a, b]) for a, b in itertools.pairwise([row[0], *rest])),
        )
        assert tuple(row[1:]) == best


def test_a_beam_weighs_stopped_sequences_by_their_length() -> None:
    """Stopping at once has the probability 0.55; going on for two tokens 0.45 * 1 * 1."""
    log = torch.tensor([[1e-9, 0.55, 0.45, 1e-9], [1, 1, 1, 1.0], [1e-9, 1e-9, 1e-9, 1.0], [1e-9, 1.0, 1e-9, 1e-9]]).log()
    start = torch.tensor([[0]])

    def best(penalty: float) -> list[int]:
        how = Generation(3, stop=1, beam=3, length_penalty=penalty)
        found: list[int] = grow(lambda tokens: log[tokens[:, -1]], start, how)[0].tolist()
        return found

    assert best(0.0) == [0, 1, 0, 0]
    assert best(2.0) == [0, 2, 3, 1]


SPEC = """
network Copier(width: int = 16) {
  input source: index(6)[N, S]
  input target: index(6)[N, T] where T <= 5
  seen = mean(source -> Embedding(6, width), dim=1, keepdim=true)
  output logits: float32[N, T, 6] = (target -> Embedding(6, width)) + seen -> GRU(width) -> Linear(6)
}
data Pairs2 = Generated(samples=64, seed=0) {
  output source = randint(3, 6)[N, 3]
  output target = concat(full(1)[N, 1], full(3)[N, 2], full(2)[N, 1], dim=1)
  split (test=0.25)
}
train Copier {
  data pairs = Pairs2
  logits = Copier(pairs.source, pairs.target[:, :-1])
  minimize cross_entropy(logits, pairs.target[:, 1:])
  said = generate(Copier.logits, source=pairs.source, grow="target", start=1, stop=2, length=3)
  measure exact_match(said, pairs.target)
  measure accuracy(logits, pairs.target[:, 1:])
  optimizer Adam(lr=0.05)
  batch_size 16
  epochs 5
}
sample Copier {
  output target = generate(Copier.logits, source=pairs.source, grow="target", start=[1, 3], length=7, temperature=1)
}
"""


def test_in_a_recipe_it_is_measured_and_not_trained(tmp_path: Path) -> None:
    result = trained(tmp_path, SPEC)
    assert result.final is not None
    assert result.metrics["exact_match"] == 1.0
    assert list(result.metrics) == ["exact_match", "accuracy"]
    assert all("exact_match" not in line and "accuracy" in line for line in result.history)
    assert evaluate(result.run).metrics == result.metrics  # type: ignore[union-attr]
    (drawn,) = sample(result.run, count=4)
    assert drawn.outputs["target"].shape == (4, 9)
    assert drawn.outputs["target"][:, :2].tolist() == [[1, 3]] * 4


def test_what_is_not_causal_is_refused(tmp_path: Path) -> None:
    text = SPEC.replace("-> GRU(width)", "-> GRU(width, bidirectional=true)")
    with pytest.raises(TrainingError, match="changes with the tokens after it"):
        trained(tmp_path, text)


CALL = 'generate(Copier.logits, source=pairs.source, grow="target", start=1, stop=2, length=3)'


@pytest.mark.parametrize(
    ("call", "code", "message"),
    [
        ("generate(pairs.source, start=1, length=3)", "NN115", "takes one output of a network by position, and this is a tensor"),
        ("generate(Copier.logit, source=pairs.source, start=1, length=3)", "NN111", "has no output `logit`"),
        ("generate(Copier.logits, start=1, length=3)", "NN114", "left are `source`, `target`"),
        ("generate(Copier.logits, source=pairs.source, start=1)", "NN104", "needs `length`"),
        ("generate(Copier.logits, source=pairs.source, start=1, length=0)", "NN107", "how many tokens are added"),
        ("generate(Copier.logits, source=pairs.source, start=1, length=3, top_p=2)", "NN107", "above 0 and at most 1"),
        (
            "generate(Copier.logits, source=pairs.source, start=1, lenght=3)",
            "NN102",
            "no setting, and `Copier` no input, `lenght`",
        ),
        ("generate(Copier.logits, source=pairs.source, start=6, length=3)", "NN206", "6 is none of the 6 tokens"),
        ('generate(Copier.logits, source=pairs.source, start="x", length=3)', "NN115", "needs the vocabulary of a text"),
        ("generate(Copier.logits, source=pairs.source, start=1, length=3, beam=2, top_k=2)", "NN404", "nothing is drawn"),
        ("generate(Copier.logits, source=pairs.target[:, 0], start=1, length=3)", "NN203", "`source` of `Copier` is"),
    ],
)
def test_mistakes_are_findings(call: str, code: str, message: str) -> None:
    report = check_source(Source("model.nn", SPEC.replace(CALL, call)))
    found = [(each.code, each.message) for each in report.diagnostics if each.severity == "error"]
    assert [code for code, _ in found] == [code]
    assert message in found[0][1]


def test_it_cannot_be_minimized() -> None:
    report = check_source(Source("model.nn", SPEC.replace("minimize cross_entropy(logits, pairs.target[:, 1:])", "").replace(
        "measure exact_match(said, pairs.target)", "minimize mean(float32(said))")))  # fmt: skip
    assert [(each.code, each.message) for each in report.diagnostics if each.severity == "error"] == [
        ("NN402", "what is minimized depends on `generate`, which is computed in evaluation only")
    ]


TEXT = """
network Tiny(vocab: int, width: int = 16) {
  input tokens: index(vocab)[N, T] where T <= 8
  output logits: float32[N, T, vocab] = tokens -> Embedding(vocab, width) -> GRU(width) -> Linear(vocab)
}
train Words {
  data text = TextWindows("words.txt", length=8, tokenizer=Characters(), validation=0.2)
  layer net = Tiny(vocab=text.tokens.classes)
  minimize cross_entropy(net(text.tokens), text.following)
  optimizer Adam(lr=0.02)
  batch_size 8
  steps 150
}
sample Words {
  input prompt: str = "ab"
  output text = generate(net.logits, start=prompt, length=12)
}
"""


def test_text_in_and_out(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("abcd" * 200)
    run = trained(tmp_path, TEXT).run
    assert (run / "samples" / "Words.text.txt").read_text() == "abcdabcdabcdab\n"
    (drawn,) = sample(run, settings={"prompt": "dabc"})
    assert drawn.texts == {"text": ["dabcdabcdabcdabc"]}
    (three,) = sample(run, count=3)
    assert three.texts == {"text": ["abcdabcdabcdab"] * 3}
    with pytest.raises(DataError, match=r"none.npy cannot be read"):
        sample(run, inputs={"text0": tmp_path / "none.npy"})


def test_what_is_ok_is_said_nothing_of() -> None:
    assert not check_source(Source("model.nn", SPEC)).diagnostics
