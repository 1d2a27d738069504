"""Types as specs write them: introducing symbols at inputs, matching them at the inputs of blocks, asserting them elsewhere."""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Any

from nnspec.diagnostics import Label, Span
from nnspec.dims import Dim, Poly, format_dim, symbol, variables
from nnspec.dims.claims import Relation, at_least, equal
from nnspec.graph import expressions
from nnspec.graph.ir import SymbolOrigin, Value
from nnspec.graph.obligations import oblige
from nnspec.graph.scope import Scope
from nnspec.graph.values import carry, is_silent
from nnspec.operators.axes import is_at_least
from nnspec.operators.declare import Obligation
from nnspec.operators.kinds import describe
from nnspec.similar import similar_to
from nnspec.syntax import tree
from nnspec.syntax.node import Node
from nnspec.types import DTYPES, TensorType


def dimension(expression: tree.Expression, scope: Scope) -> Dim | None:
    """The size that an expression in a type stands for; None where it is none, which has been reported."""
    unknown = [name for name in _names(expression) if scope.lookup(name.id) is None and name.id not in scope.names]
    for name in unknown:
        _report_unknown(name, scope)
    if unknown:
        return None
    value = carry(expressions.evaluate(expression, scope))
    if is_silent(value):
        return None
    if isinstance(value, bool) or not isinstance(value, int | Poly):
        scope.build.report(
            "NN106", f"a dimension is a whole number, and this is {describe(value)}", expression.span, frames=scope.frames
        )
        return None
    if isinstance(value, int) and value < 0:
        scope.build.report("NN107", f"a dimension cannot be negative, and this is {value}", expression.span, frames=scope.frames)
        return None
    return value


def _names(expression: Node) -> Iterator[tree.Name]:
    """The names that stand for values in an expression."""
    if isinstance(expression, tree.Name):
        yield expression
    for child in expression.children():
        if isinstance(expression, tree.Comprehension | tree.Pipeline):
            return
        if not (isinstance(expression, tree.Call) and child is expression.function) and not isinstance(expression, tree.Member):
            yield from _names(child)


def _report_unknown(name: tree.Name, scope: Scope) -> None:
    if scope.may_be_lost(name.id):
        scope.build.failed = True
        return
    similar = similar_to(name.id, (known for known, value in scope.names.items() if isinstance(value, int | Poly)))
    scope.build.report(
        "NN112", f"the dimension `{name.id}` is not introduced by any input or parameter", name.span,
        label=similar.label(), fix=scope.build.program.rename_fix(name.span, similar),
        help=None if similar else "a dimension name may first appear only in the type of an `input`", frames=scope.frames,
    )  # fmt: skip


def tensor_type(declared: tree.Type, scope: Scope) -> TensorType | None:
    """A type in which every name is known; None where it is not one, which has been reported."""
    dtype = _dtype(declared, scope)
    if dtype is None:
        return None
    dims = [_plain_dimension(each, scope) for each in declared.dimensions or ()]
    classes = dimension(declared.arguments[0].value, scope) if dtype == "index" else None
    if any(dim is None for dim in dims) or (dtype == "index" and classes is None):
        return None
    return TensorType(tuple(dim for dim in dims if dim is not None), "int64" if dtype == "index" else dtype, classes)


def _plain_dimension(entry: Any, scope: Scope) -> Dim | None:
    if isinstance(entry, tree.Ellipsis):
        scope.build.report(
            "NN110", "`...` cannot stand in this type", entry.span, help="write every dimension", frames=scope.frames
        )
        return None
    return dimension(entry, scope)


def _dtype(declared: tree.Type, scope: Scope) -> str | None:
    """The element type, or "index"."""
    name = declared.name
    if name == "index" and len(declared.arguments) == 1 and not declared.optional:
        return name
    if name in DTYPES and not declared.arguments and not declared.optional:
        return name
    similar = similar_to(name, (*DTYPES, "index"))
    place = wrong_part(declared, (*DTYPES, ""))
    fits = not declared.optional and len(declared.arguments) == (similar.best == "index")
    scope.build.report(
        "NN110", f"`{declared.span.text}` is not the type of a tensor", place,
        label=similar.label("a similar type exists", "similar types exist"),
        help="a type is an element type and dimensions, such as `float32[N, 3, H, W]` or `index(10)[N]`" if not similar else None,
        fix=scope.build.program.rename_fix(place, similar, safe=fits), frames=scope.frames,
    )  # fmt: skip
    return similar.best if similar.sure and fits else None


def wrong_part(declared: tree.Type, known: Container[str]) -> Span:
    """The name in a type where that is what is wrong, or else the whole type."""
    while declared.element is not None and not declared.optional:
        declared = declared.element
    return declared.span if declared.name in known or declared.element is not None else name_place(declared)


