"""Weights of an ONNX model as whole numbers of eight bits, with one scale for each output channel: a quarter of the size, the same arithmetic.

Round to nearest, symmetric about zero (weight-only quantization; Krishnamoorthi 2018, arXiv:1806.08342, section 2.2). A `DequantizeLinear` node
brings each back to float32 where it is used.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy
from numpy.typing import NDArray

#: Tensors with fewer numbers stay as they are: there is nothing to be saved.
_LEAST = 1_024
_LARGEST = 127


class Rounded(NamedTuple):
    """How many tensors were rounded, and the bytes of the file before and after."""

    tensors: int
    before: int
    after: int

    @property
    def note(self) -> str:
        """What to say of it."""
        return f"{self.tensors} weights are int8: {self.before / 1e6:,.2f} MB became {self.after / 1e6:,.2f} MB"


def round_file(path: Path) -> Rounded:
    """Round the weights of a model in a file, in place. Files with weights in another file beside them are read and written whole."""
    import onnx

    before = _size(path)
    model = onnx.load(str(path))
    count = round_weights(model)
    onnx.save(model, str(path))
    return Rounded(count, before, _size(path))


def _size(path: Path) -> int:
    return sum(each.stat().st_size for each in path.parent.glob(f"{path.name}*"))


def round_weights(model: Any) -> int:
    """Put whole numbers and scales in the place of the model's weights; how many there were."""
    from onnx import TensorProto, helper, numpy_helper

    axes = {node.input[1]: _axis(node) for node in model.graph.node if node.op_type in ("Gemm", "MatMul", "ConvTranspose")}
    first, count = [], 0
    for tensor in list(model.graph.initializer):
        if tensor.data_type != TensorProto.FLOAT or len(tensor.dims) < 2 or math.prod(tensor.dims) < _LEAST:
            continue
        values = numpy_helper.to_array(tensor)
        if not numpy.isfinite(values).all():
            continue
        axis = axes.get(tensor.name, 0) % values.ndim
        whole, scales = rounded(values, axis)
        model.graph.initializer.remove(tensor)
        names = f"{tensor.name}.int8", f"{tensor.name}.scale"
        model.graph.initializer.extend(map(numpy_helper.from_array, (whole, scales), names))
        first.append(helper.make_node("DequantizeLinear", list(names), [tensor.name], axis=axis))
        count += 1
    for node in reversed(first):
        model.graph.node.insert(0, node)
    return count


def _axis(node: Any) -> int:
    """Which axis of its weights an operator's output channels lie along, where it need not be the first."""
    if node.op_type == "Gemm":
        return 0 if any(each.name == "transB" and each.i for each in node.attribute) else 1
    return -1 if node.op_type == "MatMul" else 1


def rounded(values: NDArray[Any], axis: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Whole numbers from -127 to 127, and the scale of each channel of the axis, which they are multiplied by."""
    others = tuple(each for each in range(values.ndim) if each != axis)
    largest = numpy.abs(values).max(axis=others)
    scales = numpy.where(largest > 0, largest / _LARGEST, 1.0).astype(numpy.float32)
    shape = [1] * values.ndim
    shape[axis] = -1
    return numpy.rint(values / scales.reshape(shape)).astype(numpy.int8), scales
