"""Every operator that is put as ONNX computes in ONNX Runtime what it does in torch; what is not covered says why."""

from __future__ import annotations

import re
from typing import Any

import numpy
import pytest
import torch
from torch import Tensor

from nnspec.checker import check_source
from nnspec.diagnostics import Source
from nnspec.engines.onnx_model import NotCovered, OnnxWriter
from nnspec.engines.onnx_operators import RULES
from nnspec.graph.ir import Graph
from nnspec.passes.admissible import admissible_sizes
from nnspec.torch_backend.compile import optimized
from nnspec.torch_backend.example_inputs import inputs_at
from nnspec.torch_backend.lower import lower

pytestmark = pytest.mark.torch
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

#: x is (N, 4, 8, 6), y the same, z (N, 10, 8), s (N, 4, 20), k indices below 5 (N, 7), f (N, 6).
EXPRESSIONS = """
f -> Linear(3); f -> Linear(3, bias=false); z -> Linear(5); z -> Linear(5, bias=false)
x -> Conv2d(6, 3); x -> Conv2d(6, [2, 3], stride=2, padding=[1, 0], dilation=2, bias=false); x -> Conv2d(8, 3, groups=2, padding="same")
x -> Conv2d(8, 4, padding="same"); x -> Conv2d(8, 2, padding="valid"); s -> Conv1d(6, 3, padding=1); x -> ConvTranspose2d(6, 3)
x -> ConvTranspose2d(6, 3, stride=2, padding=1, output_padding=1, groups=2); s -> ConvTranspose1d(3, 4, stride=2, bias=false)
unsqueeze(x, 2) -> Conv3d(3, [1, 3, 3]); unsqueeze(x, 2) -> ConvTranspose3d(3, [1, 2, 2])
x -> BatchNorm2d; s -> BatchNorm1d(affine=false); unsqueeze(x, 2) -> BatchNorm3d; f -> BatchNorm1d(eps=0.1)
x -> InstanceNorm2d; x -> InstanceNorm2d(affine=true); s -> InstanceNorm1d; unsqueeze(x, 2) -> InstanceNorm3d
z -> LayerNorm; z -> LayerNorm(bias=false, eps=0.01); z -> LayerNorm(elementwise_affine=false); x -> LayerNorm
k -> Embedding(5, 3); k -> Embedding(5, 3, padding_idx=0); z -> AddPositions(12)
z -> SelfAttention(2, keep=z[:, :, 0] > 0); z -> SelfAttention(2, causal=true, keep=z[:, :, 0] > 0); z -> SelfAttention(2, keep=z[:, :, 0] > 9)
z -> CrossAttention(2, memory=z[:, :4], keep=z[:, :4, 1] > 0); scaled_dot_product_attention(x, x, y, keep=(x @ transpose(y, 2, 3))[:, 0] > 0)
x > y; x >= 0.5; x < y; x <= 0.5; mean(z, dim=1, keep=z[:, :, 0] > 0); mean(z, dim=1, keepdim=true, keep=z > 9); mean(z, keep=z > 0)
z -> SelfAttention(2); z -> SelfAttention(4, causal=true, bias=false); z -> CrossAttention(2, memory=z[:, :4])
scaled_dot_product_attention(x, x, y); scaled_dot_product_attention(x, y, y, is_causal=true); scaled_dot_product_attention(x, y, y, scale=0.2)
(z -> LSTM(5)).last; (z -> LSTM(5, num_layers=2, bidirectional=true)).output; (z -> LSTM(5, num_layers=2, bias=false)).c_n
(z -> LSTM(5, bidirectional=true)).last; (z -> GRU(5)).last; (z -> GRU(5, num_layers=2, bidirectional=true)).output; (z -> GRU(5)).h_n
(z -> RNN(5)).last; (z -> RNN(5, nonlinearity="relu", bidirectional=true)).output
x -> ReLU; relu(x); x -> Sigmoid; sigmoid(x); x -> Tanh; tanh(x); x -> SiLU; silu(x); x -> GELU; gelu(x, approximate="tanh")
x -> LeakyReLU(0.3); leaky_relu(x); x -> ELU(0.7); elu(x); x -> ReLU6; relu6(4 * x); x -> Hardtanh(-0.5, 0.25); hardtanh(x); x -> Hardswish
hardswish(x); x -> Hardsigmoid; hardsigmoid(x); x -> Softmax(1); softmax(x, -1); x -> LogSoftmax(1); log_softmax(x, dim=2)
exp(x); log(abs(x) + 1); sqrt(abs(x)); sin(x); cos(x); x -> Identity
x + y; x + 1; 2 - x; x - y[:, :1]; x * y; 0.5 * x; x / (abs(y) + 1); x / 4; x @ transpose(y, 2, 3)
x -> Flatten; flatten(x, 1, 2); f -> Unflatten(1, [2, 3]); unflatten(x, 1, [2, 2]); reshape(x, [N, 2, 96]); squeeze(x[:, :1], 1); unsqueeze(x, 0)
transpose(x, 1, 3); transpose(x, -1, -2); permute(x, [0, 2, 3, 1]); expand(x[:, :1], [N, 4, 8, 6])
concat(x, y, dim=1); concat(x, y, x, dim=-1); x[:, 0]; x[:, -1, 2:7:2]; x[..., :-2]; x[0]; x[:, none, 1:]
center_crop(x, 4); center_crop(x, 5); x -> ReflectionPad2d(2); x -> ReflectionPad2d([1, 0, 2, 3]); s -> ReflectionPad1d(3)
pad(x, [1, 2]); pad(x, [0, 1, 2, 0], value=0.5); pad(x, [1, 1, 2, 2], mode="reflect"); pad(x, [1, 1, 0, 2], mode="replicate")
x -> MaxPool2d(2); x -> MaxPool2d(3, stride=1, padding=1); x -> MaxPool2d(3, stride=2, dilation=2, ceil_mode=true); s -> MaxPool1d(2)
x -> AvgPool2d(2); x -> AvgPool2d(3, padding=1); x -> AvgPool2d(3, padding=1, count_include_pad=false); s -> AvgPool1d(4)
x -> AdaptiveAvgPool2d(1); x -> AdaptiveAvgPool2d([4, 2]); s -> AdaptiveAvgPool1d(1)
mean(x, dim=1); mean(x, dim=[2, 3], keepdim=true); mean(x); sum(x, dim=1); sum(x)
x -> Upsample(scale_factor=2); x -> Upsample(size=[12, 9]); s -> Upsample(scale_factor=3)
"""
LIST = [text.strip() for line in EXPRESSIONS.strip().split("\n") for text in line.split("; ")]


