"""What torch keeps of a forward pass for the backward pass, operator by operator: a table, and its sum over a graph. No torch.

The table says what torch's own formulas keep on a CPU, as counted by `torch.autograd.graph.saved_tensors_hooks`: results that are
there anyway (they live longer), and tensors that an operator makes for itself. An operator that is not in it is taken to keep all
that it reads and gives. Weights are not counted: they are there in any case.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from nnspec.dims import Dim, product
from nnspec.graph.gradients import WITHOUT_GRADIENT, own_weights
from nnspec.graph.ir import Graph, Node, ScanLoop, Value
from nnspec.types import DTYPE_BYTES, TensorType


class Kept(NamedTuple):
    """What a node keeps: values of the graph, and bytes of its own."""

    values: tuple[Value, ...] = ()
    own: Dim = 0


#: torch computes a gradient of zeros for these, and keeps what it takes.
_ZERO = ("floor", "ceil", "round", "sign")
#: Whether a gradient is computed for a value.
Needed = Callable[[Value], bool]
Rule = Callable[[Node, Needed], Kept]


def kept_by_node(graph: Graph, owner: Mapping[Value, Value]) -> dict[Node, Dim]:
    """The bytes that each node adds to what is kept, in the order in which they run: a value that two keep counts for the first.

    `owner` says in which value's memory a value lives; what lives in a weight's memory has no owner and does not count.
    """
    needed = gradients_needed(graph)
    held: set[Value] = set()
    found: dict[Node, Dim] = {}
    for node in graph.nodes:
        if not any(value in needed for value in node.outputs.values()):
            continue
        kept = kept_of(node, needed.__contains__)
        amount = kept.own
        for value in kept.values:
            root = owner.get(value)
            if root is not None and root not in held:
                held.add(root)
                amount = amount + root.type.bytes
        found[node] = amount
    return found


def gradients_needed(graph: Graph) -> set[Value]:
    """The values that depend on a trainable weight by operations with a derivative."""
    trainable = {path for path, entry in graph.weights.items() if entry.trainable}
    needed: set[Value] = set()
    for node in graph.nodes:
        if node.operator.name in WITHOUT_GRADIENT and node.operator.name not in _ZERO:
            continue
        if any(path in trainable for path in own_weights(node)) or any(read in needed for read in node.reads()):
            needed.update(value for value in node.outputs.values() if value.type.is_float)
    return needed


def kept_of(node: Node, needed: Needed) -> Kept:
    """What torch keeps of one node; `needed` says for which of its values a gradient is computed."""
    if isinstance(node.operator, ScanLoop):
        return _scan(node, node.operator)
    rule = _RULES.get(node.operator.name.replace("_", "").lower())
    return rule(node, needed) if rule is not None else Kept((*node.reads(), *node.outputs.values()))


def _scan(node: Node, loop: ScanLoop) -> Kept:
    """What its body keeps, once for each slice. A slice is a view, and the next state is the state of the next slice."""
    from nnspec.graph.memory import memory_owners

    body = loop.body
    owner = memory_owners(body)
    for entry in body.inputs:
        after = body.outputs.get(f"next.{entry.name}")
        if after is not None:
            owner[entry.value] = owner.get(after, after)
        else:
            del owner[entry.value]
    every: Dim = 0
    for amount in kept_by_node(body, owner).values():
        every = every + amount
    (given,) = _named(node, ("input",))
    return Kept((given, *_named(node, loop.captures)), every * given.type.dims[loop.dim])


# --- rules --------------------------------------------------------------------------------------------------------------------


def _named(node: Node, names: tuple[str, ...]) -> Iterator[Value]:
    """The values of these names: what is read in a field, or a result."""
    for name in names:
        read = node.inputs.get(name, node.outputs.get(name))
        if isinstance(read, tuple):
            yield from read
        elif read is not None:
            yield read


def _keeps(*names: str, own: Callable[[Any], Dim] | None = None) -> Rule:
    """Fields and results by name, and so many bytes of the operator's own."""
    return lambda node, needed: Kept(tuple(_named(node, names)), own(node.operator) if own is not None else 0)


def _product(*names: str) -> Rule:
    """A factor is kept where a gradient of another one is needed."""

    def rule(node: Node, needed: Needed) -> Kept:
        factors = tuple(_named(node, names))
        kept = [
            factor for place, factor in enumerate(factors)
            if any(needed(other) for at, other in enumerate(factors) if at != place)
        ]  # fmt: skip
        return Kept(tuple(kept))

    return rule


