"""Functions that torch lacks: their values, against loops written by hand, and that torch.export sees through them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from nnspec.operators import OPERATORS
from nnspec.torch_backend import functions
from nnspec.types import TensorType

pytestmark = pytest.mark.torch


def test_heaviside_is_torchs() -> None:
    x = torch.tensor([-2.0, -0.0, 0.0, 3.0, float("nan"), float("inf")])
    for dtype in (torch.float32, torch.float64, torch.float16):
        wanted = torch.heaviside(x.to(dtype), torch.tensor(0.1, dtype=dtype))
        torch.testing.assert_close(functions.heaviside(x.to(dtype), 0.1), wanted, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("left", [7.0, torch.tensor([7.0, -7.5, 0.5])])
@pytest.mark.parametrize("right", [2, 2.5, torch.tensor([2.0, -3.0, 0.25]), torch.tensor([2, -3, 4])])
def test_floor_divide_is_torchs_and_has_a_derivative(left: Any, right: Any) -> None:
    if not isinstance(left, Tensor) and not isinstance(right, Tensor):
        return
    torch.testing.assert_close(functions.floor_divide(left, right), left // right, rtol=0, atol=0)
    x = torch.tensor([3.0, -5.0], requires_grad=True)
    functions.floor_divide(x, 2).sum().backward()
    functions.floor_divide(2.0, x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0.0, 0.0]


def test_masked_mean_is_the_mean_of_what_is_kept() -> None:
    x = torch.randn(3, 4, 2)
    keep = torch.tensor([[True, True, False, False], [True, True, True, True], [False, False, False, False]])
    x[0, 3] = float("nan")  # outside of the mask: it must not matter
    found = functions.masked_mean(x, keep, [1], False)
    torch.testing.assert_close(found[0], x[0, :2].mean(0))
    torch.testing.assert_close(found[1], x[1].mean(0))
    assert found[2].tolist() == [0.0, 0.0]
    assert functions.masked_mean(x, keep, [1], True).shape == (3, 1, 2)


def test_masked_mean_has_clean_gradients() -> None:
    x = torch.tensor([[1.0, float("inf")], [2.0, 3.0]], requires_grad=True)
    keep = torch.tensor([[True, False], [False, False]])
    functions.masked_mean(x, keep, [1], False).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[1.0, 0.0], [0.0, 0.0]]


def test_center_crop_rounds_as_torchvision() -> None:
    """torchvision: `int(round((length - size) / 2.0))`, where Python rounds halves to even."""
    for length in range(1, 14):
        for size in range(1, length + 1):
            first = round((length - size) / 2.0)
            assert functions.center_crop(torch.arange(length), [size]).tolist() == list(range(first, first + size))


def test_center_crop_of_two_sides() -> None:
    image = torch.arange(5 * 7).reshape(1, 5, 7)
    assert torch.equal(functions.center_crop(image, [3, 3]), image[:, 1:4, 2:5])


def test_pick_takes_one_of_each_row() -> None:
    values, index = torch.randn(5, 3), torch.tensor([0, 2, 1, 1, 0])
    assert functions.pick(values, index).tolist() == [values[row, column].item() for row, column in enumerate(index.tolist())]


def test_constant_and_product() -> None:
    assert functions.constant_like(torch.zeros(2, 2), True).tolist() == [[True, True], [True, True]]
    assert functions.prod_keepdim(torch.full((2, 3), 2.0)).tolist() == [[64.0]]


class Wrapped(nn.Module):
    """A function as a module, for torch.export."""

    def __init__(self, function: Any, *settings: Any) -> None:
        super().__init__()
        self.function, self.settings = function, settings

    def forward(self, *tensors: Tensor) -> Tensor:
        made = self.function(*tensors, *self.settings)
        assert isinstance(made, Tensor)
        return made


@pytest.mark.parametrize(
    ("function", "tensors", "settings"),
    [
        (functions.heaviside, [torch.randn(4, 3)], [1]),
        (functions.masked_mean, [torch.randn(4, 3, 2), torch.ones(4, 3, dtype=torch.bool)], [[1], False]),
        (functions.center_crop, [torch.randn(4, 6, 7)], [[3, 3]]),
        (functions.pick, [torch.randn(4, 3), torch.tensor([0, 1, 2, 0])], []),
        (functions.constant_like, [torch.randn(4, 3)], [True]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_exported_with_any_batch(function: Any, tensors: list[Tensor], settings: list[Any]) -> None:
    """One program serves every number of rows, so nothing in the function looks at it."""
    module = Wrapped(function, *settings)
    batch = torch.export.Dim("N", min=2, max=64)
    shapes = (tuple({0: batch} for _ in tensors),)  # one entry: the arguments are variadic
    exported = torch.export.export(module, tuple(tensors), dynamic_shapes=shapes).module()
    larger = [torch.cat([tensor, tensor]) for tensor in tensors]
    torch.testing.assert_close(exported(*larger), module(*larger))


def counted(function: Any, *tensors: Tensor) -> int:
    with FlopCounterMode(display=False) as counter:
        function(*tensors)
    return counter.get_total_flops()


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((3, 4), (4, 5)),
        ((2, 3, 4), (4, 5)),
        ((2, 1, 3, 4), (7, 4, 5)),
        ((4,), (4, 5)),
        ((3, 1, 4), (3, 4, 1)),
        ((6, 2, 3, 4), (6, 2, 4, 5)),
    ],
)
def test_the_work_of_a_matrix_product(left: tuple[int, ...], right: tuple[int, ...]) -> None:
    bound = OPERATORS["matmul"]({"input": TensorType(left), "other": TensorType(right)})
    assert bound.cost().flop == counted(torch.matmul, torch.ones(left), torch.ones(right))


def test_the_work_of_products_with_a_vector() -> None:
    """torch's counter leaves these out; by definition, a multiply and an add for each element of the matrix."""
    for left, right, flop in (((3, 4), (4,), 24), ((4,), (4,), 8), ((2, 3, 4), (4,), 48)):
        assert OPERATORS["matmul"]({"input": TensorType(left), "other": TensorType(right)}).cost().flop == flop
