"""How many threads torch computes with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def threads(single: bool) -> Iterator[None]:
    """With one thread for a while, if `single`: small tensors are done sooner than several threads have met."""
    before = torch.get_num_threads()
    torch.set_num_threads(1 if single else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
