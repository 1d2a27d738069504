"""`nnspec render` prints a recipe in the order in which it is computed, and names what is computed when."""

from __future__ import annotations

from nnspec.checker import check_source
from nnspec.diagnostics import Source
from nnspec.recipes.order import runs_in, stages
from nnspec.recipes.recipe import Recipe
from nnspec.render.resolved_recipes import render_recipe

SPEC = """
network A { input x: float32[N, 64]; output y: float32[N, 8] = x -> Linear(8) }
network B { input y: float32[N, 8]; output z: float32[N, 1] = y -> Linear(1) }
train Two {
  data digits = Digits(validation=0.2)
  x = flatten(digits.image, 1)
  early = A(x)
  late = B(detach(early))
  only_measured = mean(abs(late))
  step first(every=2) { near = early - 1; minimize mean(near ** 2); update A }
  step second { minimize mean(late ** 2); update B }
  measure size = only_measured
  optimizer SGD(lr=0.1)
  batch_size 32
  epochs 2
}
"""


def recipe(text: str = SPEC) -> Recipe:
    report = check_source(Source("model.nn", text))
    assert not report.diagnostics
    return report.recipes["Two"]


def test_the_order_of_work() -> None:
    lines = [line.split(": float32")[0].strip() for line in render_recipe(recipe()).splitlines()]
    begin = lines.index("# each iteration takes a batch of `digits`")
    assert lines[begin:] == [
        "# each iteration takes a batch of `digits`",
        "# once an iteration, before `first`",
        "x",
        "early",
        "step first(every=2) {",
        "near",
        "pow_2",
        "mean_2",
        "minimize mean_2",
        "update A",
        "optimizer SGD(lr=0.1, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=false, maximize=false)",
        "}",
        "# once an iteration, before `second`",
        "detach_2",
        "late",
        "step second {",
        "pow_3",
        "mean_3",
        "minimize mean_3",
        "update B",
        "optimizer SGD(lr=0.1, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=false, maximize=false)",
        "}",
        "# after the last step, for what is measured on the way",
        "abs_2",
        "only_measured",
        "# in evaluation: the validation part after each epoch, the test part at the end",
        "measure size = only_measured",
        "batch_size 32",
        "epochs 2",
        "}",
    ]


def test_a_step_that_does_not_run_computes_nothing() -> None:
    two = recipe()
    assert [step.name for step in two.steps if runs_in(step, 0)] == ["second"]
    assert [step.name for step in two.steps if runs_in(step, 1)] == ["first", "second"]
    alone, last = stages(two, [two.steps[1]])
    assert [node.operator.name for node in alone.graph.nodes][:3] == ["flatten", "network", "detach"]
    assert "near" not in {value.label for node in alone.graph.nodes for value in node.outputs.values()}
    assert last.step is None
    assert set(alone.graph.outputs) == {"loss.second", "value.0"}
    assert last.carried == ("value.0",)
    assert set(last.graph.outputs) == {"metric.size"}
