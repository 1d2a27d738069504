"""Shapes of functions with symbolic sizes: what results, what has to hold, and in which words. Without torch."""

from __future__ import annotations

from typing import Any

import pytest

from nnspec.dims import Dim, Poly, symbol
from nnspec.dims.claims import AllOf, AnyOf, Relation
from nnspec.operators import OPERATORS
from nnspec.operators.declare import AttributeField, Inferred, Obligation, Operator, Refusal
from nnspec.operators.ranges import symbolic_ranges
from nnspec.operators.subscript import Slice
from nnspec.types import TensorType, index

N, T, D, H, W, A, B = (symbol(name) for name in ("N", "T", "D", "H", "W", "A", "B"))


def bound(name: str, *arguments: Any, **named: Any) -> Operator:
    """A call as a spec writes it: fields in their order, or by name."""
    operator = OPERATORS[name]
    fields = operator.fields
    positional = [key for key, field in fields.items() if not getattr(field, "keyword_only", False)]
    given = dict(zip(positional, arguments, strict=False)) | named
    attributes = {key: field for key, field in fields.items() if isinstance(field, AttributeField)}
    settings = {key: field.accept(given[key]) for key, field in attributes.items() if key in given}
    return operator({key: value for key, value in given.items() if key not in settings}, settings)


def inferred(name: str, *arguments: Any, **named: Any) -> Inferred:
    return bound(name, *arguments, **named).infer()


def result(name: str, *arguments: Any, **named: Any) -> TensorType:
    """The result of a call for which nothing has to hold."""
    made = inferred(name, *arguments, **named)
    assert made.obligations == ()
    return next(iter(made.outputs.values()))


def asked(name: str, *arguments: Any, **named: Any) -> tuple[TensorType, Obligation]:
    """The result, and the one thing that has to hold."""
    made = inferred(name, *arguments, **named)
    (obligation,) = made.obligations
    return next(iter(made.outputs.values())), obligation


