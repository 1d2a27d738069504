"""What is to be exported: a network of a spec with fresh weights, or one of a run with its trained weights."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from nnspec.cli.rewriting import written
from nnspec.cli.subject import network as chosen
from nnspec.cli.subject import sound_report
from nnspec.errors import UsageError
from nnspec.exporting import ExportContext


def context(source: str, network: str, set_: Sequence[str], *, quiet: bool) -> ExportContext:
    """The network that is meant; its file is still to be named."""
    if os.path.isdir(source):
        return _of_run(source, network)
    report = sound_report(source, set_, quiet=quiet)
    assert report.file is not None  # a sound report has a tree
    return ExportContext(chosen(report, network), Path(), spec=written(report.file, yaml=False))


def _of_run(source: str, network: str) -> ExportContext:
    from nnspec.training import RunFolder
    from nnspec.training.checkpoint import load

    folder = RunFolder.open(source)
    manifest, report = folder.manifest, folder.report()
    assert report.file is not None
    instances = report.recipes[manifest["recipe"]].instances
    name = network or next(iter(instances))
    if name not in instances:
        raise UsageError(f"the run has no network `{name}`; it has {', '.join(instances)}")
    graph = next(graph for key, graph in instances[name].variants.items() if key.startswith("inference"))
    state = load(folder.checkpoints, manifest.get("best")).tensors[f"network.{name}"]
    return ExportContext(graph, Path(), spec=written(report.file, yaml=False), state=state)
