"""The two sides of `nnspec diff`: read from the disk, from revisions or from standard input, checked, paired and compared."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from nnspec.checker import Report, check_source
from nnspec.cli.files import is_yaml, read_bytes, specs
from nnspec.cli.options import settings, sizes
from nnspec.diagnostics import Source
from nnspec.difference.checkpoints import CheckpointReport, best_network, compare_checkpoint, read_header, tensor_files
from nnspec.difference.files import Difference, FileDifference, Side, compare_sides, paired, without_twins
from nnspec.difference.revisions import Operand, Revision, operand
from nnspec.errors import UsageError
from nnspec.project.files import is_spec_text
from nnspec.project.settings import Discovery
from nnspec.recipes.recipe import Recipe
from nnspec.similar import nearest
from nnspec.syntax import read_source

#: A word that may be a `use`: then the same text may mean something else.
_USE = re.compile(rb"\buse\b")


class _Spec(NamedTuple):
    """A spec that was found: what reports call it, its path below the folder that was named, where it lies, how it is read."""

    name: str
    path: str
    place: str
    read: Callable[[], bytes]
    revision: Revision | None


class _Folder(NamedTuple):
    """What was named: one spec, or the specs of a folder by their paths below it."""

    name: str
    specs: dict[str, _Spec]
    is_folder: bool


class Comparing:
    """How the sides are checked and compared."""

    def __init__(self, network: str, set_: Iterable[str], with_: Iterable[str], stdin_name: str = "") -> None:
        self._network, self._settings, self._sizes = network, settings(set_), sizes(with_)
        self._stdin_name = stdin_name
        #: The revision that each text is of.
        self._revisions: dict[Source, Revision | None] = {}

    def difference(self, a: str, b: str, checkpoint: str = "") -> Difference:
        """Everything that differs; without `b`, a file as it is from its last revision. Raises UsageError."""
        before, after = self._sides(a, b)
        if before.is_folder != after.is_folder:
            folder, file = (before, after) if before.is_folder else (after, before)
            raise UsageError(f"`{folder.name}` is a folder and `{file.name}` a file: name two files, or two folders")
        files = tuple(without_twins(self._folders(before, after)) if before.is_folder else self._files(before, after))
        files = self._with_network(files)
        self._check_sizes(files)
        return Difference(before.name, after.name, files, tuple(self._checkpoints(checkpoint, files)) if checkpoint else ())

    # --- what was named ---------------------------------------------------------------------------------------------------------

    def _sides(self, a: str, b: str) -> tuple[_Folder, _Folder]:
        if a == "-" and b in ("", "-"):
            raise UsageError("standard input can be one side only: name the other")
        old, new = operand(a), operand(b)
        if not b:
            new = Operand(old.path, None)
            old = Operand(old.path, old.revision or "HEAD")
        return self._found(old), self._found(new)

    def _found(self, named: Operand) -> _Folder:
        if named.revision is not None:
            return self._in_revision(named.path, named.revision)
        if named.path == "-":
            name = self._stdin_name or "<stdin>"
            return _Folder(name, {"": _Spec(name, "", name, lambda: read_bytes("-"), None)}, False)
        if not os.path.isdir(named.path):
            if not os.path.exists(named.path):
                raise UsageError(f"there is no file or folder `{named.path}`")
            return _Folder(named.path, {"": _on_disk(named.path, "")}, False)
        paths = {os.path.relpath(path, named.path): path for path in specs([named.path])}
        return _Folder(named.path, {below: _on_disk(path, below) for below, path in paths.items()}, True)

    def _in_revision(self, path: str, name: str) -> _Folder:
        revision = Revision(path, name)
        kind = revision.kind(path)
        if not kind:
            raise UsageError(f"there is no `{path}` in `{name}`")
        if kind != "tree":
            return _Folder(f"{path}@{name}", {"": _in_tree(revision, path, "")}, False)
        places = {below: os.path.normpath(os.path.join(path, below)) for below in revision.below(path) if _is_entered(below)}
        found = {below: _in_tree(revision, place, below) for below, place in places.items() if not _is_excluded(place, path)}
        return _Folder(f"{path}@{name}", {below: spec for below, spec in found.items() if _is_spec(spec)}, True)

    # --- comparing --------------------------------------------------------------------------------------------------------------

    def _files(self, before: _Folder, after: _Folder) -> Iterator[FileDifference]:
        yield self._compared(self._side(before.specs[""]), self._side(after.specs[""]))

    def _folders(self, before: _Folder, after: _Folder) -> Iterator[FileDifference]:
        """Files of one path first; of the rest, those that look like the same under another name."""
        both = [path for path in before.specs if path in after.specs]
        left = [self._side(spec) for path, spec in before.specs.items() if path not in after.specs]
        right = [self._side(spec) for path, spec in after.specs.items() if path not in before.specs]
        found = [(path, self._pair(before.specs[path], after.specs[path])) for path in both]
        found += [([side.path for side in pair if side is not None][-1], self._compared(*pair)) for pair in paired(left, right)]
        found.sort(key=lambda entry: entry[0])
        return (difference for _, difference in found)

    def _pair(self, before: _Spec, after: _Spec) -> FileDifference:
        text = before.read()
        if text == after.read() and not _USE.search(text) and not self._network:
            return FileDifference(None, None, None, after.name)
        return self._compared(self._side(before), self._side(after))

    def _compared(self, before: Side | None, after: Side | None) -> FileDifference:
        if self._sizes and any(side is not None and not side.report.ok for side in (before, after)):
            before, after = self._at_sizes(before), self._at_sizes(after)
        return compare_sides(before, after, network=self._network, sizes=self._sizes)

    def _side(self, spec: _Spec) -> Side:
        return Side(spec.name, spec.path, self._report(spec), spec.revision.name if spec.revision is not None else "")

    def _report(self, spec: _Spec) -> Report:
        try:
            data = spec.read()
        except FileNotFoundError as error:
            raise UsageError(f"cannot read `{spec.place}`: {error.strerror}") from None
        source, findings = read_source(spec.place, data)
        if source is None:
            return Report(Source(spec.place, ""), None, tuple(findings), {}, {}, self._settings, {})
        self._revisions[source] = spec.revision
        return check_source(source, settings=self._settings, unsaved=spec.revision)

    def _at_sizes(self, side: Side | None) -> Side | None:
        """The side checked for the given sizes alone: for what cannot be built for any size."""
        if side is None or side.report.file is None:
            return side
        source = side.report.source
        report = check_source(source, settings=self._settings, sizes=self._sizes, unsaved=self._revisions[source])
        return Side(side.name, side.path, report, side.revision)

    def _with_network(self, files: tuple[FileDifference, ...]) -> tuple[FileDifference, ...]:
        """The files that have the network that was asked for; all, if none was."""
        if not self._network:
            return files
        known: dict[str, None] = {}
        found = []
        for file in files:
            own = [name for side in (file.after, file.before) if side is not None for name in side.report.networks]
            known |= dict.fromkeys(own)
            if self._network in own or file.wrong:
                found.append(file)
        if self._network not in known and not any(file.wrong for file in files):
            close = nearest(self._network, known)
            hint = f"a similar one is `{close}`" if close else f"there are {', '.join(known)}" if known else "there is none"
            raise UsageError(f"neither side has a network `{self._network}` that can be built; {hint}")
        return tuple(found)

    def _check_sizes(self, files: Iterable[FileDifference]) -> None:
        """Every size that was given has to be one of something that was compared."""
        compared = [network for file in files if file.spec is not None for network in file.spec.networks]
        known = {name for network in compared for name in network.symbols}
        unknown = sorted(self._sizes.keys() - known) if compared else []
        if unknown and not any(side.report.sizes for file in files for side in (file.before, file.after) if side is not None):
            names = ", ".join(sorted(known)) or "none"
            raise UsageError(f"`{unknown[0]}` is no size of the inputs of what was compared; its sizes are {names}")

    # --- checkpoints --------------------------------------------------------------------------------------------------------------

    def _checkpoints(self, path: str, files: Iterable[FileDifference]) -> Iterator[CheckpointReport]:
        compared = [(file, network) for file in files if file.spec is not None for network in file.spec.networks]
        if not compared:
            raise UsageError("--checkpoint needs a network that both sides have")
        for instance, file in tensor_files(path).items():
            tensors = read_header(file)
            named = {
                recipe.instances[instance].network
                for each, _ in compared
                for recipe in _recipes(each)
                if instance in recipe.instances
            }
            among = [network for _, network in compared if network.after in named] or [network for _, network in compared]
            yield compare_checkpoint(file, tensors, best_network(tensors, among) or among[0])


def _recipes(file: FileDifference) -> list[Recipe]:
    return list(file.after.report.recipes.values()) if file.after is not None else []


def _on_disk(path: str, below: str) -> _Spec:
    return _Spec(path, below, path, lambda: read_bytes(path), None)


def _in_tree(revision: Revision, path: str, below: str) -> _Spec:
    return _Spec(f"{path}@{revision.name}", below, path, lambda: revision.read(path), revision)


def _is_entered(path: str) -> bool:
    """Whether a folder of specs would be looked for there on the disk as well."""
    folders = path.split("/")[:-1]
    return not any(folder.startswith(".") or folder in ("__pycache__", "node_modules", "runs") for folder in folders)


def _is_excluded(place: str, folder: str) -> bool:
    """Whether the project's settings, as they are now, leave out a file, or a folder on the way to it."""
    discovery, root = Discovery(), os.path.abspath(folder)
    whole = os.path.abspath(place)
    while whole != root:
        above = os.path.dirname(whole)
        if discovery.of_folder(above).exclude.match(whole):
            return True
        whole = above
    return False


def _is_spec(spec: _Spec) -> bool:
    """`.nn`, or YAML with a network."""
    return is_spec_text(spec.read()) if is_yaml(spec.path) else spec.path.endswith(".nn")
