"""What holds for all tests: steady examples, and marks. pytest also puts this folder on the path, for `spec_files.py`."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

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
