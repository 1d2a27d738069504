"""A typed graph at fixed sizes as an ONNX model in memory, for runtimes that take one: made in milliseconds, without tracing.

Not here: exports, which keep sizes free and go through torch's own exporter (`nnspec.exporting.onnx`). An operator that has no entry in
`nnspec.engines.onnx_operators` makes the graph `NotCovered`, and then no runtime is a candidate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from nnspec.dims import Dim, Var, evaluate
from nnspec.graph.ir import CheckValues, Graph, Node, ReadWeight, Value
from nnspec.types import TensorType

OPSET = 20
#: Weights of so many bytes can stay outside of a model.
_LARGE = 4_096
_ELEMENTS = {"float32": "FLOAT", "float64": "DOUBLE", "int64": "INT64", "int32": "INT32", "bool": "BOOL", "float16": "FLOAT16"}


class NotCovered(Exception):
    """A graph that the writer cannot put as ONNX: what is in the way."""


class OnnxWriter:
    """Writes one graph. Rules of operators use `read`, `weight`, `constant`, `emit` and `bind`.

    With `outside`, large weights are not in the model but in `outside`, by their names, as they lie in memory.
    """

    def __init__(self, graph: Graph, sizes: Mapping[Var, int], state: Mapping[str, Tensor], *, outside: bool = False) -> None:
        import onnx

        self._onnx = onnx
        self.graph, self.sizes, self.state = graph, sizes, state
        self.nodes: list[Any] = []
        self.initializers: dict[str, Any] = {}
        self.outside: dict[str, NDArray[Any]] | None = {} if outside else None
        self.names: dict[Value, str] = {}
        self._count = 0

    def model(self) -> bytes:
        """The model. Raises NotCovered."""
        from nnspec.engines.onnx_operators import RULES

        helper = self._onnx.helper
        inputs = []
        for place, entry in enumerate(self.graph.inputs):
            self.names[entry.value] = f"input_{place}"
            inputs.append(self._described(f"input_{place}", entry.value.type))
        if any(isinstance(node.operator, CheckValues) for node in self.graph.nodes):
            raise NotCovered("values of its inputs are checked")
        for node in self.graph.nodes:
            if isinstance(node.operator, ReadWeight):
                self.names[node.carried] = self.weight(node.operator.path)
                continue
            if node.operator.name not in RULES:
                raise NotCovered(f"`{node.operator.name}` has no counterpart in ONNX here")
            RULES[node.operator.name](self, node)
        outputs = []
        for place, value in enumerate(self.graph.outputs.values()):
            self.nodes.append(helper.make_node("Identity", [self.names[value]], [f"output_{place}"]))
            outputs.append(self._described(f"output_{place}", value.type))
        body = helper.make_graph(self.nodes, self.graph.name, inputs, outputs, list(self.initializers.values()))
        made = helper.make_model(body, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
        serialized: bytes = made.SerializeToString()
        return serialized

    # --- what rules use -------------------------------------------------------------------------------------------------------

    def dims(self, value: Value) -> tuple[int, ...]:
        """The sizes of a value."""
        return tuple(self.number(dim) for dim in value.type.dims)

    def number(self, dim: Dim) -> int:
        """A size as a number."""
        return evaluate(dim, self.sizes)

    def value(self, node: Node, field: str) -> Value:
        """The one tensor that a node reads in a field. Raises NotCovered where none is given."""
        found = node.inputs.get(field)
        if not isinstance(found, Value):
            raise NotCovered(f"`{node.operator.name}` without `{field}`")
        return found

    def read(self, node: Node, field: str) -> str:
        """The name of what a node reads in a field; a number becomes a constant of the result's type."""
        found = node.inputs.get(field)
        if isinstance(found, Value):
            return self.names[found]
        number = getattr(node.operator, field)
        reads = list(node.reads())
        element = reads[0].type.dtype if reads else node.carried.type.dtype
        if isinstance(number, bool) or not isinstance(number, int | float):
            number = self.number(number)
        if element != node.carried.type.dtype and node.carried.type.dtype != "bool":
            raise NotCovered(f"`{node.operator.name}` of {element} and a number gives {node.carried.type.dtype}")
        return self.constant(numpy.asarray(number, dtype=element))

    def weight(self, path: str) -> str:
        """A weight of the network, by its name."""
        if path not in self.initializers:
            array = self.state[path].detach().contiguous().numpy()
            if self.outside is not None and array.nbytes >= _LARGE:
                self.outside[path] = array
                self.initializers[path] = self._absent(path, array)
            else:
                self.initializers[path] = self._tensor(path, array)
        return path

    def constant(self, array: ArrayLike) -> str:
        """A tensor of numbers."""
        name = self._new("constant")
        self.initializers[name] = self._tensor(name, numpy.asarray(array, order="C"))
        return name

    def integers(self, values: Sequence[int]) -> str:
        """A list of whole numbers, such as a shape."""
        return self.constant(numpy.asarray(list(values), dtype=numpy.int64))

    def emit(self, kind: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        """A node of ONNX; the name of its first result. The others are called the same with `:1` and so on."""
        name = self._new(kind)
        names = [name, *(f"{name}:{place}" for place in range(1, outputs))]
        self.nodes.append(self._onnx.helper.make_node(kind, list(inputs), names, **attributes))
        return name

    def bind(self, node: Node, name: str, output: str | None = None) -> None:
        """That a name holds a node's result."""
        self.names[node.carried if output is None else node.outputs[output]] = name

    def reshaped(self, name: str, dims: Sequence[int]) -> str:
        """The same elements in another shape."""
        return self.emit("Reshape", name, self.integers(dims))

    # --- parts of the model ---------------------------------------------------------------------------------------------------

    def _new(self, kind: str) -> str:
        self._count += 1
        return f"{kind}_{self._count}"

    def _tensor(self, name: str, array: NDArray[Any]) -> Any:
        element = getattr(self._onnx.TensorProto, _element(str(array.dtype)))
        return self._onnx.helper.make_tensor(name, element, array.shape, array.tobytes(), raw=True)

    def _absent(self, name: str, array: NDArray[Any]) -> Any:
        """A tensor whose numbers are elsewhere."""
        found = self._onnx.TensorProto(
            name=name, dims=array.shape, data_type=getattr(self._onnx.TensorProto, _element(str(array.dtype))),
            data_location=self._onnx.TensorProto.EXTERNAL,
        )  # fmt: skip
        for key, value in (("location", "memory"), ("offset", "0"), ("length", str(array.nbytes))):
            found.external_data.add(key=key, value=value)
        return found

    def _described(self, name: str, type: TensorType) -> Any:
        element = getattr(self._onnx.TensorProto, _element(type.dtype))
        return self._onnx.helper.make_tensor_value_info(name, element, [self.number(dim) for dim in type.dims])


def _element(dtype: str) -> str:
    if dtype not in _ELEMENTS:
        raise NotCovered(f"elements are {dtype}")
    return _ELEMENTS[dtype]


def refuse(node: Node, what: str) -> NotCovered:
    """What to raise for a node, saying what of it cannot be put."""
    return NotCovered(f"`{node.operator.name}` {what}")


def turned(w: OnnxWriter, path: str, rows: slice | None = None) -> str:
    """A matrix, or some of its rows, with its axes exchanged."""
    matrix = w.state[path].detach()
    return w.constant((matrix if rows is None else matrix[rows]).t().contiguous().numpy())
