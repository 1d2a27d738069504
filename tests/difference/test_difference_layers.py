"""Which layer is which, and what is said of it: one edit gives one change, and not a cascade."""

from __future__ import annotations

import pytest
from difference_pairs import CHAIN, CNN, GPT, MLP, PAIRS, RESNET, UNET, Pair, described, edited, kinds, network, spec_difference

from nnspec.difference.wording import layer_lines, plain

SPECS = {"CNN": CNN, "CHAIN": CHAIN, "GPT": GPT, "UNET": UNET, "RESNET": RESNET, "MLP": MLP}


@pytest.mark.parametrize("text", SPECS.values(), ids=list(SPECS))
def test_a_spec_does_not_differ_from_itself(text: str) -> None:
    found = spec_difference(Pair(text, text))
    assert not found.differs
    assert all(each.fate == "same" for network in found.networks for each in network.weights.all)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("insert_front", {"added": 1, "resized": 1, "renamed": 9}),
        ("rename_as", {"renamed": 1}),
        ("swap", {"moved": 1, "renamed": 2}),
        ("activation_in_copies", {"retyped": 12}),
        ("norm_in_copies", {"retyped": 10}),
        ("widen", {"changed": 12, "resized": 12}),
        ("deeper", {"added": 14}),
        ("condition", {}),
        ("unet_depth", {"added": 11}),
        ("classes", {"changed": 1}),
        ("recipe", {}),
        ("trap", {"added": 2, "renamed": 7}),
    ],
)
def test_one_edit_is_one_change(name: str, expected: dict[str, int]) -> None:
    assert kinds(network(PAIRS[name])) == expected


def lines(pair: Pair) -> list[str]:
    return [f"{line.mark} {plain(line.words)}" for line in layer_lines(network(pair).layers)]


def test_copies_are_said_once() -> None:
    assert lines(PAIRS["activation_in_copies"]) == ['~ h.*.mlp.1 in 12 copies (h.0 to h.11): GELU("tanh") → SiLU']
    assert lines(PAIRS["deeper"]) == [
        "+ layer2.* in 2 copies (layer2.2 to layer2.3): block Basic of 7 layers each, 37,120 parameters in all"
    ]


def test_a_part_that_was_renamed_is_said_once() -> None:
    found = lines(edited(RESNET, ('"layer{i + 1}.', '"stage{i + 1}.')))
    assert found == ["= layer1 is called stage1 now (12 layers)", "= layer2 is called stage2 now (14 layers)"]


def test_a_function_that_was_put_in_is_no_rewiring() -> None:
    pair = edited(MLP, ("-> ReLU -> Linear(10)", "-> relu -> ReLU -> Linear(10)"))
    assert kinds(network(pair)) == {"added": 1}


TWO = """network Two {
  input x: float32[N, 16]
  q = x -> Linear(8)
  k = x -> Linear(8)
  v = x -> Linear(8)
  output y = q * k + v
}
"""


def test_lines_in_another_order_mean_the_same() -> None:
    pair = edited(TWO, ("  q = x -> Linear(8)\n  k = x -> Linear(8)\n", "  k = x -> Linear(8)\n  q = x -> Linear(8)\n"))
    found = network(pair)
    assert (found.status, found.layers.reordered) == ("same", 1)


def test_operands_in_another_order_mean_the_same() -> None:
    assert network(edited(TWO, ("q * k + v", "v + k * q"))).status == "same"


def test_operands_of_a_difference_do_not() -> None:
    found = network(edited(TWO.replace("q * k + v", "q - k"), ("q - k", "k - q")))
    assert kinds(found) == {"rewired": 1}


def test_inputs_that_changed() -> None:
    assert lines(edited(TWO, ("q * k + v", "q * v + k"))) == [
        "~ mul (line 6): reads v instead of k",
        "~ add (line 6): reads k instead of v",
    ]
    assert "~ v, Linear: reads k instead of input x" in lines(edited(TWO, ("v = x", "v = k")))


def test_another_function_in_its_place() -> None:
    assert lines(edited(TWO, ("q * k + v", "q * k - v"))) == ["~ add → sub (line 6)"]


