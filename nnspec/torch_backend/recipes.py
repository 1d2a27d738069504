"""The networks of a recipe and what is computed with them, as modules. Not here: data, optimizers, the training loop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from nnspec.graph.ir import CallNetwork, Graph, Node
from nnspec.passes.base import PassReport
from nnspec.passes.fuse_linear_loss import fuse_linear_loss
from nnspec.passes.pipeline import RECIPE, run_passes
from nnspec.passes.reading import nodes_within
from nnspec.recipes.recipe import Instance, Recipe
from nnspec.torch_backend.checkpointing import Checkpointed
from nnspec.torch_backend.first_weights import complete, seeded, verify_weights
from nnspec.torch_backend.lower import Lowering, View, class_name, lower_view
from nnspec.torch_backend.module_tree import ModuleTree, NetworkModule, attach, tensor_at
from nnspec.torch_backend.requirements import argument_names
from nnspec.torch_backend.stages import Stages
from nnspec.torch_backend.targets import LoweringError


class InstanceModule(nn.Module):
    """One set of weights, and every graph that runs on it. State-dict keys are those of the network, without a prefix."""

    views: dict[str, View]
    checkpointed: dict[str, Checkpointed]

    def __init__(self, instance: Instance, guards: bool) -> None:
        super().__init__()
        graphs = {key: run_passes(graph, RECIPE).graph for key, graph in instance.variants.items()}
        tree = ModuleTree(self, *graphs.values())
        self.name = instance.name
        self.training_of = {key: graph.training for key, graph in instance.variants.items()}
        #: Graphs that are the same in both modes need no switching, which takes longer than a small layer.
        self._switched = {key for key, graph in instance.variants.items() if any(map(_depends_on_mode, nodes_within(graph)))}
        self._inputs = {key: tuple(entry.name for entry in graph.inputs) for key, graph in instance.variants.items()}
        self._outputs = {key: next(iter(graph.outputs)) for key, graph in instance.variants.items()}
        # Not registered: the layers of all graphs are the same objects, registered once under their own paths.
        self.__dict__["views"] = {key: lower_view(graph, tree, guards=guards) for key, graph in graphs.items()}
        #: Graphs that are run in segments where gradients are wanted.
        self.__dict__["checkpointed"] = {}
        union = {path: entry for graph in instance.variants.values() for path, entry in graph.weights.items()}
        weights = Graph(instance.network, (), (), {}, union)
        complete(weights, tree)
        verify_weights(weights, self)

    def input_names(self, variant: str) -> tuple[str, ...]:
        """The inputs of a variant, in order."""
        return self._inputs[variant]

    def checkpoint_activations(self) -> None:
        """From now on keep few activations for the backward pass, and compute the others again."""
        for key, view in self.views.items():
            if self.training_of[key]:
                self.checkpointed[key] = Checkpointed(view.module)

    def forward(self, variant: str, without_gradient: bool, *inputs: Tensor) -> dict[str, Tensor]:
        """Run a variant in its own mode; the outputs by name."""
        view = self.views[variant]
        weights = [tensor_at(self, path) for path in view.weights]
        training = self.training_of[variant] if variant in self._switched else self.training
        with _mode(self, training), torch.set_grad_enabled(torch.is_grad_enabled() and not without_gradient):
            run = self.checkpointed.get(variant, view.module) if torch.is_grad_enabled() else view.module
            outputs: dict[str, Tensor] = run(*inputs, *weights)
        return outputs


def _depends_on_mode(node: Node) -> bool:
    return node.operator.mode_dependent


@contextmanager
def _mode(module: nn.Module, training: bool) -> Iterator[None]:
    """Training or inference mode for the time of a call, where it is not the module's mode already."""
    if module.training == training:
        yield
        return
    changed = [part for part in module.modules() if part.training != training]
    for part in changed:
        part.training = training
    try:
        yield
    finally:
        for part in changed:
            part.training = not training


