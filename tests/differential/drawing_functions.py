"""How functions of elements and shapes are drawn."""

from __future__ import annotations

from typing import Any

from differential.builder import KINDS, Builder, Live, arrow, call
from differential.description import Call, Setting, Size, Slice
from differential.drawing import draws
from differential.drawing_layers import DIVISORS

# --- elements -------------------------------------------------------------------------------------------------------------

UNARY = (
    "abs",
    "sign",
    "square",
    "exp",
    "log",
    "log1p",
    "sqrt",
    "rsqrt",
    "sin",
    "cos",
    "erf",
    "reciprocal",
    "floor",
    "ceil",
    "isnan",
)
CONVERSIONS = ("float32", "float64", "int64", "bool")


@draws(*UNARY, weight=0.3)
def unary(b: Builder, name: str) -> Call | None:
    live = b.pick(None, "number" if b.chance(0.8) else "any")
    return live and call(name, {"input": live})


@draws("neg", "logical_not", weight=0.5)
def sign(b: Builder, name: str) -> Call | None:
    live = b.pick(None, "number" if name == "neg" else "bool")
    return live and call(name, {"input": live}, spelled=b.rng.choice(["infix", "call"]))


@draws(*CONVERSIONS, weight=0.6)
def conversion(b: Builder, name: str) -> Call | None:
    live = b.pick(None, "float" if name in ("float64", "int64", "bool") and b.chance(0.5) else "any")
    return live and call(name, {"input": live})


@draws("detach", weight=0.3)
def detach(b: Builder) -> Call | None:
    live = b.pick(None, "any")
    return live and call("detach", {"input": live})


@draws("round", weight=0.4)
def rounding(b: Builder) -> Call | None:
    live = b.pick(None, "number" if b.wild else "float")
    return live and call("round", {"input": live}, b.some(decimals=b.rng.choice([1, -1])))


@draws("heaviside", weight=0.3)
def step(b: Builder) -> Call | None:
    live = b.pick()
    return live and call("heaviside", {"input": live}, [("values", b.rng.choice([0, 0.5]))])


@draws("clamp", weight=0.5)
def clamp(b: Builder) -> Call | None:
    live = b.pick(None, "number")
    settings = b.some(min=b.rng.choice([0, -0.5]), max=b.rng.choice([1, 2.5]))
    return None if live is None or not (settings or b.wild) else call("clamp", {"input": live}, settings)


def partner(b: Builder, live: Live, kind: str) -> Live | None:
    """Something that broadcasts against the value, as a rule."""

    def broadcasts(other: Live) -> bool:
        pairs = zip(reversed(live.sizes), reversed(other.sizes), strict=False)
        return all(one == two or 1 in (one, two) for one, two in pairs)

    return b.another(live, kind, broadcasts) if KINDS[kind](live.tensor) else b.pick(None, kind, broadcasts)


ARITHMETIC = ("add", "sub", "mul", "div", "floor_divide", "remainder", "pow", "maximum", "minimum")


@draws(*ARITHMETIC, "eq", "ne", "lt", "le", "gt", "ge", weight=2)
def binary(b: Builder, name: str) -> Call | None:
    kind = "number" if b.chance(0.85) else "any"
    left = b.pick(None, kind)
    if left is None:
        return None
    spelled = "call" if name in ("maximum", "minimum") or b.chance(0.25) else "infix"
    if b.chance(0.25):
        number: Any = b.rng.choice([2, 3, 0.5, 1.5, 1])
        if left.rank and left.name and b.chance(0.3):
            number = b.size(left, b.rng.randrange(left.rank))
        sides = (
            {"input": left, "other": number} if b.chance(0.7) or isinstance(number, Size) else {"input": number, "other": left}
        )
        return call(name, sides, spelled=spelled)
    right = partner(b, left, kind)
    if right is None:
        return None
    return call(name, {"input": left, "other": right} if b.chance(0.5) else {"input": right, "other": left}, spelled=spelled)


@draws("logical_and", "logical_or", weight=0.8)
def logic(b: Builder, name: str) -> Call | None:
    left = b.pick(None, "bool" if b.chance(0.8) else "any")
    right = left and partner(b, left, "bool")
    if left is None or right is None:
        return None
    return call(name, {"input": left, "other": right}, spelled=b.rng.choice(["infix", "call"]))


@draws("where", weight=1.5)
def where(b: Builder) -> Call | None:
    condition = b.pick(None, "bool")
    chosen = condition and partner(b, condition, "number")
    if condition is None or chosen is None:
        return None
    other: Any = partner(b, chosen, "number") if b.chance(0.5) else b.rng.choice([0, 1.5, 3])
    return call("where", {"condition": condition, "input": chosen, "other": chosen if other is None else other})


