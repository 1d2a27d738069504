"""Samples are proved: drawn from networks as they begin, and held against what was inferred of every value."""

from __future__ import annotations

from typing import Any

import pytest

from nnspec.checker import check_source
from nnspec.diagnostics import Source
from nnspec.operators.declare import OPERATORS, Inferred
from nnspec.proving import Proof, SampleAccount, prove

pytestmark = pytest.mark.torch

TEXT = """
network Net {
  input x: float32[N, 4]
  output y = x -> Linear(WIDTH)
}
train R {
  data iris = Iris(test=0.2)
  y = Net(iris.x)
  minimize cross_entropy(y, iris.label)
  optimizer SGD(lr=0.1)
  epochs 1
}
sample R { output y = normal[N, 4] -> Net -> softplus }
sample Other {
  input by: float32[N, 2]
  output one = Net(iris.x)
  output two = concat(by, by, dim=1) -> Net
}
"""


def proof_of(text: str) -> Proof:
    report = check_source(Source("t.nn", text))
    assert report.ok, [finding.message for finding in report.findings]
    return prove(report, trials=2)


def samples(proof: Proof) -> list[SampleAccount]:
    return [each for each in proof.accounts if isinstance(each, SampleAccount)]


def test_every_sample_is_drawn_and_its_values_are_compared() -> None:
    proof = proof_of(TEXT.replace("WIDTH", "3"))
    assert proof.findings == ()
    assert [(each.name, each.ran, each.sizes, each.values) for each in samples(proof)] == [
        ("R", True, [{"N": 2}], 4),
        ("Other", True, [{"N": 2}], 5),
    ]
    assert "proved: sample R at 1 size, 4 values each\nproved: sample Other of R at 1 size, 5 values each" in proof.as_text()


def test_a_wrong_shape_in_a_sample_is_a_contradiction(monkeypatch: pytest.MonkeyPatch) -> None:
    right = OPERATORS["softplus"].infer

    def wrong(self: Any) -> Inferred:
        inferred = right(self)
        type = inferred.outputs["output"]
        return inferred._replace(outputs={"output": type.with_dims((*type.dims, 1))})

    monkeypatch.setattr(OPERATORS["softplus"], "infer", wrong)
    proof = proof_of(TEXT.replace("WIDTH", "3"))
    (finding,) = proof.findings
    assert finding.code == "NN504"
    assert "softplus" in finding.message
    assert finding.notes[1] == "at N = 2"
    assert [each.errors for each in samples(proof)] == [1, 0]


def test_what_torch_cannot_compute_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    from nnspec.torch_backend import lower

    def fails(*arguments: Any, **settings: Any) -> None:
        raise RuntimeError("it cannot")

    right = lower.resolve
    monkeypatch.setattr(lower, "resolve", lambda name: fails if "softplus" in str(name) else right(name))
    proof = proof_of(TEXT.replace("WIDTH", "3"))
    assert [finding.message for finding in proof.findings] == ["torch cannot compute `softplus`: it cannot"]
    assert [each.ran for each in samples(proof)] == [False, True]


def test_what_is_too_large_is_named() -> None:
    proof = proof_of(TEXT.replace("WIDTH", "100_000_000"))
    assert [each.ran for each in samples(proof)] == [False, False]
    assert "not proved: sample R: not drawn: 1,9" in proof.as_text()
