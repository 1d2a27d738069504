"""What recurrent layers and attention compute: against packed sequences, torch's own layers, and products done by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.utils.flop_counter import FlopCounterMode

from nnspec.dims import format_dim, symbol
from nnspec.operators.declare import OPERATORS, Operator, Refusal
from nnspec.torch_backend.modules.attention import CrossAttention, MultiheadAttention, ScaledDotProductAttention, SelfAttention
from nnspec.torch_backend.modules.padded import run_padded
from nnspec.torch_backend.modules.positions import AddPositions, add_sinusoids, rotary
from nnspec.torch_backend.modules.recurrent import GRU, LSTM, RNN
from nnspec.torch_backend.targets import resolve
from nnspec.types import TensorType, index

pytestmark = pytest.mark.torch


def bound(name: str, tensors: dict[str, Any], **attributes: Any) -> Operator:
    """A call with accepted settings."""
    cls = OPERATORS[name]
    return cls(tensors, {key: cls.attribute_fields()[key].accept(value) for key, value in attributes.items()})


def close(left: Tensor, right: Tensor) -> None:
    torch.testing.assert_close(left, right, rtol=1e-5, atol=1e-6)


def same_weights(left: nn.Module, right: nn.Module) -> None:
    """Load the weights of the one into the other: the names have to be the same."""
    left.load_state_dict(right.state_dict())


# --- recurrent layers -----------------------------------------------------------------------------------------------------

LAYERS = [(RNN, nn.RNN), (GRU, nn.GRU), (LSTM, nn.LSTM)]


@pytest.mark.parametrize(("ours", "theirs"), LAYERS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_recurrent_layer_is_torchs(ours: Any, theirs: Any, bidirectional: bool) -> None:
    torch.manual_seed(0)
    layer = ours(3, 5, num_layers=2, bidirectional=bidirectional)
    own = theirs(3, 5, num_layers=2, bidirectional=bidirectional, batch_first=True)
    same_weights(layer, own)
    x = torch.randn(4, 6, 3)
    output, last, h_n, *c_n = layer(x)
    wanted, state = own(x)
    close(output, wanted)
    close(h_n, state[0] if c_n else state)
    close(last[:, :5], wanted[:, -1, :5])
    if bidirectional:
        close(last[:, 5:], wanted[:, 0, 5:])


@pytest.mark.parametrize(("ours", "theirs"), LAYERS)
def test_lengths_are_those_of_packed_sequences(ours: Any, theirs: Any) -> None:
    torch.manual_seed(1)
    layer = ours(3, 5, num_layers=2, bidirectional=True)
    own = theirs(3, 5, num_layers=2, bidirectional=True, batch_first=True)
    same_weights(layer, own)
    x, lengths = torch.randn(4, 6, 3), torch.tensor([2, 6, 1, 4])
    output, last, h_n, *_ = layer(x, lengths)
    packed, state = own(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False))
    wanted, _ = pad_packed_sequence(packed, batch_first=True, total_length=6)
    close(output, wanted)
    close(h_n, state[0] if isinstance(state, tuple) else state)
    for sample, length in enumerate(lengths.tolist()):
        close(last[sample, :5], wanted[sample, length - 1, :5])
        close(last[sample, 5:], wanted[sample, 0, 5:])
        assert not output[sample, length:].any()


@pytest.mark.parametrize(("ours", "theirs"), LAYERS)
def test_padding_is_never_read(ours: Any, theirs: Any) -> None:
    torch.manual_seed(2)
    layer = ours(3, 5, bidirectional=True)
    x, lengths = torch.randn(3, 6, 3), torch.tensor([2, 5, 3])
    dirty = x.clone()
    for sample, length in enumerate(lengths.tolist()):
        dirty[sample, length:] = float("nan")
    for clean, other in zip(layer(x, lengths), layer(dirty, lengths), strict=True):
        close(clean, other)


def test_a_sample_alone_is_the_sample_among_longer_ones() -> None:
    torch.manual_seed(3)
    layer = LSTM(3, 5, bidirectional=True, proj_size=2)
    x, lengths = torch.randn(3, 6, 3), torch.tensor([2, 6, 4])
    together = layer(x, lengths)
    for sample, length in enumerate(lengths.tolist()):
        alone = layer(x[sample : sample + 1, :length])
        close(together[0][sample : sample + 1, :length], alone[0])
        close(together[1][sample : sample + 1], alone[1])
        close(together[3][:, sample : sample + 1], alone[3])


def test_one_given_state_leaves_the_other_at_zero() -> None:
    torch.manual_seed(4)
    layer, x = LSTM(3, 5), torch.randn(2, 4, 3)
    h_0, zero = torch.randn(1, 2, 5), torch.zeros(1, 2, 5)
    close(layer(x, h_0=h_0)[0], layer(x, h_0=h_0, c_0=zero)[0])
    close(layer(x, c_0=h_0)[0], layer(x, h_0=zero, c_0=h_0)[0])


@pytest.mark.parametrize(
    ("name", "settings", "flop"),
    [
        # 2 samples, 3 steps, 4 features; per step and sample, products with weight_ih and weight_hh
        ("RNN", {"hidden_size": 5}, 2 * 2 * 3 * (5 * 4 + 5 * 5)),
        ("GRU", {"hidden_size": 5}, 2 * 2 * 3 * (15 * 4 + 15 * 5)),
        ("LSTM", {"hidden_size": 5}, 2 * 2 * 3 * (20 * 4 + 20 * 5)),
        (
            "LSTM",
            {"hidden_size": 5, "bidirectional": True, "num_layers": 2},
            2 * 2 * 3 * 2 * ((20 * 4 + 20 * 5) + (20 * 10 + 20 * 5)),
        ),
        ("LSTM", {"hidden_size": 5, "proj_size": 2}, 2 * 2 * 3 * (20 * 4 + 20 * 2 + 2 * 5)),
    ],
)
def test_recurrent_flop_by_hand(name: str, settings: dict[str, Any], flop: int) -> None:
    assert bound(name, {"input": TensorType((2, 3, 4))}, **settings).cost().flop == flop


def test_outputs_of_checker_case_16() -> None:
    N, T = symbol("N"), symbol("T")  # noqa: N806
    x = TensorType((N, T, 8))
    gru = bound("GRU", {"input": x}, hidden_size=16, num_layers=2, bidirectional=True).infer().outputs
    assert {name: str(type) for name, type in gru.items()} == {
        "output": "float32[N, T, 32]", "last": "float32[N, 32]", "h_n": "float32[4, N, 16]",
    }  # fmt: skip
    lstm = bound("LSTM", {"input": x}, hidden_size=16, proj_size=3, bidirectional=True).infer().outputs
    assert {name: str(type) for name, type in lstm.items()} == {
        "output": "float32[N, T, 6]", "last": "float32[N, 6]", "h_n": "float32[2, N, 3]", "c_n": "float32[2, N, 16]",
    }  # fmt: skip


# --- attention --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("causal", [False, True])
def test_self_attention_is_torchs(causal: bool) -> None:
    torch.manual_seed(5)
    ours, own = SelfAttention(12, 3, causal, 0.0, True).eval(), nn.MultiheadAttention(12, 3, batch_first=True).eval()
    same_weights(ours, own)
    x, keep = torch.randn(2, 5, 12), torch.tensor([[True] * 5, [True, True, True, False, False]])
    mask = torch.ones(5, 5).triu(1).bool() if causal else None
    close(ours(x), own(x, x, x, attn_mask=mask)[0])
    close(ours(x, keep), own(x, x, x, attn_mask=mask, key_padding_mask=~keep)[0])


@pytest.mark.parametrize("source", [12, 7])
def test_cross_attention_is_torchs(source: int) -> None:
    torch.manual_seed(6)
    ours = CrossAttention(12, source, 3, 0.0, True).eval()
    own = nn.MultiheadAttention(12, 3, batch_first=True, kdim=source, vdim=source).eval()
    same_weights(ours, own)
    x, memory, keep = torch.randn(2, 5, 12), torch.randn(2, 4, source), torch.tensor([[True] * 4, [True, True, False, False]])
    close(ours(x, memory), own(x, memory, memory)[0])
    close(ours(x, memory, keep), own(x, memory, memory, key_padding_mask=~keep)[0])


def test_multihead_attention_makes_its_causal_mask() -> None:
    torch.manual_seed(7)
    ours = MultiheadAttention(8, 2, need_weights=True, is_causal=True).eval()
    x = torch.randn(2, 5, 8)
    output, weights = ours(x, x, x)
    assert not weights.triu(1).any()
    changed = x.clone()
    changed[:, 3:] += 1
    close(output[:, :3], ours(changed, changed, changed)[0][:, :3])


def test_keep_by_query_and_key() -> None:
    torch.manual_seed(8)
    attend, q = ScaledDotProductAttention(0.0, False, None, False), torch.randn(2, 3, 4, 5)
    keep = torch.ones(2, 4, 4).tril().bool()
    close(attend(q, q, q, keep=keep), F.scaled_dot_product_attention(q, q, q, is_causal=True))
    close(attend(q, q, q, keep=keep[:, None].expand(2, 3, 4, 4)), F.scaled_dot_product_attention(q, q, q, is_causal=True))


def test_causal_and_keep_together() -> None:
    torch.manual_seed(9)
    layer, x = SelfAttention(8, 2, True, 0.0, True).eval(), torch.randn(1, 5, 8)
    keep = torch.tensor([[True, True, False, True, True]])
    changed = x.clone()
    changed[:, 2] += 1
    unseen = [0, 1, 3, 4]
    close(layer(x, keep)[:, unseen], layer(changed, keep)[:, unseen])


def test_nothing_to_look_at_gives_zeros() -> None:
    layer, x = SelfAttention(8, 2, False, 0.0, True), torch.randn(2, 3, 8, requires_grad=True)
    y = layer(x, torch.tensor([[True] * 3, [False] * 3]))
    torch.autograd.backward(y.sum())
    close(y[1], layer.out_proj.bias.expand(3, 8))
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_dropout_follows_the_mode() -> None:
    torch.manual_seed(10)
    q = torch.randn(2, 3, 4, 5)
    layer = ScaledDotProductAttention(0.5, False, None, False)
    assert not torch.equal(layer(q, q, q), layer(q, q, q))
    layer.eval()
    assert torch.equal(layer(q, q, q), layer(q, q, q))


def counted(operator: Operator, **tensors: Tensor) -> int:
    """What torch's counter says of the layer that the operator is lowered to, where attention is two products."""
    call = operator.lower()
    run = resolve(call.target)(**call.settings).eval() if call.kind == "module" else resolve(call.target)
    kwargs = {name: tensors[name] for name in call.kwargs if name in tensors}
    options = {name: value for name, value in call.kwargs.items() if name not in tensors and call.kind == "function"}
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        run(*(tensors[ref.field] for ref in call.args), **kwargs, **options)
    return int(counter.get_total_flops())


