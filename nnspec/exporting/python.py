"""A network as a readable PyTorch module that needs nothing but torch: a class for each block, layers in `__init__`, steps in `forward`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from nnspec.atomic import write_atomic
from nnspec.exporting.base import ExportContext, ExportMismatch, ExportResult, agreed
from nnspec.exporting.inlining import Inlined
from nnspec.exporting.python_classes import Classes, Use, indented, with_return, written_part
from nnspec.exporting.python_initial import initial
from nnspec.exporting.python_parts import GROUP, is_plain
from nnspec.exporting.python_slots import filled
from nnspec.exporting.python_statements import Names, Statements
from nnspec.graph.ir import Graph
from nnspec.passes.admissible import NoAdmissibleSizes

if TYPE_CHECKING:
    from nnspec.torch_backend.equivalence import Difference


def export(context: ExportContext) -> ExportResult:
    """Write the source; where torch is installed, run it with the network's weights and compare at two sets of sizes."""
    text = source(context.graph)
    write_atomic(context.path, text)
    try:
        import torch  # noqa: F401  (only asks whether it is there)
    except ModuleNotFoundError:
        return ExportResult(context.path, None, ("not compared with the network: torch is not installed",))
    return ExportResult(context.path, _difference(context, text))


def source(graph: Graph) -> str:
    """The module as Python source."""
    inlined = Inlined()
    classes = Classes(graph, inlined)

    def prepare(statements: Statements) -> list[str]:
        statements.arguments({entry.value: entry.name for entry in graph.inputs})
        return list(statements.sizes(graph))

    network = written_part(graph, classes.root, inlined, prepare)
    classes.collect(network)
    construction, lines = classes.alone(network)
    construction += [*_buffers(network, inlined), *initial(graph)]
    name = _class_name(graph, inlined)
    result = "Tensor" if len(graph.outputs) == 1 else "dict[str, Tensor]"
    arguments = "".join(f", {each}: Tensor" for each in network.arguments)
    body = [
        f"class {name}(nn.Module):", *indented(_class_text(graph), 1), "", "    def __init__(self) -> None:",
        "        super().__init__()", *indented(construction, 2), "",
        f"    def forward(self{arguments}) -> {result}:", *indented(with_return(lines, _returned(graph, network)), 2),
    ]  # fmt: skip
    above = [GROUP] if network.members.uses_group or classes.uses_group else []
    code = "\n\n\n".join([*above, *inlined.texts.values(), *classes.texts, "\n".join(body)])
    return f"{_head(graph, name, inlined, code)}\n\n\n{code}\n"


def _head(graph: Graph, name: str, inlined: Inlined, code: str) -> str:
    """The file's documentation and its imports."""
    from nnspec.version import VERSION

    where = f" from {graph.span.source.path.rpartition('/')[2]}" if graph.span is not None else ""
    lines = [
        f'"""{name}, written by nnspec {VERSION}{where}. It needs torch and nothing else.', "",
        "The names of its weights are those of the spec, so a state dict of the network loads.", '"""', "",
        "from __future__ import annotations", "", *_imports(inlined.imports, code),
    ]  # fmt: skip
    return "\n".join(lines)


def _imports(needed: set[str], code: str) -> list[str]:
    """The import statements, joined by module, the standard library's first."""
    lines = needed | {"from torch import Tensor", "from torch import nn"}
    lines |= {"import torch"} if re.search(r"\btorch\.", code) else set()
    lines |= {"from torch.nn import functional as F"} if re.search(r"\bF\.", code) else set()
    lines |= {"from typing import Any"} if re.search(r"\bAny\b", code) else set()
    plain = [line for line in lines if line.startswith("import ")]
    members: dict[str, set[str]] = {}
    for line in lines - set(plain):
        module, _, name = line.removeprefix("from ").partition(" import ")
        members.setdefault(module, set()).add(name)
    joined = plain + [f"from {module} import {', '.join(sorted(names))}" for module, names in members.items()]
    standard = sorted(line for line in joined if "torch" not in line)
    return [*standard, *([""] if standard else []), *sorted((line for line in joined if "torch" in line), key=_plain_first)]


def _plain_first(line: str) -> tuple[bool, str]:
    return line.startswith("from"), line


def _class_text(graph: Graph) -> Iterator[str]:
    yield f'"""{graph.name}.'
    yield ""
    for entry in graph.inputs:
        yield f"{entry.name}: {entry.value.type}"
    for name, value in graph.outputs.items():
        yield f"-> {name}: {value.type}"
    yield '"""'


def _returned(graph: Graph, network: Use) -> str:
    by_value = dict(zip(network.part.outputs, network.returned.split(", "), strict=True))
    found = {name: by_value[value] for name, value in graph.outputs.items()}
    if len(found) == 1:
        return next(iter(found.values()))
    return "{" + ", ".join(f'"{name}": {value}' for name, value in found.items()) + "}"


def _class_name(graph: Graph, inlined: Inlined) -> str:
    name = graph.name if is_plain(graph.name) else "Network"
    return f"{name}Network" if name in {*inlined.names.values(), "Group", "Tensor", "Any"} else name


def _buffers(network: Use, inlined: Inlined) -> Iterator[str]:
    """The computation of buffers that have a value."""
    for entry in network.members.bare:
        if entry.value is not None:
            results = tuple(entry.value.outputs.values())
            statements = Statements(entry.value.nodes, results, network.members, inlined, Names(), {})
            for line in statements.body():
                yield filled(line.text, lambda place: repr(network.slots.numbers[place][1]), lambda place: "")
            yield f"{network.members.reach(entry.path)}.copy_({statements.values[results[0]]})"


def _difference(context: ExportContext, text: str) -> Difference:
    import torch

    from nnspec.torch_backend.equivalence import worst

    space: dict[str, Any] = {"__name__": "exported"}
    exec(compile(text, str(context.path), "exec"), space)
    made = [value for value in space.values() if isinstance(value, type) and value.__module__ == "exported"]
    module = made[-1]()
    if module.state_dict().keys() != context.reference.state_dict().keys():
        raise ExportMismatch("the exported module has other weights than the network")
    module.load_state_dict(context.reference.state_dict())
    module.eval()
    with torch.no_grad():
        return worst(agreed(context.reference(*each.values()), module(*each.values()), "Python") for each in _inputs(context))


def _inputs(context: ExportContext) -> Iterator[dict[str, Any]]:
    yield context.inputs()
    try:
        yield context.inputs(1)
    except NoAdmissibleSizes:
        return
