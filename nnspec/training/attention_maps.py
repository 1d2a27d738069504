"""A picture of what looks at what: the weights of every attention layer and head of a network, for one sample.

The layers compute without ever having these weights as a tensor, so they are computed beside them while a sample passes through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from textwrap import fill
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.overrides import TorchFunctionMode

from nnspec.data import Dataset
from nnspec.operators.families import FAMILIES
from nnspec.passes.reading import nodes_within
from nnspec.recipes.recipe import Recipe
from nnspec.reporting.canvas import DPI, empty_figure
from nnspec.torch_backend.recipes import RecipeModule
from nnspec.training.batches import part_batch
from nnspec.training.measure import Place, schedules

#: At most so many layers, spread from the first to the last, and so many heads.
_LAYERS, _HEADS = 6, 8
_SIDE, _WIDE = 1.7, 24
#: From so few to so many steps, each is named by its token. Among so many samples, one is looked for that can be named.
_SHORTEST, _NAMED, _LOOKED_AT = 4, 24, 64


class AttentionMap(NamedTuple):
    """The weights of a layer, (H, T, S): each of T steps looks at S steps, with weights that sum to one."""

    layer: str
    weights: Tensor


class _Watch(TorchFunctionMode):
    """Sees every attention that is computed, whichever layer asks for it."""

    def __init__(self, seen: Callable[[Tensor], None]) -> None:
        super().__init__()
        self._seen = seen

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        settings = dict(kwargs or {})
        if func is F.scaled_dot_product_attention:
            self._seen(attention_weights(*args, **settings))
        elif func is F.multi_head_attention_forward:
            wanted, averaged = settings.get("need_weights", True), settings.get("average_attn_weights", True)
            heads: Tensor | None
            output, heads = func(*args, **{**settings, "need_weights": True, "average_attn_weights": False})
            assert heads is not None
            self._seen(heads)
            asked = heads.mean(dim=1) if averaged else heads
            return output, asked if wanted else None
        return func(*args, **settings)


def attention_weights(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, dropout_p: float = 0.0,
    is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False,
) -> Tensor:  # fmt: skip
    """The weights (N, H, T, S) that scaled_dot_product_attention mixes the values (N, H, S, V) by, of queries (N, H, T, E) and keys
    (N, H, S, E), without dropout."""
    if enable_gqa:
        key = key.repeat_interleave(query.shape[-3] // key.shape[-3], dim=-3)
    scores = query @ key.transpose(-2, -1) * (query.shape[-1] ** -0.5 if scale is None else scale)
    if is_causal:
        attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if attn_mask is not None:
        scores = scores.masked_fill(~attn_mask, -torch.inf) if attn_mask.dtype == torch.bool else scores + attn_mask
    return scores.softmax(dim=-1).nan_to_num(0.0)


@contextmanager
def watched(module: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Collects by layer the weights (N, H, T, S) of the last time that it was computed. A function is named after the module around it."""
    found: dict[str, Tensor] = {}
    inside: list[str] = []
    hooks = []
    for path, part in module.named_modules():
        name = path.split("instances.", 1)[-1]
        hooks += [
            part.register_forward_pre_hook(lambda *_, name=name: inside.append(name)),
            part.register_forward_hook(lambda *_: _left(inside), always_call=True),
        ]

    def seen(weights: Tensor) -> None:
        if weights.dim() == 4:
            found[inside[-1] if inside else ""] = weights.detach()

    try:
        with _Watch(seen):
            yield found
    finally:
        for hook in hooks:
            hook.remove()


def _left(inside: list[str]) -> None:
    inside.pop()


def maps_of(recipe: Recipe, module: RecipeModule, batch: Mapping[str, Tensor], device: torch.device) -> list[AttentionMap]:
    """What the attention layers look at while a batch is evaluated, of its first sample, in the order of the network."""
    was_training = module.training
    module.eval()
    with (
        torch.no_grad(),
        torch.random.fork_rng(devices=[device] if device.type == "cuda" else []),
        watched(module.evaluation_graph) as found,
    ):
        module.compute_evaluation({**batch, **schedules(recipe, Place(), device)})
    module.train(was_training)
    return [AttentionMap(layer, weights[0].float().cpu()) for layer, weights in found.items()]


