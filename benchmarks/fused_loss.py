"""A language model's training step with its loss fused and not: time and peak memory by vocabulary, and time by bytes of scores at once.

    python benchmarks/fused_loss.py [--rounds 5] [--width 128] [--pieces]

A step of two small layers on 8 samples of 96 random tokens, with an untied output layer. All kinds run in turn; the least of all rounds
is printed, for the machine may be shared. Memory is what torch's allocator hands out in a step, as its profiler sees it.
"""

from __future__ import annotations

import argparse
import time

import torch
from output import print_table, write_results

from nnspec.checker import check_source
from nnspec.diagnostics import Source
from nnspec.profiling.recording import record
from nnspec.profiling.subject import plain_phase
from nnspec.torch_backend.modules import linear_loss
from nnspec.training.profiled_step import RecipeSubject

VOCABULARIES = (65, 8_192, 50_257)
PIECES = (1, 4, 8, 16, 32, 64, 128)
SAMPLES, TOKENS = 8, 96
SPEC = """
spec 1
network Words {
  input tokens: index(V)[N, T]
  output scores = tokens -> Embedding(V, W) -> LayerNorm -> Linear(W) -> GELU -> Linear(V) as head
}
train Run {
  data text = Generated(samples=64) {
    output tokens = randint(0, V)[N, T]
    output following = randint(0, V)[N, T]
  }
  minimize cross_entropy(Words(text.tokens), text.following)
  optimizer SGD(lr=0.1)
  batch_size SAMPLES
  steps 1
  SETTING
}
"""


def subject(vocabulary: int, width: int, setting: str) -> RecipeSubject:
    """The step of a model; `setting` is a statement of its recipe."""
    text = (
        SPEC.replace("SETTING", setting)
        .replace("SAMPLES", str(SAMPLES))
        .replace("(V", f"({vocabulary}")
        .replace(" V)", f" {vocabulary})")
    )
    text = text.replace(", T]", f", {TOKENS}]").replace(" W)", f" {width})").replace("(W)", f"({width})")
    report = check_source(Source("words.nn", text))
    assert report.ok, [each.message for each in report.diagnostics]
    return RecipeSubject(report.recipes["Run"], {"N": SAMPLES}, "cpu")


def milliseconds(step: RecipeSubject) -> float:
    began = time.perf_counter()
    step.iterate(plain_phase)
    return (time.perf_counter() - began) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--pieces", action="store_true", help="times by the bytes of scores that are made at once instead")
    options = parser.parse_args()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {SAMPLES * TOKENS} rows, width {options.width}\n")
    if options.pieces:
        _by_pieces(options.width, options.rounds)
        return
    rows = []
    for vocabulary in VOCABULARIES:
        steps = {kind: subject(vocabulary, options.width, kind) for kind in ("fused_loss false", "", "fused_loss true")}
        times = {kind: [milliseconds(step) for _ in range(2)][:0] for kind, step in steps.items()}
        for _ in range(options.rounds):
            for kind, step in steps.items():
                times[kind].append(milliseconds(step))
        for kind, step in steps.items():
            rows.append((vocabulary, kind or "by memory", min(times[kind]), record(step).peak / 2**20))
    print_table(("vocabulary", "loss", "ms", "peak MiB"), [(v, kind, f"{ms:.1f}", f"{peak:.1f}") for v, kind, ms, peak in rows])
    write_results("fused_loss", [dict(zip(("vocabulary", "loss", "ms", "peak_mib"), row, strict=True)) for row in rows])


def _by_pieces(width: int, rounds: int) -> None:
    rows = []
    for vocabulary in VOCABULARIES[1:]:
        step = subject(vocabulary, width, "fused_loss true")
        milliseconds(step)
        least: dict[int, float] = {}
        for _ in range(rounds):
            for mebibytes in PIECES:
                linear_loss.SCORES_AT_ONCE = mebibytes << 20
                least[mebibytes] = min(least.get(mebibytes, float("inf")), milliseconds(step))
        rows += [(vocabulary, mebibytes, f"{ms:.1f}") for mebibytes, ms in least.items()]
    print_table(("vocabulary", "MiB at once", "ms"), rows)


if __name__ == "__main__":
    main()
