"""What the next steps need, made by other threads while this one computes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")

#: How many are begun for each worker before the first is asked for (PyTorch's `prefetch_factor`).
_BEGUN = 2


def made_ahead(make: Callable[[Given], Made], given: Iterable[Given], workers: int) -> Iterator[Made]:
    """`make` of each, in their order. So many threads are at work on the next ones; with 0 each is made when it is asked for.

    What `make` raises is raised where its result would come. Threads end with the iteration, also with one that is left early.
    """
    if not workers:
        yield from map(make, given)
        return
    coming = iter(given)
    begun: deque[Future[Made]] = deque()
    threads = ThreadPoolExecutor(workers, "worker")
    try:
        for each in coming:
            begun.append(threads.submit(make, each))
            if len(begun) > _BEGUN * workers:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:
        threads.shutdown(wait=True, cancel_futures=True)
