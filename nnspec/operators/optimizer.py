"""Optimizers: names, settings, defaults and ranges are those of `torch.optim`. Schedules of learning rates live in `schedule`.

An optimizer has no tensors and no value: `infer` gives no outputs, and refuses settings that contradict one another.
"""

from __future__ import annotations

from typing import Any

from nnspec.operators.declare import Inferred, Operator, attribute, operator
from nnspec.operators.kinds import Flag, Listing, Real, Refusal
from nnspec.operators.schedule import Rate

DOCS = "https://docs.pytorch.org/docs/stable/generated/torch.optim"
_LR = "learning rate: a number or a schedule"
_WEIGHT_DECAY = "how strongly weights are drawn to zero"
_MAXIMIZE = "climb instead of descend"


class Optimizer(Operator):
    """A way to change weights by their gradients."""

    is_optimizer = True

    lr: Any

    @property
    def target(self) -> str:
        """The class in torch."""
        return f"torch.optim.{self.name}"

    def infer(self) -> Inferred:
        check = getattr(self.lr, "check", None)
        if check is not None:
            check()
        return Inferred({})

    def settings(self) -> dict[str, Any]:
        """What torch's class is made with, but for the learning rate."""
        return {name: value for name, value in self.attributes().items() if name != "lr"}


@operator("SGD", source=f"{DOCS}.SGD.html")
class SGD(Optimizer):
    """Stochastic gradient descent, with momentum if asked for."""

    lr: Any = attribute(Rate(), 1e-3, ge=0, doc=_LR)
    momentum: float = attribute(Real(), 0.0, ge=0, doc="share of the last step that is kept")
    dampening: float = attribute(Real(), 0.0, doc="share of the gradient that momentum leaves out")
    weight_decay: float = attribute(Real(), 0.0, ge=0, doc=_WEIGHT_DECAY)
    nesterov: bool = attribute(Flag(), False, doc="look ahead: Nesterov's momentum")
    maximize: bool = attribute(Flag(), False, doc=_MAXIMIZE, keyword_only=True)

    def infer(self) -> Inferred:
        if self.nesterov and (self.momentum <= 0 or self.dampening != 0):
            raise Refusal("NN107", "`nesterov` needs a momentum above 0 and no dampening", "nesterov", help="add `momentum=0.9`")
        return super().infer()


def _betas() -> Any:
    doc = "how slowly the means of the gradient and of its square forget"
    return attribute(Listing(Real(), 2), (0.9, 0.999), ge=0, lt=1, doc=doc)


def _eps(default: float = 1e-8) -> Any:
    return attribute(Real(), default, ge=0, doc="keeps the division from 0")


@operator("Adam", source=f"Kingma & Ba 2015, arXiv:1412.6980; {DOCS}.Adam.html")
class Adam(Optimizer):
    """Steps scaled by running means of the gradient and of its square."""

    lr: Any = attribute(Rate(), 1e-3, ge=0, doc=_LR)
    betas: tuple[float, float] = _betas()
    eps: float = _eps()
    weight_decay: float = attribute(Real(), 0.0, ge=0, doc=_WEIGHT_DECAY)
    amsgrad: bool = attribute(Flag(), False, doc="divide by the largest mean square so far")
    maximize: bool = attribute(Flag(), False, doc=_MAXIMIZE, keyword_only=True)


@operator("AdamW", source=f"Loshchilov & Hutter 2019, arXiv:1711.05101; {DOCS}.AdamW.html")
class AdamW(Optimizer):
    """Adam whose weight decay is not scaled."""

    lr: Any = attribute(Rate(), 1e-3, ge=0, doc=_LR)
    betas: tuple[float, float] = _betas()
    eps: float = _eps()
    weight_decay: float = attribute(Real(), 1e-2, ge=0, doc=_WEIGHT_DECAY)
    amsgrad: bool = attribute(Flag(), False, doc="divide by the largest mean square so far")
    maximize: bool = attribute(Flag(), False, doc=_MAXIMIZE, keyword_only=True)


