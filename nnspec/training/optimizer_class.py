"""torch's optimizers, without its compiler.

Methods of `torch.optim.Optimizer` import `torch._dynamo` and sympy with it, only to be left out of what these trace. That is a quarter of the
time until a small training is ready, and nothing here traces an optimizer: what is compiled are networks and losses.
"""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any

import torch

#: Methods, beside `step`, whose work is wrapped.
_WRAPPED = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")


@cache
def optimizer_class(name: str) -> type[Any]:
    """The class of `torch.optim` of this name: the same settings, state and updates. Its hooks and its entries in profiles are torch's, too."""
    kind: type[torch.optim.Optimizer] = getattr(torch.optim, name)
    methods: dict[str, Any] = {each: inspect.unwrap(getattr(kind, each)) for each in _WRAPPED}
    methods["step"] = torch.no_grad()(inspect.unwrap(kind.step))
    return type(name, (kind,), methods)
