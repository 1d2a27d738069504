"""What a cached result depends on besides texts and settings: this version of nnspec, down to an edit of its code, and Python's."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from hashlib import sha256

from nnspec.version import VERSION

#: The parts of the package that decide what is found. What runs networks, draws and exports does not.
_PARTS = ("", "dims", "graph", "lint", "operators", "passes", "project", "recipes", "syntax")


def identity() -> str:
    """A text that changes whenever another check might find something else."""
    return f"{VERSION} {sys.version_info[0]}.{sys.version_info[1]}.{sys.version_info[2]} {_code_stamp()}"


def _code_stamp() -> str:
    """Sizes and times of the files that make up the checker; of an installed wheel, of its record alone, which pip writes anew."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    record = os.path.join(os.path.dirname(package), f"nnspec-{VERSION}.dist-info", "RECORD")
    files = [record] if os.path.isfile(record) else sorted(_code(package))
    digest = sha256()
    for path in files:
        status = os.stat(path)
        digest.update(f"{os.path.basename(path)} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def _code(package: str) -> Iterator[str]:
    folders = [os.path.join(package, part) for part in _PARTS]
    grammar = os.path.join(package, "grammar")  # beside the package in a checkout
    folders.append(grammar if os.path.isdir(grammar) else os.path.join(os.path.dirname(package), "grammar"))
    for folder in folders:
        if os.path.isdir(folder):
            with os.scandir(folder) as entries:
                yield from (entry.path for entry in entries if entry.name.endswith((".py", ".json", ".lark")))
