"""`grammar/yaml.md`: its examples are read, say what they show, and come back."""

from __future__ import annotations

import re

import pytest
from yaml_trees import as_nn, read_yaml

from nnspec.syntax.node import same_tree
from nnspec.syntax.table import grammar_file
from nnspec.syntax.yaml_words import ITEM_KEYS, STATEMENT_KEYS, STEP_KEYS
from nnspec.syntax.yaml_writer import write_yaml

with open(grammar_file("yaml.md"), encoding="utf-8") as _file:
    TEXT = _file.read()
EXAMPLES = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == 2


@pytest.mark.parametrize("place", range(len(EXAMPLES)))
def test_examples(place: int) -> None:
    file = read_yaml(EXAMPLES[place])
    assert same_tree(file, read_yaml(write_yaml(file)), comments=True)


def test_the_large_example_in_the_other_form() -> None:
    text = as_nn(EXAMPLES[0])
    assert "mixed = x\n    -> LSTM(64, 2, bidirectional=true).last as rnn" in text
    assert "step critic(every=5) {" in text
    assert "data digits = MNIST() { split (train=0.9, test=0.1) }" in text
    assert "ensure Experts { params > 0; causal(x -> mixed) }" in text


@pytest.mark.parametrize("key", sorted({*ITEM_KEYS, *STATEMENT_KEYS, *STEP_KEYS, "each", "repeat", "scan", "if", "group"}))
def test_every_key_is_explained(key: str) -> None:
    assert re.search(rf"\b{key}\b", TEXT)
