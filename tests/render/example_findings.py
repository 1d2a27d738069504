"""A spec to find something in."""

from __future__ import annotations

from nnspec.diagnostics import Source, Span

TEXT = """network Digits {
  input image: float32[N, 1, 28, 28]
  p2 = image -> MaxPool2d(2)
  h = p2 -> Flatten -> Linear(120, in_features=400)
  output y = h -> Linear(10)
}
"""


def span_of(source: Source, text: str, occurrence: int = 0) -> Span:
    start = -1
    for _ in range(occurrence + 1):
        start = source.text.index(text, start + 1)
    return Span(source, start, start + len(text))
