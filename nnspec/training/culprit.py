"""Which layer gives NaN or infinity: a batch is run once more through the graphs of a recipe, node by node, and each result is looked at.

Not here: when that is wanted (`nnspec.training.divergence`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx, nn

from nnspec.recipes.recipe import Recipe
from nnspec.torch_backend.origins import ORIGIN, Origin
from nnspec.torch_backend.recipes import InstanceModule, RecipeModule
from nnspec.torch_backend.scan import ScanModule
from nnspec.training.divergence import NotFinite
from nnspec.training.precision import autocast

_SHOWN_CHARACTERS = 40


def explained(found: NotFinite, recipe: Recipe, module: RecipeModule, device: torch.device, step: int) -> str:
    """What is not finite first, as a clause: "`fc1` (Linear, line 5) gives NaN for the batch of step 7". Statistics and the random state are as
    before.

    It is looked for in the weights, in the batch, in what the nodes give, and, for a gradient, in what they hand back.
    """
    since = f"the update of step {step - 1:,}" if found.batch is not None and step > 1 else "an update before"
    said = _weight(recipe, module, since)
    if said or found.batch is None:
        return said
    of_step = f"the batch of step {step:,}"
    said = _field(recipe, found.batch)
    if said:
        return f"{said} in {of_step}"
    try:
        trail = _run_again(found, recipe, module, device)
    except Exception as error:  # whatever it is, the first error is the one to tell
        return f"which layer gives it could not be found ({type(error).__name__}: {error})"
    said = trail.verdict(found.kind, recipe)
    return f"{said} for {of_step}" if said else f"run once more, {of_step} gives finite numbers"


def state_of(tensor: Tensor) -> str:
    """ "NaN", "inf", "-inf", or "" for a tensor that is finite."""
    if not (tensor.is_floating_point() or tensor.is_complex()):
        return ""
    tensor = tensor.detach()
    if bool(torch.isfinite(tensor).all()):
        return ""
    if bool(torch.isnan(tensor).any()):
        return "NaN"
    return "inf" if tensor.is_complex() or bool(torch.isposinf(tensor).any()) else "-inf"


def _weight(recipe: Recipe, module: RecipeModule, since: str) -> str:
    for name, instance in module.instances.items():
        for path, parameter in instance.named_parameters():
            state = state_of(parameter)
            if state:
                weights = {key: each for graph in recipe.instances[name].variants.values() for key, each in graph.weights.items()}
                entry = weights.get(path)
                where = f" ({entry.operator}, {_line(entry.span.source.path, entry.span.line, recipe)})" if entry else ""
                prefix = f"{name}." if len(module.instances) > 1 else ""
                return f"the weight `{prefix}{path}`{where} holds {state} since {since}"
    return ""


def _field(recipe: Recipe, batch: Mapping[str, Tensor]) -> str:
    for name, tensor in batch.items():
        if state_of(tensor) != "NaN":
            continue
        what = ""
        if tensor.dim():
            what = f", {int(torch.isnan(tensor).reshape(len(tensor), -1).any(dim=1).sum())} of {len(tensor)} samples,"
        source = recipe.sources.get(name.partition(".")[0])
        where = f" ({_line(source.span.source.path, source.span.line, recipe)})" if source is not None else ""
        return f"`{name}`{where} holds NaN{what}"
    return ""


def _line(path: str, line: int, recipe: Recipe) -> str:
    return f"line {line}" if path == recipe.span.source.path else f"{path}:{line}"


# --- node by node -----------------------------------------------------------------------------------------------------------------


@dataclass
class _Result:
    """What a node gave: `state` of it, and whether something that it read was not finite either."""

    node: fx.Node
    owner: str
    state: str
    read: str
    whole: bool

    @property
    def origin(self) -> Origin | None:
        found: Origin | None = self.node.meta.get(ORIGIN)
        return found


@dataclass
class _Trail:
    """The results that are not finite, in the order in which they came, and the gradients that came back."""

    several: bool
    results: list[_Result] = field(default_factory=list)
    #: Tensors that are listened to, with the nodes that gave them; tensors are kept so that their ids stay their own.
    heard: dict[int, tuple[Tensor, list[tuple[fx.Node, str]]]] = field(default_factory=dict)
    #: The first gradient to come back that is not finite.
    returned: tuple[str, list[tuple[fx.Node, str]]] | None = None
    direct: str = ""

    def note(self, node: fx.Node, owner: str, result: Any, read: str, whole: bool) -> str:
        """Take in what a node gave; its state."""
        state = max((state_of(each) for each in _tensors(result)), key=_worse, default="")
        if state and node.op not in ("placeholder", "output", "get_attr"):
            self.results.append(_Result(node, owner, state, read, whole))
        return state

    def listen(self, node: fx.Node, owner: str, result: Any) -> None:
        """Hear of the gradient of what a node gave."""
        for tensor in _tensors(result):
            if not tensor.requires_grad or tensor.is_leaf:  # a hook on a weight would stay there
                continue
            if id(tensor) in self.heard:
                self.heard[id(tensor)][1].append((node, owner))
                continue
            places = [(node, owner)]
            self.heard[id(tensor)] = (tensor, places)
            hook: Any = tensor.register_hook
            hook(lambda gradient, places=places: self._come_back(gradient, places))

    def _come_back(self, gradient: Tensor, places: list[tuple[fx.Node, str]]) -> None:
        if self.returned is None and (state := state_of(gradient)):
            self.returned = state, places

    def verdict(self, kind: str, recipe: Recipe) -> str:
        """The clause; "" where everything is finite."""
        inner = [each for each in self.results if not each.whole and each.origin is not None]
        first = next((each for each in inner if each.state == "NaN"), None)
        first = first or next((each for each in inner if each.state == "inf"), None) or next(iter(inner), None)
        if first is not None:
            said = f"{self._called(first.node, first.owner, recipe)} gives {first.state}"
            source = next((each for each in inner if not each.read), None) if first.read else None
            if source is not None and source is not first:
                said += f", since {self._called(source.node, source.owner, recipe)} gave {source.state}"
            return said
        return self._backward(recipe) if kind == "gradient" else ""

    def _backward(self, recipe: Recipe) -> str:
        if self.returned is None:
            return self.direct
        state, places = self.returned
        readers = {
            user: owner
            for node, owner in places
            for user in node.users
            if user.op != "output" and ORIGIN in user.meta and not _is_call(user)
        }
        if not readers:
            return self.direct
        named = [self._called(user, owner, recipe) for user, owner in readers.items()]
        return f"the gradient that {' or '.join(named)} hands back is {state}"

    def _called(self, node: fx.Node, owner: str, recipe: Recipe) -> str:
        origin: Origin = node.meta[ORIGIN]
        text = " ".join(origin.text.split())
        name = origin.module or (text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}...")
        prefix = f"{owner}." if owner and self.several and origin.module else ""
        return f"`{prefix}{name}` ({origin.operator}, {_line(origin.path, origin.line, recipe)})"


def _worse(state: str) -> int:
    return ("", "-inf", "inf", "NaN").index(state)


def _is_call(node: fx.Node) -> bool:
    """Whether a node calls a network, whose own nodes are looked at."""
    return node.op == "call_module" and isinstance(node.target, str) and node.target.startswith("instances.")


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _tensors(each)
    elif isinstance(value, tuple | list):
        for each in value:
            yield from _tensors(each)


class _Looking(fx.Interpreter):
    """Runs a graph and shows a trail what each node gives."""

    def __init__(self, module: fx.GraphModule, trail: _Trail, owner: str) -> None:
        super().__init__(module)
        self.extra_traceback = False
        self.trail, self.owner = trail, owner
        self.states: dict[fx.Node, str] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        read = max((self.states.get(each, "") for each in n.all_input_nodes), key=_worse, default="")
        whole = n.op == "call_module" and isinstance(self.fetch_attr(str(n.target)), InstanceModule | ScanModule)
        self.states[n] = self.trail.note(n, self.owner, result, read, whole)
        if n.op != "output":
            self.trail.listen(n, self.owner, result)
        return result


class _Looker:
    """Stands where a lowered graph is called."""

    def __init__(self, module: fx.GraphModule, trail: _Trail, owner: str) -> None:
        self.module, self.trail, self.owner = module, trail, owner

    def __call__(self, *given: Any) -> Any:
        return _Looking(self.module, self.trail, self.owner).run(*given)


@contextmanager
def _looked_into(module: RecipeModule, trail: _Trail) -> Iterator[None]:
    """While this lasts, the graphs of the networks, and the bodies of their scans, run node by node, with all activations kept."""
    kept: list[tuple[dict[str, Any], dict[str, Any]]] = []

    def replace(place: dict[str, Any], changed: dict[str, Any]) -> None:
        kept.append((place, dict(place)))
        place.clear()
        place.update(changed)

    try:
        for name, instance in module.instances.items():
            for view in list(instance.views.values()):
                for part in view.module.modules():
                    if isinstance(part, ScanModule) and not isinstance(part.__dict__["_body"], _Looker):
                        replace(part.__dict__, {**part.__dict__, "_body": _Looker(part.__dict__["_body"], trail, name)})
            replace(instance.checkpointed, {})
            looked = {key: each._replace(module=_Looker(each.module, trail, name)) for key, each in instance.views.items()}  # type: ignore[arg-type]
            replace(instance.views, looked)
        yield
    finally:
        for place, before in reversed(kept):
            place.clear()
            place.update(before)


def _run_again(found: NotFinite, recipe: Recipe, module: RecipeModule, device: torch.device) -> _Trail:
    """The batch, with the random numbers that it was computed with."""
    assert found.batch is not None
    trail = _Trail(several=len(module.instances) > 1)
    buffers = {name: buffer.clone() for name, buffer in module.named_buffers()}
    arguments = {argument: found.batch[name] for name, argument in module.arguments["training"].items()}
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), _looked_into(module, trail):
            if found.random is not None:
                torch.set_rng_state(found.random)
            graph = module.written  # a fused loss would not say which of its nodes it is
            with autocast(recipe, device):
                given = [arguments[str(node.target)] for node in graph.graph.nodes if node.op == "placeholder"]
                outputs = _Looking(graph, trail, "").run(*given)
            if found.kind == "gradient" and not trail.results:
                _come_back(found, recipe, module, trail, outputs)
    finally:
        with torch.no_grad():
            for name, buffer in module.named_buffers():
                buffer.copy_(buffers[name])
    return trail


def _come_back(found: NotFinite, recipe: Recipe, module: RecipeModule, trail: _Trail, outputs: Mapping[str, Tensor]) -> None:
    loss = next(outputs[step.loss] for step in recipe.steps if step.name == found.step)
    weights: dict[str, nn.Parameter] = {
        f"{name}.{path}" if trail.several else path: parameter
        for name, instance in module.instances.items()
        for path, parameter in instance.named_parameters()
        if parameter.requires_grad
    }
    gradients = torch.autograd.grad(loss, list(weights.values()), allow_unused=True)
    for path, gradient in zip(weights, gradients, strict=True):
        state = state_of(gradient) if gradient is not None else ""
        if state:
            trail.direct = f"the gradient of the weight `{path}` is {state}"