def attends(recipe: Recipe) -> bool:
    """Whether a network of the recipe has attention layers that give a map."""
    graphs = [graph for instance in recipe.instances.values() for graph in instance.variants.values()]
    return any(node.operator.name in FAMILIES["attention"] for graph in graphs for node in nodes_within(graph))


def draw_attention(path: Path, recipe: Recipe, module: RecipeModule, datasets: Mapping[str, Dataset], part: str,
                   device: torch.device) -> Path | None:  # fmt: skip
    """Draw the maps of a sample of a part, the first short enough to be read; None where no network attends or matplotlib is missing."""
    if not attends(recipe):
        return None
    sample, batch = _readable(datasets, part, device)
    maps = _some(maps_of(recipe, module, batch, device), _LAYERS)
    if not maps:
        return None
    columns = max(min(len(each.weights), _HEADS) for each in maps)
    figure = empty_figure(columns * _SIDE + 0.8, len(maps) * _SIDE + 0.7)
    if figure is None:
        return None
    names = list(_token_names(datasets, batch))
    for row, (layer, heads) in enumerate(maps):
        for column, weights in enumerate(heads[:_HEADS]):
            axes = figure.add_subplot(len(maps), columns, row * columns + column + 1)
            axes.imshow(weights.numpy(), cmap="magma", vmin=0, interpolation="nearest", aspect="auto")
            _name(axes.set_xticks, weights.shape[1], names, rotation=90)
            _name(axes.set_yticks, weights.shape[0], names if column == 0 else [])
            if column == 0:
                axes.set_ylabel(_in_lines(layer), fontsize=6)
            if row == 0:
                axes.set_title(f"head {column}", fontsize=8)
    figure.suptitle(
        f"{recipe.name}, {part}, sample {sample}: each row looks at the bright columns", fontsize=9, fontweight="bold"
    )
    figure.savefig(path, dpi=DPI)
    return path


def _some(maps: list[AttentionMap], most: int) -> list[AttentionMap]:
    """Not more than so many, the first and the last among them."""
    if len(maps) <= most:
        return maps
    return [maps[round(number * (len(maps) - 1) / (most - 1))] for number in range(most)]


def _readable(datasets: Mapping[str, Dataset], part: str, device: torch.device) -> tuple[int, Mapping[str, Tensor]]:
    """The number of a sample, and the batch of it alone: the first whose steps can all be named, or the very first."""
    size = min(next(iter(datasets.values())).size(part), _LOOKED_AT)
    for sample in range(size):
        batch = part_batch(datasets, part, sample, sample + 1, device)
        if all(_SHORTEST <= len(each) <= _NAMED for each in _token_names(datasets, batch)):
            return sample, batch
    return 0, part_batch(datasets, part, 0, 1, device)


def _token_names(datasets: Mapping[str, Dataset], batch: Mapping[str, Tensor]) -> Iterator[list[str]]:
    """What the steps of the only sample are called, for every field of indices (1, T): tokens of the source's vocabulary, or numbers."""
    for key, field in batch.items():
        source = datasets.get(key.partition(".")[0])
        if source is None or field.dim() != 2 or field.is_floating_point() or field.dtype == torch.bool:
            continue
        vocabularies = list(source.vocabularies.values())
        named = vocabularies[0] if len(vocabularies) == 1 else None
        yield [str(place) if named is None else named.decode([place]) or named.tokens[place] for place in field[0].tolist()]


def _name(set_ticks: Callable[..., Any], size: int, names: Iterable[list[str]], **how: Any) -> None:
    found = next((each for each in names if len(each) == size), None) if size <= _NAMED else None
    if found is None:
        set_ticks([])
    else:
        set_ticks(range(size), [_visible(each) for each in found], fontsize=5, **how)


def _in_lines(layer: str) -> str:
    """A path beside its maps, in lines of about their height."""
    named = layer.removesuffix(".scaled_dot_product_attention").replace(".", ". ")
    return fill(named, _WIDE).replace(". ", ".")


def _visible(token: str) -> str:
    return token.replace(" ", "␣").replace("\n", "⏎").replace("$", r"\$")
