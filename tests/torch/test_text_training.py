"""Recipes on text: sizes that data bring, kept with the run; and new texts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from training_specs import Listener, checked, log, weights

from nnspec.data import DataError
from nnspec.data.vocabulary import read as read_vocabulary
from nnspec.errors import SpecError
from nnspec.training import evaluate, predict, train

pytestmark = pytest.mark.torch

SPEC = """
data Words(Tokenizer: block = Characters()) = CSV("t.csv") {
  column kind: category("low", "high")
  column text: str
  t = text -> Tokenizer
  output tokens: index(t.vocab)[N, T] = t.tokens
  output lengths: int64[N] = t.lengths
  output kind
  split (train=0.6, validation=0.2, test=0.2, seed=0)
}
network Reader(vocab: int, longest: int = 50) {
  input tokens: index(vocab)[N, T] where T <= longest
  input lengths: int64[N] where lengths >= 1, lengths <= T
  h = tokens -> Embedding(vocab, 8) as embedding -> LSTM(8, lengths=lengths).last as rnn
  output logits: float32[N, 2] = h -> Linear(2) as head
}
train Learn {
  data words = Words(TOKENIZER)
  layer model = Reader(vocab=words.tokens.classesMORE)
  logits = model(words.tokens, lengths=words.lengths)
  minimize cross_entropy(logits, words.kind)
  measure accuracy(logits, words.kind)
  optimizer Adam(lr=0.02)
  batch_size 8
  epochs 3
}
"""


def spec(folder: Path, tokenizer: str = "", more: str = "") -> str:
    """A spec whose kind is whether a text has an `x` in it."""
    letters = [f"{'ab' * (index % 5 + 1)}{'x' * (index % 2)}{'c' * (index % 3)}" for index in range(60)]
    rows = [f"{('low', 'high')[index % 2]},{text}" for index, text in enumerate(letters)]
    (folder / "t.csv").write_text("kind,text\n" + "\n".join(rows) + "\n")
    return SPEC.replace("TOKENIZER", tokenizer).replace("MORE", more)


@pytest.mark.parametrize("tokenizer", ["", "Tokenizer=BytePair(264)"])
def test_the_sizes_of_the_data_are_kept(tmp_path: Path, tokenizer: str) -> None:
    report = checked(tmp_path, spec(tmp_path, tokenizer))
    assert "words.text.vocab" in str(report.recipes["Learn"].instances["model"].parameters["vocab"])
    found = train(report, device="cpu", out=tmp_path / "runs")
    manifest = json.loads((found.run / "manifest.json").read_text())
    vocabulary = read_vocabulary(found.run / manifest["data"]["words"]["vocabularies"]["words.text"])
    assert manifest["sizes"] == {"Learn.words.text.vocab": len(vocabulary)}
    assert weights(found.run)["network.model/embedding.weight"].shape == (len(vocabulary), 8)
    assert vocabulary.decode(vocabulary.encode(["abxc"])[0]) == "abxc"
    again = evaluate(found.run, device="cpu")
    assert found.final is not None
    assert again.metrics == found.final.metrics
    assert again.notes == ()


def test_the_vocabulary_of_the_run_holds(tmp_path: Path) -> None:
    """Other data later: what the run has learned stays what it was."""
    found = train(checked(tmp_path, spec(tmp_path)), device="cpu", out=tmp_path / "runs")
    (tmp_path / "t.csv").write_text("kind,text\n" + "low,abz\nhigh,xyz\n" * 30)
    again = evaluate(found.run, device="cpu")
    assert again.notes == ("the data of `words` is not what the run was made with",)


def test_going_on_with_a_run_gives_what_it_would_have_given(tmp_path: Path) -> None:
    text = spec(tmp_path)
    whole = train(checked(tmp_path, text), device="cpu", out=tmp_path / "whole").run
    part = train(checked(tmp_path, text, epochs=1), device="cpu", out=tmp_path / "part").run
    train(checked(tmp_path, text), device="cpu", resume=part, out=tmp_path / "part", settings={"train.epochs": 3})
    assert log(part) == log(whole)
    assert all(torch.equal(tensor, weights(part)[name]) for name, tensor in weights(whole).items() if name.startswith("network"))


def test_the_body_of_the_data_knows_the_size_too(tmp_path: Path) -> None:
    text = spec(tmp_path).replace("output kind", "output kind; output letters = float32(one_hot(t.tokens, t.vocab))")
    text = text.replace("minimize cross", "minimize 0 * mean(words.letters) + cross").replace("epochs 3", "epochs 1")
    found = train(checked(tmp_path, text), device="cpu", out=tmp_path / "runs")
    assert evaluate(found.run, device="cpu").samples == 12


def test_new_texts(tmp_path: Path) -> None:
    found = train(checked(tmp_path, spec(tmp_path)), device="cpu", out=tmp_path / "runs")
    (tmp_path / "new.csv").write_text("text,kind\nababx,low\na\N{SNOWMAN},high\n")
    assert predict(found.run, tmp_path / "new.csv", device="cpu")["logits"].shape == (2, 2)


def test_texts_that_are_too_long_are_found_before_training(tmp_path: Path) -> None:
    report = checked(tmp_path, spec(tmp_path, more=", longest=12"))
    assert [each.code for each in report.diagnostics] == ["NN221"]
    with pytest.raises(DataError, match=r"`T <= longest` does not hold for longest = 12 \(here T = 13\)"):
        train(report, device="cpu", out=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_more_kinds_of_tokens_than_the_network_has(tmp_path: Path) -> None:
    text = spec(tmp_path).replace("vocab=words.tokens.classes", "vocab=4")
    report = checked(tmp_path, text)
    assert "NN221" in {each.code for each in report.diagnostics}
    with pytest.raises(SpecError, match=r"NN206.*index\(6\)\[N, T\] arrives"):
        train(report, device="cpu", out=tmp_path / "runs")


# --- weights that are there already ---------------------------------------------------------------------------------------------

PARTS = """
network Trunk { input x: float32[N, 4]; output h = x -> Linear(8, bias=false) as first -> BatchNorm1d as norm -> ReLU }
network Three { input x: float32[N, 4]; layer trunk = Trunk(); output logits = trunk(x) -> Linear(3) as head }
train First {
  data iris = Iris()
  minimize cross_entropy(Three(iris.x), iris.label)
  optimizer Adam(lr=0.01)
  batch_size 30
  epochs 2
}
train Second {
  data iris = Iris()
  layer model = Three()
  STATEMENTS
  minimize cross_entropy(model(iris.x), iris.label)
  optimizer Adam(lr=0.01)
  batch_size 30
  epochs 2
}
"""


def second(folder: Path, statements: str) -> tuple[dict[str, torch.Tensor], Listener]:
    listener = Listener()
    report = checked(folder, PARTS.replace("STATEMENTS", statements))
    run = train(report, "Second", device="cpu", out=folder / "runs", progress=listener).run
    return {
        name.removeprefix("network.model/"): each for name, each in weights(run).items() if name.startswith("network.")
    }, listener


@pytest.fixture
def first(tmp_path: Path) -> dict[str, torch.Tensor]:
    run = train(checked(tmp_path, PARTS.replace("STATEMENTS", "")), "First", device="cpu", out=tmp_path / "runs").run
    run.rename(tmp_path / "runs" / "First-20200101-000000")
    return {name.removeprefix("network.Three/"): each for name, each in weights(run.parent / "First-20200101-000000").items()}


@pytest.mark.parametrize("source", ["First.Three.trunk", '"runs/First-20200101-000000"', '"parts.safetensors"'])
def test_a_loaded_and_frozen_part_stays_as_it_was(tmp_path: Path, first: dict[str, torch.Tensor], source: str) -> None:
    from safetensors.torch import save_file

    names = [name for name in first if name.startswith("trunk.")]
    save_file({name.removeprefix("trunk."): first[name] for name in names}, tmp_path / "parts.safetensors")
    found, listener = second(tmp_path, f"load model.trunk from {source}\n  freeze model.trunk")
    assert len(names) == 6
    for name in names:
        assert torch.equal(found[name], first[name]), name
    assert not torch.equal(found["head.weight"], first["head.weight"])
    assert any(text.startswith("6 weights of `model.trunk` come from") for text in listener.messages)


def test_what_is_loaded_goes_on_to_learn(tmp_path: Path, first: dict[str, torch.Tensor]) -> None:
    found, _ = second(tmp_path, "load model from First.Three")
    assert not any(torch.equal(found[name], first[name]) for name in found if "num_batches" not in name)


def test_frozen_by_selection(tmp_path: Path, first: dict[str, torch.Tensor]) -> None:
    found, _ = second(tmp_path, 'load model from First.Three\n  freeze model where named("head.*"), rank == 2')
    assert torch.equal(found["head.weight"], first["head.weight"])
    assert not torch.equal(found["head.bias"], first["head.bias"])


def test_frozen_is_as_if_torch_had_no_gradient_for_it(tmp_path: Path, first: dict[str, torch.Tensor]) -> None:
    """The same in torch: frozen batch norm in inference mode, the optimizer over the rest."""
    from torch import nn

    from nnspec.data import load
    from nnspec.training.batches import epoch_order

    found, _ = second(tmp_path, "load model from First.Three\n  freeze model.trunk")
    linear, norm, head = nn.Linear(4, 8, bias=False), nn.BatchNorm1d(8), nn.Linear(8, 3)
    linear.weight.data = first["trunk.first.weight"]
    norm.load_state_dict({name.removeprefix("trunk.norm."): each for name, each in first.items() if "norm" in name})
    head.load_state_dict({"weight": first["head.weight"], "bias": first["head.bias"]})
    norm.eval()
    optimizer = torch.optim.Adam(head.parameters(), lr=0.01, fused=True)
    report = checked(tmp_path, PARTS.replace("STATEMENTS", ""))
    data = load(report.recipes["Second"].sources["iris"], tmp_path).parts["train"]
    for epoch in range(2):
        order = epoch_order(120, 0, epoch)
        for low in range(0, 120, 30):
            chosen = order[low : low + 30]
            logits = head(torch.relu(norm(linear(data["x"][chosen]))))
            optimizer.zero_grad()
            nn.functional.cross_entropy(logits, data["label"][chosen]).backward()
            optimizer.step()
    assert torch.equal(found["head.weight"], head.weight)
    assert torch.equal(found["head.bias"], head.bias)


@pytest.mark.parametrize(
    ("statements", "said"),
    [
        ('load model from "none.safetensors"', '"none.safetensors" is not there'),
        (
            'load model.trunk from "small.safetensors"',
            r"does not hold `model.trunk`, 5 of 6 weights: `trunk.norm.weight` is missing",
        ),
        ('load model.head from "small.safetensors"', r"`head.weight` has the shape \[3, 9\], and \[3, 8\] is needed"),
        ('load model.head from "model.nn"', "cannot be read as a safetensors file"),
        ('load model from "runs"', "is not a run folder"),
    ],
)
def test_what_does_not_fit(tmp_path: Path, statements: str, said: str) -> None:
    from safetensors.torch import save_file

    (tmp_path / "runs").mkdir()
    save_file(
        {"trunk.first.weight": torch.zeros(8, 4), "head.weight": torch.zeros(3, 9), "head.bias": torch.zeros(3)},
        tmp_path / "small.safetensors",
    )
    with pytest.raises(Exception, match=said) as error:
        second(tmp_path, statements)
    assert type(error.value).__module__.startswith("nnspec.")


def test_no_run_to_load_from(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="there is no run of `First`"):
        second(tmp_path, "load model from First.Three")
