"""A kept result is thrown away when any part of nnspec that decides it has changed."""

from __future__ import annotations

import subprocess
import sys

from spec_files import ROOT

from nnspec.project import identity

#: What shows and prints: no finding depends on it.
SHOWN = {"cli", "render"}


def test_every_part_that_a_check_loads_is_in_the_stamp() -> None:
    code = (
        "import sys; from nnspec.checker import check_path; "
        f"[check_path(path) for path in {[str(ROOT / 'specs' / name) for name in ('gan/gan.nn', 'q_agent/dqn.nn', 'transformer/gpt.nn')]}]; "
        "found = {name for name, module in sys.modules.items() if name.startswith('nnspec.') and hasattr(module, '__path__')}; "
        "print(*sorted({name.split('.')[1] for name in found}))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"graph", "recipes", "syntax"} <= set(loaded)
    assert set(loaded) - SHOWN - {"grammar"} <= set(identity._PARTS)