def graph_of(expression: str) -> Graph:
    inputs = {
        "x": "x: float32[N, 4, 8, 6]", "y": "y: float32[N, 4, 8, 6]", "z": "z: float32[N, 10, 8]", "s": "s: float32[N, 4, 20]",
        "k": "k: index(5)[N, 7]", "f": "f: float32[N, 6]",
    }  # fmt: skip
    read = [text for name, text in inputs.items() if re.search(rf"(?<![\w.]){name}(?!\w)", expression)]
    lines = "\n".join(f"  input {text}" for text in read)
    report = check_source(Source("t.nn", f"network Net {{\n{lines}\n  output out = {expression}\n}}\n"))
    assert report.ok, [finding.message for finding in report.findings]
    return optimized(report.graph("Net"), "inference").graph


def written(graph: Graph) -> tuple[bytes, tuple[Tensor, ...], Tensor]:
    """The model, inputs, and what torch makes of them."""
    sizes = admissible_sizes(graph, {"N": 3})
    module = lower(graph, seed=0).eval()
    generator = torch.Generator().manual_seed(1)
    state: dict[str, Tensor] = {}
    for name, value in module.state_dict().items():
        drawn = torch.rand(value.shape, generator=generator)
        state[name] = drawn + 0.5 if name.endswith("running_var") else drawn - 0.5 if value.is_floating_point() else value
    module.load_state_dict(state)
    inputs = tuple(inputs_at(graph, sizes, 3).values())
    with torch.no_grad():
        return OnnxWriter(graph, sizes, state).model(), inputs, module(*inputs)


def by_onnxruntime(model: bytes, inputs: tuple[Tensor, ...]) -> Any:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return session.run(None, {f"input_{place}": each.numpy() for place, each in enumerate(inputs)})[0]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even")
@pytest.mark.parametrize("expression", LIST)
def test_it_computes_what_torch_does(expression: str) -> None:
    model, inputs, expected = written(graph_of(expression))
    found = by_onnxruntime(model, inputs)
    assert found.shape == tuple(expected.shape)
    torch.testing.assert_close(torch.from_numpy(found), expected, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("expression", ["k != 2", "k == 2", "k == k[:, :1]", "x != y", "k[:, 1:] != 0"])
def test_comparisons(expression: str) -> None:
    model, inputs, expected = written(graph_of(expression))
    assert numpy.array_equal(by_onnxruntime(model, inputs), expected.numpy())


def test_every_rule_is_tried() -> None:
    met = {node.operator.name for each in LIST for node in graph_of(each).nodes}
    met |= {"eq", "ne", "Identity"}  # compared above; identities are removed before
    assert set(RULES) - met == set()


@pytest.mark.parametrize(("expression", "why"), [
    ("x -> Softplus", "`Softplus` has no counterpart in ONNX here"),
    ("x -> Conv2d(3, 3, padding=1, padding_mode=\"reflect\")", "`Conv2d` pads with other things than zeros"),
    ("x -> BatchNorm2d(track_running_stats=false)", "`BatchNorm2d` uses the statistics of the batch"),
    ("x -> AdaptiveAvgPool2d(3)", "`AdaptiveAvgPool2d` has windows of several sizes"),
    ("x -> LayerNorm([8, 6])", "`LayerNorm` normalizes several axes"),
    ("scaled_dot_product_attention(x, x, y, attn_mask=x @ transpose(y, 2, 3) > 0)",
     "`scaled_dot_product_attention` has an `attn_mask` that comes with the data"),
    ("x -> Upsample(scale_factor=2, mode=\"bilinear\")", "`Upsample` enlarges in the mode bilinear"),
    ("(z -> LSTM(4, proj_size=2)).last", "`LSTM` with lengths, first states or a projection"),
    ("float64(x)", "`float64` has no counterpart in ONNX here"),
    ("k + 0.5", "`add` of int64 and a number gives float32"),
])  # fmt: skip
def test_what_is_not_covered_says_why(expression: str, why: str) -> None:
    with pytest.raises(NotCovered) as caught:
        written(graph_of(expression))
    assert str(caught.value) == why


def test_checks_of_values_stay_in_torch() -> None:
    text = "network Net { input k: int64[N] where k >= 1\n output y = float32(k) }"
    report = check_source(Source("t.nn", text))
    assert report.ok
    with pytest.raises(NotCovered, match="values of its inputs are checked"):
        written(report.graph("Net"))
