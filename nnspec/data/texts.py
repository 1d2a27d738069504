"""Text of a source: read, its tokenizers fitted to the training part, and every part turned into indices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from nnspec.data import tables
from nnspec.data.errors import DataError
from nnspec.data.location import Lookup
from nnspec.data.rows import Ragged, Rows, Windows
from nnspec.data.samples import Fields, RawFields, Samples, Strings
from nnspec.data.vocabulary import Vocabulary, fit, from_state
from nnspec.recipes.division import PARTS, DivisionError, Shares
from nnspec.recipes.recipe import Column, DataSource
from nnspec.tabular.records import line_of

#: The field that holds the whole text of a part until it is cut into windows.
_WHOLE = "text"


def read_windows(source: DataSource, lookup: Lookup) -> Samples:
    """One long text, divided into parts that follow one another. Raises DataError."""
    settings = source.operator.attributes()
    path = lookup.find(settings["path"])
    if settings["column"] is not None:
        column = Column(settings["column"], "str")
        rows = tables.read_columns(path, source, {column.name: column})[column.name]
        assert isinstance(rows, Strings)
        text = "\n".join(rows.values)
    else:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            line = line_of(path, error)
            raise DataError(f"{path}{f', line {line},' if line else ''} cannot be read as text in UTF-8: {error}") from error
    shares = Shares.of(source)
    try:
        (sizes,) = shares.sizes([len(text)])
    except DivisionError as error:
        raise DataError(error.message) from error
    parts: dict[str, RawFields] = {}
    begin = 0
    for part in PARTS:
        if sizes[part]:
            parts[part] = {_WHOLE: Strings([text[begin : begin + sizes[part]]])}
        begin += sizes[part]
    return Samples(parts["train"], parts=parts)


def fitted_to(source: DataSource, parts: Mapping[str, RawFields], known: Mapping[str, Any]) -> dict[str, Vocabulary]:
    """The vocabularies of a source by their keys ("sms.text"): fitted to its training part, or those of the `known` states. Raises
    DataError."""
    return {
        text.key: from_state(known[text.key])
        if text.key in known
        else fit(text.operator, _strings(parts["train"], text.column if text.longest is not None else _WHOLE))
        for text in source.texts.values()
    }


def encoded(source: DataSource, parts: Mapping[str, RawFields], vocabularies: Mapping[str, Vocabulary]) -> dict[str, Fields]:
    """The parts with tokens in the place of text. Raises DataError."""
    found: dict[str, Fields] = {
        part: {name: value for name, value in fields.items() if not isinstance(value, Strings)} for part, fields in parts.items()
    }
    for text in source.texts.values():
        vocabulary = vocabularies[text.key]
        for part, fields in parts.items():
            if text.longest is not None:
                strings = _strings(fields, text.column)
                found[part] |= token_rows(text.name, strings, vocabulary, text.operator.attributes()["max_length"])
            else:
                found[part] |= _windows(source, part, _strings(fields, _WHOLE)[0], vocabulary)
    return found


def _strings(fields: RawFields, name: str) -> Sequence[str]:
    strings = fields[name]
    assert isinstance(strings, Strings)
    return strings.values


def token_rows(name: str, strings: Sequence[str], vocabulary: Vocabulary, most: int | None) -> dict[str, Tensor | Rows]:
    """ "NAME.tokens" and "NAME.lengths" of texts, each cut off after `most` tokens."""
    tokens = Ragged.of([row[:most] for row in vocabulary.encode(strings)])
    return {f"{name}.tokens": tokens, f"{name}.lengths": tokens.lengths}


def _windows(source: DataSource, part: str, text: str, vocabulary: Vocabulary) -> dict[str, Tensor | Rows]:
    length = source.operator.attributes()["length"]
    tokens = torch.tensor(vocabulary.encode([text])[0], dtype=torch.int32)
    if len(tokens) <= length:
        raise DataError(
            f"`{source.name}` ({part}) has {len(tokens):,} tokens, and a window with what follows it takes {length + 1:,}"
        )
    return {"tokens": Windows(tokens, length, 0), "following": Windows(tokens, length, 1)}
