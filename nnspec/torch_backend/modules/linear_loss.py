"""The cross-entropy of a linear layer's output without that output: scores of some rows at a time, their loss and gradients, and on to the next.

Scores of N rows and V classes are N V numbers, which torch holds several times over (as they are, as logarithms of probabilities, as gradients).
Here each row's gradient is made right after its scores, in the forward pass, and what stays are the gradients of the features and of the matrix.
Source of the idea: Wijmans et al. 2024 (arXiv:2411.09009) and Hsu et al. 2024 (arXiv:2410.10989). Which recipes use it is said by
`nnspec.passes.fuse_linear_loss`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F  # noqa: N812

from nnspec.operators.fused import FEW_SCORES, SCORES_AT_ONCE
from nnspec.torch_backend.modules.losses import spread


class _Options(NamedTuple):
    """How the rows' losses are made and added up. `or_zero`: where no row counts, a mean is 0, and not 0 / 0."""

    ignore_index: int
    reduction: str
    smoothing: float
    or_zero: bool


def linear_cross_entropy(
    input: Tensor, matrix: Tensor, target: Tensor, bias: Tensor | None = None, keep: Tensor | None = None, *,
    weight: tuple[float, ...] | None = None, ignore_index: int = -100, reduction: str = "mean", label_smoothing: float = 0.0,
    always: bool = False,
) -> Tensor:  # fmt: skip
    """The mean or the sum of `cross_entropy(input @ matrix.T + bias, target)`, a single number; gradients can be had once.

    `input` (..., D), `matrix` (V, D), `bias` (V), `target` int64 with as many elements as the input has rows, `weight` a number for each class.
    `keep` is true for what counts; it has the first axes of the target. Scores that need no more than `FEW_SCORES` bytes are made as a whole,
    but for `always`. Raises IndexError for a target that is no class.
    """
    if keep is not None:
        target = torch.where(spread(keep, target), target, torch.full_like(target, ignore_index))
    rows, classes = input.reshape(-1, input.shape[-1]), target.reshape(-1)
    numbers = None if weight is None else _numbers(weight, matrix.dtype, matrix.device)
    options = _Options(ignore_index, reduction, label_smoothing, keep is not None)
    if not always and len(rows) * len(matrix) * _wide(rows.dtype).itemsize <= FEW_SCORES:
        return _whole(rows, matrix, bias, classes, numbers, options)
    wanted = torch.is_grad_enabled() and any(each is not None and each.requires_grad for each in (rows, matrix, bias))
    loss: Tensor = _RowByRow.apply(rows, matrix, bias, classes, numbers, options, wanted)  # type: ignore[no-untyped-call]
    return loss


