"""What can be wrong with data."""

from __future__ import annotations

from nnspec.errors import UsageError


class DataError(UsageError):
    """Data that is not there, cannot be read, or is not what the spec says. Names the file, the place in it, and what to do."""