def refusal(name: str, *arguments: Any, **named: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        inferred(name, *arguments, **named)
    return caught.value


def floats(*dims: Dim) -> TensorType:
    return TensorType(dims)


# --- broadcasting (checker.md A3, case 10) ------------------------------------------------------------------------------


def test_a_size_of_one_gives_way() -> None:
    assert result("add", floats(A, 1), floats(1, B)) == floats(A, B)
    assert result("mul", floats(N, T, D), floats(D)) == floats(N, T, D)
    assert result("sub", floats(N, T), 1) == floats(N, T)


def test_a_symbol_beside_a_number_is_that_number_or_one() -> None:
    made, obligation = asked("add", floats(A), floats(4))
    assert made == floats(4)
    assert isinstance(obligation.claim, AnyOf)
    assert obligation.claim.claims == (Relation(A, "==", 4), Relation(A, "==", 1))


def test_two_symbols_have_to_be_equal() -> None:
    made, obligation = asked("add", floats(N, H), floats(N, 2 * (H // 2)))
    assert obligation.claim == Relation(H, "==", 2 * (H // 2))
    assert made == floats(N, H)
    assert obligation.code == "NN201"


def test_all_wrong_axes_make_one_finding() -> None:
    _, obligation = asked("add", floats(N, 128, 28, 28), floats(N, 64, 56, 56))
    assert isinstance(obligation.claim, AllOf)
    assert obligation.message == "cannot add float32[N, 128, 28, 28] and float32[N, 64, 56, 56]"
    assert obligation.notes[0] == "axis 1: 128 != 64, and neither is 1"
    assert len(obligation.notes) == 3


def test_other_ranks_are_a_matter_of_broadcasting() -> None:
    _, obligation = asked("add", floats(N, 256, 384), floats(196, 384))
    assert obligation.code == "NN202"


# --- reshaping (cases 8 and 9) ------------------------------------------------------------------------------------------


def test_equal_factors_cancel() -> None:
    made, obligation = asked("reshape", floats(N, T, D), [N, T, 12, -1])
    assert made == floats(N, T, 12, D // 12)
    assert obligation.claim == Relation(D % 12, "==", 0)
    assert obligation.code == "NN211"


def test_what_does_not_cancel_stays() -> None:
    _, obligation = asked("reshape", floats(N, T, D), [N, 12, -1])
    assert obligation.claim == Relation((T * D) % 12, "==", 0)
    assert result("reshape", floats(N, T, D), [-1, D]) == floats(N * T, D)
    assert result("reshape", floats(N, 4 * D), [N, D, -1]) == floats(N, D, 4)


def test_a_stated_size_may_not_be_empty() -> None:
    made = inferred("unflatten", floats(N, D), 1, [D // 12, -1])
    assert [str(obligation.claim) for obligation in made.obligations] == ["D//12 >= 1", "D % (D//12) == 0"]


def test_a_residual_product_is_kept_as_it_is() -> None:
    flat = result("flatten", floats(N, 8, H // 2, W // 2), 1)
    assert flat == floats(N, 8 * (H // 2) * (W // 2))
    _, obligation = asked("reshape", flat, [N, 392])
    assert obligation.claim == Relation((H // 2) * (W // 2), "==", 49)


def test_reshapes_that_cannot_be() -> None:
    assert refusal("reshape", floats(N, 6), [-1, -1]).code == "NN211"
    assert refusal("reshape", floats(N, 6), [N, 0, -1]).code == "NN107"
    assert refusal("reshape", floats(2), [4, -1]).code == "NN211"


def test_symbolic_sizes_of_a_reshape_are_not_negative() -> None:
    """With two of them, their product alone does not say so."""
    made = inferred("reshape", floats(N, D), [D - 4, D - 4])
    assert [str(obligation.claim) for obligation in made.obligations] == ["D - 4 >= 1", "D - 4 >= 1", "N*D == D**2 - 8*D + 16"]
    assert [str(obligation.claim) for obligation in inferred("expand", floats(1), [D - 4]).obligations] == ["D - 4 >= 1"]


def test_ranges_of_symbolic_settings() -> None:
    def ranges(name: str, *arguments: Any, **named: Any) -> list[tuple[str, str]]:
        return [(str(obligation.claim), obligation.code) for obligation in symbolic_ranges(bound(name, *arguments, **named))]

    assert ranges("split", floats(N, D), [1, N - 1]) == [("N - 1 >= 1", "NN107")]
    assert ranges("arange", N - 2) == [("N - 2 >= 1", "NN107")]
    assert ranges("split", floats(N, D), [1, 3]) == []
    assert ranges("arange", N + 1) == []


def test_a_step_beyond_a_slice_takes_one() -> None:
    """`x[-3::3]` is at most three long, so one is taken whatever the length."""
    assert result("subscript", floats(N, D), [Slice(), Slice(-3, None, 3)]) == floats(N, 1)
    assert str(result("subscript", floats(N, D), [Slice(), Slice(-3, None, 2)])) == "float32[N, (min(D, 3) + 1)//2]"


def test_heads() -> None:
    made, obligation = asked("unflatten", floats(N, T, D), 2, [12, D // 12])
    assert made == floats(N, T, 12, D // 12)
    assert obligation.claim == Relation(D, "==", 12 * (D // 12))
    assert result("unflatten", floats(N, T, 768), 2, [12, 64]) == floats(N, T, 12, 64)


def test_expanding() -> None:
    assert result("expand", floats(1, 1, 768), [N, 1, 768]) == floats(N, 1, 768)
    made, obligation = asked("expand", floats(A, 3), [5, 3])
    assert made == floats(5, 3)
    assert isinstance(obligation.claim, AnyOf)


def test_squeezing_a_size_that_is_not_one() -> None:
    assert result("squeeze", floats(N, 1), 1) == floats(N)
    _, obligation = asked("squeeze", floats(N, 4), 1)
    assert (obligation.code, obligation.claim) == ("NN201", Relation(4, "==", 1))


# --- parts (cases 13 and 14) --------------------------------------------------------------------------------------------


def test_four_parts_of_four_times_a_width() -> None:
    made = inferred("split", floats(N, 4 * D), 4, dim=1)
    assert made.obligations == ()
    assert list(made.outputs.values()) == [floats(N, D)] * 4


def test_parts_have_to_be_equal() -> None:
    _, obligation = asked("split", floats(N, A + B), 2, dim=1)
    assert (obligation.code, obligation.claim) == ("NN231", Relation((A + B) % 2, "==", 0))
    assert inferred("split", floats(N, 2 * A), 2, dim=1).obligations == ()
    assert asked("chunk", floats(7), 4)[1].code == "NN231"
    assert asked("chunk", floats(4), 3)[1].code == "NN231"


def test_parts_of_given_sizes_add_up() -> None:
    made = inferred("split", floats(N, A + B), [A, B], dim=1)
    assert list(made.outputs.values()) == [floats(N, A), floats(N, B)]
    assert made.obligations == ()
    assert asked("split", floats(N, 5), [2, 2], dim=1)[1].code == "NN201"


def test_concatenated_sizes_add_up() -> None:
    tensors = (floats(N, A, H, W), floats(N, B, 2 * (H // 2), W))
    made, obligation = asked("concat", tensors=tensors, dim=1)
    assert made == floats(N, A + B, H, W)
    assert obligation.claim == Relation(H, "==", 2 * (H // 2))
    assert "axis 2 is H against 2*(H//2)" in obligation.message


def test_a_crop_asks_for_enough() -> None:
    made, obligation = asked("center_crop", floats(N, D, H, W), [H - 4, 8])
    assert made == floats(N, D, H - 4, 8)
    assert obligation.claim == Relation(W, ">=", 8)


# --- subscripts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entries", "wanted"),
    [
        ([slice(None), 0], (N, D)),
        ([slice(None), -1], (N, D)),
        ([slice(None), slice(0, 1)], (N, 1, D)),
        ([..., slice(None, None, 2)], (N, T, (D + 1) // 2)),
        ([..., -1], (N, T)),
        ([0], (T, D)),
        ([None, ...], (1, N, T, D)),
        ([slice(None, N)], (N, T, D)),
        ([slice(None), slice(-1, None)], (N, 1, D)),
    ],
)
def test_subscripts_that_always_fit(entries: list[Any], wanted: tuple[Dim, ...]) -> None:
    assert result("subscript", floats(N, T, D), entries) == floats(*wanted)


def test_a_shift_asks_for_two_places() -> None:
    for entries in ([slice(None), slice(None, -1)], [slice(None), slice(1, None)]):
        made, obligation = asked("subscript", floats(N, T), entries)
        assert made == floats(N, T - 1)
        assert (obligation.code, obligation.claim) == ("NN212", Relation(T - 1, ">=", 1))


def test_an_index_has_to_exist() -> None:
    made, obligation = asked("subscript", floats(N, T), [slice(None), 3])
    assert made == floats(N)
    assert (obligation.code, obligation.claim) == ("NN213", Relation(T - 3, ">=", 1))
    _, obligation = asked("subscript", floats(N, T), [slice(None), -3])
    assert obligation.claim == Relation(T, ">=", 3)
    assert asked("subscript", floats(2), [2])[1].message == "index 2 lies outside of axis 0 of float32[2]"


def test_bounds_beyond_the_end_are_cut() -> None:
    assert result("subscript", floats(5), [slice(0, 10)]) == floats(5)
    made = result("subscript", floats(T), [slice(None, 10)])
    assert isinstance(made.dims[0], Poly)
    assert str(made) == "float32[min(T, 10)]"


def test_empty_slices() -> None:
    assert refusal("subscript", floats(5), [slice(3, 3)]).code == "NN212"
    assert refusal("subscript", floats(5), [slice(None, None, 0)]).code == "NN107"
    assert refusal("subscript", floats(5), [0, 0]).code == "NN203"


# --- indices ------------------------------------------------------------------------------------------------------------


def test_types_of_indices() -> None:
    assert result("argmax", floats(N, D), dim=1) == index(D, (N,))
    assert result("arange", T) == index(T, (T,))
    assert result("zeros_like", index(30522, (N, T))) == index(1, (N, T))
    assert result("full", 1, sizes=[N, 1]) == index(2, (N, 1))
    assert result("one_hot", index(D, (N, T))).dims == (N, T, D)
    assert inferred("topk", floats(N, 8), 2).outputs["indices"] == index(8, (N, 2))
    assert result("remainder", TensorType((N,), "int64"), 7) == index(7, (N,))


def test_what_joins_indices_is_an_index() -> None:
    parts = (index(2, (N, 1)), index(13, (N, T)), index(3, (N, 1)))
    assert result("concat", tensors=parts, dim=1) == index(13, (N, T + 2))
    assert result("where", TensorType((N, T), "bool"), 1, index(13, (N, T))) == index(13, (N, T))
    assert result("add", index(13, (N,)), 1) == index(14, (N,))
    assert result("add", index(13, (N,)), index(13, (N,))).classes is None


def test_indices_out_of_range() -> None:
    _, obligation = asked("pick", floats(N, 4), index(5, (N,)))
    assert (obligation.code, obligation.claim) == ("NN206", Relation(4, ">=", 5))
    _, obligation = asked("take_along_dim", floats(N, D), index(A, (N, 1)), 1)
    assert (obligation.code, obligation.claim) == ("NN206", Relation(D, ">=", A))
    assert refusal("one_hot", TensorType((N,), "int64")).code == "NN104"


# --- reductions and products --------------------------------------------------------------------------------------------


def test_reductions() -> None:
    assert result("sum", floats(N, T, D), [0, 1]) == floats(D)
    assert result("mean", floats(N, T, D), 1, keepdim=True) == floats(N, 1, D)
    assert result("norm", floats(N, D), dim=1) == floats(N)
    assert result("sum", TensorType((N,), "bool")) == TensorType((), "int64")
    assert refusal("sum", floats(N, T), 2).code == "NN213"


def test_a_mean_of_what_is_kept() -> None:
    keep = TensorType((N, T), "bool")
    assert result("mean", floats(N, T, D), 1, keep=keep) == floats(N, D)
    assert refusal("mean", floats(N, T, D), 2, keep=keep).code == "NN203"
    _, obligation = asked("mean", floats(N, T, D), 1, keep=TensorType((N, A), "bool"))
    assert obligation.code == "NN201"


def test_matrix_products() -> None:
    product = bound("matmul", floats(N, T, D), floats(D, 50257))
    assert product.infer() == Inferred({"output": floats(N, T, 50257)})
    assert product.cost().flop == 2 * 50257 * N * T * D
    _, obligation = asked("matmul", floats(N, A), floats(B, 3))
    assert obligation.message == "cannot multiply float32[N, A] by float32[B, 3]: A columns against B rows"


def test_einsum() -> None:
    """Case 17: axes of one letter are equal, and never broadcast."""
    made, obligation = asked("einsum", "bik,bkj->bij", operands=(floats(N, A, 1), floats(N, 5, B)))
    assert made == floats(N, A, B)
    assert (obligation.code, obligation.claim) == ("NN201", Relation(1, "==", 5))
    assert refusal("einsum", "i,j->ii", operands=(floats(2), floats(2))).code == "NN106"
    _, obligation = asked("einsum", "ii->i", operands=(floats(A, B),))
    assert obligation.claim == Relation(A, "==", B)
    assert bound("einsum", "bik,bkj->bij", operands=(floats(N, A, D), floats(N, D, B))).cost().flop == 2 * N * A * B * D
    assert refusal("einsum", "ij->ji", operands=(floats(2, 2, 2),)).code == "NN203"
    assert refusal("einsum", "ij,jk", operands=(floats(2, 2),)).code == "NN114"
    assert refusal("einsum", "i1", operands=(floats(2, 2),)).code == "NN106"


def test_constants_without_sizes_fill_weights() -> None:
    assert refusal("zeros").code == "NN115"
    assert refusal("full", 0.5, sizes=[2], dtype="int64").code == "NN204"
    assert refusal("add", 1, 2).code == "NN114"
