"""Proof of one recipe: a batch of random data by type, a training step, the metrics. No data is read."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from nnspec.dims import Dim, Var, evaluate
from nnspec.graph.gradients import Gradients
from nnspec.graph.ir import CallNetwork, Graph, Node
from nnspec.graph.memory import total
from nnspec.passes.admissible import find_sizes
from nnspec.proving.account import RecipeAccount
from nnspec.proving.findings import Findings
from nnspec.proving.gradients import complain
from nnspec.proving.sizes import Cost, Sizes, cost, named, number, shown
from nnspec.proving.watch import Stopped, Watch
from nnspec.recipes.recipe import Recipe, Step
from nnspec.torch_backend.example_inputs import inputs_at
from nnspec.torch_backend.guards import PreconditionError
from nnspec.torch_backend.recipes import RecipeModule, lower_recipe
from nnspec.torch_backend.targets import LoweringError
from nnspec.torch_backend.threads import threads
from nnspec.training.errors import TrainingError
from nnspec.training.measure import Place, schedules
from nnspec.training.metrics import Accumulator
from nnspec.training.preflight import limits
from nnspec.training.update import Updater
from nnspec.types import DTYPE_BYTES

_SINGLE = "more than 1 value per channel"
_BATCH = 4


class RecipeProver:
    """Proves one recipe."""

    def __init__(self, recipe: Recipe, findings: Findings, seed: int, told: Callable[[str], None]) -> None:
        self.recipe, self.findings, self.seed, self.told = recipe, findings, seed, told
        self.account = RecipeAccount(recipe.name)
        self.graphs = {name: instance.variants for name, instance in recipe.instances.items()}

    def prove(self) -> RecipeAccount:
        """Make a step at each size; the account is filled on the way."""
        self.told(f"proving the recipe {self.recipe.name}")
        self.findings.begin()
        trials = list(self._trials())
        costs = [self._cost(sizes) for sizes in trials]
        heavy = any(each.is_heavy for each in costs)
        if heavy:
            self.account.note(f"{max(costs).why}: only shapes and types, on torch's meta device")
        device = torch.device("meta" if heavy else "cpu")
        try:
            with torch.device(device):
                module = lower_recipe(self.recipe, seed=None if heavy else self.seed)
        except LoweringError as error:
            self._contradict(f"the recipe `{self.recipe.name}` cannot be lowered: {error}", "lowered")
            trials = []
        with threads(all(each.is_small for each in costs)):
            for sizes in trials:
                self._step(module, sizes, device)
        self.account.errors = self.findings.errors
        return self.account

    def _trials(self) -> Iterator[Sizes]:
        """A last batch of one sample, where there may be one; a few samples; another few."""
        settings = self.recipe.settings
        size = settings.get("batch_size")
        counts = [3, min(size, _BATCH) if isinstance(size, int) else _BATCH]
        if size == 1 or not settings.get("drop_last"):
            counts.insert(0, 1)
        graph = self.recipe.training
        if all(source.is_graph for source in self.recipe.sources.values()):  # one whole graph, whose sizes are known
            counts = counts[:1]
        for count in dict.fromkeys(counts[:1] if size == 1 else counts):
            found = find_sizes(graph, [guard.claim for guard in graph.guards], {"N": count})
            if found is not None:
                yield found
            else:
                self.account.note(f"not run with {count} sample{'' if count == 1 else 's'}: a condition excludes that")

    def _cost(self, sizes: Sizes) -> Cost:
        """What the networks that it calls need."""
        weights = total(
            entry.count * DTYPE_BYTES[entry.dtype]
            for variants in self.graphs.values()
            for entry in {path: entry for graph in variants.values() for path, entry in graph.weights.items()}.values()
        )
        calls = [node for node in self.recipe.training.nodes if isinstance(node.operator, CallNetwork)]
        results = sum(_called_cost(node, self.graphs, sizes) for node in calls)
        return Cost((number(weights, sizes) or 0) + results, number(self.recipe.training.flop, sizes) or 0)

    # --- one step -------------------------------------------------------------------------------------------------------------

    def _step(self, module: RecipeModule, sizes: Sizes, device: torch.device) -> None:
        batch = self._batch(self.recipe.training, sizes, device)
        samples = {var.name: size for var, size in sizes.items()}.get("N", 1)
        try:
            watch = self._forward(module, batch, sizes)
            self._update(module, batch, device)
            self._measure(module, sizes, device, samples)
        except Stopped as stopped:
            self._stopped(stopped, sizes)
        except (PreconditionError, TrainingError) as error:
            self.account.note(f"not run at {shown(sizes)}: {error}")
        except Exception as error:  # whatever torch raises is what the proof is about
            if _SINGLE not in str(error):
                self._contradict(f"torch cannot make a step of `{self.recipe.name}`: {_first(error)}", "step", sizes)
        else:
            self.account.ran = True
            self.account.steps += device.type != "meta"
            self.account.values = max(self.account.values, watch.compared)
            self.account.add_sizes(named(sizes), meta=device.type == "meta")

    def _batch(self, graph: Graph, sizes: Sizes, device: torch.device) -> dict[str, Tensor]:
        """Random data by type: numbers between 0 and 1, and classes within what reads them."""
        drawn = inputs_at(graph, sizes, self.seed, device=device)
        batch = {name: torch.sigmoid(tensor) if tensor.is_floating_point() else tensor for name, tensor in drawn.items()}
        for limit in limits(self.recipe, graph):
            batch[limit.field] = batch[limit.field] % limit.classes
        return {**batch, **schedules(self.recipe, Place(), device)}

    def _forward(self, module: RecipeModule, batch: Mapping[str, Tensor], sizes: Sizes) -> Watch:
        """The training graph, value by value; then the gradients of the loss."""
        graph = self.recipe.training
        watch = Watch(self.findings, sizes)
        module.train()
        given = {entry.name: batch[entry.name] for entry in graph.inputs}
        outputs: dict[str, Any] = watch.run(module.training_graph, graph, given, self.graphs)
        for step in self.recipe.steps:
            loss = outputs[step.loss]
            if loss.dim() or (loss.device.type != "meta" and not bool(loss.isfinite())):
                of = f"the step `{step.name}`" if step.name else f"`{self.recipe.name}`"
                self._contradict(f"the loss of {of} is {_told(loss)} on random data", "loss", sizes)
                return watch
            torch.autograd.backward(loss, retain_graph=step is not self.recipe.steps[-1])
            self._compare_gradients(step, module, sizes)
            module.zero_grad(set_to_none=True)
        return watch

    def _compare_gradients(self, step: Step, module: RecipeModule, sizes: Sizes) -> None:
        graph = self.recipe.training
        trail = Gradients(self.graphs).from_values([graph.outputs[step.loss]])
        compared = 0
        for name, instance in module.instances.items():
            entries = {path: entry for variant in self.graphs[name].values() for path, entry in variant.weights.items()}
            for path, parameter in instance.named_parameters(remove_duplicate=False):
                compared += 1
                within = f"the step `{step.name}` of " if step.name else ""
                at = f"in {within}the recipe `{self.recipe.name}`, at {shown(sizes)}"
                reached = path in trail.weights.get(name, set())
                complain(self.findings, path, parameter.grad, reached, entries[path].span, at)
        self.account.gradients = max(self.account.gradients, compared)
        self.account.weights = compared
        self.account.parameters = sum(parameter.numel() for parameter in module.parameters())

    def _update(self, module: RecipeModule, batch: Mapping[str, Tensor], device: torch.device) -> None:
        """An update by each optimizer, as training makes it."""
        if device.type == "meta":
            return
        updater = Updater(self.recipe, module, 1, device)
        all_run = math.lcm(*(step.every for step in self.recipe.steps)) - 1
        updater.step(dict(batch), 0, Place(all_run), ())
        broken = next((path for path, each in module.named_parameters() if not bool(each.isfinite().all())), None)
        if broken is not None:
            self._contradict(f"a step of the optimizer makes `{broken}` a number that is not finite", "optimizer")

    def _measure(self, module: RecipeModule, sizes: Sizes, device: torch.device, samples: int) -> None:
        """The evaluation graph, value by value, and what the metrics make of it."""
        graph = self.recipe.evaluation
        found = find_sizes(graph, [guard.claim for guard in graph.guards], named(sizes))
        if found is None:
            return
        batch = self._batch(graph, found, device)
        module.eval()
        watch = Watch(self.findings, found)
        with torch.set_grad_enabled(module.follows_gradients):
            given = {entry.name: batch[entry.name] for entry in graph.inputs}
            outputs = watch.run(module.evaluation_graph, graph, given, self.graphs)
        if device.type == "meta":
            return
        for metric in self.recipe.metrics:
            accumulator = Accumulator(metric)
            accumulator.add({name: tensor.detach() for name, tensor in outputs.items()}, samples)
            accumulator.result()
            if metric.name not in self.account.metrics:
                self.account.metrics.append(metric.name)

    # --- what is said -----------------------------------------------------------------------------------------------------

    def _stopped(self, stopped: Stopped, sizes: Sizes) -> None:
        if _SINGLE in str(stopped):
            self.account.note(f"not run at {shown(sizes)}: a batch norm would normalize single values")
            return
        node = stopped.typed
        notes = (f"in the recipe `{self.recipe.name}`, at {shown(sizes)}",)
        if node is not None:
            self.findings.at_node(node, f"torch cannot compute {{}}: {stopped}", about="runs", notes=notes)
        else:
            self._contradict(f"torch cannot compute `{stopped.node.name}`: {stopped}", "runs", sizes)

    def _contradict(self, message: str, about: str, sizes: Sizes | None = None) -> None:
        notes = (f"at {shown(sizes)}",) if sizes is not None else ()
        self.findings.contradiction(message, self.recipe.steps[0].span, about=about, notes=notes)


def _called_cost(node: Node, graphs: Mapping[str, Mapping[str, Graph]], sizes: Sizes) -> int:
    """The bytes of all results in a network that a recipe calls."""
    call = node.operator
    assert isinstance(call, CallNetwork)
    graph = graphs[call.instance][call.variant]
    inner: dict[Var, int] = {}
    for symbol, origin in graph.symbols.items():
        read = node.inputs.get(origin.input)
        dim: Dim | None = read.type.dims[origin.axis] if read is not None and not isinstance(read, tuple) else None
        if dim is not None:
            inner[symbol] = evaluate(dim, sizes)
    return cost(graph, inner).bytes


def _first(error: Exception) -> str:
    return str(error).strip().split("\n")[0]


def _told(loss: Tensor) -> str:
    return f"of shape {list(loss.shape)}" if loss.dim() else f"{float(loss)}"
