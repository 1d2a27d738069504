"""What the keys and values of the YAML form mean, each beside the `.nn` text that says the same."""

from __future__ import annotations

import pytest
from yaml_trees import as_nn, body, read_yaml

from nnspec.diagnostics import Source
from nnspec.syntax import tree
from nnspec.syntax.yaml_reader import parse_yaml

EXAMPLE = """
spec: 1
network SimpleCNN:
  params: {classes: int = 10}
  input image: float32[N, 1, 28, 28]
  features:
    - image
    - {Conv2d: 20, kernel_size: 5}
    - ReLU
    - MaxPool2d: 2
  output logits:
    type: float32[N, classes]
    value: [features, Flatten, {Linear: 500}, ReLU, {Linear: classes}]
"""

EXPERTS = """
block Experts:
  params: {hidden: int, experts: int = 8, active: int = 2}
  input x: {type: "float32[N, T, D]", where: [active <= experts]}
  score: [x, {Linear: experts, bias: false, as: gate}]
  best: topk(score, active, dim=2)
  share: scatter(zeros_like(score), 2, best.indices, softmax(best.values, dim=2))
  said: stack([x -> SwiGLU(hidden) as "experts.{e}" for e in range(experts)], dim=3)
  output: sum(said * unsqueeze(share, 2), dim=3)
"""


def test_the_first_example() -> None:
    assert as_nn(EXAMPLE) == (
        "spec 1\n\n"
        "network SimpleCNN(classes: int = 10) {\n"
        "  input image: float32[N, 1, 28, 28]\n"
        "  features = image -> Conv2d(20, kernel_size=5) -> ReLU -> MaxPool2d(2)\n"
        "  output logits: float32[N, classes] = features -> Flatten -> Linear(500) -> ReLU -> Linear(classes)\n"
        "}\n"
    )


def test_a_block_with_conditions_and_paths() -> None:
    lines = as_nn(EXPERTS).split("\n")
    assert lines[1] == "  input x: float32[N, T, D] where active <= experts"
    assert lines[2] == "  score = x -> Linear(experts, bias=false) as gate"
    assert lines[5] == '  said = stack([x -> SwiGLU(hidden) as "experts.{e}" for e in range(experts)], dim=3)'


@pytest.mark.parametrize(
    ("yaml", "nn"),
    [
        ("h: x", "h = x"),
        ("f, g: split(x)", "f, g = split(x)"),
        ("epochs: 10", "epochs 10"),
        ("epochs =: 10", "epochs = 10"),
        ("unheard: {values: [10]}", "unheard 10"),
        ("measure: {values: [a, b]}", "measure a, b"),
        ("output y: a", "output y = a"),
        ("output: y", "output y"),
        ("output: {each: [y, z]}", "output y\noutput z"),
        ("init: {each: [{value: zeros, where: rank == 1}, ones]}", "init zeros where rank == 1\ninit ones"),
        ("input a, b: T", "input a, b: T"),
        ("input a: {type: T, value: none}", "input a: T = none"),
        ("input a: [x, A]", "input a = x -> A"),
        ("step critic: {with: {update: G}}", "step critic { update G }"),
        ("step critic(every=5): {with: {update: G}}", "step critic(every=5) { update G }"),
        ("load: {value: m.bert, from: P.lm}", "load m.bert from P.lm"),
        ("freeze: {values: [a.b, c], where: 'named(\"x.*\")'}", 'freeze a.b, c where named("x.*")'),
        ("layer f: {Linear: [3, 4]}", "layer f = Linear(3, 4)"),
        ("layer f: [{Linear: 3}, ReLU]", "layer f = Linear(3) -> ReLU"),
    ],
)
def test_statements(yaml: str, nn: str) -> None:
    assert body(yaml).split("\n") == nn.split("\n")


