"""Networks of other programs as specs: ONNX models, and checkpoints whose layout is that of a spec that comes with nnspec.

- `onnx_file` reads a model, within limits and without files beside it; `onnx_graph` turns it into statements, by the rules of `onnx_layers`,
  `onnx_functions` and `onnx_shapes`; `spec_text` writes them.
- `checkpoint` reads the tensors of a checkpoint; `layout` finds the network that they belong to.
- `verified` holds what was written against what was read.

Nothing that a file holds is run or unpickled, but for a `.pt` file that the user trusts, which torch reads with `weights_only`.
"""

from __future__ import annotations

from nnspec.importing.base import Imported, ImportRefused

__all__ = ["ImportRefused", "Imported"]
