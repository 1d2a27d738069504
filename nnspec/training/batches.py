"""Which samples a step sees: the order is a function of seed and epoch alone, so that any step can be come back to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from nnspec.data import Dataset
from nnspec.data.rows import Computed, Rows, Windows
from nnspec.data.shards import Sharded
from nnspec.training.ahead import made_ahead
from nnspec.training.errors import TrainingError
from nnspec.training.ranks import ALONE, Ranks
from nnspec.training.transfer import CudaLane, Lane, copied_ahead

#: Mixed into the seed of an epoch's order, so that neighbouring seeds and epochs share no order.
_STRIDE = 1_000_003
_SOURCES = 64


def epoch_order(count: int, seed: int, epoch: int, source: int = 0) -> Tensor:
    """The order of the samples in an epoch."""
    return torch.randperm(count, generator=_generator(seed, epoch, source))


def window_starts(count: int, places: int, seed: int, epoch: int, source: int = 0) -> Tensor:
    """Where the windows of an epoch begin: `count` draws from 0 to `places` - 1."""
    return torch.randint(places, (count,), generator=_generator(seed, epoch, source))


def _generator(seed: int, epoch: int, source: int) -> torch.Generator:
    return torch.Generator().manual_seed((seed * _STRIDE + epoch) * _SOURCES + source)


class Batches:
    """The batches of an epoch: the first source is passed once, the others go round. A whole graph is one batch, as it is.

    `batch_size` None takes all samples at once. With `drop_last` every batch is whole. Of several processes each makes its share of every
    batch. So many `workers` take the samples of the next batches out of their sources ahead of time; what is drawn for a batch is drawn when
    it is asked for, so that they change no bit. Raises TrainingError where no batch is left, or none that can be shared.
    """

    def __init__(
        self, datasets: Mapping[str, Dataset], batch_size: int | None, seed: int, drop_last: bool, device: torch.device,
        ranks: Ranks = ALONE, workers: int = 0,
    ) -> None:  # fmt: skip
        self.names = list(datasets)
        self.fields = {
            name: {field: anywhere(rows).to(device) for field, rows in (dataset.learned or dataset.parts["train"]).items()}
            for name, dataset in datasets.items()
        }
        self.is_graph = any(dataset.is_graph for dataset in datasets.values())
        self.changes = {name: dataset.change for name, dataset in datasets.items()}
        self.places = {name: next(iter(fields.values())).shape[0] for name, fields in self.fields.items()}
        self.counts = {name: dataset.size() for name, dataset in datasets.items()}
        self.first = self.counts[self.names[0]]
        if drop_last and batch_size is not None and batch_size > self.first:
            raise TrainingError(
                f"`{self.names[0]}` has {self.first} samples to learn from, which make no batch of {batch_size} with `drop_last true`: "
                "lower `batch_size`"
            )
        self.batch_size = min(batch_size or self.first, self.first)
        self.seed, self.drop_last, self.device, self.ranks, self.workers = seed, drop_last, device, ranks, workers
        #: What copies run on where samples are read from files for a GPU; all others lie there from the beginning.
        self.lane: Lane | None = CudaLane(device) if device.type == "cuda" and self._reads_files() else None
        if ranks.size > 1:
            self._check_sharing()

    def _reads_files(self) -> bool:
        return any(is_in_files(rows) for fields in self.fields.values() for rows in fields.values())

    def _check_sharing(self) -> None:
        if self.is_graph:
            raise TrainingError(
                f"`{self.names[0]}` is one whole graph, which {self.ranks.size} processes cannot share: train it in one"
            )
        if self.ranks.size > self.batch_size:
            raise TrainingError(
                f"a batch has {self.batch_size} samples, fewer than there are processes ({self.ranks.size}): start fewer, or raise `batch_size`"
            )

    @property
    def count(self) -> int:
        """Batches in an epoch."""
        whole, rest = divmod(self.first, self.batch_size)
        return whole + (1 if rest and not self.drop_last else 0)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The sizes that occur here: that of a whole batch, or this process's share of it, and that of a smaller last one."""
        rest = self.first % self.batch_size
        whole = [self.batch_size, rest] if rest and not self.drop_last else [self.batch_size]
        shares = [self.ranks.share(samples) for samples in whole]
        return tuple(dict.fromkeys(each.high - each.low for each in shares))

    def weight(self, position: int) -> float:
        """How much of the batch at this position is this process's share: a number from 0 to 1."""
        if self.ranks.size == 1:
            return 1.0
        samples = min(self.batch_size, self.first - position * self.batch_size)
        return self.ranks.share(samples).counted / samples

    def epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[int, dict[str, Tensor]]]:
        """Batches from position `start` on, or this process's shares of them, each with the number of samples that count, or of nodes that are
        learned from."""
        if self.is_graph:
            yield from [(self.first, self._whole())][start:]
            return
        orders = {name: self._order(name, index, epoch) for index, name in enumerate(self.names)}
        if self.lane is not None:
            yield from self._copied(orders, start, self.lane)
            return

        def taken(position: int) -> tuple[int, dict[str, dict[str, Tensor]]]:
            counted, chosen = self._share(position)
            return counted, self._taken({name: orders[name][chosen] for name in self.names})

        for counted, fields in made_ahead(taken, range(start, self.count), self.workers):
            if self.ranks.size > 1:
                self.ranks.idle = not counted
            yield counted, self._changed(fields)

    def _copied(self, orders: Mapping[str, Tensor], start: int, lane: Lane) -> Iterator[tuple[int, dict[str, Tensor]]]:
        """The same batches, of which some fields are read from files: copied to the device while the batch before is computed."""
        here = {name: order.cpu() for name, order in orders.items()}  # once an epoch, so that no batch waits for the device

        def fetched(position: int) -> tuple[int, dict[str, Any]]:
            counted, chosen = self._share(position)
            return counted, {
                name: {
                    field: _fetched(rows, orders[name][chosen], here[name][chosen]) for field, rows in self.fields[name].items()
                }
                for name in self.names
            }

        for counted, fields in copied_ahead(made_ahead(fetched, range(start, self.count), self.workers), lane):
            if self.ranks.size > 1:
                self.ranks.idle = not counted
            yield counted, self._changed(self._complete(fields))

    def _complete(self, fetched: dict[str, Any]) -> dict[str, dict[str, Tensor]]:
        """The samples, of what was fetched once that is on the device. `fetched` is emptied: nobody holds a batch but who computes with it."""
        return {
            name: {field: _finished(rows, fetched[name].pop(field)) for field, rows in self.fields[name].items()}
            for name in self.names
        }

    def _share(self, position: int) -> tuple[int, slice]:
        """The samples of the batch at a position that this process takes, and how many of them count."""
        low = position * self.batch_size
        share = self.ranks.share(min(self.batch_size, self.first - low))
        return share.counted, slice(low + share.low, low + share.high)

    def examples(self, samples: int) -> Iterator[dict[str, Tensor]]:
        """Batches of so many samples: the first of each source, and where samples differ in size the largest and the smallest."""
        if self.is_graph:
            yield self._whole()
            return
        yield self._gathered({name: torch.arange(samples, device=self.device) % self.counts[name] for name in self.names})
        sized = {name: self._extremes(name, samples) for name in self.names}
        for place in range(max(map(len, sized.values()), default=0)):
            chosen = {name: found[place] if found else torch.arange(samples) % self.counts[name] for name, found in sized.items()}
            yield self._gathered({name: indices.to(self.device) for name, indices in chosen.items()})

    def _gathered(self, chosen: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The chosen samples of each source, as training sees them."""
        return self._changed(self._taken(chosen))

    def _taken(self, chosen: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
        """The chosen samples of each source, as they are kept."""
        return {
            name: {field: rows.index_select(0, indices) for field, rows in self.fields[name].items()}
            for name, indices in chosen.items()
        }

    def _changed(self, taken: Mapping[str, dict[str, Tensor]]) -> dict[str, Tensor]:
        """Samples as training sees them: what is random is drawn here."""
        batch: dict[str, Tensor] = {}
        for name, fields in taken.items():
            change = self.changes[name]
            batch |= {f"{name}.{field}": tensor for field, tensor in (change(fields) if change else fields).items()}
        return batch

    def _whole(self) -> dict[str, Tensor]:
        return {f"{name}.{field}": tensor[:] for name in self.names for field, tensor in self.fields[name].items()}

    def _extremes(self, name: str, samples: int) -> list[Tensor]:
        for rows in self.fields[name].values():
            found = rows.extremes(samples) if isinstance(rows, Rows) else []
            if found:
                return [each[torch.arange(samples, device=each.device) % len(each)] for each in found]
        return []

    def _order(self, name: str, index: int, epoch: int) -> Tensor:
        count = self.counts[name]
        rounds = -(-self.first // count)
        if self.places[name] != count:
            return window_starts(rounds * count, self.places[name], self.seed, epoch, index).to(self.device)
        if rounds == 1:
            return epoch_order(count, self.seed, epoch, index).to(self.device)
        return torch.cat([epoch_order(count, self.seed, epoch * rounds + each, index) for each in range(rounds)]).to(self.device)


def anywhere(rows: Tensor | Rows) -> Tensor | Rows:
    """As training draws them: windows of a text begin anywhere."""
    return rows.anywhere() if isinstance(rows, Windows) else rows


def is_in_files(rows: Tensor | Rows) -> bool:
    """Whether samples are read from files when a batch asks for them."""
    if isinstance(rows, Computed):
        return any(map(is_in_files, rows.fields.values()))
    return isinstance(rows, Sharded)


def _fetched(rows: Tensor | Rows, indices: Tensor, here: Tensor) -> Any:
    """Samples as far as they can be had without the device: those of files in the memory of the processor, what others are computed of by name.
    `here` are the indices in that memory."""
    if isinstance(rows, Sharded):
        return rows.read(here)
    if isinstance(rows, Computed) and is_in_files(rows):
        return {name: _fetched(field, indices, here) for name, field in rows.fields.items()}
    return rows.index_select(0, indices)


def _finished(rows: Tensor | Rows, fetched: Any) -> Tensor:
    """The samples, of what was fetched once that is on the device."""
    if isinstance(rows, Computed) and is_in_files(rows):
        return rows.compute({name: _finished(field, fetched[name]) for name, field in rows.fields.items()})
    found: Tensor = fetched
    return found


def part_batches(
    datasets: Mapping[str, Dataset], part: str, batch_size: int | None, device: torch.device, ranks: Ranks = ALONE,
    lane: Lane | None = None,
) -> Iterator[tuple[int, dict[str, Tensor]]]:  # fmt: skip
    """The samples of a part in order, or this process's share of each batch. The first source leads; one without this part gives its
    training samples. Batches go to a GPU on a `lane`, beside what is computed of the one before; whole graphs, which are one batch, do not."""
    if lane is None and device.type == "cuda" and not any(each.is_graph for each in datasets.values()):
        lane = CudaLane(device)
    first = next(iter(datasets.values())).size(part)
    size = batch_size or max(first, 1)

    def taken(low: int) -> tuple[int, dict[str, Tensor]]:
        share = ranks.share(min(size, first - low))
        place = device if lane is None else torch.device("cpu")
        return share.counted, part_batch(datasets, part, low + share.low, low + share.high, place)

    batches = map(taken, range(0, first, size))
    yield from batches if lane is None else copied_ahead(batches, lane)


def part_batch(datasets: Mapping[str, Dataset], part: str, low: int, high: int, device: torch.device) -> dict[str, Tensor]:
    """The samples of a part from `low` to `high`."""
    batch: dict[str, Tensor] = {}
    for name, dataset in datasets.items():
        fields = dataset.parts.get(part) or dataset.parts["train"]
        if dataset.is_graph:
            batch |= {f"{name}.{field}": tensor[:].to(device) for field, tensor in fields.items()}
            continue
        count = next(iter(fields.values())).shape[0]
        chosen = slice(low, high) if high <= count else torch.arange(low, high) % count
        for field, tensor in fields.items():
            batch[f"{name}.{field}"] = tensor[chosen].to(device)
    return batch
