"""`generate(net.logits, ...)` as a module: it calls a network of the recipe again and again, on the tokens so far."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from nnspec.graph.ir import Generate
from nnspec.torch_backend.modules.generation import Generation, check_causal, grow

if TYPE_CHECKING:
    from nnspec.torch_backend.recipes import InstanceModule


class GenerationModule(nn.Module):
    """Takes how many sequences there are, their beginnings (or None), and the network's other inputs; gives tokens (N, T + length).

    Where several processes hold the weights in parts, all have to ask the network equally often, and so not end `early`.
    """

    instance: InstanceModule
    early: bool = True

    def __init__(self, operator: Generate, instance: InstanceModule) -> None:
        super().__init__()
        self.operator = operator
        # Not registered: the instance belongs to the recipe.
        self.__dict__["instance"] = instance
        self._names = instance.input_names(operator.variant)

    def forward(self, count: int, start: Tensor | None, *fixed: Tensor) -> Tensor:
        how = Generation(**self.operator.settings, early=self.early)
        device = next(iter(self.instance.parameters())).device
        tokens = self._start(count, start, device)
        given = {name: tensor.repeat_interleave(how.beam, dim=0) for name, tensor in zip(self.operator.fixed, fixed, strict=True)}
        most, before = self.operator.most, None

        def step(tokens: Tensor) -> Tensor:
            nonlocal before
            seen = tokens if most is None else tokens[:, -most:]
            inputs = [seen if name == self.operator.grow else given[name] for name in self._names]
            logits: Tensor = self.instance(self.operator.variant, True, *inputs)[self.operator.output]
            if how.beam == 1 and before is not None and seen.shape[1] == tokens.shape[1]:
                check_causal(before, logits[:, -2])
            before = logits[:, -1] if tokens.shape[1] <= start_length + 1 else None
            return logits[:, -1]

        start_length = tokens.shape[1]
        with torch.no_grad():
            return grow(step, tokens, how)

    def _start(self, count: int, start: Tensor | None, device: torch.device) -> Tensor:
        if start is None:
            return torch.tensor([self.operator.start], dtype=torch.int64, device=device).expand(count, -1)
        return start.to(device).expand(count, -1)
