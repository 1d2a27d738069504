"""Attention. Not here: Transformer layers, which are specs; what tells attention where a token stands (`positions`).

Masks are called `keep` and are true for what takes part; only `MultiheadAttention` and `attn_mask` follow torch's conventions.
"""

from __future__ import annotations

from typing import Any

from nnspec.dims import Dim, Poly, format_dim, product
from nnspec.dims.claims import divisible, equal
from nnspec.operators.declare import (
    Cost,
    Inferred,
    Obligation,
    Operator,
    Ref,
    TorchCall,
    Weight,
    attribute,
    call_function,
    call_module,
    operator,
    tensor,
)
from nnspec.operators.kinds import Flag, Maybe, Real, Refusal, Size
from nnspec.types import TensorType

MODULES = "nnspec.torch_backend.modules.attention"
SDPA = "torch.nn.functional.scaled_dot_product_attention"


# --- what has to hold ---------------------------------------------------------------------------------------------


def _heads_divide(width: Dim, heads: Dim, blame: str) -> Obligation:
    """The width is split evenly among the heads."""
    message = f"the width {format_dim(width)} is not divisible by `{blame}` = {format_dim(heads)}"
    if not isinstance(width, int) or not isinstance(heads, int) or width % heads == 0:
        return Obligation(divisible(width, heads), "NN231", blame, message)
    message += f" (remainder {width % heads})"
    notes = (f"each head would get {width / heads:.2f} features",)
    return Obligation(divisible(width, heads), "NN231", blame, message, notes, _nearest(width, heads, blame))


def _nearest(width: int, heads: int, blame: str) -> str:
    """The nearest widths, and the nearest numbers of heads, that would do."""
    below, above = width // heads, width // heads + 1
    widths = [f"{heads * each} ({heads} x {each})" for each in (below, above) if each > 0]
    divisors = sorted((d for d in range(1, width + 1) if width % d == 0), key=lambda d: (abs(d - heads), d))[:3]
    *first, last = [str(d) for d in sorted(divisors)]
    counts = f"{', '.join(first)} or {last}" if first else last
    return f"nearest valid: a width of {' or '.join(widths)}; or keep the width {width} with {blame}={counts}"


def _same(found: Dim, wanted: Dim, blame: str, message: str) -> Obligation:
    return Obligation(equal(found, wanted), "NN201", blame, message)


def _one_element(name: str, first: TensorType, others: dict[str, TensorType]) -> None:
    """NN204 unless all have the element type of the first, which that of the weights is too."""
    for field, other in others.items():
        if other.dtype != first.dtype:
            raise Refusal("NN204", f"`{name}` needs one element type, got {first} and {other}", field)


def _keep_fits(keep: TensorType | None, wanted: tuple[Dim, ...]) -> list[Obligation]:
    """`keep` names the last axes of `wanted`, the first (samples) always among them."""
    if keep is None:
        return []
    shapes = (wanted[0], *wanted[len(wanted) - keep.rank + 1 :])
    message = f"`keep` is {keep}, and here it has to be {TensorType(shapes, 'bool')}"
    return [_same(found, needed, "keep", message) for found, needed in zip(keep.dims, shapes, strict=True)]


# --- attention with weights ---------------------------------------------------------------------------------------


def _attention_weights(width: Dim, key: Dim, value: Dim, bias: bool, dtype: str) -> tuple[Weight, ...]:
    """As torch.nn.MultiheadAttention keeps them: packed where all widths are one, else apart; NN301 where that is open."""
    if any(isinstance(width - other, Poly) for other in (key, value)):
        widths = ", ".join(map(format_dim, (width, key, value)))
        raise Refusal("NN301", f"the weights depend on whether the widths {widths} are equal, which is not known")
    if width == key == value:
        entries = [Weight("in_proj_weight", (3 * width, width), dtype)]
    else:
        sources = {"q": width, "k": key, "v": value}
        entries = [Weight(f"{name}_proj_weight", (width, source), dtype) for name, source in sources.items()]
    if bias:
        entries.append(Weight("in_proj_bias", (3 * width,), dtype))
    entries.append(Weight("out_proj.weight", (width, width), dtype))
    if bias:
        entries.append(Weight("out_proj.bias", (width,), dtype))
    return tuple(entries)


