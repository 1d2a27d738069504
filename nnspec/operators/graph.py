"""Convolutions on graphs: layers whose nodes read their neighbours. Names, settings and weights are PyTorch Geometric's.

A graph is `x: float32[V, F]` and `edges: index(V)[2, E]`, sources above targets: the type says that every edge joins nodes that there
are. Several graphs are one whose parts are not joined. Not here: data of graphs (`source`).
"""

from __future__ import annotations

from nnspec.dims import Dim, format_dim
from nnspec.dims.claims import Relation, equal
from nnspec.operators.declare import (
    Cost,
    Inferred,
    Obligation,
    Operator,
    Ref,
    TorchCall,
    Weight,
    attribute,
    call_module,
    operator,
    tensor,
)
from nnspec.operators.kinds import Choice, Flag, Maybe, Real, Refusal, Size
from nnspec.operators.widths import stated_width
from nnspec.types import TensorType

MODULES = "nnspec.torch_backend.modules.graphs"
DOCS = "https://pytorch-geometric.readthedocs.io/en/latest/generated/torch_geometric.nn.conv."


def edges_fit(edge_index: TensorType, nodes: Dim) -> list[Obligation]:
    """Edges are index(V)[2, E]. Refuses with NN204 where no type says which nodes they may name."""
    if edge_index.classes is None:
        message = f"edges name nodes, so their type says how many there are, and this is {edge_index}"
        raise Refusal("NN204", message, "edge_index", help=f"declare them as `index({format_dim(nodes)})[2, E]`")
    obligations = []
    rows, columns = edge_index.dims
    if rows != 2:
        message = f"edges are two rows, sources above targets, and this is {edge_index}"
        help = "turn it with `-> transpose(0, 1)`" if columns == 2 else None
        obligations.append(Obligation(equal(rows, 2), "NN201", "edge_index", message, help=help))
    if edge_index.classes != nodes:
        message = f"edges among {format_dim(edge_index.classes)} nodes, and `x` has {format_dim(nodes)}"
        obligations.append(Obligation(Relation(edge_index.classes, "<=", nodes), "NN206", "edge_index", message))
    return obligations


class GraphConvolution(Operator):
    """What all have in common: nodes, edges, and a width that arrives."""

    x: TensorType
    edge_index: TensorType
    out_channels: Dim
    in_channels: Dim | None

    @property
    def width(self) -> Dim:
        """Features of a node: as stated, which is obliged to be right, else as inferred."""
        return self.x.dims[1] if self.in_channels is None else self.in_channels

    @property
    def result_width(self) -> Dim:
        """Features of the result."""
        return self.out_channels

    def infer(self) -> Inferred:
        nodes, features = self.x.dims
        obligations = (
            *edges_fit(self.edge_index, nodes),
            *stated_width(self.name, "in_channels", self.in_channels, features, "features"),
        )
        return Inferred({"output": self.x.with_dims((nodes, self.result_width))}, obligations)

    def _weight(self, name: str, *dims: Dim) -> Weight:
        return Weight(name, dims, self.x.dtype)

    def _product(self, before: Dim, after: Dim) -> Dim:
        """The work of a matrix product of all nodes."""
        return 2 * self.x.dims[0] * before * after

    def lower(self) -> TorchCall:
        settings = self.attributes() | {"in_channels": self.width}
        return call_module(f"{MODULES}.{self.name}", Ref("x"), Ref("edge_index"), settings=settings)


_X = "(V, F): features of the nodes"
_EDGES = "index(V)[2, E]: sources above targets"
_OUT = "features of the result"
_IN = "features of a node; inferred if left out"
_BIAS = "add a learned number to each feature of the result"


@operator("GCNConv", source=f"Kipf & Welling 2017, arXiv:1609.02907; {DOCS}GCNConv.html")
class GCNConv(GraphConvolution):
    """Multiply each node with a learned matrix, and add up over its neighbours and itself: (V, F) -> (V, out_channels).

    An edge counts 1 over the square root of the degrees of its ends, loops included: D^-1/2 (A + I) D^-1/2 x W + b. `edge_weight`
    stands for the ones of A. A loop among the edges takes the place of the one that would be added.
    """

    x: TensorType = tensor(rank=2, doc=_X)
    edge_index: TensorType = tensor(dtype="index", rank=2, doc=_EDGES)
    edge_weight: TensorType | None = tensor(rank=1, optional=True, doc="(E,): how much each edge counts, 1 if not given")
    out_channels: Dim = attribute(Size(), ge=1, doc=_OUT)
    improved: bool = attribute(Flag(), False, doc="added loops count 2: A + 2 I")
    add_self_loops: bool | None = attribute(Maybe(Flag()), None, doc="add a loop at each node; none: where `normalize` is true")
    normalize: bool = attribute(Flag(), True, doc="divide by the square root of the degrees of both ends")
    bias: bool = attribute(Flag(), True, doc=_BIAS)
    in_channels: Dim | None = attribute(Maybe(Size()), None, keyword_only=True, doc=_IN)

    @property
    def loops(self) -> bool:
        """Whether loops are added."""
        return self.normalize if self.add_self_loops is None else self.add_self_loops

    def infer(self) -> Inferred:
        if self.loops and not self.normalize:
            message = "loops are added where edges are normalized, and `normalize` is false"
            raise Refusal("NN105", message, "add_self_loops")
        inferred = super().infer()
        if self.edge_weight is None:
            return inferred
        if self.edge_weight.dtype != self.x.dtype:
            message = f"`GCNConv` needs one element type, got {self.x} and {self.edge_weight}"
            raise Refusal("NN204", message, "edge_weight")
        weights, edges = self.edge_weight.dims[0], self.edge_index.dims[1]
        message = f"{format_dim(weights)} weights for {format_dim(edges)} edges"
        found = () if weights == edges else (Obligation(equal(weights, edges), "NN201", "edge_weight", message),)
        return inferred._replace(obligations=(*inferred.obligations, *found))

    def cost(self) -> Cost:
        """The matrix product: 2 V F out_channels. Adding up over edges is not counted, as no sum is."""
        return Cost(self._product(self.width, self.out_channels))

    def weights(self) -> tuple[Weight, ...]:
        matrix = self._weight("lin.weight", self.out_channels, self.width)
        return (self._weight("bias", self.out_channels), matrix) if self.bias else (matrix,)

    def lower(self) -> TorchCall:
        settings = self.attributes() | {"in_channels": self.width, "add_self_loops": self.loops}
        weight = () if self.edge_weight is None else (Ref("edge_weight"),)
        return call_module(f"{MODULES}.GCNConv", Ref("x"), Ref("edge_index"), *weight, settings=settings)


