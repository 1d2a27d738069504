"""Neural networks from declarative specs: check them without torch, then compile, train, profile and export.

```python
report = nnspec.check("model.nn")                     # findings, types, costs; imports no torch
module = nnspec.compile("model.nn", classes=10)       # a torch.fx.GraphModule
run = nnspec.train("model.nn", device="cpu", epochs=3)
trained = nnspec.load(run.run)                        # the network with its weights
```

Only the public names live here. Everything behind them is imported when it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nnspec.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from os import PathLike

    from torch.fx import GraphModule

    from nnspec.checker import Report
    from nnspec.diagnostics import Diagnostic
    from nnspec.errors import SpecError, UsageError
    from nnspec.graph.ir import Graph
    from nnspec.torch_backend.weights import State
    from nnspec.training import AgentResult, RunResult

    Spec = str | PathLike[str]

__version__ = VERSION

__all__ = ["Diagnostic", "Report", "SpecError", "UsageError", "__version__", "check", "compile", "load", "train"]

_HOMES = {
    "Diagnostic": "nnspec.diagnostics",
    "Report": "nnspec.checker",
    "SpecError": "nnspec.errors",
    "UsageError": "nnspec.errors",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'nnspec' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def check(spec: Spec, *, sizes: dict[str, int] | None = None, enabled: Collection[str] = (), **settings: Any) -> Report:
    """Check a spec: the path of a `.nn` or `.yaml` file, or the text of one in the `.nn` form.

    `settings` give parameters of its networks, `sizes` numbers for symbols of its inputs; `enabled` are codes of rules that speak
    only where they are asked for. Never raises for what is wrong with the spec: see `Report.ok` and `Report.findings`. Raises
    `UsageError` where the file cannot be read.
    """
    from nnspec.checker import check_path, check_source
    from nnspec.diagnostics import Source

    text = str(spec)
    if "\n" in text or "{" in text:
        return check_source(Source("<text>", text), settings=settings, sizes=sizes, enabled=enabled)
    return check_path(text, settings=settings, sizes=sizes, enabled=enabled)


def compile(
    spec: Spec, *, network: str | None = None, mode: str = "training", example_batch: int | None = None, seed: int = 0,
    sizes: dict[str, int] | None = None, engines: Sequence[str] | None = None, **parameters: Any,
) -> GraphModule:  # fmt: skip
    """Compile one network of a spec to a `torch.fx.GraphModule` with fresh weights.

    In the mode "training" it holds ordinary parameters under stable names; in "inference" it is folded and fused. With
    `example_batch` it is compared, on random inputs of so many samples, with the network as written, and in inference it runs them the way
    that is measured to be fastest on this machine (`module.meta["nnspec_engine"]`), among the `engines` that are named or all that are soon
    ready. Raises `SpecError` with all findings where the spec has errors, and ValueError for an engine that there is not, or where there is
    nothing to choose one by.
    """
    report = _sound(check(spec, sizes=sizes, **parameters))
    return _compiled(report.graph(network, training=mode == "training"), mode, example_batch, engines, seed=seed)


def load(
    run: str | PathLike[str], *, network: str | None = None, mode: str = "inference", example_batch: int | None = None,
    engines: Sequence[str] | None = None,
) -> GraphModule:  # fmt: skip
    """The network of a run folder with its trained weights, the best ones where the recipe says `keep_best`, else the last; the first network
    if none is named.

    It is compiled as `compile` does it: for inference, or with `mode="training"` to be trained further by a loop of your own. Raises
    `UsageError` for a folder that is no run, and what `compile` raises.
    """
    from nnspec.training.trained import trained

    found = trained(str(run), network, training=mode == "training")
    return _compiled(found.graph, mode, example_batch, engines, state=found.state())


def _compiled(
    graph: Graph,
    mode: str,
    example_batch: int | None,
    engines: Sequence[str] | None,
    *,
    seed: int = 0,
    state: State | None = None,
) -> GraphModule:
    from nnspec.torch_backend.compile import batch_sizes, compile_graph, verify_compiled

    if engines is not None and (mode != "inference" or example_batch is None):
        raise ValueError('engines are chosen among for `mode="inference"` and an `example_batch`, whose samples are timed')
    if mode == "inference" and example_batch is not None:
        from nnspec.engines import compile_for

        module = compile_for(graph, batch_sizes(graph, example_batch), seed=seed, state=state, engines=engines)
    else:
        module = compile_graph(graph, mode=mode, seed=seed, state=state, fusion="fused" if mode == "inference" else "no")
    if example_batch is not None:
        verify_compiled(graph, module, example_batch, seed=seed, state=state)
    return module


def train(
    spec: Spec, recipe: str | None = None, *, device: str = "auto", out: str = "runs", **settings: Any
) -> RunResult | AgentResult:
    """Run a recipe of a spec, the first one if none is named; `settings` replace its settings, such as `epochs=3`.

    Raises `SpecError` with all findings where the spec has errors.
    """
    from nnspec.training import train as run

    chosen = {f"train.{name}": value for name, value in settings.items()}
    return run(_sound(check(spec, **chosen)), recipe, device=device, out=out)


def _sound(report: Report) -> Report:
    if not report.ok:
        from nnspec.errors import SpecError

        raise SpecError(report.diagnostics)
    return report
