"""How each operator of ONNX is put: https://onnx.ai/onnx/operators/, opsets from 13 on. What is missing here is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnspec.importing.onnx_functions import FUNCTIONS
from nnspec.importing.onnx_graph import OnnxGraph
from nnspec.importing.onnx_layers import LAYERS
from nnspec.importing.onnx_shapes import SHAPES

Rule = Callable[[OnnxGraph, Any], None]

RULES: dict[str, Rule] = {**LAYERS, **FUNCTIONS, **SHAPES}
