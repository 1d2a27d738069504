"""`sweep` items: which settings are tried to find the best run of a recipe. No torch.

An item belongs to the recipe of its name. A range is `uniform(low, high)`, `log(low, high)` or `choice(...)`: of a parameter of the recipe
or of a network that it trains, `lr = log(1e-4, 1e-1)`, or of a setting, `batch_size choice(16, 32)`. What is set is a whole number where the
parameter is one. Not here: trying them (`nnspec.tuning`).
"""

from __future__ import annotations

from typing import Any

from nnspec.diagnostics import Diagnostic, Label, Span
from nnspec.graph import declared, expressions, networks
from nnspec.graph.build import Build
from nnspec.graph.program import Program
from nnspec.graph.scope import Scope
from nnspec.graph.values import carry, is_silent
from nnspec.operators.declare import Refusal
from nnspec.operators.kinds import Integer, Real, describe
from nnspec.recipes.judging import judged_by
from nnspec.recipes.recipe import Recipe
from nnspec.recipes.settings import AGENT_SETTINGS, SETTINGS, Setting
from nnspec.records import record
from nnspec.similar import similar_to
from nnspec.syntax import tree

#: Trials where nothing is said.
TRIALS = 20
_WORDS = ("trials", "maximize", "minimize")
_KINDS = ("uniform", "log", "choice")
#: Settings whose values are no numbers and no words that could be tried, or that decide what is compared.
_FIXED = frozenset({"measure_every", "keep_best", "measure_episodes"})


@record(frozen=True)
class Range:
    """What a name is tried with: numbers from `low` to `high`, evenly ("uniform") or evenly by their logarithm ("log"), whole ones if
    `whole`, multiples of `step` above `low` where there is one; or ("choice") one of `choices`. `name` is what `--set` calls it."""

    name: str
    kind: str
    low: float
    high: float
    step: float | None
    whole: bool
    choices: tuple[Any, ...]
    span: Span


@record(frozen=True)
class Sweep:
    """A search: the recipe, the ranges in their order, how many trials, the figure that is to be best, and whether less of it is better."""

    recipe: str
    ranges: tuple[Range, ...]
    trials: int
    figure: str
    lower: bool
    span: Span


def build_sweep(program: Program, item: tree.Item, recipes: dict[str, Recipe]) -> Sweep | None:
    """The search of an item; None where it has errors, which have been reported, or its recipe has."""
    name = item.name.id
    recipe = recipes.get(name)
    if recipe is None:
        broken = [
            each.name.id for each in program.file.items if isinstance(each, tree.Item) and each.word.id in ("train", "agent")
        ]
        if name not in broken:
            similar = similar_to(name, recipes)
            program.report(
                Diagnostic(
                    "NN414", f"no recipe is called `{name}`", item.name.span, label=similar.label("a similar one exists"),
                    fix=program.rename_fix(item.name.span, similar), help="a sweep has the name of the recipe that is run",
                )
            )  # fmt: skip
        return None
    if not isinstance(item.body, tree.Body) or item.parameters:
        program.report(
            Diagnostic(
                "NN414", f"a sweep has a body and no parameters: `sweep {name} {{ lr = log(1e-4, 1e-1) }}`", item.name.span
            )
        )
        return None
    return None if program.lost.tore(item) else _SweepRun(program, item, item.body, recipe).sweep()


