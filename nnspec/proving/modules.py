"""The lowered network of a graph, with numbers and without, each made when it is first needed."""

from __future__ import annotations

import torch

from nnspec.graph.ir import Graph
from nnspec.proving.account import Account
from nnspec.proving.counts import blame_weights, compare_weights
from nnspec.proving.findings import Findings
from nnspec.torch_backend.lower import lower
from nnspec.torch_backend.module_tree import NetworkModule


class Modules:
    """One graph as modules on "cpu" and on torch's "meta" device, with checks at the door. Their weights are compared as they are made."""

    def __init__(self, graph: Graph, seed: int, findings: Findings, account: Account) -> None:
        self._graph, self._seed, self._findings, self._account = graph, seed, findings, account
        self._made: dict[str, NetworkModule | None] = {}

    def get(self, device: str) -> NetworkModule | None:
        """The module on a device; None where it cannot be made, which has been reported."""
        if device not in self._made:
            self._made[device] = self._make(device)
        return self._made[device]

    def _make(self, device: str) -> NetworkModule | None:
        try:
            with torch.device(device):
                module = lower(self._graph, seed=self._seed if device == "cpu" else None)
        except Exception as error:  # whatever torch or the lowering raises is what the proof is about
            blame_weights(self._graph, error, self._findings)
            return None
        compare_weights(self._graph, module, self._findings, self._account)
        return module
