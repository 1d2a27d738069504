"""The `__init__` of an exported PyTorch module: its layers and weights under the names of the spec. No torch."""

from __future__ import annotations

import keyword
from collections.abc import Iterator, Mapping
from typing import Any

from nnspec.exporting.base import ExportError
from nnspec.exporting.inlining import Inlined
from nnspec.graph.ir import Graph, WeightEntry
from nnspec.operators.declare import Operator, TorchCall
from nnspec.passes.reading import call_of, module_paths, nodes_within
from nnspec.types import FLOATS

GROUP = '''class Group(nn.Module):
    """Parts under their names."""

    def __init__(self, /, **parts: Any) -> None:
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)'''

_CONVOLUTION = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "bias": True, "padding_mode": "zeros", "output_padding": 0}
_POOLING = {"stride": None, "padding": 0, "dilation": 1, "ceil_mode": False, "return_indices": False, "count_include_pad": True}
_BATCH_NORM = {"eps": 1e-5, "momentum": 0.1, "affine": True, "track_running_stats": True}
#: Settings that torch assumes anyway and that are left out, by the class.
DEFAULTS: dict[str, dict[str, Any]] = {
    **{f"torch.nn.{name}{axes}d": _CONVOLUTION for name in ("Conv", "ConvTranspose") for axes in (1, 2, 3)},
    **{f"torch.nn.{name}{axes}d": _POOLING for name in ("MaxPool", "AvgPool") for axes in (1, 2, 3)},
    **{f"torch.nn.BatchNorm{axes}d": _BATCH_NORM for axes in (1, 2, 3)},
    "torch.nn.Linear": {"bias": True},
    "torch.nn.LayerNorm": {"eps": 1e-5, "elementwise_affine": True, "bias": True},
    "torch.nn.GroupNorm": {"eps": 1e-5, "affine": True},
    "torch.nn.Embedding": {"padding_idx": None},
    "torch.nn.ReLU": {"inplace": False},
    "torch.nn.GELU": {"approximate": "none"},
    "torch.nn.Flatten": {"start_dim": 1, "end_dim": -1},
}
#: Settings that come first and without a name.
_POSITIONAL = {
    "torch.nn.Linear": ("in_features", "out_features"), "torch.nn.Embedding": ("num_embeddings", "embedding_dim"),
    "torch.nn.Dropout": ("p",), "torch.nn.LayerNorm": ("normalized_shape",), "torch.nn.GroupNorm": ("num_groups", "num_channels"),
    **{f"torch.nn.{name}{axes}d": ("in_channels", "out_channels", "kernel_size") for name in ("Conv", "ConvTranspose")
       for axes in (1, 2, 3)},
    **{f"torch.nn.{name}{axes}d": ("kernel_size",) for name in ("MaxPool", "AvgPool") for axes in (1, 2, 3)},
    **{f"torch.nn.AdaptiveAvgPool{axes}d": ("output_size",) for axes in (1, 2, 3)},
    **{f"torch.nn.BatchNorm{axes}d": ("num_features",) for axes in (1, 2, 3)},
}  # fmt: skip
_FILLS = {
    "zeros": "zeros_", "ones": "ones_", "normal": "normal_", "trunc_normal": "trunc_normal_", "xavier_uniform": "xavier_uniform_",
    "xavier_normal": "xavier_normal_", "kaiming_uniform": "kaiming_uniform_", "kaiming_normal": "kaiming_normal_",
    "orthogonal": "orthogonal_",
}  # fmt: skip

Tree = dict[str, Any]


