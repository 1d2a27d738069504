"""A recipe with nothing left unsaid: its data, its networks, every setting, and what is computed when.

The order of work is that of `nnspec.recipes.order`, for an iteration in which all steps run. Not here: networks (`resolved`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from nnspec.graph.ir import Graph, Node
from nnspec.graph.portion import behind
from nnspec.operators.declare import Operator
from nnspec.recipes.division import held_out, measured, parts
from nnspec.recipes.order import Stage, stages
from nnspec.recipes.recipe import Acting, Instance, Recipe, Step
from nnspec.render.resolved import GraphWriter, call_text, render_network, setting_text

if TYPE_CHECKING:
    from nnspec.recipes.sweeps import Range, Sweep


def render_spec(
    networks: Mapping[str, Graph], recipes: Mapping[str, Recipe], sweeps: Mapping[str, Sweep] = MappingProxyType({})
) -> str:
    """All networks, recipes and sweeps of a spec."""
    parts = [render_network(graph) for graph in networks.values()] + [render_recipe(recipe) for recipe in recipes.values()]
    parts += [render_sweep(sweep) for sweep in sweeps.values()]
    return "\n\n".join(parts) + "\n" if parts else ""


def render_recipe(recipe: Recipe) -> str:
    """A recipe with all its settings, and what it computes in order."""
    word = "train" if recipe.acting is None else "agent"
    return "\n".join([f"{word} {recipe.name} {{", *(f"  {line}" for line in _lines(recipe)), "}"])


def render_sweep(sweep: Sweep) -> str:
    """A sweep with what it leaves unsaid: how many trials, and what is to be best."""
    lines = [
        f"{each.name.removeprefix('train.')} {range_text(each)}"
        if each.name.startswith("train.")
        else f"{each.name} = {range_text(each)}"
        for each in sweep.ranges
    ]
    lines += [f"trials {sweep.trials}", f"{'minimize' if sweep.lower else 'maximize'} {sweep.figure}"]
    return "\n".join([f"sweep {sweep.recipe} {{", *(f"  {line}" for line in lines), "}"])


def range_text(each: Range) -> str:
    """A range as the language writes it."""
    if each.kind == "choice":
        return f"choice({', '.join(map(setting_text, each.choices))})"
    low, high = (setting_text(int(bound) if each.whole else bound) for bound in (each.low, each.high))
    step = f", step={setting_text(each.step)}" if each.step is not None else ""
    return f"{each.kind}({low}, {high}{step})"


def _lines(recipe: Recipe) -> Iterator[str]:
    acting = recipe.acting
    if acting is not None:
        fields = ", ".join(f"{name}: {type_}" for name, type_ in acting.environment.fields.items())
        yield f"environment {acting.environment.name} = {_environment(acting.environment.operator)}  # {fields}"
    for source in recipe.sources.values():
        fields = ", ".join(f"{name}: {type_}" for name, type_ in source.fields.items())
        yield f"data {source.name} = {call_text(source.operator)}  # {fields}"
        if source.columns:
            yield from (f"# tokens of {text.column}: {call_text(text.operator)}" for text in source.texts.values())
    yield from (f"layer {instance.name} = {_instance(instance)}" for instance in recipe.instances.values())
    yield from (f"load {each.text}" for each in recipe.loads)
    yield from (f"freeze {each.text}" for each in recipe.frozen)
    taken = set(recipe.sources) | set(recipe.instances)
    if acting is not None:
        yield from _acting(recipe, acting, taken)
    writer = GraphWriter(recipe.training)
    writer.taken |= taken
    yield f"# each iteration takes a batch of {', '.join(f'`{name}`' for name in recipe.sources)}"
    for stage in stages(recipe, recipe.steps):
        yield from _stage(stage, recipe, writer)
    yield from writer.nodes(_unread(recipe))
    if acting is None:
        yield from _measuring(recipe, writer)
    yield from (f"{name} {_plain(value)}" for name, value in recipe.settings.items())


def _environment(operator: Operator) -> str:
    """An environment with what it is given; the rest is its own."""
    name, *rest = ((key, setting_text(value)) for key, value in operator.attributes().items() if value is not None)
    return f"{operator.name}({', '.join([name[1], *(f'{key}={text}' for key, text in rest)])})"


def _instance(instance: Instance) -> str:
    given = ", ".join(f"{name}={setting_text(value)}" for name, value in instance.parameters.items())
    made, tracking = f"{instance.network}({given})", instance.tracking
    if tracking is None:
        return made
    how = f"every={tracking.every}" if tracking.decay is None else f"decay={setting_text(tracking.decay)}"
    return f"track({tracking.follows}, {how})  # {made}"


def _acting(recipe: Recipe, acting: Acting, taken: set[str]) -> Iterator[str]:
    """What an agent decides, and how it departs from it."""
    writer = GraphWriter(recipe.evaluation)
    writer.taken |= taken
    yield from writer.nodes(recipe.evaluation.nodes)
    yield f"act {writer.names[recipe.evaluation.outputs['action']]}"
    taken |= writer.taken
    if acting.exploration is not None:
        yield f"explore {call_text(acting.exploration)}"
    if acting.solved is not None:
        yield f"solved mean_return({acting.solved.episodes}) >= {setting_text(acting.solved.least)}"


def _stage(stage: Stage, recipe: Recipe, writer: GraphWriter) -> Iterator[str]:
    step = stage.step
    if step is None:
        yield "# after the last step, for what is measured on the way"
        yield from writer.nodes(stage.graph.nodes)
        return
    shared = [node for node in stage.graph.nodes if node not in step.nodes]
    own = [node for node in stage.graph.nodes if node in step.nodes]
    if step.name and shared:
        yield f"# once an iteration, before `{step.name}`"
    yield from writer.nodes(shared)
    body = list(writer.nodes(own))
    yield from _step(step, body, writer.names[recipe.training.outputs[step.loss]])


def _step(step: Step, body: list[str], loss: str) -> Iterator[str]:
    optimizer = step.optimizer
    overrides = "".join(
        f" override {name} = {setting_text(value)}" for each in optimizer.overrides for name, value in each.settings.items()
    )
    last = f"optimizer {call_text(optimizer.operator)}" + (f" {{{overrides} }}" if overrides else "")
    if not step.name:
        yield from (f"minimize {loss}", last)
        return
    yield f"step {step.name}" + (f"(every={step.every})" if step.every > 1 else "") + " {"
    yield from (f"  {line}" for line in (*body, f"minimize {loss}", f"update {', '.join(step.updates)}", last))
    yield "}"


def _unread(recipe: Recipe) -> list[Node]:
    """What a recipe without steps computes besides its loss and what it measures."""
    if recipe.steps[0].name:
        return []
    read = behind(recipe.training.outputs.values())
    return [node for node in recipe.training.nodes if node not in read]


def _measuring(recipe: Recipe, writer: GraphWriter) -> Iterator[str]:
    if not recipe.evaluation.outputs:
        return
    yield f"# in evaluation: {_when(recipe)}"
    for metric in recipe.metrics:
        prefix = f"metric.{metric.name}"
        read = [
            writer.names[value]
            for name, value in recipe.training.outputs.items()
            if name == prefix or name.startswith(prefix + ".")
        ]
        what = f"{metric.operator.name}({', '.join(read)})" if metric.operator is not None else ", ".join(read)
        yield f"measure {metric.name} = {what}"


def _when(recipe: Recipe) -> str:
    """On which parts the recipe is evaluated, and how often."""
    first = next(iter(recipe.sources.values()))
    found = measured(parts(first) or ["train", *(held_out(first) or {})])
    unit, every = recipe.settings.get("measure_every", ("epochs", 1))
    often = f"after each {unit[:-1]}" if every == 1 else f"after every {every} {unit}"
    during = [f"the validation part {often}"] if "validation" in found else []
    return ", ".join([*during, f"the {found[-1]} part at the end"])


def _plain(value: Any) -> str:
    if isinstance(value, tuple):
        return f"{value[0]}={value[1]}"
    return value if isinstance(value, str) else setting_text(value)