@pytest.mark.parametrize(
    ("name", "shapes", "settings"),
    [
        ("SelfAttention", {"input": (2, 5, 12)}, {"heads": 3}),
        ("SelfAttention", {"input": (2, 5, 12)}, {"heads": 3, "causal": True, "bias": False}),
        ("CrossAttention", {"input": (2, 5, 12), "memory": (2, 7, 12)}, {"heads": 3}),
        ("CrossAttention", {"input": (2, 5, 12), "memory": (2, 7, 9)}, {"heads": 3}),
        ("MultiheadAttention", {"query": (2, 5, 12), "key": (2, 7, 9), "value": (2, 7, 4)}, {"num_heads": 3}),
        ("scaled_dot_product_attention", {"query": (2, 3, 5, 8), "key": (2, 3, 7, 8), "value": (2, 3, 7, 6)}, {}),
        (
            "scaled_dot_product_attention",
            {"query": (2, 6, 5, 8), "key": (2, 3, 7, 8), "value": (2, 3, 7, 8)},
            {"enable_gqa": True},
        ),
    ],
)
def test_attention_flop_as_torch_counts(name: str, shapes: dict[str, tuple[int, ...]], settings: dict[str, Any]) -> None:
    operator = bound(name, {field: TensorType(shape) for field, shape in shapes.items()}, **settings)
    assert operator.cost().flop == counted(operator, **{field: torch.randn(shape) for field, shape in shapes.items()})


