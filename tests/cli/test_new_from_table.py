"""A spec drafted for a table that nobody has seen: it checks without a finding, or the table's mistake is named with its line."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from example_specs import Command

import nnspec as package
from nnspec.cli.rewriting import parsed, written

Row = Callable[[int], str]


def number(row: int) -> str:
    return f"{random.Random(row).gauss(5, 2):.3f}"


def table(header: str, row: Row, rows: int = 40, end: str = "\n") -> str:
    return end.join([header, *(row(each) for each in range(rows))]) + end


PLAIN = table("width,height,kind", lambda row: f"{number(row)},{row * 3 % 17},{'ab'[row % 2]}")


def drafted(folder: Path, nnspec: Command, content: str | bytes, *options: str, target: str = "kind", name: str = "t.csv") -> str:
    """The text of the spec, which has to check without a finding in both forms, and to be as `fmt` writes it."""
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    code, out, err = nnspec("new", "made.nn", "--from", name, "--target", target, *options)
    assert code == 0, err
    assert "Next: nnspec train made.nn" in out
    assert nnspec("new", "made.yaml", "--from", name, "--target", target, *options).code == 0
    for made in ("made.nn", "made.yaml"):
        code, out, _ = nnspec("check", made)
        assert (code, out) == (0, "No findings in 1 file.\n"), out + Path(made).read_text()
    file, _ = parsed("made.nn")
    assert file is not None
    text = (folder / "made.nn").read_text(encoding="utf-8")
    assert written(file, yaml=False) == text
    return text


def refused(folder: Path, nnspec: Command, content: str | bytes, *options: str, target: str = "kind", name: str = "t.csv") -> str:
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    code, out, err = nnspec("new", "made.nn", "--from", name, "--target", target, *options)
    assert (code, out) == (2, ""), out
    assert not (folder / "made.nn").exists()
    assert err.count("\n") == 1, "one sentence"
    return err


# --- tables that are read -----------------------------------------------------------------------------------------------------------


def test_classes(folder: Path, nnspec: Command) -> None:
    text = drafted(folder, nnspec, PLAIN)
    assert 'column kind: category("a", "b")' in text
    assert "column width, height: float32" in text
    assert "stratify=kind" in text
    assert "cross_entropy" in text


def test_a_number(folder: Path, nnspec: Command) -> None:
    text = drafted(folder, nnspec, PLAIN, target="width")
    assert "column width: float32" in text
    assert "float32(one_hot(kind))" in text
    assert "mse_loss" in text
    assert "stratify" not in text


def test_the_task_may_be_given(folder: Path, nnspec: Command) -> None:
    content = table("a,grade", lambda row: f"{number(row)},{row % 4 + 1}")
    assert 'category("1", "2", "3", "4")' in drafted(folder, nnspec, content, target="grade")
    assert "mse_loss" in drafted(folder, nnspec, content, "--task", "regression", "--force", target="grade")


FORMS: dict[str, tuple[str | bytes, list[str]]] = {
    "semicolons and decimal commas": (
        table("a;b;kind", lambda row: f"{number(row).replace('.', ',')};{row};{'xy'[row % 2]}"), ['delimiter=";"', 'decimal=","'],
    ),
    "tabs": (PLAIN.replace(",", "\t"), ['delimiter="\\t"']),
    "bars": (PLAIN.replace(",", "|"), ['delimiter="|"']),
    "a byte order mark": (b"\xef\xbb\xbf" + PLAIN.encode(), []),
    "Windows line ends": (PLAIN.replace("\n", "\r\n"), []),
    "UTF-16": (PLAIN.encode("utf-16"), ['encoding="utf-16"']),
    "Western Windows": (PLAIN.replace("width", "größe").encode("cp1252"), ['encoding="cp1252"', "column groe, height"]),
    "quotes": (table('"width","kind"', lambda row: f'"{number(row)}","a ""{row % 2}"", b"'), ['category("a \\"0\\", b", "a \\"1\\", b")']),
    "empty lines": (PLAIN.replace("\n", "\n\n"), []),
    "no header": (PLAIN.partition("\n")[2], ['names=["column_1", "column_2", "column_3"]']),
    "names that are none": (
        PLAIN.replace("width,height", "Width (cm),1st"), ["column Width_cm, _1st: float32"],
    ),
    "names of the language": (PLAIN.replace("width,height", "output,N"), ["column output, N_: float32"]),
    "names of the draft": (PLAIN.replace("width,height", "x,numbers"), ["column x, numbers: float32", "output x_ ="]),
    "gaps": (
        table("a,b,kind", lambda row: f"{number(row) if row % 7 else ''},{'pq'[row % 3 % 2] if row % 5 else ''},{'xy'[row % 2]}"),
        ["column a: float32 = median", 'column b: category("p", "q") = mode'],
    ),
    "words for gaps": (
        table("a,b,kind", lambda row: f"{number(row) if row % 7 else 'NA'},{number(row + 9) if row % 8 else '?'},{'xy'[row % 2]}"),
        ['missing=["?", "NA"]', "column a, b: float32 = median"],
    ),
    "no class in some rows": (
        table("a,kind", lambda row: f"{number(row)},{'xy'[row % 2] if row % 6 else ''}"), ['on_missing="drop"'],
    ),
    "constant columns, keys and dates": (
        table("id,a,same,when,key_id,kind", lambda row: f"{row + 1},{number(row)},7,2020-01-{row % 28 + 1:02},{row * row * 31},{'xy'[row % 2]}"),
        ["left out: `id` numbers the rows", "left out: `same` is 7 in every row", "left out: `when` holds dates",
         "left out: `key_id` has another"],
    ),
    "long texts": (
        table("a,note,kind", lambda row: f"{number(row)},{'words ' * 20}{row},{'xy'[row % 2]}"), ["left out: `note` holds long texts"],
    ),
    "many categories": (
        table("a,town,kind", lambda row: f"{number(row)},town{row * row % 61},{'xy'[row % 2]}", 400), ["unknown=true"],
    ),
    "large numbers": (
        table("seconds,kind", lambda row: f"{1_600_000_000 + row * row},{'xy'[row % 2]}"), ["column seconds: float64", "float32(stack"],
    ),
    "an empty column": (table("a,nothing,kind", lambda row: f"{number(row)},,{'xy'[row % 2]}"), ["left out: `nothing` has no values"]),
    "classes that count": (table("a,kind", lambda row: f"{number(row)},{row % 3}"), ["column kind: index(3)"]),
    "many columns": (
        table(",".join([*(f"measure_{each}" for each in range(60)), "kind"]),
              lambda row: ",".join([*(number(row * 61 + each) for each in range(60)), "xy"[row % 2]])), ["float32[N, 60]"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FORMS)
def test_awkward_tables(folder: Path, nnspec: Command, case: str) -> None:
    content, expected = FORMS[case]
    text = drafted(folder, nnspec, content, target="column_3" if case == "no header" else "kind")
    one_line = " ".join(text.split())
    for each in expected:
        assert " ".join(each.split()) in one_line, text


def test_numbers_that_are_small_or_far_from_0(folder: Path, nnspec: Command) -> None:
    for scale, shift in ((1e-6, 0), (1e7, -3e9), (1, 1000)):
        content = table("a,y", lambda row, scale=scale, shift=shift: f"{row % 7},{float(number(row)) * scale + shift!r}")
        assert "mse_loss" in drafted(folder, nnspec, content, "--force", target="y")


def test_rows_that_do_not_fit_are_dropped_where_it_is_asked_for(folder: Path, nnspec: Command) -> None:
    lines = PLAIN.splitlines()
    lines[3] += ",more"
    lines[9] = "oops,1,a"
    (folder / "t.csv").write_text("\n".join(lines))
    code, _, err = nnspec("new", "made.nn", "--from", "t.csv", "--target", "kind", "--bad-rows", "drop")
    assert code == 0
    assert "left out: 1 row (line 4) with another number of values\nleft out: 1 row (line 10) with a text among numbers\n" in err
    assert 'on_bad_rows="drop"' in (folder / "made.nn").read_text()


def test_what_was_decided_is_told(folder: Path, nnspec: Command) -> None:
    content = table("id,a,kind", lambda row: f"{row},{number(row)},{'xy'[row % 2] if row else ''}")
    (folder / "t.csv").write_text(content)
    _, out, err = nnspec("new", "made.nn", "--from", "t.csv", "--target", "kind")
    assert out == "wrote made.nn, drafted for t.csv. Next: nnspec train made.nn\n"
    assert err.splitlines() == [
        "classification: `kind` has 2 classes, told from 1 column of 39 rows",
        "left out: 1 row (line 2) without `kind`",
        "left out: `id` numbers the rows",
        "spec: made.nn",
    ]


# --- tables that are refused --------------------------------------------------------------------------------------------------------

WRONG: dict[str, tuple[str | bytes, str]] = {
    "nothing": ("", "t.csv is empty"),
    "a header alone": ("a,kind\n", "has a header (a, kind) and no rows"),
    "two rows": ("a,kind\n1,x\n2,y\n", "has 2 rows that can be used: at least 10 are needed"),
    "one column": (table("kind", lambda row: "xy"[row % 2]), "has one column, `kind`"),
    "no such column": (PLAIN.replace("kind", "kinds"), "--target kind: t.csv has no such column; a similar one is `kinds`"),
    "twin columns": (PLAIN.replace("width,height", "a,a"), "line 1: two columns `a` would both be `a` in a spec; rename one"),
    "near twins": (PLAIN.replace("width,height", "a b,a-b"), "line 1: two columns `a b` and `a-b` would both be `a_b`"),
    "ragged": (PLAIN.replace("\n", ",9\n", 3).replace(",9", "", 1), "line 2 has 4 values; line 3 has 4 values: correct them, or leave such"),
    "mixed": (PLAIN.replace(number(4), "abc"), 'column `width` holds 39 numbers and, in line 6: "abc", none: correct or empty the cell'),
    "one class": (PLAIN.replace(",b", ",a"), '`kind` is "a" in every row'),
    "a class a row": (table("a,kind", lambda row: f"{number(row)},name{row}"), "has 40 different values in 40 rows, too many for classes"),
    "nothing to learn from": (table("id,kind", lambda row: f"{row},{'xy'[row % 2]}"), "no column to learn `kind` from: `id` numbers the rows"),
    "an open quote": (PLAIN.replace("\n", '\n"', 1), "column `width` holds 39 numbers and, in line 2: "),
    "a workbook": (b"PK\x03\x04" + b"\0" * 40, "is an archive or a workbook: save the sheet as CSV"),
    "packed": (b"\x1f\x8b\x08\x00" + b"\1" * 40, "is packed by gzip: unpack it"),
    "texts that are not parted": (
        table("kind\ttext", lambda row: f"{'xy'[row % 2]}\t" + ('"' if row == 30 else "") + f"a text {row} \x92 of its own"),
        "from: `text` has another text in nearly every row",
    ),
    "bytes": (PLAIN.encode().replace(b"\n", b"\n\0", 3), "t.csv, line 2: a byte of zero"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_tables_that_nothing_is_learned_from(folder: Path, nnspec: Command, case: str) -> None:
    content, said = WRONG[case]
    assert said in refused(folder, nnspec, content)


def test_texts_are_no_numbers(folder: Path, nnspec: Command) -> None:
    assert "regression tells numbers" in refused(folder, nnspec, PLAIN, "--task", "regression")
    assert "--task has no `classify`" in refused(folder, nnspec, PLAIN, "--task", "classify")
    assert "is both --target and --ignore" in refused(folder, nnspec, PLAIN, "--ignore", "kind")
    assert "which column is to be told? --target COLUMN; t.csv has width, height, kind" in refused(
        folder, nnspec, PLAIN, target=""
    )


def test_files_that_are_not_there(folder: Path, nnspec: Command) -> None:
    assert "gone.csv is not there" in nnspec("new", "a.nn", "--from", "gone.csv", "--target", "x").err
    (folder / "dir.csv").mkdir()
    assert "dir.csv is a folder" in nnspec("new", "a.nn", "--from", "dir.csv", "--target", "x").err
    (folder / "below").mkdir()
    (folder / "t.csv").write_text(PLAIN)
    assert "a spec names data below its own folder" in nnspec("new", "below/a.nn", "--from", "t.csv", "--target", "kind").err
    code, _, err = nnspec("new", "a.nn", "--target", "kind")
    assert code == 2
    assert "--target is for a table" in err


def test_the_spec_is_that_of_the_package(folder: Path, nnspec: Command) -> None:
    drafted(folder, nnspec, PLAIN)
    assert package.check("made.nn").ok
