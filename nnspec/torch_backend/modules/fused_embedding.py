"""Embeddings, their sum and a norm under the embedding's own weights: one kernel on CUDA. N samples, T steps, D features, V rows of a table.

Whenever a gradient is wanted, while something traces or exports it, on other devices and in other element types, the same is computed by
torch's ordinary functions; so it is where Triton is not installed, and where its kernel was measured to be slower at that size.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from functools import cache
from importlib.util import find_spec
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from nnspec.torch_backend.modules.kernel_choice import KernelChoice, Result
from nnspec.torch_backend.modules.positions import sinusoids

_is_compiling = torch.compiler.is_compiling
_is_traced: Callable[[], bool] = torch.jit.is_tracing  # type: ignore[attr-defined]
#: What the kernel computes in; its sums are in float32.
_ELEMENTS = (torch.float32, torch.bfloat16, torch.float16)
_INDICES = (torch.int64, torch.int32)
#: Devices on which the kernel runs.
DEVICES = frozenset({"cuda"})
#: Which kernel is faster at which size, for all layers of this process.
CHOICE = KernelChoice()


@cache
def has_triton() -> bool:
    """Whether triton is installed. It is not imported here."""
    try:
        return find_spec("triton") is not None
    except ValueError:  # what stands under the name was put there by hand
        return False


class _Part(NamedTuple):
    """A summand of the kernel: a table (..., D) with the indices of its rows, or one whose rows follow one another."""

    table: Tensor
    indices: Tensor | None = None

    @property
    def sizes(self) -> list[int]:
        """The axes that the rows stand in, without those of size 1 in front."""
        found = list(self.table.shape[:-1] if self.indices is None else self.indices.shape)
        while found and found[0] == 1:
            del found[0]
        return found


class FusedEmbedding(nn.Embedding):
    """`nn.Embedding`, times `scale`, plus the `terms` (`nnspec.operators.fused.Term`), then the norm: (..., D), or a pair with the sum.

    `forward` reads besides the tokens what its terms and its norm read, by name: `table_0`, `indices_0`, `norm_weight`, ...
    """

    #: "measured": the faster one where both can; else "torch", or "triton" wherever it can.
    kernel: str
    #: Fixed sinusoids for the longest sequence so far.
    _waves: Tensor | None

    def __init__(
        self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None, *, terms: Sequence[Sequence[Any]],
        scale: float | None = None, norm: str | None = None, eps: float | None = None, keeps_sum: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(num_embeddings, embedding_dim, padding_idx)
        self.terms, self.scale, self.norm, self.eps = [tuple(term) for term in terms], scale, norm, eps
        self.keeps_sum = keeps_sum or norm is None
        self.kernel = "measured"
        self._padding = -1 if self.padding_idx is None else self.padding_idx
        self._features = [embedding_dim]
        self._waves = None

    def forward(self, tokens: Tensor, **read: Tensor) -> Result:  # type: ignore[override]  # it reads more than indices
        # A tensor of another class stands for something else: while it is traced, torch's functions have to be seen.
        if type(tokens) is not Tensor or _is_compiling() or _is_traced():
            return self._by_torch(tokens, read, plain=True)
        if self.kernel == "torch" or ("cpu" if tokens.is_cpu else tokens.device.type) not in DEVICES:
            return self._by_torch(tokens, read)
        parts = self._parts(tokens, read)
        key = self._key(tokens, parts, read)
        if key is None:
            return self._by_torch(tokens, read)
        if self.kernel == "triton":
            return self._by_triton(tokens, parts, read)
        known = key in CHOICE.chosen
        if not known and _is_capturing(tokens):  # nothing can be timed then
            return self._by_torch(tokens, read)
        kernels = {"torch": lambda: self._by_torch(tokens, read), "triton": lambda: self._by_triton(tokens, parts, read)}
        with nullcontext() if known or not tokens.is_cuda else torch.cuda.device(tokens.device):
            return CHOICE.run(key, kernels)

    def _value(self, place: int, tokens: Tensor, read: Mapping[str, Tensor], plain: bool) -> Tensor:
        """The summand at this place among the terms, by torch."""
        kind, setting = self.terms[place]
        if kind == "places":
            return read[f"table_{place}"][: tokens.shape[-1]]
        if kind == "rows":
            return F.embedding(read[f"indices_{place}"], read[f"table_{place}"], setting)
        return read[f"tensor_{place}"] if kind == "tensor" else self._sinusoids(tokens.shape[-1], setting, plain)

    def _parts(self, tokens: Tensor, read: Mapping[str, Tensor]) -> list[_Part]:
        """The summands besides the embedding, for the kernel."""
        return [
            _Part(read[f"table_{place}"], read[f"indices_{place}"]) if kind == "rows"
            else _Part(self._value(place, tokens, read, plain=False))
            for place, (kind, _) in enumerate(self.terms)
        ]  # fmt: skip

    def _sinusoids(self, steps: int, theta: float, plain: bool) -> Tensor:
        """(T, D), kept for the longest sequence: sines take longer than all else here."""
        weight, width = self.weight, self.embedding_dim
        if plain:
            return sinusoids(steps, width, theta, weight.device).to(weight.dtype)
        kept = self._waves
        if kept is None or kept.shape[0] < steps or kept.device != weight.device or kept.dtype != weight.dtype:
            with torch.inference_mode(False), torch.no_grad():  # it may meet gradients later
                kept = self._waves = sinusoids(1 << (steps - 1).bit_length(), width, theta, weight.device).to(weight.dtype)
        return kept[:steps]

    def _by_torch(self, tokens: Tensor, read: Mapping[str, Tensor], plain: bool = False) -> Result:
        y = torch.embedding(self.weight, tokens, self._padding)
        # Without gradients the rows are this call's own, and nobody sees them change.
        within = not plain and not self._wants_gradient(read)
        if self.scale is not None:
            y = y.mul_(self.scale) if within else y * self.scale
        for place in range(len(self.terms)):
            value = self._value(place, tokens, read, plain)
            y = y.add_(value) if within and value.dtype == y.dtype else y + value
        if self.norm is None:
            return y
        weight, bias = read.get("norm_weight"), read.get("norm_bias")
        if self.norm == "rms_norm":
            normed = F.rms_norm(y, self._features, weight, self.eps)
        else:
            normed = F.layer_norm(y, self._features, weight, bias, self.eps or 0.0)
        return (normed, y) if self.keeps_sum else normed

    def _by_triton(self, tokens: Tensor, parts: Iterable[_Part], read: Mapping[str, Tensor]) -> Result:
        from nnspec.torch_backend.modules.embedding_kernel import Norm, Summand, embed

        summands = [Summand(self.weight, tokens.contiguous())]
        summands += [Summand(part.table, None if part.indices is None else part.indices.contiguous()) for part in parts]
        norm = None
        if self.norm is not None:
            eps = torch.finfo(self.weight.dtype).eps if self.eps is None else self.eps
            norm = Norm("rms" if self.norm == "rms_norm" else "layer", eps, read.get("norm_weight"), read.get("norm_bias"))
        scale = 1.0 if self.scale is None else self.scale
        sums, normed = embed(summands, (*tokens.shape, self.embedding_dim), scale=scale, norm=norm, keep_sum=self.keeps_sum)
        if sums is None or normed is None:
            (only,) = (each for each in (sums, normed) if each is not None)
            return only
        return normed, sums

    def _wants_gradient(self, read: Mapping[str, Tensor]) -> bool:
        return torch.is_grad_enabled() and (self.weight.requires_grad or any(each.requires_grad for each in read.values()))

    def _key(self, tokens: Tensor, parts: Sequence[_Part], read: Mapping[str, Tensor]) -> Hashable | None:
        """What the choice of a kernel depends on: rows up to the next power of two; None where Triton's cannot do this call."""
        weight, axes = self.weight, list(tokens.shape)
        floats = [weight, *(part.table for part in parts), *(read[name] for name in ("norm_weight", "norm_bias") if name in read)]
        indices = [tokens, *(part.indices for part in parts if part.indices is not None)]
        can = (
            tokens.numel() > 0
            and weight.dtype in _ELEMENTS
            and all(each.dtype == weight.dtype and each.device == weight.device and each.is_contiguous() for each in floats)
            and all(each.dtype in _INDICES and each.device == weight.device for each in indices)
            and all(part.sizes == axes[len(axes) - len(part.sizes) :] for part in parts)
            and not self._wants_gradient(read)
            and not torch.is_autocast_enabled(tokens.device.type)
            and has_triton()
        )
        if not can:
            return None
        kinds = tuple(kind for kind, _ in self.terms)
        size = ((tokens.numel() - 1).bit_length(), self.embedding_dim, self.num_embeddings)
        return ("embedding", str(weight.device), weight.dtype, *size, kinds, self.norm, self.keeps_sum)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_waves": None}


def _is_capturing(tokens: Tensor) -> bool:
    """Whether what runs now is recorded as a graph of CUDA."""
    return tokens.is_cuda and torch.cuda.is_current_stream_capturing()
