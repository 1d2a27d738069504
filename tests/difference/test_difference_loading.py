"""What is said to load does load: names and sizes are asked of torch, and for edits that change nothing the results as well."""

from __future__ import annotations

import pytest
from difference_networks import edited, stacks
from difference_pairs import CHAIN, GPT, MLP, PAIRS, RESNET, Pair, network
from difference_pairs import edited as edit
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

import nnspec  # noqa: E402

pytestmark = pytest.mark.torch


def assert_loads(pair: Pair) -> None:
    """The mapped state loads; what is missing afterwards is what was said to be new or of other sizes."""
    weights = network(pair).weights
    old, new = nnspec.compile(pair.before, seed=1), nnspec.compile(pair.after, seed=2)
    state = old.state_dict()
    assert set(state) == {each.before for each in weights.all if each.before}
    mapped = {key: state[name] for name, key in weights.mapping.items()}
    missing, unexpected = new.load_state_dict(mapped, strict=False)
    assert unexpected == []
    expected = {each.after for each in weights.of("added", "resized")}
    assert set(missing) == {key for key in expected if not key.endswith("num_batches_tracked")}  # torch does not miss those
    after = new.state_dict()
    for trap in weights.traps:
        assert after[trap.before].shape == state[trap.before].shape
    for each in weights.of("resized"):
        assert state[each.before].shape != after[each.after].shape


@pytest.mark.parametrize("name", PAIRS)
def test_an_edit(name: str) -> None:
    assert_loads(PAIRS[name])


@settings(max_examples=25)
@given(st.data())
def test_random_edits(data: st.DataObject) -> None:
    stack = data.draw(stacks())
    assert_loads(Pair(stack.text, data.draw(edited(stack)).text))


@pytest.mark.parametrize(
    ("text", "edits", "sizes"),
    [
        (CHAIN, [("x\n    -> Conv2d(16", "x -> Identity\n    -> Conv2d(16")], (2, 3, 32, 32)),
        (MLP, [("-> Linear(64) -> ReLU -> Linear(10)", "-> Linear(64) -> Identity -> Identity -> ReLU -> Linear(10)")], (5, 64)),
        (RESNET, [('"layer{i + 1}.', '"stage{i + 1}.'), ("as conv1 ->", "as first ->")], (2, 3, 16, 16)),
    ],
    ids=["CHAIN", "MLP", "RESNET"],
)
def test_the_network_computes_the_same_afterwards(text: str, edits: list[tuple[str, str]], sizes: tuple[int, ...]) -> None:
    pair = edit(text, *edits)
    old, new = nnspec.compile(pair.before, seed=1).eval(), nnspec.compile(pair.after, seed=2).eval()
    batch = torch.randn(sizes, generator=torch.Generator().manual_seed(0))
    assert not torch.equal(old(batch), new(batch))
    state = old.state_dict()
    new.load_state_dict({key: state[name] for name, key in network(pair).weights.mapping.items()})
    assert torch.equal(old(batch), new(batch))


def test_a_trap_loads_without_an_error_into_another_layer() -> None:
    """Old keys that fit: torch says nothing, and the result is another one."""
    pair = edit(MLP, ("x -> Linear", "x -> Identity -> Identity -> Linear"))
    weights = network(pair).weights
    assert [each.before for each in weights.traps] == ["2.weight", "2.bias", "4.weight", "4.bias"]
    old, new = nnspec.compile(pair.before, seed=1).eval(), nnspec.compile(pair.after, seed=2).eval()
    state = old.state_dict()
    new.load_state_dict({each.before: state[each.before] for each in weights.traps}, strict=False)
    batch = torch.randn(3, 64, generator=torch.Generator().manual_seed(0))
    assert not torch.equal(old(batch), new(batch))


def test_shared_weights_are_one() -> None:
    assert_loads(edit(GPT, ("vocab: int = 1000", "vocab: int = 1200")))
