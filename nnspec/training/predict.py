"""The outputs of a trained network for new data."""

from __future__ import annotations

from pathlib import Path

import numpy
import torch
from torch import Tensor

from nnspec.data import DataError
from nnspec.graph.ir import Graph
from nnspec.torch_backend.compile import compile_graph
from nnspec.training.checkpoint import load as load_checkpoint
from nnspec.training.evaluate import chosen_device
from nnspec.training.run_folder import RunError, RunFolder

_PICTURES = {".png", ".jpg", ".jpeg", ".bmp", ".webp"}


def predict(run: str | Path, file: str | Path, *, network: str | None = None, device: str = "auto") -> dict[str, Tensor]:
    """Outputs by name for the samples in a file: `.npy` or `.npz` (arrays by the inputs' names), or a picture.

    Arrays may lack the axis of samples where they hold one. Raises RunError and DataError.
    """
    folder = RunFolder.open(run)
    manifest = folder.manifest
    recipe = folder.report().recipes[manifest["recipe"]]
    name = network or next(iter(recipe.instances))
    if name not in recipe.instances:
        raise RunError(f"the run has no network `{name}`; it has {', '.join(recipe.instances)}")
    graph = next(each for key, each in recipe.instances[name].variants.items() if key.startswith("inference"))
    state = load_checkpoint(folder.checkpoints, manifest.get("best")).tensors[f"network.{name}"]
    where = chosen_device(device)
    module = compile_graph(graph, mode="inference", state=state).to(where)
    inputs = read_inputs(Path(file), graph)
    with torch.no_grad():
        result = module(*[inputs[entry.name].to(where) for entry in graph.inputs])
    outputs = result if isinstance(result, dict) else {next(iter(graph.outputs)): result}
    return {key: value.cpu() for key, value in outputs.items()}


def read_inputs(file: Path, graph: Graph) -> dict[str, Tensor]:
    """A file as the network's inputs, by name. Raises DataError."""
    if not file.is_file():
        raise DataError(f"{file} is not there")
    arrays = _arrays(file, graph)
    missing = [entry.name for entry in graph.inputs if entry.name not in arrays]
    if missing:
        raise DataError(f"{file} has no array `{missing[0]}`; it has {', '.join(arrays)}")
    return {entry.name: _fitting(arrays[entry.name], graph, entry.name) for entry in graph.inputs}


def _arrays(file: Path, graph: Graph) -> dict[str, numpy.ndarray]:
    first = graph.inputs[0].name
    try:
        if file.suffix == ".npy":
            return {first: numpy.load(file, allow_pickle=False)}
        if file.suffix == ".npz":
            with numpy.load(file, allow_pickle=False) as archive:
                return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{file} cannot be read: {error}") from error
    if file.suffix.lower() in _PICTURES:
        return {first: _picture(file, graph)}
    raise DataError(f"{file} is neither .npy, .npz nor a picture")


def _picture(file: Path, graph: Graph) -> numpy.ndarray:
    from nnspec.errors import MissingExtra

    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtra("pillow", "images") from error
    dims = graph.inputs[0].value.type.dims
    if len(dims) != 4 or dims[1] not in (1, 3):
        raise DataError(f"`{graph.inputs[0].name}` is {graph.inputs[0].value.type}, which is no picture")
    with Image.open(file) as image:
        pixels = image.convert("L" if dims[1] == 1 else "RGB")
        if isinstance(dims[2], int) and isinstance(dims[3], int):
            pixels = pixels.resize((dims[3], dims[2]))
        array = numpy.asarray(pixels, dtype=numpy.float32) / 255.0
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)


def _fitting(array: numpy.ndarray, graph: Graph, name: str) -> Tensor:
    type_ = next(entry.value.type for entry in graph.inputs if entry.name == name)
    if array.dtype.kind not in "biuf":
        raise DataError(f"`{name}` holds {array.dtype}, not numbers")
    tensor = torch.from_numpy(array.copy())
    if tensor.dim() == type_.rank - 1:
        tensor = tensor.unsqueeze(0)
    if tensor.dim() != type_.rank:
        raise DataError(f"`{name}` has the shape {list(array.shape)}, and the network takes {type_}")
    return tensor.to(getattr(torch, type_.dtype))
