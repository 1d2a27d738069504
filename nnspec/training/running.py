"""The losses and metrics of the batches since the last line of the log, without waiting for the device until somebody asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from nnspec.recipes.recipe import Recipe
from nnspec.training.metrics import Accumulator, outputs_of

_SAMPLES = "samples"


class RunningFigures:
    """Adds up batches. The losses of each are kept, so that the first one that is not finite can be named."""

    def __init__(self, recipe: Recipe, batches: int, device: torch.device) -> None:
        #: For each loss, its value for each batch; and for which of the batches it was computed: a step may leave some out.
        self._losses = {step.loss: torch.zeros(batches, dtype=torch.float64, device=device) for step in recipe.steps}
        self._device = device
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

    def losses(self) -> dict[str, float]:
        """The mean over samples of each loss by name ("loss", or "loss.STEP"). One that was not computed yet is left out."""
        found = {}
        for name, at in self._counted.items():
            if at:
                weights = torch.tensor([self._samples[batch] for batch in at], dtype=torch.float64)
                found[name] = float((self._losses[name].cpu()[at] * weights).sum() / weights.sum())
        return found

    def metrics(self) -> dict[str, float]:
        """The metrics by name."""
        return {each.metric.name: each.result() for each in self._accumulators}

    def first_not_finite(self) -> tuple[str, int] | None:
        """The first loss that is NaN or infinite: its name, and how many batches ago it was."""
        found = []
        for name, at in self._counted.items():
            wrong = (~torch.isfinite(self._losses[name].cpu()[at])).nonzero()
            if len(wrong):
                found.append((self.batches - 1 - at[int(wrong[0])], name))
        ago, name = max(found, default=(0, ""))
        return (name, ago) if found else None

    def tensors(self) -> dict[str, Tensor]:
        """All that has been added up, to go on from."""
        found = {_SAMPLES: torch.tensor(self._samples, dtype=torch.int64)}
        for name, at in self._counted.items():
            found |= {
                f"{name}/values": self._losses[name][: self.batches],
                f"{name}/batches": torch.tensor(at, dtype=torch.int64),
            }
        for each in self._accumulators:
            found |= {f"{each.metric.name}/{name}": value for name, value in each.tensors().items()}
        return found

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """The reverse of `tensors`. Raises KeyError and RuntimeError for those of another recipe."""
        self.clear()
        samples: Sequence[int] = tensors[_SAMPLES].tolist()
        self._samples, self._restored = list(samples), len(samples)
        for name, values in self._losses.items():
            values[: self.batches] = tensors[f"{name}/values"]
            self._counted[name] = tensors[f"{name}/batches"].tolist()
        for each in self._accumulators:
            prefix = f"{each.metric.name}/"
            own = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
            each.restore({name: value.to(self._device) for name, value in own.items()})
