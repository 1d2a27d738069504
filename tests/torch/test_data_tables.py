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
    assert "; and 7 more; `on_bad_rows=" in said


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


# --- how files are written ------------------------------------------------------------------------------------------------------


def test_decimal_commas_and_encodings(tmp_path: Path) -> None:
    columns = 'column breite: float32\n column stadt: category("Köln", "Bonn")\n output breite, stadt'
    text = "breite;stadt\n1,5;Köln\n-2e1;Bonn\n"
    for encoding in ("utf-8", "utf-16", "latin-1", "cp1252"):
        settings = f', delimiter=";", decimal=",", encoding="{encoding}"'
        found = read(tmp_path, text.encode(encoding), settings, columns).parts["train"]
        assert found["breite"].tolist() == [1.5, -20.0]
        assert found["stadt"].tolist() == [0, 1]
    said = refused(tmp_path, text.encode("latin-1"), ', delimiter=";", decimal=","', columns)
    assert "cannot be read as text in UTF-8 (line 2)" in said
    assert "cp1252" in said
    said = refused(tmp_path, text.encode("utf-16"), ', delimiter=";", decimal=","', columns)
    assert 'it begins as UTF-16 does; say `encoding="utf-16"`' in said
    said = refused(tmp_path, "breite;stadt\n1.5;Bonn\n", ', delimiter=";", decimal=","', columns)
    assert 'line 2, column `breite`: "1.5" has a point, and decimals stand behind ","' in said


def test_columns_whose_names_are_no_names_of_the_language(tmp_path: Path) -> None:
    columns = "column Age_years, _1st, if_, column_4, Grosse: float32\n output x = stack([Age_years, _1st, if_, column_4, Grosse], dim=1)"
    assert read(tmp_path, "Age (years),1st,if,%,Größe\n1,2,3,4,5\n", columns=columns.replace("Grosse", "Groe")).parts["train"][
        "x"
    ].tolist() == [[1, 2, 3, 4, 5]]
    said = refused(tmp_path, "a-b,a b\n1,2\n", columns="column a_b: float32\n output a_b")
    assert "has 2 columns `a_b`, columns 1 and 2 of line 1; rename one" in said


# --- rows that are left out -------------------------------------------------------------------------------------------------------


def left_out(folder: Path, content: str, settings: str) -> tuple[Dataset, list[str]]:
    (folder / "t.csv").write_text(content)
    told: list[str] = []
    columns = "column a: float32\n column b: int64\n output a, b"
    return load(source(folder, f'CSV("t.csv"{settings}) {{{columns}}}'), folder, told=told.append), told


ODD = "a,b\n1,1\n,2\n3,x\n4\n5,5\n6,\n"


def test_rows_are_left_out_where_the_source_says_so_and_that_is_told(tmp_path: Path) -> None:
    found, told = left_out(tmp_path, ODD, ', on_missing="drop", on_bad_rows="drop"')
    assert found.parts["train"]["b"].tolist() == [1, 5]
    assert found.left_out == 4
    assert len(told) == 2
    assert (
        '2 of 6 rows are left out (`on_bad_rows`): line 4, column `b`: "x" is not a whole number; line 5 has 1 values, expected 2'
        in told[0]
    )
    assert "2 of 6 rows are left out (`on_missing`): line 3, column `a`" in told[1]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            ', on_missing="drop"',
            'line 4, column `b`: "x" is not a whole number; line 5 .*; `on_bad_rows="drop"` leaves such rows out',
        ),
        (', on_bad_rows="drop"', 'line 3, column `a`: a value is missing.*; line 7.*; `on_missing="drop"` leaves such rows out'),
    ],
)
def test_one_policy_is_not_the_other(tmp_path: Path, settings: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        left_out(tmp_path, ODD, settings)


def test_nothing_may_be_left(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no row that is read: all 2 are left out"):
        left_out(tmp_path, "a,b\nx,1\ny,2\n", ', on_bad_rows="drop"')


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ("column a: str = median", "NN106 a column of str has no median: fill its gaps with a value"),
        ("column a: int64 = mean", "NN106 a column of int64 has no mean: fill its gaps with `median` or `mode`, or a value"),
        ('column a: category("u", other=true)', "NN106 a category may have `unknown=true`"),
        ("column a: index(3, unknown=true)", "NN106 a category may have `unknown=true`"),
    ],
)
def test_fills_and_settings_that_a_type_has_not(tmp_path: Path, columns: str, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        source(tmp_path, f'CSV("t.csv") {{{columns}\n column b: float32\n output b}}')
