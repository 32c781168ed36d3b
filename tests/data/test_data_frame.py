"""Tables read back from numbers: what pandas makes of the file, and what an audit makes of it."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from aftertrace._absence import NOTHING
from aftertrace._hashing import digest
from aftertrace.data import Adult, Csv, Frame, FrameColumn, load
from aftertrace.errors import DataError
from aftertrace.models import Records, read_subjects

TEXT = """id,age,income,job,member,score,code,bought
1,30,10.5,clerk,True,1,?,yes
2,-41,,"baker, retired",False,,7,no
3,50,1e3,,True,3,8,yes
4,29,20,NA,False,4,7,no
5,61,NaN,clerk,true,5,8,no
"""


@pytest.fixture
def path(tmp_path):
    (tmp_path / "shop.csv").write_text(TEXT)
    return tmp_path / "shop.csv"


@pytest.fixture
def data(path):
    return load(Csv(path=str(path), target="bought", drop=("id",), encoding="frame"))


def as_frame(data, rows=slice(None)):
    return Records(columns=data.frame.read(data.x[rows])).as_frame()


def audited(path, label):
    """The records of a file as an audit hands them to a model that takes tables."""
    header, *rows = path.read_text().splitlines()
    roles = [f"{row},{'deleted' if number % 2 else 'unseen'}" for number, row in enumerate(rows)]
    path.write_text("\n".join([f"{header},role", *roles]))
    return read_subjects({"records": path}, label=label).records.as_frame()


def test_is_the_table_that_pandas_reads(path, data):
    expected = pd.read_csv(path).drop(columns=["id", "bought"])
    assert_frame_equal(as_frame(data), expected)
    assert_frame_equal(as_frame(data, [3, 0, 3]), expected.iloc[[3, 0, 3]].reset_index(drop=True))
    assert data.frame.target == "bought"
    assert data.frame.classes == data.classes == ("no", "yes")


def test_persons_are_no_column_of_the_table(path, data):
    table = load(Csv(path=str(path), target="bought", person="id", encoding="frame"))
    assert table.frame == data.frame
    assert table.person.tolist() == [0, 1, 2, 3, 4]


def test_is_the_table_that_an_audit_reads(path, data):
    assert_frame_equal(as_frame(data), audited(path, "bought").drop(columns="id"))


def test_booleans_with_gaps_are_what_an_audit_makes_of_them(tmp_path):
    path = tmp_path / "gaps.csv"
    path.write_text("seen,y\nTrue,a\n,b\nFalse,a\n,b\n")
    data = load(Csv(path=str(path), target="y", encoding="frame"))
    assert_frame_equal(as_frame(data), pd.read_csv(path).drop(columns="y"))
    assert data.frame.read(data.x)["seen"].tolist()[::2] == [True, False]
    assert_frame_equal(as_frame(data), audited(path, "y"))


SPACED = [
    "a, b,y\n 1, x,u\n2 ,x ,v\n3,x,u\n4, x,v\n",
    "a,b,y\n1, NA,u\n,NA,v\n3,None,u\n4,-nan,v\n",
    "a,b,y\n , True,u\n2,False ,v\n3,True,u\n4,x,v\n",
    'a,b,y\n" 1",\t2,u\n+2, 2.5 ,v\n-3,1e3,u\n4,#N/A N/A,v\n',
    'a,b,y\n1\u00a0, "x",u\n2,"x ",v\n3,x,u\n4,x,v\n',
    "a,b,y\ntrue,1,u\nFALSE,True,v\ntrue,0,u\nTRUE,1,v\n",
    "a,b,y\n\u0661,None,u\n2,3,v\n3,<NA>,u\n4,4,v\n",
]


@pytest.mark.parametrize("text", SPACED)
def test_spaces_and_gaps_are_those_of_pandas(text, tmp_path):
    """Also where an audit reads them, apart from the type of whole numbers that have a sign."""
    (tmp_path / "spaced.csv").write_text(text, encoding="utf-8")
    expected = pd.read_csv(tmp_path / "spaced.csv").drop(columns="y")
    assert_frame_equal(as_frame(load(Csv(path=str(tmp_path / "spaced.csv"), target="y", encoding="frame"))), expected)
    assert_frame_equal(audited(tmp_path / "spaced.csv", "y"), expected, check_dtype=False)


def test_lines_of_spaces_are_no_rows(tmp_path):
    (tmp_path / "lines.csv").write_text("a,b,y\n1,x,u\n  \n2, x,v\n\n3,x, u\n4,x,v\n")
    path = tmp_path / "lines.csv"
    data = load(Csv(path=str(path), target="y", encoding="frame"))
    assert_frame_equal(as_frame(data), pd.read_csv(path).drop(columns="y"))
    assert data.classes == ("u", "v")


def test_what_stands_for_nothing_is_what_pandas_says():
    from pandas._libs.parsers import STR_NA_VALUES

    assert set(NOTHING) == STR_NA_VALUES


def test_numbers_are_codes_with_names_for_all_that_is_missing(data):
    assert data.columns == ("age", "income", "income missing", "job", "member", "score", "score missing", "code")
    assert np.isfinite(data.x).all()
    assert data.categories["job"] == ("NaN", "baker, retired", "clerk")
    assert data.categories["code"] == ("7", "8", "?")
    assert data.notes == (
        "income: 2 missing",
        "job: 2 missing",
        "score: 1 missing",
        "categorical: job (2), member (3), code (3)",
    )


def test_texts_are_part_of_the_fingerprint(path, data):
    codes = load(Csv(path=str(path), target="bought", drop=("id", "income")))
    assert codes.frame is None
    assert codes.fingerprint == digest([codes.x, codes.label, codes.classes, codes.columns])
    path.write_text(TEXT.replace("clerk", "clown"))
    other = load(Csv(path=str(path), target="bought", drop=("id",), encoding="frame"))
    assert np.array_equal(other.x, data.x)
    assert other.fingerprint != data.fingerprint != replace(data, frame=None).fingerprint


def test_large_whole_numbers_stay_as_exact_as_they_are(tmp_path):
    (tmp_path / "large.csv").write_text(f"n,m,y\n{2**53},1,a\n0,{2**53 - 1},b\n0,2,a\n0,3,b\n")
    table = load(Csv(path=str(tmp_path / "large.csv"), target="y", encoding="frame"))
    read = table.frame.read(table.x)
    assert (read["n"].dtype, read["m"].dtype) == (np.float64, np.int64)
    assert read["m"].tolist() == [1, 2**53 - 1, 2, 3]


def test_columns_that_are_called_alike_are_not_mixed_up(tmp_path):
    (tmp_path / "alike.csv").write_text("a,a missing,y\n1,5,u\n,6,v\n2,7,u\n3,8,v\n")
    table = load(Csv(path=str(tmp_path / "alike.csv"), target="y", encoding="frame"))
    assert table.frame.columns == (
        FrameColumn(name="a", place=0, gaps=1),
        FrameColumn(name="a missing", place=2, whole=True),
    )
    assert table.frame.read(table.x)["a missing"].tolist() == [5, 6, 7, 8]


def test_gaps_are_not_filled_too():
    with pytest.raises(DataError, match='`missing` must be left out with encoding = "frame", where gaps are kept; got'):
        Csv(path="t.csv", target="y", missing="mode", encoding="frame")
    with pytest.raises(DataError, match="`encoding` must be 'codes' or 'onehot' or 'frame', got 'raw'"):
        Csv(path="t.csv", target="y", encoding="raw")


def test_adult(tmp_path):
    row = "39, {work}, 77516, Bachelors, 13, Never-married, Sales, Husband, White, Male, 2174, 0, 40, Cuba, {income}\n"
    (tmp_path / "adult").mkdir()
    for name, stop in (("adult.data", ""), ("adult.test", ".")):
        rows = row.format(work="Private", income="<=50K" + stop) + row.format(work="?", income=">50K" + stop)
        (tmp_path / "adult" / name).write_text(rows)
    data = load(Adult(encoding="frame"), data_dir=tmp_path)
    assert isinstance(data.frame, Frame)
    assert data.frame.target == "income"
    assert data.frame.read(data.x[:2])["workclass"].tolist() == ["Private", "?"]
    assert data.frame.read(data.x)["age"].dtype == np.int64
