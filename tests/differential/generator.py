"""Random networks, drawn from what operators ask for: about half of them run. The same seed and index give the same network."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

from differential import drawing_functions, drawing_graphs, drawing_layers, drawing_reductions, drawing_sequences  # noqa: F401  (they fill the table)
from differential.builder import LARGEST, Builder, Live, Trial
from differential.description import Bind, Body, Call, Expression, Input, Network, Output, Read, Size, Type, walk
from differential.drawing import DRAWERS
from differential.drawing_structure import STRUCTURES
from differential.values import Parts, carry

_TRIES = 8
_NAMES = list(DRAWERS)
_WEIGHTS = [drawer.weight for drawer in DRAWERS.values()]
_STRUCTURE_WEIGHTS = [weight for _, weight in STRUCTURES]
_STRUCTURED = sum(_STRUCTURE_WEIGHTS) / (sum(_STRUCTURE_WEIGHTS) + sum(_WEIGHTS))


def generate(seed: int, index: int) -> Network:
    """The network of this seed and index."""
    rng = Random(f"{seed}:{index}")
    builder = Builder(rng, training=rng.random() < 0.2)
    _draw_inputs(builder)
    count = rng.randint(3, 12)
    wild = rng.randrange(count) if rng.random() < 0.7 else count
    for step in range(count):
        builder.wild = step == wild
        if _step(builder):
            break
    return _finished(builder)


# --- inputs ---------------------------------------------------------------------------------------------------------------

IMAGE, SIGNAL, SEQUENCE, FLAT, VOLUME = (
    ("N", "C", "H", "W"),
    ("N", "C", "L"),
    ("N", "T", "D"),
    ("N", "F"),
    ("N", "C", "Z", "H", "W"),
)
#: What goes into a network: names, and for each an element type and the letters of its axes.
THEMES: tuple[tuple[dict[str, tuple[str, tuple[str, ...]]], float], ...] = (
    ({"x": ("float32", IMAGE)}, 4),
    ({"x": ("float32", IMAGE), "y": ("float32", IMAGE)}, 2),
    ({"x": ("float32", IMAGE), "y": ("float32", FLAT)}, 1),
    ({"x": ("float32", IMAGE), "labels": ("index", ("N",))}, 1),
    ({"x": ("float32", IMAGE), "mask": ("bool", ("N", "H", "W"))}, 0.7),
    ({"x": ("float32", SIGNAL)}, 2),
    ({"x": ("float32", SIGNAL), "mask": ("bool", ("N", "L"))}, 0.7),
    ({"x": ("float32", SEQUENCE)}, 3),
    ({"x": ("float32", SEQUENCE), "mask": ("bool", ("N", "T"))}, 2),
    ({"x": ("float32", SEQUENCE), "y": ("float32", ("N", "S", "D"))}, 2),
    ({"x": ("float32", SEQUENCE), "mask": ("bool", ("N", "T", "T"))}, 0.7),
    ({"x": ("float32", SEQUENCE), "steps": ("int64", ("N",))}, 1),
    ({"x": ("float32", SEQUENCE), "state": ("float32", ("N", "E")), "first": ("float32", ("B", "N", "E"))}, 1),
    ({"tokens": ("index", ("N", "T"))}, 2),
    ({"tokens": ("index", ("N", "T")), "mask": ("bool", ("N", "T"))}, 1),
    ({"tokens": ("index", ("N", "T")), "x": ("float32", SEQUENCE)}, 1),
    ({"x": ("float32", ("V", "F")), "edges": ("edges", ("M",))}, 1.5),
    ({"x": ("float32", ("V", "F")), "edges": ("edges", ("M",)), "weights": ("float32", ("M",))}, 0.7),
    ({"x": ("float32", FLAT)}, 2),
    ({"x": ("float32", FLAT), "y": ("float32", FLAT)}, 2),
    ({"x": ("float32", FLAT), "labels": ("index", ("N",)), "sure": ("bool", ("N",))}, 1),
    ({"x": ("float64", FLAT), "y": ("float32", ("F", "G"))}, 0.7),
    ({"x": ("float32", FLAT), "count": ("int64", ("N", "F"))}, 0.7),
    ({"x": ("float32", VOLUME)}, 1.5),
    ({"q": ("float32", ("N", "A", "T", "D")), "v": ("float32", ("N", "A", "S", "D")), "mask": ("bool", ("T", "S"))}, 1),
)  # fmt: skip
#: What letters usually stand for; those of the first line are mostly numbers.
FIXED = {
    "C": (1, 2, 3, 4, 6, 8),
    "D": (2, 4, 4, 6, 8),
    "F": (1, 3, 4, 6, 8),
    "E": (2, 3, 4),
    "G": (2, 3),
    "B": (1, 2),
    "A": (1, 2, 3),
}
RANGES = {"N": (1, 3), "H": (5, 13), "W": (5, 13), "L": (5, 14), "T": (3, 7), "S": (2, 6), "Z": (4, 7)}


def _draw_inputs(b: Builder) -> None:
    theme = b.rng.choices([theme for theme, _ in THEMES], [weight for _, weight in THEMES])[0]
    sizes: dict[str, int | Size] = {}
    if b.chance(0.15) and any("W" in letters for _, letters in theme.values()):
        sizes["W"] = _dimension(b, "H", sizes)
    for name, (dtype, letters) in theme.items():
        dims = tuple(_dimension(b, letter, sizes) for letter in letters)
        if len(theme) > 1 and name == "y" and "C" in letters and b.chance(0.5):
            dims = (dims[0], b.rng.choice(FIXED["C"]), *dims[2:])
        if b.lives and b.chance(0.15):
            dims = _derived(b, dims)
        kinds = None
        if dtype == "edges":
            dims, kinds = (2 if b.chance(0.95) else 3, *dims), sizes["V"] if b.chance(0.9) else b.rng.randint(1, 8)
        elif dtype == "index":
            kinds = b.rng.randint(2, 8) if b.chance(0.6) else _dimension(b, "V", sizes)
        b.add_input(Input(name, Type("int64" if dtype in ("index", "edges") else dtype, dims, kinds), _conditions(b, dims)))


def _dimension(b: Builder, letter: str, sizes: dict[str, int | Size]) -> int | Size:
    """The size that a letter stands for in this network: a number, a symbol, or now and then a multiple of one."""
    if letter in sizes:
        return sizes[letter]
    low, high = RANGES.get(letter, (2, 8))
    usual, other = b.rng.randint(low, high), b.rng.randint(low, high)
    if letter in FIXED:
        usual = other = b.rng.choice(FIXED[letter])
    if b.chance(0.15 if letter in FIXED else 0.75):
        b.symbols[letter] = (usual, other if letter not in FIXED else usual + b.rng.randint(0, 2))
        for scope, size in zip(b.scopes, b.symbols[letter], strict=True):
            scope.names[letter] = size
        sizes[letter] = Size(letter)
    else:
        sizes[letter] = usual
    return sizes[letter]


def _derived(b: Builder, dims: tuple[int | Size, ...]) -> tuple[int | Size, ...]:
    """Sizes of a later input, of which one is made of a symbol that stands alone in an earlier one."""
    bare = {dim.text for node in b.statements if isinstance(node, Input) for dim in node.type.dims if isinstance(dim, Size)}
    places = [place for place, dim in enumerate(dims) if isinstance(dim, Size) and dim.text in bare & set(b.symbols)]
    if not places:
        return dims
    place = b.rng.choice(places)
    text = b.rng.choice(["{0} // 2", "2 * {0}", "{0} + 1", "({0} + 1) // 2"]).format(dims[place].text)  # type: ignore[union-attr]
    return (*dims[:place], Size(text), *dims[place + 1 :])


def _conditions(b: Builder, dims: tuple[int | Size, ...]) -> tuple[Size, ...]:
    """Now and then what the spec says of its own sizes, mostly true of the usual ones."""
    symbols = [dim.text for dim in dims if isinstance(dim, Size) and dim.text in b.symbols]
    if not symbols or not b.chance(0.15):
        return ()
    symbol = b.rng.choice(symbols)
    usual = b.symbols[symbol][0]
    divisor = b.rng.choice([2, 3, 4])
    texts = [f"{symbol} % {divisor} == {usual % divisor}", f"{symbol} >= {max(1, usual - 2)}", f"{symbol} <= {usual + 3}"]
    if len(symbols) > 1 and b.chance(0.3):
        one, other = b.rng.sample(symbols, 2)
        texts = [f"{one} <= {other}" if b.symbols[one][0] <= b.symbols[other][0] else f"{one} >= {other}"]
    return (Size(b.rng.choice(texts)),)


# --- steps ----------------------------------------------------------------------------------------------------------------


def _step(b: Builder) -> bool:
    """Add one statement. True where the network is broken by it, and ends."""
    for _ in range(_TRIES):
        node = _drawn(b)
        if node is None:
            continue
        trial = b.try_out(node)
        if _wanted(b, trial):
            b.bind(node, trial)
            return bool(trial.error)
    b.wild = False
    return False


def _drawn(b: Builder) -> Expression | None:
    """Something to bind; None where nothing at hand suits, or what was picked wildly cannot even be looked at."""
    try:
        return _any(b)
    except (IndexError, ValueError):
        if not b.wild and all(live.tensor.numel() for live in b.lives):
            raise
        return None


def _any(b: Builder) -> Expression | None:
    if b.rng.random() < _STRUCTURED:
        draw: Callable[[Builder], Expression | None] = b.rng.choices([draw for draw, _ in STRUCTURES], _STRUCTURE_WEIGHTS)[0]
        return draw(b)
    return DRAWERS[b.rng.choices(_NAMES, _WEIGHTS)[0]].draw(b)


def _wanted(b: Builder, trial: Trial) -> bool:
    """Whether to go on with it: what runs; when wild, what does not. What nnspec refuses by design only rarely."""
    if trial.error:
        return b.wild or b.chance(0.02)
    if _largest(trial.value) > LARGEST or _largest(trial.other) > 4 * LARGEST:
        return False
    if trial.strict:
        return b.chance(0.1 if b.wild else 0.03)
    return not b.wild or b.chance(0.1)


def _largest(value: Any) -> int:
    tensors = value.values if isinstance(value, Parts) else [carry(value)] if value is not None else []
    return max((tensor.numel() for tensor in tensors), default=0)


# --- the end --------------------------------------------------------------------------------------------------------------


def _finished(b: Builder) -> Network:
    """The network with its outputs: the last value, and some of those that nothing uses."""
    read = _uses(tuple(b.statements))
    binds = [each for each in b.statements if isinstance(each, Bind)]
    last = binds[-1].names[0] if binds else next(each.name for each in b.statements if isinstance(each, Input))
    others = [name for each in binds for name in each.names if name not in read and name != last and b.chance(0.4)]
    outputs = [Output(f"out{place}", Read(name), _stated(b, name)) for place, name in enumerate([last, *others])]
    statements = _inlined(b.rng, [*b.statements, *outputs])
    body = Body("Net", tuple(statements), tuple(b.parameters))
    symbols = tuple((name, usual) for name, (usual, _) in b.symbols.items())
    return Network(body, tuple(b.blocks), symbols, b.training, b.chance(0.15))


def _stated(b: Builder, name: str) -> Type | None:
    """Now and then a declared type, right at the usual sizes, and in its formulas mostly at others."""
    live = next((each for each in b.lives if each.name == name), None)
    if live is None or not b.chance(0.2):
        return None
    dims: list[int | Size] = []
    for axis, size in enumerate(live.sizes):
        if live.fixed(axis) and not (b.symbols and b.chance(0.1)):
            dims.append(b.off(size))
            continue
        formulas = _formulas(b, live, axis)
        if not formulas:
            return None
        dims.append(b.rng.choice(formulas))
    return Type(live.dtype, tuple(dims))


def _formulas(b: Builder, live: Live, axis: int) -> list[Size]:
    """What the size of the axis may be as a formula of one symbol: right at both choices of sizes."""
    if live.other is None:
        return []
    texts = (
        "{0}",
        "{0} // 2",
        "({0} + 1) // 2",
        "2 * {0}",
        "{0} - 1",
        "{0} + 1",
        "{0} - 2",
        "{0} + 2",
        "({0} - 1) // 2",
        "{0} // 3",
    )
    wanted = (live.sizes[axis], live.other.shape[axis])
    found = []
    for symbol, usual in b.symbols.items():
        for text in texts:
            size = Size(text.format(symbol))
            if tuple(size.value({symbol: value}) for value in usual) == wanted:
                found.append(size)
    return found


def _uses(nodes: Any) -> dict[str, int]:
    """How often each name is read, by values or in sizes."""
    counts: dict[str, int] = {}
    for node in walk(nodes):
        names = (
            [node.name.partition(".")[0]]
            if isinstance(node, Read)
            else re.findall(r"[a-z]\w*", node.text)
            if isinstance(node, Size)
            else []
        )
        for name in names:
            counts[name] = counts.get(name, 0) + 1
    return counts


def _inlined(rng: Random, statements: list[Any]) -> list[Any]:
    """The statements, where some values that are used once, as what an arrow carries, stand where they are used."""
    counts = _uses(tuple(statements))
    kept: list[Any] = []
    for node in statements:
        before = kept[-1] if kept else None
        if isinstance(before, Bind) and len(before.names) == 1 and before.type is None and rng.random() < 0.6:
            name = before.names[0]
            merged = _merged(node, name, before.value) if counts.get(name) == 1 and isinstance(node, Bind | Output) else None
            if merged is not None:
                kept[-1] = merged
                continue
        kept.append(node)
    return kept


def _merged(node: Any, name: str, value: Expression) -> Any:
    """The statement whose value begins with the name, with the value in its place; None where it does not begin so."""
    if isinstance(node.value, Read) and node.value.name == name:
        return replace(node, value=value)
    if isinstance(node.value, Call) and node.value.tensors:
        (key, first), *others = node.value.tensors
        if isinstance(first, Read) and first.name == name and node.value.spelled in ("arrow", "call"):
            return replace(node, value=replace(node.value, tensors=((key, value), *others)))
    return None
