"""What torch does for functions: of elements, of shapes, of axes, and of indices."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from differential.calls import Context, does
from differential.values import Parts, Record, kinds, largest, not_zero, of_kinds

# --- elements -------------------------------------------------------------------------------------------------------------

ACTIVATIONS = (
    "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "logsigmoid", "softplus", "softsign",
    "hardtanh", "hardsigmoid", "hardswish", "hardshrink", "softshrink", "tanhshrink", "threshold", "softmax", "log_softmax",
    "softmin", "glu", "interpolate",
)  # fmt: skip
UNARY = (
    "neg", "abs", "sign", "square", "exp", "log", "log1p", "sqrt", "rsqrt", "sin", "cos", "erf", "reciprocal", "floor", "ceil",
    "round", "isnan", "logical_not", "clamp", "sigmoid", "tanh", "cumsum",
)  # fmt: skip
BINARY: dict[str, Callable[..., Tensor]] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "div": operator.truediv,
    "floor_divide": operator.floordiv, "remainder": operator.mod, "pow": operator.pow, "eq": operator.eq, "ne": operator.ne,
    "lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge,
    "maximum": lambda left, right: torch.maximum(*_both(left, right)),
    "minimum": lambda left, right: torch.minimum(*_both(left, right)),
    "logical_and": lambda left, right: torch.logical_and(*_both(left, right)),
    "logical_or": lambda left, right: torch.logical_or(*_both(left, right)),
}  # fmt: skip


def _both(left: Any, right: Any) -> tuple[Tensor, Tensor]:
    return torch.as_tensor(left), torch.as_tensor(right)


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(value.shape) if isinstance(value, Tensor) else ()


@does(*ACTIVATIONS)
def activation(context: Context, name: str, input: Tensor, **settings: Any) -> Tensor:
    return getattr(functional, name)(input, **settings)


@does(*UNARY)
def unary(context: Context, name: str, input: Tensor, **settings: Any) -> Tensor:
    return getattr(torch, name)(input, **settings)


@does("heaviside")
def heaviside(context: Context, input: Tensor, values: float) -> Tensor:
    return torch.heaviside(input, torch.tensor(values, dtype=input.dtype))


@does("float32", "float64", "int64", "bool")
def conversion(context: Context, name: str, input: Tensor) -> Tensor:
    made = input.to(getattr(torch, name))
    return of_kinds(made, kinds(input)) if name == "int64" and input.dtype == torch.int64 else made


@does("detach")
def detach(context: Context, input: Tensor) -> Tensor:
    return of_kinds(input.detach(), kinds(input))


@does(*BINARY)
def binary(context: Context, name: str, input: Any, other: Any) -> Tensor:
    context.broadcast(_shape(input), _shape(other))
    if name in ("floor_divide", "remainder"):
        other = not_zero(other)
    made = BINARY[name](input, other)
    return of_kinds(made, _kinds_of(name, input, other)) if made.dtype == torch.int64 else made


def _kinds_of(name: str, input: Any, other: Any) -> int | None:
    """What is known of the sum, quotient or remainder of indices and a number."""
    tensor, number = (input, other) if isinstance(input, Tensor) else (other, input)
    known = kinds(tensor)
    if isinstance(number, Tensor | float | bool):
        return None
    if name == "remainder" and tensor is input:
        return number if number > 0 else None
    if known is None or number < 0:
        return None
    if name == "add":
        return known + int(number)
    return -(-known // int(number)) if name == "floor_divide" and tensor is input and number > 0 else None


@does("where")
def where(context: Context, condition: Tensor, input: Any, other: Any) -> Tensor:
    context.broadcast(_shape(input), _shape(other))
    context.broadcast(_shape(condition), torch.broadcast_shapes(_shape(input), _shape(other)))
    made = torch.where(condition, input, other)
    known = [kinds(each) if isinstance(each, Tensor) else _kinds_of_number(each) for each in (input, other)]
    return of_kinds(made, None if None in known else max(known)) if made.dtype == torch.int64 else made  # type: ignore[type-var]


def _narrower(tensor: Tensor, number: float) -> bool:
    """Whether the tensor cannot hold such a number: a fraction among whole numbers, or a number among truth values."""
    if tensor.dtype == torch.bool:
        return not isinstance(number, bool)
    return isinstance(number, float) and not tensor.is_floating_point()


def _kinds_of_number(value: Any) -> int | None:
    return value + 1 if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


@does("masked_fill")
def masked_fill(context: Context, input: Tensor, mask: Tensor, value: float) -> Tensor:
    context.broadcast(input.shape, mask.shape)
    context.stricter("a number of another kind", _narrower(input, value))
    known = [kinds(input), _kinds_of_number(value)]
    return of_kinds(input.masked_fill(mask, value), None if None in known else max(known))  # type: ignore[type-var]


# --- shapes ---------------------------------------------------------------------------------------------------------------

MOVING = (
    "flatten", "unflatten", "reshape", "unsqueeze", "transpose", "permute", "movedim", "flip", "roll", "tile", "select", "narrow",
    "tril", "triu",
)  # fmt: skip


@does(*MOVING)
def moving(context: Context, name: str, input: Tensor, **settings: Any) -> Tensor:
    if name == "flip" and isinstance(settings["dims"], int):
        settings["dims"] = (settings["dims"],)
    if name == "roll" and isinstance(settings.get("dims"), tuple):
        axes = [axis % input.dim() for axis in settings["dims"] if -input.dim() <= axis < input.dim()]
        context.stricter("an axis rolled twice", len(set(axes)) < len(axes))
    return of_kinds(getattr(torch, name)(input, **settings), kinds(input))


@does("squeeze")
def squeeze(context: Context, input: Tensor, dim: Any) -> Tensor:
    made = torch.squeeze(input, dim)
    gone = dim if isinstance(dim, tuple) else (dim,)
    context.stricter("squeeze keeps nothing", any(input.shape[axis] != 1 for axis in gone if input.dim()))
    return of_kinds(made, kinds(input))


@does("expand")
def expand(context: Context, input: Tensor, sizes: tuple[int, ...]) -> Tensor:
    return of_kinds(input.expand(sizes), kinds(input))


@does("repeat_interleave")
def repeat_interleave(context: Context, input: Tensor, repeats: int, dim: int | None = None) -> Tensor:
    return of_kinds(torch.repeat_interleave(input, repeats, dim), kinds(input))


@does("split")
def split(context: Context, input: Tensor, parts: Any, dim: int = 0) -> Parts:
    if isinstance(parts, tuple):
        return _parts(input, torch.split(input, parts, dim))
    size = input.shape[dim]
    if parts < 1 or size < parts:
        raise ValueError(f"{size} cannot be {parts} parts")
    context.stricter("equal parts", size % parts != 0)
    return _parts(input, torch.tensor_split(input, parts, dim))


@does("chunk")
def chunk(context: Context, input: Tensor, chunks: int, dim: int = 0) -> Parts:
    made = torch.chunk(input, chunks, dim)
    context.stricter("equal parts", len(made) != chunks or len({part.shape for part in made}) > 1)
    return _parts(input, made)


def _parts(input: Tensor, made: Any) -> Parts:
    return Parts(tuple(of_kinds(part, kinds(input)) for part in made))


@does("center_crop")
def center_crop(context: Context, input: Tensor, size: Any) -> Tensor:
    sizes = size if isinstance(size, tuple) else (size, size)
    made = input
    for place, wanted in enumerate(sizes, start=input.dim() - len(sizes)):
        made = made.narrow(place, (made.shape[place] - wanted) // 2, wanted)
    return of_kinds(made, kinds(input))


@does("pad")
def pad(context: Context, input: Tensor, **settings: Any) -> Tensor:
    made = functional.pad(input, **settings)
    mirrored = settings.get("mode", "constant") != "constant"
    context.stricter("element type", mirrored and not input.is_floating_point())
    context.stricter("negative padding", mirrored and min(settings["pad"]) < 0)
    context.stricter("rank", mirrored and len(settings["pad"]) != 2 * (input.dim() - 2))
    return of_kinds(made, kinds(input)) if settings.get("mode", "constant") != "constant" else made


@does("subscript")
def subscript(context: Context, input: Tensor, entries: Any) -> Tensor:
    several = entries if isinstance(entries, tuple) else (entries,)
    return of_kinds(input[tuple(... if isinstance(entry, str) else entry for entry in several)], kinds(input))


@does("concat", "stack")
def merge(context: Context, name: str, tensors: list[Tensor], dim: int = 0) -> Tensor:
    made = (torch.cat if name == "concat" else torch.stack)(tensors, dim)
    known = [kinds(each) for each in tensors]
    return of_kinds(made, None if None in known else max(known)) if made.dtype == torch.int64 else made  # type: ignore[type-var]


# --- indices --------------------------------------------------------------------------------------------------------------


@does("index_select", "gather")
def by_index(context: Context, name: str, input: Tensor, dim: int, index: Tensor) -> Tensor:
    return of_kinds(getattr(torch, name)(input, dim, largest(index)), kinds(input))


@does("scatter")
def scatter(context: Context, input: Tensor, dim: int, index: Tensor, src: Any) -> Tensor:
    context.stricter("a number of another kind", not isinstance(src, Tensor) and _narrower(input, src))
    return torch.scatter(input, dim, largest(index), src)


@does("take_along_dim")
def take_along_dim(context: Context, input: Tensor, indices: Tensor, dim: int) -> Tensor:
    axis = range(input.dim())[dim]
    cut = [tuple(1 if place == axis else size for place, size in enumerate(each.shape)) for each in (input, indices)]
    context.broadcast(*cut)
    chosen = largest(indices)
    if chosen.numel() and int(chosen.max()) >= input.shape[axis]:  # here torch reads what is not its own
        raise IndexError("an index beyond the axis")
    return of_kinds(torch.take_along_dim(input, chosen, dim), kinds(input))


@does("pick")
def pick(context: Context, values: Tensor, index: Tensor) -> Tensor:
    made = values.gather(1, largest(index)[:, None])[:, 0]
    context.stricter("an index for each row", index.shape[0] != values.shape[0])
    return of_kinds(made, kinds(values))


@does("one_hot")
def one_hot(context: Context, input: Tensor, num_classes: int | None = None) -> Tensor:
    count = kinds(input) if num_classes is None else num_classes
    if count is None:
        raise ValueError("nothing says how many classes there are")
    context.stricter("classes that occur", count == -1)
    return of_kinds(functional.one_hot(largest(input), count), 2)


@does("topk", "sort")
def ordered(context: Context, name: str, input: Tensor, **settings: Any) -> Record:
    values, indices = getattr(torch, name)(input, **settings)
    return Record(values=of_kinds(values, kinds(input)), indices=of_kinds(indices, input.shape[settings.get("dim", -1)]))


@does("argsort")
def argsort(context: Context, input: Tensor, dim: int = -1, descending: bool = False) -> Tensor:
    return of_kinds(torch.argsort(input, dim, descending), input.shape[dim])


@does("argmax", "argmin")
def place(context: Context, name: str, input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    made = getattr(torch, name)(input, dim, keepdim)
    return of_kinds(made, input.numel() if dim is None else input.shape[dim])


# --- reductions, products, constants --------------------------------------------------------------------------------------


@does("sum", "amax", "amin", "all", "any", "logsumexp", "std", "var", "prod")
def reduction(context: Context, name: str, input: Tensor, dim: Any = None, **settings: Any) -> Tensor:
    if dim is None and name in ("std", "var", "amax", "amin"):
        return getattr(torch, name)(input, dim=tuple(range(input.dim())), **settings)
    if dim is not None:
        return getattr(torch, name)(input, dim=dim, **settings)
    whole = getattr(torch, name)(input)
    return whole.reshape([1] * input.dim()) if settings.get("keepdim") else whole


@does("mean")
def mean(context: Context, input: Tensor, dim: Any = None, keepdim: bool = False, keep: Tensor | None = None) -> Tensor:
    axes = tuple(range(input.dim())) if dim is None else dim
    if keep is None:
        return torch.mean(input, axes, keepdim)
    gone = [range(input.dim())[axis] for axis in (axes if isinstance(axes, tuple) else (axes,))]
    if keep.dim() > input.dim() or (dim is not None and max(gone) >= keep.dim()):
        raise ValueError("`keep` has too many axes, or too few")
    taking = keep.reshape(*keep.shape, *[1] * (input.dim() - keep.dim())).expand(input.shape).to(input.dtype)
    return (input * taking).sum(axes, keepdim) / taking.sum(axes, keepdim).clamp(min=1)


@does("norm")
def norm(context: Context, input: Tensor, p: float = 2, dim: Any = None, keepdim: bool = False) -> Tensor:
    return torch.linalg.vector_norm(input, p, dim, keepdim)


@does("median")
def median(context: Context, input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    if dim is None:
        return of_kinds(torch.median(input), kinds(input))
    values, indices = torch.median(input, dim, keepdim)
    return Record(values=of_kinds(values, kinds(input)), indices=of_kinds(indices, input.shape[dim]))


@does("matmul")
def matmul(context: Context, input: Tensor, other: Tensor) -> Tensor:
    context.broadcast(input.shape[:-2], other.shape[:-2])
    return input @ other


@does("outer")
def outer(context: Context, input: Tensor, vec2: Tensor) -> Tensor:
    return torch.outer(input, vec2)


@does("einsum")
def einsum(context: Context, equation: str, operands: list[Tensor]) -> Tensor:
    made = torch.einsum(equation, *operands)
    sizes: dict[str, set[int]] = {}
    fronts = []
    texts = equation.replace(" ", "").partition("->")[0].split(",")
    for text, each in zip(texts, operands, strict=True):
        before, dots, after = text.partition("...")
        for letter, size in [*zip(before, each.shape, strict=False), *zip(reversed(after), reversed(each.shape), strict=False)]:
            sizes.setdefault(letter, set()).add(size)
        fronts.append(each.shape[len(before) : each.dim() - len(after)] if dots else ())
    shared = {letter for letter in sizes if texts[0].count(letter) and any(letter in text for text in texts[1:])}
    if len({each.dtype for each in operands}) > 1:  # a sum over one place is no sum, and asks for no common element type
        context.broadcasts += [(0, min(sizes[letter])) for letter in sorted(shared) if letter not in equation.partition("->")[2]]
    context.stricter("a letter is one size", any(len(found) > 1 for found in sizes.values()))
    context.broadcast(*fronts)
    return made


@does("zeros", "ones")
def constant(context: Context, name: str, sizes: tuple[int, ...], dtype: str = "float32") -> Tensor:
    made = getattr(torch, name)(*sizes, dtype=getattr(torch, dtype))
    return of_kinds(made, 1 if name == "zeros" else 2)


@does("full")
def full(context: Context, fill_value: float, sizes: tuple[int, ...]) -> Tensor:
    return of_kinds(torch.full(sizes, fill_value), _kinds_of_number(fill_value))


@does("zeros_like", "ones_like")
def constant_like(context: Context, name: str, input: Tensor) -> Tensor:
    return of_kinds(getattr(torch, name)(input), 1 if name == "zeros_like" else 2)


@does("full_like")
def full_like(context: Context, input: Tensor, fill_value: float) -> Tensor:
    context.stricter("a number of another kind", _narrower(input, fill_value))
    return of_kinds(torch.full_like(input, fill_value), _kinds_of_number(fill_value))


@does("eye")
def eye(context: Context, n: int, m: int | None = None) -> Tensor:
    return torch.eye(n, n if m is None else m)


@does("arange")
def arange(context: Context, end: int) -> Tensor:
    return of_kinds(torch.arange(end), end)


@does("linspace")
def linspace(context: Context, start: float, end: float, steps: int) -> Tensor:
    return torch.linspace(start, end, steps)


@does("normal", "uniform", "bernoulli", "randint")
def draw(context: Context, name: str, sizes: tuple[int, ...], **settings: Any) -> Tensor:
    if name == "randint":
        made = torch.randint(settings["low"], settings["high"], sizes)
        return of_kinds(made, settings["high"] if settings["low"] >= 0 else None)
    return torch.rand(sizes)
