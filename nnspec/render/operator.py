"""The page of an operator, made from its declaration: signature, inputs, settings, ranges, source."""

from __future__ import annotations

from nnspec.operators.declare import AttributeField, Operator, TensorField
from nnspec.operators.kinds import describe

_DTYPES = {
    "float": "floating point",
    "index": "whole numbers (indices)",
    "integer": "whole numbers",
    "bool": "true or false",
    "number": "numbers",
    "any": "any",
}


def operator_page(operator: type[Operator]) -> str:
    """Everything that a user of the operator has to know, as Markdown."""
    parts = [f"# {operator.name}", _docstring(operator), f"```nn\n{signature(operator)}\n```"]
    tensors, attributes = operator.tensor_fields(), operator.attribute_fields()
    if tensors:
        parts.append("## Inputs\n" + "\n".join(_entry(name, field.doc, _tensor(field)) for name, field in tensors.items()))
    if attributes:
        entries = [_entry(_argument(field), field.doc, _kind(field)) for field in attributes.values()]
        parts.append("## Settings\n" + "\n".join(entries))
    remarks = _remarks(operator)
    if remarks:
        parts.append("\n".join(remarks))
    return "\n\n".join(parts)


def signature(operator: type[Operator]) -> str:
    """How a spec writes a call: `x -> Linear(out_features, bias=true)`, or `concat(tensors, dim=0)`."""
    tensors = operator.tensor_fields().values()
    settings = [_argument(field) for field in operator.attribute_fields().values()]
    further = [f"{field.name}=none" for field in tensors if field.optional]
    needed = [field.name + ("..." if field.variadic else "") for field in tensors if not field.optional]
    if operator.name[:1].islower():
        return f"{operator.name}({', '.join(_in_order(operator))})"
    arguments = ", ".join(settings + further)
    head = "x" if len(needed) == 1 else f"({', '.join(needed)})"
    call = f"{operator.name}({arguments})" if arguments else operator.name
    return f"{head} -> {call}" if needed else call


def _entry(name: str, meaning: str, takes: str) -> str:
    return f"- `{name}`: {meaning} ({takes})" if meaning else f"- `{name}`: {takes}"


def _in_order(operator: type[Operator]) -> list[str]:
    result = []
    for field in operator.fields.values():
        if isinstance(field, AttributeField):
            result.append(_argument(field))
        elif isinstance(field, TensorField):
            result.append(f"{field.name}=none" if field.optional else field.name + ("..." if field.variadic else ""))
    return result


def _argument(field: AttributeField) -> str:
    return field.name if field.required else f"{field.name}={_value(field.default)}"


def _value(value: object) -> str:
    if isinstance(value, list | tuple) and len(set(value)) == 1:
        return _value(value[0])
    return describe(value)


def _docstring(operator: type[Operator]) -> str:
    lines = (operator.__doc__ or "").strip("\n").split("\n")
    indents = [len(line) - len(line.lstrip()) for line in lines[1:] if line.strip()]
    cut = min(indents, default=0)
    return "\n".join([lines[0].strip(), *(line[cut:].rstrip() for line in lines[1:])]).strip()


def _tensor(field: TensorField) -> str:
    text = _DTYPES.get(field.dtype, field.dtype)
    if field.rank is not None:
        ranks = (field.rank,) if isinstance(field.rank, int) else field.rank
        text += f", {' or '.join(map(str, ranks))} {'axis' if ranks == (1,) else 'axes'}"
    return text + (", optional" if field.optional else "") + (", or a number" if field.number else "")


def _kind(field: AttributeField) -> str:
    return field.kind.name + _range(field)


def _range(field: AttributeField) -> str:
    limits = [("at least", field.ge), ("greater than", field.gt), ("at most", field.le), ("less than", field.lt)]
    return "".join(f", {word} {limit}" for word, limit in limits if limit is not None)


def _remarks(operator: type[Operator]) -> list[str]:
    result = []
    if operator.mode_dependent:
        result.append("Behaves differently in training and in inference.")
    if operator.random:
        result.append("Draws random numbers: its result differs from call to call.")
    if operator.source:
        result.append(f"Source: {operator.source}")
    return result
