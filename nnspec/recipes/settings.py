"""The settings of a recipe: one word, one value, one line of documentation each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from nnspec.graph import expressions
from nnspec.graph.scope import Scope
from nnspec.graph.values import POISON, carry, is_silent
from nnspec.operators.declare import Refusal
from nnspec.operators.kinds import Choice, Flag, Integer, Kind, Real
from nnspec.syntax import tree


class Setting(NamedTuple):
    """What a setting's value may be, and what it does."""

    kind: Kind
    least: float | None
    doc: str
    #: What the value has to be less than.
    below: float | None = None


#: Statements with one value. `keep_best` and `measure_every` have forms of their own.
SETTINGS: dict[str, Setting] = {
    "epochs": Setting(Integer(), 1, "passes over the first data source"),
    "steps": Setting(Integer(), 1, "updates of the weights; with `epochs`, whichever ends first"),
    "batch_size": Setting(Integer(), 1, "samples a step; the whole data set where it is not given"),
    "seed": Setting(Integer(), 0, "what every random choice starts from; 0 where it is not given"),
    "folds": Setting(Integer(), 2, "cross-validation: train as many times, each with another part of the samples to test on"),
    "fold": Setting(Integer(), 0, "which of the `folds`, from 0, is the test part of this training alone"),
    "drop_last": Setting(Flag(), None, "leave out a last batch that is smaller than the others"),
    "workers": Setting(
        Integer(), 0, "threads that take the next batches out of their files while a step is computed; 0 where it is not given"
    ),
    "patience": Setting(Integer(), 1, "epochs without an improvement after which training stops"),
    "keep_best": Setting(Choice(), None, "the metric by which the kept checkpoint is chosen"),
    "measure_every": Setting(Integer(), 1, "how often to evaluate: `measure_every epochs=2` or `measure_every steps=200`"),
    "clip_grad_norm": Setting(Real(), 0, "scale gradients down to this norm"),
    "clip_grad_value": Setting(Real(), 0, "cut each gradient off at this size"),
    "ema": Setting(
        Real(), 0, "measure and keep a moving average of the weights: each update leaves so much of it, such as 0.999", 1
    ),
    "accumulate": Setting(Integer(), 1, "batches whose gradients are added up before a step"),
    "precision": Setting(Choice("float32", "bfloat16", "float16"), None, "the type that products are computed in (autocast)"),
    "memory_format": Setting(
        Choice("contiguous", "channels_last", "measured"),
        None,
        "how pictures lie in memory: `channels_last` suits most convolutions, `measured` takes what is faster here",
    ),
    "activation_checkpointing": Setting(
        Flag(), None, "keep few activations and compute the others again in the backward pass: less memory, a third more time"
    ),
    "fused_loss": Setting(
        Flag(),
        None,
        "compute the cross-entropy of a linear layer without all its outputs at once, which saves their memory; where it is not given, as soon "
        "as they take more than 8 MiB",
    ),
    "cuda_graphs": Setting(
        Flag(),
        None,
        "on a GPU, start the kernels of a step together, as one CUDA graph, where that can be; true where it is not given",
    ),
    "parallel": Setting(
        Choice("ddp", "fsdp"),
        None,
        "what several processes share: `ddp` each batch, `fsdp` the weights and the optimizer's state as well",
    ),
    "on_nan": Setting(
        Choice("abort", "skip", "rollback"),
        None,
        "where a loss or a gradient is NaN or infinite: end with an error (`abort`), leave the update out, or go back to the last checkpoint",
    ),
}
#: Those of an agent: what it shares with other recipes, and its own. `measure_every` counts steps or episodes.
AGENT_SETTINGS: dict[str, Setting] = {
    "steps": Setting(Integer(), 1, "steps in the environment; with `episodes`, whichever ends first"),
    "episodes": Setting(Integer(), 1, "episodes that are played"),
    "learn_every": Setting(Integer(), 1, "steps in the environment after which the weights are updated; 1 where it is not given"),
    "updates": Setting(Integer(), 1, "updates of the weights each time, each by a batch of its own; 1 where it is not given"),
    **{
        word: SETTINGS[word] for word in ("batch_size", "seed", "clip_grad_norm", "clip_grad_value", "keep_best", "measure_every")
    },
    "measure_episodes": Setting(Integer(), 1, "episodes that are played to measure, without exploring; 10 where it is not given"),
}


def value_of(word: str, statement: tree.Statement, scope: Scope, replaced: Any = None,
             units: tuple[str, str] = ("epochs", "steps")) -> Any:  # fmt: skip
    """The accepted value of a setting; poison where it is wrong, which has been reported. `replaced` comes from `--set train.NAME`, and
    `units` are what `measure_every` may count.
    """
    if replaced is not None:
        accepted = accept(word, from_text(replaced), statement.span, scope)
        return (units[0], accepted) if word == "measure_every" and not is_silent(accepted) else accepted
    if word == "measure_every":
        return _measure_every(statement, scope, units)
    if len(statement.values) != 1 or statement.names:
        values = statement.values
        place = values[1].span.to(values[-1].span) if len(values) > 1 else (statement.word or statement).span
        scope.build.report("NN404", f"`{word}` takes one value", place, help=_setting(word).doc)
        return POISON
    expression = statement.values[0]
    if word in ("keep_best", "precision", "memory_format", "parallel", "on_nan") and isinstance(expression, tree.Name):
        return accept(word, expression.id, expression.span, scope)
    value = carry(expressions.evaluate(expression, scope))
    return value if is_silent(value) else accept(word, value, expression.span, scope)


def _setting(word: str) -> Setting:
    return SETTINGS[word] if word in SETTINGS else AGENT_SETTINGS[word]


def accept(word: str, value: Any, span: Any, scope: Scope) -> Any:
    """The value if the setting can have it."""
    setting = _setting(word)
    if word == "keep_best" and isinstance(value, str):
        return value
    try:
        accepted = setting.kind.accept(value)
        setting.kind.check_range(accepted, setting.least, None, None, setting.below)
    except Refusal as refusal:
        scope.build.report("NN404", f"`{word}` is wrong: {refusal.message}", span, help=setting.doc)
        return POISON
    return accepted


def _measure_every(statement: tree.Statement, scope: Scope, units: tuple[str, str]) -> Any:
    if len(statement.names) == 1 and len(statement.values) == 1 and statement.names[0].id in units:
        value = carry(expressions.evaluate(statement.values[0], scope))
        accepted = value if is_silent(value) else accept("measure_every", value, statement.values[0].span, scope)
        return accepted if is_silent(accepted) else (statement.names[0].id, accepted)
    place = statement.values[0] if statement.values and not statement.names else statement
    scope.build.report(
        "NN404", f"`measure_every` says how often: `measure_every {units[0]}={2 if units[0] == 'epochs' else 1000}`", place.span
    )
    return POISON


def from_text(value: Any) -> Any:
    """A value from `--set`, which may be text."""
    if not isinstance(value, str):
        return value
    for read in _READERS:
        try:
            return read(value)
        except ValueError:
            continue
    return value


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(text)
    return text == "true"


def _number(text: str) -> int | float:
    from nnspec.diagnostics import Source
    from nnspec.syntax import parse_expression

    expression, findings = parse_expression(Source("--set", text), 0, len(text))
    if findings or not isinstance(expression, tree.Number):
        raise ValueError(text)
    return expression.value


_READERS: tuple[Callable[[str], Any], ...] = (_flag, _number)
