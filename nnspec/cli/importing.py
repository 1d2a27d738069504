"""`nnspec import`: a network of another program as a spec."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnspec.cli.options import Json, Quiet

if TYPE_CHECKING:
    from pathlib import Path

    from nnspec.importing.layout import Match


def run(
    source: Annotated[
        str,
        typer.Argument(metavar="FILE", help="An ONNX model (.onnx), or a checkpoint (.safetensors, .pt).", show_default=False),
    ],
    output: Annotated[
        str,
        typer.Option("--output", "-o", metavar="SPEC", help="The spec to write; the weights go beside it.", show_default=False),
    ] = "",
    trust: Annotated[bool, typer.Option("--trust", help="Read a .pt file, which is a pickle: only one that you trust.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace files that exist.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Turn a model of another program into a spec and its weights.

    An ONNX model becomes a spec that computes the same, which is compared with ONNX Runtime. A
    checkpoint is matched, by names and sizes, with the networks that come with nnspec.
    """
    import os
    from pathlib import Path

    from nnspec.errors import UsageError

    if not os.path.isfile(source):
        raise UsageError(f"`{source}` is not a file")
    known = (".onnx", ".safetensors", ".pt", ".pth")
    kind = os.path.splitext(source)[1].lower()
    if kind not in known:
        raise UsageError(f"`{source}`: import reads {', '.join(known)}")
    spec = Path(output or f"{Path(source).stem}.nn")
    if spec.suffix not in (".nn", ".yaml", ".yml"):
        raise UsageError(f"--output {output}: the spec is a .nn or .yaml file; the weights are written beside it")
    for path in (spec, spec.with_suffix(".safetensors")):
        if path.exists() and not force and not path.samefile(source):
            raise UsageError(f"`{path}` exists already; --force replaces it")
    if kind == ".onnx":
        return _onnx(source, spec, as_json=json, quiet=quiet)
    if kind != ".safetensors" and not trust:
        raise UsageError(
            f"`{source}` is a pickle, which can run what it likes when it is read: --trust reads one of yours, with weights only"
        )
    return _checkpoint(source, spec, force=force, as_json=json, quiet=quiet)


# --- ONNX ---------------------------------------------------------------------------------------------------------------------


def _onnx(source: str, spec: Path, *, as_json: bool, quiet: bool) -> int:
    from nnspec.cli.output import progress
    from nnspec.importing.verified import compare, read_onnx, report_of, state_of

    progress(f"reading {source}", quiet=quiet)
    imported = read_onnx(source)
    report = report_of(imported, source)
    graph = report.graph(imported.network)
    state = state_of(imported, graph)
    progress("running it beside ONNX Runtime", quiet=quiet)
    difference = compare(source, imported, graph, state)
    assert report.file is not None  # it has no errors
    comment = f"# {imported.network}, read from {source.rpartition('/')[2]} by `nnspec import`.\n"
    _write(spec, comment, report.file, state)
    _tell(
        spec, imported.network, len(state), list(imported.notes),
        f"computes what the model does: {difference.told()}",
        {"max_difference": difference.absolute, "relative_difference": difference.relative}, as_json=as_json,
    )  # fmt: skip
    return 0


def _write(spec: Path, comment: str, file: Any, state: dict[str, Any]) -> None:
    from nnspec.cli.files import is_yaml, write_text
    from nnspec.cli.rewriting import written
    from nnspec.exporting.safetensors import write_tensors

    spec.parent.mkdir(parents=True, exist_ok=True)
    write_text(str(spec), comment + written(file, yaml=is_yaml(str(spec))))
    write_tensors(spec.with_suffix(".safetensors"), state, {"format": "pt"})


def _tell(spec: Path, network: str, weights: int, notes: list[str], verdict: str, more: dict[str, Any], *, as_json: bool) -> None:
    from nnspec.cli.output import say, show_json

    tensors = spec.with_suffix(".safetensors")
    if as_json:
        show_json({"spec": str(spec), "weights": str(tensors), "network": network, "tensors": weights, "notes": notes, **more})
        return
    say(f"wrote {spec} and {tensors}: {network}, {weights:,} tensors")
    say(f"  {verdict}")
    for note in notes:
        say(f"  {note}")
    say(f"  next: nnspec check {spec}, nnspec export {spec} --weights {tensors} --to onnx")


# --- checkpoints --------------------------------------------------------------------------------------------------------------


