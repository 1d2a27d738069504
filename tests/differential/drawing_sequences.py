"""How layers on sequences, look-ups by index and losses are drawn."""

from __future__ import annotations

from typing import Any

from differential.builder import Builder, Live, arrow, call
from differential.description import Call, Setting, Size
from differential.drawing import draws
from differential.drawing_layers import DIVISORS, Settings

# --- recurrent layers -----------------------------------------------------------------------------------------------------


def _state(b: Builder, sizes: tuple[int, ...]) -> Live | None:
    return b.pick(len(sizes), "float", lambda live: live.sizes == sizes)


@draws("RNN", "GRU", "LSTM", weight=3)
def recurrent(b: Builder, name: str) -> Call | None:
    live = b.pick(3, fits=lambda live: live.fixed(-1))
    if live is None or live.rank != 3:
        return None
    hidden, layers, both = b.among(2, 5), b.rng.choice([1, 1, 2]), b.chance(0.4)
    settings: Settings = [("hidden_size", b.sized(hidden))]
    settings += [("num_layers", layers)] if layers > 1 else []
    settings += [("bidirectional", True)] if both else []
    settings += [("dropout", 0.5)] if layers > 1 and b.chance(0.3) else []
    settings += b.some(bias=False) if b.chance(0.2) else []
    settings += [("nonlinearity", "relu")] if name == "RNN" and b.chance(0.3) else []
    projected = hidden - 1 if name == "LSTM" and hidden > 1 and b.chance(0.3) else 0
    settings += [("proj_size", b.off(projected))] if projected else []
    others: dict[str, Any] = {}
    states = layers * (1 + both)
    if b.chance(0.3):
        others["h_0"] = _state(b, (states, live.sizes[0], projected or hidden)) or (b.wild and b.pick(3)) or None
        if name == "LSTM":
            others["c_0"] = _state(b, (states, live.sizes[0], hidden))
    if b.chance(0.2):
        others["lengths"] = b.pick(1, "index", lambda each: each.sizes == live.sizes[:1])
    others = {key: value for key, value in others.items() if value is not None}
    take = b.rng.choice([None, None, "output", "last", "h_n", *(["c_n"] * (name == "LSTM"))])
    return arrow(name, live, [*settings, *b.stated("input_size", live, -1)], positional=1, take=take, **others)


@draws("RNNCell", "GRUCell", "LSTMCell", weight=1.5)
def cell(b: Builder, name: str) -> Call | None:
    live = b.pick(2, fits=lambda live: live.fixed(-1))
    if live is None or live.rank != 2:
        return None
    state = b.pick(2, "float", lambda other: other.sizes[0] == live.sizes[0] and other.fixed(1)) if b.chance(0.6) else None
    hidden = b.off(state.sizes[-1]) if state is not None and state.rank else b.among(2, 5)
    others: dict[str, Any] = {} if state is None else {"h_0": state}
    if name == "LSTMCell" and state is not None:
        others["c_0"] = _state(b, state.sizes)
    others = {key: value for key, value in others.items() if value is not None}
    return arrow(name, live, [("hidden_size", b.sized(hidden)), *b.stated("input_size", live, -1)], positional=1, **others)


# --- attention ------------------------------------------------------------------------------------------------------------


def _heads(b: Builder, width: int) -> int:
    return b.off(b.rng.choice(DIVISORS.get(width, [1])))


def _mask(b: Builder, *shapes: tuple[int, ...]) -> Live | None:
    return b.pick({len(shape) for shape in shapes}, "bool", lambda live: live.sizes in shapes)  # type: ignore[arg-type]


@draws("SelfAttention", weight=4)
def self_attention(b: Builder) -> Call | None:
    live = b.pick(3, fits=lambda live: live.fixed(-1))
    if live is None or live.rank != 3:
        return None
    samples, steps, width = live.sizes
    keep = _mask(b, (samples, steps), (samples, steps, steps)) if b.chance(0.6) else None
    settings: Settings = [("heads", b.sized(_heads(b, width))), *b.some(causal=True, dropout=0.1)]
    return arrow("SelfAttention", live, settings, positional=1, **({} if keep is None else {"keep": keep}))


