"""The collector is as it was before, whatever happens inside."""

from __future__ import annotations

import gc

import pytest

from nnspec.garbage import collector_held


def test_nothing_is_collected_inside_and_it_goes_on_after() -> None:
    assert gc.isenabled()
    with collector_held():
        assert not gc.isenabled()
        with collector_held():
            pass
        assert not gc.isenabled()  # who held it first lets it go
    assert gc.isenabled()


def test_an_error_lets_it_go_on() -> None:
    with pytest.raises(ZeroDivisionError), collector_held():
        1 / 0  # noqa: B018
    assert gc.isenabled()
