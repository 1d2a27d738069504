"""Python's collector of garbage, which walks all that lives whenever enough has been made."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_held() -> Iterator[None]:
    """No collection inside: where many small objects are made that live to the end, the walks over them grow with the square of their
    number, and where something is timed they hit one call and not the next."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()
