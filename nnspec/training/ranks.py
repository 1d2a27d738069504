"""The processes of a training: which of them this one is, its share of each batch, and what they tell one another.

Every process runs the same loop over the same steps. One process alone is a world of one: nothing is sent, and nothing costs. Processes are
known by the environment that torchrun, Slurm scripts and Kubernetes set: RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT. Not here:
how gradients come together (`nnspec.training.exchange`), and starting processes (`nnspec.training.launch`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, distributed
from torch._C._distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from nnspec.training.errors import Elsewhere, LostProcess, TrainingError

#: Mixed into the seed of every process but the first, so that neighbouring seeds share no draws.
_STRIDE = 1_000_003
#: Seconds between two agreements within a line of the log, and the most updates.
_AGREE_EVERY, _MOST_UPDATES = 0.5, 1000


class Share(NamedTuple):
    """What a process takes of a batch: samples from `low` to `high`, of which `counted` count: where there are fewer samples than processes,
    some compute one that counts nothing, so that all take the same steps."""

    low: int
    high: int
    counted: int


class Ranks:
    """This process among `size`: number `rank` of all, number `local` on its machine, where `nearby` run."""

    def __init__(self, rank: int = 0, size: int = 1, local: int = 0, nearby: int = 1) -> None:
        self.rank, self.size, self.local, self.nearby = rank, size, local, nearby
        #: Whether its share of the batch counts nothing.
        self.idle = False
        self._updates, self._stride, self._agreed_at = 0, 1, 0.0

    @property
    def first(self) -> bool:
        """Whether it is the one that writes and speaks."""
        return self.rank == 0

    def share(self, samples: int) -> Share:
        """Its part of so many samples. Parts differ by one at most."""
        low, high = samples * self.rank // self.size, samples * (self.rank + 1) // self.size
        return Share(low, high, high - low) if high > low else Share(0, 1, 0)

    def seed(self, seed: int) -> int:
        """What its random state starts from: the first process draws what one alone would, every other draws apart."""
        return seed if self.first else seed * _STRIDE + self.rank

    # --- what they tell one another; each of these is called by all ---------------------------------------------------------

    def total(self, tensor: Tensor) -> Tensor:
        """The sum over all processes, the same bits in each."""
        if self.size == 1:
            return tensor
        found = tensor.detach().cpu().clone()
        distributed.all_reduce(found)
        return found.to(tensor.device)

    def stacked(self, tensor: Tensor) -> list[Tensor]:
        """The tensor of every process, in order. They may differ in the length of the first axis."""
        if self.size == 1:
            return [tensor]
        own = tensor.detach().cpu().contiguous()
        lengths = [int(each) for each in self._gathered(torch.tensor([own.shape[0]]))]
        rows = max(lengths)
        if not rows:
            return [tensor] * self.size
        padded = torch.cat([own, own.new_zeros((rows - own.shape[0], *own.shape[1:]))])
        pieces = self._gathered(padded.flatten().view(torch.uint8))  # bytes: every element type can be sent
        whole = [piece.view(own.dtype).reshape(padded.shape) for piece in pieces]
        return [each[:length].to(tensor.device) for each, length in zip(whole, lengths, strict=True)]

    def _gathered(self, tensor: Tensor) -> list[Tensor]:
        found = [torch.empty_like(tensor) for _ in range(self.size)]
        distributed.all_gather(found, tensor)
        return found

    def most(self, values: Sequence[int]) -> list[int]:
        """The largest of each number."""
        if self.size == 1:
            return list(values)
        found = torch.tensor(values, dtype=torch.int64)
        distributed.all_reduce(found, distributed.ReduceOp.MAX)
        return [int(each) for each in found]

    def text_of(self, rank: int, text: str) -> str:
        """The text that this process gives, whatever the others do."""
        if self.size == 1:
            return text
        data = torch.tensor(list(text.encode()) if self.rank == rank else [], dtype=torch.uint8)
        return bytes(self.stacked(data)[rank].tolist()).decode()

    def first_where(self, condition: bool) -> int | None:
        """The first process where it holds, if there is one."""
        first = self.size - self.most([self.size - self.rank if condition else 0])[0]
        return first if first < self.size else None

    def agree(self, wanted: bool) -> bool:
        """What the first process wants."""
        return wanted if self.size == 1 else self.most([int(wanted and self.first)]) == [1]

    @contextmanager
    def agreed(self) -> Iterator[None]:
        """Where one process fails within, all fail: the first that did with its own error, the others with Elsewhere. Within, they tell
        one another nothing."""
        if self.size == 1:
            yield
            return
        failed: Exception | None = None
        try:
            yield
        except Exception as error:  # whatever it is, the others have to know of it
            failed = error
        first = self.first_where(failed is not None)
        if failed is not None and first == self.rank:
            raise failed
        if first is not None:
            raise Elsewhere(first)

    def now_and_then(self, asked: Callable[[], Sequence[int]]) -> list[int] | None:
        """Called after every update: about twice a second the largest of what each was asked, else None. All get an answer at the same
        update."""
        self._updates += 1
        if self._updates < self._stride:
            return None
        now = time.perf_counter()
        pace = self._updates / max(now - self._agreed_at, 1e-9) if self._agreed_at else 1.0
        wanted = min(max(int(pace * _AGREE_EVERY), 1), _MOST_UPDATES)
        slowest, *found = self.most([-wanted, *asked()])
        self._updates, self._stride, self._agreed_at = 0, -slowest, now
        return found


#: One process alone.
ALONE = Ranks()


# --- from the environment ---------------------------------------------------------------------------------------------------


def of_environment(environment: Mapping[str, str] = os.environ) -> Ranks:
    """Who this process is by the variables of its launch; alone where there are none. Raises TrainingError where some are missing."""
    size = _number(environment, "WORLD_SIZE", 1)
    if size == 1:
        return ALONE
    lacking = [name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if not environment.get(name)]
    if lacking:
        raise TrainingError(
            f"WORLD_SIZE={size} says that this is one of {size} processes, and {' and '.join(lacking)} "
            f"{'is' if len(lacking) == 1 else 'are'} not set: start it by torchrun, or set what torchrun sets"
        )
    rank = _number(environment, "RANK", 0)
    if rank >= size:
        raise TrainingError(f"RANK={rank} is not below WORLD_SIZE={size}: ranks count from 0")
    nearby = _number(environment, "LOCAL_WORLD_SIZE", 0)
    local = _number(environment, "LOCAL_RANK", rank % nearby if nearby else 0)
    return Ranks(rank, size, local, max(nearby, local + 1))


def _number(environment: Mapping[str, str], name: str, otherwise: int) -> int:
    text = environment.get(name, "")
    if not text:
        return otherwise
    if not text.isdecimal():
        raise TrainingError(f"{name}={text} is not a whole number")
    return int(text)


@contextmanager
def joined(ranks: Ranks, device: torch.device) -> Iterator[Ranks]:
    """Meet the other processes, and part from them in the end. Raises TrainingError where they cannot be met, LostProcess where one is lost."""
    if ranks.size == 1:
        yield ranks
        return
    ours = not distributed.is_initialized()
    if ours:
        _meet(device)
    try:
        yield ranks
    except RuntimeError as error:
        if not _is_of_connection(error):
            raise
        raise LostProcess(ranks.rank) from error
    finally:
        if ours and distributed.is_initialized():
            distributed.destroy_process_group()


def _meet(device: torch.device) -> None:
    address, port = os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"]
    try:
        store, rank, size = next(rendezvous("env://"))
        # torchrun keeps its store when it starts processes again, and with it where the lost ones could be found
        store = PrefixStore(f"nnspec/{restarts()}", store)
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        distributed.init_process_group(backend, store=store, rank=rank, world_size=size)
    except (RuntimeError, ValueError) as error:
        if "EADDRINUSE" in str(error):
            raise TrainingError(f"port {port} of {address} is in use: set MASTER_PORT to one that is free") from error
        reason = str(error).strip().partition("\n")[0]
        raise TrainingError(
            f"the other processes cannot be met at {address}:{port} ({reason}): MASTER_ADDR and MASTER_PORT have to lead each process to rank 0"
        ) from error


def _is_of_connection(error: RuntimeError) -> bool:
    """Whether it is how a collective fails when another process is gone. Gloo has no exception of its own."""
    return isinstance(error, distributed.DistError) or any(word in str(error).lower() for word in ("gloo", "connection", "nccl"))


def mesh(ranks: Ranks, device: torch.device) -> Any:
    """All processes in a row, as torch's sharding wants them."""
    from torch.distributed.device_mesh import init_device_mesh

    return init_device_mesh(device.type, (ranks.size,))


def launched_as() -> str:
    """What the processes of one launch and its restarts have in common: the id of the run and the process that started them; "" for a process
    that nothing starts again."""
    identity = os.environ.get("TORCHELASTIC_RUN_ID", "")
    return f"{identity}/{os.getppid()}" if identity else ""


#: The exit code of a process that has lost another one: it is not the reason.
LOST = 75
#: How often `nnspec train --nproc` has started its processes again.
RESTARTS = "NNSPEC_RESTARTS"


def restarts() -> int:
    """How often the processes have been started again after one was lost."""
    return max(_number(os.environ, name, 0) for name in (RESTARTS, "TORCHELASTIC_RESTART_COUNT"))
