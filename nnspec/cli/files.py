"""Which files a command works on, and how it reads and writes them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator

from nnspec.errors import UsageError

YAML_SUFFIXES = (".yaml", ".yml")
#: The first words of the lines by which a YAML file is known to be a spec.
_ITEM_WORDS = ("network", "block", "train", "agent", "data", "sample", "ensure", "use", "spec")
_SNIFFED_BYTES = 64 * 1024


def specs(paths: Iterable[str]) -> list[str]:
    """The files to read: those named, and in folders every `.nn` file and every YAML file that is a spec. `-` stays `-`."""
    found: dict[str, None] = {}
    for path in paths:
        if path == "-" or not os.path.isdir(path):
            if path != "-" and not os.path.exists(path):
                raise UsageError(f"there is no file or folder `{path}`")
            found[path] = None
            continue
        below = sorted(_walk(path))
        if not below:
            raise UsageError(f"there is no spec (.nn, or .yaml with a network) in the folder `{path}`")
        found.update(dict.fromkeys(below))
    return list(found)


def _walk(folder: str) -> Iterator[str]:
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if _is_entered(root, name))
        for name in names:
            path = os.path.join(root, name)
            if name.endswith(".nn") or (name.endswith(YAML_SUFFIXES) and looks_like_spec(path)):
                yield os.path.normpath(path)


def _is_entered(root: str, name: str) -> bool:
    hidden = name.startswith(".") or name in ("__pycache__", "node_modules", "runs")
    return not hidden and not os.path.exists(os.path.join(root, name, "pyvenv.cfg"))


def looks_like_spec(path: str) -> bool:
    """Whether a YAML file's top level has the key `spec` or an item such as `network A`."""
    try:
        with open(path, "rb") as file:
            head = file.read(_SNIFFED_BYTES).decode("utf-8", "replace")
    except OSError:
        return False
    for line in head.split("\n"):
        word, _, rest = line.strip("\r").partition(" ")
        if (word in _ITEM_WORDS and ":" in rest) or word == "spec:":
            return True
    return False


def is_yaml(path: str) -> bool:
    return path.endswith(YAML_SUFFIXES)


def read_bytes(path: str) -> bytes:
    """The bytes of a file, or of standard input for `-`."""
    if path == "-":
        return sys.stdin.buffer.read()
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise UsageError(f"cannot read `{path}`: {error.strerror}") from None


def write_text(path: str, text: str) -> None:
    """Replace a file's text in one step: a crash leaves the old text or the new one. Keeps the file's mode."""
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        mode = os.stat(path).st_mode if os.path.exists(path) else None
        with open(temporary, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            os.chmod(temporary, mode)
        os.replace(temporary, path)
    except OSError as error:
        if os.path.exists(temporary):
            os.remove(temporary)
        raise UsageError(f"cannot write `{path}`: {error.strerror}") from None


def report_name(path: str) -> str:
    """How reports call the file."""
    return "<stdin>" if path == "-" else path