def name_place(declared: tree.Type) -> Span:
    """Where the element type stands in a type."""
    return Span(declared.span.source, declared.span.start, declared.span.start + len(declared.name))


def difference(declared: tree.Type, wanted: TensorType, actual: TensorType) -> Span:
    """The first part of a declared type that is not as in the actual one: the number of axes, the element type, or a size."""
    if actual.rank != wanted.rank:
        return declared.span
    if actual.dtype != wanted.dtype:
        return name_place(declared)
    entries = zip(declared.dimensions or (), wanted.dims, actual.dims, strict=True)
    return next((entry.span for entry, size, dim in entries if size != dim), declared.span)


# --- inputs of a network: symbols are introduced ------------------------------------------------------------------


def introduce(declared: tree.Type, name: str, scope: Scope) -> TensorType | None:
    """The type of a network's input. A bare name that is not known yet becomes a symbol, or the number that is set for it."""
    dtype = _dtype(declared, scope)
    if dtype is None:
        return None
    classes = None
    dims: list[Dim | None] = []
    for axis, entry in enumerate(declared.dimensions or ()):
        if isinstance(entry, tree.Name) and not _known(entry.id, scope):
            dims.append(_new_symbol(entry, scope))
        else:
            dims.append(_plain_dimension(entry, scope))
        _note_origin(dims[-1], name, axis, scope)
    if dtype == "index":
        argument = declared.arguments[0].value
        if isinstance(argument, tree.Name) and not _known(argument.id, scope):
            classes = _new_symbol(argument, scope)
        else:
            classes = dimension(argument, scope)
        if classes is None:
            return None
    if any(dim is None for dim in dims):
        return None
    return TensorType(tuple(dim for dim in dims if dim is not None), "int64" if dtype == "index" else dtype, classes)


def has_elements(declared: tree.Type, value: Any, name: tree.Name, scope: Scope) -> bool:
    """Whether an input of a network has at least one element along each axis, as symbols do: sizes may be computed, such as `H - 4`."""
    good = True
    if isinstance(value, Value):
        for entry, dim in zip(declared.dimensions or (), value.type.dims, strict=True):
            if not is_at_least(dim, 1):
                text = f"`{name.id}` is {value.type}, and an input has at least one element along each axis"
                good = oblige(Obligation(at_least(dim, 1), "NN212", "type", text), name.id, entry.span, scope) and good
    return good


def _known(name: str, scope: Scope) -> bool:
    return name in scope.names


def _new_symbol(name: tree.Name, scope: Scope) -> Dim:
    build = scope.build
    fixed = build.sizes.get(name.id)
    value: Dim = fixed if fixed is not None else symbol(name.id)
    scope.bind(name.id, value, name.span)
    build.program.mark_used(name.span)
    if isinstance(value, Poly):
        build.symbol_spans[next(iter(variables(value)))] = name.span
    return value


def _note_origin(dim: Dim | None, name: str, axis: int, scope: Scope) -> None:
    if isinstance(dim, Poly):
        found = variables(dim)
        if len(found) == 1 and format_dim(dim) == next(iter(found)).name:
            scope.build.symbols.setdefault(next(iter(found)), SymbolOrigin(name, axis))


# --- inputs of a block: symbols are bound to what arrives ---------------------------------------------------------


def match(declared: tree.Type, value: Value, name: str, place: Span, scope: Scope) -> bool:
    """Check what arrives at a block's input against its type, and bind the names in it. False where it does not fit."""
    dtype = _dtype(declared, scope)
    if dtype is None:
        return False
    actual = value.type
    wanted = "int64" if dtype == "index" else dtype
    if actual.dtype != wanted:
        _mismatch(f"`{name}` is declared as {declared.span.text}, and {actual} arrives", "NN204", declared, place, scope)
        return False
    entries = list(declared.dimensions or ())
    aligned = _align(entries, actual, declared, name, place, scope)
    if aligned is None:
        return False
    good = True
    for entry, dim in aligned:
        if isinstance(entry, tree.Name) and not _known(entry.id, scope):
            scope.bind(entry.id, dim, entry.span)
            scope.build.program.mark_used(entry.span)
            continue
        size = dimension(entry, scope)
        if size is None:
            return False
        text = f"`{name}` is declared as {declared.span.text} with {entry.span.text} = {format_dim(size)}, and {actual} arrives"
        good = oblige(Obligation(equal(size, dim), "NN201", "type", text), name, place, scope) and good
    return _match_classes(declared, actual, name, place, scope) and good if dtype == "index" else good


