"""Families of networks, stopped and gone on with: bit for bit what they are without the stop. `make soak` has all recipes of `specs/`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from family_runs import Family, families, make_data, resumed, small, uninterrupted

pytestmark = [pytest.mark.torch, pytest.mark.slow]

FAMILIES = families()
#: One for each kind of loop, data and state: random draws, recurrent and ragged batches, windows, several steps, whole graphs, agents.
CHOSEN = (
    "perceptron/perceptron:Perceptron", "cnn/color_cnn:ColorCNN", "resnet/resnet20:ResNet20", "rnn/row_classifier:RowGRU",
    "rnn/text_classifier:Spam",
    "transformer/gpt:Shakespeare", "transformer/bert:Pretrain", "transformer/seq2seq:Seq2Seq", "vae/vae:VAE", "gan/wgan_gp:WGANGP",
    "graph/gat:GAT", "q_agent/tabular:LakeSARSA", "q_agent/dqn:DQN",
)  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("data")
    make_data(folder)
    with small(folder):
        yield folder


def test_every_family_is_among_them() -> None:
    assert set(CHOSEN) <= FAMILIES.keys()
    assert {family.spec.split("/")[0] for family in FAMILIES.values()} == {
        "autoencoder", "cnn", "feed_forward", "gan", "graph", "mlp", "perceptron", "q_agent", "resnet", "rnn", "transformer", "unet", "vae",
    }  # fmt: skip


#: The others take too long for every change.
QUICK = ("perceptron/perceptron:Perceptron", "cnn/color_cnn:ColorCNN", "vae/vae:VAE", "q_agent/tabular:LakeSARSA")


@pytest.mark.parametrize("name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.nightly) for name in CHOSEN])
def test_bit_for_bit(data: Path, name: str, tmp_path: Path) -> None:
    family: Family = FAMILIES[name]
    whole = uninterrupted(family, tmp_path)
    for stop in family.stops:
        assert resumed(family, tmp_path, stop, whole) == [], f"stopped at batch {stop}"
    if not family.acts:
        assert resumed(family, tmp_path, family.stops[1], whole, workers=2) == []
