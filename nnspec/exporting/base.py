"""What an exporter is given and what it gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnspec.errors import MissingExtra, UsageError
from nnspec.graph.ir import Graph

if TYPE_CHECKING:
    from torch import Tensor

    from nnspec.torch_backend.equivalence import Difference
    from nnspec.torch_backend.module_tree import NetworkModule

#: The share of an output's largest magnitude by which an export may be off, and by which one with int8 weights may.
TOLERANCE, TOLERANCE_INT8 = 1e-4, 0.1


class ExportError(UsageError):
    """A network that cannot be exported to this target."""


class ExportMismatch(Exception):
    """An export that was written and does not agree with the network: a mistake of ours, or of what reads the file."""


@dataclass
class ExportContext:
    """A network to be exported. `graph` is its variant for inference, as written; `path` the file to write.

    `state` are its weights by state-dict key (drawn with `seed` if not given), `spec` the resolved text of its spec, `sizes` the sizes
    of symbols at which the export is traced and compared (chosen if not given). `folded` where a program of torch may be the network
    with its constants and batch norms folded; `class_names` are those of the first output, where they are known. `int8_weights` where the
    file is to hold whole numbers for weights, which is the business of the targets in `INT8_TARGETS`.
    """

    graph: Graph
    path: Path
    spec: str = ""
    state: Mapping[str, Any] | None = None
    sizes: Mapping[str, int] = field(default_factory=dict)
    seed: int = 0
    folded: bool = False
    class_names: tuple[str, ...] = ()
    int8_weights: bool = False

    @cached_property
    def reference(self) -> NetworkModule:
        """The network as written, in inference mode, without checks: what every export is compared with."""
        from nnspec.torch_backend.lower import lower

        return lower(self.graph, guards=False, seed=self.seed, state=self.state)

    def inputs(self, other: int = 0, sizes: Mapping[str, int] | None = None) -> dict[str, Tensor]:
        """Random inputs at the context's sizes, or at other ones: the larger `other`, the further from the first choice."""
        from nnspec.torch_backend.example_inputs import random_inputs

        return random_inputs(self.graph, self.sizes if sizes is None else sizes, seed=self.seed + other, skip=other)

    @property
    def facts(self) -> dict[str, str]:
        """What a file may say of the network besides what it computes, as texts: its name, spec, sizes, classes, and who wrote it."""
        import hashlib
        import json

        from nnspec.version import VERSION

        found = {
            "nnspec.version": VERSION, "nnspec.network": self.graph.name,
            "nnspec.preconditions": json.dumps(list(self.preconditions)),
        }  # fmt: skip
        if self.spec:
            found |= {"nnspec.spec": self.spec, "nnspec.spec_sha256": hashlib.sha256(self.spec.encode()).hexdigest()}
        return found | ({"nnspec.classes": json.dumps(list(self.class_names))} if self.class_names else {})

    @property
    def preconditions(self) -> tuple[str, ...]:
        """The conditions on the inputs' sizes, as text."""
        return tuple(dict.fromkeys(str(guard.claim) for guard in self.graph.guards))


@dataclass(frozen=True)
class ExportResult:
    """A file that was written. `difference` is how far its outputs are from the network's; None where there is nothing to compare.
    `notes` say what the user should know, such as an axis that is fixed."""

    path: Path
    difference: Difference | None
    notes: tuple[str, ...] = ()

    @property
    def max_difference(self) -> float | None:
        """The largest absolute difference of an output from the network's; None where there is nothing to compare."""
        return None if self.difference is None else self.difference.absolute


def require(package: str, extra: str) -> Any:
    """The module of an optional package; MissingExtra, naming the extra, where it is not installed."""
    from importlib import import_module

    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        raise MissingExtra(package, extra) from error


def require_torch() -> None:
    """MissingExtra where torch is not installed."""
    require("torch", "torch")


def agreed(wanted: Any, found: Any, target: str, *, int8_weights: bool = False) -> Difference:
    """How far what was found is off. Raises ExportMismatch where it is too large, and ExportError where rounding made it so."""
    from nnspec.torch_backend.equivalence import measure

    difference = measure(wanted, found)
    if int8_weights:
        if not difference.relative <= TOLERANCE_INT8:
            raise ExportError(
                f"with int8 weights the network differs by {difference.relative:.1%} of its largest output, "
                f"and {TOLERANCE_INT8:.0%} is allowed: export it in float32"
            )
    elif not difference.relative <= TOLERANCE:
        raise ExportMismatch(f"the {target} export differs from the network by {difference.absolute:.3g}")
    return difference
