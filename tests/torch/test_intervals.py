"""Ranges of values: none that torch computes lies outside of them, and those that matter are as narrow as they can be."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, fx

from nnspec.checker import check_source
from nnspec.diagnostics import Source
from nnspec.graph.interval_rules import RULES
from nnspec.graph.intervals import Assumed, value_range
from nnspec.graph.ir import Graph, Value
from nnspec.torch_backend.example_inputs import random_inputs
from nnspec.torch_backend.lower import lower
from nnspec.torch_backend.origins import VALUE

pytestmark = pytest.mark.torch

#: Of x, which is any number, u in [0, 1], and p in [0.5, 3], each float32[N, 4, 8, 8]; of k: index(5)[N, 4]; and b: bool[N, 4, 8, 8].
#: What stands before => is bound first.
EXPRESSIONS = """
relu(x); relu6(x); leaky_relu(x); leaky_relu(x, -0.5); x -> PReLU; u -> PReLU; elu(x, 2.0); elu(clamp(x, -1, 1), -1.0); selu(x); celu(x, 2.0)
gelu(x); x -> GELU(approximate="tanh"); silu(x); mish(x); hardswish(x); gelu(u); sigmoid(x); logsigmoid(x); tanh(x); softplus(x)
softplus(x, 0.5); softplus(x, 1.0, 0.5); softsign(x); hardtanh(x, -2, 5); hardsigmoid(x); hardshrink(x); softshrink(x, 0.3); tanhshrink(x)
threshold(x, 1.0, -3.0); threshold(u, 2.0, 7.0); softmax(x, 1); softmin(x, 1); x -> Softmax2d; log_softmax(x, 1); glu(u, 1); glu(x, 1)
neg(u); abs(x); abs(u - 0.5); square(x); square(u - 0.25); sign(x); sign(p); exp(u); log(p); log1p(u); sqrt(u); rsqrt(p); sin(x); cos(x)
erf(x); reciprocal(p); reciprocal(-p); floor(p); ceil(p); round(p); round(p, 1); heaviside(x, 0.5); heaviside(u, -2.0); clamp(x, 0, 1)
clamp(x, min=-1); clamp(x, max=2); int64(p); float32(int64(p)); isnan(x); float32(b)
u + p; u - p; 1 - sigmoid(x); u * p; (u - 0.5) * p; x * x; x * p; u / p; x / p; p / u; p // u; u // p; x % 2; u % 2; x % -3; u % p
u ** 2; x ** 2; x ** 3; (u - 1) ** 3; u ** 0.5; p ** -1; 2 ** u; p ** u; maximum(u, p); minimum(x, 1); where(b, u, p); masked_fill(u, b, 9.0)
concat(u, p, dim=1); stack([u, p], dim=0); tril(p); triu(p); pad(p, [1, 1]); pad(p, [1, 1], value=5); pad(p, [1, 1, 1, 1], mode="reflect")
p -> ZeroPad2d(1); p -> ConstantPad2d(1, 4.0); p -> ReflectionPad2d(1); p -> ReplicationPad2d(1); p -> CircularPad2d(1)
p -> Upsample(scale_factor=2); interpolate(p, scale_factor=2, mode="bilinear"); interpolate(u, scale_factor=2, mode="bicubic")
sum(u, dim=1); sum(p - 1, dim=[2, 3]); sum(u); prod(u, dim=1); prod(u - 0.5, dim=1); mean(u, dim=1); mean(p, dim=1, keep=b); amax(p, dim=1)
amin(p); std(x, dim=1); var(x, dim=1); norm(x, dim=1); logsumexp(p, dim=1); all(b, dim=1); any(b); median(p, dim=1).values; cumsum(p - 2, dim=1)
topk(p, 2).values; sort(p, dim=1).values; argmax(x, dim=1); one_hot(k); p @ p; u @ (u - 1); outer(flatten(u), flatten(p))
einsum("nchw,nchw->nc", u, p); p -> MaxPool2d(2); p -> MaxPool2d(3, padding=1); p -> AvgPool2d(3, padding=1); p -> AvgPool2d(2)
p -> AvgPool2d(2, divisor_override=1); p -> AdaptiveAvgPool2d(3); p -> AdaptiveMaxPool2d(3); p -> Flatten; flip(p, 1); roll(p, 1, 2)
p -> ChannelShuffle(2)
tile(p, [1, 2, 1, 1]); repeat_interleave(p, 2, dim=1); p[:, 1]; narrow(p, 1, 1, 2); center_crop(p, 4); p -> PixelShuffle(2)
transpose(p, 1, 2); permute(p, [0, 2, 3, 1]); expand(p[:, 0:1], [N, 4, 8, 8]); p -> Dropout(0.25); detach(p); p -> Identity
zeros_like(x); ones[N]; ones_like(x); full_like(x, 3.0); zeros[N]; full(2.5)[N]; eye(3); arange(5); linspace(3, -1, 7)
uniform(-1, 2)[N, 3]
bernoulli[N, 4]; randint(2, 7)[N]; scaled_dot_product_attention(x, x, p); scaled_dot_product_attention(x, x, p, dropout_p=0.5)
mse_loss(x, u); l1_loss(x, u); smooth_l1_loss(x, u); huber_loss(x, u); binary_cross_entropy(clamp(u, 0.01, 0.99), u)
binary_cross_entropy_with_logits(x, u); cross_entropy(p[:, :, 0, 0], argmax(x, dim=1)[:, 0, 0]); cosine_similarity(x, p)
triplet_margin_loss(x[:, :, 0, 0], u[:, :, 0, 0], p[:, :, 0, 0])
x[:, :, :, 0] -> LSTM(3); x[:, :, :, 0] -> GRU(3); x[:, :, :, 0] -> RNN(3); x[:, :, :, 0] -> RNN(3, nonlinearity="relu")
(x[:, :, :, 0] -> LSTM(3)).h_n; (x[:, :, :, 0] -> LSTM(3, bidirectional=true)).last; (x[:, :, :, 0] -> LSTM(3)).c_n; x[:, :, 0, 0] -> GRUCell(3)
x[:, :, 0, 0] -> LSTMCell(3); x[:, :, 0, 0] -> RNNCell(3); a, c = split(p, 2, dim=1) => a; a, c = chunk(p, 2, dim=1) => c; squeeze(p[:, 0:1], 1)
select(p, 1, 2); movedim(p, 1, 2); index_select(p, 1, arange(3)); pick(p[:, :, 0, 0], k[:, 0] % 4); p -> Dropout2d(0.5); unsqueeze(p, 1)
gather(p[:, :, 0, 0], 1, k % 4); take_along_dim(p[:, :, 0, 0], k % 4, dim=1); reshape(p, [N, 256]); p -> PixelUnshuffle(2)
flatten(p) -> Unflatten(0, [N, 256]); unflatten(p, 1, [2, 2]); float64(p)
"""
LIST = [text.strip() for line in EXPRESSIONS.strip().split("\n") for text in line.split("; ")]


def graph_of(expression: str, *, training: bool = False) -> Graph:
    before, _, after = expression.rpartition(" => ")
    text = f"""
