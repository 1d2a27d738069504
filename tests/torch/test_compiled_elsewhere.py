"""A compiled network is a `torch.fx.GraphModule` like any other: under DDP, FSDP2, torch.export and copies of itself."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, fx
from torch.nn.parallel import DistributedDataParallel

import nnspec

pytestmark = pytest.mark.torch

TEXT = """
network Net {
  input image: float32[N, 3, 8, 8]
  h = image -> Conv2d(6, 3, padding=1) as conv -> BatchNorm2d as norm -> ReLU
  output logits = h -> AdaptiveAvgPool2d(1) -> Flatten -> Linear(16) as wide -> ReLU -> Linear(4) as head
}
"""


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[None]:
    """A process group of this process alone."""
    dist.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def gradients(module: torch.nn.Module, x: Tensor) -> dict[str, Tensor]:
    module.zero_grad()
    module(x).square().mean().backward()
    found = {}
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None
        grad = parameter.grad
        found[name.removeprefix("module.")] = grad.full_tensor() if hasattr(grad, "full_tensor") else grad.clone()
    return found


def same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.usefixtures("alone")
def test_under_ddp() -> None:
    module = nnspec.compile(TEXT)
    x = torch.randn(4, 3, 8, 8)
    expected = gradients(module, x)
    same(gradients(DistributedDataParallel(module), x), expected)


@pytest.mark.usefixtures("alone")
def test_under_fsdp2() -> None:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    module = nnspec.compile(TEXT)
    x = torch.randn(4, 3, 8, 8)
    expected = gradients(module, x)
    mesh = init_device_mesh("cpu", (1,))
    for part in (module.get_submodule("wide"), module):
        fully_shard(part, mesh=mesh)
    same(gradients(module, x), expected)


@pytest.mark.parametrize("mode", ["training", "inference"])
def test_torch_export_takes_it(mode: str) -> None:
    module = nnspec.compile(TEXT, mode=mode).eval()
    x = torch.randn(4, 3, 8, 8)
    program = torch.export.export(module, (x,), dynamic_shapes=({0: torch.export.Dim.AUTO},))
    targets = {str(node.target) for node in program.graph.nodes}
    assert not any("mkldnn" in target for target in targets), "what is exported runs elsewhere, too"
    torch.testing.assert_close(program.module()(x[:3]), module(x[:3]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mode", ["training", "inference"])
def test_fx_takes_it_apart_and_copies_it(mode: str) -> None:
    module = nnspec.compile(TEXT, mode=mode).eval()
    x = torch.randn(4, 3, 8, 8)
    with torch.no_grad():
        expected = module(x)
        torch.testing.assert_close(fx.Interpreter(module).run(x), expected)
        torch.testing.assert_close(copy.deepcopy(module)(x), expected)
        torch.testing.assert_close(fx.GraphModule(module, copy.copy(module.graph))(x), expected)


def test_weights_of_the_network_as_written_come_back_from_the_fused_one() -> None:
    """What is folded changes weights; the state for training is kept by whoever trained, and loads into both."""
    training, inference = nnspec.compile(TEXT, seed=3), nnspec.compile(TEXT, mode="inference", seed=3)
    assert set(inference.state_dict()) <= set(training.state_dict())
    unfolded = {name for name in inference.state_dict() if name.startswith(("wide", "head"))}
    for name in unfolded:
        assert torch.equal(inference.state_dict()[name], training.state_dict()[name])