def _checkpoint(source: str, spec: Path, *, force: bool, as_json: bool, quiet: bool) -> int:
    from nnspec.checker import check_path
    from nnspec.cli.output import progress
    from nnspec.cli.zoo import zoo
    from nnspec.errors import UsageError
    from nnspec.importing.checkpoint import is_safetensors, read_pickled, read_safetensors, read_shapes
    from nnspec.importing.layout import best_match

    tensors = None if is_safetensors(source) else read_pickled(source)
    shapes = read_shapes(source, tensors)
    progress(f"comparing {len(shapes):,} tensors with the networks that come with nnspec", quiet=quiet)
    reports = (check_path(each.path) for each in zoo())
    match = best_match(shapes, reports, lambda text: progress(text, quiet=quiet))
    if match is None:
        raise UsageError(f"`{source}` has the layout of no network that comes with nnspec: `nnspec list specs` shows them")
    if not match.is_whole or match.extra:
        _tell_difference(source, match, as_json=as_json)
        return 1
    found = read_safetensors(source) if tensors is None else tensors
    state = _filled(match, found)
    name = _write_matched(spec, source, match, state, force=force)
    notes = [f"`{each}` = {match.graph.parameters[each]} is not told by the weights" for each in match.open_parameters]
    origin = match.report.source.path.replace("\\", "/").split("/")
    _tell(
        spec, name, len(state), notes, f"its layout is that of {_described(match)} in {'/'.join(origin[-2:])}, all weights fit",
        {"layout": match.graph.name, "parameters": match.parameters}, as_json=as_json,
    )  # fmt: skip
    return 0


def _described(match: Match) -> str:
    given = ", ".join(f"{name}={value}" for name, value in match.parameters.items())
    return f"{match.graph.name}({given})" if given else match.graph.name


def _filled(match: Match, tensors: dict[str, Any]) -> dict[str, Any]:
    """The weights of the network; batches that were not counted are 0."""
    import torch

    state = {}
    for path, entry in match.graph.weights.items():
        if entry.persistent:
            kind = getattr(torch, entry.dtype)
            state[path] = tensors[match.mapping[path]].to(kind) if path in match.mapping else torch.zeros((), dtype=kind)
    return state


def _write_matched(spec: Path, source: str, match: Match, state: dict[str, Any], *, force: bool) -> str:
    """The networks and blocks of the spec, and the one that was found as a variant with its parameters. Returns its name."""
    from nnspec.cli.files import is_yaml
    from nnspec.cli.literals import written_value
    from nnspec.cli.new import copy_used
    from nnspec.syntax import parse, tree

    file = match.report.file
    assert file is not None  # the networks of it were checked
    items = [item for item in file.items if not isinstance(item, tree.Item) or item.word.id in ("network", "block")]
    name = match.graph.name
    if match.parameters:
        name = f"{match.graph.name}Imported"
        given = ", ".join(f"{key}={written_value(value)}" for key, value in match.parameters.items())
        variant, _ = parse(_source(f"network {name} = {match.graph.name}({given})\n"))
        items += variant.items
    comment = f"# {_described(match)}, whose weights come from {source.rpartition('/')[2]} (`nnspec import`).\n"
    spec.parent.mkdir(parents=True, exist_ok=True)
    copy_used(file, match.report.source.path, str(spec.parent), force)
    _write(spec, comment if not is_yaml(str(spec)) else "", tree.File(file.span, tuple(items), comments=file.comments), state)
    return name


def _source(text: str) -> Any:
    from nnspec.diagnostics import Source

    return Source("variant.nn", text)


def _tell_difference(source: str, match: Match, *, as_json: bool) -> None:
    """What keeps the nearest network from being the one."""
    from nnspec.cli.output import say, show_json

    if as_json:
        show_json({
            "layout": match.graph.name, "parameters": match.parameters, "fitting": len(match.mapping), "missing": list(match.missing),
            "resized": list(match.resized), "extra": list(match.extra),
        })  # fmt: skip
        return
    total = len(match.mapping) + len(match.missing) + len(match.resized)
    say(f"{source} is nearest to {_described(match)} of {match.report.source.path}: {len(match.mapping)} of {total} weights fit")
    for what, names in (("missing", match.missing), ("of another size", match.resized), ("not in the network", match.extra)):
        if names:
            more = f" and {len(names) - 5:,} more" if len(names) > 5 else ""
            say(f"  {what}: {', '.join(names[:5])}{more}")
    say("  nothing was written")
