"""What is run: nine networks and batches, all in float32."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SPECS = Path(__file__).resolve().parent.parent.parent / "specs"

_ENCODER = """
spec 1
block Layer(heads: int) {
  input x: float32[N, T, D]
  a = x + (x -> SelfAttention(heads) as attention) -> LayerNorm as norm1
  output a + (a -> Linear(4 * D) as wide -> GELU -> Linear(D) as narrow) -> LayerNorm as norm2
}
network Encoder { input x: float32[N, T, 256] output y = x -> repeat 4 { Layer(4) } }
"""


@dataclass(frozen=True)
class Row:
    """A network of a spec (a path below `specs/`, or a text) at the sizes of its inputs."""

    name: str
    spec: str
    network: str
    sizes: dict[str, int]
    parameters: dict[str, Any] = field(default_factory=dict)

    @property
    def source(self) -> str:
        """What nnspec is given: a text, or a path."""
        return self.spec if "\n" in self.spec else str(SPECS / self.spec)


ROWS = {
    row.name: row
    for row in (
        Row("MLP, 1", "mlp/mlp.nn", "MLP", {"N": 1}),
        Row("MLP, 64", "mlp/mlp.nn", "MLP", {"N": 64}),
        Row("two-conv CNN, 1", "cnn/simple_cnn.nn", "SimpleCNN", {"N": 1}),
        Row("two-conv CNN, 64", "cnn/simple_cnn.nn", "SimpleCNN", {"N": 64}),
        Row("LSTM, 32", "rnn/row_classifier.nn", "RowLSTM", {"N": 32}),
        Row("encoder, 8", _ENCODER, "Encoder", {"N": 8, "T": 64}),
        Row("U-Net, 1", "unet/unet.nn", "UNet", {"N": 1, "H": 128, "W": 128}, {"width": 16, "depth": 3, "norm": True}),
        Row("ResNet-18, 1", "resnet/resnet.nn", "ResNet18", {"N": 1, "H": 224, "W": 224}),
        Row("ResNet-50, 4", "resnet/resnet.nn", "ResNet50", {"N": 4, "H": 224, "W": 224}),
    )
}
