"""What can be wrong with data. `nnspec.tabular` raises it as well, so it stands with the other errors."""

from __future__ import annotations

from nnspec.errors import DataError

__all__ = ["DataError"]
