"""The JSON schema (draft 2020-12) of the YAML form, for editors: `python -m nnspec.syntax.schema` writes `grammar/nnspec.schema.json`.

It knows the shapes of statements, and the names, kinds and documentation of the operators' settings, out of the operator table.
Whatever is not in the table may stand wherever a user's block may; what a spec means is the checker's business. Texts are
expressions, so a setting of any kind may be a string.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from nnspec.syntax.yaml_words import STEP_KEYS, TYPE_WORDS

if TYPE_CHECKING:
    from nnspec.operators.declare import AttributeField, Field, Operator
    from nnspec.operators.kinds import Kind

Schema = dict[str, Any]

FILE: Final = "nnspec.schema.json"

_NAME: Final = "[A-Za-z_][A-Za-z0-9_]*"
_NAMES: Final = f"{_NAME}( *, *{_NAME})*"

_ITEMS: Final = {
    "network": "A network: inputs, layers and outputs.",
    "block": "A part of networks, used like an operator.",
    "train": "A recipe: data, what is minimized, and how.",
    "agent": "A recipe whose data come from acting in an environment.",
    "data": "A data set: its columns, and what is made of them.",
    "sample": "What is drawn from a trained recipe.",
    "sweep": "What is tried to find the best run of a recipe.",
}

_WORDS: Final = {
    "input": "A tensor that is given; a plain text is its type.",
    "output": "A result; the first one is handed on by `->`.",
    "layer": "One set of weights; every use shares them.",
    "param": "A learned tensor.",
    "buffer": "A tensor that is kept with the weights and not learned.",
    "state": "What a block carries from step to step within `scan`, and its first value.",
    "next": "The next value of a state.",
    "init": "First values of the weights that `where` chooses; the last one that fits counts.",
    "data": "A data source of a recipe.",
    "environment": "What an agent acts in.",
    "column": "Columns of a table; a plain text is their type.",
    "split": "Parts for training, validation and test, or folds.",
    "step": "An update of its own, with what it minimizes and updates.",
    "minimize": "The loss: a single number.",
    "measure": "What is reported on the validation and test parts.",
    "optimizer": "How weights are updated; `override` in its body changes settings for some of them.",
    "override": "Another value of a setting, for the weights that `where` chooses.",
    "update": "The networks whose weights a step changes.",
    "freeze": "Weights that are not updated.",
    "load": "First weights from another run or file.",
    "epochs": "Passes over the first data source.",
    "steps": "Updates of the weights.",
    "episodes": "Episodes that an agent plays.",
    "batch_size": "Samples in a step.",
    "drop_last": "Whether to leave out a last batch that is smaller.",
    "workers": "Threads that take the next batches out of their files ahead of time.",
    "seed": "What every random choice starts from.",
    "precision": "The type that products are computed in.",
    "memory_format": "How pictures lie in memory.",
    "activation_checkpointing": "Whether to compute activations again instead of keeping them.",
    "fused_loss": "Whether to compute the cross-entropy of a linear layer without all its outputs at once.",
    "cuda_graphs": "Whether to start the kernels of a step together on a GPU.",
    "parallel": "What several processes share.",
    "ema": "How much of the moving average of the weights each update leaves; it is what is measured and kept.",
    "on_nan": "What to do where a loss or a gradient is NaN or infinite.",
    "accumulate": "Batches whose gradients are added up before a step.",
    "clip_grad_norm": "Scale gradients down to this norm.",
    "clip_grad_value": "Cut each gradient off at this size.",
    "keep_best": "The metric by which the kept checkpoint is chosen.",
    "folds": "Cross-validation: so many trainings, each tested on another part of the first source.",
    "fold": "Which of the folds, from 0, is the test part of this training alone.",
    "patience": "Epochs without an improvement after which training stops.",
    "measure_every": "How often to evaluate.",
    "act": "The action that an agent takes.",
    "explore": "How an agent departs from it.",
    "solved": "When an agent has learned enough.",
    "learn": "A short form of a known learning rule.",
    "trials": "How many runs a sweep makes.",
    "maximize": "The figure that is to be best, of which more is better.",
}


def schema() -> Schema:
    """The whole schema, the same at every call."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "nnspec",
        "description": "A neural network, its recipe and what it ensures.",
        "anyOf": [_ref("items"), {"type": "array", "items": _ref("items")}],
        "$defs": {
            "items": _items(),
            "item": _item(),
            "ensure": _ensure(),
            "parameters": _parameters(),
            "body": _one_or_list(_statements({}), "Statements by word and name."),
            "statement": _statement(_ref("value")),
            "declaration": _statement({"type": "string", "description": "A type: `float32[N, 3, H, W]`."}),
            "spelled_out": _spelled_out(),
            "value": {"anyOf": [_ref("expression"), _ref("chain"), _ref("step")]},
            "expression": {"type": ["string", "number", "boolean"], "description": "An expression, as in `.nn`."},
            "chain": _chain(),
            "argument": _argument(),
            "step": _step(),
        },
    }


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _one_or_list(one: Schema, description: str) -> Schema:
    return {"description": description, "anyOf": [one, {"type": "array", "items": one}, {"type": "null"}]}


