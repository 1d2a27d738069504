"""From the typed graph to a `torch.fx.GraphModule`, node by node.

A layer becomes a module under its path, a function a call, a weight that is read `get_attr`. Sizes that depend on the inputs are
computed from the inputs' shapes, each symbol read once. A network with one output returns the tensor; one with several returns a
dictionary from names to tensors, in the spec's order. Not here: passes, which work on the typed graph, and exporting.
"""

from __future__ import annotations

import operator
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import Tensor, fx

from nnspec.dims import Poly, Var, variables
from nnspec.dims.polynomial import atom_poly
from nnspec.graph.ir import CallNetwork, CheckValues, Generate, Graph, Node, ReadWeight, ScanLoop, Value
from nnspec.operators.declare import Ref, TorchCall
from nnspec.passes.dead_code import without_checks
from nnspec.passes.reading import FACTORIES, needed_symbols, node_name, read_weights
from nnspec.torch_backend.admission import claim_variables, write_input_checks, write_size_checks
from nnspec.torch_backend.first_weights import complete, seeded, verify_weights
from nnspec.torch_backend.guards import check_values
from nnspec.torch_backend.module_tree import ModuleTree, NetworkModule, NetworkTracer, attach
from nnspec.torch_backend.modules.gradients import differentiable
from nnspec.torch_backend.origins import mark, place
from nnspec.torch_backend.requirements import argument_names, calls_of, module_dtypes, settings_of
from nnspec.torch_backend.scan import ScanModule
from nnspec.torch_backend.sizes import Size, SizeWriter
from nnspec.torch_backend.targets import LoweringError, resolve

if TYPE_CHECKING:
    from nnspec.torch_backend.recipes import InstanceModule


class View(NamedTuple):
    """A graph whose layers belong to another module: the body of a scan, a variant of a recipe's network.

    After its inputs it takes the `sizes` of symbols and the values of `weights` that it reads, in this order.
    """

    module: NetworkModule
    sizes: tuple[Var, ...]
    weights: tuple[str, ...]


def lower(
    graph: Graph, *, guards: bool = True, seed: int | None = None, state: Mapping[str, Tensor] | None = None,
    adopted: Collection[str] = (),
) -> NetworkModule:  # fmt: skip
    """The network as a GraphModule in the graph's mode, with state-dict keys that are exactly the spec's names.

    `guards` puts checks of the inputs at the door (PreconditionError). `seed` makes the first weights reproducible and leaves the
    random state of torch alone; `state` gives the weights instead, which are copied, but for those whose names are in `adopted`: these
    become the module's own. Raises LoweringError for a graph that is not well formed.
    """
    module = NetworkModule(class_name=class_name(graph))
    tree = ModuleTree(module, graph, drawn=state is None)
    with seeded(seed):
        module.graph = Lowering(graph, tree, guards=guards).run()
        complete(graph, tree, state, adopted)
    verify_weights(graph, module)
    return module.train(graph.training)


def class_name(graph: Graph) -> str:
    """What the generated module's class is called."""
    return graph.name if graph.name.isidentifier() else "Network"


def lower_view(
    graph: Graph, tree: ModuleTree, *, guards: bool, sizes: tuple[Var, ...] | None = None,
    instances: Mapping[str, InstanceModule] | None = None,
) -> View:  # fmt: skip
    """The graph over layers that `tree` holds; always returns a dictionary. With `sizes`, symbols are handed in."""
    lowering = Lowering(graph, tree, guards=guards, lifted=True, sizes=sizes, always_dict=True, instances=instances)
    fx_graph = lowering.run()
    module = NetworkModule(class_name=class_name(graph))
    for path in lowering.called:
        attach(module, path, tree.module(path))
    for name, instance in (instances or {}).items():
        attach(module, f"instances.{name}", instance)
    module.graph = fx_graph
    return View(module, sizes or (), tuple(lowering.lifted or ()))


