"""`sweep` items without torch: what they mean, what is wrong with them, and both forms of them."""

from __future__ import annotations

import pytest

from nnspec.checker import Report, check_source
from nnspec.diagnostics import Source
from nnspec.render.resolved_recipes import render_sweep
from nnspec.syntax import parse
from nnspec.syntax.writer import format_file
from nnspec.syntax.yaml_reader import parse_yaml
from nnspec.syntax.yaml_writer import write_yaml

SPEC = """network Net(hidden: int = 32, dropout: float = 0.0, Activation: block = ReLU) {
  input image: float32[N, 1, 8, 8]
  output logits = image -> Flatten -> Linear(hidden) -> Activation -> Dropout(dropout) -> Linear(10)
}
train Digit(lr: float = 0.1, kind: str = "none") {
  data digits = Digits(validation=0.1)
  layer net = Net(dropout=0.1)
  logits = net(digits.image)
  minimize cross_entropy(logits, digits.label)
  measure accuracy(logits, digits.label)
  measure spread = mean(logits)
  optimizer SGD(lr=lr)
  batch_size 32
  epochs 3
}
sweep Digit {
  RANGES
}
"""


def checked(*ranges: str, spec: str = SPEC) -> Report:
    return check_source(Source("model.nn", spec.replace("RANGES", "\n  ".join(ranges))))


def errors(report: Report) -> list[tuple[str, str]]:
    return [(each.code, each.message) for each in report.diagnostics if each.severity == "error"]


def test_what_it_means() -> None:
    report = checked(
        "lr = log(1e-3, 1)", "hidden = uniform(16, 64, step=16)", "Activation = choice(ReLU, GELU)", "batch_size choice(16, 32)",
        "epochs uniform(1, 3)", "precision choice(float32, bfloat16)", "trials 7", "maximize accuracy",
    )  # fmt: skip
    assert errors(report) == []
    sweep = report.sweeps["Digit"]
    assert (sweep.recipe, sweep.trials, sweep.figure, sweep.lower) == ("Digit", 7, "accuracy", False)
    found = {each.name: (each.kind, each.low, each.high, each.step, each.whole, len(each.choices)) for each in sweep.ranges}
    assert found == {
        "lr": ("log", 1e-3, 1, None, False, 0), "hidden": ("uniform", 16, 64, 16, True, 0), "Activation": ("choice", 0, 0, None, False, 2),
        "train.batch_size": ("choice", 0, 0, None, False, 2), "train.epochs": ("uniform", 1, 3, None, True, 0),
        "train.precision": ("choice", 0, 0, None, False, 2),
    }  # fmt: skip


def test_what_is_not_said() -> None:
    sweep = checked("lr = log(1e-3, 1)").sweeps["Digit"]
    assert (sweep.trials, sweep.figure, sweep.lower) == (20, "loss", True)
    kept = checked("lr = log(1e-3, 1)", spec=SPEC.replace("epochs 3", "epochs 3\n  keep_best accuracy")).sweeps["Digit"]
    assert (kept.figure, kept.lower) == ("accuracy", False)
    assert checked("lr = log(1e-3, 1)", "maximize spread").sweeps["Digit"].figure == "spread", (
        "who measures a number says which way"
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("hiden = uniform(1, 2)", "`hiden` is no parameter of `Digit`"),
        ("dropout = uniform(0.0, 0.5)", "`dropout` is no parameter of `Digit`"),
        ("batch_size = choice(1, 2)", "`batch_size` is a setting"),
        ("lr = 0.1", "`lr` needs a range"),
        ("lr = ReLU(1)", "`lr` needs a range"),
        ("lr = log(0, 1)", "a logarithm begins above 0, and `low` is 0"),
        ("lr = log(1, 1)", "`low` has to be less than `high`"),
        ("lr = log(1, 2, step=1)", "`log` has no `step`"),
        ("lr = uniform(1)", "`uniform` needs `low` and `high`"),
        ("lr = uniform(1, 2, 3)", "`uniform` takes `low`, `high` and perhaps `step`"),
        ("lr = uniform(1, low=2)", "`uniform` takes `low`, `high` and perhaps `step`"),
        ("lr = uniform(0, 1, step=2)", "`step` lies between 0 and the width of the range"),
        ("lr = uniform(0, \"1\")", "`high` is a number"),
        ("hidden = uniform(16, 32.5)", "`high` is a whole number"),
        ("hidden = choice(16, 32.5)", "`hidden` is int, and a choice is"),
        ("hidden = choice(16)", "`choice` needs at least two values"),
        ("hidden = choice(16, 16)", "`choice` needs at least two values, each once"),
        ("hidden = choice(a=16, b=32)", "`choice` takes values alone"),
        ("Activation = uniform(1, 2)", "`Activation` is no number"),
        ("precision uniform(1, 2)", "`precision` is no number"),
        ("precision choice(float32, float8)", "`precision` is tried with"),
        ("batch_size choice(0, 32)", "`batch_size` is tried with 0"),
        ("batch_size uniform(0, 32)", "`batch_size` is tried with 0"),
        ("batch_size uniform(1, 32) uniform(1, 32)", ""),
        ("keep_best choice(loss, accuracy)", "`keep_best` cannot be tried"),
        ("lr = log(1e-3, 1)\n  lr = log(1e-2, 1)", "`lr` has two ranges"),
        ("lr = log(1e-3, 1)\n  trials 0", "`trials` is a whole number of at least 1"),
        ("lr = log(1e-3, 1)\n  trials many", ""),
        ("lr = log(1e-3, 1)\n  trials 3\n  trials 4", "`trials` is given twice"),
        ("lr = log(1e-3, 1)\n  maximize loss", "of `loss` less is better"),
        ("lr = log(1e-3, 1)\n  minimize accuracy", "of `accuracy` more is better"),
        ("lr = log(1e-3, 1)\n  maximize acuracy", "`acuracy` is not measured by `Digit`"),
        ("lr = log(1e-3, 1)\n  maximize accuracy\n  minimize loss", "a sweep has one figure"),
        ("lr = log(1e-3, 1)\n  trails 3", "`trails` is not a statement of a sweep"),
        ("trials 3", "a sweep needs a range"),
        ("lr = log(nothing, 1)", "nothing"),
        ("lr, hidden = log(1, 2)", "a range is written"),
    ],
)  # fmt: skip
def test_what_is_wrong(line: str, said: str) -> None:
    report = checked(line)
    found = errors(report)
    assert found
    assert report.sweeps == {}
    assert "Digit" in report.recipes, "the recipe itself is sound"
    assert said in found[0][1]


