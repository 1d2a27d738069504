"""What every operator's declaration has to have, whatever it does. No torch."""

from __future__ import annotations

import subprocess
import sys

import pytest

from nnspec.operators import FAMILIES, OPERATORS
from nnspec.operators.declare import DOMAINS, AttributeField, Operator, TensorField
from nnspec.operators.kinds import Refusal

NAMES = sorted(OPERATORS)


@pytest.mark.parametrize("name", NAMES)
def test_is_documented(name: str) -> None:
    operator = OPERATORS[name]
    text = operator.__dict__.get("__doc__") or ""
    assert text.strip(), f"{name} has no docstring of its own"
    assert text.strip().split("\n\n")[0].rstrip(")").endswith("."), f"the first paragraph of {name} is not a sentence"
    assert not [field for field in operator.fields.values() if not field.doc], f"a field of {name} has no `doc`"


@pytest.mark.parametrize("name", NAMES)
def test_has_a_source_or_a_torch_name(name: str) -> None:
    operator = OPERATORS[name]
    assert operator.source or operator.lower is not Operator.lower, f"{name} cites nothing and is not lowered"
    assert operator.family in FAMILIES, f"{name} is declared in {operator.family}, which is not a family"


@pytest.mark.parametrize("name", NAMES)
def test_weights_only_under_capitalised_names(name: str) -> None:
    """Capitalised: has weights or state, or is a module; lower-case: a function of its arguments."""
    operator = OPERATORS[name]
    assert name.isidentifier()
    if not name[0].isupper():
        assert operator.weights is Operator.weights, f"the function {name} has weights"


@pytest.mark.parametrize("name", NAMES)
def test_fields_can_be_bound(name: str) -> None:
    operator = OPERATORS[name]
    variadic = [field.name for field in operator.tensor_fields().values() if field.variadic]
    assert len(variadic) <= 1, f"{name} is variadic twice"
    for key, field in operator.fields.items():
        assert field.name == key
        assert not callable(getattr(Operator, key, None)), f"`{key}` of {name} hides a method of Operator"
        if isinstance(field, TensorField):
            assert field.dtype in DOMAINS, f"`{key}` of {name}: no domain {field.dtype}"
        else:
            assert isinstance(field, AttributeField)


@pytest.mark.parametrize("name", NAMES)
def test_defaults_are_accepted_as_they_are(name: str) -> None:
    """A default is in range, and already what `accept` gives."""
    for key, field in OPERATORS[name].attribute_fields().items():
        if field.required:
            continue
        try:
            accepted = field.accept(field.default)
        except Refusal as refusal:
            raise AssertionError(f"the default of `{key}` of {name} is refused: {refusal.message}") from refusal
        assert accepted == field.default, f"`{key}` of {name}: {field.default!r} becomes {accepted!r}"
        assert type(accepted) is type(field.default) or isinstance(accepted, int | float)


@pytest.mark.parametrize("name", NAMES)
def test_required_fields_come_first(name: str) -> None:
    """By position, nothing required stands behind something optional of its own sort."""
    operator = OPERATORS[name]
    for fields in (operator.tensor_fields(), operator.attribute_fields()):
        positional = [field for field in fields.values() if not getattr(field, "keyword_only", False)]
        required = [field.required for field in positional]
        assert required == sorted(required, reverse=True), f"{name}: {[field.name for field in positional]}"


def test_the_table_is_torch_free() -> None:
    program = "import sys, nnspec.operators; sys.exit(any(name in sys.modules for name in ('torch', 'numpy', 'sympy')))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
