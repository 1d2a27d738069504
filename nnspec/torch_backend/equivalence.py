"""Whether two networks compute the same: run on one input, compared node by node."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import reduce
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn

from nnspec.graph.ir import Graph
from nnspec.torch_backend.example_inputs import random_inputs
from nnspec.torch_backend.origins import ORIGIN, VALUE


class Difference(NamedTuple):
    """How far two networks are apart over their outputs.

    `relative` is the largest error divided by the largest magnitude of that output. `first` is the earliest value that both
    compute and that differs beyond the tolerance, with its place in the spec; None where none does.
    """

    absolute: float
    relative: float
    first: str | None = None

    def within(self, relative: float) -> bool:
        """Whether the largest error is at most this share of the output's size. False where a value is not a number."""
        return self.relative <= relative and self.first is None

    def joined(self, other: Difference) -> Difference:
        """The larger of both."""
        return Difference(max(self.absolute, other.absolute), max(self.relative, other.relative), self.first or other.first)

    def told(self) -> str:
        """For people, who cannot know how large the outputs are."""
        if not self.absolute:
            return "equal"
        return f"largest difference {self.absolute:.1e}, {self.relative:.1e} of the largest output"


def compare(
    reference: fx.GraphModule, candidate: nn.Module, inputs: Mapping[str, Tensor], *, tolerance: float = 1e-4
) -> Difference:
    """Run both on the inputs, in inference mode and without gradient, and compare the outputs.

    Where the outputs differ and both were lowered from related graphs, `first` names the first value that differs.
    """
    with _inference(reference), _inference(candidate), torch.no_grad():
        wanted, found = reference(*inputs.values()), candidate(*inputs.values())
        difference = measure(wanted, found)
        if difference.relative > tolerance or difference.relative != difference.relative:
            difference = difference._replace(first=_first_difference(reference, candidate, inputs, tolerance) or "an output")
    return difference


def compare_graphs(graph: Graph, reference: fx.GraphModule, candidate: nn.Module, *, sizes: Mapping[str, int] | None = None,
                   draws: int = 2, tolerance: float = 1e-4) -> Difference:  # fmt: skip
    """`compare` on several random inputs of the graph."""
    device = next((tensor.device for tensor in reference.state_dict().values()), torch.device("cpu"))
    worst = Difference(0.0, 0.0)
    for seed in range(draws):
        inputs = random_inputs(graph, sizes, seed, device=device)
        worst = worst.joined(compare(reference, candidate, inputs, tolerance=tolerance))
    return worst


def worst(differences: Iterable[Difference]) -> Difference:
    """The largest of all."""
    return reduce(Difference.joined, differences, Difference(0.0, 0.0))


def measure(wanted: Any, found: Any) -> Difference:
    """The largest difference between tensors, or dictionaries or tuples of them. Other shapes or types differ infinitely."""
    worst = Difference(0.0, 0.0)
    for left, right in _pairs(wanted, found):
        worst = worst.joined(_distance(left, right))
    return worst


def _pairs(wanted: Any, found: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(wanted, Tensor):
        yield wanted, found
    elif isinstance(wanted, Mapping):
        found = found if isinstance(found, Mapping) else dict(zip(wanted, found, strict=True))
        for name, value in wanted.items():
            yield from _pairs(value, found[name])
    else:
        for left, right in zip(wanted, found, strict=True):
            yield from _pairs(left, right)


def _distance(wanted: Tensor, found: Any) -> Difference:
    if (
        not isinstance(found, Tensor)
        or wanted.shape != found.shape
        or wanted.dtype.is_floating_point != found.dtype.is_floating_point
    ):
        return Difference(float("inf"), float("inf"))
    if wanted.numel() == 0:
        return Difference(0.0, 0.0)
    left, right = wanted.detach().double().cpu(), found.detach().double().cpu()
    same = (left == right) | (left.isnan() & right.isnan())
    gap = torch.where(same, 0.0, (left - right).abs()).nan_to_num(nan=float("inf"), posinf=float("inf"))
    absolute = float(gap.max())
    size = float(left.nan_to_num(0.0, 0.0, 0.0).abs().max())
    return Difference(absolute, absolute / size if size > 0 else absolute)


class _Recorder(fx.Interpreter):
    """Runs a network and keeps the values that stand for values of the typed graph."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.found: dict[Any, tuple[fx.Node, Any]] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if VALUE in n.meta:
            self.found[n.meta[VALUE]] = (n, result.detach().clone() if isinstance(result, Tensor) else result)
        return result


def _first_difference(
    reference: fx.GraphModule, candidate: nn.Module, inputs: Mapping[str, Tensor], tolerance: float
) -> str | None:
    if not isinstance(candidate, fx.GraphModule):
        return None
    left, right = _Recorder(reference), _Recorder(candidate)
    left.run(*inputs.values())
    right.run(*inputs.values())
    for key, (node, value) in left.found.items():
        if key in right.found and isinstance(value, Tensor):
            distance = _distance(value, right.found[key][1])
            if not distance.relative <= tolerance:
                return f"{node.name} ({node.meta[ORIGIN]}): {distance.absolute:.3g}"
    return None


class _inference:  # noqa: N801  (used as `with _inference(module)`)
    """Inference mode for a while."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    def __enter__(self) -> None:
        self.modes = {part: part.training for part in self.module.modules()}
        self.module.eval()

    def __exit__(self, *error: object) -> None:
        for part, mode in self.modes.items():
            part.training = mode


__all__ = ["Difference", "compare", "compare_graphs", "measure", "random_inputs"]
