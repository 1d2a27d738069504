"""Text: what makes indices of it, and the source that cuts it into windows. Tokenizers are fitted to the training part only and kept
with the run; `nnspec.data` does both.

`t = text -> Characters()` in a `data` item gives `t.tokens` index(vocab)[N, T], padded with 0 to the longest of the batch, `t.lengths`
int64[N] and the size of the vocabulary, `t.vocab`.
"""

from __future__ import annotations

from typing import Any, ClassVar

from nnspec.dims import Dim
from nnspec.operators.declare import Inferred, Operator, attribute, operator
from nnspec.operators.kinds import Integer, Kind, Listing, Maybe, Real, Refusal, Text
from nnspec.operators.source import Source
from nnspec.operators.table_source import quoting_of
from nnspec.types import TensorType, index


class Tokenizer(Operator):
    """From text to indices. Index 0 pads."""

    is_tokenizer = True
    #: What the vocabulary holds at least, whatever the text is.
    least: ClassVar[int] = 1

    max_length: int | None

    def infer(self) -> Inferred:
        self.check()
        return Inferred({})

    def check(self) -> None:
        """Refuse settings that contradict one another."""

    @property
    def smallest(self) -> int:
        """A lower bound of the size of the vocabulary."""
        return self.least


def _max_length() -> int | None:
    length: int | None = attribute(Maybe(Integer()), None, ge=1, doc="tokens of a text that are kept; none: all")
    return length


@operator("Characters", source="Karpathy 2015, char-rnn: https://github.com/karpathy/char-rnn")
class Characters(Tokenizer):
    """Each character of the training part is a token. 0 pads, 1 stands for a character that is not known, then by code point."""

    least = 3

    max_length: int | None = _max_length()


@operator("BytePair", source="Sennrich et al. 2016, arXiv:1508.07909; on bytes, as in Radford et al. 2019")
class BytePair(Tokenizer):
    """Pairs of bytes that stand together most often become tokens, until there are `size`. Nothing is unknown: all bytes are tokens."""

    least = 256

    size: int = attribute(Integer(), ge=257, le=1_000_000, doc="tokens at most, the special ones and the 256 bytes among them")
    max_length: int | None = _max_length()
    special: tuple[str, ...] = attribute(
        Listing(Text()), ("[PAD]",), doc="names of the first tokens, which no text contains; the first one pads"
    )

    def check(self) -> None:
        if not self.special:
            raise Refusal("NN107", "`special` names at least the token that pads", "special")
        if len(set(self.special)) < len(self.special):
            raise Refusal("NN105", "a special token is named twice", "special")
        if self.size < self.smallest:
            raise Refusal(
                "NN107", f"`size` is at least {self.smallest}: 256 bytes and the special tokens, got {self.size}", "size"
            )

    @property
    def smallest(self) -> int:
        return self.least + len(self.special)


class _TokenizerKind(Kind):
    """A tokenizer, with or without its settings."""

    name = "a tokenizer such as `Characters()`"

    def accept(self, value: Any) -> Any:
        if not getattr(getattr(value, "operator", value), "is_tokenizer", False):
            raise self.refuse(value)
        return value


@operator("TextWindows", source="Karpathy 2022, nanoGPT: https://github.com/karpathy/nanoGPT")
class TextWindows(Source):
    """Pieces of one long text: `tokens` index(vocab)[N, length], and `following`, the same one token later.

    Training draws where they begin, anew in each epoch, as many as fit into its part side by side; a part that is measured is covered
    once, from its beginning on. The parts follow one another in the text: train, validation, test. With `column`, the text is that
    column of a table, row after row.
    """

    path: str = attribute(Text(), doc="the file, from the folder of the spec or of the data")
    length: int = attribute(Integer(), ge=1, doc="tokens of a window")
    tokenizer: Any = attribute(_TokenizerKind(), doc="what makes tokens of the text")
    validation: float = attribute(Real(), 0.0, ge=0, lt=1, doc="share of the text, behind the training part", keyword_only=True)
    test: float = attribute(Real(), 0.0, ge=0, lt=1, doc="share of the text, at its end", keyword_only=True)
    column: str | None = attribute(Maybe(Text()), None, doc="the column of a table that holds the text", keyword_only=True)
    delimiter: str = attribute(Text(), ",", doc="what stands between two values of the table", keyword_only=True)
    names: tuple[str, ...] | None = attribute(
        Maybe(Listing(Text())), None, doc="names of all columns of a table without a header", keyword_only=True
    )
    quote: str | None = quoting_of("the table")

    reads_text = True

    def check(self) -> None:
        super().check()
        if self.column is not None and len(self.delimiter) != 1:
            raise Refusal("NN107", f'`delimiter` is one character, got "{self.delimiter}"', "delimiter")
        if self.names is not None and self.column is None:
            raise Refusal("NN104", "`names` is given without `column`", "names")
        if self.names is not None and self.column not in self.names:
            raise Refusal("NN111", f'the table has no column "{self.column}"', "column", help="it has " + ", ".join(self.names))

    def windows_of(self, batch: Dim, vocab: Dim) -> dict[str, TensorType]:
        """The types of the fields, with the size of the vocabulary that reading brings."""
        return {"tokens": index(vocab, (batch, self.length)), "following": index(vocab, (batch, self.length))}
