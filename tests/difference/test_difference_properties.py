"""What holds for all pairs of specs: nothing differs from itself, and a difference read backwards is the difference backwards."""

from __future__ import annotations

from collections import Counter

import pytest
from difference_networks import Stack, edited, stacks
from difference_pairs import PAIRS, Pair, described, network, spec_difference
from hypothesis import given, settings
from hypothesis import strategies as st

from nnspec.difference.changes import Change, Detail

_BACKWARDS = {"added": "removed", "removed": "added"}


def backwards(change: Change) -> Change:
    details = tuple(Detail(each.name, each.after, each.before) for each in change.details)
    return Change(_BACKWARDS.get(change.kind, change.kind), change.after, change.before, details)


def assert_reversible(pair: Pair) -> None:
    there, back = network(pair), network(Pair(pair.after, pair.before))
    assert Counter(map(described, there.layers.changes)) == Counter(
        described(backwards(change)) for change in back.layers.changes
    )
    assert there.weights.mapping == {new: old for old, new in back.weights.mapping.items()}
    assert {each.before for each in there.weights.of("removed")} == {each.after for each in back.weights.of("added")}
    for name, total in there.totals.all.items():
        other = back.totals.all[name]
        assert (total.old_number, total.new_number) == (other.new_number, other.old_number)
    assert Counter((each.before, each.after) for each in there.conditions) == Counter(
        (each.after, each.before) for each in back.conditions
    )


@settings(max_examples=60)
@given(stacks())
def test_nothing_differs_from_itself(stack: Stack) -> None:
    found = spec_difference(Pair(stack.text, stack.text))
    assert not found.differs
    assert not found.networks[0].layers.renamings


@settings(max_examples=150)
@given(st.data())
def test_a_difference_backwards(data: st.DataObject) -> None:
    stack = data.draw(stacks())
    assert_reversible(Pair(stack.text, data.draw(edited(stack)).text))


@pytest.mark.parametrize("name", PAIRS)
def test_an_edit_backwards(name: str) -> None:
    assert_reversible(PAIRS[name])


@settings(max_examples=100)
@given(st.data())
def test_every_weight_has_one_fate(data: st.DataObject) -> None:
    stack = data.draw(stacks())
    found = network(Pair(stack.text, data.draw(edited(stack)).text))
    weights = found.weights
    for fate, sides in {"same": 2, "renamed": 2, "resized": 2, "removed": 1, "added": 1}.items():
        assert all(bool(each.before) + bool(each.after) == sides for each in weights.of(fate))
    for keys in ([each.before for each in weights.all if each.before], [each.after for each in weights.all if each.after]):
        assert len(keys) == len(set(keys))
    assert all(each.before == each.after for each in weights.of("same"))
    assert all(each.before != each.after and each.old_shape == each.new_shape for each in weights.of("renamed"))


@settings(max_examples=60)
@given(st.data())
def test_layers_that_were_only_put_in_are_said_as_such(data: st.DataObject) -> None:
    """A network that lost nothing: every layer of the old one is in the new one, so nothing is removed."""
    stack = data.draw(stacks())
    place = data.draw(st.integers(0, len(stack.chains) - 1))
    chain = list(stack.chains[place])
    chain.insert(data.draw(st.integers(0, len(chain))), chain[0]._replace(call="Hardswish", name=""))
    longer = stack._replace(chains=(*stack.chains[:place], tuple(chain), *stack.chains[place + 1 :]))
    found = network(Pair(stack.text, longer.text))
    counts = Counter(change.kind for change in found.layers.changes)
    assert counts["added"] == 1
    assert set(counts) <= {"added", "renamed"}
