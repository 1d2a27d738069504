"""The graph of an ONNX model as statements of a spec, node by node.

What a name of the graph stands for is a `Tensor` that a statement makes, a `Constant`, or `Sizes`: whole numbers that come of shapes, such as
the shape that a Reshape is given. A rule turns a node into statements; nodes that only read constants are computed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy
from numpy.typing import NDArray

from nnspec.importing.base import Imported, ImportRefused
from nnspec.importing.onnx_values import ELEMENTS, Constant, Sizes, Tensor, Value
from nnspec.importing.spec_text import Draft, SpecNames, Statement, number, weight_path

#: What is computed of constants has at most so many elements.
_MOST_ELEMENTS = 1 << 24


class OnnxGraph:
    """One graph that is being read. Rules use what stands under "what rules use"."""

    def __init__(self, model: Any, opset: int, path: str) -> None:
        self.model, self.opset, self.path = model, opset, path
        self.graph = model.graph
        self.names = SpecNames()
        told = {entry.key: entry.value for entry in model.metadata_props}
        self.draft = Draft(self.names.give(told.get("nnspec.network") or self.graph.name, "Imported"))
        self.values: dict[str, Value] = {}
        self.state: dict[str, NDArray[Any]] = {}
        self.notes: list[str] = []
        self.consumers = Counter(name for node in self.graph.node for name in node.input)
        self.consumers.update(output.name for output in self.graph.output)
        #: How many rows a table has, by the input that looks things up in it.
        self.classes: dict[str, int] = {}
        self.done: set[int] = set()
        #: Values that are zero everywhere.
        self.zeros: set[str] = set()
        self._shared: dict[tuple[Any, ...], str] = {}
        self._held: dict[str, str] = {}
        self._paths: list[str] = []
        self._types = {
            each.name: each.type.tensor_type for each in (*self.graph.value_info, *self.graph.input, *self.graph.output)
        }
        self._symbols: dict[str, str] = {}
        self._inputs: list[tuple[Any, Tensor]] = []

    def read(self) -> Imported:
        """The network. Raises ImportRefused for what a spec cannot say."""
        from onnx import numpy_helper

        held = {tensor.name for tensor in self.graph.initializer}
        for path in filter(None, map(weight_path, held)):
            self.draft.heads.add(path.partition(".")[0])
        self.names.keep(self.draft.heads - {output.name for output in self.graph.output})
        for tensor in self.graph.initializer:
            self.values[tensor.name] = Constant(numpy_helper.to_array(tensor), tensor.name)
        for entry in self.graph.input:
            if entry.name not in held:
                self._input(entry)
        for place, node in enumerate(self.graph.node):
            if place not in self.done:
                self._node(place, node)
        for output in self.graph.output:
            if output.name not in self.values:
                raise ImportRefused(f"nothing in `{self.path}` makes the output `{output.name}`")
            self.draft.outputs.append((self.names.give(output.name, "output"), self._as_output(output.name)))
        self.draft.inputs = [self._declared(entry, tensor) for entry, tensor in self._inputs]
        inputs = tuple(entry.name for entry, _ in self._inputs)
        outputs = tuple(output.name for output in self.graph.output)
        return Imported(self.draft.text(), self.draft.name, self.state, tuple(dict.fromkeys(self.notes)), inputs, outputs)

    # --- inputs and outputs -------------------------------------------------------------------------------------------------

    def _input(self, entry: Any) -> None:
        if not entry.type.HasField("tensor_type") or not entry.type.tensor_type.HasField("shape"):
            raise ImportRefused(f"the input `{entry.name}` of `{self.path}` is not a tensor of known rank")
        name = self.names.give(entry.name, "input")
        dims: list[int | str | None] = []
        for axis, dim in enumerate(entry.type.tensor_type.shape.dim):
            if dim.HasField("dim_value"):
                dims.append(dim.dim_value)
                continue
            wanted = dim.dim_param or f"{name}_{axis}"
            if wanted not in self._symbols:
                self._symbols[wanted] = self.names.give(wanted, "D")
            dims.append(self._symbols[wanted])
        tensor = Tensor(name, self._element(entry.type.tensor_type.elem_type, entry.name), tuple(dims), source=name)
        self.values[entry.name] = tensor
        self._inputs.append((entry, tensor))

    def _declared(self, entry: Any, tensor: Tensor) -> str:
        sizes = ", ".join(map(str, tensor.dims))
        element = f"index({self.classes[tensor.text]})" if tensor.text in self.classes else tensor.dtype
        return f"input {tensor.text}: {element}[{sizes}]"

    def _as_output(self, name: str) -> str:
        """The name of a value, bound by itself."""
        value = self.tensor(name)
        if not value.text.isidentifier() or any(value.text == other for _, other in self.draft.outputs):
            return self.emit((name,), value.text, [], [value.text], is_plain=True)[0].text
        return value.text

    # --- nodes --------------------------------------------------------------------------------------------------------------

    def _node(self, place: int, node: Any) -> None:
        from nnspec.importing.onnx_rules import RULES

        if self._computed(node):
            return
        rule: Callable[[OnnxGraph, Any], None] | None = RULES.get(node.op_type) if node.domain in ("", "ai.onnx") else None
        if rule is None:
            named = node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"
            raise ImportRefused(f"{self.where(node)}: the operator {named} is not covered")
        rule(self, node)
        for output in node.output:
            if output and output not in self.values and self.consumers[output]:
                raise ImportRefused(f"{self.where(node)}: its result `{output}` is not covered")

    def where(self, node: Any) -> str:
        """What messages call a node."""
        return f"node {node.name or node.output[0]} of `{self.path}` ({node.op_type})"

    def refuse(self, node: Any, what: str) -> ImportRefused:
        """What to raise for a node, saying what of it cannot be put."""
        return ImportRefused(f"{self.where(node)} {what}")

    def _computed(self, node: Any) -> bool:
        """Compute a node that reads constants only. Returns whether it was."""
        given = [self.values.get(name) for name in node.input if name]
        if node.op_type in _DRAWS or not all(isinstance(value, Constant) for value in given):
            return False
        if node.domain not in ("", "ai.onnx") or not self._is_small(node):
            return False
        from onnx.reference import ReferenceEvaluator

        feed = {name: self.values[name].array for name in node.input if name}  # type: ignore[union-attr]
        try:
            found = ReferenceEvaluator(node, opsets={"": self.opset}).run(None, feed)
        except Exception:  # the reference does not have every operator; a rule may
            return False
        for name, array in zip(node.output, found, strict=False):
            self.values[name] = Constant(numpy.asarray(array), name)
        return True

    def _is_small(self, node: Any) -> bool:
        """Whether what a node makes of constants has no more elements than it should."""
        for name in node.output:
            dims = self.dims(name)
            if dims is None or not all(isinstance(dim, int) for dim in dims):
                return node.op_type in ("Constant", "Identity")
            if numpy.prod([float(dim) for dim in dims if isinstance(dim, int)]) > _MOST_ELEMENTS:
                return False
        return True

    # --- what is known of values --------------------------------------------------------------------------------------------

    def _element(self, code: int, name: str) -> str:
        if code not in ELEMENTS:
            raise ImportRefused(f"`{name}` of `{self.path}` holds elements that a spec does not have (type {code} of ONNX)")
        return ELEMENTS[code]

    def dims(self, name: str) -> tuple[int | str | None, ...] | None:
        """The sizes of a value as the model tells them: a number, a symbol of the inputs, or None; None where its rank is not known."""
        type = self._types.get(name)
        if type is None or not type.HasField("shape"):
            return None
        return tuple(
            dim.dim_value if dim.HasField("dim_value") else self._symbols.get(dim.dim_param or "") for dim in type.shape.dim
        )

    def _typed(
        self, name: str, text: str, dims: Sequence[int | str | None] | None, dtype: str | None, source: str = ""
    ) -> Tensor:
        type = self._types.get(name)
        known = self.dims(name) if dims is None else tuple(dims)
        element = dtype or (self._element(type.elem_type, name) if type is not None and type.elem_type else None)
        if known is None or element is None:
            raise ImportRefused(f"the model does not tell the type of `{name}`, which is needed")
        return Tensor(text, element, known, source)

    # --- what rules use -----------------------------------------------------------------------------------------------------

    def given(self, node: Any, place: int) -> Value | None:
        """What a node reads at a place; None where it reads nothing there."""
        if place >= len(node.input) or not node.input[place]:
            return None
        name = node.input[place]
        if name not in self.values:
            raise self.refuse(node, f"reads `{name}`, which nothing makes before it")
        return self.values[name]

    def constant(self, node: Any, place: int) -> NDArray[Any] | None:
        """The numbers that a node reads at a place; None where it reads none."""
        value = self.given(node, place)
        if isinstance(value, Sizes) and all(isinstance(each, int) for each in value.entries):
            return numpy.asarray(value.entries[0] if value.is_single else value.entries, dtype=numpy.int64)
        return value.array if isinstance(value, Constant) else None

    def numbers(self, node: Any, place: int, what: str) -> list[int] | None:
        """Whole numbers that a node reads at a place, None where it reads nothing there. Refused where they are computed."""
        if self.given(node, place) is None:
            return None
        found = self.constant(node, place)
        if found is None:
            raise self.refuse(node, f"computes {what}")
        return [int(each) for each in found.reshape(-1)]

    def sizes(self, node: Any, place: int) -> list[int | str] | None:
        """The same, each a number or what a spec says for it; None where they are neither."""
        value = self.given(node, place)
        if isinstance(value, Sizes):
            return list(value.entries)
        if isinstance(value, Constant) and value.array.dtype.kind in "iu":
            return [int(each) for each in value.array.reshape(-1)]
        return None

    def tensor(self, name: str) -> Tensor:
        """A value as a tensor of the network; constants become a `param` or a `buffer`, sizes a number."""
        value = self.values[name]
        if isinstance(value, Tensor):
            return value
        if isinstance(value, Constant):
            dtype = _ELEMENTS_OF.get(str(value.array.dtype))
            if dtype is None:
                raise ImportRefused(f"`{name}` of `{self.path}` holds {value.array.dtype}, which a spec does not have")
            return Tensor(self._stored(value, dtype), dtype, value.array.shape)
        if len(value.entries) != 1:
            raise ImportRefused(f"`{name}` of `{self.path}` is a shape, and is used as a tensor, which is not covered")
        return Tensor(self.written(value.entries[0]), "int64", () if value.is_single else (1,))

    def read_tensor(self, node: Any, place: int) -> Tensor:
        """The tensor that a node reads at a place."""
        if self.given(node, place) is None:
            raise self.refuse(node, f"lacks its input {place}")
        return self.tensor(node.input[place])

    def operand(self, node: Any, place: int) -> str:
        """The same where a number will do."""
        value = self.given(node, place)
        if (
            isinstance(value, Constant)
            and value.array.size == 1
            and value.array.dtype.kind in "fiub"
            and numpy.isfinite(value.array).all()
        ):
            return number(value.array.reshape(()).item())
        return self.read_tensor(node, place).text

    @staticmethod
    def written(size: int | str) -> str:
        """A size in an expression."""
        return str(size) if isinstance(size, int) or size.isidentifier() else f"({size})" if " " in size else size

    def _stored(self, value: Constant, dtype: str) -> str:
        """The name of the `param` or `buffer` that holds a constant."""
        if value.name in self._held:
            return self._held[value.name]
        given = self.names.give(value.name.rpartition("/")[2].replace(".", "_"), "constant")
        array = value.array if value.array.ndim else value.array.reshape(1)
        shape = ", ".join(map(str, array.shape))
        word = "param" if dtype.startswith(("float", "bfloat")) else "buffer"
        first = "full(false)" if dtype == "bool" else f'zeros(dtype="{dtype}")'
        start = "zeros" if word == "param" else f"{first}[{shape}]"
        self.draft.weights.append(f"{word} {given}: {dtype}[{shape}] = {start}")
        self.state[given] = array
        self._held[value.name] = given
        return given

    def layer(
        self, node: Any, written: str, weights: dict[str, NDArray[Any]], names: Sequence[str], shared: Sequence[str]
    ) -> str:
        """A step with weights, named as one of `names` says if it can be; where the weights `shared` are read by other nodes as well, one
        layer for all of them."""
        path = next((found for name in names if (found := weight_path(name)) is not None), None)
        key = (written, *shared)
        if key in self._shared:
            return self._shared[key]
        kind = written.partition("(")[0].lower()
        if path is None or any(f"{path}.{last}" in self.state for last in weights) or self._is_within(path):
            path = self.names.give(f"{kind}{1 + sum(each.startswith(f'{kind}') for each in self._paths)}", kind)
        self._paths.append(path)
        self.state |= {f"{path}.{last}": array for last, array in weights.items()}
        if shared and all(self.consumers[name] > 1 for name in shared[:1]):
            name = self.names.give(path.replace(".", "_"), kind)
            again = self._moved(path, name, weights)
            self.draft.weights.append(f"layer {again} = {written}")
            self._shared[key] = again
            return again
        return f"{written} as {path}"

    def _is_within(self, path: str) -> bool:
        """Whether a layer at this path would stand within another one, or around it, or where a value has its name."""
        return any(path == each or path.startswith(f"{each}.") or each.startswith(f"{path}.") for each in self._paths)

    def _moved(self, path: str, name: str, weights: dict[str, NDArray[Any]]) -> str:
        for last in weights:
            self.state[f"{name}.{last}"] = self.state.pop(f"{path}.{last}")
        return name

    def emit(self, outputs: Sequence[str], head: str, steps: Sequence[str], reads: Sequence[str], *, is_plain: bool = False,
             dims: Sequence[int | str | None] | None = None, dtype: str | None = None, source: str = "") -> list[Tensor]:  # fmt: skip
        """A statement that makes these values of the model."""
        names = tuple(self.names.give(f"h{len(self.draft.statements) + 1}" if name else "unused") for name in outputs)
        self.draft.statements.append(Statement(names, head, list(steps), list(reads), is_plain))
        made = []
        for name, text in zip(outputs, names, strict=True):
            if name:
                tensor = self._typed(name, text, dims, dtype, source)
                self.values[name] = tensor
                made.append(tensor)
        return made

    def step(self, node: Any, *steps: str, place: int = 0, source: str = "") -> Tensor:
        """A statement that sends what a node reads at a place through steps."""
        read = self.read_tensor(node, place)
        return self.emit(node.output[:1], read.text, steps, [read.text], is_plain=True, source=source)[0]

    def expression(self, node: Any, text: str, *places: int) -> Tensor:
        """A statement that is an expression of what a node reads at these places."""
        reads = [value.text for place in places if isinstance(value := self.given(node, place), Tensor)]
        held = [
            self._held[value.name]
            for place in places
            if isinstance(value := self.given(node, place), Constant) and value.name in self._held
        ]
        return self.emit(node.output[:1], text, [], [*reads, *held])[0]

    def setting(self, node: Any, name: str, otherwise: Any = None) -> Any:
        """A setting of a node."""
        from onnx import helper

        for each in node.attribute:
            if each.name == name:
                found = helper.get_attribute_value(each)
                return found.decode() if isinstance(found, bytes) else found
        return otherwise

    def follower(self, name: str, kind: str) -> tuple[int, Any] | None:
        """The only node that reads a value, with its place, where it is of this kind and nothing else reads it."""
        if self.consumers[name] != 1:
            return None
        for place, node in enumerate(self.graph.node):
            if name in node.input:
                return (place, node) if node.op_type == kind else None
        return None


_ELEMENTS_OF = {name: name for name in ELEMENTS.values()}
#: What gives other numbers each time.
_DRAWS = frozenset({"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"})