@draws("CrossAttention", weight=3)
def cross_attention(b: Builder) -> Call | None:
    live = b.pick(3, fits=lambda live: live.fixed(-1))
    if live is None or live.rank != 3:
        return None
    memory = b.pick(3, "float", lambda other: other.sizes[0] == live.sizes[0] and other.fixed(-1) and other.dtype == live.dtype)
    if memory is None:
        return None
    keep = _mask(b, (live.sizes[0], memory.sizes[-2] if memory.rank > 1 else 1)) if b.chance(0.5) else None
    others = {"memory": memory} | ({} if keep is None else {"keep": keep})
    return arrow("CrossAttention", live, [("heads", b.sized(_heads(b, live.sizes[2])))], positional=1, **others)


@draws("MultiheadAttention", weight=3)
def multihead_attention(b: Builder) -> Call | None:
    query = b.pick(3, fits=lambda live: live.fixed(-1))
    if query is None or query.rank != 3:
        return None
    key = b.pick(3, "float", lambda other: other.sizes[0] == query.sizes[0] and other.fixed(-1)) or query
    value = b.pick(3, "float", lambda other: other.sizes[:2] == key.sizes[:2] and other.fixed(-1)) or key
    settings: Settings = [("num_heads", b.sized(_heads(b, query.sizes[2]))), *b.some(need_weights=False)]
    masks: dict[str, Any] = {}
    if b.chance(0.3) and key.rank > 1:
        masks["key_padding_mask"] = _mask(b, key.sizes[:2])
    if b.chance(0.3) and key.rank > 1:
        masks["attn_mask"] = b.pick(
            2, "any", lambda live: live.sizes == (query.sizes[1], key.sizes[1]) and live.dtype in ("bool", "float32")
        )
    masks = {name: mask for name, mask in masks.items() if mask is not None}
    settings += [("is_causal", True)] if b.chance(0.2) and "attn_mask" not in masks else []
    return arrow("MultiheadAttention", query, settings, positional=1, first="query", key=key, value=value, **masks)


@draws("scaled_dot_product_attention", weight=4)
def dot_product_attention(b: Builder) -> Call | None:
    query = b.pick((2, 3, 4))
    if query is None or query.rank < 2:
        return None
    front = query.sizes[:-2]
    key = b.pick(query.rank, "float", lambda other: other.sizes[:-2] == front and other.sizes[-1] == query.sizes[-1]) or query
    value = b.pick(query.rank, "float", lambda other: other.sizes[:-1] == key.sizes[:-1]) or key
    settings = b.some(scale=0.3, dropout_p=0.1) if b.chance(0.4) else []
    masks: dict[str, Any] = {}
    if b.chance(0.3) and key.rank > 1:
        shape = (query.sizes[-2], key.sizes[-2])
        masks["attn_mask"] = b.pick((2, 3), "any", lambda live: live.sizes[-2:] == shape and live.dtype in ("bool", "float32"))
    elif b.chance(0.3) and query.rank == 4 and key.rank == 4:
        masks["keep"] = _mask(b, (query.sizes[0], key.sizes[-2]))
    masks = {name: mask for name, mask in masks.items() if mask is not None}
    settings += [("is_causal", True)] if b.chance(0.3) and not masks else []
    settings += [("enable_gqa", True)] if query.rank > 2 and b.chance(0.1) else []
    return call("scaled_dot_product_attention", {"query": query, "key": key, "value": value, **masks}, settings)


@draws("rotary", "SinusoidalPositions", weight=1.2)
def turned(b: Builder, name: str) -> Call | None:
    live = b.pick((2, 3, 4) if name == "rotary" else 3, fits=lambda live: live.sizes[-1] % 2 == 0)
    settings = b.some(theta=100.0) + ([("interleaved", True)] if name == "rotary" and b.chance(0.4) else [])
    return None if live is None else call(name, {"input": live}, settings, spelled="call" if name == "rotary" else "arrow")


@draws("AddPositions", weight=1.5)
def add_positions(b: Builder) -> Call | None:
    live = b.pick(3, fits=lambda live: live.fixed(-1))
    if live is None or live.rank != 3:
        return None
    return arrow("AddPositions", live, [("longest", b.sized(b.off(live.sizes[1] + b.rng.choice([0, 4]))))], positional=1)


# --- indices --------------------------------------------------------------------------------------------------------------


