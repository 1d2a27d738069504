"""Every family of `specs/` in every target: equal bit for bit where torch computes it, within 1e-5 where ONNX Runtime does.

`benchmarks/exports.py` does the same at full size and at fixed sizes.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
import torch
from exported_networks import FAMILIES, NETWORKS, UNROLLED, network, onnx_of
from safetensors.torch import save_file

from nnspec.exporting import EXPORTERS, TARGETS, ExportContext
from nnspec.exporting.python import source
from nnspec.torch_backend.lower import lower

pytestmark = pytest.mark.torch

#: The others take too long for every change.
QUICK = ("mlp", "cnn", "gpt", "vae", "gcn")


def each(names: Iterable[str]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.nightly) for name in names]
    )


each_network, each_family = each(NETWORKS), each(FAMILIES)
#: Runs a module that stands alone where nnspec cannot be imported; prints its outputs' sum, so that both sides can be compared.
ALONE = """
import importlib.util, sys
class Barred:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "nnspec":
            raise ImportError("nnspec is barred here")
sys.meta_path.insert(0, Barred())
import torch
from safetensors.torch import load_file, save_file
spec = importlib.util.spec_from_file_location("exported", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
network = getattr(module, sys.argv[2])()
network.load_state_dict(load_file(sys.argv[3]))
network.eval()
given = load_file(sys.argv[4])
with torch.no_grad():
    found = network(*(given[name] for name in sorted(given)))
found = {"output": found} if isinstance(found, torch.Tensor) else found
save_file({name: value.contiguous() for name, value in found.items()}, sys.argv[5])
assert not any(name.partition(".")[0] == "nnspec" for name in sys.modules)
"""


def largest(name: str) -> float:
    """The largest number of a network's outputs, 1 at least."""
    context = ExportContext(network(name), Path())
    with torch.no_grad():
        found = context.reference(*context.inputs().values())
    return max([1.0, *(float(each.abs().max()) for each in ([found] if isinstance(found, torch.Tensor) else found.values()))])


@each_family
def test_pt2_is_equal_bit_for_bit(name: str, tmp_path: Path) -> None:
    result = EXPORTERS["pt2"](ExportContext(network(name), tmp_path / "net.pt2"))
    assert result.max_difference == 0


@each_family
def test_onnx_is_equal_within_1e_5_and_keeps_sizes_free(name: str) -> None:
    pytest.importorskip("onnxruntime")
    result = onnx_of(name)
    assert result.max_difference is not None
    assert result.max_difference < 1e-5 * largest(name)
    assert (result.notes == ()) == (name not in UNROLLED)


@each_network
def test_safetensors_are_equal_bit_for_bit(name: str, tmp_path: Path) -> None:
    assert EXPORTERS["safetensors"](ExportContext(network(name), tmp_path / "net.safetensors")).max_difference == 0


@each_network
def test_python_is_equal_bit_for_bit_and_reads_well(name: str, tmp_path: Path) -> None:
    result = EXPORTERS["python"](ExportContext(network(name), tmp_path / "net.py"))
    assert result.max_difference == 0
    text = result.path.read_text()
    tree = ast.parse(text)
    imported = {alias.name.partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {(node.module or "").partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported <= {"torch", "__future__", *sys.stdlib_module_names}
    assert "setattr(" not in text.replace("            setattr(self, name, part)", "")
    assert "getattr(self" not in text
    assert not [line for line in text.splitlines() if len(line) > 150]


@pytest.mark.parametrize("name", ["resnet20", "gpt", "lstm", "gcn"])
def test_python_runs_where_nnspec_cannot_be_imported(name: str, tmp_path: Path) -> None:
    context = ExportContext(network(name), tmp_path / "net.py")
    EXPORTERS["python"](context)
    inputs, module = context.inputs(), lower(context.graph, guards=False, seed=context.seed)
    state, given, found = (str(tmp_path / f"{each}.safetensors") for each in ("state", "given", "found"))
    save_file({key: value.clone() for key, value in module.state_dict().items()}, state)
    save_file({f"{place}": value for place, value in enumerate(inputs.values())}, given)
    arguments = [str(context.path), context.graph.name, state, given, found]
    done = subprocess.run([sys.executable, "-c", ALONE, *arguments], cwd=tmp_path, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    from safetensors.torch import load_file

    with torch.no_grad():
        wanted = module.eval()(*inputs.values())
    wanted = {"output": wanted} if isinstance(wanted, torch.Tensor) else wanted
    loaded = load_file(found)
    assert all(torch.equal(loaded[key], value) for key, value in wanted.items())


def test_uses_of_a_block_are_one_class_with_its_parameters() -> None:
    text = source(network("resnet"))
    classes = re.findall(r"^class (\w+)\(nn\.Module\):", text, re.MULTILINE)
    assert classes == ["BasicBlock", "BasicBlock2", "ResNet18"]
    assert "def __init__(self, width: int) -> None:" in text
    assert "nn.Sequential(BasicBlock(width=64), BasicBlock(width=64))" in text
    assert "self.layer2(" in text


def test_layers_in_a_row_are_a_sequential() -> None:
    text = source(network("mlp"))
    assert "self.hidden = nn.Sequential(" in text
    assert "return self.logits(hidden)" in text


def test_blocks_that_are_given_the_same_besides_are_a_loop() -> None:
    seq2seq = source(network("seq2seq"))
    assert "for layer in self.encoder:" in seq2seq
    assert "for layer in self.decoder:" in seq2seq
    assert re.search(r"(\w+) = layer\(\1, \w+, \w+\)", seq2seq)


def test_values_that_go_into_blocks_are_called_as_in_the_spec() -> None:
    seq2seq = source(network("seq2seq"))
    assert "memory = self.encoder_norm(" in seq2seq
    assert re.search(r"(\w+) = layer\(\1, memory, keep\)", seq2seq)
    assert "def forward(self, y: Tensor, memory: Tensor, keep: Tensor) -> Tensor:" in seq2seq
    assert not re.search(r"\b(attended|said|read|ff) = self\.(encoder|decoder)", seq2seq), (
        "what a block calls its own stays in it"
    )


@each(["cnn", "gru", "seq2seq"])
def test_openvino_agrees(name: str, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    result = EXPORTERS["openvino"](ExportContext(network(name), tmp_path / "net.xml"))
    assert result.max_difference is not None
    assert result.max_difference < 1e-4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.bin", "net.xml"]
    assert "nnspec" in result.path.read_text()


@pytest.mark.slow
@pytest.mark.nightly
def test_aoti_agrees(tmp_path: Path) -> None:
    from nnspec.exporting.aoti import lacking_compiler

    if lacking_compiler() is not None:
        pytest.skip(f"it {lacking_compiler()}")
    result = EXPORTERS["aoti"](ExportContext(network("mlp"), tmp_path / "net.aoti.pt2"))
    assert result.max_difference is not None
    assert result.max_difference < 1e-5


def test_aoti_without_a_compiler_says_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nnspec.errors import UsageError

    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(UsageError, match=r"needs a C\+\+ compiler, and CXX=no-such-compiler is not there"):
        EXPORTERS["aoti"](ExportContext(network("mlp"), tmp_path / "net.aoti.pt2"))


def test_targets_say_what_they_need() -> None:
    assert TARGETS["onnx"].needs == "nnspec[torch,onnx]"
    assert TARGETS["aoti"].needs == "nnspec[torch] and a C++ compiler"
    assert TARGETS["python"].needs == ""
