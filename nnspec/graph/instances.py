"""Calling a network in a recipe: by its signature, so that its graph is built once and its weights are shared by all calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nnspec.diagnostics import Label, Span
from nnspec.dims import Dim, Poly, Var, format_dim, substitute, variables
from nnspec.dims.claims import AllOf, AnyOf, Claim, Relation, claim_variables, equal
from nnspec.graph import networks
from nnspec.graph.build import Build
from nnspec.graph.ir import CallNetwork, Graph, Guard, InputEntry, Value
from nnspec.graph.obligations import oblige
from nnspec.graph.scope import Scope
from nnspec.graph.values import POISON, Given, NetworkInstance, carry, is_silent
from nnspec.operators.declare import Obligation
from nnspec.operators.kinds import describe
from nnspec.similar import similar_to
from nnspec.types import TensorType


def call(instance: NetworkInstance, arguments: Sequence[Given], span: Span, scope: Scope) -> Any:
    """Add a call of the instance's graph to the recipe's; check what is given against its inputs."""
    if instance.failed or any(is_silent(each.value) for each in arguments):
        return POISON
    if variant_of(instance, arguments, scope) is None:
        return POISON
    return call_graph(instance, key_of(instance, arguments, scope), arguments, span, scope)


def call_graph(instance: NetworkInstance, variant: str, arguments: Sequence[Given], span: Span, scope: Scope) -> Any:
    """Add a call of one of the instance's graphs."""
    graph = instance.variants[variant]
    given = _assign(instance, graph, arguments, span, scope)
    if given is None:
        return POISON
    bindings: dict[Var, Dim] = {}
    for entry in graph.inputs:
        if not matches(instance, entry, given[entry.name], bindings, span, scope):
            return POISON
    return _add(instance, variant, given, bindings, span, scope)


def key(training: bool, optional: frozenset[str]) -> str:
    """The name of a variant: "inference", "training+noise"."""
    return "+".join(["training" if training else "inference", *sorted(optional)])


def in_training(instance: NetworkInstance, scope: Scope) -> bool:
    """Whether a call of the instance trains it: in training, unless it follows another, or stands in `inference(...)`."""
    return scope.build.training and not instance.follows and not scope.build.inference


def key_of(instance: NetworkInstance, arguments: Sequence[Given], scope: Scope) -> str:
    """The name of the variant that takes these arguments."""
    given = frozenset(each.name for each in arguments if each.name and each.value is not None)
    return key(in_training(instance, scope), given & networks.optional_inputs(instance.maker.item))


def variant_of(instance: NetworkInstance, arguments: Sequence[Given], scope: Scope) -> Graph | None:
    """The instance's graph that takes these arguments, built where it is not there; None where it has errors."""
    program = scope.build.program
    optional = frozenset(each.name for each in arguments if each.name and each.value is not None)
    known = key_of(instance, arguments, scope)
    if known in instance.variants:
        return instance.variants[known]
    # How many samples a batch has is the recipe's to say, whatever `--with N=1` says of networks by themselves.
    stated = {name: size for name, size in program.sizes.items() if name != "N"}
    built = _built(instance, optional & networks.optional_inputs(_item(instance, scope)), scope, stated)
    if built is None:
        instance.failed = True
        return None
    graph, build = built
    if (build.needed and graph is None) or _open_weights(graph):
        sizes = _sizes_from(arguments, instance, scope, build)
        again = _built(instance, optional, scope, {**stated, **sizes}) if sizes else None
        graph = again[0] if again else None
    if graph is None:
        instance.failed = True
    else:
        instance.variants[known] = graph
        instance.parameters = graph.parameters
    return graph


def _item(instance: NetworkInstance, scope: Scope) -> Any:
    from nnspec.graph.parameters import resolve_variant

    resolved = resolve_variant(instance.maker, Scope(scope.build, instance.maker.home, "", ()))
    return resolved.item if resolved else instance.maker.item


