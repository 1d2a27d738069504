"""The first values of weights in an exported module, where the spec says other ones than PyTorch's own. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from nnspec.exporting.base import ExportError
from nnspec.graph.ir import Graph, WeightEntry
from nnspec.operators.declare import Operator

_FILLS = {
    "zeros": "zeros_", "ones": "ones_", "normal": "normal_", "trunc_normal": "trunc_normal_", "xavier_uniform": "xavier_uniform_",
    "xavier_normal": "xavier_normal_", "kaiming_uniform": "kaiming_uniform_", "kaiming_normal": "kaiming_normal_",
    "orthogonal": "orthogonal_",
}  # fmt: skip
#: So many names are listed one by one.
_FEW = 3


def initial(graph: Graph) -> list[str]:
    """Statements that fill weights as the spec says, without indentation; none where PyTorch's own values are meant."""
    groups: dict[str, list[WeightEntry]] = {}
    for entry in graph.weights.values():
        if entry.initial is not None:
            groups.setdefault(fill(entry.initial), []).append(entry)
    if not groups:
        return []
    left = [entry for entry in graph.weights.values() if entry.trainable]
    told: dict[str, str] = {}
    while True:
        found = next(((each, test) for each, chosen in groups.items() if (test := _test(chosen, left)) is not None), None)
        if found is None:
            break
        told[found[0]] = found[1]
        taken = {entry.path for entry in groups.pop(found[0])}
        left = [entry for entry in left if entry.path not in taken]
    lines = []
    if told:
        lines.append("for name, weight in self.named_parameters():")
        for statement, test in told.items():
            lines += [f"    {'if' if len(lines) == 1 else 'elif'} {test}:", f"        {statement}"]
        if "name" not in "".join(told.values()):
            lines[0] = "for weight in self.parameters():"
    if groups:
        lines.append("weights = dict(self.named_parameters()) | dict(self.named_buffers())")
        for statement, chosen in groups.items():
            lines += _over([entry.path for entry in chosen], statement)
    return lines


def _test(chosen: Sequence[WeightEntry], parameters: Sequence[WeightEntry]) -> str | None:
    """A short condition on `name` and `weight` that is true of these parameters alone, None where there is none."""
    if not all(entry.trainable for entry in chosen):
        return None
    paths = {entry.path for entry in chosen}
    ranks = {len(entry.dims) for entry in chosen}
    if len(ranks) == 1 and {entry.path for entry in parameters if len(entry.dims) in ranks} == paths:
        return f"weight.dim() == {ranks.pop()}"
    for parts in (1, 2):
        endings = sorted({("." if path.count(".") >= parts else "") + ".".join(path.split(".")[-parts:]) for path in paths})
        if len(endings) > _FEW:
            continue
        written = f'"{endings[0]}"' if len(endings) == 1 else f"({', '.join(f'{each!r}' for each in endings)})".replace("'", '"')
        for rank in (None, *sorted(ranks)):
            found = {
                entry.path
                for entry in parameters
                if entry.path.endswith(tuple(endings)) and (rank is None or len(entry.dims) == rank)
            }
            if found == paths:
                return f"name.endswith({written})" + ("" if rank is None else f" and weight.dim() == {rank}")
    return None


def _over(paths: Sequence[str], statement: str) -> Iterator[str]:
    if len(paths) > _FEW:
        yield from ("for name in (", *(f'    "{path}",' for path in paths), "):")
    else:
        yield "for name in (" + ", ".join(f'"{path}"' for path in paths) + ",):"
    yield "    weight = weights[name]"
    yield f"    {statement}"


def fill(operator: Operator) -> str:
    """The statement that fills the tensor called `weight`."""
    settings = {key: value for key, value in operator.attributes().items() if key not in ("sizes", "dtype")}
    if operator.name in _FILLS:
        given = "".join(f", {key}={_quoted(value)}" for key, value in settings.items())
        return f"nn.init.{_FILLS[operator.name]}(weight{given})"
    with_values: Mapping[str, tuple[str, ...]] = {
        "full": ("fill_", "fill_value"), "uniform": ("uniform_", "low", "high"), "bernoulli": ("bernoulli_", "p"),
    }  # fmt: skip
    if operator.name not in with_values:
        raise ExportError(f"`{operator.name}` does not fill weights")
    method, *names = with_values[operator.name]
    return f"weight.data.{method}({', '.join(repr(settings[name]) for name in names)})"


def _quoted(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)