network Net {{
  input w: float32[N, 4, 8, 8]
  input x: float32[N, 4, 8, 8]
  input k: index(5)[N, 4]
  input b: bool[N, 4, 8, 8]
  u = sigmoid(w)
  p = 0.5 + 2.5 * u
  used = sum(p) + sum(x) + sum(float32(k)) + sum(float32(b))
  {before}
  output y = {after}
  output used
}}
"""
    report = check_source(Source("t.nn", text))
    assert report.ok, [(finding.code, finding.message) for finding in report.findings]
    return report.graph("Net", training=training)


class Watcher(fx.Interpreter):
    """Runs a network and looks whether values lie in their ranges."""

    def __init__(self, module: fx.GraphModule, training: bool) -> None:
        super().__init__(module)
        self.known: dict[Value, tuple[float, float]] = {}
        self.assumed = Assumed(training)
        self.outside: list[str] = []

    def run_node(self, n: fx.Node) -> object:
        result = super().run_node(n)
        if VALUE in n.meta and isinstance(result, Tensor) and result.numel():
            low, high = value_range(n.meta[VALUE].value, self.known, self.assumed)
            least, most = float(result.min()), float(result.max())
            room = 1e-5 * max(abs(least), abs(most), 1.0)
            if least < low - room or most > high + room:
                self.outside.append(f"{n.name}: {least} to {most} is outside of {low} to {high}")
        return result


@pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])
@pytest.mark.parametrize("expression", LIST)
def test_no_value_lies_outside_of_its_range(expression: str, training: bool) -> None:
    graph = graph_of(expression, training=training)
    module = lower(graph, seed=0)
    for seed, scale in enumerate((1.0, 10.0, 0.01)):
        inputs = random_inputs(graph, {"N": 3}, seed)
        values = [tensor * scale if tensor.is_floating_point() else tensor for tensor in inputs.values()]
        watcher = Watcher(module, training)
        with torch.no_grad():
            watcher.run(*values)
        assert not watcher.outside


def test_every_rule_is_tried() -> None:
    tried = {
        node.operator.name.replace("_", "").lower()
        for expression in LIST
        for node in graph_of(expression).nodes
    }  # fmt: skip
    three_axes = {name for name in RULES if name.endswith(("1d", "3d"))}
    assert RULES.keys() - three_axes - tried == set()


@pytest.mark.parametrize(
    ("expression", "low", "high"),
    [
        ("sigmoid(x)", 0, 1),
        ("1 - sigmoid(x)", 0, 1),
        ("softmax(x, 1)", 0, 1),
        ("tanh(x)", -1, 1),
        ("0.5 * (tanh(x) + 1)", 0, 1),
        ("relu(x)", 0, math.inf),
        ("relu(x) -> MaxPool2d(2) -> Flatten", 0, math.inf),
        ("clamp(x, -2, 3)", -2, 3),
        ("mean(softmax(x, 1), dim=1)", 0, 1),
        ("sum(u, dim=1)", 0, 4),
        ("u * u - u", -1, 1),
        ("x * x", 0, math.inf),
        ("log_softmax(x, 1)", -math.inf, 0),
        ("argmax(x, dim=1)", 0, 3),
        ("one_hot(k)", 0, 1),
        ("x -> Flatten -> Linear(3)", -math.inf, math.inf),
        ("x -> Flatten -> Linear(3) -> Sigmoid", 0, 1),
        ("randint(2, 7)[N]", 2, 6),
    ],
)
def test_ranges_are_narrow(expression: str, low: float, high: float) -> None:
    assert value_range(graph_of(expression).outputs["y"]) == (low, high)


def test_a_deep_graph_needs_no_deep_stack() -> None:
    layers = " -> ".join(["Linear(4)", "Tanh"] * 3000)
    report = check_source(Source("t.nn", f"network Deep {{\n  input x: float32[N, 4]\n  output y = x -> {layers}\n}}\n"))
    assert value_range(report.graph("Deep").outputs["y"]) == (-1, 1)


def test_whole_numbers_that_do_not_fit_may_be_anything() -> None:
    text = "network Wrapped {\n  input x: uint8[N]\n  output y = x + 10\n}\n"
    assert value_range(check_source(Source("t.nn", text)).graph("Wrapped").outputs["y"]) == (0, 255)