@draws("Embedding", weight=4)
def embedding(b: Builder) -> Call | None:
    live = b.pick(range(4), "index")
    if live is None:
        return None
    rows = max(1, (live.kinds or 5) + b.rng.choice([0, 0, 1, *([-1, -1] * b.wild)]))
    padding = [("padding_idx", b.rng.choice([0, -1, rows - 1, *([rows, -rows - 1] * b.wild)]))] if b.chance(0.2) else []
    return arrow(
        "Embedding", live, [("num_embeddings", b.sized(rows)), ("embedding_dim", b.sized(b.among(2, 6))), *padding], positional=2
    )


@draws("one_hot", weight=1.5)
def one_hot(b: Builder) -> Call | None:
    live = b.pick(range(3), "index", lambda live: live.kinds is None or live.kinds < 12)
    if live is None:
        return None
    settings: Settings = [] if live.kinds is not None and b.chance(0.5) else [("num_classes", b.sized(b.off(live.kinds or 4)))]
    return call("one_hot", {"input": live}, settings)


@draws("select", "narrow", weight=1.5)
def part(b: Builder, name: str) -> Call | None:
    live = b.pick(range(1, 5), "any" if b.chance(0.3) else "float")
    if live is None or not live.rank:
        return None
    axis = b.axis(live.rank)
    size = live.sizes[axis] if -live.rank <= axis < live.rank else 2
    start = b.rng.randint(-size, size - 1)
    if name == "select":
        return call("select", {"input": live}, [("dim", axis), ("index", b.rng.choice([start, *([size, -size - 1] * b.wild)]))])
    room = size - start if start >= 0 else -start
    length: Setting = b.sized(b.off(b.rng.randint(1, room)))
    if live.name and not live.fixed(axis) and start >= 0 and b.chance(0.4):
        length = Size(f"{live.name}.shape[{axis % live.rank}] - {start}")
    return call("narrow", {"input": live}, [("dim", axis), ("start", start), ("length", length)])


@draws("index_select", weight=1.2)
def index_select(b: Builder) -> Call | None:
    index = b.pick(1, "index")
    live = index and b.pick(range(1, 4), "any", lambda live: any(size >= (index.kinds or 0) for size in live.sizes))
    if index is None or live is None or not live.rank:
        return None
    fitting = [axis for axis, size in enumerate(live.sizes) if size >= (index.kinds or 0)]
    axis = b.axis(live.rank) if b.wild or not fitting else b.rng.choice(fitting)
    return call("index_select", {"input": live, "index": index}, [("dim", axis)])


@draws("gather", "scatter", "take_along_dim", weight=1.5)
def along(b: Builder, name: str) -> Call | None:
    index = b.pick(range(1, 4), "index")
    if index is None or not index.rank:
        return None
    live = b.pick(index.rank, "any" if b.chance(0.3) else "float", lambda live: _reaches(live, index) is not None)
    if live is None or not live.rank:
        return None
    axis = _reaches(live, index)
    axis = b.axis(live.rank) if axis is None else axis
    if name == "take_along_dim":
        return call(name, {"input": live, "indices": index}, [("dim", axis)])
    source: dict[str, Any] = (
        {"src": b.pick(live.rank, "any", lambda src: src.dtype == live.dtype) or 1} if name == "scatter" else {}
    )
    if source and b.chance(0.4):
        source = {"src": 1}
    return call(name, {"input": live, "index": index, **source}, [("dim", axis)])


def _reaches(live: Live, index: Live) -> int | None:
    """The axis along which the indices name places, where there is one."""
    if live.rank != index.rank:
        return None
    for axis in range(live.rank):
        rest = [place for place in range(live.rank) if place != axis]
        if live.sizes[axis] >= (index.kinds or 1) and all(index.sizes[place] <= live.sizes[place] for place in rest):
            return axis
    return None


@draws("pick", weight=1.2)
def pick(b: Builder) -> Call | None:
    index = b.pick(1, "index")
    values = index and b.pick(2, "any", lambda live: live.sizes[0] == index.sizes[0] and live.sizes[1] >= (index.kinds or 1))
    return None if index is None or values is None else call("pick", {"values": values, "index": index})


# --- losses ---------------------------------------------------------------------------------------------------------------

REDUCTIONS = ("mean", "sum", "none")


