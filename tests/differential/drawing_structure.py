"""How what surrounds calls is drawn: repetitions, shared layers, optional steps, choices, lists, and blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from differential.builder import Builder, Live, Trial
from differential.description import (
    Bind,
    BlockCall,
    Body,
    Call,
    Carried,
    Choice,
    Expression,
    Input,
    Layer,
    Listed,
    Optional,
    Output,
    Param,
    Parameter,
    Read,
    Repeat,
    Size,
    Type,
)
from differential.drawing import DRAWERS

#: What may stand in a body that carries one value on.
STEPS: dict[int, tuple[str, ...]] = {
    2: ("Linear", "ReLU", "LayerNorm", "BatchNorm1d", "Tanh", "Dropout", "PReLU", "GLU", "GRUCell", "Linear", "softmax"),
    3: ("Linear", "Conv1d", "LayerNorm", "GELU", "SelfAttention", "GRU", "MaxPool1d", "BatchNorm1d", "AddPositions", "Upsample",
        "ConvTranspose1d", "Conv1d", "GroupNorm", "ReflectionPad1d"),
    4: ("Conv2d", "ReLU", "BatchNorm2d", "MaxPool2d", "ConvTranspose2d", "Upsample", "Conv2d", "GroupNorm", "AvgPool2d", "ZeroPad2d",
        "PixelShuffle", "InstanceNorm2d", "Conv2d"),
    5: ("Conv3d", "MaxPool3d", "BatchNorm3d", "ELU", "Conv3d", "AvgPool3d"),
}  # fmt: skip


def chain(b: Builder, live: Live, count: int, steps: Sequence[str] | None = None) -> Expression | None:
    """Steps that begin with what is carried; they run on `live`, unless drawing is wild."""
    node: Expression = Carried()
    here = replace(live, node=node, name=None)
    for _ in range(count):
        inner = Builder(b.rng, b.training)
        inner.lives, inner.wild = [here], b.wild
        made = None
        for _ in range(5):
            names = steps or STEPS.get(here.rank)
            drawn = DRAWERS[b.rng.choice(names)].draw(inner) if names else None
            if not isinstance(drawn, Call) or drawn.spelled != "arrow" or len(drawn.tensors) > 1:
                continue
            drawn = replace(drawn, take=None)
            trial = b.attempt(lambda scope, drawn=drawn: _carried(drawn, live, scope, b))
            if trial.error and not b.wild:
                continue
            made = drawn
            break
        if made is None:
            return None if isinstance(node, Carried) else node
        node = made
        if trial.value is None:
            return node
        here = Live(node, _first(trial.value), _first(trial.other))
    return node


def _carried(node: Expression, live: Live, scope: Any, b: Builder) -> Any:
    from differential.execution import evaluate

    tensor = live.tensor if scope is b.scopes[0] else live.other
    if tensor is None:
        raise ValueError("not at these sizes")
    return evaluate(node, scope.inner("trial", carried=tensor))


def _first(value: Any) -> Any:
    from differential.values import carry

    return carry(value)


def repeat(b: Builder) -> Expression | None:
    """`x -> repeat 3 { ... }`, or over a list of widths."""
    live = b.pick((2, 3, 4, 5))
    body = live and chain(b, live, b.rng.randint(1, 2))
    if live is None or body is None or not 2 <= live.rank <= 5:
        return None
    if b.chance(0.4):
        widths = tuple(b.rng.randint(1, 6) for _ in range(b.rng.randint(1, 3)))
        varied = _with_width(body, Size("width"))
        if varied is not body:
            return Repeat(live.node, widths, varied, "width")
    return Repeat(live.node, b.rng.choice([1, 2, 2, 3, 0]), body)


def _with_width(body: Any, width: Size) -> Any:
    """The body whose first layer with a width of its own takes that one."""
    if not isinstance(body, Call):
        return body
    key = next((name for name, _ in body.settings if name in ("out_channels", "out_features", "hidden_size")), None)
    if key is not None and not dict(body.settings).get("groups"):
        return replace(body, settings=tuple((name, width if name == key else value) for name, value in body.settings))
    (name, first), *others = body.tensors
    inner = _with_width(first, width)
    return body if inner is first else replace(body, tensors=((name, inner), *others))


def optional(b: Builder) -> Expression | None:
    """`x -> if k > 2 { ... }`."""
    live = b.pick((2, 3, 4, 5))
    body = live and chain(b, live, 1)
    if live is None or body is None:
        return None
    name = _parameter(b)
    return Optional(live.node, Size(f"{name} {b.rng.choice(['>', '==', '<='])} 2"), body)


def _parameter(b: Builder) -> str:
    """A parameter of the network."""
    if not b.parameters:
        b.parameters.append(Parameter("k", "int", b.rng.randint(1, 3)))
        for scope in b.scopes:
            scope.names["k"] = b.parameters[0].default
    return b.parameters[0].name


def choice(b: Builder) -> Expression | None:
    """`if x.shape[1] == 4 then x else x -> Linear(4)`."""
    live = b.pick((2, 3, 4), fits=lambda live: live.fixed(1) and live.name is not None)
    other = live and chain(b, live, 1)
    if live is None or other is None or live.name is None or live.rank < 2:
        return None
    body = replace_carried(other, live.node)
    test = Size(f"{live.name}.shape[1] == {live.sizes[1] + b.rng.choice([0, 1])}")
    if b.chance(0.3):
        test = Size(f"{_parameter(b)} >= 2")
    return Choice(test, live.node, body) if b.chance(0.5) else Choice(test, body, live.node)


def replace_carried(node: Any, by: Expression) -> Any:
    """The chain with what is carried replaced."""
    if isinstance(node, Carried):
        return by
    if not isinstance(node, Call):
        return node
    return replace(node, tensors=tuple((name, replace_carried(value, by)) for name, value in node.tensors))


#: Steps that change the sizes of sequences, images and volumes, by the number of their spatial axes.
RESIZING = (
    "Conv{0}d",
    "MaxPool{0}d",
    "AvgPool{0}d",
    "ConvTranspose{0}d",
    "Upsample",
    "ZeroPad{0}d",
    "ReflectionPad{0}d",
    "LPPool{0}d",
)


def skip(b: Builder) -> Expression | None:
    """Steps that change sizes, and what was there before beside the result: it fits at some sizes."""
    live = b.pick((3, 4, 5))
    if live is None or not 3 <= live.rank <= 5:
        return None
    names = tuple(name.format(live.rank - 2) for name in RESIZING)
    for _ in range(12):
        body = chain(b, live, b.rng.randint(1, 3), names)
        if body is None:
            continue
        value = replace_carried(body, live.node)
        trial = b.try_out(value)
        if trial.value is None or trial.value.shape[2:] != live.tensor.shape[2:]:
            continue
        pair = (live.node, value) if b.chance(0.5) else (value, live.node)
        if trial.value.shape == live.tensor.shape and b.chance(0.5):
            return Call("add", (("input", pair[0]), ("other", pair[1])), spelled="infix")
        return Call("concat", (("tensors", pair),), (("dim", 1),), "call")
    return None


def branches(b: Builder) -> Expression | None:
    """`concat([x -> Conv2d(4, k, padding="same") for k in [1, 3, 5]], dim=1)`."""
    live = b.pick((3, 4))
    if live is None:
        return None
    name = {3: "Conv1d", 4: "Conv2d"}.get(live.rank, "Conv2d")
    padding = "same" if b.chance(0.7) else b.rng.choice([1, 0])
    settings = (("out_channels", b.rng.randint(1, 4)), ("kernel_size", Size("k")), ("padding", padding))
    element = Call(name, (("input", live.node),), settings, positional=2)
    values = tuple(b.rng.sample([1, 2, 3, 5], b.rng.randint(2, 3)))
    return Call("concat", (("tensors", Listed(element, "k", values)),), (("dim", 1),), "call")


def layer_use(b: Builder) -> Expression | None:
    """A layer declared here or before, on one more value."""
    if b.layers and b.chance(0.7):
        name = b.rng.choice(list(b.layers))
        live = b.pick(b.layers[name].rank)
        return live and BlockCall(name, (live.node,), is_layer=True)
    live = b.pick((2, 3, 4))
    body = live and chain(b, live, b.rng.randint(1, 2))
    if live is None or body is None or not _begins_with_a_layer(body):
        return None
    name = b.fresh("shared")
    b.add_layer(Layer(name, body), live)
    return BlockCall(name, (live.node,), is_layer=True)


def _begins_with_a_layer(body: Any) -> bool:
    """A function alone makes no layer: it would be a call without its tensor."""
    first = body.tensors[0][1]
    return body.operator[0].isupper() if isinstance(first, Carried) else _begins_with_a_layer(first)


def param_use(b: Builder) -> Expression | None:
    """`x + bias`, with a weight of the network's own."""
    live = b.pick(range(1, 4), fits=lambda live: live.fixed(-1) and live.dtype == "float32")
    if live is None or not live.rank:
        return None
    sizes = (*[1] * b.rng.randint(0, live.rank - 1), b.off(live.sizes[-1]))
    made = b.add_param(Param(b.fresh("own"), Type("float32", sizes)))
    operator = b.rng.choice(["add", "mul"])
    return Call(operator, (("input", live.node), ("other", made.node)), spelled="infix")