@operator("NAdam", source=f"Dozat 2016, ICLR workshop; {DOCS}.NAdam.html")
class NAdam(Optimizer):
    """Adam with Nesterov's momentum."""

    lr: Any = attribute(Rate(), 2e-3, ge=0, doc=_LR)
    betas: tuple[float, float] = _betas()
    eps: float = _eps()
    weight_decay: float = attribute(Real(), 0.0, ge=0, doc=_WEIGHT_DECAY)
    momentum_decay: float = attribute(Real(), 4e-3, ge=0, doc="how fast the momentum reaches its full size")
    decoupled_weight_decay: bool = attribute(Flag(), False, doc="decay as AdamW does")
    maximize: bool = attribute(Flag(), False, doc=_MAXIMIZE, keyword_only=True)


@operator("RAdam", source=f"Liu et al. 2020, arXiv:1908.03265; {DOCS}.RAdam.html")
class RAdam(Optimizer):
    """Adam that trusts the mean square only once it has seen enough of it."""

    lr: Any = attribute(Rate(), 1e-3, ge=0, doc=_LR)
    betas: tuple[float, float] = _betas()
    eps: float = _eps()
    weight_decay: float = attribute(Real(), 0.0, ge=0, doc=_WEIGHT_DECAY)
    decoupled_weight_decay: bool = attribute(Flag(), False, doc="decay as AdamW does")
    maximize: bool = attribute(Flag(), False, doc=_MAXIMIZE, keyword_only=True)


@operator("RMSprop", source=f"Tieleman & Hinton 2012, lecture 6.5; {DOCS}.RMSprop.html")
class RMSprop(Optimizer):
    """Steps scaled by a running mean of the squared gradient."""

    lr: Any = attribute(Rate(), 1e-2, ge=0, doc=_LR)
    alpha: float = attribute(Real(), 0.99, ge=0, doc="how slowly the mean square forgets")
    eps: float = _eps()
    weight_decay: float = attribute(Real(), 0.0, ge=0, doc=_WEIGHT_DECAY)
    momentum: float = attribute(Real(), 0.0, ge=0, doc="share of the last step that is kept")
    centered: bool = attribute(Flag(), False, doc="divide by the variance of the gradient, not by its mean square")
    maximize: bool = attribute(Flag(), False, doc=_MAXIMIZE, keyword_only=True)


@operator("Adagrad", source=f"Duchi et al. 2011, JMLR 12:2121; {DOCS}.Adagrad.html")
class Adagrad(Optimizer):
    """Steps scaled by the sum of all squared gradients so far."""

    lr: Any = attribute(Rate(), 1e-2, ge=0, doc=_LR)
    lr_decay: float = attribute(Real(), 0.0, ge=0, doc="how fast the rate falls: lr / (1 + step * lr_decay)")
    weight_decay: float = attribute(Real(), 0.0, ge=0, doc=_WEIGHT_DECAY)
    initial_accumulator_value: float = attribute(Real(), 0.0, ge=0, doc="the sum at the start")
    eps: float = _eps(1e-10)
    maximize: bool = attribute(Flag(), False, doc=_MAXIMIZE, keyword_only=True)


@operator("Adadelta", source=f"Zeiler 2012, arXiv:1212.5701; {DOCS}.Adadelta.html")
class Adadelta(Optimizer):
    """Steps scaled by running means of squared gradients and of squared steps."""

    lr: Any = attribute(Rate(), 1.0, ge=0, doc=_LR)
    rho: float = attribute(Real(), 0.9, ge=0, le=1, doc="how slowly the means forget")
    eps: float = _eps(1e-6)
    weight_decay: float = attribute(Real(), 0.0, ge=0, doc=_WEIGHT_DECAY)
    maximize: bool = attribute(Flag(), False, doc=_MAXIMIZE, keyword_only=True)
