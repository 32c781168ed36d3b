"""Features that users bring: numbers and texts become columns, rows are found by record, mistakes are named."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aftertrace.errors import PosteriorsError
from aftertrace.posteriors import filled_features, pseudonyms, read_features

KEY = b"k"
FILE = """city,record,age,smokes
Ulm,eve,40,true
Bonn,ann,30,false
Köln,zoe,99,true
,bob,,false
"""


def read(path, *names):
    return read_features(path, pseudonyms(names, KEY), key=KEY).values


@pytest.fixture
def path(tmp_path):
    found = tmp_path / "people.csv"
    found.write_text(FILE)
    return found


def test_columns_of_a_file(path):
    """Categories "", Bonn, Ulm; age and where it is missing; zoe, of whom nobody asks, is no part of anything."""
    assert np.array_equal(
        read(path, "ann", "bob", "eve", "ann"),
        [
            [0, 1, 0, 30, 0, 0],
            [1, 0, 0, (30 + 40 + 30) / 3, 1, 0],
            [0, 0, 1, 40, 0, 1],
            [0, 1, 0, 30, 0, 0],
        ],
    )


def test_parquet_gives_the_same(path, tmp_path):
    columns = {
        "city": pa.array(["Ulm", "Bonn", "Köln", None]).dictionary_encode(),
        "record": ["eve", "ann", "zoe", "bob"],
        "age": pa.array([40, 30, 99, None], pa.int32()),
        "smokes": [True, False, True, False],
    }
    pq.write_table(pa.table(columns), tmp_path / "people.parquet")
    assert np.array_equal(read(tmp_path / "people.parquet", "bob", "eve"), read(path, "bob", "eve"))


def test_records_may_be_numbers(tmp_path):
    (tmp_path / "n.csv").write_text("record,age\n2,20\n10,100\n1,10\n")
    assert read(tmp_path / "n.csv", "1", "2", "10").tolist() == [[10], [20], [100]]


def test_other_keys_find_nobody(path):
    with pytest.raises(PosteriorsError, match="1 of 1 have none"):
        read_features(path, pseudonyms(["ann"], b"other"), key=KEY)


WRONG = {
    "record,age\nann,1\nann,2\n": "every record must stand once; 'ann' stands twice",
    "record,age\neve,1\n": r"must have a row; 2 of 3 have none, first that of row 0 of the original",
    "name,age\nann,1\n": "must be a column 'record' and at least one feature",
    "record\nann\nbob\n": "must be a column 'record' and at least one feature",
    "record,age,age\nann,1,2\n": "under different names",
    "record,role\nann,deleted\n": "column 'role' must not be among the features",
    "record,born\nann,2001-02-03\nbob,2001-02-04\neve,2001-02-05\n": "column 'born' holds date32.*Convert it",
    "record,age\nann,1\nbob,inf\neve,2\n": "column 'age' must be finite or missing; row 1 is infinite",
    "record,age\n": "have none",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_with_a_file(text, tmp_path):
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(PosteriorsError, match=WRONG[text]) as error:
        read(tmp_path / "x.csv", "ann", "bob", "eve")
    assert str(error.value).startswith(str(tmp_path))
    assert "\n" not in str(error.value)


def test_names_are_no_categories(tmp_path):
    names = [f"r{k}" for k in range(101)]
    (tmp_path / "x.csv").write_text("\n".join(["record,name", *(f"{name},{name}" for name in names)]))
    with pytest.raises(PosteriorsError, match="at most 100 different ones; 'name' has 101"):
        read(tmp_path / "x.csv", *names)
    assert read(tmp_path / "x.csv", *names[:100]).shape == (100, 100)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(PosteriorsError, match="there is no such file"):
        read(tmp_path / "x.csv", "ann")
    (tmp_path / "x.npz").write_bytes(b"")
    with pytest.raises(PosteriorsError, match="must end in .csv, .csv.gz or .parquet"):
        read(tmp_path / "x.npz", "ann")
    (tmp_path / "x.csv").write_bytes(b"record,city\nann,K\xf6ln\n")
    with pytest.raises(PosteriorsError, match=r"UTF-?8|binary"):
        read(tmp_path / "x.csv", "ann")


def test_arrays():
    assert filled_features([[1, 5], [np.nan, 6], [3, 7]], rows=3).values.tolist() == [[1, 0, 5], [2, 1, 6], [3, 0, 7]]
    assert filled_features([[np.nan], [np.nan]], rows=2).values.tolist() == [[0, 1], [0, 1]]
    for values, message in (
        ([[1], [2]], "a row for each of 3 queries; got"),
        ([1, 2, 3], "a row for each of 3 queries; got"),
        ([["a"], ["b"], ["c"]], "must be numbers"),
        ([[1], [np.inf], [3]], "Column 0 of `features` must be finite or missing; row 1"),
    ):
        with pytest.raises(PosteriorsError, match=message):
            filled_features(values, rows=3)