# --- blocks ---------------------------------------------------------------------------------------------------------------


def block_use(b: Builder) -> Expression | None:
    """A block made here or before, on values at hand."""
    if b.blocks and b.chance(0.5):
        block = b.rng.choice(b.blocks)
        live = b.pick(len(_inputs(block)[0].type.dims))
        return live and _used(b, block, live)
    live = b.pick((2, 3, 4), fits=lambda live: live.dtype == "float32" or b.chance(0.1))
    made = live and live.rank in LETTERS and b.rng.choice(BLOCKS)(b, live)
    if live is None or not made:
        return None
    b.blocks.append(made)
    return _used(b, made, live)


def _used(b: Builder, block: Body, live: Live) -> Expression:
    """The block on a value, and on others of the same rank where it has further inputs."""
    others = [
        b.another(
            live, "float", lambda other: other.rank == live.rank and other.sizes[0] == live.sizes[0] and other.dtype == live.dtype
        )
        for _ in _inputs(block)[1:]
    ]
    return BlockCall(block.name, (live.node, *(other.node for other in others)), _arguments(b, block))


def _inputs(block: Body) -> list[Input]:
    return [each for each in block.statements if isinstance(each, Input)]


def _arguments(b: Builder, block: Body) -> tuple[tuple[str, Any], ...]:
    given: list[tuple[str, Any]] = []
    for parameter in block.parameters:
        if parameter.default is None or b.chance(0.4):
            usual = {
                "width": b.rng.randint(1, 6),
                "heads": b.rng.randint(1, 3),
                "stride": b.rng.randint(1, 2),
                "depth": b.rng.randint(0, 2),
            }
            given.append((parameter.name, usual[parameter.name]))
    return tuple(given)


