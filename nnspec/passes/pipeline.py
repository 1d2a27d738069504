"""The list of passes for each mode, and how they are run: verified before the first and after each."""

from __future__ import annotations

from typing import Literal

from nnspec.graph.ir import Graph
from nnspec.passes.base import Pass, PassReport, Rewritten
from nnspec.passes.choose_layout import CHOOSE_LAYOUT
from nnspec.passes.dead_code import DEAD_CODE
from nnspec.passes.fold_batch_norm import FOLD_BATCH_NORM
from nnspec.passes.fold_constants import FOLD_CONSTANTS
from nnspec.passes.fuse_embedding import FUSE_EMBEDDING
from nnspec.passes.fuse_input_dropout import FUSE_INPUT_DROPOUT
from nnspec.passes.fuse_pointwise import FUSE_POINTWISE
from nnspec.passes.remove_identity import REMOVE_IDENTITY
from nnspec.passes.verify import verify

Mode = Literal["training", "inference"]

#: In this order: a batch norm is found only once nothing stands between it and its layer.
INFERENCE: tuple[Pass, ...] = (DEAD_CODE, REMOVE_IDENTITY, FOLD_CONSTANTS, FOLD_BATCH_NORM, DEAD_CODE)
Fusion = Literal["no", "fused", "channels_last"]

#: After those, where the network is to run here: layers that stand for several, and a layout. Exports are made without them.
FUSIONS: dict[Fusion, tuple[Pass, ...]] = {
    "no": (), "fused": (FUSE_EMBEDDING, FUSE_POINTWISE), "channels_last": (FUSE_EMBEDDING, FUSE_POINTWISE, CHOOSE_LAYOUT),
}  # fmt: skip
#: For every variant of a network that a recipe trains and measures.
RECIPE: tuple[Pass, ...] = (FUSE_INPUT_DROPOUT,)
TRAINING: tuple[Pass, ...] = (DEAD_CODE,)
PIPELINES: dict[Mode, tuple[Pass, ...]] = {"training": TRAINING, "inference": INFERENCE}


def run_passes(graph: Graph, passes: tuple[Pass, ...]) -> Rewritten:
    """The graph after the passes, with all their reports. Raises PassError, naming the pass, where a graph is broken."""
    verify(graph, "before the passes")
    reports: list[PassReport] = []
    for each in passes:
        graph, said = each.run(graph)
        verify(graph, f"after {each.name}")
        reports += said
    return Rewritten(graph, tuple(reports))
