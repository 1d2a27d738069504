"""The words that begin a statement of a block or network, and what is meant by a misspelt one. No meaning of statements."""

from __future__ import annotations

from nnspec.similar import similar_to
from nnspec.syntax import tree

BODY_WORDS = ("input", "output", "layer", "param", "buffer", "state", "next", "init")


def meant(statement: tree.Statement) -> str:
    """The word of a statement, or the one that is surely meant by it; "" for a binding."""
    word = statement.word.id if statement.word is not None else ""
    if not word or word in BODY_WORDS:
        return word
    similar = similar_to(word, BODY_WORDS)
    return similar.names[0] if similar.sure else word
