"""Which samples a step sees: the order is a function of seed and epoch alone, so that any step can be come back to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from nnspec.data import Dataset

#: Mixed into the seed of an epoch's order, so that neighbouring seeds and epochs share no order.
_STRIDE = 1_000_003


def epoch_order(count: int, seed: int, epoch: int, source: int = 0) -> Tensor:
    """The order of the samples in an epoch."""
    generator = torch.Generator().manual_seed((seed * _STRIDE + epoch) * 64 + source)
    return torch.randperm(count, generator=generator)


class Batches:
    """The batches of an epoch: the first source is passed once, the others go round."""

    def __init__(self, datasets: Mapping[str, Dataset], batch_size: int | None, seed: int, drop_last: bool, device: torch.device) -> None:
        self.names = list(datasets)
        self.fields = {
            name: {field: tensor.to(device) for field, tensor in dataset.parts["train"].items()} for name, dataset in datasets.items()
        }
        self.counts = {name: dataset.size() for name, dataset in datasets.items()}
        self.first = self.counts[self.names[0]]
        self.batch_size = min(batch_size or self.first, self.first)
        self.seed, self.drop_last, self.device = seed, drop_last, device

    @property
    def steps(self) -> int:
        """Batches in an epoch."""
        whole, rest = divmod(self.first, self.batch_size)
        return whole + (1 if rest and not self.drop_last else 0)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[int, dict[str, Tensor]]]:
        """Batches from position `start` on, each with its number of samples."""
        orders = {name: self._order(name, index, epoch) for index, name in enumerate(self.names)}
        for position in range(start, self.steps):
            low = position * self.batch_size
            high = min(low + self.batch_size, self.first)
            batch: dict[str, Tensor] = {}
            for name in self.names:
                chosen = orders[name][low:high]
                for field, tensor in self.fields[name].items():
                    batch[f"{name}.{field}"] = tensor.index_select(0, chosen)
            yield high - low, batch

    def _order(self, name: str, index: int, epoch: int) -> Tensor:
        count = self.counts[name]
        rounds = -(-self.first // count)
        if rounds == 1:
            return epoch_order(count, self.seed, epoch, index).to(self.device)
        return torch.cat([epoch_order(count, self.seed, epoch * rounds + each, index) for each in range(rounds)]).to(self.device)


def part_batches(datasets: Mapping[str, Dataset], part: str, batch_size: int, device: torch.device) -> Iterator[tuple[int, dict[str, Tensor]]]:
    """The samples of a part in order. The first source leads; one without this part gives its training samples."""
    first = next(iter(datasets.values())).size(part)
    for low in range(0, first, batch_size):
        high = min(low + batch_size, first)
        batch: dict[str, Tensor] = {}
        for name, dataset in datasets.items():
            fields = dataset.parts.get(part) or dataset.parts["train"]
            count = next(iter(fields.values())).shape[0]
            chosen = torch.arange(low, high) % count
            for field, tensor in fields.items():
                batch[f"{name}.{field}"] = tensor[chosen].to(device)
        yield high - low, batch