class RecipeModule(nn.Module):
    """A recipe as modules. Call `compute_training` or `compute_evaluation` with a batch: tensors by "SOURCE.FIELD".

    `training_graph` and `evaluation_graph` are GraphModules that call the same instances; both return dictionaries
    ("loss", "metric.NAME", ...). `instances` are the networks by name: each saves and loads its own state without a prefix.
    """

    training_graph: NetworkModule
    evaluation_graph: NetworkModule
    stages: Stages
    written: NetworkModule

    def __init__(self, training: NetworkModule, evaluation: NetworkModule, instances: Mapping[str, InstanceModule],
                 arguments: Mapping[str, Mapping[str, str]], stages: Stages, *, follows_gradients: bool,
                 written: NetworkModule | None = None, reports: tuple[PassReport, ...] = ()) -> None:  # fmt: skip
        super().__init__()
        #: The training graph as written, where `training_graph` computes several nodes as one. Not registered: it has the same parts.
        self.__dict__["written"] = training if written is None else written
        #: What was fused in the training graph, and why the rest was not.
        self.reports = reports
        self.training_graph, self.evaluation_graph = training, evaluation
        #: Of a recipe with several steps: what is computed before each. Not registered: their parts are those of `training_graph`.
        self.__dict__["stages"] = stages
        #: Whether gradients are among what evaluation computes.
        self.follows_gradients = follows_gradients
        self.names = tuple(instances)
        #: For each graph, what its inputs "SOURCE.FIELD" are called as arguments.
        self.arguments = {key: dict(names) for key, names in arguments.items()}

    @property
    def instances(self) -> dict[str, InstanceModule]:
        found: dict[str, InstanceModule] = {}
        for name in self.names:
            module = self.training_graph._modules["instances"]._modules[name]  # type: ignore[union-attr]
            if not isinstance(module, InstanceModule):
                raise LoweringError(f"`{name}` is no instance of a network")
            found[name] = module
        return found

    def compute_training(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The loss, and whatever else the training graph gives. What the batch has beyond its inputs is ignored."""
        return _compute(self.training_graph, self.arguments["training"], batch)

    def compute_evaluation(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The metrics' outputs, without gradients."""
        with torch.set_grad_enabled(self.follows_gradients):
            outputs = _compute(self.evaluation_graph, self.arguments["evaluation"], batch)
        return {name: tensor.detach() for name, tensor in outputs.items()}

    def forward(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The training graph in training mode, the evaluation graph otherwise."""
        return self.compute_training(batch) if self.training else self.compute_evaluation(batch)


def _compute(module: NetworkModule, names: Mapping[str, str], batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    result: dict[str, Tensor] = module(**{argument: batch[name] for name, argument in names.items()})
    return result


def lower_recipe(recipe: Recipe, *, guards: bool = True, seed: int | None = None, fused: bool = True) -> RecipeModule:
    """The recipe's networks and graphs as modules. First weights as for `lower`: instances are filled in the order declared.

    Losses are `fused` where the recipe's setting and their memory say so; else its graphs are lowered node by node.
    """
    as_written = recipe
    recipe, reports = fuse_linear_loss(recipe) if fused else (recipe, ())
    with seeded(seed):
        instances = {name: InstanceModule(instance, guards) for name, instance in recipe.instances.items()}
        _begin_tracking(recipe, instances)
        training, tree = _lower_graph(recipe.training, instances, guards)
        evaluation, _ = _lower_graph(recipe.evaluation, instances, guards)
    _share_own_weights(training, evaluation)
    written = training
    if recipe is not as_written:
        written, _ = _lower_graph(as_written.training, instances, guards)
        _share_own_weights(training, written)
    arguments = {
        "training": argument_names(entry.name for entry in recipe.training.inputs),
        "evaluation": argument_names(entry.name for entry in recipe.evaluation.inputs),
    }
    follows = any(node.operator.name == "gradient" for node in recipe.evaluation.nodes)
    return RecipeModule(
        training, evaluation, instances, arguments, Stages(recipe, tree, instances, guards), follows_gradients=follows,
        written=written, reports=reports,
    )  # fmt: skip


def _begin_tracking(recipe: Recipe, instances: Mapping[str, InstanceModule]) -> None:
    """What follows another instance begins as that one is, and no gradient comes to it."""
    for name, instance in recipe.instances.items():
        if instance.tracking is not None:
            instances[name].requires_grad_(False)
            instances[name].load_state_dict(instances[instance.tracking.follows].state_dict())


def _lower_graph(graph: Graph, instances: Mapping[str, InstanceModule], guards: bool) -> tuple[NetworkModule, ModuleTree]:
    """A graph of the recipe, and the tree of its parts. It registers every instance, so that it also works alone, for instance in DDP."""
    module = NetworkModule(class_name=class_name(graph))
    for name, instance in instances.items():
        attach(module, f"instances.{name}", instance)
    tree = ModuleTree(module, graph)
    module.graph = Lowering(graph, tree, guards=guards, always_dict=True, instances=instances).run()
    complete(_without_instances(graph), tree)
    return module.train(graph.training), tree


def _without_instances(graph: Graph) -> Graph:
    from nnspec.records import replace

    called = {node.operator.instance for node in graph.nodes if isinstance(node.operator, CallNetwork)}
    own = {path: entry for path, entry in graph.weights.items() if path.split(".")[0] not in called}
    return replace(graph, weights=own)


def _share_own_weights(training: nn.Module, evaluation: nn.Module) -> None:
    """A `param` of the recipe is one tensor in its graphs."""
    for name, parameter in training._parameters.items():
        if name in evaluation._parameters:
            evaluation._parameters[name] = parameter


__all__ = ["InstanceModule", "RecipeModule", "lower_recipe"]
