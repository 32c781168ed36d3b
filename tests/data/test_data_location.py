import gzip
import os

import numpy as np
import pytest

from aftertrace.data import Location, load
from aftertrace.data._catalogue import known
from aftertrace.errors import DataError

REAL = pytest.mark.skipif(not os.environ.get("AFTERTRACE_DATA"), reason="needs the location table")
HEADER = ["locid", *(f"h{hour:03}" for hour in range(168)), "catid"]


def lines(n=6, *, catid=lambda k: k % 3, header=HEADER):
    rng = np.random.default_rng(0)
    counts = rng.poisson(0.5, size=(n, len(header) - 2))
    rows = [[k, *counts[k], catid(k)] for k in range(n)]
    return "\n".join(",".join(map(str, row)) for row in [header, *rows]), counts


def write(path, text):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


@pytest.mark.parametrize("place", ["location/nyc_withCatId.csv.gz", "nyc_withCatId.csv.gz", "nyc_withCatId.csv"])
def test_counts_and_categories(tmp_path, place):
    text, counts = lines()
    write(tmp_path / place, text)
    data = load(Location(), data_dir=tmp_path)
    np.testing.assert_array_equal(data.x, counts)
    assert data.columns == tuple(HEADER[1:-1])
    assert [data.classes[k] for k in data.label[:3]] == ["Arts & Entertainment", "College & University", "Food"]
    assert len(data.classes) == 9
    assert "stand-in for Insta-NY" in data.notes[0]


def test_another_city_has_numbers_for_classes(tmp_path):
    text, counts = lines(catid=lambda k: 9 + k % 2)
    write(tmp_path / "la_withCatId.csv", text)
    data = load(Location(file="la_withCatId.csv"), data_dir=tmp_path)
    assert data.classes == ("9", "10")
    assert data.label.tolist() == [0, 1, 0, 1, 0, 1]
    np.testing.assert_array_equal(data.x, counts)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            lines(header=["locid", *HEADER[2:]])[0],
            "must have the columns locid, 168 counts and catid, got 167 counts and a catid",
        ),
        (lines(header=[*HEADER[:-1], "c"])[0], "got 169 counts and no catid; name another table with `file`"),
        (lines(catid=lambda k: k + 4)[0], r"line 7: catid must be a whole number from 0 to 8, got 9; mend"),
        (lines(catid=lambda k: "Food")[0], r"line 2: column 'catid' must hold finite numbers, got 'Food'; mend"),
    ],
)
def test_tables_of_another_shape_are_refused(tmp_path, text, message):
    write(tmp_path / "nyc_withCatId.csv", text)
    with pytest.raises(DataError, match=message):
        load(Location(), data_dir=tmp_path)


def test_absent_table_names_all_places(tmp_path):
    with pytest.raises(DataError, match=r"location/nyc_withCatId\.csv\.gz, .*location/nyc_withCatId\.csv, .*MARC"):
        load(Location(), data_dir=tmp_path)


@REAL
def test_published_table():
    data = load(Location())
    assert data.x.shape == (13_839, 168) == (known("location").rows, known("location").features)
    assert data.x.sum() == 66_936
    assert np.bincount(data.label).tolist() == [637, 293, 4_340, 1_007, 834, 1_471, 703, 3_349, 1_205]
    assert load(Location()).fingerprint == data.fingerprint
