"""The loss and metrics of the batches since the last line of the log, without waiting for the device until somebody asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from nnspec.recipes.recipe import Recipe
from nnspec.training.metrics import Accumulator, outputs_of

_LOSSES, _SAMPLES = "losses", "samples"


class RunningFigures:
    """Adds up batches. The loss of each is kept, so that the first one that is not finite can be named."""

    def __init__(self, recipe: Recipe, batches: int, device: torch.device) -> None:
        self._recipe = recipe
        self._losses = torch.zeros(batches, dtype=torch.float64, device=device)
        #: Metrics that the training graph computes; one that exists in evaluation only is not among them.
        self._metrics = [metric for metric in recipe.metrics if outputs_of(metric, recipe.training.outputs)]
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self._restored = 0
        self._samples: list[int] = []
        self._accumulators = [Accumulator(metric) for metric in self._metrics]

    def add(self, outputs: Mapping[str, Tensor], samples: int) -> None:
        """Take in a batch."""
        self._losses[len(self._samples)] = outputs["loss"].detach()
        self._samples.append(samples)
        for accumulator in self._accumulators:
            accumulator.add(outputs, samples)

    @property
    def batches(self) -> int:
        """How many batches have been added."""
        return len(self._samples)

    @property
    def fresh_samples(self) -> int:
        """How many samples have been added in this session."""
        return sum(self._samples[self._restored :])

    def loss(self) -> float:
        """The mean over samples; NaN where there are none."""
        weights = torch.tensor(self._samples, dtype=torch.float64)
        return float((self._losses[: len(weights)].cpu() * weights).sum() / weights.sum())

    def metrics(self) -> dict[str, float]:
        """The metrics by name."""
        return {each.metric.name: each.result() for each in self._accumulators}

    def first_not_finite(self) -> int | None:
        """How many batches before the last is the first one whose loss is NaN or infinite."""
        wrong = (~torch.isfinite(self._losses[: self.batches])).nonzero()
        return self.batches - 1 - int(wrong[0]) if len(wrong) else None

    def tensors(self) -> dict[str, Tensor]:
        """All that has been added up, to go on from."""
        found = {_LOSSES: self._losses[: self.batches], _SAMPLES: torch.tensor(self._samples, dtype=torch.int64)}
        for each in self._accumulators:
            found |= {f"{each.metric.name}/{name}": value for name, value in each.tensors().items()}
        return found

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """The reverse of `tensors`. Raises KeyError and RuntimeError for those of another recipe."""
        self.clear()
        samples: Sequence[int] = tensors[_SAMPLES].tolist()
        self._samples, self._restored = list(samples), len(samples)
        self._losses[: self.batches] = tensors[_LOSSES]
        for each in self._accumulators:
            prefix = f"{each.metric.name}/"
            own = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
            each.restore({name: value.to(self._losses.device) for name, value in own.items()})