class Parts:
    """The modules of a network as source: `lines` for `__init__`, `reach` for how `forward` gets at each."""

    def __init__(self, graph: Graph, inlined: Inlined) -> None:
        self.graph, self.inlined = graph, inlined
        self.tree: Tree = {}
        self.uses_group = False
        self._listed: dict[int, bool] = {}
        self.paths = module_paths(graph)
        dtypes = {entry.module: entry.dtype for entry in graph.weights.values() if entry.dtype in FLOATS}
        for node in nodes_within(graph):
            call = call_of(node)
            if call is not None and call.kind == "module" and node.path is not None:
                dtype = dtypes.get(node.path, "float32")
                _put(self.tree, self.paths[node], self._made(call) + ("" if dtype == "float32" else f".to(torch.{dtype})"))
        self.bare = [entry for entry in graph.weights.values() if not _is_leaf(self.tree, entry.module)]
        for entry in self.bare:
            _put(self.tree, entry.path, self._bare(entry))

    def _made(self, call: TorchCall) -> str:
        """The expression that makes a layer."""
        name = (
            "nn." + call.target.removeprefix("torch.nn.")
            if call.target.startswith("torch.nn.")
            else self.inlined.add(call.target)
        )
        assumed = DEFAULTS.get(call.target, {})
        per_axis = assumed is _POOLING or assumed is _CONVOLUTION
        settings = {key: plain(value, per_axis) for key, value in call.settings.items()}
        positional = [key for key in _POSITIONAL.get(call.target, ()) if key in settings]
        given = [repr(settings.pop(key)) for key in positional]
        given += [f"{key}={value!r}" for key, value in settings.items() if key not in assumed or assumed[key] != value]
        return f"{name}({', '.join(given)})"

    def _bare(self, entry: WeightEntry) -> str:
        sizes = ", ".join(str(dim) for dim in entry.dims)
        empty = f"torch.empty({sizes or '()'}" + ("" if entry.dtype == "float32" else f", dtype=torch.{entry.dtype}") + ")"
        if entry.trainable:
            return f"nn.Parameter({empty})"
        return f"nn.Buffer({empty}" + ("" if entry.persistent else ", persistent=False") + ")"

    def lines(self) -> Iterator[str]:
        """The statements of `__init__`, without indentation."""
        for name, part in self.tree.items():
            made = self._written(part)
            yield from (f"self.{name} = {made}" if is_plain(name) else f'setattr(self, "{name}", {made})').split("\n")

    def _written(self, part: str | Tree) -> str:
        if isinstance(part, str):
            return part
        names, parts = list(part), [self._written(below) for below in part.values()]
        if _is_list(part):
            return _listed("nn.ModuleList([", parts, "])")
        self.uses_group = True
        if all(map(is_plain, names)):
            return _listed("Group(", [f"{name}={below}" for name, below in zip(names, parts, strict=True)], ")")
        return _listed("Group(**{", [f'"{name}": {below}' for name, below in zip(names, parts, strict=True)], "})")

    def reach(self, path: str) -> str:
        """The expression for a part or a weight in `forward`."""
        text, below = "self", self.tree
        for part in path.split("."):
            if is_plain(part):
                text = f"{text}.{part}"
            else:
                text = f"{text}[{part}]" if below is not self.tree and self._is_listed(below) else f'getattr({text}, "{part}")'
            below = below[part] if isinstance(below, dict) else {}
        return text

    def _is_listed(self, part: Any) -> bool:
        if id(part) not in self._listed:
            self._listed[id(part)] = _is_list(part)
        return self._listed[id(part)]

    def initial(self) -> Iterator[str]:
        """Statements that fill weights as the spec says, without indentation."""
        groups: dict[str, list[str]] = {}
        for entry in self.graph.weights.values():
            if entry.initial is not None:
                groups.setdefault(fill(entry.initial), []).append(entry.path)
        for statement, paths in groups.items():
            shown = [f'    "{path}",' for path in paths] if len(paths) > 3 else []
            if shown:
                yield from ("for name in (", *shown, "):")
            else:
                yield f"for name in ({', '.join(repr(path) for path in paths)},):".replace("'", '"')
            yield f"    {statement}"


def is_plain(name: str) -> bool:
    """Whether Python can write the name after a dot."""
    return name.isidentifier() and not keyword.iskeyword(name)


def _is_list(part: Any) -> bool:
    """Whether a group is a plain list of layers."""
    if not isinstance(part, dict) or list(part) != [str(number) for number in range(len(part))]:
        return False
    return not any(isinstance(below, str) and below.startswith(("nn.Parameter(", "nn.Buffer(")) for below in part.values())


def fill(operator: Operator) -> str:
    """The statement that fills the weight called `name`."""
    settings = {key: value for key, value in operator.attributes().items() if key not in ("sizes", "dtype")}
    weight = "weights[name]"
    if operator.name in _FILLS:
        given = "".join(f", {key}={value!r}" for key, value in settings.items())
        return f"nn.init.{_FILLS[operator.name]}({weight}{given})"
    with_values: Mapping[str, tuple[str, ...]] = {
        "full": ("fill_", "fill_value"), "uniform": ("uniform_", "low", "high"), "bernoulli": ("bernoulli_", "p"),
    }  # fmt: skip
    if operator.name not in with_values:
        raise ExportError(f"`{operator.name}` does not fill weights")
    method, *names = with_values[operator.name]
    return f"{weight}.data.{method}({', '.join(repr(settings[name]) for name in names)})"


def plain(value: Any, shorten: bool = False) -> Any:
    """A setting as source shows it; `(3, 3)` as 3 where torch takes one number for all axes."""
    if isinstance(value, list | tuple):
        items = [plain(item, shorten) for item in value]
        if shorten and len(set(map(repr, items))) == 1 and len(items) > 1:
            return items[0]
        return items if isinstance(value, list) else tuple(items)
    return value


def _put(tree: Tree, path: str, made: str) -> None:
    *containers, name = path.split(".")
    for part in containers:
        below = tree.setdefault(part, {})
        if not isinstance(below, dict):
            raise ExportError(f"`{path}` lies below a layer")
        tree = below
    tree.setdefault(name, made)


def _is_leaf(tree: Tree, path: str | None) -> bool:
    if path is None:
        return False
    below: Any = tree
    for part in path.split("."):
        if not isinstance(below, dict) or part not in below:
            return False
        below = below[part]
    return isinstance(below, str)


def _listed(before: str, items: list[str], after: str) -> str:
    joined = before + ", ".join(items) + after
    if "\n" not in joined and len(joined) < 90:
        return joined
    inner = ",\n".join(items).replace("\n", "\n    ")
    return f"{before}\n    {inner},\n{after}"
