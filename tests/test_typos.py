"""One-edit typos of operators, arguments and names: the right name is proposed for nearly all. `benchmarks/typos.py` tries more."""

from __future__ import annotations

import random
from collections import Counter, defaultdict

import pytest
import typos

from nnspec.similar import _least, distance, nearest, similar_to

SEED = 20250721
#: Typos of each name that are tried, and the share of them for which the right name has to be proposed.
MOST, SHARE = 2, 0.95
#: How many names of each kind are drawn.
DRAWN = 60


def _sites() -> dict[str, list[typos.Site]]:
    found = defaultdict(list)
    for site in (*typos.operator_sites(), *typos.argument_sites(), *typos.spec_sites(typos.texts())):
        found[site.kind].append(site)
    return found


SITES = _sites()


def test_all_kinds_of_names_are_tried() -> None:
    assert set(SITES) == {
        "operator", "argument", "operator in a spec", "argument in a spec", "value", "item", "member", "type", "word",
    }  # fmt: skip


@pytest.mark.parametrize("kind", sorted(SITES))
def test_the_right_name_is_proposed(kind: str) -> None:
    source = random.Random(SEED)
    drawn = SITES[kind] if len(SITES[kind]) <= DRAWN else source.sample(SITES[kind], DRAWN)
    counts: Counter[bool] = Counter()
    missed = []
    for site in drawn:
        for wrong in typos.misspellings(site.name, source, MOST):
            found = typos.outcome(typos.Typo(site, wrong))
            if found.found:
                counts[found.proposed] += 1
                missed += [] if found.proposed else [f"{wrong} for {site.name}: {found.message}"]
    assert counts[True] >= SHARE * counts.total() > 0, "\n".join(missed)


# --- what is likely ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "candidates", "best"),
    [
        ("kernal_size", ["kernel_size", "in_channels", "padding"], "kernel_size"),
        ("Conv2D", ["Conv1d", "Conv2d", "Conv3d"], "Conv2d"),
        ("inpt", ["init", "input", "output"], "input"),
        ("outptu", ["output", "input"], "output"),
        ("biass", ["bias", "basis"], "bias"),
        ("batchsize", ["batch_size", "patience"], "batch_size"),
        ("xq", ["x", "eq"], "x"),
        ("hidden", ["image", "logits"], None),
        ("softmax", ["Softmax", "softmin"], "Softmax"),
    ],
)
def test_the_likeliest_name_comes_first(word: str, candidates: list[str], best: str | None) -> None:
    assert nearest(word, candidates) == best


def test_names_in_scope_come_before_others_as_near() -> None:
    assert similar_to("heat", ["head"], ["heap"]).names == ("head", "heap")


@pytest.mark.parametrize(
    ("word", "candidates", "sure"),
    [
        ("kernal_size", ["kernel_size", "stride"], True),
        ("Stride", ["stride", "strides"], True),
        ("paddin", ["padding", "paddings"], False),
        ("padig", ["padding"], False),
        ("dmi", ["dim", "input"], False),
    ],
)
def test_a_name_is_sure_if_no_other_comes_into_question(word: str, candidates: list[str], sure: bool) -> None:
    assert similar_to(word, candidates).sure is sure


def test_letters_alone_never_say_too_much() -> None:
    """What is taken for far by its letters is far."""
    draw = random.Random(SEED)
    for _ in range(2_000):
        left, right = ("".join(draw.choices("abcde_", k=draw.randrange(8))) for _ in range(2))
        assert _least(frozenset(left), right) <= distance(left, right)
    assert _least(frozenset("xyz"), "abc") == distance("xyz", "abc") == 3


def test_words_that_are_too_far_are_told_from_near_ones() -> None:
    source = random.Random(SEED)
    words = ["".join(source.choices("abcd", k=source.randrange(9))) for _ in range(120)]
    for left in words:
        for right in words[::5]:
            whole = distance(left, right)
            for most in (1, 2, 3):
                found = distance(left, right, most)
                assert found == whole if whole <= most else found > most, (left, right)