@pytest.mark.parametrize(
    ("step", "nn"),
    [
        ("ReLU", "ReLU"),
        ("Norm as bn1", "Norm as bn1"),
        ("{Norm: , as: bn1}", "Norm as bn1"),
        ("{Norm: [], as: bn1}", "Norm() as bn1"),
        ("{Linear: 4}", "Linear(4)"),
        ("{Linear: 4 * width}", "Linear(4 * width)"),
        ("{Conv2d: [64, 7], stride: 2, as: conv1}", "Conv2d(64, 7, stride=2) as conv1"),
        ("{Conv2d: [8, [3, 5]], padding: '\"same\"'}", 'Conv2d(8, [3, 5], padding="same")'),
        ("{LSTM: 64, take: .last, as: rnn}", "LSTM(64).last as rnn"),
        ("{vae.decoder: 3}", "vae.decoder(3)"),
        ("{SelfAttention: [], causal: true}", "SelfAttention(causal=true)"),
        ("{A: none}", "A(none)"),
        ("{A: {B: 3}}", "A(B(3))"),
        ("{repeat: depth - 1, do: [A, B]}", "repeat depth - 1 { A -> B }"),
        ("{repeat: w in widths, do: [{Linear: w}], as: h}", "repeat w in widths { Linear(w) } as h"),
        ("{scan: , do: [{Cell: 3}], reverse: true}", "scan(reverse=true) { Cell(3) }"),
        ("{if: a != 1, do: [A]}", "if a != 1 { A }"),
        ("{group: , do: [A, B], as: downsample.0}", "(A -> B) as downsample.0"),
        ("{A: 1, as: '\"layer{i}\"'}", 'A(1) as "layer{i}"'),
        ('"A(1)"', "A(1)"),
    ],
)
def test_steps(step: str, nn: str) -> None:
    assert body(f"h: [x, {step}]") == f"h = x -> {nn}"


@pytest.mark.parametrize(
    ("text", "nn"),
    [
        ("1e-4", "1e-4"),
        ("20K", "20K"),
        ("no", "no"),
        ("on", "on"),
        ("1:30", None),
        ("true", "true"),
        ("none", "none"),
        ("0777", "0777"),
        ("2020-13-45", "2020 - 13 - 45"),
        ('"a + b"', "a + b"),
        ("'\"same\"'", '"same"'),
        ("'\"it''s\"'", '"it\'s"'),
        ('"\\"two\\\\nlines\\""', '"two\\nlines"'),
        ('"[1, 2]"', "[1, 2]"),
        ("|\n    a\n      + b", "a + b"),
        (">-\n    a\n    + b", "a + b"),
        ("a\n    + b", "a + b"),
    ],
)
def test_scalars_are_expressions_whatever_yaml_thinks_they_are(text: str, nn: str | None) -> None:
    if nn is None:
        assert parse_yaml(Source("a.yaml", f"network A:\n  h: {text}\n"))[1]
    else:
        assert body(f"h: {text}") == f"h = {nn}"


def test_what_would_not_hold_together_is_put_in_parentheses() -> None:
    assert body("h: [if a then b else c, A]") == "h = (if a then b else c) -> A"
    assert body("h: [a -> B, C]") == "h = (a -> B) -> C"
    assert body("h: [x, {if: a -> B, do: [C]}]") == "h = x -> if (a -> B) { C }"


def test_items() -> None:
    assert as_nn("network B: A(n=3)\nnetwork C: [A(3), ReLU]\nnetwork D: {}\nnetwork E:\n") == (
        "network B = A(n=3)\nnetwork C = A(3) -> ReLU\nnetwork D { }\nnetwork E { }\n"
    )
    assert (
        as_nn('data D: {params: {n: int}, value: CSV("f"), with: {output x: a}}')
        == 'data D(n: int) = CSV("f") { output x = a }\n'
    )
    assert as_nn("data D: {params: {n: int}, value: A(n)}") == "data D(n: int) = A(n)\n"
    assert as_nn("ensure A: [params == 5, causal(x -> y)]\nensure B: params > 1") == (
        "ensure A { params == 5; causal(x -> y) }\nensure B { params > 1 }\n"
    )


def test_a_statement_called_value_beside_others() -> None:
    assert (
        as_nn("network A:\n  params: {a: int}\n  value: x\n  output: y\n") == "network A(a: int) {\n  value = x\n  output y\n}\n"
    )