@lru_cache(maxsize=16)
def _numbers(weight: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Weights of classes as a tensor: made once, for a step that waits for no copy."""
    return torch.tensor(weight, dtype=dtype, device=device)


def _wide(dtype: torch.dtype) -> torch.dtype:
    """What losses are computed in: never less than float32."""
    return torch.promote_types(dtype, torch.float32)


def _whole(
    rows: Tensor, matrix: Tensor, bias: Tensor | None, classes: Tensor, numbers: Tensor | None, options: _Options
) -> Tensor:
    """All scores at once, where they are few."""
    scores = F.linear(rows, matrix, bias)
    numbers = None if numbers is None else numbers.to(scores.dtype)
    reduction = "sum" if options.or_zero else options.reduction
    loss = F.cross_entropy(
        scores, classes, numbers, ignore_index=options.ignore_index, reduction=reduction, label_smoothing=options.smoothing
    )
    if options.or_zero and options.reduction == "mean":
        loss = loss / _counted(classes, numbers, options, loss.dtype)
    return loss


def _counted(classes: Tensor, numbers: Tensor | None, options: _Options, dtype: torch.dtype) -> Tensor:
    """What a mean is divided by: the weights of the targets that count, added up."""
    valid = classes != options.ignore_index
    each = valid.to(dtype) if numbers is None else numbers.to(dtype)[classes.masked_fill(~valid, 0)] * valid
    total = each.sum()
    return torch.where(total > 0, total, torch.ones_like(total)) if options.or_zero else total


class _RowByRow(torch.autograd.Function):
    """Scores (N, V) in pieces of rows, that of a piece in `SCORES_AT_ONCE` bytes.

    Sums are kept at least in float32, also where autocast lets products be computed in 16 bits. Gradients are those of the sum of the rows'
    losses until the backward pass divides them, so that in float16 they are as large as the scaling of gradients makes them elsewhere.
    """

    @staticmethod
    def forward(
        ctx: Any, rows: Tensor, matrix: Tensor, bias: Tensor | None, classes: Tensor, numbers: Tensor | None, options: _Options,
        wanted: bool,
    ) -> Tensor:  # fmt: skip
        low = torch.get_autocast_dtype(rows.device.type) if torch.is_autocast_enabled(rows.device.type) else rows.dtype
        with torch.autocast(rows.device.type, enabled=False):
            _verify(classes, len(matrix), options.ignore_index)
            pieces = _Pieces(rows, matrix, bias, classes, numbers, options, low)
            made = tuple(wanted and ctx.needs_input_grad[place] for place in range(3))
            total = pieces.run(*made)
            divisor = _counted(classes, numbers, options, total.dtype) if options.reduction == "mean" else None
        # where no row counts, torch's mean is not a number, and its gradients are 0
        ctx.divisor = None if divisor is None else torch.where(divisor > 0, divisor, torch.ones_like(divisor))
        ctx.gradients = pieces.gradients
        return total if divisor is None else total / divisor

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        gradients, ctx.gradients = ctx.gradients, None  # given away, so that a weight takes its own without a copy
        if gradients is None:
            raise RuntimeError("the gradients of a fused loss are there for one backward pass")
        factor = gradient if ctx.divisor is None else gradient / ctx.divisor
        return (*(None if each is None else each.mul_(factor) for each in gradients), None, None, None, None)


def _verify(classes: Tensor, count: int, ignored: int) -> None:
    """IndexError as torch raises it; on a GPU, which nothing waits for, its kernels stop by themselves."""
    if classes.device.type == "cpu":
        wrong = ((classes < 0) | (classes >= count)) & (classes != ignored)
        if bool(wrong.any()):
            raise IndexError(f"Target {int(classes[wrong][0])} is out of bounds.")


class _Pieces:
    """The pieces of one loss, and the gradients of rows, matrix and bias that they add up to."""

    gradients: tuple[Tensor | None, Tensor | None, Tensor | None]

    def __init__(
        self, rows: Tensor, matrix: Tensor, bias: Tensor | None, classes: Tensor, numbers: Tensor | None, options: _Options,
        low: torch.dtype,
    ) -> None:  # fmt: skip
        self.rows, self.matrix, self.bias, self.classes, self.options, self.low = rows, matrix, bias, classes, options, low
        self.wide = _wide(rows.dtype)
        self.numbers = None if numbers is None else numbers.to(self.wide)
        self.count = len(matrix)
        self.together = max(1, SCORES_AT_ONCE // (self.count * self.wide.itemsize))

    def run(self, of_rows: bool, of_matrix: bool, of_bias: bool) -> Tensor:
        """The sum of the rows' losses; makes the gradients that are asked for."""
        rows, matrix, bias = self.rows, self.matrix, self.bias
        row_gradient = torch.empty_like(rows) if of_rows else None
        matrix_gradient = torch.zeros_like(matrix, dtype=_wide(matrix.dtype)) if of_matrix else None
        bias_gradient = torch.zeros_like(bias, dtype=self.wide) if of_bias and bias is not None else None
        factor = matrix.to(self.low)
        total = torch.zeros((), dtype=self.wide, device=rows.device)
        for piece, given, scores in self._scored(factor):
            loss = self._loss(scores, self.classes[piece], gradient=of_rows or of_matrix or of_bias)
            total += loss
            low = scores.to(self.low)
            if row_gradient is not None:
                row_gradient[piece] = low @ factor
            if matrix_gradient is not None:
                _add_product(matrix_gradient, low, given)
            if bias_gradient is not None:
                bias_gradient += scores.sum(0)
        bias_gradient = None if bias_gradient is None or bias is None else bias_gradient.to(bias.dtype)
        self.gradients = (row_gradient, None if matrix_gradient is None else matrix_gradient.to(matrix.dtype), bias_gradient)
        return total

    def _scored(self, factor: Tensor) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """Rows from one place to another, what they hold, and the logarithms of the probabilities of all classes."""
        size = (min(self.together, len(self.rows)), self.count)
        products = torch.empty(size, dtype=self.low, device=self.rows.device)
        scores = torch.empty(size, dtype=self.wide, device=self.rows.device)
        for low in range(0, len(self.rows), self.together):
            piece = slice(low, low + self.together)
            given = self.rows[piece].to(self.low)
            product, score = products[: len(given)], scores[: len(given)]
            torch.mm(given, factor.t(), out=product)
            if self.bias is not None:
                product += self.bias.to(self.low)
            torch.log_softmax(product, 1, dtype=self.wide, out=score)
            yield piece, given, score

    def _loss(self, scores: Tensor, classes: Tensor, *, gradient: bool) -> Tensor:
        """The losses of some rows, added up. Their gradients take the place of the scores."""
        valid = classes != self.options.ignore_index
        chosen = classes.masked_fill(~valid, 0).unsqueeze(1)
        counted = valid.to(self.wide)
        own = counted if self.numbers is None else self.numbers[chosen.squeeze(1)] * counted
        own = own * (1 - self.options.smoothing)
        loss = -(scores.gather(1, chosen).squeeze(1) * own).where(valid, 0).sum()
        even = self.options.smoothing / self.count
        share: float | Tensor = 0.0
        if even:
            each = scores.sum(1) if self.numbers is None else scores @ self.numbers
            loss = loss - (each.where(valid, 0) * even).sum()
            share = even * (self.count if self.numbers is None else self.numbers.sum())
        if gradient:
            scores.exp_().mul_((own + counted * share).unsqueeze(1))
            scores.scatter_add_(1, chosen, -own.unsqueeze(1))
            if even:
                scores.addcmul_(
                    counted.unsqueeze(1), (torch.ones_like(scores[0]) if self.numbers is None else self.numbers), value=-even
                )
        return loss


def _add_product(total: Tensor, gradient: Tensor, given: Tensor) -> None:
    """Add the transposed gradient (rows, V) times what was given (rows, D), each piece rounded to 16 bits at most once."""
    if total.dtype == gradient.dtype:
        total.addmm_(gradient.t(), given)
    else:
        total += gradient.t() @ given


__all__ = ["linear_cross_entropy"]