# --- items and statements


def _items() -> Schema:
    items = {f"^{word} +{_NAME}$": {**_ref("item"), "description": text} for word, text in _ITEMS.items()}
    use = {"type": "string", "pattern": ' from +"', "description": 'Names out of another file: `A, B as C from "other.nn"`.'}
    return {
        "type": "object",
        "properties": {
            "spec": {"type": "integer", "description": "The version of the language."},
            "use": {"anyOf": [use, {"type": "array", "items": use}]},
        },
        "patternProperties": {
            **items,
            f"^ensure +{_NAME}$": {**_ref("ensure"), "description": "Claims that have to be true."},
        },
        "additionalProperties": False,
    }


def _item() -> Schema:
    """Spelled out, or with its statements beside its parameters, or nothing but a value."""
    common = {"doc": {"type": "string", "description": "What the item is."}, "params": _ref("parameters")}
    spelled = {
        "type": "object",
        "properties": {**common, "value": _ref("value"), "with": _ref("body")},
        "additionalProperties": False,
    }
    return {"anyOf": [spelled, _statements(common), _ref("expression"), _ref("chain"), {"type": "null"}]}


def _statements(fixed: Schema) -> Schema:
    """A mapping of statements by `word`, `word name` or `name`."""
    patterns = {
        f"^{word}( +.*)?$": {**_ref("declaration" if word in TYPE_WORDS else "statement"), "description": text}
        for word, text in _WORDS.items()
    }
    known = "|".join((*_WORDS, *fixed))
    return {
        "type": "object",
        "properties": fixed,
        "patternProperties": {**patterns, f"^(?!({known})( |$)){_NAME}( +.*| *,.*)?$": _ref("statement")},
        "propertyNames": {"pattern": f"^({_NAME} +)?{_NAMES}( *=)?$|^{_NAME} +.*$"},
    }


def _statement(short: Schema) -> Schema:
    each = {"type": "array", "items": {"anyOf": [short, _ref("value"), _ref("spelled_out")]}}
    shared = {
        "type": "object",
        "properties": {"each": {**each, "description": "A value for each statement of this key."}},
        "required": ["each"],
        "additionalProperties": False,
    }
    return {"anyOf": [short, _ref("chain"), _ref("spelled_out"), shared, _ref("step"), {"type": "null"}]}


def _spelled_out() -> Schema:
    condition = {**_ref("expression"), "description": 'A test, perhaps with a message: `D % heads == 0, "message"`.'}
    return {
        "type": "object",
        "minProperties": 1,
        "properties": {
            "type": {"type": "string", "description": "What has to be the type: `float32[N, classes]`."},
            "value": {**_ref("value"), "description": "The value of what the key names."},
            "values": {
                "anyOf": [_ref("value"), {"type": "array", "items": _ref("value")}],
                "description": "The values behind a word; makes the key a word.",
            },
            "from": {**_ref("value"), "description": "Where it comes from."},
            "where": {"anyOf": [condition, {"type": "array", "items": condition}], "description": "Conditions."},
            "with": _ref("body"),
        },
        "additionalProperties": False,
    }


def _parameters() -> Schema:
    one = {
        "type": "object",
        "propertyNames": {"pattern": f"^{_NAME}$"},
        "additionalProperties": {"type": "string", "description": "A type, a default, a range: `int = 10`."},
    }
    return _one_or_list(one, "Parameters by name.")


def _ensure() -> Schema:
    claims = {"anyOf": [{"type": "array", "items": _ref("value")}, _ref("expression"), {"type": "null"}]}
    spelled = {
        "type": "object",
        "properties": {"doc": {"type": "string"}, "with": claims},
        "additionalProperties": False,
    }
    return {"anyOf": [claims, spelled]}


# --- steps


def _chain() -> Schema:
    return {
        "type": "array",
        "minItems": 1,
        "items": {"anyOf": [_ref("expression"), _ref("step")]},
        "description": "A head, then steps.",
    }


def _argument() -> Schema:
    values = {"type": "array", "items": _ref("argument"), "description": "A list of values."}
    return {"anyOf": [_ref("expression"), values, _ref("step")]}