LETTERS = {2: ("R", "F"), 3: ("R", "S", "F"), 4: ("R", "A", "P", "Q"), 5: ("R", "A", "O", "P", "Q")}


def _input(rank: int, *where: str) -> Input:
    return Input("x", Type("float32", tuple(map(Size, LETTERS[rank]))), tuple(map(Size, where)))


def _layer(operator: str, value: Expression, *positional: Any, **named: Any) -> Call:
    keys = {"Conv": ("out_channels", "kernel_size"), "Line": ("out_features",), "Self": ("heads",), "MaxP": ("kernel_size",)}
    settings = [*zip(keys.get(operator[:4], ()), positional, strict=False), *named.items()]
    return Call(operator, (("input", value),), tuple(settings), positional=len(positional))


X = "x"


def _residual(b: Builder, live: Live) -> Body | None:
    """Two convolutions or products beside a skip, which is projected where the width changes."""
    rank = live.rank
    if rank > 4:
        return None
    if rank == 4:
        stride = Size("stride")
        main = _layer("Conv2d", Read(X), Size("width"), 3, stride=stride, padding=1)
        main = _layer("Conv2d", _layer("ReLU", main), Size("width"), 3, padding=b.rng.choice([1, 1, 1, 0]))
        skip = Choice(Size("stride == 1 and A == width"), Read(X), _layer("Conv2d", Read(X), Size("width"), 1, stride=stride))
        parameters = (Parameter("width", "int"), Parameter("stride", "int", 1))
    else:
        main = _layer("Linear", _layer("GELU", _layer("Linear", Read(X), 6)), Size("width"))
        skip = Choice(Size("F == width"), Read(X), _layer("Linear", Read(X), Size("width")))
        parameters = (Parameter("width", "int"),)
    end = Call("add", (("input", Read("main")), ("other", Read("skip"))), spelled="infix")
    statements = (_input(rank), Bind(("main",), main), Bind(("skip",), skip), Output("y", end))
    return Body(_name(b, "Residual"), statements, parameters)


def _name(b: Builder, stem: str) -> str:
    return f"{stem}{len(b.blocks) + 1}"