class Attention(Operator):
    """What self- and cross-attention share: one product for queries, keys and values, heads, and one product out."""

    mode_dependent = True

    input: TensorType
    heads: Dim
    bias: bool
    dropout: float
    keep: TensorType | None

    @property
    def source_width(self) -> Dim:
        """Features of what keys and values are made of."""
        return self.input.dims[-1]

    def weights(self) -> tuple[Weight, ...]:
        source = self.source_width
        return _attention_weights(self.input.dims[-1], source, source, self.bias, self.input.dtype)

    def _work(self, T: Dim, S: Dim) -> Cost:  # noqa: N803
        """Four products with the weights, and the two of attention itself."""
        N, _, D = self.input.dims  # noqa: N806
        weights = 2 * N * D * (2 * T * D + 2 * S * self.source_width)
        return Cost(weights + 4 * N * T * S * D)


@operator("SelfAttention", source="Vaswani et al. 2017, arXiv:1706.03762, section 3.2; weights as torch.nn.MultiheadAttention")
class SelfAttention(Attention):
    """Every step of a sequence looks at every step (with `causal`, at itself and those before): (N, T, D) -> (N, T, D).

    `keep` (N, T), or (N, T, T) as query by key, is true where a step may be looked at; where none may, zeros are
    mixed in. Its weights bear the names of `torch.nn.MultiheadAttention`, so checkpoints of that load.
    """

    input: TensorType = tensor(rank=3, doc="(N, T, D)")
    keep: TensorType | None = tensor(dtype="bool", rank=(2, 3), optional=True, doc="(N, T) or (N, T, T): true takes part")
    heads: Dim = attribute(Size(), ge=1, doc="attentions side by side, each on D / heads features")
    causal: bool = attribute(Flag(), False, doc="a step sees itself and the steps before it only")
    dropout: float = attribute(Real(), 0.0, ge=0, le=1, doc="share of attention weights dropped in training")
    bias: bool = attribute(Flag(), True, doc="add biases after the products with the weights")

    def infer(self) -> Inferred:
        N, T, D = self.input.dims  # noqa: N806
        return Inferred({"output": self.input}, (_heads_divide(D, self.heads, "heads"), *_keep_fits(self.keep, (N, T, T))))

    def cost(self) -> Cost:
        T = self.input.dims[1]  # noqa: N806
        return self._work(T, T)

    def lower(self) -> TorchCall:
        settings = {"width": self.input.dims[-1], **self.attributes()}
        keep = () if self.keep is None else (Ref("keep"),)
        return call_module(f"{MODULES}.SelfAttention", Ref("input"), *keep, settings=settings)


