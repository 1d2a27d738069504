"""What a network of a run is given when the run's data goes through it: batches of its inputs, for measuring errors and ranges on."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nnspec.training.batches import Batches
from nnspec.training.errors import RunError
from nnspec.training.evaluate import restore
from nnspec.training.run_folder import RunFolder


def network_inputs(run: str | Path, network: str, batch: int, count: int) -> list[tuple[Tensor, ...]]:
    """The inputs of a network of a run, in order, in `count` batches of `batch` samples of what the run learned from; the axis of samples is
    the first. Fewer where there is less data, and where batches differ in size, as those of texts do: all are of the first one's sizes.
    Raises RunError where the recipe measures nothing with the network, and TrainingError where there is no whole batch.
    """
    restored = restore(RunFolder.open(run), torch.device("cpu"))
    module = restored.module.eval()
    found: list[tuple[Tensor, ...]] = []

    def note(instance: nn.Module, given: tuple[Any, ...]) -> None:
        variant, _, *inputs = given
        if ":" not in variant:  # the network, and not a layer of it
            found.append(tuple(each.detach().clone() for each in inputs))

    hook = module.instances[network].register_forward_pre_hook(note)
    try:
        batches = Batches(restored.datasets, batch, 0, True, restored.device)
        for _, each in islice(batches.epoch(0), count):
            module.compute_evaluation(each)
    finally:
        hook.remove()
    if not found:
        raise RunError(f"the recipe measures nothing with `{network}`, so that no samples of what it is given can be had")
    return [each for each in found[:count] if [one.shape for one in each] == [one.shape for one in found[0]]]
