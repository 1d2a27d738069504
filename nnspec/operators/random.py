"""Draws of random numbers, and the ways to fill a weight at first.

A draw with sizes, `normal[N, 8]`, is a value; without, after `param x: float32[8] =` or `init`, it fills a weight. The rest only
fill weights. Constant fills (`zeros`, `ones`, `full`) live in `creation`.
"""

from __future__ import annotations

from typing import ClassVar

from nnspec.dims import Dim, format_dim
from nnspec.dims.claims import Relation
from nnspec.operators.creation import not_empty
from nnspec.operators.declare import Inferred, Obligation, Operator, TorchCall, attribute, call_function, operator
from nnspec.operators.kinds import Choice, Listing, Maybe, Real, Refusal, Size
from nnspec.types import TensorType

DRAWS = "nnspec.torch_backend.modules.draws"
INIT = "https://docs.pytorch.org/docs/stable/nn.init.html"


class Draw(Operator):
    """Random numbers, drawn anew at every call."""

    random = True
    is_initializer = True

    sizes: tuple[Dim, ...] | None

    def check(self) -> None:
        """Refuse settings that contradict one another."""

    def drawn(self) -> tuple[Dim, ...]:
        """The sizes in brackets; refuses where there are none."""
        if self.sizes is None:
            advice = f"write the sizes: `{self.name}[N, 8]`"
            raise Refusal("NN115", f"`{self.name}` without sizes fills a weight, it is not a value", help=advice)
        return self.sizes

    def infer(self) -> Inferred:
        self.check()
        return Inferred({"output": TensorType(self.drawn())}, not_empty(self.drawn()))

    def lower(self) -> TorchCall:
        settings = {name: value for name, value in self.attributes().items() if name != "sizes"}
        return call_function(f"{DRAWS}.{self.name}", list(self.drawn()), **settings)


@operator("normal", source="https://docs.pytorch.org/docs/stable/generated/torch.normal.html")
class normal(Draw):
    """Normally distributed numbers: `normal[N, 100]`, `normal(std=0.02)`."""

    mean: float = attribute(Real(), 0.0, doc="centre")
    std: float = attribute(Real(), 1.0, ge=0, doc="standard deviation")
    sizes: tuple[Dim, ...] | None = attribute(Maybe(Listing(Size())), None, doc="sizes of the result", keyword_only=True)


@operator("uniform", source="https://docs.pytorch.org/docs/stable/generated/torch.rand.html")
class uniform(Draw):
    """Evenly distributed numbers, `low` included, `high` not."""

    low: float = attribute(Real(), 0.0, doc="smallest")
    high: float = attribute(Real(), 1.0, doc="bound above, not reached")
    sizes: tuple[Dim, ...] | None = attribute(Maybe(Listing(Size())), None, doc="sizes of the result", keyword_only=True)

    def check(self) -> None:
        if self.low > self.high:
            raise Refusal("NN107", f"`low` = {self.low} is above `high` = {self.high}", "low")


@operator("bernoulli", source="https://docs.pytorch.org/docs/stable/generated/torch.bernoulli.html")
class bernoulli(Draw):
    """1.0 with probability `p`, else 0.0."""

    p: float = attribute(Real(), 0.5, ge=0, le=1, doc="probability of a 1")
    sizes: tuple[Dim, ...] | None = attribute(Maybe(Listing(Size())), None, doc="sizes of the result", keyword_only=True)


@operator("randint", source="https://docs.pytorch.org/docs/stable/generated/torch.randint.html")
class randint(Draw):
    """Whole numbers, `low` included, `high` not: index(high)[...] where `low` is not negative, else int64[...]."""

    low: Dim = attribute(Size(), doc="smallest")
    high: Dim = attribute(Size(), doc="bound above, not reached")
    sizes: tuple[Dim, ...] | None = attribute(Maybe(Listing(Size())), None, doc="sizes of the result", keyword_only=True)

    is_initializer = False

    def infer(self) -> Inferred:
        message = f"no whole number from {format_dim(self.low)} lies below {format_dim(self.high)}"
        filled = Obligation(Relation(self.low, "<", self.high), "NN107", "high", message)
        classes = None if isinstance(self.low, int) and self.low < 0 else self.high
        result = TensorType(self.drawn(), "int64", classes)
        return Inferred({"output": result}, (filled, *not_empty(self.drawn())))


