"""Complaints about the settings of optimizers: rates, averages and decay that are hardly meant.

Not here: how long a schedule is (`nnspec.lint.schedules`), and settings that never act (`nnspec.lint.run_settings`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from nnspec.diagnostics import Diagnostic, Edit, Fix, Label, Span
from nnspec.graph.ir import WeightEntry
from nnspec.lint.declare import on_recipe
from nnspec.lint.training import Training
from nnspec.recipes.recipe import OptimizerSetting, Step

# --- learning rates -----------------------------------------------------------------------------------------------------------

#: Optimizer -> the rates between which it is used (Bengio 2012, arXiv:1206.5533, for SGD; the papers and torch's documentation for
#: the others), and the rate above which no published use is known: 3.2 for SGD (Goyal et al. 2017, arXiv:1706.02677), 0.256 for
#: RMSprop (Tan & Le 2019, arXiv:1905.11946).
_ADAM = (1e-5, 1e-2, 0.05)
_RATES = {
    "SGD": (1e-6, 1.0, 8.0), "Adam": _ADAM, "AdamW": _ADAM, "NAdam": _ADAM, "RAdam": _ADAM, "RMSprop": (1e-6, 0.1, 0.5),
    "Adagrad": (1e-4, 0.1, 2.0), "Adadelta": (1e-3, 1.0, 10.0),
}  # fmt: skip
#: The last for SGD of gradients that are clipped: 30 is known (Merity et al. 2017, arXiv:1708.02182).
_MOST_CLIPPED = 50.0
#: Below this no optimizer gets anywhere: a step is smaller than what float32 holds of a weight near 1.
_LEAST = 1e-8
#: From this `eps` on, an adaptive optimizer divides by little else, and its rates are those of SGD.
_LARGE_EPS = 1e-2


@on_recipe("NN701")
def unusual_learning_rate(training: Training) -> Iterator[Diagnostic]:
    """A rate so far from those that the optimizer is used with that it must be a slip; of a schedule, its peak."""
    for setting in _settings(training):
        name = setting.operator.name
        if name not in _RATES or getattr(setting.operator, "eps", 0.0) >= _LARGE_EPS:
            continue
        overridden = any("lr" in override.settings for override in setting.overrides)
        rate = setting.operator.attributes()["lr"]
        place = setting.operator.written.get("lr")
        most = _MOST_CLIPPED if name == "SGD" and _is_clipped(training) else _RATES[name][2]
        if place is not None and not (overridden and rate == 0):  # a rate of 0 with overrides freezes all others
            yield from _judged(name, rate, place, most)
        for override in setting.overrides:
            rate = override.settings.get("lr", 0)
            if rate != 0:
                yield from _judged(name, rate, override.span, most)


def _is_clipped(training: Training) -> bool:
    return not {"clip_grad_norm", "clip_grad_value"}.isdisjoint(training.recipe.settings)


def _judged(name: str, rate: Any, place: Span, most: float) -> Iterator[Diagnostic]:
    peak = peak_of(rate)
    low, high, _ = _RATES[name]
    what = f"a learning rate {'of' if peak == rate else 'that reaches'} {number(peak)}"
    usual = f"it is used with rates of about {number(low)} to {number(high)}"
    if peak == 0:
        yield Diagnostic("NN701", f"`{name}` with {what} changes no weight", place, help=usual)
    elif peak > most:
        yield Diagnostic("NN701", f"`{name}` with {what} is far beyond what it is used with", place, help=usual)
    elif peak < _LEAST:
        yield Diagnostic("NN701", f"`{name}` with {what} hardly changes any weight", place, help=usual)


def number(value: float) -> str:
    """A number as specs write it: `1e-5`."""
    return f"{value:g}".replace("e-0", "e-").replace("e+0", "e")


def peak_of(rate: Any) -> float:
    """The largest number that a rate, plain or a schedule, comes to; of a decay that grows, the first."""
    if not getattr(rate, "is_schedule", False):
        return float(rate)
    parts = getattr(rate, "parts", None)
    if parts is not None:
        return max(peak_of(part) for part in parts)
    return max(float(rate.a), float(getattr(rate, "b", rate.a)))


# --- averages -----------------------------------------------------------------------------------------------------------------

_PAIR = re.compile(r"\[(\s*)([^,\[\]]+?)(\s*,\s*)([^,\[\]]+?)(\s*)\]")


@on_recipe("NN711")
def swapped_betas(training: Training) -> Iterator[Diagnostic]:
    """`betas` of which the first is the larger: the mean of the squares would forget faster than the mean of the gradients."""
    for setting in _settings(training):
        betas, place = getattr(setting.operator, "betas", None), setting.operator.written.get("betas")
        if betas is not None and place is not None and betas[0] > betas[1]:
            fix = None
            pair = _PAIR.fullmatch(place.text)
            if pair is not None:
                swapped = "[" + "".join(pair.group(1, 4, 3, 2, 5)) + "]"
                fix = Fix(f"write `{swapped}`", (Edit(place, swapped),), "suggestion")
            yield Diagnostic(
                "NN711", f"the second of the `betas` of `{setting.operator.name}`, {betas[1]:g}, is smaller than the first, {betas[0]:g}",
                place, fix=fix, help=None if fix else "the first is for the gradient, the second for its square: `[0.9, 0.999]`",
            )  # fmt: skip


#: Setting -> the optimizers in which, from 1 on, it keeps the past for ever: the steps, or what they are divided by, grow without an end.
_KEEPING = {"momentum": "the last step", "alpha": "the mean square", "rho": "the mean squares"}


@on_recipe("NN712")
def diverging_average(training: Training) -> Iterator[Diagnostic]:
    """`momentum=9` for 0.9, a mean square that nothing forgets, and an `eps` of 0, with which a gradient of 0 is divided by 0."""
    for setting in _settings(training):
        operator, written = setting.operator, setting.operator.written
        for name, what in _KEEPING.items():
            value = operator.__dict__.get(name)
            if isinstance(value, int | float) and value >= 1 and name in written:
                more = "and makes more of it" if value > 1 else "in full"
                yield Diagnostic(
                    "NN712", f"with `{name}` = {number(value)}, `{operator.name}` keeps {what} for ever {more}", written[name],
                    help="it is a share, such as 0.9",
                )  # fmt: skip
        if operator.__dict__.get("eps") == 0 and "eps" in written:
            yield Diagnostic(
                "NN712", f"with `eps` = 0, `{operator.name}` divides by 0 where a gradient is 0", written["eps"],
                help="leave `eps` out, or make it a small number above 0",
            )  # fmt: skip


# --- decay --------------------------------------------------------------------------------------------------------------------

#: Adaptive optimizers that add the decay to the gradient, and how each decays apart from it.
_COUPLED = {"Adam": "AdamW", "NAdam": "", "RAdam": ""}


@on_recipe("NN706")
def coupled_decay(training: Training) -> Iterator[Diagnostic]:
    """Weight decay that is part of the gradient, which these optimizers divide by its size: weights with large gradients keep more."""
    for setting in _settings(training):
        operator = setting.operator
        place = operator.written.get("weight_decay")
        if operator.name not in _COUPLED or place is None or not operator.attributes()["weight_decay"]:
            continue
        if not getattr(operator, "decoupled_weight_decay", False):
            yield Diagnostic(
                "NN706", f"`{operator.name}` divides the decay of a weight by the size of its gradients", place, fix=_decoupled(setting),
            )  # fmt: skip


def _decoupled(setting: OptimizerSetting) -> Fix | None:
    from nnspec.syntax.edits import renamed, with_setting

    operator = setting.operator
    call = _call(setting)
    other = _COUPLED[operator.name]
    if call is None:
        return None
    if other:
        edit = renamed(call, operator.name, other)
        title = f"write `{other}`, which decays apart from the gradient"
    else:
        edit = with_setting(call, "decoupled_weight_decay", "true", operator.written.get("decoupled_weight_decay"))
        title = "add `decoupled_weight_decay=true`"
    return Fix(title, (edit,), "suggestion") if edit is not None else None


def _call(setting: OptimizerSetting) -> Span | None:
    """The call in an `optimizer` statement: from its name to the bracket around its arguments."""
    start = setting.span.text.find(setting.operator.name + "(")
    if start < 0:
        return None
    depth = 0
    for at, character in enumerate(setting.span.text[start:], setting.span.start + start):
        depth += (character == "(") - (character == ")")
        if character == ")" and not depth:
            return Span(setting.span.source, setting.span.start + start, at + 1)
    return None


@on_recipe("NN702")
def decay_of_norms(training: Training) -> Iterator[Diagnostic]:
    """Decay that is written for all weights alike, biases and the scales of normalizations among them."""
    for setting in _settings(training):
        place = setting.operator.written.get("weight_decay")
        if place is None or not setting.operator.attributes()["weight_decay"]:
            continue
        if any("weight_decay" in override.settings for override in setting.overrides):
            continue
        small = [entry for step in training.recipe.steps if step.optimizer is setting for entry in _small_weights(training, step)]
        if small:
            yield _decayed(setting, place, small)


def _decayed(setting: OptimizerSetting, place: Span, small: list[WeightEntry]) -> Diagnostic:
    first = next((entry for entry in small if _is_norm(entry)), small[0])
    fix = _without_small(setting)
    return Diagnostic(
        "NN702", f"this decay draws {'scales of normalizations' if _is_norm(first) else 'biases'} to zero as well", place,
        labels=(Label(first.span, f"its `{first.path}`"),), fix=fix,
        help=None if fix else "add `override weight_decay = 0 where rank < 2` to the optimizer",
    )  # fmt: skip


def _small_weights(training: Training, step: Step) -> Iterator[WeightEntry]:
    """Biases and scales of normalizations, of the networks that a step updates."""
    updated = set(step.updates) or training.gradients.from_values([training.loss(step)]).instances
    for name, instance in training.recipe.instances.items():
        for graph in list(instance.variants.values())[:1] if name in updated else ():
            yield from (entry for entry in graph.weights.values() if entry.trainable and len(entry.dims) < 2 and entry.module)


def _is_norm(entry: WeightEntry) -> bool:
    return "Norm" in entry.operator


def _without_small(setting: OptimizerSetting) -> Fix | None:
    from nnspec.syntax.edits import is_yaml

    call, line = _call(setting), "override weight_decay = 0 where rank < 2"
    if call is None or is_yaml(call):
        return None
    first = call.source.line(setting.span.line)
    indent = first[: len(first) - len(first.lstrip())]
    at, body = call.end, setting.span.text[call.end - setting.span.start :].lstrip()
    if not body:
        added = f" {{\n{indent}  {line}\n{indent}}}"
    else:
        at = call.source.text.index("{", call.end) + 1
        added = f"\n{indent}  {line}" if "\n" in body else f" {line};"
    return Fix("take the decay from them", (Edit(Span(call.source, at, at), added),), "suggestion")


def _settings(training: Training) -> list[OptimizerSetting]:
    """The optimizers of a recipe, each once."""
    return list({id(step.optimizer): step.optimizer for step in training.recipe.steps}.values())