@draws("cross_entropy", "nll_loss", weight=2)
def on_classes(b: Builder, name: str) -> Call | None:
    scores = b.pick(range(1, 4), fits=lambda live: live.fixed(-1) or live.fixed(1 if live.rank > 1 else 0))
    if scores is None or not scores.rank:
        return None
    axes = range(0 if scores.rank == 1 else 1, scores.rank)
    targets = {axis: scores.sizes[:axis] + scores.sizes[axis + 1 :] for axis in axes}
    target = b.pick(scores.rank - 1, "index", lambda live: live.sizes in targets.values())
    if target is None:
        return None
    fitting = [axis for axis, sizes in targets.items() if sizes == target.sizes and scores.sizes[axis] >= (target.kinds or 1)]
    axis = b.rng.choice(fitting) if fitting else scores.rank - 1
    settings: Settings = b.some(reduction=b.rng.choice(REDUCTIONS))
    settings += [("dim", axis)] if scores.rank > 2 or b.chance(0.2) else []
    settings += b.some(label_smoothing=0.1) if name == "cross_entropy" else []
    if b.chance(0.15):
        settings.append(("weight", tuple(0.5 for _ in range(b.off(scores.sizes[axis])))))
    keep = b.pick(range(1, 3), "bool", lambda live: live.sizes == target.sizes[: live.rank]) if b.chance(0.3) else None
    return call(name, {"input": scores, "target": target, **({} if keep is None else {"keep": keep})}, settings)


ELEMENTWISE = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits")


@draws(*ELEMENTWISE, weight=0.8)
def on_elements(b: Builder, name: str) -> Call | None:
    live = b.pick()
    if live is None:
        return None
    target: Any = b.pick(live.rank, "float", lambda other: other.sizes == live.sizes and other.dtype == live.dtype)
    target = b.rng.choice([0, 1, 0.5]) if target is None or b.chance(0.15) else target
    settings = b.some(reduction=b.rng.choice(REDUCTIONS))
    settings += (
        b.some(beta=0.5)
        if name == "smooth_l1_loss"
        else b.some(delta=b.rng.choice([2.0, *([0.0] * b.wild)]))
        if name == "huber_loss"
        else []
    )
    keep = b.pick(range(1, 4), "bool", lambda keep: keep.sizes == live.sizes[: keep.rank]) if b.chance(0.25) else None
    return call(name, {"input": live, "target": target, **({} if keep is None else {"keep": keep})}, settings)


def _alike(b: Builder, count: int, rank: Any = None) -> list[Live] | None:
    live = b.pick(rank)
    if live is None:
        return None
    others = [
        b.pick(live.rank, "float", lambda other: other.sizes == live.sizes and other.dtype == live.dtype) or live
        for _ in range(count - 1)
    ]
    return [live, *others]


@draws("kl_div", weight=0.8)
def divergence(b: Builder) -> Call | None:
    both = _alike(b, 2)
    reduction = b.rng.choice([*REDUCTIONS, "batchmean", *(["median"] * b.wild)])
    return both and call("kl_div", {"input": both[0], "target": both[1]}, [("reduction", reduction), *b.some(log_target=True)])


@draws("gaussian_nll_loss", weight=0.8)
def gaussian(b: Builder) -> Call | None:
    three = _alike(b, 3)
    return three and call(
        "gaussian_nll_loss", dict(zip(("input", "target", "var"), three, strict=True)), b.some(full=True, reduction="none")
    )


@draws("dice_loss", weight=0.8)
def dice(b: Builder) -> Call | None:
    both = _alike(b, 2, range(1, 5))
    return both and call("dice_loss", {"input": both[0], "target": both[1]}, b.some(reduction="none"))


@draws("cosine_similarity", weight=0.8)
def cosine(b: Builder) -> Call | None:
    both = _alike(b, 2, range(1, 5))
    return both and call("cosine_similarity", {"x1": both[0], "x2": both[1]}, [("dim", b.axis(both[0].rank))])


@draws("triplet_margin_loss", weight=0.8)
def triplets(b: Builder) -> Call | None:
    three = _alike(b, 3, 2)
    margin = b.some(margin=b.rng.choice([0.5, *([0.0] * b.wild)]))
    return three and call("triplet_margin_loss", dict(zip(("anchor", "positive", "negative"), three, strict=True)), margin)
