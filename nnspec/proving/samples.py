"""Proof of one `sample` item: it is drawn from its recipe's networks as they begin, on random data by type. No data is read."""

from __future__ import annotations

from collections.abc import Callable

import torch

from nnspec.passes.admissible import find_sizes
from nnspec.proving.account import SampleAccount
from nnspec.proving.findings import Findings
from nnspec.proving.sizes import cost, named, shown
from nnspec.proving.watch import Stopped, Watch
from nnspec.recipes.recipe import Recipe
from nnspec.recipes.samples import Sample
from nnspec.torch_backend.example_inputs import inputs_at
from nnspec.torch_backend.guards import PreconditionError
from nnspec.torch_backend.recipes import lower_recipe
from nnspec.torch_backend.samples import SampleModule
from nnspec.torch_backend.targets import LoweringError

#: So many are drawn at once.
_COUNT = 2


class SampleProver:
    """Proves one sample of one recipe."""

    def __init__(self, item: Sample, recipe: Recipe, findings: Findings, seed: int, told: Callable[[str], None]) -> None:
        self.item, self.recipe, self.findings, self.seed, self.told = item, recipe, findings, seed, told
        self.account = SampleAccount(item.name, recipe=recipe.name)

    def prove(self) -> SampleAccount:
        """Draw once; the account is filled on the way."""
        self.told(f"proving the sample {self.item.name}")
        self.findings.begin()
        graph = self.item.graph
        sizes = find_sizes(graph, [guard.claim for guard in graph.guards], {self.item.size.name: _COUNT})
        if sizes is None:
            self.account.note("no sizes were found at which it can be drawn")
            return self.account
        sizes[self.item.size] = _COUNT
        variants = [each for instance in self.recipe.instances.values() for each in instance.variants.values()]
        heavy = next((each for each in (cost(one, sizes) for one in variants) if each.is_heavy), None)
        if heavy is not None:
            self.account.note(f"not drawn: {heavy.why}")
            return self.account
        watch = Watch(self.findings, sizes)
        try:
            module = lower_recipe(self.recipe, seed=self.seed)
            drawn = SampleModule(self.item, module)
            given = drawn.arguments(_COUNT, inputs_at(graph, sizes, self.seed), torch.device("cpu"))
            graphs = {name: instance.variants for name, instance in self.recipe.instances.items()}
            with torch.no_grad():
                watch.run(drawn.module, graph, given, graphs)
        except PreconditionError as error:
            self.account.note(f"not drawn at {shown(sizes)}: {error}")
        except Stopped as stopped:
            self._stopped(stopped, shown(sizes))
        except LoweringError as error:
            self._contradict(f"the sample `{self.item.name}` cannot be lowered: {error}", "lowered", ())
        else:
            self.account.ran = True
            self.account.values = watch.compared
            self.account.add_sizes(named(sizes), meta=False)
        self.account.errors = self.findings.errors
        return self.account

    def _stopped(self, stopped: Stopped, at: str) -> None:
        notes = (f"in the sample `{self.item.name}`, at {at}",)
        node = stopped.typed
        if node is not None:
            self.findings.at_node(node, f"torch cannot compute {{}}: {stopped}", about="runs", notes=notes)
        else:
            self._contradict(f"torch cannot compute `{stopped.node.name}`: {stopped}", "runs", notes)

    def _contradict(self, message: str, about: str, notes: tuple[str, ...]) -> None:
        self.findings.contradiction(message, self.recipe.steps[0].span, about=f"{self.item.name}.{about}", notes=notes)
