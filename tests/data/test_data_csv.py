import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aftertrace._hashing import digest
from aftertrace.data import Csv, load
from aftertrace.errors import DataError

TEXT = """id,age,job,"net income",bought
1,30, clerk,10.5,yes
2,?,"baker, retired",20,no

3,50,,10.5,yes
4,40,clerk,20,no
"""


def write(path, text=TEXT):
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.fixture
def table(tmp_path):
    return write(tmp_path / "shop.csv")


def test_numbers_and_categories_are_told_apart(table):
    data = load(Csv(path=table, target="bought", drop=("id",)))
    assert data.name == "shop.csv"
    assert data.columns == ("age", "age missing", "job", "net income")
    assert data.x.tolist() == [[30, 0, 2, 10.5], [40, 1, 1, 20], [50, 0, 0, 10.5], [40, 0, 2, 20]]
    assert data.classes == ("no", "yes")
    assert data.label.tolist() == [1, 0, 1, 0]
    assert data.notes[-1] == "categorical: job (2)"


def test_mode_and_onehot(table):
    data = load(Csv(path=table, target="bought", drop=("id",), missing="mode", encoding="onehot"))
    assert data.columns == ("age", "job=baker, retired", "job=clerk", "net income")
    assert data.x[:3].tolist() == [[30, 0, 1, 10.5], [30, 1, 0, 20], [50, 0, 1, 10.5]]


def test_compressed_relative_and_with_byte_order_mark(tmp_path, monkeypatch, table):
    (tmp_path / "shop.csv.gz").write_bytes(gzip.compress(b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode()))
    monkeypatch.chdir(tmp_path)
    packed, plain = (load(Csv(path=path, target="bought")) for path in ("shop.csv.gz", table))
    assert packed.columns[0] == "id"
    assert packed.fingerprint == plain.fingerprint


def test_whole_numbers_as_classes_are_in_numeric_order(tmp_path):
    rows = "\n".join(f"{k},{label}" for k, label in enumerate([10, 9, 10, 9, 2, 2]))
    data = load(Csv(path=write(tmp_path / "t.csv", f"x,y\n{rows}\n"), target="y"))
    assert data.classes == ("2", "9", "10")
    assert data.label.tolist() == [2, 1, 2, 1, 0, 0]


def test_specifications_are_plain_values():
    assert digest(Csv(path="a.csv", target="y")) == digest(Csv(path="a.csv", target="y", drop=()))
    assert digest(Csv(path="a.csv", target="y")) != digest(Csv(path="b.csv", target="y"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"target": "buoght"},
            r"shop\.csv: must have a column 'buoght' \(is 'bought' meant\?\); "
            r"its columns are 'id', 'age', 'job', 'net income', 'bought'\.",
        ),
        ({"drop": ("id", "jobs")}, r"shop\.csv: must have a column 'jobs' \(is 'job' meant\?\)"),
        ({"drop": ("id", "age", "job", "net income")}, r"at least one column must remain as a feature, and none does"),
        ({"target": "id"}, r"the target 'id' must be a class, and has 4 different values in 4 rows, so it is probably"),
        ({"person": "i d"}, r"shop\.csv: must have a column 'i d' \(is 'id' meant\?\)"),
        ({"person": "age"}, r"line 3: the person 'age' must be there, got '\?'; mend or remove the row"),
        ({"target": "age"}, r"line 3: the target 'age' must be there, got '\?'; mend or remove the row"),
    ],
)
def test_wrong_columns_are_refused(table, changes, message):
    with pytest.raises(DataError, match=message):
        load(Csv(**{"path": table, "target": "bought", **changes}))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"must hold a line of column names and rows below it, and is empty"),
        ("\n \n", r"must hold a line of column names and rows below it, and is empty"),
        ("x,bought\n", r"must hold at least one row of data, got none"),
        ("x,bought\n1,yes\n2\n", r"line 3: a row must have 2 fields separated by commas, got 1; mend"),
        ("x,bought\n1,yes\n\n2,no,3\n", r"line 4: a row must have 2 fields separated by commas, got 3; mend"),
        ("x,x,bought\n1,2,yes\n", r"column names must differ, and 'x' comes twice; rename one of them"),
        ("x,bought\n1,yes\n2,yes\n", r"must have at least two classes, and all 2 rows are 'yes'; name another"),
        ('x,bought\n1,"yes\n2,no\n', r"must be UTF-8 text with commas .* \(unexpected end of data\)"),
        ("x,bought\n\0\0,yes\n", r"must be UTF-8 text with commas .* \(it has zero bytes\)"),
    ],
)
def test_damaged_tables_are_refused(tmp_path, text, message):
    with pytest.raises(DataError, match=message) as caught:
        load(Csv(path=write(tmp_path / "t.csv", text), target="bought"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", bytes(range(128, 256)), r"must be UTF-8 text with commas .* save it as CSV in UTF-8"),
        ("t.csv.gz", b"x,y\n1,2\n", r"cannot be read \(Not a gzipped file .*\); check the file"),
        (
            "t.csv.gz",
            gzip.compress(TEXT.encode(), mtime=0)[:-12],
            r"cannot be read \(Compressed file ended .*\); check the file",
        ),
    ],
    ids=["not-text", "not-gzip", "torn-gzip"],
)
def test_foreign_files_are_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        load(Csv(path=str(tmp_path / name), target="y"))


