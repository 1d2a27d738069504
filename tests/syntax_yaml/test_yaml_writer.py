"""How a tree looks in YAML. That it can be read back is tested here on each text, and on random trees in `properties`."""

from __future__ import annotations

import pytest
from yaml_trees import as_nn, as_yaml, read_nn, read_yaml

from nnspec.syntax import tree
from nnspec.syntax.node import Comments, same_tree
from nnspec.syntax.writer import format_file
from nnspec.syntax.yaml_words import WORDS
from nnspec.syntax.yaml_writer import write_yaml
from nnspec.syntax.yaml_writer_blocks import scalar


def body(text: str) -> str:
    lines = as_yaml("network A {\n" + text + "\nlast = x\n}").rstrip("\n").split("\n")
    assert lines[0] == "network A:"
    assert lines[-1] == "  last: x"
    return "\n".join(line[2:] for line in lines[1:-1])


def test_a_first_spec() -> None:
    text = """# The two-convolution digit classifier.
network SimpleCNN(classes: int = 10) {
  input image: float32[N, 1, 28, 28]
  features = image -> Conv2d(20, kernel_size=5) -> ReLU -> MaxPool2d(2) -> Conv2d(50, kernel_size=5) -> ReLU -> MaxPool2d(2)
  output logits: float32[N, classes] = features -> Flatten -> Linear(500) -> ReLU -> Linear(classes)
}
ensure SimpleCNN { params == 431_080; flops(N=1) <= 5M }
"""
    assert (
        as_yaml(text)
        == """network SimpleCNN:
  doc: The two-convolution digit classifier.
  params: {classes: int = 10}
  input image: float32[N, 1, 28, 28]
  features:
    - image
    - {Conv2d: 20, kernel_size: 5}
    - ReLU
    - MaxPool2d: 2
    - {Conv2d: 50, kernel_size: 5}
    - ReLU
    - MaxPool2d: 2
  output logits:
    type: float32[N, classes]
    value: [features, Flatten, {Linear: 500}, ReLU, {Linear: classes}]

ensure SimpleCNN: [params == 431_080, flops(N=1) <= 5M]
"""
    )


@pytest.mark.parametrize(
    ("nn", "yaml"),
    [
        ("epochs 10", "epochs: 10"),
        ("epochs = 10", "epochs =: 10"),
        ("unheard 10", "unheard:\n  values: [10]"),
        ("measure a, b", "measure:\n  values: [a, b]"),
        ("output a\noutput b", "output: {each: [a, b]}"),
        ("init zeros where rank == 1\ninit ones", "init:\n  each:\n    - value: zeros\n      where: rank == 1\n    - ones"),
        ("a, b: T = f(x)", "a, b:\n  type: T\n  value: f(x)"),
        ("input a = x", "input a:\n  value: x"),
        ("state h: T", "state h:\n  type: T"),
        ("step g(every=5) { update G }", "step g(every=5):\n  with:\n    update: G"),
        ("widths = [1, 2]", 'widths: "[1, 2]"'),
        ('h = "a"', "h: '\"a\"'"),
        ("h = x[:, 0]", "h: x[:, 0]"),
        ("h = [x]", 'h: "[x]"'),
        ("h = -x", "h: -x"),
        ("h = x -> take(1)", "h: [x, take(1)]"),
        ("h = x -> A(do=1)", "h: [x, A(do=1)]"),
        ("h = x -> A(b=1, b=2)", 'h: [x, "A(b=1, b=2)"]'),
        ("h = x -> A(b=1, 2)", 'h: [x, "A(b=1, 2)"]'),
        ("h = x -> Pad([1, 2], [[3]])", "h: [x, {Pad: [[1, 2], [[3]]]}]"),
        ("h = x -> Pad([1, 2])", "h: [x, {Pad: [[1, 2]]}]"),
        ("load m from P.lm", "load:\n  value: m\n  from: P.lm"),
        ('input x: T where D % 8 == 0, "by 8", T', "input x:\n  type: T\n  where: ['D % 8 == 0, \"by 8\"', T]"),
    ],
)
def test_statements(nn: str, yaml: str) -> None:
    assert body(nn) == yaml


@pytest.mark.parametrize("name", ["doc", "params", "with"])
def test_statements_that_are_called_like_parts_of_an_item(name: str) -> None:
    assert as_yaml(f"network A {{ {name} = x; output y }}") == f"network A:\n  with:\n    {name}: x\n    output: y\n"