@operator("CrossAttention", source="Vaswani et al. 2017, arXiv:1706.03762, section 3.2.3; weights as torch.nn.MultiheadAttention")
class CrossAttention(Attention):
    """Every step of a sequence looks at every step of another, `memory`: (N, T, D), (N, S, M) -> (N, T, D).

    `keep` (N, S), or (N, T, S), is true where a step of the memory may be looked at.
    """

    input: TensorType = tensor(rank=3, doc="(N, T, D)")
    memory: TensorType = tensor(rank=3, doc="(N, S, M): what is looked at")
    keep: TensorType | None = tensor(dtype="bool", rank=(2, 3), optional=True, doc="(N, S) or (N, T, S): true takes part")
    heads: Dim = attribute(Size(), ge=1, doc="attentions side by side, each on D / heads features")
    dropout: float = attribute(Real(), 0.0, ge=0, le=1, doc="share of attention weights dropped in training")
    bias: bool = attribute(Flag(), True, doc="add biases after the products with the weights")

    @property
    def source_width(self) -> Dim:
        return self.memory.dims[-1]

    def infer(self) -> Inferred:
        N, T, D = self.input.dims  # noqa: N806
        batch, S, _ = self.memory.dims  # noqa: N806
        _one_element(self.name, self.input, {"memory": self.memory})
        self.weights()
        message = f"the memory has {format_dim(batch)} samples, and the input {format_dim(N)}"
        obligations = (_heads_divide(D, self.heads, "heads"), _same(batch, N, "memory", message))
        return Inferred({"output": self.input}, (*obligations, *_keep_fits(self.keep, (N, T, S))))

    def cost(self) -> Cost:
        return self._work(self.input.dims[1], self.memory.dims[1])

    def lower(self) -> TorchCall:
        settings = {"width": self.input.dims[-1], "source_width": self.source_width, **self.attributes()}
        keep = () if self.keep is None else (Ref("keep"),)
        return call_module(f"{MODULES}.CrossAttention", Ref("input"), Ref("memory"), *keep, settings=settings)


@operator("MultiheadAttention", source="https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiheadAttention.html")
class MultiheadAttention(Operator):
    """torch's own layer, batch first: (query, key, value) -> `attn_output` (N, T, D) and, with `need_weights`,
    `attn_output_weights` (N, T, S), the mean over the heads.

    Here a true in `key_padding_mask` or in a boolean `attn_mask` leaves out, the opposite of `keep`.
    """

    mode_dependent = True

    query: TensorType = tensor(rank=3, doc="(N, T, D)")
    key: TensorType = tensor(rank=3, doc="(N, S, K)")
    value: TensorType = tensor(rank=3, doc="(N, S, V)")
    key_padding_mask: TensorType | None = tensor(dtype="bool", rank=2, optional=True, doc="(N, S): true is left out")
    attn_mask: TensorType | None = tensor(
        dtype="mask", rank=2, optional=True, doc="(T, S): true is left out, or numbers to add to the scores"
    )
    num_heads: Dim = attribute(Size(), ge=1, doc="attentions side by side, each on D / num_heads features")
    dropout: float = attribute(Real(), 0.0, ge=0, le=1, doc="share of attention weights dropped in training")
    bias: bool = attribute(Flag(), True, doc="add biases after the products with the weights")
    need_weights: bool = attribute(Flag(), True, doc="give `attn_output_weights` too, which costs speed")
    is_causal: bool = attribute(Flag(), False, doc="a step sees itself and the steps before it only")

    def infer(self) -> Inferred:
        N, T, D = self.query.dims  # noqa: N806
        S = self.key.dims[1]  # noqa: N806
        if self.is_causal and self.attn_mask is not None:
            raise Refusal(
                "NN105", "`attn_mask` and `is_causal` are given together", "is_causal", help="put both into `attn_mask`"
            )
        _one_element(self.name, self.query, {"key": self.key, "value": self.value})
        wrong = f"query is {self.query}, key {self.key}, value {self.value}: samples, and steps of key and value, have to agree"
        self.weights()
        obligations = [_heads_divide(D, self.num_heads, "num_heads")]
        obligations += [_same(self.key.dims[0], N, "key", wrong), _same(self.value.dims[0], N, "value", wrong)]
        obligations.append(_same(self.value.dims[1], S, "value", wrong))
        obligations += self._mask_fits("key_padding_mask", self.key_padding_mask, (N, S))
        obligations += self._mask_fits("attn_mask", self.attn_mask, (T, S))
        outputs = {"attn_output": self.query}
        if self.need_weights:
            outputs["attn_output_weights"] = self.query.with_dims((N, T, S))
        return Inferred(outputs, tuple(obligations))

    @staticmethod
    def _mask_fits(name: str, mask: TensorType | None, wanted: tuple[Dim, Dim]) -> list[Obligation]:
        if mask is None:
            return []
        message = f"`{name}` is {mask}, and here it has to be {mask.with_dims(wanted)}"
        return [_same(found, needed, name, message) for found, needed in zip(mask.dims, wanted, strict=True)]

    def weights(self) -> tuple[Weight, ...]:
        return _attention_weights(self.query.dims[-1], self.key.dims[-1], self.value.dims[-1], self.bias, self.query.dtype)

    def cost(self) -> Cost:
        N, T, D = self.query.dims  # noqa: N806
        _, S, K = self.key.dims  # noqa: N806
        weights = 2 * N * D * (2 * T * D + S * (K + self.value.dims[-1]))
        return Cost(weights + 4 * N * T * S * D)

    def lower(self) -> TorchCall:
        D, K, V = self.query.dims[-1], self.key.dims[-1], self.value.dims[-1]  # noqa: N806
        settings = {"embed_dim": D, "kdim": K, "vdim": V, **self.attributes()}
        masks = {name: Ref(name) for name in ("key_padding_mask", "attn_mask") if self.__dict__[name] is not None}
        return call_module(f"{MODULES}.MultiheadAttention", Ref("query"), Ref("key"), Ref("value"), settings=settings, **masks)


