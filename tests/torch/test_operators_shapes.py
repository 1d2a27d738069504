"""Views, rearrangements, subscripts, indexing and merging against torch."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
import torch
from oracle import Case, check, covers, names

from nnspec.operators.subscript import Slice
from nnspec.types import TensorType

pytestmark = pytest.mark.torch

DTYPES = ("float32", "float32", "int64", "bool")


def some_tensor(draw: Random, least: int = 0, most: int = 4) -> TensorType:
    return TensorType(tuple(draw.randint(1, 5) for _ in range(draw.randint(least, most))), draw.choice(DTYPES))


def some_axis(draw: Random, rank: int) -> int:
    """An axis from either end; now and then one that does not exist."""
    return draw.randint(-rank, rank - 1) if rank and draw.random() < 0.9 else draw.choice([-rank - 1, rank])


def some_axes(draw: Random, rank: int) -> int | list[int]:
    """One axis or several; now and then one twice."""
    if not rank or draw.random() < 0.5:
        return some_axis(draw, rank)
    places = [place - rank * draw.randint(0, 1) for place in draw.sample(range(rank), draw.randint(1, rank))]
    return places + places[:1] if draw.random() < 0.1 else places


def factors(draw: Random, number: int) -> list[int]:
    """Sizes whose product is the number, in two to four parts."""
    parts: list[int] = []
    for _ in range(draw.randint(1, 3)):
        part = draw.choice([divisor for divisor in range(1, number + 1) if number % divisor == 0])
        parts.append(part)
        number //= part
    parts.append(number)
    draw.shuffle(parts)
    return parts


def with_hole(draw: Random, sizes: list[int]) -> list[int]:
    """Sometimes -1 for one of the sizes, and sometimes a size that does not fit."""
    sizes = list(sizes)
    if draw.random() < 0.2:
        sizes[draw.randrange(len(sizes))] += draw.randint(1, 3)
    if draw.random() < 0.5:
        sizes[draw.randrange(len(sizes))] = -1
    if draw.random() < 0.05:
        sizes[draw.randrange(len(sizes))] = -1
    return sizes


def elements(type: TensorType) -> int:
    return int(torch.Size([size for size in type.dims if isinstance(size, int)]).numel())


@covers("flatten", cases=150)
def flatten(draw: Random) -> Case:
    given = some_tensor(draw, least=1)
    settings = {"start_dim": some_axis(draw, given.rank), "end_dim": some_axis(draw, given.rank)}
    return Case({"input": given}, {name: value for name, value in settings.items() if draw.random() < 0.6})


@covers("reshape", cases=400)
def reshape(draw: Random) -> Case:
    given = some_tensor(draw)
    return Case({"input": given}, {"shape": with_hole(draw, factors(draw, elements(given)))})


@covers("unflatten", cases=300)
def unflatten(draw: Random) -> Case:
    given = TensorType((draw.randint(1, 3), draw.choice([4, 6, 8, 12])), "float32")
    place = draw.choice([1, -1, 1, -1, 0, 2])
    return Case({"input": given}, {"dim": place, "sizes": with_hole(draw, factors(draw, 1 if place == 0 else given.dims[1]))})


@covers("squeeze", cases=150)
def squeeze(draw: Random) -> Case:
    given = TensorType(tuple(draw.choice([1, 1, 1, 2]) for _ in range(draw.randint(1, 4))), "float32")
    chosen = some_axes(draw, given.rank)
    places = [chosen] if isinstance(chosen, int) else chosen
    known = all(-given.rank <= place < given.rank for place in places)
    known = known and len({place % given.rank for place in places}) == len(places)
    # torch keeps an axis of another size in silence
    return Case({"input": given}, {"dim": chosen}, stricter=known and any(given.dims[place] != 1 for place in places))


@covers("unsqueeze", cases=80)
def unsqueeze(draw: Random) -> Case:
    given = some_tensor(draw)
    return Case({"input": given}, {"dim": some_axis(draw, given.rank + 1)})


@covers("transpose", cases=100)
def transpose(draw: Random) -> Case:
    given = some_tensor(draw, least=1)
    return Case({"input": given}, {"dim0": some_axis(draw, given.rank), "dim1": some_axis(draw, given.rank)})


@covers("permute", cases=100)
def permute(draw: Random) -> Case:
    given = some_tensor(draw)
    order = [place - given.rank * draw.randint(0, 1) for place in draw.sample(range(given.rank), given.rank)]
    if order and draw.random() < 0.2:
        order[0] = draw.choice([order[-1], given.rank])
    return Case({"input": given}, {"dims": order[1:] if draw.random() < 0.1 else order})


@covers("movedim", cases=120)
def movedim(draw: Random) -> Case:
    given = some_tensor(draw, least=1)
    source = some_axes(draw, given.rank)
    count = 1 if isinstance(source, int) else len(source)
    places: int | list[int] = draw.sample(range(given.rank), min(count, given.rank))
    places = some_axes(draw, given.rank) if draw.random() < 0.2 else places
    return Case({"input": given}, {"source": source, "destination": places})


@covers("expand", cases=200)
def expand(draw: Random) -> Case:
    given = TensorType(tuple(draw.choice([1, 1, 2, 3]) for _ in range(draw.randint(0, 3))), "float32")
    wanted = [draw.choice([-1, size if size > 1 or draw.random() < 0.3 else draw.randint(1, 4)]) for size in given.dims]
    if wanted and draw.random() < 0.2:
        wanted[0] = 3
    front = [draw.choice([1, 2, 3, 3, -1]) for _ in range(draw.randint(0, 2))]
    return Case({"input": given}, {"sizes": front + wanted})


@covers("flip", cases=100)
def flip(draw: Random) -> Case:
    given = some_tensor(draw, least=1)
    return Case({"input": given}, {"dims": some_axes(draw, given.rank)})


@covers("roll", cases=150)
def roll(draw: Random) -> Case:
    given = some_tensor(draw, least=1)
    axes = some_axes(draw, given.rank) if draw.random() < 0.7 else None
    count = len(axes) if isinstance(axes, list) else 1
    several = [draw.randint(-3, 3) for _ in range(count - (draw.random() < 0.1))]
    shifts: int | list[int] = draw.randint(-3, 3) if count == 1 else several
    # torch rolls an axis twice that is named twice
    twice = isinstance(axes, list) and len({axis % given.rank for axis in axes}) < len(axes) and len(several) == count
    return Case({"input": given}, {"shifts": shifts, "dims": axes}, stricter=twice)


@covers("tile", cases=80, refuses=False)
def tile(draw: Random) -> Case:
    return Case({"input": some_tensor(draw)}, {"dims": [draw.randint(1, 3) for _ in range(draw.randint(0, 4))]})


@covers("repeat_interleave", cases=100)
def repeat_interleave(draw: Random) -> Case:
    given = some_tensor(draw, least=1)
    return Case({"input": given}, {"repeats": draw.randint(1, 3), "dim": draw.choice([None, some_axis(draw, given.rank)])})


@covers("tril", "triu", cases=60, refuses=False)
def triangle(draw: Random) -> Case:
    return Case({"input": some_tensor(draw, least=1)}, {"diagonal": draw.randint(-2, 2)})


@covers("split", cases=250)
def split(draw: Random) -> Case:
    given = TensorType(tuple(draw.choice([2, 4, 6, 7]) for _ in range(draw.randint(1, 3))), "float32")
    place = some_axis(draw, given.rank)
    size = given.dims[place] if -given.rank <= place < given.rank else 4
    if draw.random() < 0.5:
        first = draw.randint(1, size - 1)
        wrong = draw.random() < 0.3
        return Case({"input": given}, {"parts": [first, size - first + wrong], "dim": place})
    count = draw.randint(1, 4)
    # torch.chunk and torch.tensor_split make unequal parts
    unequal = -given.rank <= place < given.rank and size % count != 0
    return Case({"input": given}, {"parts": count, "dim": place}, stricter=unequal)


@covers("chunk", cases=150)
def chunk(draw: Random) -> Case:
    given = TensorType(tuple(draw.choice([2, 4, 6, 7]) for _ in range(draw.randint(1, 3))), "float32")
    place, count = some_axis(draw, given.rank), draw.randint(1, 4)
    size = given.dims[place] if -given.rank <= place < given.rank else 0
    # torch makes fewer or unequal parts
    return Case({"input": given}, {"chunks": count, "dim": place}, stricter=size % count != 0)


@covers("center_crop", cases=150)
def center_crop(draw: Random) -> Case:
    given = some_tensor(draw, least=1)
    size = draw.choice([draw.randint(1, 4), [draw.randint(1, 5) for _ in range(draw.randint(1, min(given.rank, 2)))]])
    return Case({"input": given}, {"size": size})


def some_slice(draw: Random, size: int) -> Slice:
    bounds = [draw.choice([None, draw.randint(-size - 2, size + 2)]) for _ in range(2)]
    return Slice(bounds[0], bounds[1], draw.choice([None, None, 1, 2, 3, 0]))


@covers("subscript", cases=800)
def subscript(draw: Random) -> Case:
    given = some_tensor(draw, least=1)
    entries: list[object] = [
        some_slice(draw, size) if draw.random() < 0.6 else some_axis(draw, size)
        for size in given.dims[: draw.randint(1, given.rank)]
    ]
    if len(entries) < given.rank and draw.random() < 0.4:
        entries.insert(draw.randint(0, len(entries)), ...)
        if draw.random() < 0.05:
            entries.append(...)
    if draw.random() < 0.2:
        entries.insert(draw.randint(0, len(entries)), None)
    return Case({"input": given}, {"entries": entries})


@covers("select", cases=120)
def select(draw: Random) -> Case:
    given = some_tensor(draw, least=1)
    return Case({"input": given}, {"dim": some_axis(draw, given.rank), "index": draw.randint(-4, 3)})


@covers("narrow", cases=200)
def narrow(draw: Random) -> Case:
    given = some_tensor(draw, least=1)
    settings = {"dim": some_axis(draw, given.rank), "start": draw.randint(-3, 2), "length": draw.randint(1, 3)}
    return Case({"input": given}, settings)


def surely_below(limit: int, dims: tuple[int, ...]) -> Callable[[torch.Generator], torch.Tensor]:
    """Indices of which one is the largest that the type admits: torch refuses them wherever the type may be out of range."""

    def make(generator: torch.Generator) -> torch.Tensor:
        made = torch.randint(0, limit, dims, generator=generator)
        made.view(-1)[0] = limit - 1
        return made

    return make


def indices(draw: Random, dims: tuple[int, ...], limit: int) -> tuple[TensorType, Callable[[torch.Generator], torch.Tensor]]:
    """Indices below a limit, or now and then one above it."""
    limit += draw.random() < 0.1
    return TensorType(dims, "int64", limit), surely_below(limit, dims)


@covers("index_select", cases=120)
def index_select(draw: Random) -> Case:
    given = some_tensor(draw, least=1)
    place = some_axis(draw, given.rank)
    size = given.dims[place] if -given.rank <= place < given.rank else 2
    index, values = indices(draw, (draw.randint(1, 4),), size)
    return Case({"input": given, "index": index}, {"dim": place}, values={"index": values})


def index_like(draw: Random, given: TensorType, place: int) -> tuple[int, ...]:
    """Sizes of indices into the input: no longer, but along the axis; now and then longer."""
    dims = [draw.randint(1, size) + (draw.random() < 0.05) for size in given.dims]
    dims[place] = draw.randint(1, 5)
    return tuple(dims)


@covers("gather", cases=200)
def gather(draw: Random) -> Case:
    given = some_tensor(draw, least=1)
    place = draw.randint(-given.rank, given.rank - 1)
    index, values = indices(draw, index_like(draw, given, place), given.dims[place])
    return Case({"input": given, "index": index}, {"dim": place}, values={"index": values})


@covers("scatter", cases=250)
def scatter(draw: Random) -> Case:
    given = some_tensor(draw, least=1)
    place = draw.randint(-given.rank, given.rank - 1)
    index, values = indices(draw, index_like(draw, given, place), given.dims[place])
    src = given.with_dims([size + draw.randint(0, 1) - (size > 1 and draw.random() < 0.1) for size in index.dims])
    return Case({"input": given, "index": index, "src": draw.choice([src, src, 1])}, {"dim": place}, values={"index": values})


@covers("take_along_dim", cases=200)
def take_along_dim(draw: Random) -> Case:
    given = some_tensor(draw, least=1)
    place = draw.randint(-given.rank, given.rank - 1)
    dims = [draw.choice([1, size, size, size]) + (draw.random() < 0.05) for size in given.dims]
    dims[place] = draw.randint(1, 4)
    index = TensorType(tuple(dims), "int64", given.dims[place])  # never beyond: there torch reads what is not its own
    return Case({"input": given, "indices": index}, {"dim": place}, fixed_ones=True)


@covers("pick", cases=150)
def pick(draw: Random) -> Case:
    given = TensorType((draw.randint(1, 4), draw.randint(1, 4)), draw.choice(DTYPES))
    fewer = given.dims[0] > 1 and draw.random() < 0.2
    index, values = indices(draw, (given.dims[0] - fewer + (not fewer and draw.random() < 0.1),), given.dims[1])
    # torch picks from the first rows alone where there are fewer indices than rows
    return Case({"values": given, "index": index}, stricter=fewer, values={"index": values})


@covers("one_hot", cases=120)
def one_hot(draw: Random) -> Case:
    limit = draw.randint(1, 5)
    dims = tuple(draw.randint(1, 3) for _ in range(draw.randint(0, 3)))
    classes = draw.choice([None, limit, limit + 1, limit - 1])
    settings = {"num_classes": classes or None}
    return Case({"input": TensorType(dims, "int64", limit)}, settings, values={"input": surely_below(limit, dims)})


def alike(draw: Random, given: TensorType) -> tuple[TensorType, ...]:
    """Tensors of one shape, sometimes of another element type, size or rank."""
    made = [given]
    for _ in range(draw.randint(0, 3)):
        dims = list(given.dims)
        if dims and draw.random() < 0.08:
            dims[draw.randrange(len(dims))] += 1
        made.append(TensorType(tuple(dims), draw.choice((*DTYPES, given.dtype, given.dtype, "float64", "uint8"))))
    return tuple(made)


@covers("concat", cases=250)
def concat(draw: Random) -> Case:
    given = some_tensor(draw, least=1)
    place = some_axis(draw, given.rank)
    tensors = alike(draw, given)
    if -given.rank <= place < given.rank:
        place %= given.rank
        tensors = tuple(each.with_dims((*each.dims[:place], draw.randint(1, 3), *each.dims[place + 1 :])) for each in tensors)
    return Case({"tensors": tensors}, {"dim": place})


@covers("stack", cases=150)
def stack(draw: Random) -> Case:
    given = some_tensor(draw)
    return Case({"tensors": alike(draw, given)}, {"dim": some_axis(draw, given.rank + 1)})


@pytest.mark.parametrize("name", names(__name__))
def test_agrees_with_torch(name: str) -> None:
    check(name)
