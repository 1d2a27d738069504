"""Batches on their way to a GPU: copied on a stream of their own while the step before is computed, one batch ahead.

A copy runs beside kernels only from pinned memory, and only on another stream than theirs. What then has to be said is who waits for whom: the
stream that computes waits for the copy of its batch when that is handed out, and not before; and memory that the copying stream has given is not
given again until the computing stream is done with it. Source: https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-streams. Not here:
which samples a batch has (`nnspec.training.batches`), and threads that read them (`nnspec.training.ahead`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

#: Tensors by name, at any depth; sources by name, fields by name, what a field is computed of by name.
Tensors = Mapping[str, Any]
Label = TypeVar("Label")


class Lane(Protocol):
    """What copies run on."""

    def copied(self, tensor: Tensor) -> Tensor:
        """A tensor of the processor's memory on the device, as soon as the copy is done; nothing waits for it here."""

    def mark(self) -> Any:
        """A moment: what has been begun so far is done when it comes."""

    def wait(self, moment: Any) -> None:
        """Let what is computed from now on wait for a moment. The processor does not."""

    def used(self, tensor: Tensor) -> None:
        """Say that what is computed from now on reads a tensor that was made here."""


class CudaLane:
    """A stream of a CUDA device, with pinned memory to copy from."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def copied(self, tensor: Tensor) -> Tensor:
        """See `Lane`. torch keeps the pinned memory for itself until the copy has read it."""
        pinned = tensor.pin_memory()
        with torch.cuda.stream(self._stream):
            return pinned.to(self._device, non_blocking=True)

    def mark(self) -> Any:
        """An event on the stream."""
        return self._stream.record_event()

    def wait(self, moment: Any) -> None:
        """See `Lane`."""
        torch.cuda.current_stream(self._device).wait_event(moment)

    def used(self, tensor: Tensor) -> None:
        """See `Lane`."""
        tensor.record_stream(torch.cuda.current_stream(self._device))


class _Begun(NamedTuple):
    """A batch whose copy has begun: its label, its tensors, those of them that were copied, and the moment of the last."""

    label: Any
    tensors: dict[str, Any]
    fresh: list[Tensor]
    moment: Any


def copied_ahead(coming: Iterator[tuple[Label, Tensors]], lane: Lane) -> Iterator[tuple[Label, dict[str, Any]]]:
    """The same labels and tensors in the same order, the tensors on the device: the copy of the next batch has begun when one is handed out.

    Tensors that are on a device already stay as they are. What making a batch raises is raised in its turn, after those before it.
    """
    before: _Begun | None = None
    try:
        while True:
            error: Exception | None = None
            try:
                begun = _begin(*next(coming), lane)
            except StopIteration:
                begun = None
            except Exception as raised:
                begun, error = None, raised
            if before is not None:
                yield _handed_out(before, lane)
            if error is not None:
                raise error
            if begun is None:
                return
            before = begun
    finally:
        close = getattr(coming, "close", None)
        if close is not None:
            close()


def _begin(label: Any, tensors: Tensors, lane: Lane) -> _Begun:
    fresh: list[Tensor] = []

    def copied(tensor: Tensor) -> Tensor:
        if tensor.device.type != "cpu":
            return tensor
        fresh.append(lane.copied(tensor))
        return fresh[-1]

    return _Begun(label, _each(tensors, copied), fresh, lane.mark())


def _handed_out(begun: _Begun, lane: Lane) -> tuple[Any, dict[str, Any]]:
    lane.wait(begun.moment)
    for tensor in begun.fresh:
        lane.used(tensor)
    return begun.label, begun.tensors


def _each(tensors: Tensors, change: Callable[[Tensor], Tensor]) -> dict[str, Any]:
    return {name: change(each) if isinstance(each, Tensor) else _each(each, change) for name, each in tensors.items()}
