"""How functions that join, reduce, multiply and make tensors are drawn."""

from __future__ import annotations

from differential.builder import Builder, Live, call
from differential.description import Call, Setting
from differential.drawing import draws
from differential.drawing_functions import axes_of
from differential.drawing_layers import Settings

# --- merging, reductions, products ----------------------------------------------------------------------------------------


@draws("concat", weight=6)
def concat(b: Builder) -> Call | None:
    live = b.pick(range(1, 5), "any" if b.chance(0.1) else "float")
    if live is None or not live.rank:
        return None
    axis = b.rng.randrange(live.rank)

    def fits(other: Live) -> bool:
        others = [place for place in range(live.rank) if place != axis]
        return other.rank == live.rank and all(other.sizes[place] == live.sizes[place] for place in others)

    kind = "any" if b.chance(0.2) else "float"
    tensors = [live, *(b.another(live, kind, fits) for _ in range(b.rng.choice([1, 1, 1, 2])))]
    b.rng.shuffle(tensors)
    dim = b.axis(live.rank) if b.wild and b.chance(0.3) else axis - live.rank * b.chance(0.3)
    return call("concat", {"tensors": tuple(tensors)}, [("dim", dim)])


@draws("stack", weight=1.5)
def stack(b: Builder) -> Call | None:
    live = b.pick(range(4), "any" if b.chance(0.1) else "float")
    if live is None:
        return None
    other = b.another(live, "any" if b.chance(0.2) else "float", lambda other: other.sizes == live.sizes)
    return call("stack", {"tensors": (live, other)}, [("dim", b.axis(live.rank + 1))])


def _reduced(b: Builder, live: Live) -> Settings:
    settings: Settings = [("dim", axes_of(b, live))] if live.rank and b.chance(0.85) else []
    return [*settings, ("keepdim", True)] if b.chance(0.35) else settings


@draws("sum", "amax", "amin", "all", "any", "std", "var", "norm", weight=0.9)
def reduction(b: Builder, name: str) -> Call | None:
    kind = "float" if name in ("std", "var", "norm") else "number" if name in ("amax", "amin") else "any"
    live = b.pick(None, kind)
    return live and call(name, {"input": live}, _reduced(b, live))


@draws("mean", weight=3)
def mean(b: Builder) -> Call | None:
    live = b.pick()
    if live is None:
        return None
    if b.chance(0.25) and live.rank > 1:
        keep = b.pick(range(1, live.rank + 1), "bool", lambda keep: keep.sizes == live.sizes[: keep.rank])
        if keep is not None and keep.rank:
            return call("mean", {"input": live, "keep": keep}, [("dim", b.rng.randrange(keep.rank)), *b.some(keepdim=True)])
    return call("mean", {"input": live}, _reduced(b, live))


@draws("prod", "argmax", "argmin", "median", weight=0.8)
def reduction_of_one_axis(b: Builder, name: str) -> Call | None:
    live = b.pick(None, "number")
    if live is None:
        return None
    settings: Settings = [("dim", b.axis(live.rank))] if live.rank and b.chance(0.8) else []
    return call(name, {"input": live}, settings + ([("keepdim", True)] if settings and b.chance(0.4) else []))


@draws("logsumexp", "cumsum", weight=0.7)
def over_axis(b: Builder, name: str) -> Call | None:
    live = b.pick(range(1, 6), "number")
    return live and call(name, {"input": live}, [("dim", b.axis(live.rank) if name == "cumsum" else axes_of(b, live))])


@draws("sort", "argsort", weight=0.7)
def sort(b: Builder, name: str) -> Call | None:
    live = b.pick(range(1, 5), "number")
    return live and call(name, {"input": live}, b.some(dim=b.axis(live.rank), descending=True))


@draws("topk", weight=1.2)
def topk(b: Builder) -> Call | None:
    live = b.pick(range(1, 5), "number")
    if live is None or not live.rank:
        return None
    axis = b.axis(live.rank)
    size = live.sizes[axis] if -live.rank <= axis < live.rank else 2
    take = b.rng.choice([None, "values", "indices"])
    return call("topk", {"input": live}, [("k", b.sized(b.off(b.rng.randint(1, min(size, 4))))), ("dim", axis)], take=take)