def test_heads_that_do_not_divide_the_width() -> None:
    broken = bound("SelfAttention", {"input": TensorType((2, 5, 770))}, heads=12).infer().obligations[0]
    assert broken.code == "NN231"
    assert broken.message == "the width 770 is not divisible by `heads` = 12 (remainder 2)"
    assert broken.notes == ("each head would get 64.17 features",)
    assert (
        broken.help == "nearest valid: a width of 768 (12 x 64) or 780 (12 x 65); or keep the width 770 with heads=10, 11 or 14"
    )
    assert str(broken.claim) == "2 == 0"


def test_attention_of_checker_case_18() -> None:
    N, h, L, S, d, v = (symbol(name) for name in ("N", "h", "L", "S", "d", "v"))  # noqa: N806
    tensors = {"query": TensorType((N, h, L, d)), "key": TensorType((N, h, S, d)), "value": TensorType((N, h, S, v))}
    inferred = bound("scaled_dot_product_attention", tensors).infer()
    assert str(inferred.outputs["output"]) == "float32[N, h, L, v]"
    assert all(str(each.claim.left) == str(each.claim.right) for each in inferred.obligations)  # type: ignore[union-attr]
    assert format_dim(bound("scaled_dot_product_attention", tensors).cost().flop)


def test_grouped_heads_of_checker_case_11() -> None:
    tensors = {"query": TensorType((2, 8, 5, 4)), "key": TensorType((2, 3, 5, 4)), "value": TensorType((2, 3, 5, 4))}
    broken = [
        each
        for each in bound("scaled_dot_product_attention", tensors, enable_gqa=True).infer().obligations
        if each.code == "NN231"
    ]
    assert [each.message for each in broken] == ["8 query heads are not divisible by 3 key heads"]


