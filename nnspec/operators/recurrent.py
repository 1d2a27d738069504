"""Recurrent layers and their cells. Not here: recurrences that a spec writes itself (`scan`), which belong to `graph`.

Inputs are batch first, (N, T, D). The input width is inferred.
"""

from __future__ import annotations

from typing import Any, ClassVar

from nnspec.dims import Dim, format_dim
from nnspec.dims.claims import at_least, equal
from nnspec.operators.declare import (
    Cost,
    Inferred,
    Obligation,
    Operator,
    Ref,
    TorchCall,
    Weight,
    attribute,
    call_module,
    operator,
    tensor,
)
from nnspec.operators.kinds import Choice, Flag, Integer, Maybe, Real, Refusal, Size
from nnspec.operators.widths import stated_width
from nnspec.types import TensorType

MODULES = "nnspec.torch_backend.modules.recurrent"


class Recurrent(Operator):
    """A stack of recurrent layers, run over the axis T of (N, T, D).

    Outputs: `output` (N, T, dirs * width), zero past a sample's length; `last` (N, dirs * width), the state after the true last
    step of each direction; `h_n` (layers * dirs, N, width), the final states of all layers.
    """

    gates: ClassVar[int] = 1
    mode_dependent = True

    input: TensorType = tensor(rank=3, doc="(N, T, D)")
    lengths: TensorType | None = tensor(dtype="index", rank=1, optional=True, doc="(N,): steps that count in each sample, 1 to T")
    h_0: TensorType | None = tensor(rank=3, optional=True, doc="(layers * dirs, N, width): the first state, zeros if not given")
    hidden_size: Dim = attribute(Size(), ge=1, doc="features of the state")

    num_layers: int
    bias: bool
    dropout: float
    bidirectional: bool
    input_size: Dim | None

    @property
    def directions(self) -> int:
        return 2 if self.bidirectional else 1

    @property
    def width(self) -> Dim:
        """Features that one direction gives."""
        return self.hidden_size

    def infer(self) -> Inferred:
        N, T, D = self.input.dims  # noqa: N806
        layers = self.num_layers * self.directions
        state = TensorType((layers, N, self.width), self.input.dtype)
        outputs = {
            "output": self.input.with_dims((N, T, self.directions * self.width)),
            "last": self.input.with_dims((N, self.directions * self.width)),
            "h_n": state,
        }
        obligations = [Obligation(at_least(T, 1), "NN212", "input", f"a sequence of {format_dim(T)} steps gives no output")]
        if self.lengths is not None:
            obligations.append(_agrees(self.lengths.dims[0], N, "lengths", "lengths", "samples"))
        obligations += _state_agrees("h_0", self.h_0, state)
        obligations += stated_width(self.name, "input_size", self.input_size, D, "features")
        return Inferred(outputs, tuple(obligations))

    def weights(self) -> tuple[Weight, ...]:
        entries: list[Weight] = []
        rows = self.gates * self.hidden_size
        for layer in range(self.num_layers):
            width = self.input.dims[-1] if layer == 0 else self.directions * self.width
            for direction in ("", "_reverse")[: self.directions]:
                suffix = f"_l{layer}{direction}"
                entries += [self._weight(f"weight_ih{suffix}", rows, width), self._weight(f"weight_hh{suffix}", rows, self.width)]
                if self.bias:
                    entries += [self._weight(f"bias_ih{suffix}", rows), self._weight(f"bias_hh{suffix}", rows)]
                entries += self._projection(suffix)
        return tuple(entries)

    def _projection(self, suffix: str) -> list[Weight]:
        return []

    def _weight(self, name: str, *dims: Dim) -> Weight:
        return Weight(name, dims, self.input.dtype)

    def cost(self) -> Cost:
        """The products with `weight_ih`, `weight_hh` and `weight_hr` at every step: 2 N T times their elements."""
        N, T, _ = self.input.dims  # noqa: N806
        elements: Dim = 0
        for weight in self.weights():
            if len(weight.dims) == 2:
                elements = elements + weight.dims[0] * weight.dims[1]
        return Cost(2 * N * T * elements)

    def settings(self) -> dict[str, Any]:
        """What the torch module is made with."""
        return {
            "input_size": self.input.dims[-1],
            "hidden_size": self.hidden_size,
            "num_layers": self.num_layers,
            "bias": self.bias,
            "dropout": self.dropout if self.num_layers > 1 else 0.0,
            "bidirectional": self.bidirectional,
        }

    def lower(self) -> TorchCall:
        given = {name: Ref(name) for name in self.tensor_fields() if name != "input" and self.__dict__[name] is not None}
        return call_module(f"{MODULES}.{self.name}", Ref("input"), settings=self.settings(), **given)