@draws("matmul", weight=3)
def matmul(b: Builder) -> Call | None:
    left = b.pick(range(1, 5))
    if left is None or not left.rank:
        return None
    right = b.pick(range(1, 5), "float", lambda other: other.sizes[-2:][0] == left.sizes[-1] and other.dtype == left.dtype)
    if right is None:
        return None
    return call("matmul", {"input": left, "other": right}, spelled=b.rng.choice(["infix", "call"]))


@draws("outer", weight=0.5)
def outer(b: Builder) -> Call | None:
    one, other = b.pick(1, "any"), b.pick(1, "any")
    return None if one is None or other is None else call("outer", {"input": one, "vec2": other})


EQUATIONS = {
    (1, 1): ["i,j->ij", "i,i->"], (2, 2): ["ij,jk->ik", "ij,kj->ik", "ij,ij->i", "ij,ij->ij", "ni,nj->nij"], (2,): ["ij->ji", "ij->", "ij->i"],
    (3, 3): ["bik,bkj->bij", "bqd,bkd->bqk", "bij,bij->b"], (3, 2): ["bij,jk->bik", "bij,bj->bi"], (4, 4): ["bhqd,bhkd->bhqk"],
    (3,): ["bij->bji", "bij->bi", "b...->..."], (1,): ["i->"], (4,): ["bcij->bc", "...ij->...ji"],
}  # fmt: skip


@draws("einsum", weight=2.5)
def einsum(b: Builder) -> Call | None:
    first = b.pick(range(1, 5))
    if first is None:
        return None
    choices = [(ranks, each) for ranks, equations in EQUATIONS.items() if ranks[0] == first.rank for each in equations]
    if not choices:
        return None
    ranks, equation = b.rng.choice(choices)
    texts = equation.partition("->")[0].split(",")
    operands = [first]
    if len(ranks) > 1:
        sizes = dict(zip(texts[0], first.sizes, strict=False))

        def agrees(other: Live) -> bool:
            return all(sizes.get(letter, size) == size for letter, size in zip(texts[1], other.sizes, strict=False))

        fits = b.pick(ranks[1], "float", agrees)
        if fits is None:
            return None
        operands.append(fits)
    if b.wild and b.chance(0.2):
        equation = equation.replace("i", "q", 1)
    return call("einsum", {"operands": tuple(operands)}, [("equation", equation)])


# --- constants and draws --------------------------------------------------------------------------------------------------


def _sizes(b: Builder) -> tuple[Setting, ...]:
    like = b.pick(range(1, 4), "any")
    if like is not None and like.rank and b.chance(0.7):
        return tuple(b.size(like, axis) for axis in range(like.rank) if axis != like.rank - 1 or b.chance(0.8)) or (2,)
    return tuple(b.sized(b.rng.randint(1, 4)) for _ in range(b.rng.randint(1, 3)))


@draws("zeros", "ones", "normal", "uniform", "bernoulli", weight=0.6)
def constant(b: Builder, name: str) -> Call | None:
    return call(name, {}, [("sizes", _sizes(b))], spelled="brackets")


@draws("full", weight=0.6)
def full(b: Builder) -> Call | None:
    return call("full", {}, [("fill_value", b.rng.choice([0.5, 2, 0])), ("sizes", _sizes(b))], spelled="brackets", positional=1)


@draws("randint", weight=0.6)
def randint(b: Builder) -> Call | None:
    low = b.rng.choice([0, 0, 1])
    return call(
        "randint", {}, [("low", low), ("high", b.rng.randint(2, 6)), ("sizes", _sizes(b))], spelled="brackets", positional=2
    )


@draws("zeros_like", "ones_like", "full_like", weight=0.5)
def constant_like(b: Builder, name: str) -> Call | None:
    live = b.pick(None, "any")
    value = [("fill_value", b.rng.choice([0, 2]))] if name == "full_like" else []
    return live and call(name, {"input": live}, value)


@draws("eye", "arange", "linspace", weight=0.6)
def counted(b: Builder, name: str) -> Call | None:
    like = b.pick(range(1, 5), "any")
    count: Setting = b.sized(b.rng.randint(1, 6))
    if like is not None and like.rank and b.chance(0.7):
        count = b.size(like, b.rng.randrange(like.rank))
    if name == "linspace":
        return call(name, {}, [("start", 0), ("end", 1.5), ("steps", count)])
    return call(name, {}, [("n" if name == "eye" else "end", count), *(b.some(m=b.rng.randint(1, 4)) if name == "eye" else [])])
