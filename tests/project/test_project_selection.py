"""Which rules speak: words for codes, layers of choices, and patterns of paths."""

from __future__ import annotations

import os

import pytest

from nnspec.codes import CODES
from nnspec.errors import UsageError
from nnspec.project.patterns import Patterns
from nnspec.project.selection import Layer, checked_ignored, checked_word, codes_of, speaking

DEFAULT = {code for code, rule in CODES.items() if rule.on}
OFF = sorted(code for code, rule in CODES.items() if not rule.on)


def test_words_for_codes() -> None:
    assert codes_of("NN601") == codes_of("nn601") == codes_of("unused-binding") == {"NN601"}
    assert codes_of("NN6") == {code for code in CODES if code.startswith("NN6")}
    assert codes_of("unused") == codes_of("nonsense") == frozenset()


def test_an_unknown_word_names_a_similar_one() -> None:
    with pytest.raises(UsageError, match="a similar one is `unused-binding`"):
        checked_word("unsed-binding")
    with pytest.raises(UsageError, match="nnspec list rules"):
        checked_word("quetzalcoatl")


def test_an_error_cannot_be_ignored() -> None:
    with pytest.raises(UsageError, match="an error cannot be ignored"):
        checked_ignored("NN103")
    with pytest.raises(UsageError, match="an error cannot be ignored"):
        checked_ignored("NN1")
    assert checked_ignored("NN2") == "NN2", "some of them are no errors"


def test_there_are_rules_that_are_off() -> None:
    assert OFF


def test_nothing_said_leaves_the_defaults() -> None:
    assert speaking([]) == speaking([Layer(), Layer()]) == DEFAULT


@pytest.mark.parametrize("code", OFF)
def test_selecting_turns_on(code: str) -> None:
    assert speaking([Layer(select=(code,))]) == {code}
    assert speaking([Layer(extend=(code,))]) == DEFAULT | {code}
    assert code in speaking([Layer(select=(code[:3],))])


def test_within_a_layer_the_longer_word_wins() -> None:
    assert "NN601" not in speaking([Layer(select=("NN6",), ignore=("NN601",))])
    assert "NN602" in speaking([Layer(select=("NN6",), ignore=("NN601",))])
    assert speaking([Layer(select=("NN601",), ignore=("NN6",))]) == {"NN601"}
    assert speaking([Layer(select=("unused-binding",), ignore=("NN6",))]) == {"NN601"}
    assert speaking([Layer(select=("NN601",), ignore=("NN601",))]) == frozenset()


def test_the_later_layer_wins() -> None:
    assert speaking([Layer(ignore=("NN601",)), Layer(select=("NN6",))]) >= {"NN601"}
    assert "NN601" not in speaking([Layer(select=("NN601",)), Layer(ignore=("NN6",))])
    assert speaking([Layer(select=("NN601",)), Layer(select=("NN220",))]) == {"NN220"}
    assert speaking([Layer(select=("NN601",)), Layer(extend=("NN220",))]) == {"NN601", "NN220"}
    assert "NN601" not in speaking([Layer(ignore=("NN601",)), Layer(ignore=("NN220",))]), "what a layer does not name stays"


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("old", "old", True),
        ("old", "old/a.nn", True),
        ("old", "deep/old/a.nn", True),
        ("old", "older/a.nn", False),
        ("old/", "deep/old/a.nn", True),
        ("*.nn", "deep/a.nn", True),
        ("*.nn", "a.yaml", False),
        ("draft_?.nn", "draft_1.nn", True),
        ("draft_?.nn", "draft_10.nn", False),
        ("a/b.nn", "a/b.nn", True),
        ("a/b.nn", "c/a/b.nn", False),
        ("./a/b.nn", "a/b.nn", True),
        ("/a", "a/b.nn", True),
        ("a/*", "a/b/c.nn", True),  # the folder a/b matches, and with it what is in there
        ("a/*.nn", "a/b/c.nn", False),
        ("a/**/c.nn", "a/c.nn", True),
        ("a/**/c.nn", "a/x/y/c.nn", True),
        ("**/old/*.nn", "x/old/a.nn", True),
        ("*.{nn,yaml}", "a.yaml", True),
        ("{a,b}/c.nn", "b/c.nn", True),
        ("[ab].nn", "b.nn", True),
        ("[!ab].nn", "b.nn", False),
        ("[!ab].nn", "c.nn", True),
        ("a.nn", "aXnn", False),
        ("a+b (1).nn", "a+b (1).nn", True),
        ("[.nn", "[.nn", True),
    ],
)
def test_patterns(pattern: str, path: str, matches: bool) -> None:
    assert Patterns([pattern], "/project").match(os.path.join("/project", path)) is matches


def test_patterns_outside_of_their_folder() -> None:
    assert not Patterns(["a/*.nn", "old"], "/project/sub").match("/project/a/b.nn")
    assert Patterns(["b.nn"], "/project/sub").match("/project/a/b.nn")
    assert not Patterns([], "/project").match("/project/a.nn")


def test_a_pattern_that_cannot_be_read() -> None:
    with pytest.raises(UsageError, match="a pattern cannot be read"):
        Patterns(["[z-a].nn"], "/project")
