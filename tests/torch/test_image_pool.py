"""The pool of generated samples: what it keeps, what it hands on, and that each sample is handed on or kept, never both or neither."""

from __future__ import annotations

import pytest
import torch

from nnspec.torch_backend.modules.image_pool import ImagePool

pytestmark = pytest.mark.torch


def test_it_fills_and_then_exchanges() -> None:
    torch.manual_seed(0)
    pool = ImagePool(10, [2])
    samples = torch.arange(400.0).reshape(200, 2)
    handed = torch.cat([pool(batch) for batch in samples.split(7)])
    assert torch.equal(handed[:10], samples[:10])
    assert int(pool.filled) == 10
    fresh = (handed[10:] == samples[10:]).all(dim=1)
    assert 0.35 < float(fresh.float().mean()) < 0.65
    # What was not handed on at once is kept, or was handed on later; the first ten were handed on when they came.
    everything = sorted([*handed[10:, 0].tolist(), *pool.samples[:, 0].tolist()])
    assert everything == sorted(samples[:, 0].tolist())


def test_in_inference_it_hands_on_and_keeps_nothing() -> None:
    pool = ImagePool(3, [2]).eval()
    batch = torch.randn(5, 2)
    assert torch.equal(pool(batch), batch)
    assert int(pool.filled) == 0


def test_it_starts_where_its_state_says() -> None:
    torch.manual_seed(0)
    pool = ImagePool(4, [1])
    pool(torch.randn(6, 1))
    again = ImagePool(4, [1])
    again.load_state_dict(pool.state_dict())
    batch = torch.randn(9, 1)
    torch.manual_seed(1)
    first = pool(batch)
    torch.manual_seed(1)
    assert torch.equal(again(batch), first)
    assert torch.equal(again.samples, pool.samples)
