"""The kernel of embeddings: in Triton's interpreter, in its compiler, and not imported where it is not needed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nnspec.torch_backend.modules.fused_embedding import has_triton

pytestmark = pytest.mark.torch

ROOT = Path(__file__).resolve().parents[2]
needs_triton = pytest.mark.skipif(not has_triton(), reason="needs triton")


def ran(*arguments: str, **environment: str) -> str:
    """What a program of its own prints: how Triton runs is settled when it is imported."""
    result = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment},
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout.strip()


@needs_triton
@pytest.mark.slow
@pytest.mark.parametrize("what", ["kernel", "beyond", "layers", "networks"])
def test_in_the_interpreter(what: str) -> None:
    assert ran("tests/torch/embedding_kernel_runs.py", what, TRITON_INTERPRET="1") == "held"


_COMPILED = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from nnspec.torch_backend.modules import embedding_kernel as kernel

def compiled(function, dtype, present, norm, sums, width, block):
    names = function.arg_names
    types = dict.fromkeys(names, f"*{dtype}") | {"scale": "fp32", "eps": "fp32"}
    types |= {f"i{i}": "*i64" for i in range(4)} | {f"p{i}": "i32" for i in range(4)} | {f"s{i}": "i64" for i in range(4)}
    constant = {"kind": norm, "width": width, "block": block}
    constant |= {f"{letter}{i}": None for i in range(4) for letter in "ti" if i >= present} | {"i1": None}
    constant |= {} if sums else {"sums": None}
    constant |= dict.fromkeys(("normed", "weight", "bias") if norm == "none" else ("bias",) if norm == "rms" else ())
    signature = {name: "constexpr" if name in constant else types[name] for name in names}
    source = ASTSource(function, signature, constexprs={(names.index(name),): value for name, value in constant.items()})
    assert triton.compile(source, target=GPUTarget("cuda", 80, 32), options={"num_warps": 4}).asm["cubin"]

for function, width, block in ((kernel._whole_rows, 768, 1024), (kernel._long_rows, 10000, 2048)):
    for dtype in ("fp32", "bf16", "fp16"):
        compiled(function, dtype, 3, "layer", True, width, block)
    compiled(function, "fp32", 4, "rms", False, width, block)
    compiled(function, "fp32", 1, "none", True, width, block)
print("held")
"""


@needs_triton
@pytest.mark.slow
def test_it_compiles_for_a_device_that_is_not_here(tmp_path: Path) -> None:
    assert ran("-c", _COMPILED, TRITON_CACHE_DIR=str(tmp_path)) == "held"


_WITHOUT = """
import sys
sys.modules["triton"] = None  # importing it fails
import torch
import nnspec
from nnspec.torch_backend.compile import compile_graph, verify_compiled
from nnspec.torch_backend.modules import fused_embedding

fused_embedding.DEVICES = frozenset({"cpu"})
assert not fused_embedding.has_triton()
graph = nnspec.check("specs/transformer/bert.nn", depth=1, width=24, heads=4, vocab=50).graph(None, training=False)
module = compile_graph(graph, mode="inference", seed=0, fusion="fused")
assert any(isinstance(part, fused_embedding.FusedEmbedding) for part in module.modules())
verify_compiled(graph, module, 2, seed=0)
assert "nnspec.torch_backend.modules.embedding_kernel" not in sys.modules
print("held")
"""


def test_a_fused_network_runs_where_triton_is_not_installed() -> None:
    assert ran("-c", _WITHOUT) == "held"


def test_triton_is_not_imported_where_no_kernel_runs() -> None:
    program = _WITHOUT.replace('sys.modules["triton"] = None  # importing it fails\n', "")
    program = program.replace('fused_embedding.DEVICES = frozenset({"cpu"})\nassert not fused_embedding.has_triton()\n', "")
    assert ran("-c", program.replace('print("held")', 'print("triton" in sys.modules)')) == "False"
