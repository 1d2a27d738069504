"""What an import gives, and why there may be none."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nnspec.errors import UsageError


class ImportRefused(UsageError):
    """A file that cannot be put as a spec: what in it, and where."""


@dataclass(frozen=True)
class Imported:
    """A network that was read: the text of its spec, its name there, and its weights by state-dict key. `notes` say what the user should
    know; `inputs` and `outputs` are what the file calls those of the network, in order."""

    text: str
    network: str
    state: dict[str, Any]
    notes: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    parameters: dict[str, Any] = field(default_factory=dict)
