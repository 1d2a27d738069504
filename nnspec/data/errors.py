"""What can be wrong with data."""

from __future__ import annotations

from nnspec.errors import MissingExtra


class DataError(Exception):
    """Data that is not there, cannot be read, or is not what the spec says. The message names the file and what to do."""


__all__ = ["DataError", "MissingExtra"]
