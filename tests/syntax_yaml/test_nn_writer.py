"""The canonical format, case by case; that it loses nothing is tested in `properties/test_roundtrip.py`."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
from yaml_trees import read_nn

from nnspec.diagnostics import Source, Span
from nnspec.syntax import parse, tree
from nnspec.syntax.node import Comments
from nnspec.syntax.writer import LostCommentError, comments_of, format_expression, format_file, format_item, format_statement
from nnspec.syntax.writer_document import layout

NOWHERE = Span(Source("a.nn", ""), 0, 0)


def formatted(text: str, width: int = 100) -> str:
    out = format_file(read_nn(text), width)
    assert format_file(read_nn(out), width) == out
    return out


def statement(text: str, width: int = 60) -> str:
    lines = formatted("network A {\n" + text + "\nlast = x\n}", width).split("\n")
    return "\n".join(line[2:] for line in lines[1:-3])


def test_an_empty_file_is_empty() -> None:
    assert formatted("\n\n") == ""


def test_a_file_of_comments() -> None:
    assert formatted("# a\n\n#b  \n") == "# a\n#b\n"


def test_semicolons_become_lines_and_half_numbers_get_a_zero() -> None:
    assert statement("a = .5 ; b=  1_000.50") == "a = 0.5\nb = 1_000.50"


def test_alignment_goes() -> None:
    assert (
        statement("input x:    T\ninput noise: T   # why\noptimizer   Adam()")
        == "input x: T\ninput noise: T  # why\noptimizer Adam()"
    )


def test_one_blank_line_between_items_and_none_between_short_neighbours_of_a_word() -> None:
    text = 'use A from "a.nn"\nuse B from "b.nn"\nnetwork C = A()\nnetwork D = A()\nnetwork E { output x\noutput y }\nnetwork F = A()'
    expected = (
        'use A from "a.nn"\nuse B from "b.nn"\n\nnetwork C = A()\nnetwork D = A()\n\nnetwork E {\n  output x\n  output y\n}\n\n'
        "network F = A()\n"
    )
    assert formatted(text) == expected


def test_a_comment_above_an_item_sets_it_apart() -> None:
    assert formatted("network C = A()\n# the other\nnetwork D = A()") == "network C = A()\n\n# the other\nnetwork D = A()\n"


def test_a_body_of_one_statement_may_be_one_line() -> None:
    assert formatted("sample V {\n output image = z -> G\n}") == "sample V { output image = z -> G }\n"
    assert formatted("network A { }") == "network A { }\n"


def test_a_body_of_two_statements_is_not() -> None:
    assert formatted("network A { a = x; output a }") == "network A {\n  a = x\n  output a\n}\n"


def test_claims_are_one_line_if_they_fit() -> None:
    assert formatted("ensure A { params == 5\n flops(N=1) <= 5M }") == "ensure A { params == 5; flops(N=1) <= 5M }\n"
    assert formatted("ensure A { params == 5\n flops(N=1) <= 5M }", 30) == "ensure A {\n  params == 5\n  flops(N=1) <= 5M\n}\n"


def test_a_claim_that_begins_with_a_sign_keeps_its_semicolon() -> None:
    assert formatted("ensure A { parameters == 5; -x < 0 }", 30) == "ensure A {\n  parameters == 5;\n  -x < 0\n}\n"


def test_steps_without_arguments_stay_on_the_line_of_the_step_before() -> None:
    text = "main = x -> Conv2d(width, 1, bias=false) as conv1 -> BatchNorm2d as bn1 -> ReLU -> Conv2d(width, 3)"
    expected = "main = x\n  -> Conv2d(width, 1, bias=false) as conv1\n  -> BatchNorm2d as bn1 -> ReLU\n  -> Conv2d(width, 3)"
    assert statement(text, 50) == expected


def test_many_such_steps_fill_lines() -> None:
    out = statement("h = x" + " -> ReLU" * 30)
    assert max(map(len, out.split("\n"))) <= 58


def test_calls_break_into_a_line_for_each_argument() -> None:
    expected = 'data text = TextWindows(\n  "input.txt",\n  length=25,\n  tokenizer=Characters(),\n)'
    assert statement('data text = TextWindows("input.txt", length=25, tokenizer=Characters())') == expected


def test_parameters_break_in_the_same_way() -> None:
    text = "network Long(vocab: int = 50257, context: int = 1024, width: int = 768) { output x }"
    expected = "network Long(\n  vocab: int = 50257,\n  context: int = 1024,\n  width: int = 768,\n) {\n  output x\n}\n"
    assert formatted(text, 60) == expected


def test_sums_break_before_the_operator() -> None:
    text = "minimize reconstruction_of(image) + weight * divergence(mu, logvar)"
    assert statement(text, 40) == "minimize reconstruction_of(image)\n  + weight * divergence(mu, logvar)"


def test_choices_break_before_else() -> None:
    text = "skip = if stride == 1 and C == width then x else if deep then y -> A(1) else x -> Conv2d(width, 1)"
    expected = "skip = if stride == 1 and C == width then x\n  else if deep then y -> A(1)\n  else x -> Conv2d(width, 1)"
    assert statement(text) == expected


def test_what_breaks_within_a_branch_stands_further_right_than_else() -> None:
    text = "q = if duelling then value_of(state) + advantage_of(state, action) else advantage_of(state)"
    expected = "q = if duelling then value_of(state)\n    + advantage_of(state, action)\n  else advantage_of(state)"
    assert statement(text, 45) == expected


def test_conditions_go_to_the_next_line_then_to_lines_of_their_own() -> None:
    text = 'input image: float32[N, 3, H, W] where H % 16 == 0, W % 16 == 0, "by 16"'
    assert statement(text, 60) == 'input image: float32[N, 3, H, W]\n  where H % 16 == 0, W % 16 == 0, "by 16"'
    assert statement(text, 40) == 'input image: float32[N, 3, H, W]\n  where H % 16 == 0,\n    W % 16 == 0, "by 16"'


def test_steps_in_braces_and_parentheses() -> None:
    text = "h = x -> repeat width in widths { Linear(width) -> BatchNorm -> Dropout(0.5) } as h -> (A(1) -> B(2)) as downsample.0"
    expected = (
        "h = x\n  -> repeat width in widths {\n    Linear(width) -> BatchNorm\n      -> Dropout(0.5)\n  } as h\n"
        "  -> (A(1) -> B(2)) as downsample.0"
    )
    assert statement(text, 40) == expected.replace(
        "    Linear(width) -> BatchNorm\n", "    Linear(width)\n      -> BatchNorm\n", 1
    )


def test_a_broken_call_with_a_body() -> None:
    text = "optimizer AdamW(lr=piecewise(a, b), weight_decay=0.1) { override weight_decay = 0 where rank < 2 }"
    assert statement(text, 70) == (
        "optimizer AdamW(lr=piecewise(a, b), weight_decay=0.1) {\n  override weight_decay = 0 where rank < 2\n}"
    )


def test_strings_are_escaped() -> None:
    assert statement(r'a = "tab\t line\n quote\" slash\\ é"') == r'a = "tab\t line\n quote\" slash\\ é"'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("h = f(a, # first\n b)", "h = f(\n  a,  # first\n  b,\n)"),
        ("h = f(\n# above\na)", "h = f(\n  # above\n  a,\n)"),
        ("h = f(a\n# end\n)", "h = f(\n  a,\n  # end\n)"),
        ("h = f(\n# nothing\n)", "h = f(\n  # nothing\n)"),
        ("h = x # head\n -> A # step\n -> B(1)", "h = x  # head\n  -> A  # step\n  -> B(1)"),
        ("h = x\n# above\n-> A\n-> B", "h = x\n  # above\n  -> A -> B"),
        ("h = if c then a # yes\nelse b # no", "h = if c then a  # yes\n  else b  # no"),
        ('input x: T where a, # one\n b, "m" # two', 'input x: T\n  where a,  # one\n    b, "m"  # two'),
        ("step a { # open\n update b\n# end\n} # close", "step a {  # open\n  update b\n  # end\n}  # close"),
        ("h = x -> repeat 2 { # first\n A }", "h = x\n  -> repeat 2 {\n    # first\n    A\n  }"),
        ("h = (a # moves up\n + b)", "# moves up\nh = (a + b)"),
    ],
)
def test_comments(text: str, expected: str) -> None:
    assert statement(text, 80) == expected


def test_comments_have_no_width() -> None:
    assert statement("h = f(a, b)  # " + "long " * 30, 30).startswith("h = f(a, b)  # long")


def test_a_tree_without_the_parentheses_that_it_needs() -> None:
    name = tree.Name(NOWHERE, "x")
    total = tree.Operation(NOWHERE, ("+",), (name, name))
    product = tree.Operation(NOWHERE, ("*",), (total, name))
    assert format_expression(product) == "(x + x) * x"
    chain = tree.Pipeline(NOWHERE, name, (name,))
    assert format_expression(tree.Call(NOWHERE, tree.Member(NOWHERE, chain, name), ())) == "(x -> x).x()"
    assert (
        format_expression(tree.Pipeline(NOWHERE, tree.Conditional(NOWHERE, name, name, name), (name,)))
        == "(if x then x else x) -> x"
    )


def test_comments_on_any_node_are_kept() -> None:
    file = read_nn('network A(n: int = 3) {\n h: T[N] = x[1:] -> F(a, b=2) as c.0 from y where z, "m"\n}')
    stack: list[tree.Node] = [file]
    count = 0
    while stack:
        node = stack.pop()
        count += 1
        node.comments = Comments((f"# above {count}",), f"# behind {count}", (f"# in {count}",))
        stack.extend(node.children())
    out = format_file(file)
    assert sum(out.count(word) for word in ("# above", "# behind", "# in")) == 3 * count
    again, findings = parse(Source("a.nn", out))
    assert not findings
    assert len(comments_of(again)) >= count


def test_a_lost_comment_is_an_internal_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnspec.syntax.writer.layout", lambda doc, width: (layout(doc, width)[0], []))
    with pytest.raises(LostCommentError):
        format_file(read_nn("# kept\nspec 1"))


def test_parts_of_a_file() -> None:
    item = read_nn("network A { output x  # why\n }").items[0]
    assert format_item(item) == "network A {\n  output x  # why\n}"
    assert isinstance(item, tree.Item)
    assert isinstance(item.body, tree.Body)
    assert format_statement(item.body.statements[0]) == "output x  # why"


DEEP: dict[str, tuple[int, Callable[[int], str]]] = {
    "groups": (180, lambda n: "(" * n + "x" + ")" * n),
    "lists": (180, lambda n: "[" * n + "x" + "]" * n),
    "calls": (90, lambda n: "f(" * n + "x" + ")" * n),
    "signs": (180, lambda n: "-" * n + "x"),
    "choices": (30, lambda n: "if a then b else " * n + "x"),
    "steps": (55, lambda n: "x -> " + "repeat 2 { " * n + "A" + " }" * n),
    "postfix": (5000, lambda n: "x" + ".y(z)[0]" * n),
    "sum": (5000, lambda n: "x" + " + x" * n),
    "chain": (5000, lambda n: "x" + " -> A(1)" * n),
}


@pytest.mark.parametrize("name", DEEP)
def test_deep_and_long_trees(name: str) -> None:
    count, make = DEEP[name]
    file, findings = parse(Source("a.nn", f"network A {{ output {make(count)} }}"))
    if not findings:
        limit = sys.getrecursionlimit()
        text = format_file(file, 60)
        assert sys.getrecursionlimit() == limit
        assert "".join(text.replace(",", "").split()) == "".join(f"network A {{ output {make(count)} }}".split())
