"""Which files are checked, and how they are read and written. Knows nothing of what stands in them, but whether YAML is a spec."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator

from nnspec.errors import UsageError
from nnspec.project.settings import Discovery

STDIN = "-"
YAML_SUFFIXES = (".yaml", ".yml")
#: The first words of the lines by which a YAML file is known to be a spec.
_ITEM_WORDS = ("network", "block", "train", "agent", "data", "sample", "sweep", "ensure", "use", "spec")
_SNIFFED_BYTES = 64 * 1024


def specs(paths: Iterable[str], discovery: Discovery | None = None, *, sift: bool = False) -> list[str]:
    """The files to read: those named, and in folders every `.nn` file and every YAML file that is a spec. `-` stays `-`.

    In folders, what the settings exclude is left out. With `sift`, files that are named are treated alike: a program names them.
    """
    discovery = discovery or Discovery()
    found: dict[str, str] = {}
    for path in paths:
        if path == STDIN:
            found[path] = path
        elif not os.path.isdir(path):
            if not os.path.exists(path):
                raise UsageError(f"there is no file or folder `{path}`")
            if not sift or (_is_spec(path) and not _is_excluded(path, discovery)):
                found.setdefault(os.path.normpath(path), path)
        else:
            below = sorted(_walk(path, discovery))
            if not below and not sift:
                raise UsageError(f"there is no spec (.nn, or .yaml with a network) in the folder `{path}`")
            for each in below:
                found.setdefault(each, each)
    return list(found.values())


def _walk(folder: str, discovery: Discovery) -> Iterator[str]:
    for root, folders, names in os.walk(folder):
        whole = os.path.abspath(root)
        excluded = discovery.of_folder(whole).exclude
        folders[:] = [name for name in folders if _is_entered(root, name) and not excluded.match(os.path.join(whole, name))]
        for name in names:
            path = os.path.join(root, name)
            if name.endswith((".nn", *YAML_SUFFIXES)) and not excluded.match(os.path.join(whole, name)) and _is_spec(path):
                yield os.path.normpath(path)


def _is_excluded(path: str, discovery: Discovery) -> bool:
    return discovery.of(path).exclude.match(os.path.abspath(path))


def _is_entered(root: str, name: str) -> bool:
    hidden = name.startswith(".") or name in ("__pycache__", "node_modules", "runs")
    return not hidden and not os.path.exists(os.path.join(root, name, "pyvenv.cfg"))


def _is_spec(path: str) -> bool:
    return path.endswith(".nn") or (path.endswith(YAML_SUFFIXES) and looks_like_spec(path))


def looks_like_spec(path: str) -> bool:
    """Whether a YAML file's top level has the key `spec` or an item such as `network A`."""
    try:
        with open(path, "rb") as file:
            return is_spec_text(file.read(_SNIFFED_BYTES))
    except OSError:
        return False


def is_spec_text(data: bytes) -> bool:
    """The same for what a YAML file begins with."""
    for line in data[:_SNIFFED_BYTES].decode("utf-8", "replace").split("\n"):
        word, _, rest = line.strip("\r").partition(" ")
        if (word in _ITEM_WORDS and ":" in rest) or word == "spec:":
            return True
    return False


def is_yaml(path: str) -> bool:
    """Whether the path's ending says YAML."""
    return path.endswith(YAML_SUFFIXES)


def read_bytes(path: str) -> bytes:
    """The bytes of a file, or of standard input for `-`."""
    if path == STDIN:
        return sys.stdin.buffer.read()
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise UsageError(f"cannot read `{path}`: {error.strerror}") from None


def write_text(path: str, text: str) -> None:
    """Replace a file's text in one step: a crash leaves the old text or the new one. Keeps the file's mode, and follows a link."""
    target = os.path.realpath(path)
    temporary = f"{target}.{os.getpid()}.tmp"
    try:
        mode = os.stat(target).st_mode if os.path.exists(target) else None
        with open(temporary, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            os.chmod(temporary, mode)
        os.replace(temporary, target)
    except OSError as error:
        if os.path.exists(temporary):
            os.remove(temporary)
        raise UsageError(f"cannot write `{path}`: {error.strerror}") from None


def report_name(path: str) -> str:
    """How reports call the file."""
    return "<stdin>" if path == STDIN else path