def test_another_layer_in_its_place() -> None:
    assert lines(edited(CHAIN, ("AdaptiveAvgPool2d(1)", "MaxPool2d(32)"))) == ["~ 6: AdaptiveAvgPool2d(1) → MaxPool2d(32)"]


SHARED = """network Shared {
  input x: float32[N, 16]
  layer enc = Linear(16)
  output y = enc(x) -> relu -> enc -> Linear(4) as fc
}
"""


def test_shared_layers_count_their_uses() -> None:
    more = network(edited(SHARED, ("-> enc ->", "-> enc -> relu -> enc ->")))
    assert kinds(more) == {"added": 1, "shared": 1}
    assert not more.weights.of("added")
    less = network(edited(SHARED, ("-> enc ->", "-> Linear(16) as second ->")))
    assert kinds(less) == {"added": 1, "shared": 1}
    assert [weight.after for weight in less.weights.of("added")] == ["second.weight", "second.bias"]


SCAN = """block Cell(hidden: int) {
  input x: float32[N, D]
  state h: float32[N, hidden] = zeros
  new = tanh((x -> Linear(hidden) as ih) + (h -> Linear(hidden, bias=false) as hh))
  next h = new
  output new
}
network Recurrent {
  input x: float32[N, T, 8]
  output y = x -> scan { Cell(16) } as rnn -> Linear(2) as fc
}
"""


def test_bodies_of_scans_are_looked_into() -> None:
    assert lines(edited(SCAN, ("tanh", "relu"))) == ["~ tanh → relu in rnn (line 4)"]
    assert lines(edited(SCAN, ("scan {", "scan(reverse=true) {"))) == ["~ rnn, scan: reverse false → true"]
    assert "~ rnn, scan: its next.h is tanh in rnn instead of" not in lines(Pair(SCAN, SCAN))
    rewired = lines(edited(SCAN, ("next h = new", "next h = x -> Linear(hidden)")))
    assert "~ rnn, scan: its next.h is rnn.h instead of tanh in rnn" in rewired


OWN = """network Own {
  input x: float32[N, 16]
  param scale: float32[16] = ones
  buffer shift: float32[16] = arange(16) * 1.0
  init normal(std=0.02) where rank == 2
  output y = x * scale + shift -> Linear(4) as fc
}
"""


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("= ones", "= zeros", "~ scale, param: first values ones() → zeros()"),
        ("* 1.0", "* 2.0", "~ shift, buffer: value arange(end=16), mul(other=1.0) → arange(end=16), mul(other=2.0)"),
        ("scale", "gain", "= scale is called gain now"),
        ("std=0.02", "std=0.01", "~ fc, Linear: first values of weight normal(std=0.02) → normal(std=0.01)"),
    ],
)
def test_weights_of_ones_own(old: str, new: str, line: str) -> None:
    assert lines(edited(OWN, (old, new))) == [line]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Conv2d(16, 3, padding=1)", "Conv2d(16, [3, 3], padding=[1, 1])"),
        ("Conv2d(32, 3, padding=1)", "Conv2d(32, 3, padding=1, in_channels=16)"),
        ("Linear(10)", "Linear(10, bias=true, in_features=32)"),
        ("N, 3, 32, 32", "B, 3, 32, 32"),
        ("network", "# a comment\nnetwork"),
    ],
)
def test_other_words_for_the_same(old: str, new: str) -> None:
    assert not spec_difference(edited(CHAIN, (old, new))).differs


def test_a_stride_that_is_the_window() -> None:
    assert not spec_difference(edited(CNN, ("MaxPool2d(2)", "MaxPool2d(2, stride=2)"))).differs


def test_inputs_and_outputs_by_another_name() -> None:
    found = network(edited(TWO, ("input x", "input tokens"), ("= x ->", "= tokens ->"), ("output y", "output score")))
    assert [(each.name, each.before, each.after) for each in (*found.inputs, *found.outputs)] == [
        ("tokens", "x", "tokens"),
        ("score", "y", "score"),
    ]
    assert not found.layers


VAE = """network VAE(latent: int = 20) {
  input x: float32[N, 784]
  input noise: float32[N, latent] = none
  h = if training then x -> Dropout(0.2) as drop else x
  mu = h -> Linear(latent)
  logvar = h -> Linear(latent)
  output z = if given(noise) then mu + exp(0.5 * logvar) * noise else mu
  output logvar
}
"""