def test_whose_sweep() -> None:
    assert errors(checked("lr = log(1, 2)", spec=SPEC.replace("sweep Digit", "sweep Digits"))) == [
        ("NN414", "no recipe is called `Digits`")
    ]
    assert errors(checked("lr = log(1, 2)", spec=SPEC.replace("sweep Digit", "sweep Digit(a: int)"))) != []
    twice = SPEC + "sweep Digit { hidden = choice(1, 2) }\n"
    assert errors(checked("lr = log(1, 2)", spec=twice)) == [("NN108", "there are two sweeps of `Digit`")]
    broken = checked("lr = log(1, 2)", spec=SPEC.replace("Linear(10)", "Linaer(10)"))
    assert [code for code, _ in errors(broken)] == ["NN103"], "what is wrong with the recipe is said once"


def test_steps_have_no_single_loss() -> None:
    steps = SPEC.replace("  minimize cross_entropy(logits, digits.label)\n", "").replace(
        "  optimizer SGD(lr=lr)\n",
        "  step a {\n    minimize cross_entropy(logits, digits.label)\n    update net\n    optimizer SGD(lr=lr)\n  }\n",
    )
    assert errors(checked("lr = log(1, 2)", spec=steps)) == [("NN414", "a recipe with steps has no single loss to judge by")]
    assert checked("lr = log(1, 2)", "maximize accuracy", spec=steps).sweeps["Digit"].figure == "accuracy"


def test_both_forms() -> None:
    text = SPEC.replace("RANGES", "lr = log(1e-3, 1)  # the rate\n  batch_size choice(16, 32)\n  trials 7\n  maximize accuracy")
    tree, findings = parse(Source("model.nn", text))
    assert not findings
    yaml = write_yaml(tree)
    assert "sweep Digit:" in yaml
    assert "\n  trials: 7" in yaml
    again, findings = parse_yaml(Source("model.yaml", yaml))
    assert not findings
    assert format_file(again) == format_file(tree)
    sweep = check_source(Source("model.yaml", yaml)).sweeps["Digit"]
    assert [each.name for each in sweep.ranges] == ["lr", "train.batch_size"]


def test_parameters_that_are_set_from_outside_reach_the_recipe() -> None:
    """`--set hidden=64` means the network that is trained, unless the recipe says itself what its parameter is."""
    report = check_source(Source("model.nn", SPEC.partition("sweep")[0]), settings={"hidden": 48, "dropout": 0.3, "lr": 0.5})
    assert errors(report) == []
    parameters = report.recipes["Digit"].instances["net"].parameters
    assert (parameters["hidden"], parameters["dropout"]) == (48, 0.1)
    assert report.recipes["Digit"].instances["net"].variants["training"].weights["logits.1.weight"].dims == (48, 64)


def test_written_out() -> None:
    sweep = checked("lr = log(1e-3, 1)", "Activation = choice(ReLU, GELU)", "batch_size uniform(8, 64, step=8)").sweeps["Digit"]
    text = render_sweep(sweep)
    assert text == (
        "sweep Digit {\n  lr = log(0.001, 1)\n  Activation = choice(ReLU, GELU)\n"
        "  batch_size uniform(8, 64, step=8)\n  trials 20\n  minimize loss\n}"
    )
    again = checked(spec=SPEC.partition("sweep Digit")[0] + text).sweeps["Digit"]
    assert render_sweep(again) == text
