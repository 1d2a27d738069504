"""Nothing that a spec, a checkpoint or a data file holds is run: no pickles, no evaluation of text."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = sorted((ROOT / "nnspec").rglob("*.py"))
#: Modules whose readers run what they read, and what may be taken from them.
RUNNERS = {
    "pickle": {"PicklingError", "UnpicklingError"},
    "marshal": set(),
    "shelve": set(),
    "dill": set(),
    "joblib": set(),
    "cloudpickle": set(),
}
CALLS = {"eval", "exec", "torch.load", "torch.save", "yaml.load", "yaml.unsafe_load", "yaml.full_load"}
#: Text that is run is text of our own making: the arithmetic of a size, and an exported module that is compared with its network.
OWN_TEXT = {"nnspec/dims/quasi.py: exec", "nnspec/exporting/python.py: exec"}
#: A file that the user says to trust, of which torch makes nothing but tensors.
TRUSTED = {"nnspec/importing/checkpoint.py: torch.load"}


def test_nothing_is_unpickled_or_evaluated() -> None:
    assert {found for path in PACKAGE for found in dangers(path)} == OWN_TEXT | TRUSTED


def test_what_is_trusted_makes_nothing_but_tensors() -> None:
    tree = ast.parse((ROOT / "nnspec/importing/checkpoint.py").read_text(encoding="utf-8"))
    (call,) = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load")
    assert "weights_only=True" in [ast.unparse(each) for each in call.keywords]


def test_dangers_are_seen(tmp_path: Path) -> None:
    bad = tmp_path / "nnspec" / "bad.py"
    bad.parent.mkdir()
    bad.write_text("import pickle\nfrom marshal import loads\nx = eval('1')\ntorch.load(f)\nnumpy.load(f, allow_pickle=True)\n")
    assert {found.partition(": ")[2] for found in dangers(bad)} == {"pickle", "marshal", "eval", "torch.load", "allow_pickle"}


def dangers(path: Path) -> Iterator[str]:
    where = path.relative_to(path.parents[[parent.name for parent in path.parents].index("nnspec") + 1]).as_posix()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        for found in risky(node):
            yield f"{where}: {found}"


def risky(node: ast.AST) -> Iterator[str]:
    """What a node does that could run foreign text."""
    if isinstance(node, ast.Import):
        yield from (name.name for name in node.names if name.name.partition(".")[0] in RUNNERS)
    elif isinstance(node, ast.ImportFrom) and node.module in RUNNERS:
        if {name.name for name in node.names} - RUNNERS[node.module]:
            yield node.module
    elif isinstance(node, ast.Call):
        name = ast.unparse(node.func)
        if name in CALLS:
            yield name
        yield from (each.arg for each in node.keywords if each.arg == "allow_pickle" and not is_false(each.value))


def is_false(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is False
