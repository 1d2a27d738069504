"""Ways to train a row: each runs one epoch of it as a call."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.training.peers import keras, lightning, scikit_learn
from benchmarks.training.rows import Epoch, Row


def _made(row: Row) -> tuple[nn.Module, dict[str, Tensor]]:
    import numpy

    torch.manual_seed(0)
    arrays = row.arrays(numpy.random.default_rng(0), row.samples)
    return row.network(), {name: torch.from_numpy(each) for name, each in arrays.items()}


def _indexed(row: Row, data: dict[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    order = torch.randperm(row.samples)
    for low in range(0, row.samples, row.batch):
        chosen = order[low : low + row.batch]
        yield {name: each[chosen] for name, each in data.items()}


def _passed(
    batches: Iterator[dict[str, Tensor]], loss: Callable[[dict[str, Tensor]], Tensor], optimizer: torch.optim.Optimizer
) -> float:
    total = 0.0
    for batch in batches:
        found = loss(batch)
        optimizer.zero_grad()
        found.backward()
        optimizer.step()
        total += float(found.detach())
    return total


def eager(row: Row) -> Epoch:
    """Written by hand: tensors indexed directly."""
    network, data = _made(row)
    optimizer = row.by_hand(network.parameters())
    return lambda: _passed(_indexed(row, data), lambda batch: row.loss(network, batch), optimizer)


def tuned(row: Row) -> Epoch:
    """By hand with a fused optimizer, and channels last."""
    network, data = _made(row)
    network = network.to(memory_format=torch.channels_last)
    data = {name: each.to(memory_format=torch.channels_last) if each.dim() == 4 else each for name, each in data.items()}
    optimizer = row.by_hand(network.parameters(), fused=True)
    return lambda: _passed(_indexed(row, data), lambda batch: row.loss(network, batch), optimizer)


def tutorial(row: Row) -> Epoch:
    """By hand as tutorials have it: a Dataset and a DataLoader."""
    network, data = _made(row)
    optimizer = row.by_hand(network.parameters())
    loader = DataLoader(TensorDataset(*data.values()), batch_size=row.batch, shuffle=True)

    def epoch() -> float:
        batches = (dict(zip(data, each, strict=True)) for each in loader)
        return _passed(batches, lambda batch: row.loss(network, batch), optimizer)

    return epoch


def compiled(row: Row) -> Epoch:
    """By hand with `torch.compile` of forward and loss."""
    network, data = _made(row)
    optimizer = row.by_hand(network.parameters())
    loss = torch.compile(lambda batch: row.loss(network, batch))
    return lambda: _passed(_indexed(row, data), loss, optimizer)


def bfloat16(row: Row) -> Epoch:
    """By hand with fused optimizer, channels last and autocast to bfloat16."""
    network, data = _made(row)
    network = network.to(memory_format=torch.channels_last)
    optimizer = row.by_hand(network.parameters(), fused=True)

    def loss(batch: dict[str, Tensor]) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return row.loss(network, batch)

    return lambda: _passed(_indexed(row, data), loss, optimizer)


def ours(row: Row, more: str = "") -> Epoch:
    """`nnspec train`'s own loop: data, updates, log; not its checkpoints, which it makes as seldom as they would cost time."""
    folder = Path(tempfile.mkdtemp())
    row.write(folder)
    (folder / "row.nn").write_text(row.text(epochs=1_000, more=more))
    return trainer_of(folder / "row.nn", "Row", (folder,))


def trainer_of(spec: Path, name: str, folders: tuple[Path, ...]) -> Epoch:
    """The epochs of a recipe."""
    import nnspec
    from nnspec.data import load
    from nnspec.training import Silent
    from nnspec.training.loop import Trainer

    report = nnspec.check(str(spec))
    assert report.ok, [finding.message for finding in report.findings]
    recipe = report.recipes[name]
    datasets = {key: load(source, folders) for key, source in recipe.sources.items()}
    trainer = Trainer(report, recipe, datasets, torch.device("cpu"), Silent())
    trainer.module.train()

    def epoch() -> float:
        for samples, batch in trainer.batches.epoch(trainer.epoch, 0):
            outputs, _ = trainer.updater.step(batch, trainer.position, trainer.place, ())
            trainer.running.add(outputs, samples)
            trainer.step += 1
            trainer.position += 1
        trainer.epoch, trainer.position = trainer.epoch + 1, 0
        losses = trainer.running.losses()
        trainer.running.clear()
        return sum(losses.values()) * trainer.batches.count

    return epoch


RUNTIMES: dict[str, Callable[[Row], Epoch]] = {
    "eager": eager, "tutorial loop": tutorial, "tuned eager": tuned, "torch.compile": compiled, "Lightning": lightning, "Keras": keras,
    "scikit-learn": scikit_learn, "nnspec": ours, "tuned bf16": bfloat16, "nnspec bf16": lambda row: ours(row, "precision bfloat16"),
}  # fmt: skip
