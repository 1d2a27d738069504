"""Limits of what is read, so that hostile text costs a finding and not the machine. Numbers only."""

from __future__ import annotations

from typing import Final

SOURCE_LIMIT: Final = 1 << 20
"""Code points (and bytes) of one file: about 25,000 lines."""

TOKEN_LIMIT: Final = 150_000
"""Tokens of one file, nearly three times those of 5,000 lines."""

NAME_LIMIT: Final = 64
"""Characters of one name: names become checkpoint keys and Python attributes."""

DIGIT_LIMIT: Final = 40
"""Digits of one number."""

STACK_LIMIT: Final = 200
"""Entries of the parser's stack. With `HEIGHT_LIMIT` it bounds the height of every tree: later stages may recurse."""

SUFFIX_LIMIT: Final = 150
"""Calls, subscripts and members of one statement; beyond it the height of its tree is measured."""

HEIGHT_LIMIT: Final = 350
"""Nodes from the root of a statement to its innermost part."""

FINDING_LIMIT: Final = 100
"""Findings of one run; the last one says that there may be more."""
