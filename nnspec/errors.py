"""Exceptions of the Python API. The compiler itself returns findings; these carry them to callers who asked for a result."""

from __future__ import annotations

import errno
from collections.abc import Sequence

from nnspec.diagnostics import Diagnostic


class SpecError(Exception):
    """A spec has errors, so the result asked for does not exist. `findings` says what, where and why."""

    def __init__(self, findings: Sequence[Diagnostic]) -> None:
        self.findings = tuple(findings)
        super().__init__(
            "\n".join(f"{finding.span}: {finding.severity}[{finding.code}] {finding.message}" for finding in self.findings)
        )


class MissingExtra(Exception):
    """A package that this needs is not installed. `extra` is the name to install nnspec with."""

    def __init__(self, package: str, extra: str) -> None:
        self.package, self.extra = package, extra
        super().__init__(f"this needs {package}: pip install 'nnspec[{extra}]'")


class UsageError(Exception):
    """What was asked for cannot be done: an unreadable file, an unknown name. One sentence for people."""


class DataError(UsageError):
    """Data that is not there, cannot be read, or is not what the spec says. Names the file, the place in it, and what to do."""


def remedy(error: OSError) -> str:
    """What to do about an error of the system, as a clause; "" for one that no setting of the machine explains."""
    return _REMEDIES.get(error.errno or 0, "")


_REMEDIES = {
    errno.ENOSPC: "make room on the disk",
    errno.EDQUOT: "make room: the quota of the disk is used up",
    errno.EFBIG: "raise the limit on the size of a file (`ulimit -f`)",
    errno.EIO: "the disk reports a fault: save what is on it, and write to another one",
    errno.EACCES: "allow writing there, or name another folder",
    errno.EPERM: "allow writing there, or name another folder",
    errno.EROFS: "it is mounted for reading only: name another folder",
    errno.EMFILE: "raise the limit on open files (`ulimit -n`)",
    errno.ENFILE: "the machine has too many open files: close some",
    errno.ENOMEM: "free memory on the machine",
}