@pytest.mark.parametrize("other", ["attn_mask", "keep"])
def test_two_masks_are_refused(other: str) -> None:
    x = TensorType((2, 3, 5, 4))
    tensors = {"query": x, "key": x, "value": x, "attn_mask": TensorType((5, 5), "bool")}
    if other == "keep":
        tensors["keep"] = TensorType((2, 5), "bool")
    with pytest.raises(Refusal, match="given together"):
        bound("scaled_dot_product_attention", tensors, is_causal=other == "attn_mask").infer()


# --- positions and embeddings -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("interleaved", [False, True])
def test_rotary_scores_depend_on_the_distance_only(interleaved: bool) -> None:
    torch.manual_seed(11)
    q, k = torch.randn(1, 8), torch.randn(1, 8)
    turned_q, turned_k = (rotary(each.expand(10, 8), 100.0, interleaved) for each in (q, k))
    scores = turned_q @ turned_k.T
    close(scores.diagonal(3), scores.diagonal(3)[:1].expand(7))
    close(turned_q.norm(dim=1), q.norm().expand(10))
    close(turned_q[0], q[0])


def test_rotary_by_hand() -> None:
    x = torch.tensor([[1.0, 2.0, 3.0, 4.0]] * 2)
    cos, sin = torch.cos(torch.tensor([1.0, 0.1])), torch.sin(torch.tensor([1.0, 0.1]))
    a, b = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])
    close(rotary(x, 100.0, False)[1], torch.cat((a * cos - b * sin, b * cos + a * sin)))


def test_sinusoids_by_hand() -> None:
    added = add_sinusoids(torch.zeros(1, 3, 4), 100.0)[0, 2]
    close(
        added,
        torch.tensor([2.0, 2.0, 0.2, 0.2]).sin() * torch.tensor([1, 0, 1, 0])
        + torch.tensor([2.0, 2.0, 0.2, 0.2]).cos() * torch.tensor([0, 1, 0, 1]),
    )


def test_positions_are_added() -> None:
    layer = AddPositions(6, 3)
    x = torch.randn(2, 4, 3)
    close(layer(x) - x, layer.weight[:4].expand(2, 4, 3))
    assert list(layer.state_dict()) == ["weight"]


def test_a_table_that_is_too_short() -> None:
    broken = bound("Embedding", {"input": index(13, (2, 5))}, num_embeddings=10, embedding_dim=4).infer().obligations
    assert [(each.code, each.message) for each in broken] == [("NN206", "indices of 13 kinds, and the table has 10 rows")]


# --- export -------------------------------------------------------------------------------------------------------------------

#: torch's exporter warns of calls that it makes itself.
NOISE = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.mark.parametrize(
    "make",
    [
        lambda: (RNN(3, 4), (torch.randn(2, 5, 3),)),
        lambda: (SelfAttention(8, 2, True, 0.1, True), (torch.randn(2, 5, 8), torch.ones(2, 5, dtype=torch.bool))),
        lambda: (CrossAttention(8, 6, 2, 0.1, True), (torch.randn(2, 5, 8), torch.randn(2, 4, 6))),
        lambda: (AddPositions(9, 8), (torch.randn(2, 5, 8),)),
    ],
)
@NOISE
def test_modules_are_exported(make: Any) -> None:
    module, inputs = make()
    module.eval()
    exported = torch.export.export(module, inputs).module()
    wanted, found = module(*inputs), exported(*inputs)
    for left, right in zip(_each(wanted), _each(found), strict=True):
        close(left, right)


def _each(result: Any) -> tuple[Tensor, ...]:
    return result if isinstance(result, tuple) else (result,)


@pytest.mark.parametrize("settings", [{}, {"proj_size": 2}, {"bias": False}])
@pytest.mark.parametrize("ours", [RNN, GRU, LSTM])
def test_padded_runs_are_packed_ones(ours: Any, settings: dict[str, Any]) -> None:
    torch.manual_seed(13)
    if ours is not LSTM:
        settings = {name: value for name, value in settings.items() if name != "proj_size"}
    layer = ours(3, 4, **({"num_layers": 2, "bidirectional": True} | settings)).eval()
    x, lengths = torch.randn(5, 7, 3), torch.tensor([3, 7, 1, 2, 5])
    x[0, 3:] = float("nan")
    rows = layer.num_layers * 2
    states = (torch.randn(rows, 5, settings.get("proj_size", 4)), torch.randn(rows, 5, 4))[: 2 if ours is LSTM else 1]
    output, _, *finals = layer(x, lengths, *states)
    for left, right in zip(run_padded(layer, x, lengths, states), (output, *finals), strict=True):
        close(left, right)
