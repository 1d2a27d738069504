"""`freeze` and `load`: which weights of a recipe's networks are not updated, and which come from elsewhere (decision A17).

Parts of networks are named as their weights are: `model.bert.embeddings` is all of "bert.embeddings.*" of the instance `model`.
Not here: the files that weights come from (`nnspec.training.first_weights`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from nnspec.dims import format_dim
from nnspec.dims.claims import equal
from nnspec.graph import expressions, selections
from nnspec.graph.gradients import Gradients
from nnspec.graph.ir import Graph, WeightEntry
from nnspec.graph.scope import RecipeScope
from nnspec.graph.values import BlockMaker, NetworkInstance, is_silent
from nnspec.operators.kinds import describe
from nnspec.recipes.recipe import ChosenWeights, Load, Recipe
from nnspec.similar import similar_to
from nnspec.syntax import tree

if TYPE_CHECKING:
    from nnspec.graph.build import Build
    from nnspec.recipes.objectives import Objective

Instances = Mapping[str, NetworkInstance]


class WeightStatements:
    """The statements `freeze` and `load` of a recipe. What they name is looked for at the end, when the networks are known."""

    def __init__(self, scope: RecipeScope, instances: Instances) -> None:
        self.scope, self.instances = scope, instances
        self.build: Build = scope.build
        self._freezes: list[ChosenWeights] = []
        self._loads: list[Load] = []

    def freeze(self, statement: tree.Statement) -> None:
        """`freeze encoder, model.bert.embeddings where rank == 2`"""
        self._freezes += self._chosen(statement)

    def load(self, statement: tree.Statement) -> None:
        """`load model.bert from "runs/x"`, `from "file.safetensors"`, `from Pretrain.lm.bert`"""
        origin = statement.origin
        if origin is None:
            self.build.report(
                "NN404", "`load` says where from", (statement.word or statement).span,
                help='a run, a file or another recipe: `load model from "runs/NAME"`, `from "x.safetensors"`, `from Recipe.network`',
            )  # fmt: skip
            return
        for weights in self._chosen(statement):
            source = self._source(origin)
            if source is not None:
                self._loads.append(Load(weights, *source, origin.span))

    # --- what is named ----------------------------------------------------------------------------------------------------

    def _chosen(self, statement: tree.Statement) -> Iterator[ChosenWeights]:
        selection = selections.selection(statement.conditions, statement.span, self.scope)
        if not statement.values:
            self.build.report(
                "NN404", f"`{statement.word.id if statement.word else ''}` names a network or a part of one", statement.span
            )
        for expression in statement.values:
            head, parts = _path(expression)
            value = expressions.evaluate(head, self.scope)
            if isinstance(value, BlockMaker) and value.item.word.id == "network":
                value = self.build.program.default_instance(value, self.scope)
            if is_silent(value) or selection is False:
                continue
            if not isinstance(value, NetworkInstance):
                self.build.report(
                    "NN115", f"weights are those of a network of the recipe, and this is {describe(value)}", expression.span
                )
                continue
            yield ChosenWeights(value.name, ".".join(parts), selection, expression.span)

    def _source(self, origin: tree.Expression) -> tuple[str, tuple[str, str, str] | None] | None:
        """A path, or the recipe, network and part that weights come from."""
        head, parts = _path(origin)
        recipe = self.scope.home.recipes.get(head.id) if isinstance(head, tree.Name) and head.id not in self.scope.names else None
        if recipe is not None and parts:
            return "", (recipe.name.id, parts[0], ".".join(parts[1:]))
        if (
            recipe is None
            and isinstance(head, tree.Name)
            and head.id not in self.scope.names
            and self.scope.lookup(head.id) is None
        ):
            similar = similar_to(head.id, self.scope.home.recipes)
            self.build.report(
                "NN101", f"there is no recipe `{head.id}`", head.span, label=similar.label(),
                fix=self.build.program.rename_fix(head.span, similar),
            )  # fmt: skip
            return None
        value = expressions.evaluate(origin, self.scope) if recipe is None else recipe
        if is_silent(value):
            return None
        if not isinstance(value, str) or not value:
            what = f"the recipe `{recipe.name.id}` as a whole" if recipe is not None else describe(value)
            self.build.report(
                "NN115", f"weights come from a run, a file or a network of another recipe, and this is {what}", origin.span,
                help='such as `from "runs/NAME"`, `from "x.safetensors"` or `from Recipe.network`',
            )  # fmt: skip
            return None
        return value, None

    # --- the end ----------------------------------------------------------------------------------------------------------

    def frozen(self) -> tuple[ChosenWeights, ...]:
        """What is not updated, if it is there."""
        return tuple(each for each in self._freezes if self._there(each))

    def loads(self, recipes: Mapping[str, Recipe]) -> tuple[Load, ...]:
        """What comes from elsewhere, if it is there; compared with the source where that is a recipe of the spec."""
        good = [each for each in self._loads if self._there(each.weights)]
        return tuple(each for each in good if each.recipe is None or self._fits(each, each.recipe, recipes))

    def check_left(self, objectives: list[Objective], gradients: Gradients) -> None:
        """Something has to be left that a loss trains."""
        frozen = self.frozen()
        for each in objectives:
            if each.loss is None or each.loss_span is None or not frozen:
                continue
            reached = gradients.from_values([each.loss]).weights
            left = {(name, path) for name, paths in reached.items() for path in paths if path}
            known = {name: weights_of(instance.variants) for name, instance in self.instances.items()}
            for name, path in list(left):
                entry = known.get(name, {}).get(path)
                if entry is not None and any(
                    chosen.instance == name and chosen.chooses(path, len(entry.dims), entry.operator) for chosen in frozen
                ):
                    left.discard((name, path))
            if reached and not left:
                self.build.report(
                    "NN403", "all weights that the loss depends on are frozen, so there is nothing to learn", each.loss_span,
                )  # fmt: skip

    def _there(self, chosen: ChosenWeights) -> bool:
        instance = self.instances.get(chosen.instance)
        if instance is None or instance.failed:
            return False
        weights = weights_of(instance.variants)
        if not instance.variants:
            self.build.report(
                "NN111",
                f"the weights of `{chosen.instance}` are not known: it is never used",
                chosen.span,
                help="use it on data, or leave this out",
            )
            return False
        below = [path for path in weights if chosen.holds(path)]
        if not below:
            self._report_part(chosen, weights)
        elif not any(chosen.chooses(path, len(weights[path].dims), weights[path].operator) for path in below):
            assert chosen.selection is not None
            shown = ", ".join(f"`{path}`" for path in below[:6])
            self.build.report(
                "NN306", "this matches no weight", chosen.selection.span, notes=(f"the weights here are {shown}, ...",)
            )
        else:
            return True
        return False

    def _report_part(self, chosen: ChosenWeights, weights: Mapping[str, WeightEntry]) -> None:
        similar = similar_to(
            chosen.part, sorted({path.rpartition(".")[0] for path in weights} | {path.partition(".")[0] for path in weights})
        )
        tops = list(dict.fromkeys(path.partition(".")[0] for path in weights))
        self.build.report(
            "NN111", f"`{chosen.instance}` has no part `{chosen.part}`", chosen.span, label=similar.label(),
            help=None if similar else "it has " + ", ".join(f"`{each}`" for each in tops),
        )  # fmt: skip

    def _fits(self, load: Load, named: tuple[str, str, str], recipes: Mapping[str, Recipe]) -> bool:
        recipe_name, network, part = named
        recipe = recipes.get(recipe_name)
        if recipe is None:
            self.build.failed = True  # what stands above has told its own errors
            if self.scope.home.recipes[recipe_name].span.end > load.span.start:
                self.build.report(
                    "NN404",
                    f"the recipe `{recipe_name}` is not known here yet",
                    load.span,
                    help="move it above the recipe that loads from it",
                )
            return False
        if network not in recipe.instances:
            similar = similar_to(network, recipe.instances)
            self.build.report(
                "NN111", f"the recipe `{recipe_name}` has no network `{network}`", load.span, label=similar.label(),
                help=None if similar else "it has " + ", ".join(f"`{each}`" for each in recipe.instances),
            )  # fmt: skip
            return False
        instance = self.instances[load.weights.instance]
        own, theirs = weights_of(instance.variants), weights_of(recipe.instances[network].variants)
        for path, entry in own.items():
            if not load.weights.chooses(path, len(entry.dims), entry.operator):
                continue
            key = moved(path, load.weights.part, part)
            other = theirs.get(key)
            if other is None:
                self.build.report("NN111", f"`{network}` of the recipe `{recipe_name}` has no weight `{key}`", load.span)
                return False
            if len(other.dims) != len(entry.dims) or any(
                self.build.facts.decide(equal(a, b)).kind == "false" for a, b in zip(entry.dims, other.dims, strict=True)
            ):
                text = f"`{path}` has the shape {_dims(entry)}, and `{key}` of `{recipe_name}.{network}` has {_dims(other)}"
                self.build.report("NN201", text, load.span)
                return False
        return True


def _dims(entry: WeightEntry) -> str:
    return "[" + ", ".join(format_dim(dim) for dim in entry.dims) + "]"


def moved(path: str, part: str, other: str) -> str:
    """The name of a weight below `part` as it is below `other`."""
    inner = path[len(part) :].removeprefix(".") if part else path
    return ".".join(each for each in (other, inner) if each)


def weights_of(variants: Mapping[str, Graph]) -> dict[str, WeightEntry]:
    """The weights of a network by path, in whichever variant."""
    return {path: entry for graph in variants.values() for path, entry in graph.weights.items()}


def _path(expression: tree.Expression) -> tuple[Any, list[str]]:
    """`model.bert.embeddings` as its head and the names behind it."""
    names: list[str] = []
    while isinstance(expression, tree.Member):
        names.append(expression.name.id)
        expression = expression.value
    return expression, names[::-1]
