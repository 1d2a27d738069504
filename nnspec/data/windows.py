"""Windows of a series, as views: each row of the file is held once, whatever the number of windows that it lies in."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nnspec.data.errors import DataError
from nnspec.data.location import Lookup
from nnspec.data.samples import Samples
from nnspec.data.tables import PLAIN, read_columns
from nnspec.recipes.recipe import Column, DataSource


def read(source: DataSource, lookup: Lookup) -> Samples:
    """The windows of the three parts. Raises DataError for a file that cannot be read, or has too few rows."""
    settings = source.operator.attributes()
    path = lookup.find(settings["path"])
    columns = {name: Column(name, "float64") for name in settings["columns"]}
    read = read_columns(path, source, columns, PLAIN)
    series = torch.stack([each for each in read.values() if isinstance(each, Tensor)], dim=1)
    total = sum(settings["rows"])
    if len(series) < total:
        raise DataError(f"{path} has {len(series):,} rows, and `rows` asks for {total:,}")
    series, fitted = _standardized(series[:total], settings)
    train, validation, test = settings["rows"]
    reach = settings["input"]
    parts = {
        "train": series[:train],
        "validation": series[train - reach : train + validation] if validation else None,
        "test": series[train + validation - reach :] if test else None,
    }
    found = {part: _windows(rows, reach, settings["horizon"]) for part, rows in parts.items() if rows is not None}
    return Samples(found["train"], found.get("test"), validation=found.get("validation"), fitted=fitted)


def _standardized(series: Tensor, settings: dict[str, Any]) -> tuple[Tensor, dict[str, Any]]:
    """By mean and deviation of the rows to learn from."""
    if not settings["standardize"]:
        return series.float(), {}
    known = series[: settings["rows"][0]]
    mean, std = known.mean(dim=0), known.std(dim=0, correction=0)
    std = torch.where(std > 0, std, 1.0)
    return ((series - mean) / std).float(), {"standardize": {"mean": mean.tolist(), "std": std.tolist()}}


def _windows(rows: Tensor, past: int, horizon: int) -> dict[str, Tensor]:
    """Views (windows, past, columns) and (windows, horizon, columns) of rows (T, columns)."""
    views = rows.unfold(0, past + horizon, 1).transpose(1, 2)
    return {"past": views[:, :past], "future": views[:, past:]}
