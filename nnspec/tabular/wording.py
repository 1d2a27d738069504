"""The text of a drafted spec. Not here: what it decides (`draft`)."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from nnspec.tabular.draft import Feature, Plan, counted

_WIDTH = 92
#: About so many steps a training takes, and epochs at least and at most.
_STEPS, _FEWEST, _MOST = 3_000, 10, 200
_PATIENCE = 10
_TRAIN, _VALIDATION, _TEST = 0.7, 0.15, 0.15


class Batches(NamedTuple):
    """How a table of so many rows is gone through."""

    size: int
    epochs: int


def batches(rows: int) -> Batches:
    """Small batches for small tables, and epochs for some thousand steps."""
    size = 16 if rows < 500 else 32 if rows < 5_000 else 128 if rows < 50_000 else 512
    an_epoch = max(round(rows * _TRAIN / size), 1)
    return Batches(size, min(max(_STEPS // an_epoch, _FEWEST), _MOST))


def spec(plan: Plan, stem: str, taken: Collection[str]) -> str:
    """The spec of a plan in the .nn form. `stem` names its items, whose names are none of `taken`."""
    base = "".join(part[:1].upper() + part[1:] for part in re.findall(r"[A-Za-z0-9]+", stem)) or "Table"
    base = base if base[0].isalpha() else f"Table{base}"
    columns = {plan.target, *(feature.name for feature in plan.features)}
    names = {kind: _free(f"{base}{kind}", {*taken, *columns}) for kind in ("Table", "Net", "Model")}
    lines = [
        *_head(plan),
        "",
        *_data(plan, names["Table"]),
        "",
        *_network(plan, names["Net"]),
        "",
        *_training(plan, names, columns),
    ]
    return "\n".join(lines) + "\n"


def _free(name: str, taken: Collection[str]) -> str:
    while name in taken:
        name += "_"
    return name


def _head(plan: Plan) -> Iterator[str]:
    what = f"the {len(plan.classes)} classes of" if plan.classes is not None else "the number"
    source = f"{counted(len(plan.features), 'column')} of {plan.path}"
    yield f"# {what[0].upper()}{what[1:]} `{plan.target}`, from {source}, which had {plan.rows:,} rows when this was drafted."


def _data(plan: Plan, name: str) -> Iterator[str]:
    settings = "".join(f", {key}={_literal(value)}" for key, value in plan.settings)
    yield f"data {name} = {plan.source}({json.dumps(plan.path, ensure_ascii=False)}{settings}) {{"
    numbers = [feature for feature in plan.features if feature.kind.what == "numbers"]
    large = any(feature.kind.is_large for feature in numbers)
    dtype = "float64" if large else "float32"
    yield from _columns([feature for feature in numbers if not feature.kind.gaps], dtype, "")
    yield from _columns([feature for feature in numbers if feature.kind.gaps], dtype, " = median")
    categories = [feature for feature in plan.features if feature.kind.what == "categories"]
    for feature in categories:
        listed = ", ".join(json.dumps(text, ensure_ascii=False) for text in feature.kind.texts)
        others = ", unknown=true" if feature.kind.unknown else ""
        yield f"  column {feature.name}: category({listed}{others}){' = mode' if feature.kind.gaps else ''}"
    yield f"  column {plan.target}: {_target_type(plan)}"
    for column, reason in plan.left_out:
        yield f"  # left out: `{' '.join(column.split())}` {reason}"
    x = _free("x", {plan.target, *(feature.name for feature in plan.features)})
    yield from _features(numbers, categories, x, large)
    yield f"  output {plan.target}"
    stratify = f", stratify={plan.target}" if plan.classes is not None else ""
    yield f"  split (train={_TRAIN}, validation={_VALIDATION}, test={_TEST}{stratify}, seed=0)"
    yield "}"


def _columns(features: Sequence[Feature], dtype: str, fill: str) -> Iterator[str]:
    """Statements of columns of one type, as many to a line as fit."""
    line: list[str] = []
    for feature in features:
        if line and len("  column : , ") + len(", ".join([*line, feature.name])) + len(dtype + fill) > _WIDTH:
            yield f"  column {', '.join(line)}: {dtype}{fill}"
            line = []
        line.append(feature.name)
    if line:
        yield f"  column {', '.join(line)}: {dtype}{fill}"


def _target_type(plan: Plan) -> str:
    if plan.classes is None:
        return "float32"
    if plan.counted:
        return f"index({len(plan.classes)})"
    return f"category({', '.join(json.dumps(text, ensure_ascii=False) for text in plan.classes)})"


def _features(numbers: Sequence[Feature], categories: Sequence[Feature], x: str, large: bool) -> Iterator[str]:
    parts = [f"float32(one_hot({feature.name}))" for feature in categories]
    if numbers:
        stacked = f"stack([{', '.join(feature.name for feature in numbers)}], dim=1) -> Standardize"
        stacked = f"float32({stacked})" if large else stacked
        if not parts:
            yield f"  output {x} = {stacked}"
            return
        own = _free("numbers", {feature.name for feature in (*numbers, *categories)} | {x})
        yield f"  {own} = {stacked}"
        parts = [own, *parts]
    yield f"  output {x} = {parts[0]}" if len(parts) == 1 else f"  output {x} = concat({', '.join(parts)}, dim=1)"


def width(plan: Plan) -> int:
    """How many numbers a row becomes."""
    return sum(
        1 if feature.kind.what == "numbers" else len(feature.kind.texts) + feature.kind.unknown for feature in plan.features
    )


def _network(plan: Plan, name: str) -> Iterator[str]:
    hidden = "  h = x -> repeat width in hidden { Linear(width) -> ReLU }"
    if plan.classes is not None:
        yield f"network {name}(hidden: [int] = [64, 32]) {{"
        yield f"  input x: float32[N, {width(plan)}]"
        yield hidden
        yield f"  output logits: float32[N, {len(plan.classes)}] = h -> Linear({len(plan.classes)})"
    else:
        yield "# Values lie around `center`, within some `scale`: the last layer computes in this unit."
        yield f"network {name}(hidden: [int] = [64, 32], center: float = {plan.center!r}, scale: float = {plan.scale!r}) {{"
        yield f"  input x: float32[N, {width(plan)}]"
        yield hidden
        yield "  output value: float32[N] = center + scale * (h -> Linear(1) -> squeeze(1))"
    yield "}"


def _training(plan: Plan, names: dict[str, str], columns: Collection[str]) -> Iterator[str]:
    x = _free("x", columns)
    target = f"table.{plan.target}"
    if plan.classes is not None:
        yield f"train {names['Model']} {{"
        yield f"  data table = {names['Table']}"
        yield f"  logits = {names['Net']}(table.{x})"
        yield f"  minimize cross_entropy(logits, {target})"
        yield f"  measure accuracy(logits, {target}), f1(logits, {target})"
    else:
        yield f"train {names['Model']}(scale: float = {plan.scale!r}) {{"
        yield f"  data table = {names['Table']}"
        yield f"  layer net = {names['Net']}(scale=scale)"
        yield f"  value = net(table.{x})"
        yield f"  minimize mse_loss(value / scale, {target} / scale)"
        yield f"  measure r2(value, {target})"
        yield f"  measure mae = l1_loss(value, {target})"
    found = batches(plan.rows)
    yield "  optimizer AdamW(lr=1e-3)"
    yield f"  batch_size {found.size}"
    yield f"  epochs {found.epochs}"
    yield "  keep_best loss"
    if found.epochs > _PATIENCE:
        yield f"  patience {_PATIENCE}"
    yield "}"


def _literal(value: object) -> str:
    if value is None:
        return "none"
    return json.dumps(value, ensure_ascii=False)
