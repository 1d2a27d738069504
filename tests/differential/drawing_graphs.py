"""How convolutions on graphs are drawn."""

from __future__ import annotations

from differential.builder import Builder, arrow
from differential.description import Call
from differential.drawing import draws
from differential.drawing_layers import Settings


@draws("GCNConv", "GATConv", "SAGEConv", weight=8)
def graph_convolution(b: Builder, name: str) -> Call | None:
    edges = b.pick(2, "index", lambda live: live.sizes[0] == 2)
    if edges is None or not edges.rank:
        return None
    few = b.wild and b.chance(0.5)  # fewer nodes than the edges join
    live = b.pick(2, fits=lambda live: live.fixed(-1) and (live.sizes[0] < (edges.kinds or 1)) == few)
    if live is None or not live.rank:
        return None
    settings: Settings = [("out_channels", b.sized(b.among(1, 6)))]
    others = {"edge_index": edges}
    if name == "GCNConv":
        settings += b.some(improved=True, bias=False) if b.chance(0.3) else []
        settings += [("normalize", False)] if b.chance(0.2) else []
        settings += [("add_self_loops", b.rng.choice([False, *([True] * b.wild)]))] if b.chance(0.3) else []
        weight = b.pick(1, "float", lambda each: each.sizes == edges.sizes[1:]) if b.chance(0.4) else None
        others |= {} if weight is None else {"edge_weight": weight}
    elif name == "GATConv":
        settings += [("heads", b.sized(b.among(1, 3)))] if b.chance(0.6) else []
        settings += b.some(concat=False, dropout=0.3, add_self_loops=False, residual=True) if b.chance(0.5) else []
    else:
        settings += [("aggr", b.rng.choice(["sum", "max", "min", "add", *(["median"] * b.wild)]))] if b.chance(0.5) else []
        settings += b.some(normalize=True, root_weight=False, project=True) if b.chance(0.5) else []
    return arrow(name, live, [*settings, *b.stated("in_channels", live, 1)], positional=1, first="x", **others)
