"""Recurrent layers that know where samples end, in programs of torch.export: whole calls of torch, equal bit for bit at any number of steps."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import torch
from exported_networks import SPECS
from torch import Tensor

from nnspec.checker import check_path
from nnspec.exporting import EXPORTERS, ExportContext, packed
from nnspec.torch_backend.modules.recurrent import GRU, LSTM, RNN

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore")]  # torch deprecates calls of its own exporter
AUTO = torch.export.Dim.AUTO


def loaded(program: torch.export.ExportedProgram) -> Any:
    """A program that was written and read back."""
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    return torch.export.load(file).module()


@pytest.mark.parametrize(
    ("ours", "settings"),
    [
        (RNN, {}),
        (RNN, {"nonlinearity": "relu", "bidirectional": True}),
        (GRU, {"num_layers": 2, "bidirectional": True, "dropout": 0.5}),
        (GRU, {"bias": False}),
        (LSTM, {"num_layers": 2, "bidirectional": True}),
        (LSTM, {"proj_size": 2, "bidirectional": True}),
    ],
)
@pytest.mark.parametrize("with_states", [False, True])
def test_bit_for_bit_at_any_size(ours: Any, settings: dict[str, Any], with_states: bool) -> None:
    torch.manual_seed(3)
    layer = ours(3, 4, **settings).eval()
    rows = layer.num_layers * (1 + layer.bidirectional)

    def inputs(lengths: list[int], steps: int) -> tuple[Tensor, ...]:
        x = torch.randn(len(lengths), steps, 3)
        x[0, lengths[0] :] = float("nan")  # what is past the end is never read
        states = [torch.randn(rows, len(lengths), width) for width in (layer.proj_size or 4, 4)[: 2 if ours is LSTM else 1]]
        return (x, torch.tensor(lengths), *(states if with_states else ()))

    first = inputs([3, 7, 1, 2, 5], 7)
    axes = ({0: AUTO, 1: AUTO}, {0: AUTO}, *({1: AUTO} for _ in first[2:]))
    with packed.kept():
        program = torch.export.export(layer, first, dynamic_shapes=axes)
    assert packed.replaced(program) == 1
    assert not [node for node in program.graph.nodes if "nnspec" in str(node.target)], "nothing but torch is called"
    run = loaded(program)
    with torch.no_grad():
        for given in (first, inputs([2, 9], 9), inputs([4, 3, 1], 8), inputs([6] * 33, 6)):
            for wanted, found in zip(layer(*given), run(*given), strict=True):
                assert torch.equal(wanted, found)


@pytest.mark.parametrize("name", ["TextRNN", "TextGRU", "TextLSTM"])
def test_classifiers_of_text_are_equal_and_take_texts_of_any_length(name: str, tmp_path: Path) -> None:
    graph = check_path(SPECS / "rnn" / "lstm_classifier.nn").graph(name, vocab=30, width=8)
    result = EXPORTERS["pt2"](ExportContext(graph, tmp_path / "net.pt2"))
    assert result.max_difference == 0
    (note,) = result.notes
    assert note.startswith("recurrent layers over `lengths` stay whole calls of torch")


def test_what_takes_calls_apart_gets_them_unrolled() -> None:
    """Stand-ins are for `.pt2` alone: without them a program can be lowered."""
    layer = GRU(3, 4).eval()
    inputs = (torch.randn(2, 5, 3), torch.tensor([5, 2]))
    program = torch.export.export(layer, inputs)
    assert packed.replaced(program) == 0
    assert program.run_decompositions()