class _SweepRun:
    """One pass over the statements."""

    def __init__(self, program: Program, item: tree.Item, body: tree.Body, recipe: Recipe) -> None:
        self.program, self.item, self.body, self.recipe = program, item, body, recipe
        self.build = Build(program, item.name.id, training=False, sizes={})
        self.scope = Scope(self.build, program.home, "", ())
        self.settings = AGENT_SETTINGS if recipe.acting is not None else SETTINGS
        self.parameters = self._parameters()
        self.ranges: dict[str, Range] = {}
        self.trials: int | None = None
        self.goal: tuple[str, bool] | None = None

    def _parameters(self) -> dict[str, tree.Type]:
        """Parameters that can be set from outside, with their types: the recipe's own, and those of its networks that it does not give."""
        items = [each for each in self.program.file.items if isinstance(each, tree.Item) and each.word.id in ("train", "agent")]
        own = next((each for each in items if each.name.id == self.recipe.name), None)
        found = {} if own is None else {each.name.id: each.type for each in own.parameters}
        for instance in self.program.instances.get(self.recipe.name, {}).values():
            for each in networks.left_open(self.program, instance.maker):
                found.setdefault(each.name.id, each.type)
        return found

    def sweep(self) -> Sweep | None:
        for statement in self.body.statements:
            if not self.program.lost.took(statement):
                self._statement(statement)
        if not self.ranges and not self.build.failed:
            self._report(
                "a sweep needs a range", self.item.name.span, "such as `lr = log(1e-4, 1e-1)` or `batch_size choice(16, 32, 64)`"
            )
        figure, lower = self.goal or self._default_goal()
        if self.build.failed or not figure:
            return None
        return Sweep(
            self.recipe.name, tuple(self.ranges.values()), self.trials or TRIALS, figure, lower, self.item.name.span
        )  # fmt: skip

    def _statement(self, statement: tree.Statement) -> None:
        word = statement.word.id if statement.word is not None else ""
        if not word:
            self._binding(statement)
        elif word == "trials":
            self._trials(statement)
        elif word in _WORDS:
            self._goal(statement, lower=word == "minimize")
        elif word in self.settings:
            self._setting(statement, word)
        else:
            assert statement.word is not None
            known = (*_WORDS, *self.settings)
            similar = similar_to(word, known)
            self.build.report(
                "NN109", f"`{word}` is not a statement of a sweep", statement.word.span, label=similar.label("a similar one exists"),
                fix=self.program.rename_fix(statement.word.span, similar),
                help=None if similar else "it has ranges, `trials`, and `maximize` or `minimize`",
            )  # fmt: skip

    # --- ranges -------------------------------------------------------------------------------------------------------------

    def _binding(self, statement: tree.Statement) -> None:
        if len(statement.names) != 1 or len(statement.values) != 1 or statement.type is not None:
            self._report("a range is written `name = uniform(low, high)`, one for each name", statement.span)
            return
        name = statement.names[0]
        type_ = self.parameters.get(name.id)
        if type_ is None:
            self._unknown(name)
            return
        if type_.name not in ("int", "float") or type_.element is not None:
            found = self._range(name.id, statement.values[0], None)
        else:
            found = self._range(name.id, statement.values[0], type_.name == "int")
        if found is None:
            return
        wrong = next((each for each in found.choices if not declared.fits_parameter(type_, each)), None)
        if wrong is not None:
            self._report(f"`{name.id}` is {type_.span.text}, and a choice is {describe(wrong)}", statement.values[0].span)
            return
        self._enter(found, name.span)

    def _unknown(self, name: tree.Name) -> None:
        if name.id in self.settings:
            self._report(f"`{name.id}` is a setting", name.span, f"write it without `=`: `{name.id} choice(...)`")
            return
        similar = similar_to(name.id, self.parameters)
        self.build.report(
            "NN414", f"`{name.id}` is no parameter of `{self.recipe.name}`, nor one of its networks that the recipe leaves open", name.span,
            label=similar.label("a similar one exists"), fix=self.program.rename_fix(name.span, similar),
            help=None if similar else f"give the recipe one: `train {self.recipe.name}({name.id}: float = ...)`, and use it there",
        )  # fmt: skip

    def _setting(self, statement: tree.Statement, word: str) -> None:
        place = (statement.word or statement).span
        if word in _FIXED:
            self._report(f"`{word}` cannot be tried: it says how runs are measured", place)
            return
        if len(statement.values) != 1 or statement.names:
            self._report(f"`{word}` takes one range", statement.span, f"such as `{word} choice(...)`")
            return
        setting = self.settings[word]
        whole = True if isinstance(setting.kind, Integer) else False if isinstance(setting.kind, Real) else None
        found = self._range(f"train.{word}", statement.values[0], whole)
        if found is not None and self._fits(setting, word, found):
            self._enter(found, place)

    def _fits(self, setting: Setting, word: str, found: Range) -> bool:
        ends = tuple(int(bound) if found.whole else bound for bound in (found.low, found.high))
        for value in found.choices or ends:
            try:
                setting.kind.check_range(setting.kind.accept(value), setting.least, None, None, setting.below)
            except Refusal as refusal:
                self._report(f"`{word}` is tried with {describe(value)}: {refusal.message}", found.span, setting.doc)
                return False
        return True

    def _enter(self, found: Range, place: Span) -> None:
        if found.name in self.ranges:
            self.build.report(
                "NN108", f"`{found.name.removeprefix('train.')}` has two ranges", place,
                labels=[Label(self.ranges[found.name].span, "the first one")],
            )  # fmt: skip
            return
        self.ranges[found.name] = found

    def _range(self, name: str, expression: tree.Expression, whole: bool | None) -> Range | None:
        """The range that an expression spells. `whole` is whether numbers have to be, None where a range of numbers makes no sense."""
        kind = expression.function.id if isinstance(expression, tree.Call) and isinstance(expression.function, tree.Name) else ""
        if kind not in _KINDS or not isinstance(expression, tree.Call):
            what = name.removeprefix("train.")
            self._report(
                f"`{what}` needs a range", expression.span, "it is `uniform(low, high)`, `log(low, high)` or `choice(a, b, ...)`"
            )
            return None
        if kind == "choice":
            return self._choices(name, expression)
        if whole is None:
            self._report(
                f"`{name.removeprefix('train.')}` is no number, so `{kind}` has nothing to go through",
                expression.span,
                "use `choice`",
            )
            return None
        return self._numbers(name, kind, expression, whole)

    def _choices(self, name: str, call: tree.Call) -> Range | None:
        values = []
        for argument in call.arguments:
            if argument.name is not None:
                self._report("`choice` takes values alone", argument.span)
                return None
            words = name in ("train.precision", "train.memory_format") and isinstance(argument.value, tree.Name)
            value = argument.value.id if words and isinstance(argument.value, tree.Name) else self._value(argument.value)
            if is_silent(value):
                self.build.failed = True
                return None
            values.append(value)
        repeated = any(type(one) is type(other) and one == other for at, one in enumerate(values) for other in values[:at])
        if len(values) < 2 or repeated:
            self._report("`choice` needs at least two values, each once", call.span)
            return None
        return Range(name, "choice", 0.0, 0.0, None, False, tuple(values), call.span)

    def _numbers(self, name: str, kind: str, call: tree.Call, whole: bool) -> Range | None:
        found: dict[str, float] = {}
        for position, argument in enumerate(call.arguments):
            key = argument.name.id if argument.name is not None else ("low", "high")[position] if position < 2 else ""
            if key not in ("low", "high", "step") or key in found:
                self._report(f"`{kind}` takes `low`, `high` and perhaps `step`", argument.span)
                return None
            value = self._value(argument.value)
            if is_silent(value):
                self.build.failed = True
                return None
            if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
                self._report(
                    f"`{key}` is {'a whole number' if whole else 'a number'}, and this is {describe(value)}", argument.span
                )
                return None
            found[key] = value
        low, high, step = found.get("low"), found.get("high"), found.get("step")
        wrong = _wrong(kind, low, high, step)
        if wrong or low is None or high is None:
            self._report(wrong or f"`{kind}` needs `low` and `high`", call.span)
            return None
        return Range(name, kind, low, high, step, whole, (), call.span)

    def _value(self, expression: tree.Expression) -> Any:
        return carry(expressions.evaluate(expression, self.scope))

    # --- how many, and what for -----------------------------------------------------------------------------------------------

    def _trials(self, statement: tree.Statement) -> None:
        value = self._value(statement.values[0]) if len(statement.values) == 1 and not statement.names else None
        if is_silent(value):
            self.build.failed = True
        elif self.trials is not None:
            self.build.report("NN108", "`trials` is given twice", statement.span)
        elif not isinstance(value, int) or isinstance(value, bool) or value < 1:
            self._report("`trials` is a whole number of at least 1", statement.span)
        else:
            self.trials = value

    def _goal(self, statement: tree.Statement, *, lower: bool) -> None:
        word = "minimize" if lower else "maximize"
        if self.goal is not None:
            self.build.report("NN108", "a sweep has one figure that is to be best", statement.span)
            return
        if len(statement.values) != 1 or statement.names or not isinstance(statement.values[0], tree.Name):
            self._report(f"`{word}` names a figure", statement.span, f"such as `{word} {self._default_goal()[0] or 'accuracy'}`")
            return
        name, known = statement.values[0], self._figures()
        if name.id not in known:
            similar = similar_to(name.id, known)
            self.build.report(
                "NN414", f"`{name.id}` is not measured by `{self.recipe.name}`", name.span, label=similar.label(),
                fix=self.program.rename_fix(name.span, similar),
                help=None if similar or not known else f"there {'are' if len(known) > 1 else 'is'} {', '.join(f'`{each}`' for each in known)}",
            )  # fmt: skip
        elif known[name.id] is not None and known[name.id] != lower:
            other = "maximize" if lower else "minimize"
            self._report(f"of `{name.id}` {'more' if lower else 'less'} is better", statement.span, f"write `{other} {name.id}`")
        else:
            self.goal = (name.id, lower)

    def _figures(self) -> dict[str, bool | None]:
        """What can be judged by, and whether less of it is better, None where the spec does not say."""
        if self.recipe.acting is not None:
            measured = {"measured_return": False} if "measure_every" in self.recipe.settings else {}
            return {"mean_return": False, **measured}
        loss: dict[str, bool | None] = {} if self.recipe.steps[0].name else {"loss": True}
        metrics = {each.name: None if each.operator is None else each.lower_is_better for each in self.recipe.metrics}
        return {**loss, **metrics}

    def _default_goal(self) -> tuple[str, bool]:
        """What the recipe itself is judged by. Reported where there is nothing."""
        if self.recipe.acting is not None:
            return ("measured_return" if "measure_every" in self.recipe.settings else "mean_return"), False
        figure, lower = judged_by(self.recipe)
        if not figure and not self.build.failed:
            self._report(
                "a recipe with steps has no single loss to judge by",
                self.item.name.span,
                "say what is to be best: `maximize FIGURE`",
            )
        return figure, lower

    def _report(self, message: str, span: Span, help: str | None = None) -> None:
        self.build.report("NN414", message, span, help=help)


def _wrong(kind: str, low: float | None, high: float | None, step: float | None) -> str:
    """What is wrong with the bounds of a range; "" for nothing."""
    if low is None or high is None:
        return ""
    if not low < high:
        return f"`low` has to be less than `high`, and these are {low:g} and {high:g}"
    if kind == "log" and low <= 0:
        return f"a logarithm begins above 0, and `low` is {low:g}"
    if kind == "log" and step is not None:
        return "`log` has no `step`: what lies evenly by the logarithm does not lie in steps"
    if step is not None and not 0 < step <= high - low:
        return f"`step` lies between 0 and the width of the range, and this is {step:g}"
    return ""
