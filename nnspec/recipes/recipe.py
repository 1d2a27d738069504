"""A recipe after its text has been understood: what is computed, minimized, measured and updated. No torch."""

from __future__ import annotations

from typing import Any

from nnspec.diagnostics import Span
from nnspec.graph.ir import Graph, Node
from nnspec.graph.selections import Selection
from nnspec.graph.texts import FittedText
from nnspec.operators.declare import Operator
from nnspec.records import field, record
from nnspec.types import TensorType


@record(frozen=True)
class Column:
    """A column of a table: its element type ("float32", "int64", "str", "category"), its categories or number of classes,
    and what fills its gaps: a value, or the "mean", "median" or "mode" of the training part."""

    name: str
    dtype: str
    categories: tuple[str, ...] = ()
    classes: int | None = None
    default: Any = None
    #: The shape of one sample's value; empty for a number. Only arrays have shapes.
    dims: tuple[int, ...] = ()
    fill: str | None = None
    #: Whether a text that is none of the categories has a class of its own, the last.
    unknown: bool = False


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
    #: The same in training. What it draws is drawn anew for each batch, and `if training` has chosen otherwise.
    training: Graph | None = None
    #: The texts that tokenizers are fitted to, by name.
    texts: dict[str, FittedText] = field(default_factory=dict)
    #: Into how many folds the samples are divided, and which of them is the test part.
    folds: tuple[int, int] | None = None

    @property
    def is_graph(self) -> bool:
        """Whether it is one whole graph, which has no samples."""
        return bool(getattr(self.operator, "nodes_of_part", None))


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
class ChosenWeights:
    """Weights of an instance: those below a part ("bert.embeddings", "" for all), and of these the selected ones."""

    instance: str
    part: str
    selection: Selection | None
    span: Span

    @property
    def text(self) -> str:
        """As it is written: `model.bert where rank == 2`."""
        named = ".".join(each for each in (self.instance, self.part) if each)
        return named if self.selection is None else f"{named} where {self.selection.text}"

    def holds(self, path: str) -> bool:
        """Whether a state-dict key lies below the part."""
        return not self.part or path == self.part or path.startswith(self.part + ".")

    def chooses(self, path: str, rank: int, operator: str) -> bool:
        """Whether the weight with this key, number of axes and owning operator is one of them."""
        return self.holds(path) and (self.selection is None or self.selection.matches(path, rank, operator))


@record(frozen=True)
class Load:
    """`load model.bert from ...`: first weights from the run or file at `path`, or from the newest run of a recipe of the spec: its name, its
    network, and the part of that."""

    weights: ChosenWeights
    path: str
    recipe: tuple[str, str, str] | None
    span: Span

    @property
    def text(self) -> str:
        """As it is written: `model.bert from Pretrain.lm.bert`."""
        named, _, condition = self.weights.text.partition(" where ")
        source = ".".join(each for each in self.recipe if each) if self.recipe is not None else f'"{self.path}"'
        return f"{named} from {source}" + (f" where {condition}" if condition else "")


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
    with one value by name: epochs, steps, batch_size, seed, clip_grad_norm, clip_grad_value, ema, patience, keep_best, drop_last,
    workers, precision, memory_format, activation_checkpointing, fused_loss, cuda_graphs, parallel, on_nan, folds, fold, measure_every. An agent
    has `acting`; its only source is its memory.
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
    #: Weights that are not updated, and those that come from elsewhere at first.
    frozen: tuple[ChosenWeights, ...] = ()
    loads: tuple[Load, ...] = ()
    acting: Acting | None = None

    @property
    def optimizer(self) -> OptimizerSetting:
        """The optimizer of a recipe with one step."""
        return self.steps[0].optimizer
