"""`nnspec sample`: what a trained network makes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from nnspec.cli.options import Device, Json, Quiet, Run, Settings

if TYPE_CHECKING:
    from pathlib import Path

    from nnspec.training.sample import Drawn


def run(
    run: Run,
    name: Annotated[str, typer.Option("--sample", metavar="NAME", help="Which `sample` item, where the spec has several.")] = "",
    count: Annotated[
        int | None,
        typer.Option("--count", "-n", min=1, help="How many samples: by default 64, of texts one.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of what is drawn.")] = 0,
    input: Annotated[
        list[str], typer.Option("--input", "-i", metavar="NAME=FILE", help="A tensor that the item asks for: .npy or .npz.")
    ] = [],  # noqa: B006  (Typer copies it)
    set_: Settings = [],  # noqa: B006
    out: Annotated[str, typer.Option("--out", metavar="DIR", help="Where to write; else into the run's folder `samples`.")] = "",
    device: Device = "auto",
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Draw samples from a trained network.

    What is drawn, the spec's `sample` items say. Pictures are put on a sheet, one for each output; all numbers are kept in an .npz file
    beside it.
    """
    from pathlib import Path

    from nnspec.cli.options import pairs, settings
    from nnspec.cli.output import one_of, progress, say, show_json

    one_of("--device", device, ("auto", "cpu", "cuda"))

    from nnspec.training.sample import keep, sample

    found = sample(
        run, name or None, count=count, seed=seed, inputs=dict(pairs("--input", input)), settings=settings(set_), device=device
    )
    folder = Path(out) if out else Path(run) / "samples"
    written = {each.name: keep(each, folder) for each in found}
    if json:
        show_json({each.name: as_object(each, written[each.name]) for each in found})
        return 0
    for each in found:
        say(as_text(each))
        for path in written[each.name]:
            progress(f"wrote {path}", quiet=quiet)
    return 0


def as_text(drawn: Drawn) -> str:
    """What each output is; the numbers themselves where they are no pictures."""
    from nnspec.cli.predict import as_text as numbers
    from nnspec.training.sheets import is_pictures

    lines = []
    for name, tensor in drawn.outputs.items():
        if name in drawn.texts:
            lines += drawn.texts[name]
        elif is_pictures(tensor):
            low, high = float(tensor.min()), float(tensor.max())
            lines.append(
                f"{drawn.name}.{name}: {len(tensor)} pictures, {tensor.shape[-2]} x {tensor.shape[-1]}, values {low:.3g} to {high:.3g}"
            )
        else:
            lines.append(numbers(f"{drawn.name}.{name}", tensor))
    return "\n".join(lines)


def as_object(drawn: Drawn, written: list[Path]) -> dict[str, Any]:
    """What was drawn for programs: shapes, and where the numbers lie."""
    return {
        "outputs": {
            name: {"dtype": str(tensor.dtype).removeprefix("torch."), "shape": list(tensor.shape)}
            for name, tensor in drawn.outputs.items()
        },
        "texts": drawn.texts,
        "files": [str(path) for path in written],
    }  # fmt: skip
