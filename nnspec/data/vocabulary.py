"""Vocabularies: tokenizers that have been fitted, as JSON and back. The interface for whoever turns text into indices and back:

- `fit(operator, texts)` fits a tokenizer of a spec to texts; `from_state(state)` and `read(path)` give a vocabulary that was fitted before.
- `vocabulary.encode(texts)` gives one list of indices for each text, as long as it is (no padding, not cut off).
- `vocabulary.decode(indices)` gives the text; index 0, which pads, and other special tokens give nothing, unknown characters U+FFFD.
- `len(vocabulary)` is the number of classes, `vocabulary.tokens` what each index stands for, `vocabulary.state()` is JSON.

A run keeps them in its folder as `vocabulary/SOURCE.COLUMN.json`, `vocabulary/SOURCE.json` for a text in windows.
Not here: padding, windows and parts of a data set (`nnspec.data.texts`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from nnspec.data.errors import DataError
from nnspec.errors import MissingExtra
from nnspec.operators.declare import Operator

UNKNOWN = "\N{REPLACEMENT CHARACTER}"
_PAD = "[PAD]"
#: Indices of `Characters` that stand for no character of the text: padding, and what is not known.
_RESERVED = 2


class Vocabulary:
    """A fitted tokenizer. `kind` is the operator's name; `tokens` says what each index stands for, `special` the names of the first ones."""

    kind: str
    tokens: tuple[str, ...]
    special: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.tokens)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The indices of each text."""
        raise NotImplementedError

    def decode(self, indices: Iterable[int]) -> str:
        """The text that the indices stand for. Raises DataError for an index beyond the vocabulary."""
        raise NotImplementedError

    def state(self) -> dict[str, Any]:
        """All that is needed to have it again, as JSON."""
        raise NotImplementedError

    def _known(self, indices: Iterable[int]) -> list[int]:
        found = [int(each) for each in indices]
        wrong = next((each for each in found if not 0 <= each < len(self)), None)
        if wrong is not None:
            raise DataError(f"{wrong} is no token: the vocabulary has 0 to {len(self) - 1}")
        return found


class CharacterVocabulary(Vocabulary):
    """Each character is a token; 0 pads, 1 is unknown."""

    kind = "Characters"

    def __init__(self, characters: str) -> None:
        self.special = (_PAD, UNKNOWN)
        self.tokens = (*self.special, *characters)
        self._index = {character: place for place, character in enumerate(characters, start=_RESERVED)}

    @classmethod
    def fit(cls, texts: Iterable[str]) -> CharacterVocabulary:
        """The characters of the texts, by code point."""
        return cls("".join(sorted(set(chain.from_iterable(texts)))))

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        index = self._index
        return [[index.get(character, 1) for character in text] for text in texts]

    def decode(self, indices: Iterable[int]) -> str:
        return "".join(self.tokens[each] for each in self._known(indices) if each)

    def state(self) -> dict[str, Any]:
        return {"kind": self.kind, "characters": "".join(self.tokens[_RESERVED:])}


class BytePairVocabulary(Vocabulary):
    """Bytes and pairs of tokens, on the `tokenizers` library; texts are first cut into words as GPT-2's are. The special tokens come first."""

    kind = "BytePair"

    def __init__(self, tokens: Sequence[str], merges: Sequence[tuple[str, str]], special: Sequence[str]) -> None:
        tokenizers = _library()
        self.tokens, self.special = tuple(tokens), tuple(special)
        self.merges = tuple((left, right) for left, right in merges)
        self._verify()
        # the special tokens are not told to the library, which would look for their names in texts
        own = {token: place for place, token in enumerate(self.tokens) if place >= len(self.special)}
        try:
            model = tokenizers.models.BPE(own, list(self.merges))
        except Exception as error:  # the library raises plain ones
            raise DataError(f"the vocabulary is none: {error}") from error
        self._tokenizer = _with_bytes(tokenizers, model)

    def _verify(self) -> None:
        """Refuse what the library ends the process for, or takes for another vocabulary. Raises DataError."""
        known = set(self.tokens[len(self.special) :])
        if len(known) != len(self.tokens) - len(self.special):
            raise DataError("the vocabulary is none: a token stands in it twice")
        for left, right in self.merges:
            lacking = next((each for each in (left, right, left + right) if each not in known), None)
            if lacking is not None:
                raise DataError(f"the vocabulary is none: {left!r} and {right!r} are merged, and it has no token {lacking!r}")

    @classmethod
    def fit(cls, texts: Iterable[str], size: int, special: Sequence[str]) -> BytePairVocabulary:
        """The `size` most frequent, by merging pairs; fewer where the texts have no more."""
        tokenizers = _library()
        tokenizer = _with_bytes(tokenizers, tokenizers.models.BPE())
        alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
        trainer = tokenizers.trainers.BpeTrainer(vocab_size=size - len(special), initial_alphabet=alphabet, show_progress=False)
        tokenizer.train_from_iterator(texts, trainer)
        model = json.loads(tokenizer.to_str())["model"]
        learned = sorted(model["vocab"], key=model["vocab"].__getitem__)
        return cls((*special, *learned), [tuple(pair) for pair in model["merges"]], special)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        return [each.ids for each in self._tokenizer.encode_batch(list(texts), add_special_tokens=False)]

    def decode(self, indices: Iterable[int]) -> str:
        first = len(self.special)
        text: str = self._tokenizer.decode([each for each in self._known(indices) if each >= first], skip_special_tokens=False)
        return text

    def state(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "special": list(self.special),
            "tokens": list(self.tokens),
            "merges": [list(pair) for pair in self.merges],
        }


def _library() -> Any:
    try:
        import tokenizers
    except ImportError as error:
        raise MissingExtra("tokenizers", "text") from error
    return tokenizers


def _with_bytes(tokenizers: Any, model: Any) -> Any:
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    return tokenizer


def fit(operator: Operator, texts: Sequence[str]) -> Vocabulary:
    """The vocabulary of a tokenizer on these texts, the same for the same texts. Raises DataError and MissingExtra."""
    settings = operator.attributes()
    if not any(texts):
        raise DataError(f"`{operator.name}` has no text to be fitted to")
    if operator.name == "Characters":
        return CharacterVocabulary.fit(texts)
    return BytePairVocabulary.fit(texts, settings["size"], settings["special"])


def from_state(state: Mapping[str, Any]) -> Vocabulary:
    """The reverse of `state`. Raises DataError for what is none."""
    try:
        if state["kind"] == "Characters":
            return CharacterVocabulary(_text(state["characters"]))
        if state["kind"] == "BytePair":
            merges = [(_text(left), _text(right)) for left, right in state["merges"]]
            return BytePairVocabulary([*map(_text, state["tokens"])], merges, [*map(_text, state["special"])])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"this is no vocabulary: {type(error).__name__}: {error}") from error
    raise DataError(f"this version knows no vocabulary of the kind {state['kind']!r}")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def read(path: Path) -> Vocabulary:
    """A vocabulary that a run has kept. Raises DataError."""
    return from_state(read_state(path))


def read_state(path: Path) -> dict[str, Any]:
    """The state of one, as it lies in a file. Raises DataError."""
    try:
        state = json.loads(path.read_bytes())
        if not isinstance(state, dict):
            raise ValueError("it holds no object")
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read as a vocabulary: {error}") from error
    return state
