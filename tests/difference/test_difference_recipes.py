"""Recipes and claims, statement by statement."""

from __future__ import annotations

import pytest
from difference_pairs import CNN, GPT, Pair, edited, spec_difference

from nnspec.difference.sentences import recipe_lines
from nnspec.difference.wording import plain


def lines(pair: Pair) -> list[str]:
    (recipe,) = spec_difference(pair).recipes
    return [f"{line.mark} {plain(line.words)}" for line in recipe_lines(recipe)]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("lr=0.01", "lr=0.1", ["~ optimizer SGD: lr 0.01 → 0.1"]),
        ("SGD(lr=0.01, momentum=0.5)", "Adam(lr=0.01)", ["~ optimizer: SGD(lr=0.01, momentum=0.5) → Adam(lr=0.01)"]),
        (
            "SGD(lr=0.01, momentum=0.5)",
            "SGD(lr=cosine(0.01, 0, epochs=10), momentum=0.5)",
            ["~ optimizer SGD: lr 0.01 → cosine(a=0.01, b=0, epochs=10)"],
        ),
        (
            "momentum=0.5)",
            "momentum=0.5, weight_decay=0.01) { override weight_decay = 0 where rank < 2 }",
            ["~ optimizer SGD: weight_decay 0.0 → 0.01", "+ override: weight_decay = 0 where rank < 2"],
        ),
        ("epochs 10", "epochs 20", ["~ epochs: 10 → 20"]),
        ("  epochs 10", "  epochs 10\n  seed 3", ["+ seed: 3"]),
        ("  measure accuracy(logits, digits.label)\n", "", ["- measure accuracy: accuracy()"]),
        ("MNIST(mean=0.1307, std=0.3081)", "FashionMNIST(mean=0.1307, std=0.3081)", None),
        ("MNIST(mean=0.1307", "MNIST(mean=0.13", ["~ data digits MNIST: mean 0.1307 → 0.13"]),
        ("cross_entropy(logits, digits.label)", "cross_entropy(logits * 2, digits.label)", ["+ mul(other=2) (line 13)"]),
        ("digits.image -> Classifier", "(digits.image + 0.5) -> Classifier", ["+ add(other=0.5) (line 12)"]),
    ],
)
def test_a_statement(old: str, new: str, said: list[str] | None) -> None:
    found = lines(edited(CNN, (old, new)))
    if said is None:
        assert found[0].startswith("~ data digits: MNIST(mean=0.1307, std=0.3081) → FashionMNIST(")
    else:
        assert found == said


def test_recipes_come_and_go() -> None:
    network, _, recipe = CNN.partition("train")
    gone = spec_difference(Pair(CNN, network))
    assert [(item.what, item.name, item.status) for item in gone.items] == [("train", "Classifier", "removed")]
    more = spec_difference(Pair(CNN, CNN + "train" + recipe.replace("Classifier {", "Longer {", 1)))
    assert [(item.what, item.name, item.status) for item in more.items] == [("train", "Longer", "added")]


LATER = """agent Player {
  environment game = Gym("CartPole-v1")
  act argmax(q(game.observation), dim=1)
  data run = Rollout(steps=128)
}
"""


def test_what_is_not_run_yet_is_compared_by_its_text() -> None:
    found = spec_difference(edited(CNN + LATER, ("CartPole-v1", "Acrobot-v1")))
    (item,) = found.items
    assert (item.what, item.name, item.status) == ("agent", "Player", "changed")
    assert '+  environment game = Gym("Acrobot-v1")' in item.lines


def test_claims_one_by_one() -> None:
    claims = spec_difference(edited(GPT, ("<= 100M }", "<= 100M; params <= 1M; causal(tokens -> logits) }"))).claims
    assert [(each.before, each.after) for each in claims["GPT"]] == [("", "params <= 1M"), ("", "causal(tokens -> logits)")]
    assert spec_difference(edited(GPT, ("<= 100M", "<= 100_000_000"))).claims == {}


def test_claims_joined_by_and_are_several() -> None:
    pair = edited(GPT.replace("<= 100M }", "<= 100M; params <= 1M }"), ("<= 100M; params", "<= 100M and params"))
    assert spec_difference(pair).claims == {}


def test_a_random_change_of_pictures_is_told_though_measuring_does_not_see_it() -> None:
    source = "data digits = MNIST(mean=0.1307, std=0.3081)"
    plain_body = source + " { output image; output label }"
    flipped = source + " { output image = image -> RandomHorizontalFlip; output label }"
    (found,) = lines(edited(CNN.replace(source, plain_body), (plain_body, flipped)))
    assert "RandomHorizontalFlip" in found
