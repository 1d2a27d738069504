"""First values of weights: what `init` lines and the values of `param`s ask for. The layers' own way is the layers' matter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from nnspec.operators.declare import Operator
from nnspec.operators.kinds import Refusal

_FILLS: dict[str, Callable[..., Any]] = {
    "zeros": nn.init.zeros_,
    "ones": nn.init.ones_,
    "normal": nn.init.normal_,
    "trunc_normal": nn.init.trunc_normal_,
    "xavier_uniform": nn.init.xavier_uniform_,
    "xavier_normal": nn.init.xavier_normal_,
    "kaiming_uniform": nn.init.kaiming_uniform_,
    "kaiming_normal": nn.init.kaiming_normal_,
    "orthogonal": nn.init.orthogonal_,
}
_NEED_TWO_AXES = ("xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal", "orthogonal")


def initialize(tensor: Tensor, operator: Operator) -> None:
    """Fill the tensor in place, from torch's default generator.

    Raises Refusal with NN115 where the operator fills no weights, with NN203 where it needs more axes than the tensor has.
    """
    name = operator.name
    settings = {key: value for key, value in operator.attributes().items() if key not in ("sizes", "dtype")}
    if name in _NEED_TWO_AXES and tensor.dim() < 2:
        message = f"`{name}` needs a weight of two axes or more, and this one has shape {list(tensor.shape)}"
        raise Refusal("NN203", message, help="choose such weights with `where rank >= 2`")
    with torch.no_grad():
        if name in _FILLS:
            _FILLS[name](tensor, **settings)
        elif name == "full":
            tensor.fill_(settings["fill_value"])
        elif name == "uniform":
            tensor.uniform_(settings["low"], settings["high"])
        elif name == "bernoulli":
            tensor.bernoulli_(settings["p"])
        else:
            raise Refusal("NN115", f"`{name}` does not fill weights")