def _agrees(found: Dim, wanted: Dim, blame: str, what: str, whose: str) -> Obligation:
    return Obligation(equal(found, wanted), "NN201", blame, f"{format_dim(found)} {what} for {format_dim(wanted)} {whose}")


def _state_agrees(name: str, state: TensorType | None, wanted: TensorType) -> list[Obligation]:
    if state is None:
        return []
    message = f"`{name}` is {state}, and this layer's states are {wanted}"
    if state.dtype != wanted.dtype:
        raise Refusal("NN204", message, name)
    return [
        Obligation(equal(found, needed), "NN201", name, message, (f"axis {axis}: {format_dim(found)} != {format_dim(needed)}",))
        for axis, (found, needed) in enumerate(zip(state.dims, wanted.dims, strict=True))
        if found != needed
    ]


@operator("RNN", source="Elman 1990, Cognitive Science 14:179; https://docs.pytorch.org/docs/stable/generated/torch.nn.RNN.html")
class RNN(Recurrent):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh) at every step."""

    num_layers: int = attribute(Integer(), 1, ge=1, doc="layers on top of one another")
    nonlinearity: str = attribute(Choice("tanh", "relu"), "tanh", doc="what the sum goes through")
    bias: bool = attribute(Flag(), True, doc="add b_ih and b_hh")
    dropout: float = attribute(Real(), 0.0, ge=0, le=1, doc="share of features dropped between layers in training")
    bidirectional: bool = attribute(Flag(), False, doc="run a second stack from the end to the start")
    input_size: Dim | None = attribute(Maybe(Size()), None, ge=1, doc="features of the input; inferred", keyword_only=True)

    def settings(self) -> dict[str, Any]:
        return super().settings() | {"nonlinearity": self.nonlinearity}


@operator("GRU", source="Cho et al. 2014, arXiv:1406.1078; https://docs.pytorch.org/docs/stable/generated/torch.nn.GRU.html")
class GRU(Recurrent):
    """A gated recurrent unit: reset gate, update gate, and a candidate state."""

    gates = 3

    num_layers: int = attribute(Integer(), 1, ge=1, doc="layers on top of one another")
    bias: bool = attribute(Flag(), True, doc="add b_ih and b_hh")
    dropout: float = attribute(Real(), 0.0, ge=0, le=1, doc="share of features dropped between layers in training")
    bidirectional: bool = attribute(Flag(), False, doc="run a second stack from the end to the start")
    input_size: Dim | None = attribute(Maybe(Size()), None, ge=1, doc="features of the input; inferred", keyword_only=True)


@operator("LSTM", source="Hochreiter & Schmidhuber 1997, Neural Computation 9:1735; Sak et al. 2014, arXiv:1402.1128")
class LSTM(Recurrent):
    """Long short-term memory. Gives also `c_n` (layers * dirs, N, hidden_size), the final cells."""

    gates = 4

    c_0: TensorType | None = tensor(rank=3, optional=True, doc="(layers * dirs, N, hidden_size): the first cell, else zeros")
    num_layers: int = attribute(Integer(), 1, ge=1, doc="layers on top of one another")
    bias: bool = attribute(Flag(), True, doc="add b_ih and b_hh")
    dropout: float = attribute(Real(), 0.0, ge=0, le=1, doc="share of features dropped between layers in training")
    bidirectional: bool = attribute(Flag(), False, doc="run a second stack from the end to the start")
    proj_size: Dim = attribute(Size(), 0, ge=0, doc="project the state to so many features; 0: do not")
    input_size: Dim | None = attribute(Maybe(Size()), None, ge=1, doc="features of the input; inferred", keyword_only=True)

    @property
    def projected(self) -> bool:
        return self.proj_size != 0

    @property
    def width(self) -> Dim:
        return self.proj_size if self.projected else self.hidden_size

    def infer(self) -> Inferred:
        inferred = super().infer()
        N = self.input.dims[0]  # noqa: N806
        cells = TensorType((self.num_layers * self.directions, N, self.hidden_size), self.input.dtype)
        obligations = [*inferred.obligations, *_state_agrees("c_0", self.c_0, cells)]
        if self.projected:
            least, most = format_dim(self.proj_size), format_dim(self.hidden_size)
            message = f"`proj_size` = {least} must be less than `hidden_size` = {most}"
            obligations.append(Obligation(at_least(self.hidden_size - self.proj_size, 1), "NN107", "proj_size", message))
        return Inferred(inferred.outputs | {"c_n": cells}, tuple(obligations))

    def _projection(self, suffix: str) -> list[Weight]:
        return [self._weight(f"weight_hr{suffix}", self.proj_size, self.hidden_size)] if self.projected else []

    def settings(self) -> dict[str, Any]:
        return super().settings() | {"proj_size": self.proj_size}


class Cell(Operator):
    """One step of a recurrent layer: (N, D) and the state (N, hidden_size) to the next state."""

    gates: ClassVar[int] = 1

    input: TensorType = tensor(rank=2, doc="(N, D)")
    h_0: TensorType | None = tensor(rank=2, optional=True, doc="(N, hidden_size): the state before, zeros if not given")
    hidden_size: Dim = attribute(Size(), ge=1, doc="features of the state")
    bias: bool = attribute(Flag(), True, doc="add b_ih and b_hh")
    input_size: Dim | None = attribute(Maybe(Size()), None, ge=1, doc="features of the input; inferred", keyword_only=True)

    def infer(self) -> Inferred:
        N, D = self.input.dims  # noqa: N806
        state = self.input.with_dims((N, self.hidden_size))
        obligations = [
            *_state_agrees("h_0", self.h_0, state),
            *stated_width(self.name, "input_size", self.input_size, D, "features"),
        ]
        return Inferred({"h_1": state}, tuple(obligations))

    def weights(self) -> tuple[Weight, ...]:
        rows = self.gates * self.hidden_size
        dtype = self.input.dtype
        matrices = (Weight("weight_ih", (rows, self.input.dims[-1]), dtype), Weight("weight_hh", (rows, self.hidden_size), dtype))
        return (*matrices, Weight("bias_ih", (rows,), dtype), Weight("bias_hh", (rows,), dtype)) if self.bias else matrices

    def cost(self) -> Cost:
        N, D = self.input.dims  # noqa: N806
        return Cost(2 * N * self.gates * self.hidden_size * (D + self.hidden_size))

    def settings(self) -> dict[str, Any]:
        """What the torch module is made with."""
        return {"input_size": self.input.dims[-1], "hidden_size": self.hidden_size, "bias": self.bias}

    def lower(self) -> TorchCall:
        state = () if self.h_0 is None else (Ref("h_0"),)
        return call_module(f"torch.nn.{self.name}", Ref("input"), *state, settings=self.settings())


@operator("RNNCell", source="https://docs.pytorch.org/docs/stable/generated/torch.nn.RNNCell.html")
class RNNCell(Cell):
    """One step of an `RNN`."""

    nonlinearity: str = attribute(Choice("tanh", "relu"), "tanh", doc="what the sum goes through")

    def settings(self) -> dict[str, Any]:
        return super().settings() | {"nonlinearity": self.nonlinearity}


@operator("GRUCell", source="https://docs.pytorch.org/docs/stable/generated/torch.nn.GRUCell.html")
class GRUCell(Cell):
    """One step of a `GRU`."""

    gates = 3


@operator("LSTMCell", source="https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTMCell.html")
class LSTMCell(Cell):
    """One step of an `LSTM`: gives the state `h_1` and the cell `c_1`, each (N, hidden_size)."""

    gates = 4

    c_0: TensorType | None = tensor(rank=2, optional=True, doc="(N, hidden_size): the cell before; given together with `h_0`")

    def infer(self) -> Inferred:
        inferred = super().infer()
        if (self.h_0 is None) != (self.c_0 is None):
            given, missing = ("h_0", "c_0") if self.c_0 is None else ("c_0", "h_0")
            raise Refusal("NN114", f"`{given}` is given without `{missing}`", given, help=f"give `{missing}` too, or neither")
        cell = inferred.outputs["h_1"]
        obligations = (*inferred.obligations, *_state_agrees("c_0", self.c_0, cell))
        return Inferred(inferred.outputs | {"c_1": cell}, obligations)

    def lower(self) -> TorchCall:
        state = () if self.h_0 is None else ((Ref("h_0"), Ref("c_0")),)
        return call_module("torch.nn.LSTMCell", Ref("input"), *state, settings=self.settings())