def test_what_shows_only_in_training_or_with_optional_inputs() -> None:
    drop = network(edited(VAE, ("0.2", "0.5")))
    assert not drop.layers
    assert [described(change)[3] for change in drop.variants["in training"].layers.changes] == [(("p", "0.2", "0.5"),)]
    noise = network(edited(VAE, ("exp(0.5", "exp(0.7")))
    assert list(noise.variants) == ["with noise"]
    gone = network(
        edited(
            VAE,
            ("  input noise: float32[N, latent] = none\n", ""),
            ("if given(noise) then mu + exp(0.5 * logvar) * noise else mu", "mu"),
        )
    )
    assert [each.name for each in gone.variants["with noise"].inputs] == ["noise"]
    both = network(edited(VAE, ("Linear(latent)", "Linear(latent, bias=false)")))
    assert not both.variants, "what the plain graph shows is not said again"


def test_renumbered_layers_may_be_changed_as_well() -> None:
    found = network(edited(CHAIN, ("x\n    -> Conv2d(16", "x -> BatchNorm2d\n    -> Conv2d(24")))
    assert kinds(found) == {"added": 1, "changed": 1, "resized": 2, "renamed": 9}


BRANCHES = """block Part(deep: bool = false, width: int = 3, extra: int = 0) {
  input x: float32[N, D] where D >= 4
  output x -> if deep { Linear(8) -> ReLU } -> repeat extra { Linear(width) } -> Linear(width)
}
network A {
  input x: float32[N, 16]
  output y = x -> Part
}
"""


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("Linear(8)", "Linear(9)", ("-Linear(8) -> ReLU", "+Linear(9) -> ReLU")),
        ("{ Linear(width) }", "{ ReLU }", ("-Linear(width)", "+ReLU")),
    ],
)
def test_what_the_parameters_do_not_build_is_compared_by_its_text(old: str, new: str, changed: tuple[str, ...]) -> None:
    found = spec_difference(edited(BRANCHES, (old, new)))
    (item,) = found.items
    assert (item.what, item.name, item.status, item.lines) == ("block", "Part", "branch", changed)
    assert found.networks[0].status == "same"


def test_a_branch_that_is_taken_now_is_said_once() -> None:
    found = spec_difference(edited(BRANCHES, ("deep: bool = false", "deep: bool = true")))
    assert found.items == ()
    assert kinds(found.networks[0])["added"] == 2


def test_other_words_are_told() -> None:
    assert spec_difference(edited(BRANCHES, ("D >= 4", "D >= 8"))).reworded == ("block Part",)
    assert spec_difference(Pair(BRANCHES, "# a comment\n" + BRANCHES)).reworded == ()


def test_a_block_that_nothing_uses_is_compared_by_its_text() -> None:
    unused = "block Unused(width: int) {\n  input x: float32[N, D]\n  output x -> Linear(width)\n}\n"
    found = spec_difference(edited(CNN + unused, ("x -> Linear(width)", "x -> Linear(width) -> ReLU")))
    (item,) = found.items
    assert (item.what, item.status) == ("block", "changed")
    assert item.lines == (
        "   input x: float32[N, D]",
        "-  output x -> Linear(width)",
        "+  output x -> Linear(width) -> ReLU",
        " }",
    )
    assert not spec_difference(Pair(CNN, CNN + unused)).differs, "and means nothing where it came or went"


def test_networks_come_go_and_are_renamed() -> None:
    renamed = spec_difference(edited(TWO, ("network Two", "network Second")))
    assert [(each.before, each.after, each.status) for each in renamed.networks] == [("Two", "Second", "renamed")]
    other = spec_difference(Pair(TWO, MLP))
    assert other.networks == ()
    assert [(item.what, item.name, item.status) for item in other.items] == [
        ("network", "MLP", "added"),
        ("network", "Two", "removed"),
    ]
    both = spec_difference(Pair(TWO, TWO + MLP))
    assert [(item.name, item.status) for item in both.items] == [("MLP", "added")]
    assert both.networks[0].status == "same"