def test_imports_and_lists_of_mappings() -> None:
    assert as_nn('use: A, B as C from "x.nn"') == 'use A, B as C from "x.nn"\n'
    assert as_nn("use: ['A from \"x.nn\"', 'B from \"y.nn\"']") == 'use A from "x.nn"\nuse B from "y.nn"\n'
    assert as_nn("- network A: B()\n- network A: C()") == "network A = B()\nnetwork A = C()\n"
    twice = "train A:\n  with:\n    - a: x\n      b: y\n    - a: z\n"
    assert as_nn(twice) == "train A {\n  a = x\n  b = y\n  a = z\n}\n"
    assert as_nn("network A: {params: [{a: int}, {a: str}]}") == "network A(a: int, a: str) { }\n"


def test_json_is_a_way_to_write_it() -> None:
    assert as_nn('{"network A": {"input x": "T", "output": ["x", {"Linear": 4}, "ReLU"]}}') == (
        "network A {\n  input x: T\n  output x -> Linear(4) -> ReLU\n}\n"
    )


def test_documentation_is_the_comment_above() -> None:
    assert as_nn("network A:\n  doc: |\n    One.\n\n    Two.\n  output: x\n") == "# One.\n#\n# Two.\nnetwork A { output x }\n"


def test_comments() -> None:
    text = """# file
network A:  # body
  params:
    a: int  # a
    # end of parameters
  # above x
  input x: T  # x
  h:  # h
    - x  # head
    # above B
    - B: 3  # B
    - C
    # end of h
  # end of A
# above ensure
ensure A:
  - a > 0  # claim
# end
"""
    assert (
        as_nn(text)
        == """# file
# end of parameters
network A(
  a: int,  # a
) {  # body
  # above x
  input x: T  # x
  # end of h
  h = x  # head
    # above B
    -> B(3)  # B
    -> C  # h
  # end of A
}

# above ensure
ensure A {
  a > 0  # claim
}

# end
"""
    )


def test_comments_in_a_literal_block_stay_in_the_expression() -> None:
    text = "network A:\n  h: |  # all\n    f(\n      a,  # one\n      # two\n      b\n    )\n  output: h\n"
    assert as_nn(text) == "network A {\n  h = f(\n    a,  # one\n    # two\n    b,\n  )  # all\n  output h\n}\n"


def test_comments_within_brackets_go_above() -> None:
    assert body("h: [x,  # in\n  A]") == "# in\nh = x -> A"


def spans_of(text: str) -> list[tuple[str, str]]:
    """The names of a tree and what stands in the text at their places."""
    found = []
    stack: list[tree.Node] = [read_yaml(text)]
    while stack:
        node = stack.pop()
        if isinstance(node, tree.Name):
            found.append((node.id, node.span.text))
        stack.extend(node.children())
    return found


@pytest.mark.parametrize(
    "text",
    [
        EXAMPLE,
        EXPERTS,
        "'network A':\n  h: 'x + y'\n  g: \"x * y\"\n",
        "network A:\n  h: 'f(x, \"it''s\") + late'\n",
        'network A:\n  h: "f(x, \\"\\u00e9\\") + late"\n',
        "network A:\n  h: |\n    a\n      + b  # c\n  \n  g: x\n    + y\n",
        'use: A, B as C from "x.nn"\nnetwork A: {h: [x, {LSTM: 3, take: .last.more}]}\n',
        "train A:\n  step critic(every=n): {with: {update: G}}\n  f,  g : split(x)\n",
    ],
)
def test_names_stand_where_their_spans_say(text: str) -> None:
    assert all(name == written for name, written in spans_of(text))


def test_a_text_of_several_lines_in_quotes_is_mapped_to_the_whole_of_it() -> None:
    text = 'network A:\n  h: "late\n\n    + \\u0061"\n'
    assert {written for name, written in spans_of(text) if name == "a"} == {text[text.index('"') : text.rindex('"') + 1]}
