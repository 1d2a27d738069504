"""Text as data: vocabularies, rows of different lengths, windows, and what can be wrong with them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from training_specs import recipe, source

from nnspec.data import DataError, Dataset, load
from nnspec.data.rows import Ragged, Windows
from nnspec.data.vocabulary import BytePairVocabulary, CharacterVocabulary, Vocabulary, fit, from_state
from nnspec.data.vocabulary import read as read_vocabulary
from nnspec.operators.text import BytePair, Characters
from nnspec.training.batches import Batches, part_batches

pytestmark = pytest.mark.torch

TABLE = 'CSV("t.tsv", delimiter="\\t", names=["kind", "text"], quote=none SETTINGS) { column kind: index(2)\n column text: str\n BODY }'
PLAIN = "t = text -> TOKENIZER; output tokens: index(t.vocab)[N, T] = t.tokens; output lengths: int64[N] = t.lengths; output kind"
ROWS = [(0, "abba"), (1, "c"), (0, "ab"), (1, "ca b"), (0, "bb"), (1, 'a"c'), (0, "a"), (1, "cc")]


def table(
    folder: Path, rows: list[tuple[int, str]], body: str = PLAIN, tokenizer: str = "Characters()", settings: str = ""
) -> Dataset:
    (folder / "t.tsv").write_text("".join(f"{kind}\t{text}\n" for kind, text in rows))
    text = TABLE.replace("SETTINGS", settings).replace("BODY", body).replace("TOKENIZER", tokenizer)
    return load(source(folder, text), folder)


# --- vocabularies ---------------------------------------------------------------------------------------------------------------


def fitted(kind: str, texts: list[str]) -> Vocabulary:
    if kind == "Characters":
        return fit(Characters(), texts)
    return fit(BytePair(attributes={"size": 300, "special": ("[PAD]", "[MASK]")}), texts)


@pytest.mark.parametrize("kind", ["Characters", "BytePair"])
@given(texts=st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=5))
def test_what_was_fitted_comes_back(kind: str, texts: list[str]) -> None:
    texts = [text.encode("utf-8", "replace").decode() for text in texts]
    vocabulary = fitted(kind, texts)
    again = from_state(json.loads(json.dumps(vocabulary.state())))
    rows = vocabulary.encode(texts)
    assert again.encode(texts) == rows
    assert [again.decode(row) for row in rows] == texts
    assert all(0 < index < len(vocabulary) for row in rows for index in row)
    assert vocabulary.decode([0, *rows[0], 0]) == texts[0]


def test_characters_by_code_point_and_one_index_for_what_is_unknown() -> None:
    vocabulary = CharacterVocabulary.fit(["ba", "d"])
    assert vocabulary.tokens == ("[PAD]", "\N{REPLACEMENT CHARACTER}", "a", "b", "d")
    assert vocabulary.encode(["abc\n"]) == [[2, 3, 1, 1]]
    with pytest.raises(DataError, match="5 is no token: the vocabulary has 0 to 4"):
        vocabulary.decode([5])


def test_byte_pairs_are_the_same_each_time_and_know_every_byte() -> None:
    texts = ["the cat sat on the mat", "that is the hat", "[MASK] the"] * 3
    first, second = (BytePairVocabulary.fit(texts, 280, ("[PAD]", "[MASK]")) for _ in range(2))
    assert first.state() == second.state()
    assert len(first) <= 280
    assert first.tokens[:2] == ("[PAD]", "[MASK]")
    (row,) = first.encode(["[MASK] \N{SNOWMAN}"])
    assert 1 not in row
    assert first.decode(row) == "[MASK] \N{SNOWMAN}"
    (merged,) = first.encode(["the"])
    assert len(merged) < 3


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"kind": "Words"}',
        '{"kind": "Characters"}',
        '{"kind": "BytePair", "tokens": [1], "merges": [], "special": []}',
    ],
)
def test_what_is_no_vocabulary(tmp_path: Path, content: str) -> None:
    path = tmp_path / "v.json"
    path.write_text(content)
    with pytest.raises(DataError):
        read_vocabulary(path)


# --- rows -----------------------------------------------------------------------------------------------------------------------


@given(st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=6), min_size=1, max_size=6), st.data())
def test_rows_are_padded_to_the_longest_that_is_chosen(rows: list[list[int]], data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, max_size=8))
    found = Ragged.of(rows).index_select(0, torch.tensor(chosen))
    longest = max(len(rows[index]) for index in chosen)
    assert found.tolist() == [rows[index] + [0] * (longest - len(rows[index])) for index in chosen]
    assert found.dtype == torch.int64


def test_windows_lie_side_by_side_and_begin_anywhere() -> None:
    tokens = torch.arange(11, dtype=torch.int32)
    windows, following = Windows(tokens, 3, 0), Windows(tokens, 3, 1)
    assert windows[:].tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert following[:].tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    anywhere = following.anywhere()
    assert len(anywhere) == 8
    assert anywhere[-1:].tolist() == [[8, 9, 10]]


# --- columns of text ------------------------------------------------------------------------------------------------------------


def test_text_of_a_table(tmp_path: Path) -> None:
    found = table(tmp_path, ROWS)
    fields = found.parts["train"]
    assert fields["lengths"].tolist() == [4, 1, 2, 4, 2, 3, 1, 2]  # type: ignore[union-attr]
    assert fields["tokens"][1:3].tolist() == [[6, 0], [4, 5]]
    assert found.vocabularies["d.text"].tokens[2:] == (" ", '"', "a", "b", "c")


def test_fitted_to_the_training_part_only(tmp_path: Path) -> None:
    found = table(
        tmp_path, [(index % 2, "ab" if index < 19 else "xyz") for index in range(20)], settings=", validation=0.5, seed=4"
    )
    parts = {part: fields["tokens"][:] for part, fields in found.parts.items()}
    letters = set(found.vocabularies["d.text"].tokens[2:])
    assert {"a", "b"} <= letters
    with_xyz = next(part for part, tokens in parts.items() if tokens.shape[1] == 3)
    assert ("x" in letters) == (with_xyz == "train")
    assert (with_xyz == "train") or bool((parts[with_xyz] == 1).any())


def test_texts_are_cut_off(tmp_path: Path) -> None:
    found = table(tmp_path, ROWS, tokenizer="Characters(max_length=2)")
    assert found.parts["train"]["lengths"].max() == 2  # type: ignore[union-attr]
    assert found.parts["train"]["tokens"][:].shape == (8, 2)


def test_what_is_computed_of_tokens_is_computed_for_each_batch(tmp_path: Path) -> None:
    body = "t = text -> Characters(); output back = flip(t.tokens, 1); output long = t.lengths > 2; output kind"
    fields = table(tmp_path, ROWS, body).parts["train"]
    assert fields["back"][1:3].tolist() == [[0, 6], [5, 4]]
    assert fields["long"].tolist() == [True, False, False, True, False, True, False, False]  # type: ignore[union-attr]


def test_two_tokenizers_of_one_column(tmp_path: Path) -> None:
    body = """
      a = text -> Characters(); b = text -> Characters(max_length=1); c = text -> Characters()
      output long = a.tokens; output short = b.tokens; output again = c.tokens; output kind"""
    found = table(tmp_path, ROWS, body)
    fields = found.parts["train"]
    assert torch.equal(fields["long"][:], fields["again"][:])
    assert fields["short"][:].shape == (8, 1)
    assert set(found.vocabularies) == {"d.text", "d.text_2"}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([(0, "a"), (1, "")], "line 2, column `text`: a value is missing, and the column has no default"),
        ([(0, "a"), (1, "b\tc")], "line 2 has 3 values, expected 2"),
    ],
)
def test_broken_rows(tmp_path: Path, rows: list[tuple[int, str]], said: str) -> None:
    with pytest.raises(DataError, match=said):
        table(tmp_path, rows)


def test_a_default_fills_empty_texts(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("0\tab\n1\t\n")
    text = TABLE.replace("SETTINGS", "").replace("column text: str", 'column text: str = "-"')
    found = load(source(tmp_path, text.replace("BODY", PLAIN).replace("TOKENIZER", "Characters()")), tmp_path)
    assert found.parts["train"]["tokens"][:].tolist() == [[3, 4], [2, 0]]


def test_marks_of_quotes_are_text_without_quoting(tmp_path: Path) -> None:
    assert table(tmp_path, [(0, '"a'), (1, "b")]).size() == 2
    text = TABLE.replace(", quote=none SETTINGS", "").replace("BODY", PLAIN).replace("TOKENIZER", "Characters()")
    with pytest.raises(DataError, match="say `quote=none`"):
        load(source(tmp_path, text), tmp_path)


# --- windows of a text ----------------------------------------------------------------------------------------------------------

WINDOWS = """
network Next(vocab: int) {
  input tokens: index(vocab)[N, T]
  output logits = tokens -> Embedding(vocab, 8) -> Linear(vocab)
}
train R {
  data d = TextWindows("t.txt", length=4, tokenizer=Characters()SETTINGS)
  layer net = Next(vocab=d.tokens.classes)
  minimize cross_entropy(net(d.tokens), d.following, dim=2)
  optimizer SGD(lr=0.1)
  batch_size 3
  epochs 2
}
"""


def windows(folder: Path, text: str, settings: str = "") -> Dataset:
    (folder / "t.txt").write_text(text)
    return load(recipe(folder, WINDOWS.replace("SETTINGS", settings)).sources["d"], folder)


def test_parts_of_a_text_follow_one_another(tmp_path: Path) -> None:
    found = windows(tmp_path, "abcdefghij" * 10, ", validation=0.2, test=0.1")
    vocabulary = found.vocabularies["d"]
    assert {part: found.size(part) for part in found.parts} == {"train": 17, "validation": 4, "test": 2}
    for part, begin in {"train": 0, "validation": 70, "test": 90}.items():
        rows, following = found.parts[part]["tokens"][:], found.parts[part]["following"][:]
        text = ("abcdefghij" * 10)[begin:]
        assert "".join(map(vocabulary.decode, rows.tolist())) == text[: rows.numel()]
        assert "".join(map(vocabulary.decode, following.tolist())) == text[1 : rows.numel() + 1]


def test_training_draws_where_windows_begin(tmp_path: Path) -> None:
    found = windows(tmp_path, "abcdefghij" * 10)
    batches = Batches({"d": found}, 3, 0, False, torch.device("cpu"))
    epochs = [torch.cat([batch["d.tokens"] for _, batch in batches.epoch(epoch)]) for epoch in (0, 1, 0)]
    assert epochs[0].shape == (found.size(), 4)
    assert torch.equal(epochs[0], epochs[2])
    assert not torch.equal(epochs[0], epochs[1])
    assert len({tuple(row) for row in epochs[0].tolist()}) > len(
        {tuple(row) for row in found.parts["train"]["tokens"][:].tolist()}
    )
    for _, batch in batches.epoch(0):
        assert torch.equal(batch["d.tokens"][:, 1:], batch["d.following"][:, :-1])
    measured = torch.cat([batch["d.tokens"] for _, batch in part_batches({"d": found}, "train", 3, torch.device("cpu"))])
    assert torch.equal(measured, found.parts["train"]["tokens"][:])


def test_windows_of_a_column(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("".join(f"{kind}\t{text}\n" for kind, text in ROWS))
    text = WINDOWS.replace("t.txt", "t.tsv").replace(
        "SETTINGS", ', column="text", delimiter="\\t", names=["kind", "text"], quote=none'
    )
    found = load(recipe(tmp_path, text).sources["d"], tmp_path)
    rows = found.parts["train"]["tokens"][:]
    assert "".join(map(found.vocabularies["d"].decode, rows.tolist())) == "\n".join(text for _, text in ROWS)[: rows.numel()]


def test_too_short_a_text(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"`d` \(validation\) has 4 tokens, and a window with what follows it takes 5"):
        windows(tmp_path, "a" * 20, ", validation=0.2")


def test_text_that_is_none_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_bytes(b"one\ntwo\n\xff\n")
    with pytest.raises(DataError, match=r"b.txt, line 3, cannot be read as text in UTF-8"):
        load(source(tmp_path, 'TextWindows("b.txt", length=2, tokenizer=Characters())'), tmp_path)


@pytest.mark.parametrize(
    ("tokens", "merges", "said"),
    [
        (["[PAD]", "a", "b", "a"], [], "stands in it twice"),
        (["[PAD]", "a", "b"], [["a", "b"]], "it has no token 'ab'"),
        (["[PAD]", "a", "ab"], [["a", "b"]], "it has no token 'b'"),
    ],
)
def test_pairs_that_make_no_vocabulary(tokens: list[str], merges: list[list[str]], said: str) -> None:
    """The library takes some for another vocabulary, and ends the process for others."""
    pytest.importorskip("tokenizers")
    state = {"kind": "BytePair", "special": ["[PAD]"], "tokens": tokens, "merges": merges}
    with pytest.raises(DataError, match=said):
        from_state(state)
    assert len(from_state({**state, "tokens": ["[PAD]", "a", "b", "ab"], "merges": [["a", "b"]]})) == 4