@operator("GATConv", source=f"Velickovic et al. 2018, arXiv:1710.10903; {DOCS}GATConv.html")
class GATConv(GraphConvolution):
    """Mix each node's neighbours by attention, `heads` times: (V, F) -> (V, heads * out_channels), or (V, out_channels) in the mean.

    An edge scores LeakyReLU(att_src . W x_source + att_dst . W x_target), and a softmax over what arrives at a node makes shares of
    the scores.
    """

    mode_dependent = True

    x: TensorType = tensor(rank=2, doc=_X)
    edge_index: TensorType = tensor(dtype="index", rank=2, doc=_EDGES)
    out_channels: Dim = attribute(Size(), ge=1, doc="features of the result, of each head")
    heads: Dim = attribute(Size(), 1, ge=1, doc="attentions side by side")
    concat: bool = attribute(Flag(), True, doc="heads side by side; else their mean")
    negative_slope: float = attribute(Real(), 0.2, doc="slope of LeakyReLU below 0")
    dropout: float = attribute(Real(), 0.0, ge=0, le=1, doc="share of edges dropped in training, after the softmax")
    add_self_loops: bool = attribute(Flag(), True, doc="each node looks at itself, too")
    bias: bool = attribute(Flag(), True, doc=_BIAS)
    residual: bool = attribute(Flag(), False, doc="add a product of the node itself")
    in_channels: Dim | None = attribute(Maybe(Size()), None, keyword_only=True, doc=_IN)

    @property
    def result_width(self) -> Dim:
        return self.heads * self.out_channels if self.concat else self.out_channels

    def cost(self) -> Cost:
        """The matrix products: 2 V F heads out_channels, and that of the residual."""
        flop = self._product(self.width, self.heads * self.out_channels)
        return Cost(flop + self._product(self.width, self.result_width) if self.residual else flop)

    def weights(self) -> tuple[Weight, ...]:
        entries = [self._weight(name, 1, self.heads, self.out_channels) for name in ("att_src", "att_dst")]
        if self.bias:
            entries.append(self._weight("bias", self.result_width))
        entries.append(self._weight("lin.weight", self.heads * self.out_channels, self.width))
        if self.residual:
            entries.append(self._weight("res.weight", self.result_width, self.width))
        return tuple(entries)


@operator("SAGEConv", source=f"Hamilton et al. 2017, arXiv:1706.02216; {DOCS}SAGEConv.html")
class SAGEConv(GraphConvolution):
    """A product of each node's neighbours, in the mean, and one of the node itself: W_l mean(x_neighbours) + b + W_r x."""

    x: TensorType = tensor(rank=2, doc=_X)
    edge_index: TensorType = tensor(dtype="index", rank=2, doc=_EDGES)
    out_channels: Dim = attribute(Size(), ge=1, doc=_OUT)
    aggr: str = attribute(
        Choice("mean", "sum", "add", "max", "min"), "mean", doc="what is made of the neighbours; 0 where there are none"
    )
    normalize: bool = attribute(Flag(), False, doc="bring each node's result to length 1")
    root_weight: bool = attribute(Flag(), True, doc="add the product of the node itself")
    project: bool = attribute(Flag(), False, doc="a layer and a ReLU before neighbours are read")
    bias: bool = attribute(Flag(), True, doc=_BIAS)
    in_channels: Dim | None = attribute(Maybe(Size()), None, keyword_only=True, doc=_IN)

    @property
    def product_first(self) -> bool:
        """Whether the product is made before neighbours are read: sums and means are linear, and then less is carried over the edges."""
        narrower = isinstance(self.out_channels, int) and isinstance(self.width, int) and self.out_channels < self.width
        return self.aggr not in ("max", "min") and narrower

    def cost(self) -> Cost:
        """The matrix products: 2 V F out_channels for each, and 2 V F F with `project`."""
        one = self._product(self.width, self.out_channels)
        before = self._product(self.width, self.width) if self.project else 0
        return Cost(before + (2 if self.root_weight else 1) * one)

    def lower(self) -> TorchCall:
        settings = self.attributes() | {"in_channels": self.width, "product_first": self.product_first}
        return call_module(f"{MODULES}.SAGEConv", Ref("x"), Ref("edge_index"), settings=settings)

    def weights(self) -> tuple[Weight, ...]:
        entries = []
        if self.project:
            entries += [self._weight("lin.weight", self.width, self.width), self._weight("lin.bias", self.width)]
        entries.append(self._weight("lin_l.weight", self.out_channels, self.width))
        if self.bias:
            entries.append(self._weight("lin_l.bias", self.out_channels))
        if self.root_weight:
            entries.append(self._weight("lin_r.weight", self.out_channels, self.width))
        return tuple(entries)