def test_absent_file_and_folder_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"none\.csv: there is no such file; check the path, which starts at "):
        load(Csv(path="none.csv", target="y"))
    with pytest.raises(DataError, match=r"cannot be read \(Is a directory\)"):
        load(Csv(path=str(Path(tmp_path)), target="y"))


def test_target_and_person_are_columns_of_their_own():
    with pytest.raises(DataError, match="`drop` must not name the target 'y'"):
        Csv(path="t.csv", target="y", drop=("y",))
    with pytest.raises(DataError, match="`person` must not name the target 'y'"):
        Csv(path="t.csv", target="y", person="y")
    with pytest.raises(DataError, match="`drop` must not name the person 'p', which is no feature anyway"):
        Csv(path="t.csv", target="y", person="p", drop=("p",))


def test_persons_are_numbered_by_appearance_and_are_no_feature(table):
    data = load(Csv(path=table, target="bought", person="net income", drop=("id",)))
    assert data.columns == ("age", "age missing", "job")
    assert data.person.tolist() == [0, 1, 0, 1]
    assert data.notes[0] == "2 persons, by net income"
    assert not data.person.flags.writeable


def test_each_record_may_be_of_its_own_person(table):
    data = load(Csv(path=table, target="bought", person="id", drop=("job",)))
    assert data.person.tolist() == [0, 1, 2, 3]
    assert load(Csv(path=table, target="bought", drop=("id",))).person is None


def test_persons_are_part_of_the_fingerprint_only_where_they_are_known(table):
    without = load(Csv(path=table, target="bought", drop=("id",)))
    assert without.fingerprint == digest([without.x, without.label, without.classes, without.columns])
    numbered = [replace(without, person=np.array(person)) for person in ([0, 0, 1, 2], [0, 1, 1, 2])]
    assert len({data.fingerprint for data in (without, *numbered)}) == 3


@pytest.mark.parametrize(
    ("person", "message"),
    [
        ([0, 1, 2], r"shop\.csv: `person` must be one number per record \[4\], got \(3,\)\."),
        ([1, 0, 0, 1], r"in order of appearance, got numbers from 0 to 1 of 2 persons, the first record's 1\."),
        ([0, 2, 2, 0], r"must number persons from 0 in order of appearance, got numbers from 0 to 2 of 2 persons"),
    ],
)
def test_other_numbers_of_persons_are_refused(table, person, message):
    data = load(Csv(path=table, target="bought", drop=("id",)))
    with pytest.raises(DataError, match=message):
        replace(data, person=np.array(person))
