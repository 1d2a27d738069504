"""What holds for all tests: steady examples, threads, and marks. pytest also puts this folder on the path, for `spec_files.py`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Workers share the cores: where torch has more threads than there are cores, they wait for each other for a third of the time. It reads this
# when it is imported. `make nightly` has the threads that users have.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# The same examples in every run, so that a red test means a change. `pytest --hypothesis-profile=explore` draws new ones.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.register_profile("explore", derandomize=False, deadline=None)
settings.load_profile("steady")

HERE = Path(__file__).resolve().parent
#: What searches widely or builds a package: part of `make test`, too long for the minute that `make check` may take.
SLOW = (
    "properties",
    "syntax/test_nn_mutations.py",
    "syntax_yaml/test_yaml_hostile.py",
    "syntax_yaml/test_nn_writer.py",
    "architecture/test_wheel.py",
    "test_hostile.py",
    "test_many_mistakes.py",
    "test_safe_fixes.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of the slow files."""
    for item in items:
        place = item.path.relative_to(HERE).as_posix()
        if place.startswith(SLOW):
            item.add_marker("slow")
