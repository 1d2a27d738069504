"""A described network as the text of a spec. Not here: what any of it means."""

from __future__ import annotations

from typing import Any

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
    Network,
    Optional,
    Output,
    Param,
    Parameter,
    Read,
    Repeat,
    Setting,
    Size,
    Slice,
    Statement,
    Type,
)

SIGNS = {
    "add": "+", "sub": "-", "mul": "*", "div": "/", "floor_divide": "//", "remainder": "%", "pow": "**", "matmul": "@",
    "eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "logical_and": "and", "logical_or": "or",
}  # fmt: skip
UNARY = {"neg": "-", "logical_not": "not "}
#: Functions whose later tensors stand behind settings in the signature, so that they are written by name.
INTERLEAVED = ("gather", "index_select", "scatter", "mean")
OPTIONAL = ("keep", "attn_mask", "key_padding_mask", "lengths", "h_0", "c_0", "edge_weight")
VARIADIC = ("tensors", "operands")


def spelled(network: Network) -> str:
    """The spec: blocks first, then the network."""
    return "\n\n".join([*(_body("block", block) for block in network.blocks), _body("network", network.body)]) + "\n"


def _body(word: str, body: Body) -> str:
    parameters = f"({', '.join(map(_parameter, body.parameters))})" if body.parameters else ""
    lines = "".join(f"  {statement(each)}\n" for each in body.statements)
    return f"{word} {body.name}{parameters} {{\n{lines}}}"


def _parameter(parameter: Parameter) -> str:
    default = "" if parameter.default is None else f" = {setting(parameter.default)}"
    return f"{parameter.name}: {parameter.kind}{default}"


def statement(node: Statement) -> str:
    """One line."""
    match node:
        case Input():
            where = f" where {', '.join(each.text for each in node.where)}" if node.where else ""
            return f"input {node.name}: {type_(node.type)}{where}"
        case Bind():
            stated = f": {type_(node.type)}" if node.type is not None else ""
            return f"{', '.join(node.names)}{stated} = {expression(node.value)}"
        case Layer():
            return f"layer {node.name} = {_steps(node.body)}"
        case Param():
            return f"param {node.name}: {type_(node.type)} = zeros"
        case Output():
            if isinstance(node.value, Read) and node.value.name == node.name and node.type is None:
                return f"output {node.name}"
            stated = f": {type_(node.type)}" if node.type is not None else ""
            return f"output {node.name}{stated} = {expression(node.value)}"


def type_(node: Type) -> str:
    element = node.dtype if node.classes is None else f"index({size(node.classes)})"
    return f"{element}[{', '.join(map(size, node.dims))}]"


def size(value: int | Size) -> str:
    return value.text if isinstance(value, Size) else str(value)


def setting(value: Setting) -> str:
    """A setting as the language writes it."""
    match value:
        case None:
            return "none"
        case bool():
            return "true" if value else "false"
        case str():
            return f'"{value}"'
        case tuple():
            return f"[{', '.join(map(setting, value))}]"
        case Size():
            return value.text
        case Slice():
            return _slice(value)
        case _:
            return repr(value)


def _slice(value: Slice) -> str:
    start, stop = ("" if bound is None else size(bound) for bound in (value.start, value.stop))
    return f"{start}:{stop}" + (f":{value.step}" if value.step is not None else "")


def expression(node: Expression) -> str:
    """An expression where nothing binds tighter around it."""
    match node:
        case Read():
            return node.name
        case Choice():
            return f"if {node.test.text} then {_operand(node.then)} else {_operand(node.otherwise)}"
        case Listed():
            values = ", ".join(map(str, node.values))
            return f"[{expression(node.element)} for {node.variable} in [{values}]]"
        case Call(spelled="infix"):
            return _infix(node)
        case Call(spelled="call") | Call(spelled="brackets"):
            return _called(node)
        case Carried() | Call() | BlockCall() | Repeat() | Optional():
            return _pipeline(node)


def _infix(node: Call) -> str:
    operands = [_operand(value) if not isinstance(value, int | float | Size) else setting(value) for _, value in node.tensors]
    if node.operator == "subscript":
        entries = ", ".join(map(_entry, _tuple(node.settings[0][1])))
        return f"{operands[0]}[{entries}]"
    if node.operator in UNARY:
        return UNARY[node.operator] + operands[0]
    return f" {SIGNS[node.operator]} ".join(operands)