def _built(
    instance: NetworkInstance, optional: frozenset[str], scope: Scope, sizes: Mapping[str, int]
) -> tuple[Graph | None, Build] | None:
    built = networks.build_network(
        scope.build.program, instance.maker, networks.set_in_recipe(scope.build.program, instance.maker),
        training=in_training(instance, scope), optional=optional, sizes=sizes,
    )  # fmt: skip
    return built.graph, built.build


def _open_weights(graph: Graph | None) -> bool:
    """Whether the shape of a weight depends on the size of an input."""
    if graph is None:
        return False
    return any(
        variable in graph.symbols
        for entry in graph.weights.values() for dim in entry.dims if isinstance(dim, Poly) for variable in variables(dim)
    )  # fmt: skip


def _sizes_from(arguments: Sequence[Given], instance: NetworkInstance, scope: Scope, build: Build) -> dict[str, int]:
    """Numbers for the symbols that a weight or a decision needs, from the tensors given."""
    needed = {variable.name for variable in build.needed}
    sizes: dict[str, int] = {}
    for entry, each in zip(build.inputs, [each for each in arguments if each.name is None], strict=False):
        value = carry(each.value)
        if isinstance(value, Value):
            for declared, actual in zip(entry.value.type.dims, value.type.dims, strict=False):
                if isinstance(declared, Poly) and isinstance(actual, int):
                    for variable in variables(declared):
                        if variable.name in needed and format_dim(declared) == variable.name:
                            sizes[variable.name] = actual
    return sizes


def _assign(
    instance: NetworkInstance, graph: Graph, arguments: Sequence[Given], span: Span, scope: Scope
) -> dict[str, Given] | None:
    """Sort tensors to the inputs: by position to the required ones in order, the others by name."""
    optional = networks.optional_inputs(_item(instance, scope))
    waiting = [entry.name for entry in graph.inputs if entry.name not in optional]
    known = [*waiting, *sorted(optional)]
    given: dict[str, Given] = {}
    good = True
    for each in arguments:
        name = each.name or (waiting[0] if waiting else None)
        if each.name is not None and each.name not in known:
            similar = similar_to(each.name, known)
            place = each.name_span or each.span
            scope.build.report(
                "NN102", f"`{instance.name}` has no input `{each.name}`", place,
                label=similar.label(),
                help=_made_with(instance, each) or f"it has {', '.join(f'`{input}`' for input in known)}",
                fix=scope.build.program.rename_fix(place, similar, safe=similar.best in waiting),
            )  # fmt: skip
            name = similar.best if similar.sure and similar.best in waiting else None
            good = good and name is not None
            if name is not None:
                given[name] = each
                waiting.remove(name)
        elif name is None:
            scope.build.report("NN114", f"`{instance.name}` has no further input", each.span, label="one too many")
            good = False
        elif carry(each.value) is not None:
            given[name] = each
            if name in waiting:
                waiting.remove(name)
    for name in waiting if good else ():
        place = next(entry.span for entry in graph.inputs if entry.name == name)
        scope.build.report("NN114", f"`{instance.name}` needs the input `{name}`", span, labels=[Label(place, "declared here")])
        good = False
    return given if good else None


def _made_with(instance: NetworkInstance, each: Given) -> str | None:
    """What to write where a parameter was given along with tensors."""
    item = instance.maker.item
    if each.name not in {parameter.name.id for parameter in item.parameters}:
        return None
    made = f"layer {item.name.id.lower()} = {item.name.id}({each.name}={each.span.text})"
    return f"`{each.name}` is a parameter, given where the network is made: `{made}`"


