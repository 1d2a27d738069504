"""New data for a trained network: read from a file, and prepared as the data that it learned from; or the graph that it learned from."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy
import torch
from torch import Tensor

from nnspec.data import DataError, load, parquet
from nnspec.data.arrays import UNREADABLE, read_arrays, read_header
from nnspec.data.citations import normalized
from nnspec.data.dataset import standardized
from nnspec.data.fitting import fill_gaps, fit_steps
from nnspec.data.images import SUFFIXES, pictures_in, read_picture
from nnspec.data.pixels import scaled
from nnspec.data.samples import RawFields, Strings
from nnspec.data.tables import PLAIN, read_columns
from nnspec.data.texts import token_rows
from nnspec.data.vocabulary import from_state
from nnspec.dims import Dim, Var, substitute
from nnspec.graph.ir import CallNetwork, Graph, InputEntry, Value
from nnspec.graph.portion import portion
from nnspec.recipes.recipe import Column, DataSource, Recipe
from nnspec.tabular.parquet import SUFFIXES as PARQUET
from nnspec.torch_backend.guards import PreconditionError
from nnspec.torch_backend.lower import lower
from nnspec.training.run_folder import RunFolder
from nnspec.training.trained import Trained
from nnspec.types import TensorType

_BRIGHTEST = 255.0
Arrays = dict[str, Tensor]


class Feed(NamedTuple):
    """Where an input of a network comes from in the recipe: a field of a source, and the part of its body that computes it."""

    source: DataSource
    field: str
    body: Graph | None
    fitted: Mapping[str, Any]

    @property
    def raw(self) -> tuple[str, ...]:
        """The source's own fields, or columns, that are needed."""
        return tuple(entry.name for entry in self.body.inputs) if self.body is not None else (self.field,)


def read_inputs(file: Path, network: Trained) -> dict[str, Tensor]:
    """A file, or a folder of pictures, as the network's inputs, by name. Raises DataError."""
    graph, feeds = network.graph, _feeds(network)
    if not file.exists():
        raise DataError(f"{file} is not there")
    arrays = _read(file, graph, feeds)
    inputs = {entry.name: _input(file, entry, feeds.get(entry.name), arrays) for entry in graph.inputs}
    _check_classes(file, graph, inputs)
    return inputs


def sample_names(file: Path) -> list[str]:
    """What the samples are called: in a folder the pictures' files, else nothing."""
    return [each.relative_to(file).as_posix() for each in pictures_in(file, file.resolve())] if file.is_dir() else []


def graph_inputs(network: Trained) -> dict[str, Tensor]:
    """The whole graph that a network learned from as its inputs. Raises DataError where it learned from samples."""
    feeds = _feeds(network)
    wanted = [entry.name for entry in network.graph.inputs]
    if any(name not in feeds or not feeds[name].source.is_graph for name in wanted):
        raise DataError(f"`{network.name}` learned from samples: name a file with those that are to be predicted (`--input`)")
    fields = {name: load(source, network.folder.data_folders()).parts["train"] for name, source in network.recipe.sources.items()}
    return {name: fields[feeds[name].source.name][feeds[name].field][:] for name in wanted}


def _check_classes(file: Path, graph: Graph, inputs: Mapping[str, Tensor]) -> None:
    """Indices below a number that depends on sizes: edges name nodes that there are."""
    sizes: dict[Var, Dim] = {
        symbol: inputs[at.input].shape[at.axis] for symbol, at in graph.symbols.items() if at.input in inputs
    }
    for entry in graph.inputs:
        classes = entry.value.type.classes
        limit = None if classes is None else substitute(classes, sizes)
        values = inputs[entry.name]
        if isinstance(limit, int) and values.numel() and not 0 <= int(values.min()) <= int(values.max()) < limit:
            raise DataError(
                f"`{entry.name}` of {file} holds values from {int(values.min())} to {int(values.max())}, and the network takes "
                f"{entry.value.type}, here 0 to {limit - 1}"
            )


# --- what feeds the network ---------------------------------------------------------------------------------------------------


def _feeds(network: Trained) -> dict[str, Feed]:
    """For each input that reads a field of the data as it is: which."""
    recipe, run = network.recipe, network.folder
    fields = {entry.value: entry.name for entry in recipe.evaluation.inputs}
    for node in recipe.evaluation.nodes:
        called = node.operator
        if isinstance(called, CallNetwork) and (called.instance, called.variant) == (network.name, network.variant):
            found = {name: fields[value] for name, value in node.inputs.items() if isinstance(value, Value) and value in fields}
            return {name: _feed(recipe, field, run) for name, field in found.items() if field.partition(".")[0] in recipe.sources}
    return {}


