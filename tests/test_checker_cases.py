"""Twenty-seven questions of shapes, asked as specs: the inferred types, the exact conditions on the inputs' sizes, or the error.

Wherever conditions are found, declaring them as the fix says leaves nothing to find.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from spec_files import ROOT

from nnspec.checker import Report, check_source
from nnspec.diagnostics import Diagnostic, Source

IMAGE = "x: float32[N, 8, H, W]"
SIGNAL = "x: float32[N, 4, L]"
ATTENTION = ("q: float32[B, h, Lq, d]", "k: float32[B, h, Lk, d]", "v: float32[B, h, Lk, dv]")


@dataclass(frozen=True)
class Case:
    """A network of these inputs and statements; what its outputs are, what it needs, or how it is refused."""

    inputs: str | tuple[str, ...]
    body: str
    #: The type of each output, in order.
    gives: tuple[str, ...] = ()
    #: The conditions of the fixes, one for each finding NN220.
    needs: tuple[str, ...] = ()
    #: The code of the only error, and a part of what it says.
    error: tuple[str, str] | None = None
    parameters: str = ""
    before: str = ""
    skip_codes: frozenset[str] = field(default=frozenset({"NN310"}))

    @property
    def text(self) -> str:
        inputs = (self.inputs,) if isinstance(self.inputs, str) else self.inputs
        lines = [
            f"network Net{self.parameters} {{",
            *(f"input {each}" for each in inputs),
            *self.body.strip().split("\n"),
            "}",
            "",
        ]
        return self.before + "\n".join(lines)


UP = "output x + (x -> Conv1d(4, 3, stride=2, padding=1) -> ConvTranspose1d(4, 3, stride=2, padding=1, output_padding={}))"
LEVELS = """
block Level(depth: int) {
  input x: float32[N, 4, L]
  output if depth == 0 then x
    else x + (x -> Conv1d(4, 3, stride=2, padding=1) -> Level(depth - 1) -> ConvTranspose1d(4, 3, stride=2, padding=1))
}
"""
LENET = "output x -> Conv2d(6, 5) -> MaxPool2d(2) -> Conv2d(16, 5) -> MaxPool2d(2) -> Flatten -> Linear(120, in_features=400)"
POOLED = "output x -> MaxPool2d(2) -> Flatten -> Linear(10, in_features=392)"
SPLIT = "a, b = concat({}, dim=1) -> split(2, dim=1)\noutput a\noutput b"
CHUNKS = "a, b, c = chunk(x, 3, dim=1)\noutput a\noutput b\noutput c"
PATCHES = "t{} = x -> Conv2d(384, 16, stride=16) -> flatten(2) -> transpose(1, 2)\noutput t"
REARRANGED = """
y = reshape(x, [N, 3, H // 16, 16, H // 16, 16]) -> permute([0, 2, 4, 1, 3, 5])
output y: float32[N, 14, 14, 3, 16, 16] = y
"""
WINDOWS = "reshape({0}, [N, 8, {0}.shape[2] // 7, 7, {0}.shape[3] // 7, 7])"
SWIN = "\n".join(f"y{s} = x -> Conv2d(8, {s}, stride={s})\noutput z{s} = {WINDOWS.format(f'y{s}')}" for s in (4, 8, 16, 32))
VALID_UNET = (ROOT / "specs/unet/unet_2015.nn").read_text(encoding="utf-8").split("network UNet2015")[0]
FRAMES = "y = x -> Conv1d(4, 400, stride=160)\n"
INVERSE = "ConvTranspose1d(4, 400, stride=160)"
VGG = "output x -> repeat 5 { Conv2d(8, 3, padding=1) -> MaxPool2d(2) }"

CASES = {
    "1 same, k 4": Case(
        SIGNAL, 'output x -> Conv1d(4, 4, padding="same")', ("float32[N, 4, L]",), skip_codes=frozenset({"NN614"})
    ),
    "1 same, stride 2": Case(SIGNAL, 'output x -> Conv1d(4, 3, stride=2, padding="same")', error=("NN107", "stride")),
    "1 halved by a number": Case(SIGNAL, "output x -> Conv1d(4, 3, stride=2, padding=1)", ("float32[N, 4, (L + 1)//2]",)),
    "2 dilation, padded": Case(SIGNAL, "output x -> Conv1d(4, 3, dilation=2, padding=2)", ("float32[N, 4, L]",)),
    "2 dilation": Case(SIGNAL, "output x -> Conv1d(4, 3, dilation=4)", ("float32[N, 4, L - 8]",), ("L >= 9",)),
    "3 ceil mode, k 2": Case(SIGNAL, "output x -> MaxPool1d(2, ceil_mode=true)", ("float32[N, 4, (L + 1)//2]",)),
    "3 ceil mode, k 3 s 2": Case(SIGNAL, "output x -> MaxPool1d(3, stride=2, ceil_mode=true)", ("float32[N, 4, L//2]",), ("L >= 2",)),
    "3 ceil mode, k 3 s 2 p 1": Case(
        SIGNAL, "output x -> MaxPool1d(3, stride=2, padding=1, ceil_mode=true)", ("float32[N, 4, L//2 + 1]",)
    ),
    "3 ceil mode, k 1 s 3": Case(SIGNAL, "output x -> MaxPool1d(1, stride=3, ceil_mode=true)", ("float32[N, 4, (L + 2)//3]",)),
    "3 ceil mode against floor": Case(
        SIGNAL,
        "output (x -> MaxPool1d(3, stride=2, padding=1, ceil_mode=true)) + (x -> MaxPool1d(3, stride=2, padding=1))",
        ("float32[N, 4, L//2 + 1]",), ("L % 2 == 1",),
    ),
    "4 down and up, padded": Case(SIGNAL, UP.format(1), ("float32[N, 4, L]",), ("L % 2 == 0",)),
    "4 down and up": Case(SIGNAL, UP.format(0), ("float32[N, 4, L]",), ("L % 2 == 1",)),
    "4 four levels": Case(SIGNAL, "output x -> Level(4)", ("float32[N, 4, L]",), ("L % 16 == 1",), before=LEVELS),
    "4 one of each": Case(
        SIGNAL, UP.format(1).replace("output x", "a = x") + "\n" + UP.format(0).replace("output x", "output a"), error=("NN222", "no size")
    ),
    "5 output padding, stride 1": Case(SIGNAL, "output x -> ConvTranspose1d(4, 3, padding=1, output_padding=1)", error=("NN107", "stride")),
    "5 output padding, dilation 2": Case(
        SIGNAL, "output x -> ConvTranspose1d(4, 3, padding=1, output_padding=1, dilation=2)", ("float32[N, 4, L + 3]",)
    ),
    "6 pixel shuffle": Case("x: float32[N, C, H, W]", "output x -> PixelShuffle(2)", ("float32[N, C//4, 2*H, 2*W]",), ("C % 4 == 0",)),
    "6 pixel unshuffle": Case(
        "x: float32[N, C, H, W]", "output x -> PixelUnshuffle(3)", ("float32[N, 9*C, H//3, W//3]",), ("H % 3 == 0", "W % 3 == 0")
    ),
    "7 LeNet": Case("x: float32[N, 1, H, H]", LENET, ("float32[N, 120]",), ("H >= 32, H <= 35",)),
    "8 two sides": Case(IMAGE, POOLED, ("float32[N, 10]",), ("8*(H//2)*(W//2) == 392", "H >= 2", "W >= 2")),
    "8 one side": Case("x: float32[N, 8, H, H]", POOLED, ("float32[N, 10]",), ("H >= 14, H <= 15",)),
    "9 last axis cut": Case("x: float32[B, N, D]", "output reshape(x, [B, N, 12, -1])", ("float32[B, N, 12, D//12]",), ("D % 12 == 0",)),
    "9 two axes cut": Case("x: float32[B, N, D]", "output reshape(x, [B, 12, -1])", ("float32[B, 12, (N*D)//12]",), ("(N*D) % 12 == 0",)),
    "9 two open sizes": Case("x: float32[B, N, D]", "output reshape(x, [-1, -1])", error=("NN211", "only one size can be -1")),
    "10 both broadcast": Case(("a: float32[A, 1]", "b: float32[1, B]"), "output a + b", ("float32[A, B]",)),
    "10 against a number": Case(("a: float32[A]", "b: float32[4]"), "output a + b", ("float32[4]",), ("A == 1 or A == 4",)),
    "10 against 1": Case(("a: float32[A]", "b: float32[1]"), "output a + b", ("float32[A]",)),
    "10 two names": Case(("a: float32[A]", "b: float32[B]"), "output a + b", error=("NN223", "`A` and `B`")),
    "10 two names, declared": Case(("a: float32[A]", "b: float32[B] where A == B"), "output a + b", ("float32[A]",)),
    "11 heads": Case("x: float32[N, T, 768]", "output x -> SelfAttention(12, causal=false)", ("float32[N, T, 768]",)),
    "11 heads, remainder": Case("x: float32[N, T, 770]", "output x -> SelfAttention(12, causal=false)", error=("NN231", "remainder 2")),
    "11 heads, symbols": Case(
        "x: float32[N, T, D]",
        "output x -> SelfAttention(heads, causal=false)",
        ("float32[N, T, D]",),
        ("D % heads == 0",),
        parameters="(heads: int)",
    ),
    "11 grouped queries": Case(
        ("q: float32[N, 8, T, 16]", "k: float32[N, 3, T, 16]"), "output scaled_dot_product_attention(q, k, k, enable_gqa=true)",
        error=("NN231", "8 query heads"),
    ),
    "12 groups": Case("x: float32[N, 6, 9, 9]", "output x -> Conv2d(8, 3, groups=4)", error=("NN232", "input channels (6)")),
    "12 groups after concat": Case(
        ("a: float32[N, 64, H, W]", "b: float32[N, C, H, W]"), "output concat(a, b, dim=1) -> GroupNorm(32)",
        ("float32[N, C + 64, H, W]",), ("C % 32 == 0",),
    ),
    "13 C1 and C2 halved": Case(
        ("x: float32[N, C1]", "y: float32[N, C2]"), SPLIT.format("x, y"), ("float32[N, (C1 + C2)//2]",) * 2, ("(C1 + C2) % 2 == 0",)
    ),
    "13 2 C halved": Case("x: float32[N, C]", SPLIT.format("x, x"), ("float32[N, C]",) * 2),
    "13 3 C halved": Case("x: float32[N, C]", SPLIT.format("x, x, x"), ("float32[N, C + C//2]",) * 2, ("C % 2 == 0",)),
    "14 chunk": Case("x: float32[N, D]", CHUNKS, ("float32[N, D//3]",) * 3, ("D % 3 == 0",)),
    "14 chunk of 4": Case("x: float32[N, 4]", CHUNKS, error=("NN231", "3 equal parts")),
    "15 adaptive pooling": Case(IMAGE, "output x -> AdaptiveAvgPool2d(7)", ("float32[N, 8, 7, 7]",)),
    "15 adaptive pooling, up": Case("x: float32[N, 8, 3, 3]", "output x -> AdaptiveAvgPool2d(7)", ("float32[N, 8, 7, 7]",)),
    "15 adaptive pooling, one axis": Case(IMAGE, "output x -> AdaptiveAvgPool2d([7, none])", ("float32[N, 8, 7, W]",)),
    "16 GRU": Case(
        "x: float32[B, T, 7]", "r = x -> GRU(h, num_layers=2, bidirectional=true)\noutput r.output\noutput last = r.h_n",
        ("float32[B, T, 64]", "float32[4, B, 32]"), parameters="(h: int = 32)",
    ),
    "16 LSTM, projected": Case(
        "x: float32[B, T, 7]", "r = x -> LSTM(32, proj_size=5)\noutput r.output\noutput h = r.h_n\noutput c = r.c_n",
        ("float32[B, T, 5]", "float32[1, B, 5]", "float32[1, B, 32]"),
    ),
    "17 einsum": Case(
        ("x: float32[B, I, K]", "y: float32[B, K, J]"), 'output einsum("bik,bkj->bij", x, y)', ("float32[B, I, J]",)
    ),
    "17 einsum, two widths": Case(
        ("x: float32[B, I, K]", "y: float32[B, K2, J]"), 'output einsum("bik,bkj->bij", x, y)', error=("NN223", "`K` and `K2`")
    ),
    "17 einsum, 5 against 1": Case(  # torch broadcasts the 1 in silence
        ("x: float32[B, I, 5]", "y: float32[B, 1, J]"), 'output einsum("bik,bkj->bij", x, y)', error=("NN201", "5 and 1")
    ),
    "17 einsum, a result twice": Case(("x: float32[I]", "y: float32[J]"), 'output einsum("i,j->ii", x, y)', error=("NN106", "`i` twice")),
    "17 einsum, a diagonal": Case("x: float32[I, I]", 'output einsum("ii->i", x)', ("float32[I]",)),
    "17 einsum, no square": Case("x: float32[3, 4]", 'output einsum("ii->i", x)', error=("NN201", "3 and 4")),
    "18 attention": Case(ATTENTION, "output scaled_dot_product_attention(q, k, v)", ("float32[B, h, Lq, dv]",)),
    "18 attention, masked": Case(
        (*ATTENTION, "m: bool[B, 1, 1, Lk]"), "output scaled_dot_product_attention(q, k, v, attn_mask=m)", ("float32[B, h, Lq, dv]",)
    ),
    "18 attention, keys kept": Case(
        (*ATTENTION, "m: bool[B, Lk]"), "output scaled_dot_product_attention(q, k, v, keep=m)", ("float32[B, h, Lq, dv]",)
    ),
    "18 attention, two widths": Case(
        ("q: float32[B, h, Lq, 8]", "k: float32[B, h, Lk, 9]"), "output scaled_dot_product_attention(q, k, k)",
        error=("NN201", "last axes"),
    ),
    "19 adjacency": Case(("a: float32[V, V]", "x: float32[V, F]"), "output a @ x", ("float32[V, F]",)),
    "20 196 patches": Case(
        "x: float32[N, 3, H, H]", PATCHES.format(": float32[N, 196, 384]"), ("float32[N, (H//16)**2, 384]",), ("H >= 224, H <= 239",)
    ),
    "20 196 patches, cut exactly": Case(
        "x: float32[N, 3, H, H]", REARRANGED, ("float32[N, H//16, H//16, 3, 16, 16]",), ("H == 224",)
    ),
    "20 patches": Case("x: float32[N, 3, H, H]", PATCHES.format(""), ("float32[N, (H//16)**2, 384]",), ("H >= 16",)),
    "21 windows of 7": Case(IMAGE, f"output {WINDOWS.format('x')}", ("float32[N, 8, H//7, 7, W//7, 7]",), ("H % 7 == 0", "W % 7 == 0")),
    "21 windows on patches": Case(
        "x: float32[N, 3, H, H]", f"y = x -> Conv2d(8, 4, stride=4)\noutput {WINDOWS.format('y')}",
        ("float32[N, 8, H//28, 7, H//28, 7]",), ("H % 28 < 4, H >= 28",),
    ),
    "21 four stages": Case(
        "x: float32[N, 3, H, H] where H % 32 == 0", SWIN, tuple(f"float32[N, 8, H//{7 * s}, 7, H//{7 * s}, 7]" for s in (4, 8, 16, 32)),
        ("H % 224 == 0",),
    ),
    "22 shortcut": Case(
        IMAGE, "output (x -> Conv2d(8, 3, stride=2, padding=1)) + (x -> Conv2d(8, 1, stride=2))",
        ("float32[N, 8, (H + 1)//2, (W + 1)//2]",),
    ),
    "22 shortcut, never": Case(
        IMAGE + " where H >= 3, W >= 3", "output (x -> Conv2d(8, 3, stride=2)) + (x -> Conv2d(8, 1, stride=2))",
        error=("NN201", "cannot add"),
    ),
    "23 threes": Case(
        IMAGE, "output x + (x -> repeat 3 { MaxPool2d(3) } -> repeat 3 { Upsample(scale_factor=3) })", ("float32[N, 8, H, W]",),
        ("H % 27 == 0", "W % 27 == 0"),
    ),
    "23 fours": Case(
        IMAGE, "output x + (x -> AvgPool2d(4) -> Upsample(scale_factor=4))", ("float32[N, 8, H, W]",), ("H % 4 == 0", "W % 4 == 0")
    ),
    "24 feature pyramid": Case(
        SIGNAL, "fine = x -> Conv1d(4, 1, stride=16)\noutput fine + (x -> Conv1d(4, 1, stride=32) -> Upsample(scale_factor=2))",
        ("float32[N, 4, (L + 15)//16]",), ("L % 32 == 0 or L % 32 >= 17",),
    ),
    "25 U-Net without padding": Case(
        "x: float32[N, 1, H, W]", "output x -> Level(64, 4)", ("float32[N, 64, 16*((H + 4)//16) - 188, 16*((W + 4)//16) - 188]",),
        ("H >= 188", "W >= 188"), before=VALID_UNET,
    ),
    "26 frames": Case(SIGNAL, FRAMES + "output y", ("float32[N, 4, (L + 80)//160 - 2]",), ("L >= 400",)),
    "26 frames and back": Case(SIGNAL, FRAMES + f"output x + (y -> {INVERSE})", ("float32[N, 4, L]",), ("L % 160 == 80, L >= 400",)),
    "27 k 2 padded": Case(SIGNAL, "output x -> Conv1d(4, 2, padding=1)", ("float32[N, 4, L + 1]",)),
    "27 k 2 padded, residual": Case(SIGNAL, "output x + (x -> Conv1d(4, 2, padding=1))", error=("NN201", "cannot add")),
    "27 five poolings": Case(IMAGE, VGG, ("float32[N, 8, H//32, W//32]",), ("H >= 32", "W >= 32")),
    "27 five poolings of 28": Case("x: float32[N, 8, 28, 28]", VGG, error=("NN212", "size 0 x 0")),
}  # fmt: skip


def checked(text: str) -> Report:
    return check_source(Source("case.nn", text))


def preconditions(report: Report) -> list[Diagnostic]:
    return [finding for finding in report.diagnostics if finding.code == "NN220"]


def declared(finding: Diagnostic) -> str:
    """The conditions that the fix adds."""
    assert finding.fix is not None
    (edit,) = finding.fix.edits
    return edit.replacement.removeprefix(" where ").removeprefix(", ")


def fixed(text: str, findings: list[Diagnostic]) -> str:
    """The text with the fixes applied, joined where two insert at one place."""
    places: dict[int, list[str]] = {}
    for finding in findings:
        assert finding.fix is not None
        assert finding.fix.applicability == "safe"
        for edit in finding.fix.edits:
            assert edit.span.start == edit.span.end
            places.setdefault(edit.span.start, []).append(edit.replacement)
    for place in sorted(places, reverse=True):
        first, *more = places[place]
        text = text[:place] + first + "".join(each.replace(" where ", ", ") for each in more) + text[place:]
    return text


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_answer(case: Case) -> None:
    report = checked(case.text)
    found = [finding for finding in report.diagnostics if finding.code not in case.skip_codes]
    if case.error is not None:
        (error,) = [finding for finding in found if finding.severity == "error"]
        assert (error.code, case.error[1] in error.message) == (case.error[0], True), error.message
        assert not report.networks
        return
    assert {finding.code for finding in found} <= {"NN220"}
    assert tuple(str(value.type) for value in report.networks["Net"].outputs.values()) == case.gives
    assert sorted(map(declared, found)) == sorted(case.needs)


@pytest.mark.parametrize(
    "case", [case for case in CASES.values() if case.needs], ids=[name for name, case in CASES.items() if case.needs]
)
def test_declaring_the_conditions_leaves_nothing_to_find(case: Case) -> None:
    findings = preconditions(checked(case.text))
    again = checked(fixed(case.text, findings))
    assert again.ok
    assert preconditions(again) == []


def test_unet_without_where_has_one_finding_for_each_axis() -> None:
    text = (ROOT / "specs/unet/unet.nn").read_text(encoding="utf-8")
    where = " where H % 2 ** depth == 0, W % 2 ** depth == 0"
    assert where in text
    report = checked(text.replace(where, ""))
    assert report.ok
    assert [(finding.code, finding.message) for finding in report.diagnostics] == [
        ("NN220", "`UNet` works only when `H` is a multiple of 16"),
        ("NN220", "`UNet` works only when `W` is a multiple of 16"),
    ]
    mended = fixed(text.replace(where, ""), list(report.diagnostics))
    assert "H % 16 == 0, W % 16 == 0" in mended
    assert checked(mended).diagnostics == ()


@pytest.mark.parametrize("depth", range(1, 6))
def test_unet_of_any_depth_needs_its_power_of_two(depth: int) -> None:
    text = (
        (ROOT / "specs/unet/unet.nn").read_text(encoding="utf-8").replace(" where H % 2 ** depth == 0, W % 2 ** depth == 0", "")
    )
    text = text.split("ensure")[0]
    report = check_source(Source("case.nn", text), settings={"depth": depth})
    assert [declared(finding) for finding in report.diagnostics] == [f"H % {2**depth} == 0", f"W % {2**depth} == 0"]
