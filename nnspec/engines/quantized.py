"""A model in int8, for the runtimes that take ONNX: products of whole numbers, by ONNX Runtime's quantization tools.

With samples of the data (`Subject.calibration`) the range of every activation is measured and products are int8 throughout (static
quantization: scales by channel for weights, by tensor for activations; Jacob et al. 2018, arXiv:1712.05877). Without them the weights of
matrix products are int8 and the ranges of what they meet are found at run time (dynamic quantization); convolutions then stay float32.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from nnspec.engines.engine import Subject, Unsuitable
from nnspec.engines.packages import installed

#: Operators whose products become int8 without samples.
_DYNAMIC = ["MatMul", "Gemm"]
#: What becomes int8 with samples: products, and what passes numbers on between them as they are or by a sum.
_STATIC = ["Conv", "ConvTranspose", "MatMul", "Gemm", "Relu", "MaxPool", "AveragePool", "GlobalAveragePool", "Add", "Concat"]


def quantized(model: bytes, subject: Subject) -> bytes:
    """The model of the subject's network in int8. Raises Unsuitable."""
    if installed("onnxruntime") is None:
        raise Unsuitable("int8 needs the tools of onnxruntime, which is not installed")
    import onnx

    parsed = onnx.load_model_from_string(model)
    kinds = {node.op_type for node in parsed.graph.node}
    if not subject.calibration and not kinds.intersection(_DYNAMIC):
        raise Unsuitable(
            "it has no matrix product, and convolutions become int8 only with samples of the data (`nnspec compile RUN`)"
        )
    tools = logging.getLogger()
    before = tools.level
    tools.setLevel(logging.ERROR)  # the tools advise on steps that are done here already
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "int8.onnx")
            _quantize(parsed, path, subject)
            return path.read_bytes()
    finally:
        tools.setLevel(before)


def _quantize(model: Any, path: Path, subject: Subject) -> None:
    from onnxruntime import quantization as tools

    if not subject.calibration:
        tools.quantize_dynamic(model, path, op_types_to_quantize=_DYNAMIC, per_channel=True, weight_type=tools.QuantType.QInt8)
        return
    names = [entry.name for entry in model.graph.input]
    # The first batch is kept to measure the error on.
    samples = _Samples(names, subject.calibration[1:] or subject.calibration)
    tools.quantize_static(
        model, path, samples, op_types_to_quantize=_STATIC, per_channel=True, quant_format=tools.QuantFormat.QDQ,
        weight_type=tools.QuantType.QInt8, activation_type=tools.QuantType.QUInt8,
        extra_options={"ActivationSymmetric": False, "WeightSymmetric": True},
    )  # fmt: skip


class _Samples:
    """Batches one after the other, as the tools ask for them."""

    def __init__(self, names: Sequence[str], batches: Sequence[tuple[Tensor, ...]]) -> None:
        self._left: Iterator[dict[str, Any]] = iter(
            [{name: each.numpy() for name, each in zip(names, batch, strict=True)} for batch in batches]
        )

    def get_next(self) -> dict[str, Any] | None:
        """The next batch; None after the last."""
        return next(self._left, None)