def matches(
    instance: NetworkInstance, entry: InputEntry, each: Given, bindings: dict[Var, Dim], span: Span, scope: Scope
) -> bool:
    """Whether a tensor fits an input of the instance; `bindings` are the sizes of its symbols so far. What does not fit is reported."""
    value = carry(each.value)
    wanted = entry.value.type
    labels = [Label(entry.span, f"declared as {wanted}")]
    if not isinstance(value, Value):
        scope.build.report(
            "NN115", f"`{entry.name}` of `{instance.name}` is a tensor, and this is {describe(value)}", each.span, labels=labels
        )
        return False
    actual = value.type
    message = f"`{entry.name}` of `{instance.name}` is {wanted}, and {actual} arrives"
    if actual.dtype != wanted.dtype:
        scope.build.report("NN204", message, each.span, labels=labels)
        return False
    if actual.rank != wanted.rank:
        scope.build.report("NN203", message, each.span, labels=labels)
        return False
    for declared, dim in zip(wanted.dims, actual.dims, strict=True):
        if isinstance(declared, Poly):
            found = variables(declared)
            one = next(iter(found))
            if len(found) == 1 and format_dim(declared) == one.name and one not in bindings:
                bindings[one] = dim
                continue
        if not oblige(
            Obligation(equal(substitute(declared, bindings), dim), "NN201", "", message), instance.name, each.span, scope
        ):
            return False
    if wanted.classes is not None and actual.classes is not None:
        limit = substitute(wanted.classes, bindings)
        claim = Relation(actual.classes, "<=", limit)
        oblige(
            Obligation(claim, "NN206", "", message, help=_more_kinds(instance, entry, actual.classes)),
            instance.name,
            each.span,
            scope,
        )
    return True


def _more_kinds(instance: NetworkInstance, entry: InputEntry, classes: Dim) -> str:
    """What makes room for more kinds of indices: the parameter that an input's type names, where it names one."""
    written = entry.span.source.text[entry.span.end :].lstrip(" :")
    name = written.removeprefix("index(").partition(")")[0]
    if written.startswith("index(") and name in instance.parameters:
        return f"make room for all kinds: `layer ... = {instance.maker.item.name.id}({name}={format_dim(classes)})`"
    return f"declare the input as `index({format_dim(classes)})`, and make room for all kinds in the network"


def substituted(claim: Claim, bindings: Mapping[Var, Dim]) -> Claim:
    """A claim about the network's symbols, told in the caller's sizes."""
    if isinstance(claim, Relation):
        return Relation(substitute(claim.left, bindings), claim.op, substitute(claim.right, bindings))
    parts = tuple(substituted(part, bindings) for part in claim.claims)
    return AllOf(parts) if isinstance(claim, AllOf) else AnyOf(parts)


def _blamed(
    instance: NetworkInstance, graph: Graph, guard: Guard, given: Mapping[str, Given], span: Span
) -> tuple[Span, tuple[str, ...]]:
    """The tensor that brings a size of which a condition of the network speaks, and what is to be said of it."""
    spoken = claim_variables(guard.claim)
    names = [origin.input for symbol, origin in graph.symbols.items() if symbol in spoken and origin.input in given]
    each = given[names[0]] if names else next(iter(given.values()), None)
    value = carry(each.value) if each is not None else None
    if each is None or not isinstance(value, Value):
        return span, ()
    return each.span, (f"`{each.span.text}` is {value.type}, and `{instance.name}` needs {guard.claim}",)


def _add(
    instance: NetworkInstance, variant: str, given: Mapping[str, Given], bindings: Mapping[Var, Dim], span: Span, scope: Scope
) -> Any:
    graph = instance.variants[variant]
    for guard in graph.guards:
        claim = substituted(guard.claim, bindings)
        place, notes = _blamed(instance, graph, guard, given, span)
        if not oblige(Obligation(claim, "NN230", "", guard.message, notes), instance.name, place, scope):
            return POISON
    outputs = {name: _retyped(value.type, bindings) for name, value in graph.outputs.items()}
    reads = {entry.name: carry(given[entry.name].value) for entry in graph.inputs}
    flop = substitute(graph.flop, bindings)
    operator = CallNetwork(
        instance.name, variant, tuple(reads), outputs, flop, inference=bool(instance.follows) or scope.build.inference > 0
    )
    return scope.build.add_node(operator, reads, outputs, instance.name, span, scope.frames)


def _retyped(type_: TensorType, bindings: Mapping[Var, Dim]) -> TensorType:
    classes = substitute(type_.classes, bindings) if type_.classes is not None else None
    return TensorType(tuple(substitute(dim, bindings) for dim in type_.dims), type_.dtype, classes)