def _align(entries: list[Any], actual: TensorType, declared: tree.Type, name: str, place: Span,
           scope: Scope) -> list[tuple[Any, Dim]] | None:  # fmt: skip
    """Pairs of declared and actual dimensions; `...` stands for as many as it takes, which stay unchecked."""
    gap = next((at for at, entry in enumerate(entries) if isinstance(entry, tree.Ellipsis)), None)
    if gap is None:
        if len(entries) != actual.rank:
            _mismatch(f"`{name}` is declared with {len(entries)} axes, and {actual} arrives", "NN203", declared, place, scope)
            return None
        return list(zip(entries, actual.dims, strict=True))
    before, after = entries[:gap], entries[gap + 1 :]
    if len(before) + len(after) > actual.rank:
        _mismatch(f"`{name}` needs at least {len(entries) - 1} axes, and {actual} arrives", "NN203", declared, place, scope)
        return None
    tail = actual.dims[actual.rank - len(after) :]
    return [*zip(before, actual.dims, strict=False), *zip(after, tail, strict=True)]


def _match_classes(declared: tree.Type, actual: TensorType, name: str, place: Span, scope: Scope) -> bool:
    argument = declared.arguments[0].value
    if isinstance(argument, tree.Name) and not _known(argument.id, scope):
        bound: Dim = actual.classes if actual.classes is not None else symbol(argument.id, kind="exist")
        scope.bind(argument.id, bound, argument.span)
        return True
    size = dimension(argument, scope)
    if size is None:
        return False
    if actual.classes is None:
        return True
    text = f"`{name}` holds values below {format_dim(size)}, and {actual} arrives"
    before = scope.build.program.error_count
    oblige(Obligation(Relation(actual.classes, "<=", size), "NN206", "type", text), name, place, scope)
    return scope.build.program.error_count == before


def _mismatch(message: str, code: str, declared: tree.Type, place: Span, scope: Scope) -> None:
    scope.build.report(code, message, place, labels=[Label(declared.span, "declared here")], frames=scope.frames)


# --- assertions -----------------------------------------------------------------------------------------------------------


def name_sizes(declared: tree.Type, actual: TensorType, scope: Scope) -> None:
    """In the type of an output of data, a name that is not known yet becomes the size that stands there."""
    entries = list(declared.dimensions or ())
    pairs = list(zip(entries, actual.dims, strict=True)) if len(entries) == actual.rank else []
    if declared.name == "index" and actual.classes is not None:
        pairs += [(argument.value, actual.classes) for argument in declared.arguments]
    for entry, size in pairs:
        if isinstance(entry, tree.Name) and not _known(entry.id, scope) and scope.home.lookup(entry.id, scope) is None:
            scope.bind(entry.id, size, entry.span)
            scope.build.program.mark_used(entry.span)


def assert_type(declared: tree.Type, value: Any, name: str, scope: Scope) -> bool:
    """Prove that a value has the type written on its binding or output. False where it has not, which has been reported."""
    value = carry(value)
    wanted = tensor_type(declared, scope)
    if wanted is None:
        return False
    if not isinstance(value, Value):
        scope.build.report(
            "NN205", f"`{name}` is declared as a tensor, and it is {describe(value)}", declared.span, frames=scope.frames
        )
        return False
    actual = value.type
    labels = [Label(value.span, f"is {actual}")]
    if actual.rank != wanted.rank or actual.dtype != wanted.dtype:
        place = difference(declared, wanted, actual)
        scope.build.report(
            "NN205", f"`{name}` is declared as {wanted}, but is {actual}", place, labels=labels, frames=scope.frames
        )
        return False
    text = f"`{name}` is declared as {wanted}, but is {actual}"
    return all(
        oblige(Obligation(equal(dim, size), "NN205", "type", text), name, entry.span, scope)
        for entry, size, dim in zip(declared.dimensions or (), wanted.dims, actual.dims, strict=True)
    )


# --- parameters -----------------------------------------------------------------------------------------------------------

_KINDS: dict[str, tuple[type, ...]] = {"int": (int, Poly), "float": (float, int), "bool": (bool,), "str": (str,)}


#: The names of types that a parameter can have.
PARAMETER_TYPES = (*_KINDS, "block")


def fits_parameter(declared: tree.Type, value: Any) -> bool:
    """Whether a compile-time value is of a parameter's type."""
    if declared.optional and value is None:
        return True
    if declared.element is not None:
        return isinstance(value, list | tuple) and all(fits_parameter(declared.element, item) for item in value)
    if declared.name == "block":
        return bool(getattr(value, "is_maker", False))
    kinds = _KINDS.get(declared.name)
    if kinds is None or (isinstance(value, bool) and declared.name != "bool"):
        return False
    return isinstance(value, kinds) or (declared.name == "float" and getattr(value, "is_schedule", False))


def is_parameter_type(declared: tree.Type) -> bool:
    """Whether the type is one that a parameter can have."""
    if declared.dimensions is not None or declared.arguments:
        return False
    if declared.element is not None:
        return is_parameter_type(declared.element)
    return declared.name in PARAMETER_TYPES
