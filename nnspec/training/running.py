"""The losses and metrics of the batches since the last line of the log, without waiting for the device until somebody asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from nnspec.recipes.recipe import Recipe
from nnspec.training.metrics import Accumulator, outputs_of
from nnspec.training.ranks import ALONE, Ranks

_SAMPLES = "samples"


class RunningFigures:
    """Adds up batches. The losses of each are kept, so that the first one that is not finite can be named.

    Each process adds up its shares; `losses`, `metrics`, `first_not_finite` and `tensors` bring those of all together, and all call them.
    """

    def __init__(self, recipe: Recipe, batches: int, device: torch.device, ranks: Ranks = ALONE) -> None:
        #: For each loss, its value for each batch; and for which of the batches it was computed: a step may leave some out.
        self._losses = {step.loss: torch.zeros(batches, dtype=torch.float64, device=device) for step in recipe.steps}
        self._device, self._ranks = device, ranks
        #: Metrics that the training graph computes; one that exists in evaluation only is not among them.
        self._metrics = [metric for metric in recipe.metrics if outputs_of(metric, recipe.training.outputs)]
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self._restored = 0
        self._samples: list[int] = []
        self._counted: dict[str, list[int]] = {name: [] for name in self._losses}
        self._accumulators = [Accumulator(metric) for metric in self._metrics]

    def add(self, outputs: Mapping[str, Tensor], samples: int) -> None:
        """Take in a batch."""
        for name, values in self._losses.items():
            if name in outputs:
                values[len(self._samples)] = outputs[name].detach()
                self._counted[name].append(len(self._samples))
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

    def own_losses(self) -> dict[str, float]:
        """The mean over the samples of this process of each loss by name ("loss", or "loss.STEP"). One that was not computed yet is left out."""
        return self._means(self._samples, {name: self._of(name) for name in self._losses})

    def losses(self) -> dict[str, float]:
        """The mean over all samples of each loss by name."""
        return self._means(*self._of_all())

    def _means(self, samples: Sequence[int], losses: Mapping[str, Tensor]) -> dict[str, float]:
        found = {}
        for name, at in self._counted.items():
            if at:
                weights = torch.tensor([samples[batch] for batch in at], dtype=torch.float64)
                found[name] = float((losses[name][at] * weights).sum() / weights.sum())
        return found

    def _of(self, name: str) -> Tensor:
        return self._losses[name][: self.batches].cpu()

    def _of_all(self) -> tuple[list[int], dict[str, Tensor]]:
        """How many samples each batch has in all processes, and the mean losses of the whole batches."""
        if self._ranks.size == 1:
            return self._samples, {name: self._of(name) for name in self._losses}
        own = torch.tensor(self._samples, dtype=torch.int64)
        samples = self._ranks.total(own)
        # what is not counted may be any number, also none
        weighted = {name: torch.where(own > 0, self._of(name) * own, 0.0) for name in self._losses}
        return samples.tolist(), {name: self._ranks.total(each) / samples for name, each in weighted.items()}

    def metrics(self) -> dict[str, float]:
        """The metrics by name."""
        return {each.metric.name: each.result(self._ranks) for each in self._accumulators}

    def own_are_finite(self) -> bool:
        """Whether no loss of this process is NaN or infinite."""
        return all(bool(torch.isfinite(self._of(name)[at]).all()) for name, at in self._counted.items())

    def first_not_finite(self) -> tuple[str, int] | None:
        """The first loss that is NaN or infinite: its name, and how many batches ago it was."""
        found = []
        _, losses = self._of_all()
        for name, at in self._counted.items():
            wrong = (~torch.isfinite(losses[name][at])).nonzero()
            if len(wrong):
                found.append((self.batches - 1 - at[int(wrong[0])], name))
        ago, name = max(found, default=(0, ""))
        return (name, ago) if found else None

    def tensors(self) -> dict[str, Tensor]:
        """All that has been added up by all processes, to go on from with any number of them."""
        samples, losses = self._of_all()
        found = {_SAMPLES: torch.tensor(samples, dtype=torch.int64)}
        for name, at in self._counted.items():
            found |= {f"{name}/values": losses[name], f"{name}/batches": torch.tensor(at, dtype=torch.int64)}
        for each in self._accumulators:
            found |= {f"{each.metric.name}/{name}": value for name, value in each.tensors(self._ranks).items()}
        return found

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """The reverse of `tensors`: the first process goes on with what all had.

        Raises KeyError and RuntimeError for those of another recipe.
        """
        self.clear()
        samples: Sequence[int] = (tensors[_SAMPLES] * int(self._ranks.first)).tolist()
        self._samples, self._restored = list(samples), len(samples)
        for name, values in self._losses.items():
            values[: self.batches] = tensors[f"{name}/values"]
            self._counted[name] = tensors[f"{name}/batches"].tolist()
        for each in self._accumulators:
            prefix = f"{each.metric.name}/"
            own = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
            each.restore({name: value.to(self._device) for name, value in own.items()}, self._ranks)
