"""The specs that come with nnspec: beside the package in a checkout, inside it in an installed one."""

from __future__ import annotations

import os
from typing import NamedTuple

from nnspec.errors import UsageError

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class ZooSpec(NamedTuple):
    """A spec by the name that `new --from` takes: `simple_cnn`."""

    name: str
    family: str
    path: str


def folder() -> str:
    """Where the specs lie."""
    for candidate in (os.path.join(_PACKAGE, "specs"), os.path.join(os.path.dirname(_PACKAGE), "specs")):
        if os.path.isdir(candidate):
            return candidate
    raise UsageError("this installation has no specs")


def zoo() -> list[ZooSpec]:
    """All specs in the .nn form, by family and name."""
    root = folder()
    found = []
    for family in sorted(os.listdir(root)):
        below = os.path.join(root, family)
        if os.path.isdir(below):
            names = sorted(name for name in os.listdir(below) if name.endswith(".nn"))
            found += [ZooSpec(name.removesuffix(".nn"), family, os.path.join(below, name)) for name in names]
    return found


def zoo_spec(name: str) -> ZooSpec:
    """The spec of this name, or of this `family/name`."""
    specs = zoo()
    for spec in specs:
        if name.removesuffix(".nn") in (spec.name, f"{spec.family}/{spec.name}"):
            return spec
    from nnspec.similar import nearest

    close = nearest(name, [spec.name for spec in specs])
    hint = f"; a similar one is `{close}`" if close else ""
    raise UsageError(f"there is no spec `{name}`{hint}; see `nnspec list specs`")