def _random_block(b: Builder, live: Live) -> Body | None:
    """A chain on what comes in, perhaps beside it."""
    body = chain(b, replace(live, other=None) if live.other is None else live, b.rng.randint(1, 3))
    if body is None:
        return None
    value = replace_carried(body, Read(X))
    varied = _with_width(body, Size("width"))
    parameters: tuple[Parameter, ...] = ()
    if varied is not body and b.chance(0.6):
        value = replace_carried(varied, Read(X))
        parameters = (Parameter("width", "int", b.rng.randint(1, 6)),)
    where = (
        (b.rng.choice(["R >= 1", f"{LETTERS[live.rank][-1]} % 2 == 0", f"{LETTERS[live.rank][1]} >= 2"]),)
        if b.chance(0.2)
        else ()
    )
    statements: list[Any] = [_input(live.rank, *where), Bind(("inside",), value)]
    if b.chance(0.35):
        beside = Call("add", (("input", Read("inside")), ("other", Read(X))), spelled="infix")
        return Body(_name(b, "Beside"), (*statements, Output("y", beside)), parameters)
    return Body(_name(b, "Chain"), (*statements, Output("y", Read("inside"))), parameters)


def _level(b: Builder, live: Live) -> Body | None:
    """Down, up and beside what was there, as in a U-Net; calls itself."""
    if live.rank != 4:
        return None
    name = _name(b, "Level")
    here = _layer("Conv2d", Read(X), Size("width"), 3, padding=1)
    down = _layer("MaxPool2d", Read("here"), 2, **({"ceil_mode": True} if b.chance(0.3) else {}))
    deeper = BlockCall(name, (down,), (("width", Size("width")), ("depth", Size("depth - 1"))))
    up: Expression = _layer("ConvTranspose2d", deeper, Size("width"), 2, stride=2)
    if b.chance(0.4):
        up = Call("Upsample", (("input", deeper),), (("scale_factor", 2),))
    both = Call("concat", (("tensors", (Read("here"), up)),), (("dim", 1),), "call")
    output = Choice(Size("depth == 0"), Read("here"), both)
    parameters = (Parameter("width", "int"), Parameter("depth", "int", 1))
    return Body(name, (_input(4), Bind(("here",), here), Output("y", output)), parameters)


def _attention(b: Builder, live: Live) -> Body | None:
    """A Transformer's layer; the width has to be a multiple of the heads."""
    if live.rank != 3:
        return None
    attended = _layer("SelfAttention", _layer("LayerNorm", Read(X)), Size("heads"), causal=b.chance(0.5))
    first = Call("add", (("input", Read(X)), ("other", attended)), spelled="infix")
    wide = _layer("Linear", _layer("GELU", _layer("Linear", Read("a"), Size("2 * F"))), Size("F"))
    second = Call("add", (("input", Read("a")), ("other", wide)), spelled="infix")
    where = ("F % heads == 0",) if b.chance(0.5) else ()
    statements = (_input(3, *where), Bind(("a",), first), Output("y", second))
    return Body(_name(b, "Attend"), statements, (Parameter("heads", "int", 1),))


def _gate(b: Builder, live: Live) -> Body | None:
    """One half gates the other: the last axis has to be even."""
    if live.rank not in (2, 3):
        return None
    cut = Call("split", (("input", Read(X)),), (("parts", 2), ("dim", -1)), "call")
    gate = Call("sigmoid", (("input", Read("second")),), (), "call")
    product = Call("mul", (("input", Read("first")), ("other", gate)), spelled="infix")
    statements = (_input(live.rank), Bind(("first", "second"), cut), Output("y", _layer("Linear", product, Size("width"))))
    return Body(_name(b, "Gate"), statements, (Parameter("width", "int", 3),))


def _merge(b: Builder, live: Live) -> Body | None:
    """Two values side by side, all of whose sizes agree but one."""
    letters = LETTERS[live.rank]
    place = b.rng.randrange(1, live.rank)
    second = tuple(Size("V" if axis == place and b.chance(0.8) else letter) for axis, letter in enumerate(letters))
    both: Expression = Call("concat", (("tensors", (Read(X), Read("other"))),), (("dim", place),), "call")
    if b.chance(0.5):
        both = _layer("Linear", both, Size("width"))
    statements = (_input(live.rank), Input("other", Type("float32", second)), Output("y", both))
    return Body(_name(b, "Merge"), statements, (Parameter("width", "int", 4),))


BLOCKS = (_residual, _random_block, _random_block, _level, _attention, _gate, _merge)

STRUCTURES: Sequence[tuple[Any, float]] = (
    (repeat, 8.0), (optional, 3.0), (choice, 4.0), (branches, 4.0), (skip, 8.0), (layer_use, 8.0), (param_use, 3.0), (block_use, 14.0),
)  # fmt: skip

__all__ = ["STRUCTURES", "Trial"]
