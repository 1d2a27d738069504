"""The weights alone, under the names of the spec, with a JSON file that says what they belong to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nnspec.atomic import write_atomic
from nnspec.exporting.base import ExportContext, ExportMismatch, ExportResult, require, require_torch


def export(context: ExportContext) -> ExportResult:
    """Write `NAME.safetensors` and `NAME.json`, each complete or not at all, then load and compare them bit for bit."""
    require_torch()
    require("safetensors", "torch")
    from safetensors.torch import load_file

    from nnspec.torch_backend.equivalence import Difference

    state = dict(context.reference.state_dict())
    write_tensors(context.path, state, {"format": "pt", "nnspec.network": context.graph.name})
    description = context.path.with_suffix(".json")
    write_atomic(description, json.dumps(_description(context, state), indent=2).encode())
    loaded = load_file(context.path)
    if loaded.keys() != state.keys() or any(not loaded[key].equal(value) for key, value in state.items()):
        raise ExportMismatch(f"{context.path} does not hold the weights that were written")
    return ExportResult(context.path, Difference(0.0, 0.0), (f"the spec is in {description.name}",))


def write_tensors(path: Path, state: dict[str, Any], metadata: dict[str, str]) -> None:
    """Write tensors as a safetensors file, complete or not at all. The format has no sharing, so each gets memory of its own."""
    from safetensors.torch import save

    write_atomic(path, save({key: value.detach().cpu().contiguous().clone() for key, value in state.items()}, metadata=metadata))


def _description(context: ExportContext, state: dict[str, Any]) -> dict[str, Any]:
    return {
        "version": 1,
        "network": context.graph.name,
        "parameters": {name: _plain(value) for name, value in context.graph.parameters.items()},
        "preconditions": list(context.preconditions),
        "weights": {
            key: {"shape": list(value.shape), "dtype": str(value.dtype).removeprefix("torch.")} for key, value in state.items()
        },
        "spec": context.spec,
    }


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | None) else str(value)
