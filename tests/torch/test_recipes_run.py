"""A recipe in which the check finds nothing wrong trains: random recipes, run to their end on real data."""

from __future__ import annotations

from pathlib import Path

import pytest
import recipe_draws

from nnspec.checker import check_source
from nnspec.diagnostics import Source
from nnspec.training import train
from nnspec.training.errors import TrainingError

pytestmark = [pytest.mark.torch, pytest.mark.slow]

#: So many seeds are drawn, in parts that can be shared out. At least this share of them is without a finding that stands in the way.
SEEDS, PARTS, LEAST = 600, 6, 0.1
#: Warnings with which a recipe need not run: values that are no probabilities, batches that may come.
UNSURE = {"NN409", "NN608"}


@pytest.mark.parametrize("part", [pytest.param(part, marks=pytest.mark.nightly) if part else part for part in range(PARTS)])
def test_what_is_ok_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: int) -> None:
    for name in ("draw_curve", "draw_confusion"):  # which take most of the time
        monkeypatch.setattr(f"nnspec.training.pictures.{name}", lambda *arguments, **named: None)
    ran = 0
    for seed in range(part, SEEDS, PARTS):
        text = recipe_draws.drawn(seed)
        report = check_source(Source("drawn.nn", text))
        if not report.ok or any(finding.code in UNSURE for finding in report.diagnostics):
            continue
        ran += 1
        try:
            train(report, device="cpu", out=tmp_path / str(seed))
        except TrainingError as error:
            if "lower the learning rate" not in str(error):  # random rates on data as they are: some diverge, and are told so
                pytest.fail(f"seed {seed}: {error}\n{text}")
        except Exception as error:
            pytest.fail(f"seed {seed}: {type(error).__name__}: {error}\n{text}")
    assert ran >= LEAST * SEEDS / PARTS
