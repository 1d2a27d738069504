"""Samples that a spec makes itself."""

from __future__ import annotations

import torch

from nnspec.data.location import Lookup
from nnspec.data.samples import Samples
from nnspec.recipes.recipe import DataSource


def read(source: DataSource, lookup: Lookup) -> Samples:
    """Run the body once, with the source's seed and without touching the random state around it."""
    from nnspec.torch_backend.lower import lower

    assert source.graph is not None
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(source.operator.attributes()["seed"])
        result = lower(source.graph, guards=False)()
    return Samples(result if isinstance(result, dict) else {next(iter(source.graph.outputs)): result})