def _quotient(node: Node, needed: Needed) -> Kept:
    """The divisor, and the dividend where a gradient of the divisor is needed; 1 / x keeps the reciprocal."""
    dividend, divisor = node.inputs.get("input"), node.inputs.get("other")
    if not isinstance(divisor, Value):
        return Kept()
    if not isinstance(dividend, Value):
        return Kept((), divisor.type.bytes)
    return Kept((divisor, dividend) if needed(divisor) else (divisor,))


def _bytes(type: TensorType, *dims: Dim) -> Dim:
    return product(dims) * DTYPE_BYTES[type.dtype]


def _same(operator: Any) -> Dim:
    return operator.input.bytes  # type: ignore[no-any-return]  # an operator's fields are not typed


def _by_sample_and_channel(operator: Any) -> Dim:
    return _bytes(operator.input, *operator.input.dims[:2])


def _instances(operator: Any) -> Dim:
    """Mean and deviation of each channel of each sample, and where there are weights, one copy of them a sample."""
    return (3 if operator.affine else 2) * _by_sample_and_channel(operator)


def _rows(operator: Any) -> Dim:
    """One number for each vector that is normalized."""
    return _bytes(operator.input, *operator.input.dims[: operator.input.rank - len(operator.shape)])


def _groups(operator: Any) -> Dim:
    return 2 * _bytes(operator.input, operator.input.dims[0], operator.num_groups)


def _places(operator: Any) -> Dim:
    """The place of each largest element, as int64."""
    return operator.infer().outputs["output"].size * DTYPE_BYTES["int64"]  # type: ignore[no-any-return]


def _adaptive_mean(node: Node, needed: Needed) -> Kept:
    """A single part is a mean, which keeps nothing."""
    whole = all(size == 1 for size in node.operator.__dict__["output_size"])
    return Kept() if whole else Kept(tuple(_named(node, ("input",))))


def _masked_mean(node: Node, needed: Needed) -> Kept:
    mask = tuple(_named(node, ("keep",)))
    return Kept(mask, node.carried.type.size * DTYPE_BYTES["int64"]) if mask else Kept()


def _pad(node: Node, needed: Needed) -> Kept:
    return Kept() if node.operator.__dict__["mode"] in ("constant", "circular") else Kept(tuple(_named(node, ("input",))))


def _power(node: Node, needed: Needed) -> Kept:
    """Base and, where it is a tensor, exponent; the result where a gradient of the exponent is needed."""
    exponent = node.inputs.get("other")
    names = ("input", "other", "output") if isinstance(exponent, Value) and needed(exponent) else ("input", "other")
    return Kept(tuple(_named(node, names)))


# --- attention and recurrence -------------------------------------------------------------------------------------------------


def _attention(node: Node, needed: Needed) -> Kept:
    """Input; queries, keys and values; what was attended to; the logarithm of each query's sum.

    With dropout torch computes the weights one by one: twice before it (with the mask of what is dropped), once after.
    """
    operator: Any = node.operator
    width = operator.input.dims[-1]
    samples, steps = operator.input.dims[:2]
    memory = node.inputs.get("memory")
    source = memory.type.dims[1] if isinstance(memory, Value) else steps
    own = _bytes(operator.input, samples, 2 * steps + 2 * source, width)
    pairs = _bytes(operator.input, samples, operator.heads, steps, source)
    sums = _bytes(operator.input, samples, operator.heads, steps)
    own = own + (3 * pairs if operator.dropout else sums)
    mask = node.inputs.get("keep")
    return Kept(tuple(_named(node, ("input", "memory"))), own + (mask.type.size * 4 if isinstance(mask, Value) else 0))


def _scaled_dot_product(node: Node, needed: Needed) -> Kept:
    operator: Any = node.operator
    query, steps = operator.query, operator.key.dims[-2]
    pairs = _bytes(query, *query.dims[:-1], steps)
    dropped = operator.dropout_p > 0
    own = 3 * pairs + query.bytes + operator.key.bytes if dropped else _bytes(query, *query.dims[:-1])
    return Kept(tuple(_named(node, ("value",) if dropped else ("query", "key", "value", "output"))), own)