class Lowering:
    """One graph on its way to fx."""

    def __init__(
        self, graph: Graph, tree: ModuleTree, *, guards: bool, lifted: bool = False, sizes: tuple[Var, ...] | None = None,
        always_dict: bool = False, instances: Mapping[str, InstanceModule] | None = None,
    ) -> None:  # fmt: skip
        self.graph = graph if guards else without_checks(graph)
        self.tree, self.guards = tree, guards
        self.sizes, self.always_dict, self.instances = sizes, always_dict, instances or {}
        self.fx = fx.Graph(tracer_cls=NetworkTracer)
        self.lifted: dict[str, fx.Node] | None = {} if lifted else None
        self.called: dict[str, None] = {}
        self.values: dict[Value, fx.Node] = {}
        self.calls = calls_of(self.graph)
        self.uses = self.graph.uses()
        self.dtypes = module_dtypes(self.graph)
        self.writer: SizeWriter
        self._device_node: fx.Node | None = None

    def run(self) -> fx.Graph:
        inputs = self._write_inputs()
        if self.guards and self.sizes is None:
            write_input_checks(self.graph, inputs, self.fx)
        self.writer = SizeWriter(self.fx, self._read_symbols(inputs))
        if self.guards and self.sizes is None:
            write_size_checks(self.graph, inputs, self.writer)
        for node in self.graph.nodes:
            self._write_node(node)
        self._write_output()
        return self.fx

    # --- the door -----------------------------------------------------------------------------------------------------------

    def _write_inputs(self) -> dict[str, fx.Node]:
        paths = read_weights(self.graph) if self.lifted is not None else []
        sizes = [f"size_{var.name}" for var in self.sizes or ()]
        entries = [entry.name for entry in self.graph.inputs]
        arguments = {name: self.fx.placeholder(given) for name, given in argument_names([*entries, *sizes, *paths]).items()}
        self._given = {var: arguments[f"size_{var.name}"] for var in self.sizes or ()}
        if self.lifted is not None:
            self.lifted.update((path, arguments[path]) for path in paths)
        inputs = {name: arguments[name] for name in entries}
        self.values = {entry.value: self._differentiable(entry.value, inputs[entry.name]) for entry in self.graph.inputs}
        return inputs

    def _differentiable(self, value: Value, created: fx.Node) -> fx.Node:
        """The node itself, or one after it with respect to which gradients can be taken, where one is."""
        return self.fx.call_function(differentiable, (created,)) if value.differentiated else created

    def _read_symbols(self, inputs: Mapping[str, fx.Node]) -> dict[Var, fx.Node]:
        if self.sizes is not None:
            return self._given
        needed = needed_symbols(self.graph, self.calls)
        if self.guards:
            for guard in self.graph.guards:
                needed |= claim_variables(guard.claim)
            for entry in self.graph.inputs:
                needed = needed.union(*(variables(dim) for dim in entry.value.type.dims))
        read = {}
        for var, origin in self.graph.symbols.items():
            if var in needed and origin.input in inputs:
                read[var] = self.fx.create_node("call_method", "size", (inputs[origin.input], origin.axis), name=var.name)
        return read

    # --- nodes --------------------------------------------------------------------------------------------------------------

    def _write_node(self, node: Node) -> None:
        bound = node.operator
        if isinstance(bound, ReadWeight):
            self._bind(node, self._read_weight(bound.path, node), {})
        elif isinstance(bound, CheckValues):
            arguments = (self._one(node, "condition"), bound.message, place(node.origin))
            mark(self.fx.call_function(check_values, arguments), self.graph, node)
        elif isinstance(bound, ScanLoop):
            self._bind(node, self._scan(node, bound), {})
        elif isinstance(bound, Generate):
            self._bind(node, self._generation(node, bound), {})
        elif isinstance(bound, CallNetwork):
            self._bind(node, self._network(node, bound), {name: name for name in node.outputs})
        else:
            call = self.calls[node]
            self._bind(node, self._call(node, call), call.select)

    def _read_weight(self, path: str, node: Node) -> fx.Node:
        return self.lifted[path] if self.lifted is not None else self.fx.create_node("get_attr", path, name=node_name(node))

    def _call(self, node: Node, call: TorchCall) -> fx.Node:
        args = tuple(self._argument(value, node) for value in call.args)
        kwargs = {name: self._argument(value, node) for name, value in call.kwargs.items()}
        if call.kind == "module":
            if node.path is None:
                raise LoweringError(f"{node.operator.name} is a module, and the node has no path")
            path = self.tree.paths[node]
            self.tree.make(path, call, settings_of(call), self.dtypes.get(node.path))
            self.called[path] = None
            return self.fx.create_node("call_module", path, args, kwargs, name=node_name(node))
        if call.target in FACTORIES and self.graph.inputs:
            kwargs["device"] = self._device()
        target = resolve(call.target) if call.kind == "function" else call.target
        return self.fx.create_node(f"call_{call.kind}", target, args, kwargs, name=node_name(node))

    def _device(self) -> fx.Node:
        """Where the inputs are: the node that reads it, made once."""
        if self._device_node is None:
            entry = max(self.graph.inputs, key=lambda entry: entry.value.type.rank)
            self._device_node = self.fx.call_function(getattr, (self.values[entry.value], "device"))
        return self._device_node

    def _argument(self, value: Any, node: Node) -> Any:
        if isinstance(value, Ref):
            return self._read(value.field, node)
        if isinstance(value, Poly):
            return self.writer.write(value)
        if isinstance(value, list | tuple):
            items = [self._argument(item, node) for item in value]
            return items if isinstance(value, list) else tuple(items)
        if isinstance(value, slice):
            return slice(*(self._argument(bound, node) for bound in (value.start, value.stop, value.step)))
        return resolve(value) if isinstance(value, str) and value.startswith("torch.") else value

    def _read(self, field: str, node: Node) -> Any:
        """What the node reads in a field; a number, none or nothing where no tensor was given."""
        if field not in node.inputs:
            return self._argument(getattr(node.operator, field), node)
        read = node.inputs[field]
        return [self.values[value] for value in read] if isinstance(read, tuple) else self.values[read]

    def _bind(self, node: Node, created: fx.Node, select: Mapping[str, int | str]) -> None:
        mark(created, self.graph, node, None if len(node.outputs) > 1 or select else node.carried)
        if len(node.outputs) == 1 and not select:
            self.values[node.carried] = self._differentiable(node.carried, created)
            return
        for index, (name, value) in enumerate(node.outputs.items()):
            if value in self.uses:
                taken = self._take(created, select.get(name, index), isinstance(node.operator, CallNetwork))
                self.values[value] = self._differentiable(value, mark(taken, self.graph, node, value))

    def _take(self, created: fx.Node, key: int | str, from_dict: bool) -> fx.Node:
        function = operator.getitem if isinstance(key, int) or from_dict else getattr
        return self.fx.create_node("call_function", function, (created, key), name=f"{created.name}_{key}")

    # --- graphs within ------------------------------------------------------------------------------------------------------

    def _scan(self, node: Node, loop: ScanLoop) -> fx.Node:
        sizes = tuple(sorted(needed_symbols(loop.body), key=lambda var: var.serial))
        view = lower_view(loop.body, self.tree, guards=self.guards, sizes=sizes)
        module = ScanModule(view.module, loop, tuple(entry.name for entry in loop.body.inputs))
        path = self.tree.hold(node.path or node_name(node), module)
        self.called[path] = None
        first = tuple(
            self._one(node, name) if name in node.inputs else tuple(self.writer.write(dim) for dim in type.dims)
            for name, type in loop.states.items()
        )
        constants: list[Size] = [self._one(node, name) for name in loop.captures]
        constants += [self.writer.write(atom_poly(var)) for var in view.sizes]
        constants += [self._read_lifted(name) for name in view.weights]
        lengths = self._one(node, "lengths") if "lengths" in node.inputs else None
        args = (self._one(node, "input"), first, tuple(constants), lengths)
        return self.fx.create_node("call_module", path, args, name=node_name(node))

    def _one(self, node: Node, field: str) -> fx.Node:
        read = node.inputs[field]
        if isinstance(read, tuple):
            raise LoweringError(f"the scan reads several values in `{field}`")
        return self.values[read]

    def _read_lifted(self, path: str) -> fx.Node:
        return self.lifted[path] if self.lifted is not None else self.fx.get_attr(path)

    def _network(self, node: Node, call: CallNetwork) -> fx.Node:
        if call.instance not in self.instances:
            raise LoweringError(f"the graph calls the network {call.instance}, and only a recipe has instances")
        args = tuple(self._read(name, node) for name in self.instances[call.instance].input_names(call.variant))
        path = f"instances.{call.instance}"
        return self.fx.create_node("call_module", path, (call.variant, call.inference, *args), name=node_name(node))

    def _generation(self, node: Node, operator: Generate) -> fx.Node:
        from nnspec.torch_backend.generation import GenerationModule

        if operator.instance not in self.instances:
            raise LoweringError(f"`generate` calls the network {operator.instance}, and only a recipe has instances")
        path = self.tree.hold(node_name(node), GenerationModule(operator, self.instances[operator.instance]))
        self.called[path] = None
        start = self._one(node, "start") if "start" in node.inputs else None
        args = (self.writer.write(operator.type.dims[0]), start, *(self._one(node, name) for name in operator.fixed))
        return self.fx.create_node("call_module", path, args, name=node_name(node))

    # --- the end ------------------------------------------------------------------------------------------------------------

    def _write_output(self) -> None:
        outputs = {name: self.values[value] for name, value in self.graph.outputs.items()}
        single = len(outputs) == 1 and not self.always_dict
        self.fx.output(next(iter(outputs.values())) if single else outputs)