# --- attention as a function ----------------------------------------------------------------------------------------


@operator(
    "scaled_dot_product_attention",
    source="https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.scaled_dot_product_attention.html",
)
class scaled_dot_product_attention(Operator):
    """softmax(query key^T scale) value: (..., H, T, E), (..., H, S, E), (..., H, S, V) -> (..., H, T, V).

    `keep` is (N, S), (N, T, S) or (N, H, T, S), true where a key may be looked at. A boolean `attn_mask`, as in torch, is true
    for what takes part, and must broadcast to (..., T, S). With `enable_gqa` a head of keys and values serves several of queries.
    """

    mode_dependent = True

    query: TensorType = tensor(rank=(2, 3, 4, 5), doc="(..., H, T, E)")
    key: TensorType = tensor(rank=(2, 3, 4, 5), doc="(..., H, S, E)")
    value: TensorType = tensor(rank=(2, 3, 4, 5), doc="(..., H, S, V)")
    attn_mask: TensorType | None = tensor(
        dtype="mask", optional=True, doc="broadcasts to (..., T, S): true takes part, or numbers to add to the scores"
    )
    dropout_p: float = attribute(Real(), 0.0, ge=0, lt=1, doc="share of attention weights dropped in training")
    is_causal: bool = attribute(Flag(), False, doc="a step sees itself and the steps before it only")
    scale: float | None = attribute(Maybe(Real()), None, doc="factor of the scores; none: 1 / sqrt(E)", keyword_only=True)
    enable_gqa: bool = attribute(Flag(), False, doc="query heads in groups share a head of keys and values", keyword_only=True)
    keep: TensorType | None = tensor(
        dtype="bool", rank=(2, 3, 4), optional=True, doc="(N, S), (N, T, S) or (N, H, T, S): true takes part"
    )

    def infer(self) -> Inferred:
        query, key, value = self.query, self.key, self.value
        for name, other in (("key", key), ("value", value)):
            if other.rank != query.rank:
                raise Refusal("NN203", f"{name} is {other}, and query is {query}: they need the same number of axes", name)
        _one_element(self.name, query, {"key": key, "value": value})
        self._refuse_two_masks()
        obligations = [*self._leading(), *self._heads()]
        wrong = f"query is {query} and key is {key}: their last axes have to agree"
        obligations.append(_same(key.dims[-1], query.dims[-1], "key", wrong))
        wrong = f"key is {key} and value is {value}: they have to have the same number of steps"
        obligations.append(_same(value.dims[-2], key.dims[-2], "value", wrong))
        obligations += self._masks()
        return Inferred({"output": query.with_dims((*query.dims[:-1], value.dims[-1]))}, tuple(obligations))

    def _refuse_two_masks(self) -> None:
        if self.attn_mask is not None and self.is_causal:
            raise Refusal(
                "NN105", "`attn_mask` and `is_causal` are given together", "is_causal", help="put both into `attn_mask`"
            )
        if self.attn_mask is not None and self.keep is not None:
            raise Refusal("NN105", "`attn_mask` and `keep` are given together", "keep", help="give one of them")
        if self.keep is not None and self.query.rank != 4:
            message = f"`keep` needs tensors (N, H, T, E), and query is {self.query}"
            raise Refusal("NN203", message, "keep", help="give `attn_mask`, which broadcasts to any shape")

    def _leading(self) -> list[Obligation]:
        """All axes before the heads agree."""
        result = []
        for name, other in (("key", self.key), ("value", self.value)):
            message = f"{name} is {other}, and query is {self.query}: all but the last three axes have to agree"
            pairs = zip(other.dims[:-3], self.query.dims[:-3], strict=True)
            result += [_same(found, wanted, name, message) for found, wanted in pairs]
        return result

    def _heads(self) -> list[Obligation]:
        if self.query.rank < 3:
            return []
        heads, keys, values = self.query.dims[-3], self.key.dims[-3], self.value.dims[-3]
        wrong = f"key has {format_dim(keys)} heads and value has {format_dim(values)}"
        result = [_same(values, keys, "value", wrong)]
        if self.enable_gqa:
            wrong = f"{format_dim(heads)} query heads are not divisible by {format_dim(keys)} key heads"
            result.append(Obligation(divisible(heads, keys), "NN231", "key", wrong))
        else:
            wrong = f"query has {format_dim(heads)} heads and key has {format_dim(keys)}"
            advice = "with `enable_gqa=true` several query heads share a key head"
            result.append(_same(keys, heads, "key", wrong)._replace(help=advice))
        return result

    def _masks(self) -> list[Obligation]:
        scores = (*self.query.dims[:-1], self.key.dims[-2])
        if self.keep is not None:
            return _keep_fits(self.keep, scores)
        if self.attn_mask is None:
            return []
        mask = self.attn_mask
        if mask.rank > len(scores):
            wrong = f"`attn_mask` is {mask}, and has to broadcast to {TensorType(scores, 'bool')}"
            raise Refusal("NN203", wrong, "attn_mask")
        if mask.dtype not in ("bool", "float32", self.query.dtype):
            raise Refusal("NN204", f"`attn_mask` is {mask}, and the scores are {self.query.dtype}", "attn_mask")
        return self._mask_broadcasts(mask, scores)

    @staticmethod
    def _mask_broadcasts(mask: TensorType, scores: tuple[Dim, ...]) -> list[Obligation]:
        wrong = f"`attn_mask` is {mask}, which does not broadcast to {TensorType(scores, mask.dtype)}"
        pairs = zip(mask.dims, scores[len(scores) - mask.rank :], strict=True)
        return [Obligation(equal(found, wanted), "NN202", "attn_mask", wrong) for found, wanted in pairs if found != 1]

    def cost(self) -> Cost:
        """The two products, as torch's counter takes them: a causal mask saves nothing."""
        *_, T, E = self.query.dims  # noqa: N806
        return Cost(2 * product(self.query.dims[:-2]) * T * self.key.dims[-2] * (E + self.value.dims[-1]))

    def lower(self) -> TorchCall:
        tensors = (Ref("query"), Ref("key"), Ref("value"))
        options: dict[str, Any] = {"is_causal": self.is_causal, "scale": self.scale, "enable_gqa": self.enable_gqa}
        if self.keep is None and not self.dropout_p:
            mask = {} if self.attn_mask is None else {"attn_mask": Ref("attn_mask")}
            return call_function(SDPA, *tensors, **mask, **options)
        given = {name: Ref(name) for name in ("attn_mask", "keep") if self.__dict__[name] is not None}
        settings = {"dropout_p": self.dropout_p, **options}
        return call_module(f"{MODULES}.ScaledDotProductAttention", *tensors, settings=settings, **given)