def _feed(recipe: Recipe, field: str, run: RunFolder) -> Feed:
    name, _, own = field.partition(".")
    fitted = run.fitted(name)
    source, _ = fit_steps(recipe.sources[name], {}, fitted.get("steps", {}))
    computed = source.graph is not None and source.operator.name != "Generated"
    body = portion(source.graph, {own: source.graph.outputs[own]}) if computed and source.graph is not None else None
    return Feed(source, own, body, fitted)


# --- what the file holds ------------------------------------------------------------------------------------------------------


def _read(file: Path, graph: Graph, feeds: Mapping[str, Feed]) -> Arrays:
    if file.is_dir():
        return _pictures(file, pictures_in(file, file.resolve()), graph, feeds)
    suffix = file.suffix.lower()
    if suffix == ".npy":
        return {_only(file, graph, feeds): _tensor(_load(file), file)}
    if suffix == ".npz":
        return {name: _tensor(array, file, name) for name, array in read_arrays(file).items()}
    if suffix in (".csv", ".tsv", *PARQUET):
        return _table(file, feeds)
    if suffix in SUFFIXES:
        return _pictures(file, [file], graph, feeds)
    raise DataError(f"{file} is neither .npy, .npz, .csv, .tsv, .parquet nor a picture, nor a folder of pictures")


def _only(file: Path, graph: Graph, feeds: Mapping[str, Feed]) -> str:
    """The name of the one array that is needed."""
    needed = list(
        dict.fromkeys(
            name for entry in graph.inputs for name in (feeds[entry.name].raw if entry.name in feeds else (entry.name,))
        )
    )
    if len(needed) != 1:
        raise DataError(f"{file} holds one array, and {', '.join(needed)} are needed: put them into one .npz by these names")
    return needed[0]


