"""Recurrent layers in ONNX, which puts steps before samples, has its gates in another order, and a layer for each layer."""

from __future__ import annotations

from typing import Any

import numpy
from numpy.typing import NDArray

from nnspec.engines.onnx_model import NotCovered, OnnxWriter
from nnspec.graph.ir import Node

#: For each gate of ONNX, where torch has it: i, o, f, c out of i, f, g, o; z, r, h out of r, z, n.
_GATES = {"LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2), "RNN": (0,)}


def recurrent(w: OnnxWriter, node: Node) -> None:
    """RNN, GRU or LSTM over whole sequences."""
    operator: Any = node.operator
    projected = getattr(operator, "proj_size", 0) != 0
    if set(node.inputs) != {"input"} or projected:
        raise NotCovered(f"`{operator.name}` with lengths, first states or a projection")
    directions, hidden = 1 + int(operator.bidirectional), w.number(operator.hidden_size)
    samples, steps, _ = w.dims(w.value(node, "input"))
    x = w.emit("Transpose", w.read(node, "input"), perm=[1, 0, 2])
    finals: list[list[str]] = [[], []]
    for layer in range(operator.num_layers):
        made = _layer(w, node, x, layer, directions, hidden)
        for place in range(1 + (operator.name == "LSTM")):
            finals[place].append(f"{made}:{place + 1}")
        x = w.reshaped(w.emit("Transpose", made, perm=[0, 2, 1, 3]), (steps, samples, directions * hidden))
    top = finals[0][-1]  # (directions, N, hidden)
    w.bind(node, w.emit("Transpose", x, perm=[1, 0, 2]), "output")
    w.bind(node, w.reshaped(w.emit("Transpose", top, perm=[1, 0, 2]), (samples, directions * hidden)), "last")
    w.bind(node, w.emit("Concat", *finals[0], axis=0), "h_n")
    if operator.name == "LSTM":
        w.bind(node, w.emit("Concat", *finals[1], axis=0), "c_n")


def _layer(w: OnnxWriter, node: Node, x: str, layer: int, directions: int, hidden: int) -> str:
    operator: Any = node.operator
    suffixes = [f"_l{layer}{'_reverse' if each else ''}" for each in range(directions)]
    weights, recurrences, biases = [], [], []
    for suffix in suffixes:
        weights.append(_sorted(w, node, f"weight_ih{suffix}", hidden))
        recurrences.append(_sorted(w, node, f"weight_hh{suffix}", hidden))
        if operator.bias:
            biases.append(numpy.concatenate([_sorted(w, node, f"bias_{each}{suffix}", hidden) for each in ("ih", "hh")]))
    parts = [w.constant(numpy.stack(each)) for each in (weights, recurrences, *([biases] if biases else []))]
    settings: dict[str, Any] = {"hidden_size": hidden, "direction": "bidirectional" if directions == 2 else "forward"}
    if operator.name == "GRU":
        settings["linear_before_reset"] = 1
    if operator.name == "RNN" and operator.nonlinearity == "relu":
        settings["activations"] = ["Relu"] * directions
    return w.emit(operator.name, x, *parts, outputs=3 if operator.name == "LSTM" else 2, **settings)


def _sorted(w: OnnxWriter, node: Node, name: str, hidden: int) -> NDArray[Any]:
    """A weight with its gates in ONNX's order."""
    given = w.state[f"{node.path}.{name}"].detach().numpy()
    order = _GATES[node.operator.name]
    return numpy.concatenate([given[gate * hidden : (gate + 1) * hidden] for gate in order])