def _recurrent(node: Node, needed: Needed) -> Kept:
    """Each layer's input, and at each step so many vectors of the state's width: gates, states and what they are made of.

    For an LSTM it is the workspace of oneDNN, whose layout is its own: 16.5 vectors and 16 KiB were found by measuring. Padded
    sequences are packed, for which the places of samples and the sizes of steps are kept.
    """
    operator: Any = node.operator
    samples, steps, _ = operator.input.dims
    vector = _bytes(operator.input, samples, operator.hidden_size)
    if operator.name == "LSTM":
        every = steps * samples * operator.hidden_size * (33 * DTYPE_BYTES[operator.input.dtype] // 2) + 16 * 1024
    else:
        every = vector * 7 * steps if operator.name == "GRU" else vector * (steps + 1)
    inner = _bytes(operator.input, samples, steps, operator.directions * operator.width)
    copies = 1 if operator.name == "LSTM" or "lengths" in node.inputs else operator.directions
    packed = (2 * samples + steps) * DTYPE_BYTES["int64"] if "lengths" in node.inputs else 0
    own = (
        copies * operator.input.bytes
        + (operator.num_layers - 1) * inner
        + operator.num_layers * operator.directions * every
        + packed
    )
    return Kept(tuple(_named(node, ("h_0", "c_0"))), own)


def _cell(node: Node, needed: Needed) -> Kept:
    operator: Any = node.operator
    every = {"LSTMCell": 6, "GRUCell": 7, "RNNCell": 1}[operator.name]
    own = _bytes(operator.input, operator.input.dims[0], every * operator.hidden_size)
    return Kept(tuple(_named(node, ("input", *(("h_1",) if operator.name == "RNNCell" else ())))), own)


# --- graphs -------------------------------------------------------------------------------------------------------------------


def _edges(operator: Any, loops: bool) -> Dim:
    """How many edges are read, loops that are added included."""
    edges: Dim = operator.edge_index.dims[1]
    return edges + operator.x.dims[0] if loops else edges


def _graph_convolution(node: Node, needed: Needed) -> Kept:
    """Input, edges, and what each edge counts; where that is learned, what it is made of and the messages, too."""
    operator: Any = node.operator
    x, edges = operator.x, _edges(operator, operator.loops)
    weight = node.inputs.get("edge_weight")
    if not operator.normalize:
        values = tuple(_named(node, ("x", "edge_index", "edge_weight")))
        learned = isinstance(weight, Value) and needed(weight)
        return Kept(values, _bytes(x, edges, operator.out_channels) if learned else 0)
    places = 2 * edges * DTYPE_BYTES["int64"] if operator.loops else 0
    values = tuple(_named(node, ("x",) if operator.loops else ("x", "edge_index")))
    own = places + _bytes(x, edges)
    if isinstance(weight, Value) and needed(weight):
        nodes, read = x.dims[0], operator.edge_index.dims[1]
        own = own + _bytes(x, edges, operator.out_channels) + 4 * _bytes(x, edges) + _bytes(x, nodes) + 2 * nodes
        if operator.loops:
            return Kept((*values, *_named(node, ("edge_index",))), own + 2 * read + _bytes(x, nodes) + nodes)
    return Kept(values, own)


def _graph_attention(node: Node, needed: Needed) -> Kept:
    """Input and its product; of each edge the score, two terms and the quotient of the softmax, and the messages; with dropout a mask."""
    operator: Any = node.operator
    x, loops, heads = operator.x, operator.add_self_loops, operator.heads
    edges = _edges(operator, loops)
    own = _bytes(x, x.dims[0], heads, operator.out_channels) + _bytes(x, edges, heads, operator.out_channels)
    own = own + (5 if operator.dropout else 4) * _bytes(x, edges, heads)
    places = edges * (2 * DTYPE_BYTES["int64"] + 1)
    return Kept(tuple(_named(node, ("x",) if loops else ("x", "edge_index"))), own + places if loops else own)


def _neighbours(node: Node, needed: Needed) -> Kept:
    """Input and what the neighbours come to; what that was made of where its gradient is needed. A product that is made first needs it."""
    operator: Any = node.operator
    x, given = operator.x, node.inputs["x"]
    nodes, features = x.dims
    lengths = _bytes(x, nodes, operator.out_channels) + 2 * _bytes(x, nodes) if operator.normalize else 0
    if operator.product_first:
        own = (_bytes(x, nodes, features) if operator.project else 0) + (_bytes(x, nodes) if operator.aggr == "mean" else 0)
        return Kept(tuple(_named(node, ("x", "edge_index"))), own + lengths)
    own = _bytes(x, nodes, features)
    values = tuple(_named(node, ("x",) if operator.root_weight or operator.project else ()))
    if operator.project or (isinstance(given, Value) and needed(given)):
        values = (*values, *_named(node, ("edge_index",)))
        if operator.aggr == "mean":
            own = own + _bytes(x, nodes)
        elif operator.aggr in ("max", "min"):
            own = own + _bytes(x, nodes, features) + _bytes(x, operator.edge_index.dims[1], features)
        own = own + (_bytes(x, nodes, features) if operator.project else 0)
    return Kept(values, own + lengths)


def _log_probabilities(operator: Any) -> Dim:
    """The logarithms of the softmax, the sum of the targets' weights, and where some targets do not count a copy of all."""
    return _same(operator) + 4 + (operator.target.bytes if operator.keep is not None else 0)


def _sines(operator: Any) -> Dim:
    return _bytes(operator.input, *operator.input.dims[-2:])


_NOTHING = _keeps()
_INPUT = _keeps("input")
_OUTPUT = _keeps("output")
_BOTH = _keeps("input", "output")

_TABLE: dict[str, Rule] = {
    "relu sigmoid tanh softmax softmin softmax2d logsoftmax exp sqrt rsqrt reciprocal": _OUTPUT,
    "linear conv1d conv2d conv3d convtranspose1d convtranspose2d convtranspose3d embedding relu6 leakyrelu prelu elu selu celu gelu "
    "silu mish softplus hardtanh hardsigmoid hardswish hardshrink softshrink threshold glu avgpool1d avgpool2d avgpool3d abs square log "
    "log1p sin cos erf clamp reflectionpad1d reflectionpad2d reflectionpad3d replicationpad1d replicationpad2d replicationpad3d "
    "var": _INPUT,
    "amax amin std norm logsumexp prod": _BOTH,
    "add sub neg floor ceil round sign concat stack sum upsample interpolate pixelshuffle pixelunshuffle channelshuffle cumsum flip roll tile "
    "repeatinterleave tril triu float32 float64 zeropad1d zeropad2d zeropad3d constantpad1d constantpad2d constantpad3d circularpad1d "
    "circularpad2d circularpad3d addpositions sinusoidalpositions weight identity flatten unflatten reshape transpose permute movedim "
    "squeeze unsqueeze expand narrow select subscript split chunk centercrop": _NOTHING,
    "batchnorm1d batchnorm2d batchnorm3d": _keeps("input", own=lambda operator: 2 * _bytes(operator.input, operator.input.dims[1])),
    "instancenorm1d instancenorm2d instancenorm3d": _keeps("input", own=_instances),
    "layernorm": _keeps("input", own=lambda operator: 2 * _rows(operator)),
    "rmsnorm": _keeps("input", own=lambda operator: _rows(operator) + _same(operator)),
    "groupnorm": _keeps("input", own=_groups),
    "localresponsenorm": _keeps("input", own=lambda operator: 4 * _same(operator)),
    "logsigmoid softsign": _keeps("input", own=_same),
    "tanhshrink": _keeps(own=_same),
    "dropout alphadropout": lambda node, needed: Kept((), node.carried.type.bytes if node.operator.__dict__["p"] else 0),
    "dropout1d dropout2d dropout3d featurealphadropout": _keeps(own=_by_sample_and_channel),
    "maxpool1d maxpool2d maxpool3d adaptivemaxpool1d adaptivemaxpool2d adaptivemaxpool3d": _keeps("input", own=_places),
    "adaptiveavgpool1d adaptiveavgpool2d adaptiveavgpool3d": _adaptive_mean,
    "mul matmul einsum outer": _product("input", "other", "operands", "vec2"),
    "div": _quotient, "pad": _pad, "pow": _power, "maximum minimum": _keeps("input", "other"), "bilinear": _keeps("input1", "input2"),
    "where": _keeps("condition"), "maskedfill": _keeps("mask"), "mean": _masked_mean, "topk sort median": _keeps("indices"),
    "indexselect": _keeps("index"), "gather": _keeps("input", "index"), "takealongdim": _keeps("input", "indices"),
    "pick": _keeps("values", "index"),
    "scatter": _keeps("index"), "rotary": _keeps(own=_sines),
    "selfattention crossattention": _attention, "scaleddotproductattention": _scaled_dot_product,
    "gcnconv": _graph_convolution, "gatconv": _graph_attention, "sageconv": _neighbours,
    "linearcrossentropy": _keeps("target"), "crossentropy": _keeps("target", own=_log_probabilities),
    "nllloss": _keeps("input", "target"), "l1loss": _keeps(own=_same),
    "mseloss smoothl1loss huberloss binarycrossentropy binarycrossentropywithlogits": _keeps("input", "target"),
    "lstm gru rnn": _recurrent, "lstmcell grucell rnncell": _cell,
}  # fmt: skip
_RULES = {name: rule for names, rule in _TABLE.items() for name in names.split()}
