"""The exported PyTorch source: it stands alone, reads well, has the same weights and computes the same."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from graphs import Draft, draw, symbol
from test_lower import small_cnn
from test_lower_scan import recurrent

from nnspec.exporting import EXPORTERS, ExportContext, ExportError
from nnspec.exporting.inlining import Inlined, _parse
from nnspec.exporting.python import source
from nnspec.exporting.python_layers import _POSITIONAL, DEFAULTS
from nnspec.graph.ir import CheckValues, Graph, Node

pytestmark = pytest.mark.torch


def exported(graph: Graph, tmp_path: Path, **more: Any) -> str:
    result = EXPORTERS["python"](ExportContext(graph, tmp_path / "net.py", **more))
    assert result.max_difference == 0
    text = result.path.read_text()
    assert "nnspec." not in text.partition('"""\n\nfrom')[2]
    return text


def test_source_reads_like_pytorch(tmp_path: Path) -> None:
    text = exported(small_cnn(), tmp_path)
    assert "conv1=nn.Conv2d(3, 8, 3, padding=1)" in text
    assert "        return self.fc(x)  # float32[N, 10]  net.nn:9\n" in text
    assert "    image: float32[N, 3, H, H]\n" in text
    tree = ast.parse(text)
    assert [node.name for node in tree.body if isinstance(node, ast.ClassDef)] == ["Group", "SmallCNN"]


def test_source_runs_without_nnspec(tmp_path: Path) -> None:
    exported(small_cnn(), tmp_path)
    code = (
        "import sys, torch, net; module = net.SmallCNN(); print(tuple(module(torch.zeros(2, 3, 8, 8)).shape));"
        "sys.exit('nnspec' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "(2, 10)"), done.stderr


def test_preconditions_are_checked_in_the_source(tmp_path: Path) -> None:
    space: dict[str, Any] = {}
    exec(exported(small_cnn(), tmp_path), space)
    with pytest.raises(ValueError, match=r"H must be a multiple of 4 \(here H = 10\)"):
        space["SmallCNN"]()(torch.zeros(1, 3, 10, 10))


@pytest.mark.parametrize("options", [{}, {"reverse": True}, {"lengths": True}, {"given_state": True}, {"shift": True}])
def test_recurrences_become_loops(options: dict[str, bool], tmp_path: Path) -> None:
    text = exported(recurrent(**options), tmp_path)
    assert "def cell_step(" in text
    assert "def run_scan(" in text


def test_parameters_buffers_and_first_values(tmp_path: Path) -> None:
    values = Draft("values")
    ramp = values.add("float32", values.add("arange", end=4).carried, label="ramp").carried
    draft = Draft("Weights")
    x = draft.input("x", (symbol("N"), 4))
    draft.param("scale", (4,), draw("full", fill_value=3.0))
    draft.param("block.0.offset", (4,), draw("uniform", low=5.0, high=6.0))
    draft.param("angles", (4,), trainable=False, value=values.graph(output=ramp), persistent=False)
    total = draft.add("mul", x, draft.read("scale")).carried
    total = draft.add("add", total, draft.read("block.0.offset")).carried
    text = exported(draft.graph(output=draft.add("add", total, draft.read("angles")).carried), tmp_path)
    space: dict[str, Any] = {}
    exec(text, space)
    module = space["Weights"]()
    assert module.scale.tolist() == [3.0] * 4
    assert 5 <= module.state_dict()["block.0.offset"].min() <= 6
    assert module.angles.tolist() == [0, 1, 2, 3]
    assert set(module.state_dict()) == {"scale", "block.0.offset"}


def test_names_that_python_would_not_take(tmp_path: Path) -> None:
    draft = Draft("from")
    x = draft.input("self", (symbol("N"), 4))
    h = draft.then("Linear", x, "0", out_features=4, label="torch")
    h = draft.then("Linear", h, "attention.self", out_features=4, label="lambda")
    text = exported(draft.graph(output=draft.then("Linear", h, "attention.3", out_features=4)), tmp_path)
    assert "def forward(self, self_: Tensor)" in text


def test_several_outputs_of_a_node_and_conditions_on_values(tmp_path: Path) -> None:
    draft = Draft("Top")
    x = draft.input("x", (symbol("N"), 6))
    top = draft.add("topk", x, k=2, dim=1)
    positive = draft.add("gt", x, -100.0).carried
    draft.nodes.append(Node(CheckValues("x is too small"), {"condition": positive}, None, draft.span("where x > -100")))
    text = exported(draft.graph(**top.outputs), tmp_path)
    space: dict[str, Any] = {}
    exec(text, space)
    with pytest.raises(ValueError, match="x is too small"):
        space["Top"]()(torch.full((1, 6), -200.0))


def test_a_first_value_that_cannot_be_written_is_an_error() -> None:
    draft = Draft()
    x = draft.input("x", (symbol("N"), 4))
    draft.param("scale", (4,), draw("randint", low=0, high=2))
    with pytest.raises(ExportError, match="`randint` does not fill weights"):
        source(draft.graph(output=draft.add("mul", x, draft.read("scale")).carried))


def test_settings_that_are_left_out_are_what_torch_assumes() -> None:
    for target, defaults in DEFAULTS.items():
        cls = getattr(torch.nn, target.removeprefix("torch.nn."))
        signature = inspect.signature(cls).parameters
        for name, value in defaults.items():
            if name in signature:
                assert signature[name].default == value, f"{target}({name}=)"
    for target, names in _POSITIONAL.items():
        cls = getattr(torch.nn, target.removeprefix("torch.nn."))
        assert tuple(inspect.signature(cls).parameters)[: len(names)] == names, target


#: A kernel that no operator names, and whose import takes triton; a loss that stands in trainings alone.
_NEVER_EXPORTED = ("embedding_kernel", "linear_loss")


def own_targets() -> list[str]:
    """Every function and module of ours that an operator may name."""
    import pkgutil

    import nnspec.torch_backend.functions
    import nnspec.torch_backend.modules

    modules = [
        f"nnspec.torch_backend.modules.{info.name}"
        for info in pkgutil.iter_modules(nnspec.torch_backend.modules.__path__)
        if info.name not in _NEVER_EXPORTED
    ]
    found = []
    for name in ("nnspec.torch_backend.functions", *modules):
        module = importlib.import_module(name)
        found += [
            f"{name}.{key}"
            for key, value in vars(module).items()
            if getattr(value, "__module__", "") == name and not key.startswith("_")
        ]
    return found


@pytest.mark.parametrize("target", own_targets())
def test_every_function_of_ours_can_stand_alone(target: str) -> None:
    inlined = Inlined()
    name = inlined.add(target)
    text = "\n".join([*sorted(inlined.imports), "import torch", "from torch import Tensor, nn", *inlined.texts.values()])
    assert "nnspec" not in "\n".join(sorted(inlined.imports))
    space: dict[str, Any] = {}
    exec("from __future__ import annotations\n" + text, space)
    assert name in space


def test_two_definitions_of_one_name_get_names_of_their_own() -> None:
    inlined = Inlined()
    first = inlined.add("nnspec.torch_backend.modules.draws.normal")
    inlined.names["elsewhere", "uniform"] = "uniform"
    assert (first, inlined.add("nnspec.torch_backend.modules.draws.uniform")) == ("normal", "uniform_2")
    assert "def uniform_2(" in "\n".join(inlined.texts.values())
    with pytest.raises(ExportError, match="no module of the torch backend"):
        _parse("os")