class Initializer(Operator):
    """A way to fill a weight at first. It has no sizes: it takes those of the weight, which has `least_rank` axes or more."""

    is_initializer = True
    least_rank: ClassVar[int] = 2

    def infer(self) -> Inferred:
        advice = f"write `init {self.name}` or give it to a `param`"
        raise Refusal("NN115", f"`{self.name}` fills a weight, it is not a value", help=advice)

    def check(self) -> None:
        """Refuse settings that contradict one another."""


@operator("xavier_uniform", source=f"Glorot & Bengio 2010, AISTATS, eq. 16; {INIT}")
class xavier_uniform(Initializer):
    """Evenly from -a to a, a = gain * sqrt(6 / (fan_in + fan_out)). For weights of two axes or more."""

    gain: float = attribute(Real(), 1.0, doc="factor")


@operator("xavier_normal", source=f"Glorot & Bengio 2010, AISTATS; {INIT}")
class xavier_normal(Initializer):
    """Normally distributed, std = gain * sqrt(2 / (fan_in + fan_out)). For weights of two axes or more."""

    gain: float = attribute(Real(), 1.0, doc="factor")


_NONLINEARITIES = ("linear", "relu", "leaky_relu", "tanh", "sigmoid", "selu")


@operator("kaiming_uniform", source=f"He et al. 2015, arXiv:1502.01852; {INIT}")
class kaiming_uniform(Initializer):
    """Evenly from -b to b, b = gain * sqrt(3 / fan), the gain that of the nonlinearity. For weights of two axes or more."""

    a: float = attribute(Real(), 0.0, doc="negative slope, where the nonlinearity is leaky_relu")
    mode: str = attribute(Choice("fan_in", "fan_out"), "fan_in", doc="keep the size of the forward or of the backward pass")
    nonlinearity: str = attribute(Choice(*_NONLINEARITIES), "leaky_relu", doc="what follows the layer")


@operator("kaiming_normal", source=f"He et al. 2015, arXiv:1502.01852; {INIT}")
class kaiming_normal(Initializer):
    """Normally distributed, std = gain / sqrt(fan), the gain that of the nonlinearity. For weights of two axes or more."""

    a: float = attribute(Real(), 0.0, doc="negative slope, where the nonlinearity is leaky_relu")
    mode: str = attribute(Choice("fan_in", "fan_out"), "fan_in", doc="keep the size of the forward or of the backward pass")
    nonlinearity: str = attribute(Choice(*_NONLINEARITIES), "leaky_relu", doc="what follows the layer")


@operator("orthogonal", source=f"Saxe et al. 2013, arXiv:1312.6120; {INIT}")
class orthogonal(Initializer):
    """Rows or columns that are orthogonal, all axes but the first taken together. For weights of two axes or more."""

    gain: float = attribute(Real(), 1.0, doc="factor")


@operator("trunc_normal", source=INIT)
class trunc_normal(Initializer):
    """Normally distributed, drawn again where a number falls outside of `a` to `b`."""

    least_rank = 0

    mean: float = attribute(Real(), 0.0, doc="centre")
    std: float = attribute(Real(), 1.0, gt=0, doc="standard deviation before cutting")
    a: float = attribute(Real(), -2.0, doc="smallest")
    b: float = attribute(Real(), 2.0, doc="largest")

    def check(self) -> None:
        if self.a >= self.b:
            raise Refusal("NN107", f"`a` = {self.a} is not below `b` = {self.b}", "a")