def _step() -> Schema:
    """A mapping whose first key is an operator or block. The settings of known operators are checked by name and kind."""
    from nnspec.operators import OPERATORS, load_operators

    load_operators()
    operators = [OPERATORS[name] for name in sorted(OPERATORS)]
    settings = {name for operator in operators for name in operator.fields}
    certain = [operator for operator in operators if operator.name not in settings]
    positional = {"anyOf": [{"type": "null"}, _ref("argument")]}
    return {
        "type": "object",
        "minProperties": 1,
        "properties": {
            **{operator.name: {**positional, "description": _signature(operator)} for operator in certain},
            "repeat": {**_ref("argument"), "description": "How often, or `width in widths`; the steps are in `do`."},
            "scan": {**positional, "description": "Along the steps of a sequence; what is done is in `do`."},
            "if": {**_ref("argument"), "description": "Only if this is true; the steps are in `do`."},
            "group": {"description": "Steps in parentheses, in `do`."},
            **_step_keys(),
        },
        "dependentSchemas": {operator.name: _settings(operator) for operator in certain},
        "additionalProperties": positional,
    }


def _step_keys() -> Schema:
    body = {"anyOf": [_ref("chain"), _ref("expression"), _ref("step")]}
    texts = {
        "do": {**body, "description": "The steps that `repeat`, `scan`, `if` or `group` holds."},
        "take": {
            "type": "string",
            "pattern": r"^(\.[A-Za-z_][A-Za-z0-9_]*)+$",
            "description": "The output that goes on: `.last`.",
        },
        "as": {"type": "string", "description": "The path of the weights: `conv1`."},
    }
    return {key: texts[key] for key in STEP_KEYS}


def _signature(operator: type[Operator]) -> str:
    """`Conv2d(out_channels, kernel_size, stride=[1, 1])`, and the first sentence of its documentation."""
    parts = [_shown(field) for field in operator.attribute_fields().values() if not field.keyword_only]
    return f"{operator.name}({', '.join(parts)})\n{_first_line(operator)}"


def _first_line(operator: type[Operator]) -> str:
    return (operator.__doc__ or "").strip().split("\n")[0]


def _shown(field: AttributeField) -> str:
    from nnspec.operators.kinds import describe

    return field.name if field.required else f"{field.name}={describe(field.default)}"


def _settings(operator: type[Operator]) -> Schema:
    """What may stand beside the name of an operator."""
    fields = {name: _field(field) for name, field in operator.fields.items() if name not in STEP_KEYS}
    return {"properties": fields, "propertyNames": {"enum": sorted({operator.name, *fields, *STEP_KEYS})}}


def _field(field: Field) -> Schema:
    from nnspec.operators.declare import AttributeField
    from nnspec.operators.kinds import Choice, describe

    if not isinstance(field, AttributeField):
        return {**_ref("argument"), "description": f"A tensor: {field.doc}" if field.doc else "A tensor."}
    limits = [
        f"{word} {limit}"
        for word, limit in (("at least", field.ge), ("greater than", field.gt), ("at most", field.le), ("less than", field.lt))
        if limit is not None
    ]
    texts = [
        field.doc or field.name,
        field.kind.name,
        *limits,
        "required" if field.required else f"default {describe(field.default)}",
    ]
    result: Schema = {"description": "; ".join(texts)}
    types = sorted(_types(field.kind))
    if isinstance(field.kind, Choice):
        result["anyOf"] = [{"enum": [f'"{option}"' for option in field.kind.options]}, {"type": types}]
    elif types:
        result["type"] = types
    return result


def _types(kind: Kind) -> set[str]:
    """The JSON types that a value of a kind can be written as, an expression among them; nothing for a kind without bounds."""
    from nnspec.operators import kinds

    match kind:
        case kinds.Flag():
            return {"boolean", "string"}
        case kinds.Integer() | kinds.Size():
            return {"integer", "string"}
        case kinds.Real():
            return {"number", "string"}
        case kinds.Text() | kinds.Choice():
            return {"string"}
        case kinds.Maker():
            return {"object", "string"}
        case kinds.Listing():
            return {"array", "string"}
        case kinds.Repeated():
            return _types(kind.member) | {"array"}
        case kinds.Maybe():
            return _types(kind.inner)
        case kinds.Either():
            return _union([_types(inner) for inner in kind.kinds])
        case _:
            return set()


def _union(sets: Iterable[set[str]]) -> set[str]:
    found = list(sets)
    return set().union(*found) if all(found) else set()


def text() -> str:
    """The schema as it is checked in."""
    import json

    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Write `grammar/nnspec.schema.json`."""
    from nnspec.syntax.table import grammar_file

    path = grammar_file(FILE)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text())
    print(path)


if __name__ == "__main__":
    main()