def test_a_statement_called_value() -> None:
    assert as_yaml("network A { value = x }") == "network A:\n  with:\n    value: x\n"
    assert as_yaml("network A { value = x; output y }") == "network A:\n  value: x\n  output: y\n"


def test_keys_that_stand_twice_with_others_between() -> None:
    assert as_yaml("train A { a = x; b = y; a = z }") == "train A:\n  with:\n    - a: x\n      b: y\n    - a: z\n"
    assert (
        as_yaml("network A = B()\nnetwork C = B()\nnetwork A = B()")
        == "- network A: B()\n\n- network C: B()\n\n- network A: B()\n"
    )


def test_imports_share_a_key() -> None:
    assert as_yaml('use A from "a.nn"\nuse B as C from "b.nn"') == 'use:\n  - A from "a.nn"\n  - B as C from "b.nn"\n'


def test_comments_keep_their_places() -> None:
    text = """# above
block A(
  n: int,  # n
) {  # open
  # x
  input x: T  # type
  h = x  # head
    # B
    -> B(n)  # step
    -> repeat n {
      # first
      C
      # end of repeat
    }
  y = f(
    a,  # argument
    # inside
  )
  # end
}  # close
"""
    assert (
        as_yaml(text)
        == """block A:  # close
  doc: above
  params:
    n: int  # n
  with:  # open
    # x
    input x: T  # type
    h:
      - x  # head
      # B
      - B: n  # step
      - repeat: n
        do:
          # first
          - C
          # end of repeat
    y: |
      f(
        a,  # argument
        # inside
      )
    # end
"""
    )


def test_comments_on_any_node_are_kept() -> None:
    file = read_nn(
        'network A(n: int = 3) {\n h: T[N] = x[1:] -> F(a, b=2).c as c.0 -> repeat 2 { A } from y where z, "m"\n}\nensure A { b }'
    )
    stack: list[tree.Node] = [file]
    count = 0
    while stack:
        node = stack.pop()
        count += 1
        node.comments = Comments((f"# above {count}.",), f"# behind {count}.", (f"# in {count}.",))
        stack.extend(node.children())
    twin = write_yaml(file)
    missing = [f"{word} {i}." for word in ("above", "behind", "in") for i in range(1, count + 1) if f"{word} {i}." not in twin]
    assert missing == []
    assert same_tree(file, read_yaml(twin))


def test_the_words_stay_words() -> None:
    """Dropping one would change what existing YAML means."""
    for word in ("input", "output", "init", "minimize", "measure", "optimizer", "epochs", "batch_size", "steps", "update"):
        assert word in WORDS


def test_every_setting_of_a_recipe_is_a_word() -> None:
    from nnspec.recipes.settings import SETTINGS

    assert set(SETTINGS) <= WORDS


def test_texts_for_people() -> None:
    assert as_nn(as_yaml("network A { h = .5 }")) == format_file(read_nn("network A { h = 0.5 }"))


@pytest.mark.parametrize(
    ("text", "block", "brackets"),
    [
        ("a", "a", "a"),
        ("a, b", "a, b", '"a, b"'),
        ("f(x)[0]", "f(x)[0]", '"f(x)[0]"'),
        ("a: b", '"a: b"', '"a: b"'),
        ("a:b", "a:b", '"a:b"'),
        ("a #b", '"a #b"', '"a #b"'),
        ("-x", "-x", "-x"),
        ("- x", '"- x"', '"- x"'),
        ("[x]", '"[x]"', '"[x]"'),
        ('"x"', "'\"x\"'", "'\"x\"'"),
        ("it's", "it's", "it's"),
        ("", '""', '""'),
        ("a\x85\u2028\U0001f600", '"a\\x85\\u2028\U0001f600"', '"a\\x85\\u2028\U0001f600"'),
    ],
)
def test_quotes_where_they_are_needed(text: str, block: str, brackets: str) -> None:
    import yaml

    assert scalar(text, in_brackets=False) == block
    assert scalar(text, in_brackets=True) == brackets
    assert yaml.load(f"k: {block}", Loader=yaml.BaseLoader) == {"k": text}
    assert yaml.load(f"[{brackets}, {{k: {brackets}}}]", Loader=yaml.BaseLoader) == [text, {"k": text}]