def _tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def _entry(entry: Any) -> str:
    return "..." if entry == "..." else setting(entry)


def _operand(node: Any) -> str:
    """An expression beside a sign: in parentheses unless it is short in itself."""
    text = expression(node)
    alone = isinstance(node, Read) or (isinstance(node, Call) and node.spelled in ("call", "brackets"))
    return text if alone or (isinstance(node, Call) and node.operator == "subscript") else f"({text})"


def _taking(node: Call) -> str:
    return "" if node.take is None else f".{node.take}"


def _settings(node: Call | BlockCall) -> list[str]:
    positional = node.positional if isinstance(node, Call) else 0
    shown = [
        (name, value)
        for name, value in node.settings
        if not (name == "sizes" and isinstance(node, Call) and node.spelled == "brackets")
    ]
    return [setting(value) if place < positional else f"{name}={setting(value)}" for place, (name, value) in enumerate(shown)]


def _called(node: Call) -> str:
    """`concat(a, b, dim=1)`, `zeros[N, 4]`."""
    positional: list[str] = []
    named: list[str] = []
    for place, (name, value) in enumerate(node.tensors):
        text = (
            setting(value)
            if isinstance(value, int | float | Size)
            else _members(value)
            if name in VARIADIC
            else expression(value)
        )
        by_name = place and (node.operator in INTERLEAVED or name in OPTIONAL)
        (named if by_name else positional).append(f"{name}={text}" if by_name else text)
    settings = _settings(node)
    if node.operator == "einsum":
        return f"einsum({setting(dict(node.settings)['equation'])}, {', '.join(positional)})"
    arguments = ", ".join([*positional, *settings, *named])
    if node.spelled == "brackets":
        sizes = dict(node.settings)["sizes"]
        shown = "" if not arguments else f"({arguments})"
        return f"{node.operator}{shown}[{', '.join(map(setting, _tuple(sizes)))}]"
    return f"{node.operator}({arguments}){_taking(node)}"


def _members(value: Any) -> str:
    return expression(value) if isinstance(value, Listed) else ", ".join(map(expression, value))


def _pipeline(node: Expression) -> str:
    head, steps = _split(node)
    return " -> ".join([head, *steps]) if head else " -> ".join(steps)


def _steps(body: Expression) -> str:
    head, steps = _split(body)
    assert not head, "a body begins with what is carried"
    return " -> ".join(steps)


def _split(node: Any) -> tuple[str, list[str]]:
    """The head of a chain (empty where it is what is carried) and its steps."""
    match node:
        case Carried():
            return "", []
        case Call(spelled="arrow"):
            return _arrow(node)
        case BlockCall():
            return _block(node)
        case Repeat():
            head, steps = _split(node.value)
            over = (
                node.over if isinstance(node.over, int) else node.over.text if isinstance(node.over, Size) else setting(node.over)
            )
            counted = f"{node.variable} in {over}" if node.variable else f"{over}"
            return head, [*steps, f"repeat {counted} {{ {_steps(node.body)} }}"]
        case Optional():
            head, steps = _split(node.value)
            return head, [*steps, f"if {node.test.text} {{ {_steps(node.body)} }}"]
        case Choice():
            return f"({expression(node)})", []
        case _:
            return expression(node), []


def _arrow(node: Call) -> tuple[str, list[str]]:
    (_, first), *others = node.tensors
    head, steps = _split(first)
    required = [(name, value) for name, value in others if name not in OPTIONAL]
    optional = [(name, value) for name, value in others if name in OPTIONAL]
    if required and head and not steps and node.operator[0].isupper():
        head = f"({', '.join([head, *(expression(value) for _, value in required)])})"
    else:
        optional = [*required, *optional]
    named = [
        f"{name}={setting(value) if isinstance(value, int | float | Size) else expression(value)}" for name, value in optional
    ]
    arguments = ", ".join([*_settings(node), *named])
    return head, [*steps, node.operator + (f"({arguments})" if arguments else "") + _taking(node)]


def _block(node: BlockCall) -> tuple[str, list[str]]:
    first, *others = node.tensors
    head, steps = _split(first)
    if others:
        assert not steps, "several tensors go into a block by their names"
        head = f"({', '.join([head, *map(expression, others)])})"
    arguments = ", ".join(_settings(node))
    return head, [*steps, node.name + (f"({arguments})" if arguments else "")]
