"""CSV files, whole and broken: every message names the file, the line and the column."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch
from training_specs import source

from nnspec.data import DataError, Dataset, load

pytestmark = pytest.mark.torch

COLUMNS = """
  column age: float32
  column sex: category("male", "female")
  column port: category("C", "Q") = "Q"
  column rooms: int64 = 1
  column alive: bool
  output x = stack([age, float32(rooms)], dim=1)
  output sex, port, alive
"""
HEADER = "age,sex,port,rooms,alive\n"
GOOD = HEADER + "22.5,male,C,3,yes\n31,female,,,0\n"


def read(folder: Path, content: str | bytes, settings: str = "", columns: str = COLUMNS) -> Dataset:
    (folder / "t.csv").write_bytes(content.encode() if isinstance(content, str) else content)
    return load(source(folder, f'CSV("t.csv"{settings}) {{{columns}}}'), folder)


def refused(folder: Path, content: str | bytes, settings: str = "", columns: str = COLUMNS) -> str:
    with pytest.raises(DataError) as found:
        read(folder, content, settings, columns)
    assert "t.csv" in str(found.value)
    return str(found.value)


def test_whole_file(tmp_path: Path) -> None:
    found = read(tmp_path, GOOD)
    fields = found.parts["train"]
    assert torch.equal(fields["x"], torch.tensor([[22.5, 3.0], [31.0, 1.0]]))
    assert fields["sex"].tolist() == [0, 1]
    assert fields["port"].tolist() == [0, 1]
    assert fields["alive"].tolist() == [True, False]
    assert found.class_names == {"sex": ("male", "female"), "port": ("C", "Q")}


@pytest.mark.parametrize(
    "content", [b"\xef\xbb\xbf" + GOOD.encode(), GOOD.replace("\n", "\r\n"), GOOD + "\n\n", GOOD.replace("age", ' "age"'[1:])]
)
def test_byte_order_mark_line_ends_and_blank_lines(tmp_path: Path, content: str | bytes) -> None:
    assert read(tmp_path, content).size() == 2


def test_other_delimiter_and_names_instead_of_a_header(tmp_path: Path) -> None:
    settings = ', delimiter="\\t", names=["age", "sex", "port", "rooms", "alive", "note"], missing=["NA"]'
    found = read(tmp_path, "1\tmale\tNA\t2\ttrue\t-\n2\tfemale\tC\tNA\tfalse\t-\n", settings)
    assert found.parts["train"]["port"].tolist() == [1, 0]
    assert found.parts["train"]["x"].tolist() == [[1.0, 2.0], [2.0, 1.0]]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("22,male,C,3\n", "line 2 has 4 values, expected 5"),
        ("1,male,C,3,yes\n22,man,C,3,yes\n", 'line 3, column `sex`: "man" is none of male, female'),
        (",male,C,3,yes\n", "line 2, column `age`: a value is missing, and the column has no default"),
        ("old,male,C,3,yes\n", 'line 2, column `age`: "old" is not a number'),
        ("1_000,male,C,3,yes\n", 'column `age`: "1_000" is not a number'),
        ("nan,male,C,3,yes\n", "column `age`: nan is no finite float32"),
        ("1e39,male,C,3,yes\n", "column `age`: 1e39 is no finite float32"),
        ("22,male,C,3.5,yes\n", 'column `rooms`: "3.5" is not a whole number'),
        ("22,male,C,99999999999999999999,yes\n", "is no int64"),
        ("22,male,C,3,perhaps\n", '"perhaps" is neither true nor false'),
        ('22,male,"C,3,yes\n', "line 2: unexpected end of data; look for a quote that is not closed"),
        ('22,male,"C"x,3,yes\n', "line 2: .*expected after"),
    ],
)  # fmt: skip
def test_broken_rows(tmp_path: Path, rows: str, said: str) -> None:
    import re

    assert re.search(said, refused(tmp_path, HEADER + rows))


def test_many_broken_rows_are_counted(tmp_path: Path) -> None:
    said = refused(tmp_path, HEADER + "x,male,C,1,yes\n" * 12)
    assert said.count("column `age`") == 5
    assert said.endswith("; and 7 more")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty"),
        (HEADER, "and no rows"),
        (
            "22.5,male,C,3,yes\n31,female,C,1,0\n",
            "has no column `age`; its first line has 22.5, male, C, 3, yes; name the columns with `names=`",
        ),
        (GOOD.replace("rooms", "age", 1), "has 2 columns `age`"),
        (b"age,sex\n\xff\xfe,male\n", "cannot be read as text in UTF-8"),
        (b"\x1f\x8b\x08\x00" + bytes(range(256)), "cannot be read as text in UTF-8"),
    ],
)
def test_broken_files(tmp_path: Path, content: str | bytes, said: str) -> None:
    assert said in refused(tmp_path, content)


def test_a_field_of_a_megabyte_is_read_and_a_larger_one_refused(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    columns = "column a: float32\n column note: str\n output a"
    assert read(tmp_path, "a,note\n1," + "x" * (1 << 20) + "\n", columns=columns).size() == 1
    assert "line 2: field larger than field limit" in refused(
        tmp_path, "a,note\n1," + "x" * ((1 << 20) + 1) + "\n", columns=columns
    )
    said = refused(tmp_path, "a,note\n" + "7" * 100_000 + "z,x\n", columns=columns)
    assert len(said) < 500, "a long value is not repeated whole"
    assert csv.field_size_limit() == before


def test_missing_file_and_folder_instead_of_a_file(tmp_path: Path) -> None:
    columns = "column a: float32\n output a"
    with pytest.raises(DataError, match=r'"t.csv" is not there .*set NNSPEC_DATA'):
        load(source(tmp_path, f'CSV("t.csv") {{{columns}}}'), tmp_path)
    (tmp_path / "t.csv").mkdir()
    with pytest.raises(DataError, match=r"t.csv cannot be read"):
        load(source(tmp_path, f'CSV("t.csv") {{{columns}}}'), tmp_path)


def test_split_of_the_body_is_stratified(tmp_path: Path) -> None:
    rows = "".join(f"{each},{'u' if each % 4 else 'v'}\n" for each in range(200))
    split = "split (train=0.5, validation=0.25, test=0.25, stratify=kind, seed=3)"
    columns = f'column a: float32\n column kind: category("u", "v")\n output a, kind\n {split}'
    found = read(tmp_path, "a,kind\n" + rows, columns=columns)
    assert {part: found.size(part) for part in found.parts} == {"train": 100, "validation": 50, "test": 50}
    for fields in found.parts.values():
        assert abs(float(fields["kind"].float().mean()) - 0.25) < 0.02
    together = torch.cat([fields["a"] for fields in found.parts.values()])
    assert sorted(together.tolist()) == list(map(float, range(200)))


@pytest.mark.parametrize("kind", ["str", "int64"])
def test_a_split_by_order_keeps_samples_of_one_value_together(tmp_path: Path, kind: str) -> None:
    days = [3, 1, 2, 5, 4, 4, 6, 2, 1, 3]
    rows = "\n".join(f"{day},{number}" for number, day in enumerate(days))
    body = f"column day: {kind}; column x: int64; output x; split (by=day, validation=0.2, test=0.3)"
    found = read(tmp_path, f"day,x\n{rows}\n", columns=body)
    parts = {part: sorted({days[place] for place in fields["x"].tolist()}) for part, fields in found.parts.items()}
    assert parts == {"train": [1, 2], "validation": [3], "test": [4, 5, 6]}
    assert sorted(place for fields in found.parts.values() for place in fields["x"].tolist()) == list(range(10))


def test_a_split_by_order_that_leaves_a_part_empty(tmp_path: Path) -> None:
    body = "column day: str; column x: int64; output x; split (by=day, test=0.5)"
    with pytest.raises(DataError, match="by `day` leaves its train part empty"):
        read(tmp_path, "day,x\n1,1\n1,2\n1,3\n", columns=body)
