"""Numbers that are not finite: where a training looks for them, and what it does with what it finds (`on_nan`).

On the CPU each loss is looked at in its step. Another device is not waited for, nor are other processes: losses are looked at when a line is
told or logged, and `on_nan skip` alone, which has to know before it updates, waits in each step. What one process finds all of them find, at
the same update. Not here: which layer gave them (`nnspec.training.culprit`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from nnspec.recipes.recipe import Recipe
from nnspec.torch_backend.recipes import RecipeModule
from nnspec.training.ranks import ALONE, Ranks
from nnspec.training.shards import is_sharded, own_part
from nnspec.training.sharing import draws

#: So many updates in a row are left out, and so often a training goes back, before it is given up.
MOST_IN_A_ROW, MOST_ROLLBACKS = 20, 3


class NotFinite(Exception):
    """A loss, a gradient or a weight is NaN or infinite.

    `kind` is "loss", "gradient", "weight" or "memory" (of an optimizer), `name` that of the loss (as outputs call it), the step or the weight.
    `ago` counts batches back from the last one. `batch` is what was computed with, where it is at hand, and `random` the random state before.
    """

    def __init__(self, kind: str, name: str, value: float = math.nan, ago: int = 0) -> None:
        super().__init__(f"the {kind} `{name}` is {value}")
        self.kind, self.name, self.value, self.ago = kind, name, value, ago
        self.batch: Mapping[str, Tensor] | None = None
        self.random: Tensor | None = None

    @property
    def step(self) -> str:
        """The step of the recipe whose loss or gradient it is; "" for the only one."""
        return self.name.partition(".")[2] if self.kind == "loss" else self.name if self.kind == "gradient" else ""

    @property
    def called(self) -> str:
        """What it is called in messages: "loss of `judge`"."""
        if self.kind == "weight":
            return f"weight `{self.name}`"
        if self.kind == "memory":
            return f"optimizer's {self.name}"
        return self.kind + (f" of `{self.step}`" if self.step else "")


class Watch:
    """Looks at losses and gradients while a training updates. `scaled` says that gradients may overflow, which the scaler sees to itself.
    Each of several processes has but a part of a loss; all of them look at the same times."""

    def __init__(self, recipe: Recipe, module: RecipeModule, device: torch.device, *, scaled: bool, ranks: Ranks = ALONE) -> None:
        self.policy: str = recipe.settings.get("on_nan", "abort")
        self._on_cpu = device.type == "cpu"
        #: Whether losses are looked at in their step, and gradients at all. A norm that was made for clipping is looked at in any case.
        self.at_once = (self._on_cpu and ranks.size == 1) or self.policy == "skip"
        self.sees_gradients = not scaled and self.policy != "abort"
        self._scaled, self._ranks = scaled, ranks
        self._draws = self._on_cpu and draws(recipe)
        self._buffers = list(module.buffers()) if self.policy == "skip" else []
        self._kept = [buffer.clone() for buffer in self._buffers]
        #: What is computed with.
        self.batch: Mapping[str, Tensor] = {}
        self._random: Tensor | None = None
        #: Whether an update is to be left out, since one of its batches was not finite.
        self.spoiled = False
        #: Updates left out in all, and in a row; how often the training went back.
        self.left_out = self.in_a_row = self.rollbacks = 0

    def begin(self, batch: Mapping[str, Tensor]) -> None:
        """A batch is about to be computed with."""
        self.batch = batch
        if self._draws:
            self._random = torch.get_rng_state()
        for kept, buffer in zip(self._kept, self._buffers, strict=True):
            kept.copy_(buffer)

    def see_loss(self, name: str, loss: Tensor) -> None:
        """Raises NotFinite for a loss that is none, where it is looked at in its step."""
        if self.at_once:
            value = float(loss.detach())
            if self._anywhere(value):
                raise self._found("loss", name, value)

    def see_gradients(self, step: str, parameters: Iterable[nn.Parameter], norm: Tensor | None) -> None:
        """Raises NotFinite where a gradient is not finite. `norm` is that of all of them, where it has been made already."""
        if self._scaled or not self.at_once or (norm is None and not self.sees_gradients):
            return
        if norm is None or is_sharded(norm):
            norm = nn.utils.get_total_norm([own_part(each.grad) for each in parameters if each.grad is not None])
        value = float(norm)
        if self._anywhere(value):
            raise self._found("gradient", step, value)

    def _anywhere(self, value: float) -> bool:
        """Whether the value of any process is not finite. All ask."""
        return self._ranks.most([int(not math.isfinite(value))]) == [1]

    def _found(self, kind: str, name: str, value: float) -> NotFinite:
        found = NotFinite(kind, name, math.nan if math.isfinite(value) else value)
        found.batch, found.random = self.batch, self._random
        return found

    def leave_out(self, found: NotFinite) -> None:
        """Leave out the update that the batch belongs to: statistics become what they were. Raises `found` where that is not wanted."""
        if self.policy != "skip" or self.in_a_row >= MOST_IN_A_ROW:
            raise found
        for kept, buffer in zip(self._kept, self._buffers, strict=True):
            buffer.copy_(kept)
        self.spoiled = True

    def end_update(self) -> bool:
        """An update is due: whether it is to be made."""
        spoiled, self.spoiled = self.spoiled, False
        self.left_out += spoiled
        self.in_a_row = self.in_a_row + 1 if spoiled else 0
        return not spoiled

    def figures(self) -> dict[str, int]:
        """What the log says of it."""
        return {"skip": {"skipped": self.left_out}, "rollback": {"rolled_back": self.rollbacks}}.get(self.policy, {})

    def state(self) -> dict[str, int]:
        """What a checkpoint holds of it."""
        return {"left_out": self.left_out, "in_a_row": self.in_a_row, "rollbacks": self.rollbacks}

    def restore(self, state: Mapping[str, Any]) -> None:
        """The reverse of `state`; a checkpoint of an earlier version has none."""
        self.left_out, self.in_a_row, self.rollbacks = (int(state.get(name, 0)) for name in self.state())


def told(found: NotFinite, step: int, epoch: int | None, clause: str) -> str:
    """What was found, where and when, as a sentence without its end."""
    when = f"at step {step:,}" + (f" (epoch {epoch})" if epoch is not None else "")
    if found.kind in ("weight", "memory"):
        return f"the {found.called} is {found.value} {when}, so that no checkpoint of it is kept"
    return f"the {found.called} is {found.value} {when}" + (f": {clause}" if clause else "")


def advice(watch: Watch, rate: float) -> str:
    """What to do."""
    if watch.policy == "skip" and watch.in_a_row >= MOST_IN_A_ROW:
        return f"{MOST_IN_A_ROW} updates in a row have been left out, and nothing is learned any more; lower the learning rate (now {rate:g})"
    again = f"; it went back {MOST_ROLLBACKS} times" if watch.policy == "rollback" else ""
    return (
        f"lower the learning rate (now {rate:g}), or clip gradients with `clip_grad_norm 1.0`{again}; "
        "the last checkpoint is from before, and `on_nan` says what else to do than to end here"
    )


# --- what is about to be kept ---------------------------------------------------------------------------------------------------


def verify_weights(module: RecipeModule, optimizers: Mapping[str, Any], ranks: Ranks = ALONE) -> None:
    """Raises NotFinite where a weight, a running statistic or what an optimizer remembers is not finite: a checkpoint of it is worth nothing.
    All processes call it, and where one finds something all raise the same."""
    found = next(_not_finite(module, optimizers), None)
    where = ranks.first_where(found is not None)
    if where is not None:
        raise NotFinite(*json.loads(ranks.text_of(where, json.dumps(found))))


def _not_finite(module: RecipeModule, optimizers: Mapping[str, Any]) -> Iterator[tuple[str, str, float]]:
    for kind, name, tensor in _kept_tensors(module, optimizers):
        held = own_part(tensor)
        if held.is_floating_point() and not bool(torch.isfinite(held).all()):
            yield kind, name, math.nan if bool(torch.isnan(held).any()) else math.inf


def _kept_tensors(module: RecipeModule, optimizers: Mapping[str, Any]) -> Iterator[tuple[str, str, Tensor]]:
    several = len(module.instances) > 1
    for name, instance in module.instances.items():
        for path, parameter in instance.named_parameters():
            yield "weight", f"{name}.{path}" if several else path, parameter.detach()
        for path, buffer in instance.named_buffers():
            if path.endswith(("running_mean", "running_var")):  # other buffers may hold infinity, as masks do
                yield "weight", f"{name}.{path}" if several else path, buffer
    for step, optimizer in optimizers.items():
        for number, state in enumerate(optimizer.torch.state.values()):
            for name, value in state.items():
                if isinstance(value, Tensor):
                    yield "memory", f"`{name}` of weight {number + 1}" + (f" of `{step}`" if step else ""), value
