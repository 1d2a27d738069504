"""Signals that ask a training to stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def heard(note: Callable[[int], None]) -> Iterator[None]:
    """Tell of the first signal that asks to stop; a second one ends the process as usual. Threads other than the main one hear none."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def once(number: int, frame: Any) -> None:
        note(number)
        _give_back(before)

    before = {number: signal.signal(number, once) for number in _SIGNALS}
    try:
        yield
    finally:
        _give_back(before)


def _give_back(handlers: dict[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
        # None: a handler that was not installed from Python
        signal.signal(number, signal.SIG_DFL if handler is None else handler)
