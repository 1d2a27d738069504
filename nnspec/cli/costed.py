"""What `nnspec profile` and `nnspec plan` work on: a recipe's training step or a network by itself, counted. No torch."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nnspec.errors import UsageError
from nnspec.records import record

if TYPE_CHECKING:
    from nnspec.checker import Report
    from nnspec.dims import Var
    from nnspec.graph.ir import Graph
    from nnspec.profiling.memory_estimate import MemoryEstimate
    from nnspec.profiling.step_calls import StepCalls
    from nnspec.recipes.recipe import Recipe

#: Samples in a batch where neither the command line nor a recipe says how many.
BATCH = 8


@record(frozen=True)
class Costed:
    """A step and what is counted of it. `symbol` is the batch, which the step and the estimate leave open; None where there is none.

    `sizes` are those of all symbols by name. `recipe` is None for a network by itself, which `graph` then is. `run` is the folder of a run.
    `brought` says that sizes which data bring were taken to be small ones, `unsaid` are symbols whose sizes nobody gave.
    """

    name: str
    path: str
    texts: dict[str, str]
    step: StepCalls
    estimate: MemoryEstimate
    symbol: Var | None
    batch: int
    sizes: dict[str, int]
    training: bool
    graph: Graph
    recipe: Recipe | None
    run: str = ""
    brought: bool = False
    unsaid: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be said of the figures."""
        from nnspec.profiling.brought import NOTE

        sized = ", ".join(f"{name} = {self.sizes[name]}" for name in self.unsaid)
        taken = (f"{sized}: small, as nobody gave a size; `--with {self.unsaid[0]}=NUMBER` gives one",) if sized else ()
        return (*self.estimate.notes, *((NOTE,) if self.brought else ()), *taken)


def costed(
    source: str, recipe: str, network: str, set_: Sequence[str], with_: Sequence[str], *, training: bool | None, batch: int | None, quiet: bool
) -> Costed:  # fmt: skip
    """The step that is meant: with `training` None that of a recipe where there is one."""
    from nnspec.cli.options import sizes
    from nnspec.cli.subject import network as chosen
    from nnspec.cli.subject import sound_report

    if recipe and (network or training is False):
        raise UsageError("--recipe means a training step: leave out --network and --inference")
    given = sizes(with_)
    if os.path.isdir(source):
        return _of_run(source, recipe, network, set_, given, training, batch)
    report = sound_report(source, set_, quiet=quiet)
    if not network and training is not False and report.recipes:
        return _of_recipe(report, _recipe(report, recipe, quiet), given, batch)
    if recipe:
        from nnspec.cli.subject import recipe as named

        named(report, recipe)
    graph = chosen(report, network, training=training is not False)
    return _of_network(report, graph, given, batch, training is not False)


def _recipe(report: Report, name: str, quiet: bool) -> str:
    """The recipe that is named, or the first: several are no mistake here."""
    from nnspec.cli.output import progress
    from nnspec.cli.subject import recipe as named

    if name or len(report.recipes) == 1:
        return named(report, name)
    first, *others = report.recipes
    progress(f"the recipe {first}; --recipe {' or '.join(others)} for another", quiet=quiet)
    return first


def _of_recipe(report: Report, name: str, given: dict[str, int], batch: int | None, run: str = "") -> Costed:
    from nnspec.passes.admissible import admissible_sizes
    from nnspec.profiling.brought import numbered
    from nnspec.profiling.memory_estimate import step_memory
    from nnspec.profiling.step_calls import recipe_calls

    small = numbered(report, report.recipes[name])
    if small is None:
        raise UsageError(f"`{name}` cannot be counted before its data are read: profile a run of it")
    recipe = small.recipes[name]
    samples = batch or _batch_size(recipe)
    symbol, wanted = _sized(recipe.training, given, samples, batch)
    symbols = admissible_sizes(recipe.training, wanted)
    step = recipe_calls(recipe, {var: size for var, size in symbols.items() if var is not symbol})
    return Costed(
        name, report.source.path, _texts(small), step, step_memory(step), symbol, samples if symbol is not None else 1,
        {var.name: size for var, size in symbols.items()}, True, recipe.training, recipe, run, small is not report,
        _unsaid(symbols, symbol, given),
    )  # fmt: skip


def _batch_size(recipe: Recipe) -> int:
    size: Any = recipe.settings.get("batch_size")
    return size if isinstance(size, int) else BATCH


def _of_network(report: Report, graph: Graph, given: dict[str, int], batch: int | None, training: bool, run: str = "") -> Costed:
    from nnspec.passes.admissible import admissible_sizes
    from nnspec.profiling.memory_estimate import step_memory
    from nnspec.profiling.step_calls import network_calls

    symbol, wanted = _sized(graph, given, batch or BATCH, batch)
    symbols = admissible_sizes(graph, wanted)
    fixed = {var: size for var, size in symbols.items() if var is not symbol}
    step = network_calls(graph, fixed, training=training)
    return Costed(
        graph.name, report.source.path, _texts(report), step, step_memory(step), symbol, batch or BATCH if symbol is not None else 1,
        {var.name: size for var, size in symbols.items()}, training, graph, None, run, False, _unsaid(symbols, symbol, given),
    )  # fmt: skip


def _unsaid(symbols: Mapping[Var, int], batch: Var | None, given: Mapping[str, int]) -> tuple[str, ...]:
    return tuple(var.name for var in symbols if var is not batch and var.name not in given)


def _sized(graph: Graph, given: dict[str, int], samples: int, batch: int | None) -> tuple[Var | None, dict[str, int]]:
    """The symbol of the batch, and the sizes to be had."""
    symbol = next((var for var in graph.symbols if var.name == "N"), None)
    if symbol is None and batch is not None:
        raise UsageError(f"--batch {batch}: `{graph.name}` has no size N; its sizes are fixed, or given with --with")
    return symbol, ({"N": samples, **given} if symbol is not None else given)


def _of_run(
    source: str, recipe: str, network: str, set_: Sequence[str], given: dict[str, int], training: bool | None, batch: int | None
) -> Costed:  # fmt: skip
    from nnspec.training import RunFolder

    if set_:
        raise UsageError("a run is measured as it is: for --set name its spec")
    folder = RunFolder.open(source)
    report, name = folder.report(), folder.manifest["recipe"]
    if recipe and recipe != name:
        raise UsageError(f"{source} is a run of `{name}`, not of `{recipe}`")
    if not network and training is not False:
        return _of_recipe(report, name, given, batch, source)
    instances = report.recipes[name].instances
    chosen = network or next(iter(instances))
    if chosen not in instances:
        raise UsageError(f"the run has no network `{chosen}`; it has {', '.join(instances)}")
    variants = instances[chosen].variants
    wanted = "training" if training else "inference"
    graph = next((graph for key, graph in variants.items() if key.startswith(wanted)), None)
    if graph is None:
        raise UsageError(f"the run has no variant of `{chosen}` for {wanted}")
    return _of_network(report, graph, given, batch, bool(training), source)


def _texts(report: Report) -> dict[str, str]:
    return {source.path: source.text for source in report.sources}
