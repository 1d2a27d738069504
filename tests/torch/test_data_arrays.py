"""npz files, whole, broken and hostile."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from pathlib import Path

import numpy
import pytest
import torch
from training_specs import source

from nnspec.data import DataError, Dataset, load

pytestmark = pytest.mark.torch

COLUMNS = "column x: float32[3]\n column y: index(4)\n output x, y"
CANARY: list[str] = []


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return CANARY.append, ("ran",)


def read(folder: Path, columns: str = COLUMNS, **arrays: object) -> Dataset:
    if arrays:
        numpy.savez_compressed(folder / "t.npz", allow_pickle=True, **arrays)  # type: ignore[arg-type]
    return load(source(folder, f'NPZ("t.npz") {{{columns}}}'), folder)


def refused(folder: Path, columns: str = COLUMNS, **arrays: object) -> str:
    with pytest.raises(DataError) as found:
        read(folder, columns, **arrays)
    assert "t.npz" in str(found.value)
    return str(found.value)


X, Y = numpy.arange(12.0).reshape(4, 3), numpy.array([0, 1, 2, 3])


def test_whole_file_of_any_number_type(tmp_path: Path) -> None:
    for x in (X, X.astype(">f4"), X.astype(numpy.uint8), numpy.asfortranarray(X)):
        fields = read(tmp_path, x=x, y=Y.astype(numpy.uint8), other=numpy.array(["text"])).parts["train"]
        assert torch.equal(fields["x"], torch.arange(12.0).reshape(4, 3))
        assert fields["y"].tolist() == [0, 1, 2, 3]
        assert fields["y"].dtype == torch.int64


def test_reading_takes_little_memory_beside_the_array(tmp_path: Path) -> None:
    """One copy, and pieces of it while its values are looked at."""
    x = numpy.random.default_rng(0).random((20_000, 1_000), numpy.float32)
    numpy.savez(tmp_path / "t.npz", x=x)
    tracemalloc.start()
    try:
        fields = read(tmp_path, "column x: float32[1_000]\noutput x").parts["train"]
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert torch.equal(fields["x"][-3:], torch.from_numpy(x[-3:]))
    assert x.nbytes < most < 1.2 * x.nbytes


def test_a_value_late_in_a_large_file(tmp_path: Path) -> None:
    """What is looked at in pieces is told by its place in the whole."""
    x, y = numpy.zeros((3_000, 1_000), numpy.float32), numpy.zeros(3_000, numpy.int64)
    x[2_345, 6] = numpy.inf
    assert "`x` of" in (said := refused(tmp_path, COLUMNS.replace("[3]", "[1000]"), x=x, y=y))
    assert "holds NaN or infinity, first in sample 2345" in said


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"x": X}, "has no array `y`; it has x"),
        ({"x": X[:, :2], "y": Y}, "`x` of .* has the shape [4, 2], declared is [N, 3]"),
        ({"x": numpy.float32(1), "y": Y}, "has the shape [], declared is [N, 3]"),
        ({"x": X, "y": Y[:3]}, "`x` has 4, `y` has 3"),
        ({"x": X, "y": Y + 1}, "holds values from 1 to 4, declared are 0 to 3, first in sample 3"),
        ({"x": X, "y": Y / 2}, "holds fractions, declared is int64, first in sample 1"),
        ({"x": numpy.where(X == 7, numpy.nan, X), "y": Y}, "holds NaN or infinity, first in sample 2"),
        ({"x": X.astype(str), "y": Y}, "not numbers"),
        ({"x": X.astype(complex), "y": Y}, "holds complex128, not numbers"),
    ],
)  # fmt: skip
def test_arrays_that_do_not_fit(tmp_path: Path, arrays: dict[str, object], said: str) -> None:
    found = refused(tmp_path, **arrays)
    for part in said.split(".*"):
        assert part in found


def test_bool_columns_take_zeros_and_ones_only(tmp_path: Path) -> None:
    columns = "column y: bool\n output y"
    assert read(tmp_path, columns, y=numpy.array([0, 1, 1])).parts["train"]["y"].tolist() == [False, True, True]
    assert "holds values from 0 to 2" in refused(tmp_path, columns, y=numpy.array([0, 1, 2]))
    assert "holds fractions" in refused(tmp_path, columns, y=numpy.array([0, 0.5]))


def test_pickles_are_refused_and_not_run(tmp_path: Path) -> None:
    said = refused(tmp_path, x=numpy.array([Bomb(), Bomb()], dtype=object), y=Y)
    assert "holds pickled objects, which are not read" in said
    assert CANARY == []


def test_zip_bomb(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "t.npz", "w", zipfile.ZIP_DEFLATED) as archive, archive.open("x.npy", "w") as file:
        for _ in range(80):
            file.write(bytes(1 << 20))
    assert "would unpack from" in refused(tmp_path)


def test_many_entries(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "t.npz", "w") as archive:
        for each in range(10_001):
            archive.writestr(f"{each}.npy", b"")
    assert "10,001 entries" in refused(tmp_path)


def test_header_that_announces_more_than_there_is(tmp_path: Path) -> None:
    file = io.BytesIO()
    numpy.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": (1 << 40, 3)})
    with zipfile.ZipFile(tmp_path / "t.npz", "w") as archive:
        archive.writestr("x.npy", file.getvalue() + bytes(24))
        archive.writestr("y.npy", b"")
    assert "announces 26,388,279,066,624 bytes and has at most" in refused(tmp_path)


@pytest.mark.parametrize("damage", ["cut", "garbage", "empty", "entry"])
def test_damaged_archives(tmp_path: Path, damage: str) -> None:
    numpy.savez(tmp_path / "t.npz", x=X, y=Y)
    whole = (tmp_path / "t.npz").read_bytes()
    place = whole.index(X.tobytes())
    damaged = {
        "cut": whole[:-30],
        "garbage": b"no archive",
        "empty": b"",
        "entry": whole[:place] + b"\xff" * 9 + whole[place + 9 :],
    }
    (tmp_path / "t.npz").write_bytes(damaged[damage])
    assert "cannot be read as an .npz file" in refused(tmp_path)
