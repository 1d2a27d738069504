"""The language reference says what is so: its tables are those of the code, its names of weights come out, nothing is left out.

`tests/test_mdtest.py` checks its examples.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import mdtest_runner
import pytest
from mdtest_runner import Block, Case

from nnspec.checker import Report, check_source, parse
from nnspec.diagnostics import Source
from nnspec.graph import behaviours, blocks, budgets
from nnspec.graph import limits as building
from nnspec.operators import FAMILIES
from nnspec.recipes import agents
from nnspec.recipes import statements as recipe_run
from nnspec.recipes.settings import SETTINGS
from nnspec.syntax import limits, tree
from nnspec.syntax.layout import RESERVED
from nnspec.syntax.node import Node, same_tree
from nnspec.syntax.numbers import UNITS
from nnspec.syntax.writer import format_file
from nnspec.types import DTYPES

PAGE = Path(__file__).resolve().parent.parent / "grammar/README.md"
TEXT = PAGE.read_text(encoding="utf-8")
CASES = {case.name.rpartition(" / ")[2]: case for case in mdtest_runner.cases(PAGE)}
#: What makes a statement: at the top level, in a network, in a recipe, in data.
ITEM_WORDS = {"network", "block", "data", "train", "agent", "ensure", "use", "spec"}
DATA_WORDS = {"column", "split", "output"}


def specs(case: Case) -> Iterator[tuple[Block, str]]:
    """The examples of a case in the `.nn` form, as a user would write them."""
    for block in case.blocks:
        if block.language == "nn":
            yield block, mdtest_runner.without_assertions(mdtest_runner.wrapped(block.text))


def parsed(text: str) -> tree.File:
    file, findings = parse(Source("example.nn", text))
    assert not findings
    return file


def nodes(root: Node) -> Iterator[Node]:
    pending = [root]
    while pending:
        node = pending.pop()
        yield node
        pending.extend(node.children())


def section(heading: str) -> str:
    """What stands under a heading, in one line, without its examples."""
    body = TEXT.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return " ".join(re.sub(r"```.*?```", "", body, flags=re.DOTALL).split())


def table(heading: str, first: str) -> dict[str, str]:
    """The rows of the table under a heading whose first column has this title."""
    body = TEXT.split(f"\n## {heading}\n")[1].split(f"\n| {first} |")[1].split("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in body.split("\n")[2:]]
    return {row[0].strip("`"): row[1] for row in rows}


def words(text: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`]+)`", text)


# --- names of weights -------------------------------------------------------------------------------------------------------


def keyed() -> Iterator[tuple[str, str, str]]:
    """Examples whose names of weights are listed below them: the heading, the spec, the list."""
    for heading, case in CASES.items():
        for spec, listed in zip(case.blocks, case.blocks[1:], strict=False):
            if listed.language == "keys":
                yield heading, mdtest_runner.without_assertions(spec.text), listed.text


KEYED = pytest.mark.parametrize(("spec", "listed"), [pytest.param(spec, listed, id=name) for name, spec, listed in keyed()])


def checked(spec: str) -> Report:
    return check_source(Source("example.nn", spec))


@KEYED
def test_names_and_shapes_of_weights(spec: str, listed: str) -> None:
    report = checked(spec)
    entries = report.networks[report.default_network or ""].weights.values()
    assert [f"{entry.path} {list(entry.dims)}" for entry in entries] == listed.split("\n")


@KEYED
@pytest.mark.torch
def test_names_of_weights_are_state_dict_keys(spec: str, listed: str) -> None:
    from nnspec.torch_backend.compile import compile_graph

    report = checked(spec)
    state = compile_graph(report.graph(training=True)).state_dict()
    assert sorted(f"{key} {list(value.shape)}" for key, value in state.items()) == sorted(listed.split("\n"))


def test_several_sections_list_names_of_weights() -> None:
    assert {"Names of weights", "Sharing", "Weights of one's own", "Recurrences"} <= {name for name, _, _ in keyed()}


# --- both forms ---------------------------------------------------------------------------------------------------------------


def test_the_two_forms_are_one_tree() -> None:
    left, right = CASES["Two forms"].blocks
    twin, findings = parse(Source("example.yaml", right.text + "\n"))
    assert not findings
    assert same_tree(parsed(left.text + "\n"), twin, comments=True)


#: Whole specs among the examples, but those that show other ways to write.
WHOLE = [
    pytest.param(text, id=f"{heading}:{block.line}")
    for heading, case in CASES.items()
    for block, text in specs(case)
    if text == mdtest_runner.without_assertions(block.text) + "\n" and heading != "Lines"
]


@pytest.mark.parametrize("text", WHOLE)
def test_examples_are_in_the_canonical_format(text: str) -> None:
    assert format_file(parsed(text)) == text


# --- what the text says without an example ----------------------------------------------------------------------------------------


def test_later_outputs_of_a_repetition_are_lists() -> None:
    report = checked(
        "block Part {\n  input x: float32[N, 8]\n  output y = x -> Linear(8)\n  output size = mean(y)\n}\n"
        "network Whole {\n  input x: float32[N, 8]\n  r = x -> repeat 3 { Part }\n  output y = r -> ReLU\n"
        "  output sizes = stack(r.size)\n  output last = r.size[2]\n}\n"
    )
    assert not report.findings
    assert [str(value.type) for value in report.networks["Whole"].outputs.values()] == [
        "float32[N, 8]",
        "float32[3]",
        "float32[]",
    ]


def test_a_block_that_nothing_uses_is_not_checked() -> None:
    assert not checked("block Part {\n  input x: float32[N, 8]\n  output x -> Linaer(8)\n}\n").findings


def test_a_maker_is_completed_and_not_contradicted() -> None:
    text = "network A(Norm: block = GroupNorm(4)) {\n  input x: float32[N, 8]\n  output y = x -> Norm(ARGUMENT)\n}\n"
    assert not checked(text.replace("ARGUMENT", "eps=1e-3")).findings
    assert [each.code for each in checked(text.replace("ARGUMENT", "num_groups=2")).findings] == ["NN105"]


# --- tables and lists ----------------------------------------------------------------------------------------------------------


def test_settings() -> None:
    assert table("Recipes", "setting") == {word: setting.doc for word, setting in SETTINGS.items()}


def test_statements_of_a_recipe() -> None:
    listed = {entry.partition(" ")[0] for entry in words(" ".join(table("Recipes", "statement")))}
    listed |= {entry.partition(" ")[0] for entry in table("Recipes", "statement")}
    assert set(recipe_run._WORDS) <= listed


def test_limits() -> None:
    values = (
        limits.SOURCE_LIMIT, limits.TOKEN_LIMIT, limits.NAME_LIMIT, limits.DIGIT_LIMIT, limits.FINDING_LIMIT,
        building.MAX_COPIES, building.MAX_DEPTH, building.MAX_NODES, building.MAX_WORK,
    )  # fmt: skip
    assert list(table("Limits", "limit").values()) == [f"{value:,}" for value in values]


def test_reserved_words() -> None:
    listed = next(entry for entry in words(section("Lines")) if entry.startswith("and "))
    assert listed.split() == sorted(word.lower() for word in RESERVED)


def test_element_types() -> None:
    assert words(section("Types").split("Element types are")[1].split(". ")[0]) == list(DTYPES)


def test_units() -> None:
    numbers = words(section("Numbers").split("with a unit")[1].split("binary")[0])
    assert {re.sub(r"[\d.]", "", number) for number in numbers} == set(UNITS)


def test_schedules() -> None:
    named = set(words(section("Recipes")))
    assert set(FAMILIES["schedule"]) <= named


def test_claims() -> None:
    assert table("Claims", "quantity") == budgets.QUANTITIES
    assert list(table("Claims", "behaviour")) == list(behaviours.BEHAVIOURS.values())


def test_what_is_not_run_yet() -> None:
    text = section("Not run yet")
    assert set(agents._LATER) - {"sample"} <= set(words(text))


# --- nothing is left out --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shown() -> list[Node]:
    return [node for case in CASES.values() for _, text in specs(case) for node in nodes(parsed(text))]


def test_every_construct_has_an_example(shown: list[Node]) -> None:
    constructs = {
        kind.__name__
        for kind in vars(tree).values()
        if isinstance(kind, type) and issubclass(kind, Node) and kind not in (Node, tree.Expression, tree.Broken)
    }
    assert constructs - {type(node).__name__ for node in shown} == set()


def test_every_statement_has_an_example(shown: list[Node]) -> None:
    known = {*blocks.WORDS, *recipe_run._WORDS, *DATA_WORDS, "override"}
    used = {node.word.id for node in shown if isinstance(node, tree.Statement) and node.word is not None}
    assert known <= used


def test_every_item_has_an_example(shown: list[Node]) -> None:
    used = {node.word.id for node in shown if isinstance(node, tree.Item)}
    used |= {"use" for node in shown if isinstance(node, tree.Use)} | {"spec" for node in shown if isinstance(node, tree.Version)}
    assert used >= ITEM_WORDS


def test_every_operator_of_the_language_has_an_example_or_is_listed(shown: list[Node]) -> None:
    used = {sign for node in shown if isinstance(node, tree.Operation) for sign in node.operators}
    named = set(" ".join(words(section("Arrows"))).split())
    assert {"+", "-", "*", "/", "//", "%", "**", "@", "and", "or", "not"} <= used | named