def _load(file: Path) -> numpy.ndarray[Any, Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on headers that Python 2 wrote, which are read all the same
            _verify_header(file)
            found: numpy.ndarray[Any, Any] = numpy.load(file, allow_pickle=False)
    except UNREADABLE as error:
        raise DataError(f"{file} cannot be read as an .npy file: {error}") from error
    if not isinstance(found, numpy.ndarray):
        raise DataError(f"{file} holds several arrays; call it .npz")
    return found


def _verify_header(file: Path) -> None:
    """Refuse a file that announces more than it holds: memory would be taken for that. Raises ValueError."""
    with file.open("rb") as opened:
        if opened.read(6) != b"\x93NUMPY":
            return
        opened.seek(0)
        shape, _, dtype = read_header(opened)
        announced, held = math.prod(shape) * dtype.itemsize, file.stat().st_size
    if announced > held and not dtype.hasobject:
        raise ValueError(f"it announces {announced:,} bytes and has at most {held:,}")


def _tensor(array: numpy.ndarray[Any, Any], file: Path, name: str = "") -> Tensor:
    if array.dtype.kind not in "biuf":
        raise DataError(f"{f'`{name}` of ' if name else ''}{file} holds {array.dtype}, not numbers")
    native = array.astype(array.dtype.newbyteorder("="))
    if native.dtype.kind == "u" and native.dtype.itemsize > 1:
        native = native.astype(numpy.int64)
    return torch.from_numpy(numpy.ascontiguousarray(native).copy())


def _table(file: Path, feeds: Mapping[str, Feed]) -> Arrays:
    arrays: Arrays = {}
    for feed in feeds.values():
        if feed.source.operator.name not in ("CSV", "Parquet"):
            raise DataError(
                f"{file} is a table, and `{feed.source.name}` comes from {feed.source.operator.name}: give arrays in an .npz file"
            )
        made = {f"{text.name}.{field}": text for text in feed.source.texts.values() for field in ("tokens", "lengths")}
        needed = [made[name].column if name in made else name for name in feed.raw]
        columns = {name: feed.source.columns[name] for name in dict.fromkeys(needed)}
        for name, values in _columns(file, feed, columns).items():
            if isinstance(values, Tensor):
                arrays[name] = values
            if not isinstance(values, Strings):
                continue
            for text in feed.source.texts.values():
                if text.column == name:
                    vocabulary = from_state(feed.fitted["vocabularies"][text.key])
                    rows = token_rows(text.name, values.values, vocabulary, text.operator.attributes()["max_length"])
                    arrays |= {key: each[:] for key, each in rows.items()}
    return arrays


def _columns(file: Path, feed: Feed, columns: Mapping[str, Column]) -> RawFields:
    """Columns of a table, whose gaps are filled as those of the training part were."""
    if file.suffix.lower() in PARQUET:
        read = parquet.read_columns(file, columns)
    else:
        read = read_columns(file, feed.source, columns, None if feed.source.operator.name == "CSV" else {**PLAIN, "quote": '"'})
    return fill_gaps(feed.source, {"new": read}, feed.fitted.get("fill", {}))[0]["new"]


def _pictures(file: Path, paths: Sequence[Path], graph: Graph, feeds: Mapping[str, Feed]) -> Arrays:
    """Pictures in one array of bytes; `file` is the picture, or the folder that they are in."""
    name = _only(file, graph, feeds)
    dims = _picture_type(graph, feeds, name).dims
    if len(dims) != 4 or dims[1] not in (1, 3, 4):
        raise DataError(f"{paths[0]} is a picture, and `{name}` is {graph.inputs[0].value.type}")
    size = (dims[2], dims[3]) if isinstance(dims[2], int) and isinstance(dims[3], int) else None
    channels = next(count for count in (1, 3, 4) if dims[1] == count)
    read = [read_picture(path, channels, size) for path in paths]
    for path, each in zip(paths, read, strict=True):
        if each.shape != read[0].shape:
            sizes = " and ".join(
                f"{one.name} has {made.shape[2]} x {made.shape[1]} pixels" for one, made in ((paths[0], read[0]), (path, each))
            )
            raise DataError(f"{sizes}: bring the pictures of {file} to one size, since the network takes any")
    return {name: torch.stack(read)}


def _picture_type(graph: Graph, feeds: Mapping[str, Feed], name: str) -> TensorType:
    entries: Sequence[InputEntry] = graph.inputs
    feed = feeds.get(graph.inputs[0].name)
    if feed is not None and feed.body is not None:
        entries = feed.body.inputs
    return next((entry.value.type for entry in entries if entry.name == name), entries[0].value.type)


# --- preparing ----------------------------------------------------------------------------------------------------------------


def _input(file: Path, entry: InputEntry, feed: Feed | None, arrays: Arrays) -> Tensor:
    """One input of the network: prepared from the source's fields where the file has them, else as it is in the file."""
    type_ = entry.value.type
    if feed is None or any(name not in arrays for name in feed.raw):
        if entry.name not in arrays:
            wanted = ", ".join(f"`{name}`" for name in dict.fromkeys((*(feed.raw if feed else ()), entry.name)))
            raise DataError(f"{file} has none of {wanted}; it has {', '.join(arrays) or 'nothing'}")
        return fitting(arrays[entry.name], type_, f"`{entry.name}` of {file}")
    raw = {name: arrays[name] for name in feed.raw}
    if feed.body is None:
        return _prepared(feed.field, raw[feed.field], type_, feed, f"`{feed.field}` of {file}")
    types = {each.name: each.value.type for each in feed.body.inputs}
    prepared = {name: _prepared(name, value, types[name], feed, f"`{name}` of {file}") for name, value in raw.items()}
    return _computed(feed, prepared, file)


def _prepared(name: str, value: Tensor, type_: TensorType, feed: Feed, place: str) -> Tensor:
    operator = feed.source.operator
    if feed.source.is_graph:
        fit = fitting(value, type_, place)
        return normalized(fit) if name == "x" and operator.attributes().get("normalize_features") else fit
    if value.dtype == torch.uint8 and type_.is_float:
        settings = operator.attributes()
        value = scaled(value, operator) if "range" in settings else value.float() / _BRIGHTEST
    fit = fitting(value, type_, place)
    return standardized(fit, feed.fitted["standardize"]) if operator.attributes().get("standardize") else fit


def _computed(feed: Feed, prepared: Arrays, file: Path) -> Tensor:
    assert feed.body is not None
    try:
        with torch.no_grad():
            result = lower(feed.body)(*(prepared[entry.name] for entry in feed.body.inputs))
    except (PreconditionError, IndexError, RuntimeError) as error:
        raise DataError(f"{file} is not what `{feed.source.name}` is made of: {error}") from error
    found: Tensor = result[feed.field] if isinstance(result, dict) else result
    return found


def fitting(tensor: Tensor, type_: TensorType, place: str) -> Tensor:
    """A tensor with the axes and the element type of a field. Raises DataError."""
    if tensor.dim() == type_.rank - 1:
        tensor = tensor.unsqueeze(0)
    sizes = zip(type_.dims, tensor.shape, strict=False)
    if tensor.dim() != type_.rank or any(isinstance(dim, int) and dim != size for dim, size in sizes):
        raise DataError(f"{place} has the shape {list(tensor.shape)}, and the network takes {type_}")
    wanted: torch.dtype = getattr(torch, type_.dtype)
    if tensor.is_floating_point() and not wanted.is_floating_point and not bool((tensor == tensor.round()).all()):
        raise DataError(f"{place} holds fractions, and the network takes {type_}")
    fit = tensor.to(wanted)
    if isinstance(type_.classes, int) and fit.numel() and not 0 <= int(fit.min()) <= int(fit.max()) < type_.classes:
        raise DataError(f"{place} holds values from {int(fit.min())} to {int(fit.max())}, and the network takes {type_}")
    if fit.is_floating_point() and not bool(torch.isfinite(fit).all()):
        raise DataError(f"{place} holds NaN or infinity")
    return fit