@draws("masked_fill")
def masked_fill(b: Builder) -> Call | None:
    mask = b.pick(None, "bool")
    live = mask and partner(b, mask, "number")
    if mask is None or live is None:
        return None
    return call(
        "masked_fill", {"input": live, "mask": mask}, [("value", b.rng.choice([0, 1, -2.5 if live.dtype[0] == "f" else 2]))]
    )


# --- shapes ---------------------------------------------------------------------------------------------------------------


def _times(one: Any, other: Any) -> int | Size:
    if isinstance(one, int) and isinstance(other, int):
        return one * other
    return Size(" * ".join(each.text if isinstance(each, Size) else str(each) for each in (one, other)))


@draws("reshape", weight=3)
def reshape(b: Builder) -> Call | None:
    live = b.pick(range(1, 5), "any" if b.chance(0.2) else "float")
    if live is None or not live.rank:
        return None
    sizes: list[Any] = [b.size(live, axis) for axis in range(live.rank)]
    if len(sizes) > 1 and b.chance(0.6):
        place = b.rng.randrange(len(sizes) - 1)
        sizes[place : place + 2] = [_times(sizes[place], sizes[place + 1])]
    if b.chance(0.6):
        numbers = [place for place, size in enumerate(sizes) if isinstance(size, int)]
        if numbers:
            place = b.rng.choice(numbers)
            part = b.rng.choice(DIVISORS.get(sizes[place], [1]))
            sizes[place : place + 1] = [part, sizes[place] // part]
    sizes = [b.sized(b.off(size)) if isinstance(size, int) else size for size in sizes]
    if b.chance(0.6):
        sizes[b.rng.randrange(len(sizes))] = -1
    return (
        arrow("reshape", live, [("shape", tuple(sizes))], positional=1)
        if b.chance(0.5)
        else call("reshape", {"input": live}, [("shape", tuple(sizes))])
    )


@draws("squeeze")
def squeeze(b: Builder) -> Call | None:
    live = b.pick(range(1, 6), "any", lambda live: any(size == 1 and live.fixed(axis) for axis, size in enumerate(live.sizes)))
    if live is None:
        return None
    ones = [axis for axis, size in enumerate(live.sizes) if size == 1]
    axis: Setting = b.rng.choice(ones) if ones else b.axis(live.rank)
    return call("squeeze", {"input": live}, [("dim", tuple(ones) if len(ones) > 1 and b.chance(0.4) else axis)])


@draws("unsqueeze")
def unsqueeze(b: Builder) -> Call | None:
    live = b.pick(range(4), "any")
    return live and call("unsqueeze", {"input": live}, [("dim", b.axis(live.rank + 1))])


@draws("transpose", weight=1.5)
def transpose(b: Builder) -> Call | None:
    live = b.pick(range(1, 6), "any" if b.chance(0.2) else "float")
    return live and call("transpose", {"input": live}, [("dim0", b.axis(live.rank)), ("dim1", b.axis(live.rank))], positional=2)


@draws("permute", weight=1.5)
def permute(b: Builder) -> Call | None:
    live = b.pick(range(1, 6), "any" if b.chance(0.2) else "float")
    if live is None or not live.rank:
        return None
    order = [place - live.rank * b.chance(0.2) for place in b.rng.sample(range(live.rank), live.rank)]
    if b.wild and b.chance(0.5):
        order[0] = b.rng.choice([order[-1], live.rank])
    return call("permute", {"input": live}, [("dims", tuple(order))])


@draws("movedim")
def movedim(b: Builder) -> Call | None:
    live = b.pick(range(1, 6), "any")
    if live is None or not live.rank:
        return None
    count = b.rng.randint(1, min(2, live.rank))
    source, target = (b.rng.sample(range(live.rank), count) for _ in range(2))
    if b.wild and b.chance(0.4):
        target[0] = live.rank
    if count == 1:
        return call("movedim", {"input": live}, [("source", source[0]), ("destination", target[0])])
    return call("movedim", {"input": live}, [("source", tuple(source)), ("destination", tuple(target))])


@draws("expand")
def expand(b: Builder) -> Call | None:
    live = b.pick(range(1, 4), "any", lambda live: 1 in live.sizes)
    if live is None:
        return None
    sizes: list[Setting] = [
        b.rng.choice([-1, b.sized(b.off(size) if size != 1 else b.among(1, 4))]) if live.fixed(axis) else -1
        for axis, size in enumerate(live.sizes)
    ]
    front: list[Setting] = [b.rng.choice([2, 3, *([-1] * b.wild)])] if b.chance(0.3) else []
    return call("expand", {"input": live}, [("sizes", (*front, *sizes))])


def axes_of(b: Builder, live: Live) -> Setting:
    """One axis or several; when wild, sometimes one twice."""
    if live.rank < 2 or b.chance(0.5):
        return b.axis(live.rank)
    places = [place - live.rank * b.chance(0.3) for place in b.rng.sample(range(live.rank), b.rng.randint(1, live.rank))]
    return tuple(places + places[:1] * (b.wild and b.chance(0.3)))


@draws("flip", weight=0.7)
def flip(b: Builder) -> Call | None:
    live = b.pick(range(1, 6), "any")
    return live and call("flip", {"input": live}, [("dims", axes_of(b, live))])


@draws("roll", weight=0.7)
def roll(b: Builder) -> Call | None:
    live = b.pick(range(1, 6), "any")
    if live is None:
        return None
    if b.chance(0.3):
        return call("roll", {"input": live}, [("shifts", b.rng.randint(-3, 3))])
    axes = axes_of(b, live)
    count = len(axes) if isinstance(axes, tuple) else 1
    shifts: Setting = tuple(b.rng.randint(-2, 2) for _ in range(b.off(count))) if isinstance(axes, tuple) else 1
    return call("roll", {"input": live}, [("shifts", shifts), ("dims", axes)])


@draws("tile", "repeat_interleave", weight=0.7)
def repeated(b: Builder, name: str) -> Call | None:
    live = b.pick(range(4), "any")
    if live is None:
        return None
    if name == "tile":
        return call("tile", {"input": live}, [("dims", tuple(b.rng.randint(1, 2) for _ in range(b.rng.randint(1, 3))))])
    dim = [("dim", b.axis(live.rank))] if live.rank and b.chance(0.7) else []
    return call("repeat_interleave", {"input": live}, [("repeats", b.sized(b.among(1, 3))), *dim])


@draws("tril", "triu", weight=0.6)
def triangle(b: Builder, name: str) -> Call | None:
    live = b.pick(range(2, 5), "any")
    return live and call(name, {"input": live}, b.some(diagonal=b.rng.randint(-2, 2)))


@draws("split", "chunk", weight=1.5)
def cut(b: Builder, name: str) -> Call | None:
    live = b.pick(range(1, 5), "any" if b.chance(0.2) else "float", lambda live: any(size > 1 for size in live.sizes))
    if live is None or not live.rank:
        return None
    axis = b.axis(live.rank)
    size = live.sizes[axis] if -live.rank <= axis < live.rank else 4
    if name == "split" and b.chance(0.4) and size > 1 and -live.rank <= axis < live.rank:
        first = b.rng.randint(1, size - 1)
        rest: Setting = b.sized(b.off(size - first))
        if not live.fixed(axis) and live.name:
            rest = Size(f"{live.name}.shape[{axis % live.rank}] - {first}")
        return call("split", {"input": live}, [("parts", (first, rest)), ("dim", axis)])
    count = b.rng.choice([part for part in DIVISORS.get(size, [1]) if part <= 4])
    return call(name, {"input": live}, [("parts" if name == "split" else "chunks", b.off(count)), ("dim", axis)])


@draws("center_crop")
def center_crop(b: Builder) -> Call | None:
    live = b.pick(range(2, 6))
    if live is None or live.rank < 2:
        return None
    sizes = tuple(b.off(b.rng.randint(1, size)) for size in live.sizes[-2:])
    return call("center_crop", {"input": live}, [("size", tuple(map(b.sized, sizes)) if b.chance(0.6) else b.sized(min(sizes)))])


@draws("subscript", weight=4)
def subscript(b: Builder) -> Call | None:
    live = b.pick(range(1, 5), "any")
    if live is None or not live.rank:
        return None
    entries: list[Any] = [_entry(b, live, axis) for axis in range(b.rng.randint(1, live.rank))]
    if b.chance(0.2):
        entries = ["...", _entry(b, live, live.rank - 1)]
    if b.chance(0.15):
        entries.insert(b.rng.randint(0, len(entries)), None)
    return call("subscript", {"input": live}, [("entries", tuple(entries))], spelled="infix")


def _entry(b: Builder, live: Live, axis: int) -> Any:
    size = live.sizes[axis]
    if b.chance(0.4):
        return Slice()
    if b.chance(0.4):
        return b.rng.choice([0, -1, b.rng.randint(-size, size - 1), *([size, -size - 1] * b.wild)])
    start = b.rng.choice([None, b.rng.randint(0, size - 1), -b.rng.randint(1, size)])
    stop: Any = b.rng.choice([None, b.sized(b.rng.randint(1, size)), -1 if size > 1 else None, size + 2])
    if live.name and b.chance(0.15):
        stop = Size(f"{live.name}.shape[{axis}] // 2")
    return Slice(start, stop, b.rng.choice([None, None, 2, 3, *([0] * b.wild)]))
