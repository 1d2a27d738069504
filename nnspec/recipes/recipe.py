"""A recipe after its text has been understood: what is computed, minimized, measured and updated. No torch."""

from __future__ import annotations

from typing import Any

from nnspec.diagnostics import Span
from nnspec.graph.ir import Graph, Node
from nnspec.graph.selections import Selection
from nnspec.operators.declare import Operator
from nnspec.records import field, record
from nnspec.types import TensorType


@record(frozen=True)
class Column:
    """A column of a table: its element type ("float32", "int64", "str", "category"), its categories or number of classes,
    and what fills its gaps."""

    name: str
    dtype: str
    categories: tuple[str, ...] = ()
    classes: int | None = None
    default: Any = None
    #: The shape of one sample's value; empty for a number. Only arrays have shapes.
    dims: tuple[int, ...] = ()


@record(frozen=True)
class DataSource:
    """`data digits = MNIST()`: the source's operator with its settings, and the types of its fields, by name."""

    name: str
    operator: Operator
    fields: dict[str, TensorType]
    span: Span
    #: `split (train=0.8, test=0.2, stratify="kind", seed=0)` by name, empty where none is written.
    split: dict[str, Any] = field(default_factory=dict)
    #: `column Age: float32` by name, in order, for tables.
    columns: dict[str, Column] = field(default_factory=dict)
    #: What the body of a `data` item computes: from the columns or the source's own fields to `fields`. For `Generated` it has
    #: no inputs, and its batch is all the samples.
    graph: Graph | None = None


@record(frozen=True)
class Tracking:
    """`track(q, every=500)`, `track(q, decay=0.995)`: a copy of an instance that no step trains. Each so many updates it becomes what the
    other is; or after each update, weights and running statistics move towards it, w = decay * w + (1 - decay) * theirs."""

    follows: str
    every: int
    decay: float | None = None


@record(frozen=True)
class Instance:
    """One set of weights of a network. `variants` are its graphs by key: "" for inference, "training", "training+noise", ..."""

    name: str
    network: str
    parameters: dict[str, Any]
    variants: dict[str, Graph]
    span: Span
    tracking: Tracking | None = None


@record(frozen=True)
class Metric:
    """`measure accuracy(a, b)`: `operator` is the metric, fed over all samples with the evaluation outputs "metric.NAME.FIELD";
    or None for an expression, whose output "metric.NAME" is averaged, each batch weighted by its samples."""

    name: str
    operator: Operator | None
    span: Span

    @property
    def lower_is_better(self) -> bool:
        """Whether a smaller figure is the better one, as of every plain expression."""
        return self.operator is None or self.operator.lower_is_better


@record(frozen=True)
class Override:
    """`override weight_decay = 0 where rank < 2`, inside an optimizer's body."""

    settings: dict[str, Any]
    selection: Selection | None
    span: Span


@record(frozen=True)
class OptimizerSetting:
    """`optimizer SGD(lr=0.01) { override ... }`"""

    operator: Operator
    overrides: tuple[Override, ...]
    span: Span


@record(frozen=True)
class Step:
    """One update: what it minimizes, of which networks, and how.

    `name` is "" for the only step of a recipe that writes none; then `updates` is empty, and every network that the loss reaches is
    updated. `loss` names the output of the recipe's training graph. The step runs in each `every`th iteration; `nodes` are computed
    anew when it does, all others once an iteration, before the first step that reads them (decision A14).
    """

    name: str
    loss: str
    updates: tuple[str, ...]
    optimizer: OptimizerSetting
    every: int
    nodes: frozenset[Node]
    span: Span


@record(frozen=True)
class Solved:
    """`solved mean_return(100) >= 475`: acting ends as soon as the last so many episodes brought that much on average."""

    episodes: int
    least: float
    span: Span


@record(frozen=True)
class Acting:
    """How an agent comes to its data: the environment and where steps are kept, by name with their operators; how it explores.

    What it decides is the recipe's evaluation graph: from "ENVIRONMENT.observation" to the output "action".
    """

    environment: DataSource
    memory: DataSource
    exploration: Operator | None
    solved: Solved | None
    span: Span


@record(frozen=True)
class Recipe:
    """What is trained on which data, in one step or several.

    `training` and `evaluation` are graphs whose inputs are "SOURCE.FIELD" and whose nodes call the instances; the outputs are the
    losses of the steps (training) and the metrics' (evaluation, and training where they can be had). `settings` holds the statements
    with one value by name: epochs, steps, batch_size, seed, clip_grad_norm, clip_grad_value, patience, keep_best, drop_last,
    precision, measure_every. An agent has `acting`; its only source is its memory.
    """

    name: str
    sources: dict[str, DataSource]
    instances: dict[str, Instance]
    training: Graph
    evaluation: Graph
    metrics: tuple[Metric, ...]
    steps: tuple[Step, ...]
    settings: dict[str, Any]
    span: Span
    parameters: dict[str, Any] = field(default_factory=dict)
    #: Schedules that the loss computes with, by the graph input ("schedule.0") that brings their value of the step.
    schedules: dict[str, Operator] = field(default_factory=dict)
    #: Where settings stand in the text, by name.
    places: dict[str, Span] = field(default_factory=dict)
    acting: Acting | None = None

    @property
    def optimizer(self) -> OptimizerSetting:
        """The optimizer of a recipe with one step."""
        return self.steps[0].optimizer
