"""Element types of results against torch: every pair of types, with tensors that have axes, that have none, and with numbers.

The oracle does not look at cases that are refused for their element type; here these refusals are held against torch.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch

from nnspec.operators import OPERATORS
from nnspec.operators.declare import DOMAINS, Operator, Ref, Refusal
from nnspec.operators.promotion import dtype_of, result_type
from nnspec.torch_backend.targets import resolve
from nnspec.types import DTYPES, TensorType

pytestmark = pytest.mark.torch

NUMBERS: tuple[Any, ...] = (True, 2, 0.5)


def operands() -> list[Any]:
    return [*(TensorType(dims, dtype) for dtype in DTYPES for dims in ((2,), ())), *NUMBERS]


def in_torch(operand: Any) -> Any:
    return torch.ones(operand.dims, dtype=getattr(torch, operand.dtype)) if isinstance(operand, TensorType) else operand


def name_of(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def ours(operator: type[Operator], tensors: dict[str, Any], attributes: dict[str, Any] | None = None) -> tuple[str, Any]:
    """The element type that we infer, or "refused"; and what torch gives for our lowering, or "refused"."""
    fields = operator.attribute_fields()
    bound = operator(tensors, {name: fields[name].accept(value) for name, value in (attributes or {}).items()})
    try:
        for name, field in operator.tensor_fields().items():
            if isinstance(tensors.get(name), TensorType) and tensors[name].dtype not in DOMAINS[field.dtype]:
                raise Refusal("NN204", name)
        said = bound.infer().outputs
        inferred = next(iter(said.values())).dtype
    except Refusal:
        inferred = "refused"
    call = bound.lower()
    args = [in_torch(tensors[arg.field]) if isinstance(arg, Ref) else arg for arg in call.args]
    try:
        made = resolve(call.target)(*args, **call.kwargs) if call.kind == "function" else getattr(args[0], call.target)(*args[1:])
    except (RuntimeError, TypeError, NotImplementedError, ZeroDivisionError):
        return inferred, "refused"
    return inferred, name_of((made[0] if isinstance(made, tuple) else made).dtype)


def test_promotion_is_that_of_torch() -> None:
    for left, right in product(operands(), repeat=2):
        if not isinstance(left, TensorType) and not isinstance(right, TensorType):
            continue
        if {dtype_of(left), dtype_of(right)} == {"float16", "complex64"}:
            continue
        wanted = name_of(torch.result_type(in_torch(left), in_torch(right)))
        if wanted not in DTYPES:  # complex128
            continue
        assert result_type(left, right) == wanted, f"{left} and {right}"


BINARY = ("add", "sub", "mul", "div", "floor_divide", "remainder", "maximum", "minimum", "eq", "ne", "lt", "le", "gt", "ge",
          "logical_and", "logical_or", "pow")  # fmt: skip


@pytest.mark.parametrize("name", BINARY)
def test_binary_refuses_what_torch_refuses(name: str) -> None:
    for left, right in product(operands(), repeat=2):
        if not isinstance(left, TensorType) and not isinstance(right, TensorType):
            continue
        if name in ("pow", "maximum", "minimum") and (isinstance(left, bool) or isinstance(right, bool)):
            continue  # true is no exponent and no bound here, whatever torch makes of it
        if {dtype_of(left), dtype_of(right)} == {"float16", "complex64"}:
            continue  # half-precision complex numbers, which torch has in parts
        inferred, made = ours(OPERATORS[name], {"input": left, "other": right})
        made = "refused" if made == "complex128" else made  # which the language does not have
        assert inferred == made, f"{name} of {left} and {right}: torch gives {made}, we say {inferred}"


#: Functions of one tensor, with what torch takes beside it.
SINGLE: dict[str, dict[str, Any]] = {
    "clamp": {"min": 0}, "logsumexp": {"dim": 0}, "cumsum": {"dim": 0}, "topk": {"k": 1},
    **{
        name: {}
        for name in (
            "neg", "abs", "sign", "square", "exp", "log", "log1p", "sqrt", "rsqrt", "sin", "cos", "erf", "reciprocal", "floor",
            "ceil", "round", "isnan", "logical_not", "sum", "prod", "mean", "amax", "amin", "std", "var", "norm", "all", "any",
            "argmax", "argmin", "sort", "argsort", "median",
        )
    },
}  # fmt: skip


@pytest.mark.parametrize("name", SINGLE)
def test_functions_of_one_tensor_refuse_what_torch_refuses(name: str) -> None:
    for dtype in DTYPES:
        inferred, made = ours(OPERATORS[name], {"input": TensorType((2, 3), dtype)}, SINGLE[name])
        assert inferred == made, f"{name} of {dtype}: torch gives {made}, we say {inferred}"


def test_products_take_one_element_type() -> None:
    for left, right in product(DTYPES, repeat=2):
        inferred, made = ours(OPERATORS["matmul"], {"input": TensorType((2, 2), left), "other": TensorType((2, 2), right)})
        assert inferred == made, f"matmul of {left} and {right}: torch gives {made}, we say {inferred}"


PAIRS = (
    "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits", "dice_loss",
    "cross_entropy", "kl_div", "cosine_similarity",
)  # fmt: skip
FLOATS = ("float32", "float64")


@pytest.mark.parametrize("name", PAIRS)
def test_losses_of_two_element_types(name: str) -> None:
    operator = OPERATORS[name]
    first, second = (key for key, field in operator.tensor_fields().items() if field.required)
    settings = {"reduction": "sum"} if "reduction" in operator.fields else {}
    for left, right in product(FLOATS, repeat=2):
        inferred, made = ours(operator, {first: TensorType((2, 3), left), second: TensorType((2, 3), right)}, settings)
        assert inferred == made, f"{name} of {left} and {right}: torch gives {made}, we say {inferred}"


@pytest.mark.parametrize("name", ["gaussian_nll_loss", "triplet_margin_loss", "scaled_dot_product_attention"])
def test_functions_of_three_tensors(name: str) -> None:
    operator = OPERATORS[name]
    fields = [key for key, field in operator.tensor_fields().items() if field.required]
    for dtypes in product(FLOATS, repeat=3):
        inferred, made = ours(operator, dict(zip(fields, (TensorType((2, 3), dtype) for dtype in dtypes), strict=True)))
        assert inferred == made, f"{name} of {dtypes}: torch gives {made}, we say {inferred}"


def test_masks_of_attention() -> None:
    for mask, dtype in product(("bool", "float32", "float64"), FLOATS):
        types = {name: TensorType((2, 3), dtype) for name in ("query", "key", "value")}
        call = OPERATORS["scaled_dot_product_attention"](types | {"attn_mask": TensorType((2, 2), mask)}, {})
        tensors = [in_torch(type) for type in types.values()]
        try:
            torch.nn.functional.scaled_dot_product_attention(*tensors, in_torch(TensorType((2, 2), mask)))
        except RuntimeError:
            with pytest.raises(Refusal):
                call.infer()
        else:
            assert call.infer().outputs["output"].dtype == dtype


@pytest.mark.parametrize("name", ["CrossAttention", "MultiheadAttention"])
def test_attention_takes_one_element_type(name: str) -> None:
    operator = OPERATORS[name]
    fields = [key for key, field in operator.tensor_fields().items() if field.required]
    heads = {"heads" if name == "CrossAttention" else "num_heads": 1}
    types = {key: TensorType((2, 3, 4), "float64") for key in fields}
    assert next(iter(operator(types, heads).infer().outputs.values())).dtype == "float64"
    for key in fields:
        with pytest.raises(Refusal, match="one element type"):
            operator(types | {key: TensorType((2, 3, 4))}, heads).infer()


def test_every_function_is_here_or_has_one_type() -> None:
    """The table above leaves out no operator with a single tensor that may be of any number type."""
    for name, cls in OPERATORS.items():
        if cls.family in ("elementwise", "reduction", "ordering"):
            assert name in SINGLE or name in ("heaviside", "float32", "float64", "int64", "bool"), name
