"""The arithmetic of twenty-seven shape questions, each with its answer written out and then counted through."""

from __future__ import annotations

from itertools import pairwise
from itertools import product as combinations

import pytest

from nnspec.dims import Dim, as_var, ceil_div, evaluate, format_dim, symbol
from nnspec.dims.claims import AllOf, AnyOf, Claim, Relation, at_least, broadcastable, divisible, equal, holds
from nnspec.dims.conditions import Verdict, as_claim, as_where, describe
from nnspec.dims.facts import Facts

SIZES = range(1, 401)


def conv(size: Dim, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> Dim:
    return (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1


def conv_transpose(size: Dim, kernel: int, stride: int, padding: int, output_padding: int = 0) -> Dim:
    return (size - 1) * stride - 2 * padding + kernel + output_padding


def ceil_pool(size: Dim, kernel: int, stride: int, padding: int = 0) -> Dim:
    return ceil_div(size + padding + min(0, padding - kernel + stride), stride)


def decided(claim: Claim, *symbols: Dim, facts: Facts | None = None, top: int = 400) -> Verdict:
    """The verdict, after it has been compared with the claim at every size."""
    facts = facts or Facts()
    verdict = facts.decide(claim)
    names = [variable for variable in map(as_var, symbols) if variable is not None]
    condition = None if verdict.condition is None else as_claim(verdict.condition)
    failing = []
    for sizes in combinations(range(1, top + 1), repeat=len(names)):
        values = dict(zip(names, sizes, strict=True))
        if any(size not in facts.domain(name) for name, size in values.items()):
            continue
        true = holds(claim, values)
        if not true:
            failing.append(values)
        if verdict.kind in ("true", "false"):
            assert true == (verdict.kind == "true"), values
        else:
            assert verdict.kind == "iff"
            assert condition is not None
            assert holds(condition, values) == true, values
    if verdict.kind == "true":
        assert not failing
        assert verdict.witness is None
    elif len(names) == 1:
        assert verdict.witness == failing[0]
    else:
        assert verdict.witness in failing
    return verdict


def said(verdict: Verdict) -> str:
    assert verdict.kind == "iff"
    assert verdict.condition is not None
    return describe(verdict.condition)


def always(left: Dim, right: Dim, *symbols: Dim) -> None:
    assert decided(equal(left, right), *symbols, top=400 if len(symbols) == 1 else 40).kind == "true"


def test_01_same_padding() -> None:
    length = symbol("L")
    always(conv(length + 3, 4), length, length)  # asymmetric: 1 before, 2 after
    always(conv(length, 2, 2), length // 2, length)
    assert said(decided(equal(ceil_div(length, 2), length // 2), length)) == "multiple of 2"


def test_02_dilation() -> None:
    length = symbol("L")
    always(conv(length, 3, padding=2, dilation=2), length, length)
    assert conv(length, 3, dilation=4) == length - 8
    assert said(decided(at_least(conv(length, 3, dilation=4), 1), length)) == "at least 9"


def test_03_pool_ceil_mode() -> None:
    length = symbol("L")
    always(ceil_pool(length, 2, 2), (length + 1) // 2, length)
    always(ceil_pool(length, 3, 2), length // 2, length)
    always(ceil_pool(length, 3, 2, 1), length // 2 + 1, length)
    always(ceil_pool(length, 1, 3), (length + 2) // 3, length)
    verdict = decided(equal(ceil_pool(length, 3, 2, 1), conv(length, 3, 2, 1)), length)
    assert said(verdict) == "2*k + 1 (odd)"


def test_04_down_and_up_with_output_padding() -> None:
    height = symbol("H")
    down = conv(height, 3, 2, 1)
    even = equal(conv_transpose(down, 3, 2, 1, 1), height)
    odd = equal(conv_transpose(down, 3, 2, 1), height)
    assert said(decided(even, height)) == "multiple of 2"
    assert said(decided(odd, height)) == "2*k + 1 (odd)"
    assert decided(AllOf((even, odd)), height).kind == "false"
    facts = Facts()
    assert facts.learn(even)
    assert not facts.learn(odd)
    assert facts.decide(even).kind == "true"


def test_04_four_levels_without_output_padding() -> None:
    height = symbol("H")
    sizes = [height]
    for _ in range(4):
        sizes.append(conv(sizes[-1], 3, 2, 1))
    facts, up = Facts(), sizes[-1]
    for skip in reversed(sizes[:-1]):
        assert facts.learn(equal(conv_transpose(up, 3, 2, 1), skip))
        up = skip
    variable = as_var(height)
    assert variable is not None
    assert [size for size in SIZES if size in facts.domain(variable)] == [size for size in SIZES if size % 16 == 1]
    assert facts.format(sizes[-1]) == "H//16 + 1"


def test_05_output_padding_below_stride_or_dilation() -> None:
    stride, dilation = symbol("s"), symbol("d")
    claim = AnyOf((Relation(1, "<", stride), Relation(1, "<", dilation)))
    verdict = decided(claim, stride, dilation, top=12)
    assert verdict.witness == {as_var(stride): 1, as_var(dilation): 1}
    facts = Facts()
    assert facts.declare(equal(stride, 1))
    assert said(facts.decide(claim)) == "at least 2"


def test_06_pixel_shuffle() -> None:
    channels, height, width, factor = symbol("C"), symbol("H"), symbol("W"), symbol("r")
    assert said(decided(divisible(channels, 4), channels)) == "multiple of 4"
    verdict = Facts().decide(AllOf((divisible(height, factor), divisible(width, factor))))
    assert verdict.kind == "iff"
    assert str(verdict.relation) == "H % r == 0 and W % r == 0"
    facts = Facts()
    facts.declare(divisible(channels, 4))
    assert facts.simplify(channels // 4 * 4) == channels


def test_07_lenet() -> None:
    height = symbol("H")
    side = conv(conv(height, 5) // 2, 5) // 2
    always(side, height // 4 - 3, height)
    verdict = decided(equal(16 * side**2, 400), height)
    assert said(verdict) == "exactly 32 to 35"
    assert verdict.condition is not None
    assert as_where(verdict.condition) == ["H >= 32", "H <= 35"]


def test_08_flatten_two_sides() -> None:
    height, width = symbol("H"), symbol("W")
    claim = equal(8 * (height // 2) * (width // 2), 392)
    verdict = decided(claim, height, width, top=60)
    assert str(verdict.relation) == "8*(H//2)*(W//2) == 392"
    facts = Facts()
    facts.declare(equal(height, width))
    assert said(facts.decide(claim)) == "exactly 14 or 15"


def test_09_reshape() -> None:
    batch, tokens, model = symbol("B"), symbol("N"), symbol("D")
    total = batch * tokens * model
    verdict = decided(divisible(total, batch * tokens * 12), batch, tokens, model, top=25)
    assert said(verdict) == "multiple of 12"
    facts = Facts()
    facts.learn(divisible(model, 12))
    assert facts.format(total // (batch * tokens * 12)) == "D//12"
    residual = decided(divisible(total, batch * 12), batch, tokens, model, top=15)
    assert str(residual.relation) == "(N*D) % 12 == 0"


def test_10_broadcast() -> None:
    a, b = symbol("A"), symbol("B")
    assert Facts().decide(broadcastable(a, 1)).kind == "true"
    verdict = decided(broadcastable(a, 4), a)
    assert said(verdict) == "exactly 1 or 4"
    assert verdict.condition is not None
    assert as_where(verdict.condition) == ["A == 1 or A == 4"]
    both = decided(broadcastable(a, b), a, b, top=30)
    assert str(both.relation) == "A == B or A == 1 or B == 1"
    facts = Facts()
    facts.learn(broadcastable(a, 4))
    assert facts.decide(Relation(a, "!=", 1)).kind == "iff"
    assert facts.decide(Relation(a, "!=", 2)).kind == "true"
    assert facts.learn(divisible(a, 2))
    assert facts.simplify(a) == 4
    assert str(decided(equal(a, b), a, b, top=30).relation) == "A == B"


def test_11_heads() -> None:
    model, heads, queries, keys = symbol("D"), symbol("heads"), symbol("q_heads"), symbol("kv_heads")
    assert Facts().decide(divisible(768, 12)).kind == "true"
    assert Facts().decide(divisible(770, 12)).kind == "false"
    assert Facts().decide(divisible(8, 3)).kind == "false"
    assert str(decided(divisible(model, heads), model, heads, top=40).relation) == "D % heads == 0"
    assert str(decided(divisible(queries, keys), queries, keys, top=40).relation) == "q_heads % kv_heads == 0"
    facts = Facts()
    assert facts.declare(divisible(model, heads))
    assert facts.simplify(model // heads * heads) == model
    assert facts.decide(divisible(3 * model, heads)).kind == "true"
    assert facts.format(model // heads) == "D//heads"


def test_12_groups() -> None:
    channels = symbol("C")
    assert said(decided(divisible(64 + channels, 32), channels)) == "multiple of 32"
    assert Facts().decide(AllOf((divisible(6, 4), divisible(8, 4)))).kind == "false"


def test_13_concat_and_split() -> None:
    first, second = symbol("C1"), symbol("C2")
    assert str(decided(divisible(first + second, 2), first, second, top=40).relation) == "(C1 + C2) % 2 == 0"
    assert decided(divisible(first + first, 2), first).kind == "true"
    assert said(decided(divisible(3 * first, 2), first)) == "multiple of 2"


def test_14_chunk() -> None:
    size, parts = symbol("D"), symbol("n")
    assert said(decided(divisible(size, 3), size)) == "multiple of 3"
    assert Facts().decide(divisible(4, 3)).kind == "false"
    assert ceil_div(4, ceil_div(4, 3)) == 2  # what torch gives for chunk(3) of 4
    assert decided(divisible(size, parts), size, parts, top=40).kind == "iff"


def test_15_adaptive_pool() -> None:
    height = symbol("H")
    starts = [cell * height // 7 for cell in range(7)]
    ends = [ceil_div((cell + 1) * height, 7) for cell in range(7)]
    for start, end in zip(starts, ends, strict=True):
        assert decided(at_least(end - start, 1), height).kind == "true"
    assert starts[0] == 0
    assert ends[6] == height


def test_16_recurrent_widths() -> None:
    hidden, projected = symbol("h"), symbol("p")
    assert hidden + hidden == 2 * hidden
    claim = Relation(projected, "<", hidden)
    assert str(decided(claim, projected, hidden, top=40).relation) == "p < h"
    assert Facts().decide(equal(2 * hidden, 2 * projected)).kind == "iff"


def test_17_einsum() -> None:
    inner = symbol("K")
    assert said(decided(equal(inner, 5), inner)) == "exactly 5"
    assert said(decided(broadcastable(inner, 5), inner)) == "exactly 1 or 5"
    rows, columns = symbol("R"), symbol("C")
    facts = Facts()
    assert facts.learn(equal(rows, columns))
    assert facts.decide(equal(rows * columns, rows**2)).kind == "true"


def test_18_attention_mask() -> None:
    queries, keys = symbol("Lq"), symbol("Lk")
    assert Facts().decide(AllOf((broadcastable(queries, queries), broadcastable(keys, 1)))).kind == "true"
    verdict = decided(broadcastable(keys, queries), queries, keys, top=30)
    assert verdict.kind == "iff"
    facts = Facts()
    facts.declare(at_least(queries, 2))
    facts.declare(at_least(keys, 2))
    assert str(facts.decide(broadcastable(queries, keys)).relation) == "Lq == Lk"


def test_19_graph_sizes() -> None:
    nodes, edges, graphs = symbol("N"), symbol("E", minimum=0), symbol("G", kind="exist")
    assert Facts().decide(at_least(nodes, 1)).kind == "true"
    verdict = Facts().decide(at_least(edges, 1))
    assert said(verdict) == "at least 1"
    assert verdict.witness == {as_var(edges): 0}
    assert Facts().decide(equal(graphs, nodes)).kind == "iff"
    assert Facts().decide(at_least(edges + nodes, 1)).kind == "true"


def test_20_patches() -> None:
    height, width = symbol("H"), symbol("W")
    facts = Facts()
    facts.declare(equal(height, width))
    tokens = conv(height, 16, 16) * conv(width, 16, 16)
    assert said(facts.decide(equal(tokens, 196))) == "exactly 224 to 239"
    decided(equal((height // 16) ** 2, 196), height)
    facts.learn(divisible(height, 16))
    assert said(facts.decide(equal(tokens, 196))) == "exactly 224"


def test_21_windows() -> None:
    height, width = symbol("H"), symbol("W")
    verdict = decided(equal(height * width, 49 * (height // 7) * (width // 7)), height, width, top=50)
    assert said(verdict) == "H: multiple of 7; W: multiple of 7"
    assert said(decided(divisible(height // 4, 7), height)) == "H % 28 < 4"
    facts = Facts()
    facts.declare(divisible(height, 32))
    for stage in (4, 8, 16, 32):
        assert facts.learn(divisible(height // stage, 7))
    variable = as_var(height)
    assert variable is not None
    assert [size for size in range(1, 2000) if size in facts.domain(variable)] == list(range(224, 2000, 224))


def test_22_residual_shortcut() -> None:
    height = symbol("H")
    always(conv(height, 3, 2, 1), conv(height, 1, 2), height)
    assert decided(equal(conv(height, 3, 2), conv(height, 1, 2)), height).kind == "false"


@pytest.mark.parametrize(("factor", "levels", "multiple"), [(3, 3, 27), (4, 1, 4), (2, 4, 16)])
def test_23_down_and_up(factor: int, levels: int, multiple: int) -> None:
    height = symbol("H")
    sizes = [height]
    for _ in range(levels):
        sizes.append(sizes[-1] // factor)
    claim = AllOf(tuple(equal(factor * low, high) for high, low in pairwise(sizes)))
    verdict = decided(claim, height)
    assert said(verdict) == f"multiple of {multiple}"
    assert verdict.condition is not None
    assert as_where(verdict.condition) == [f"H % {multiple} == 0"]


def test_24_feature_pyramid() -> None:
    height = symbol("H")
    claim = equal(2 * ceil_div(height, 32), ceil_div(height, 16))
    assert said(decided(claim, height)) == "H % 32 == 0 or H % 32 >= 17"
    facts = Facts()
    facts.learn(claim)
    assert facts.decide(claim).kind == "true"
    assert said(decided(divisible(height, 16), height, facts=facts)) == "multiple of 16"
    facts.learn(divisible(height, 16))
    assert facts.decide(divisible(height, 32)).kind == "true"


def test_25_valid_unet() -> None:
    height = symbol("H")
    sizes = [height]
    for _ in range(4):
        sizes.append(conv(conv(sizes[-1], 3), 3))
        sizes.append(sizes[-1] // 2)
    size = conv(conv(sizes[-1], 3), 3)
    for _ in range(4):
        size = conv(conv(2 * size, 3), 3)
    assert format_dim(size) == "16*((H + 4)//16) - 188"
    variable = as_var(height)
    assert variable is not None
    assert evaluate(size, {variable: 572}) == 388
    assert said(decided(at_least(size, 1), height)) == "at least 188"
    crops = [conv(conv(sizes[2 * level], 3), 3) for level in range(4)]
    up = conv(conv(sizes[-1], 3), 3)
    claims = []
    for skip in reversed(crops):
        claims.append(divisible(skip - 2 * up, 2))
        up = conv(conv(2 * up, 3), 3)
    assert said(decided(AllOf(tuple(claims)), height)) == "16*k + 12"


def test_26_frames() -> None:
    samples = symbol("T")
    frames = conv(samples, 400, 160)
    always(frames, (samples + 80) // 160 - 2, samples)
    back = conv_transpose(frames, 400, 160, 0)
    verdict = decided(equal(back, samples), samples)
    assert said(verdict) == "160*k + 80"
    assert verdict.condition is not None
    assert as_where(verdict.condition) == ["T % 160 == 80"]


def test_27_even_kernel_and_five_pools() -> None:
    height = symbol("H")
    assert decided(equal(conv(height, 2, padding=1), height), height).kind == "false"
    side: Dim = height
    for _ in range(5):
        side = side // 2
    verdict = decided(at_least(side, 1), height)
    assert said(verdict) == "at least 32"
    assert holds(at_least(side, 1), {as_var(height): 28}) is False  # type: ignore[dict-item]


def test_all_of_some_claims_is_not_any_of_them() -> None:
    """Not even where claims are looked up: what was found out of one would else be taken for the other."""
    H = symbol("H")  # noqa: N806
    parts = (divisible(H, 2), divisible(H, 3))
    assert AllOf(parts) != AnyOf(parts)
    for first, then in ((AllOf(parts), AnyOf(parts)), (AnyOf(parts), AllOf(parts))):
        facts = Facts()
        assert facts.decide(first) != decided(then, H, facts=facts)
    facts = Facts()
    assert facts.learn(AnyOf(parts))
    assert facts.decide(AllOf(parts)).kind == "iff"
