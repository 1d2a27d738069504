"""An ONNX file as a model in memory. Limits hold before anything is read, and no other file is opened.

Tensors that lie in files beside a model are refused: their paths were a way out of the folder three times
(CVE-2022-25882, CVE-2024-27318, CVE-2026-27489).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from nnspec.exporting.base import require
from nnspec.importing.base import ImportRefused

#: A protocol buffer cannot be longer.
MOST_BYTES = 2_147_483_647
#: As many operations as a network of a spec may have.
MOST_NODES = 25_000
OLDEST_OPSET = 13


def read_model(path: str) -> Any:
    """The model, with functions of its own written out and the types of its values inferred. Raises ImportRefused."""
    onnx = require("onnx", "onnx")
    try:
        size = os.stat(path).st_size
    except OSError as error:
        raise ImportRefused(f"cannot read `{path}`: {error.strerror or error}") from None
    if size > MOST_BYTES:
        raise ImportRefused(f"`{path}` has {size:,} bytes, and a model in one file has at most {MOST_BYTES:,}")
    try:
        model = onnx.load_model(path, load_external_data=False)
    except Exception as error:
        # What the parser of protocol buffers raises for bytes that are none is its own affair.
        raise ImportRefused(f"`{path}` is not an ONNX model: {str(error).splitlines()[0][:160]}") from error
    if not model.graph.node and not model.graph.output:
        raise ImportRefused(f"`{path}` is not an ONNX model: it holds no graph")
    _within_limits(model, path)
    if model.functions:
        from onnx import inliner

        model = inliner.inline_local_functions(model)
        _within_limits(model, path)
    try:
        return onnx.shape_inference.infer_shapes(model, data_prop=True)
    except Exception as error:
        raise ImportRefused(f"`{path}` is not a sound ONNX model: {str(error).splitlines()[0][:160]}") from error


def _within_limits(model: Any, path: str) -> None:
    opset = next((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), 0)
    if opset < OLDEST_OPSET:
        raise ImportRefused(
            f"`{path}` is of opset {opset}, and opsets from {OLDEST_OPSET} on are read; onnx's version converter brings it there"
        )
    if len(model.graph.node) > MOST_NODES:
        raise ImportRefused(f"`{path}` has {len(model.graph.node):,} operations, and a network has at most {MOST_NODES:,}")
    for tensor in _tensors(model):
        if tensor.external_data or tensor.data_location == 1:
            raise ImportRefused(
                f"`{path}` keeps `{tensor.name}` in another file, and only models in one file are read: "
                "save it anew with save_as_external_data=False"
            )


def _tensors(model: Any) -> Iterator[Any]:
    """The tensors of a model, in its nodes' settings too."""
    yield from model.graph.initializer
    for sparse in model.graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    nodes = [*model.graph.node, *(node for function in model.functions for node in function.node)]
    for node in nodes:
        for setting in node.attribute:
            yield from (*([setting.t] if setting.HasField("t") else ()), *setting.tensors)


def opset_of(model: Any) -> int:
    """The version of the operators."""
    return int(next(each.version for each in model.opset_import if each.domain in ("", "ai.onnx")))
