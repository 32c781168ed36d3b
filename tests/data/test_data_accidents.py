import csv
import gzip
import io
import os
from pathlib import Path

import numpy as np
import pytest

from aftertrace.data import UsAccidents, load
from aftertrace.data._catalogue import known
from aftertrace.errors import DataError

REAL = pytest.mark.skipif(not os.environ.get("AFTERTRACE_DATA"), reason="needs the samples of US Accidents")
SAMPLE, BALANCED, FIRST = (
    f"US_Accidents_{part}.csv.gz" for part in ("March23_sample", "March23_balanced", "May19_first10000")
)
HEADER = (
    "Start_Lat,Start_Lng,Distance(mi),Temperature(F),Wind_Chill(F),Humidity(%),Pressure(in),Visibility(mi),"
    "Wind_Direction,Wind_Speed(mph),Precipitation(in),Weather_Condition,Amenity,Bump,Crossing,Give_Way,Junction,"
    "No_Exit,Railway,Roundabout,Station,Stop,Traffic_Calming,Traffic_Signal,Turning_Loop,Sunrise_Sunset,"
    "Civil_Twilight,Nautical_Twilight,Astronomical_Twilight,ID,Source,Severity,Start_Time,End_Time,Description,Street,"
    "City,County,State,Zipcode,Country,Timezone,Airport_Code,Weather_Timestamp"
)
SHARED = HEADER.split(",")
LAYOUTS = {2019: ["TMC", "Number", "Side", *SHARED], 2023: [*reversed(SHARED), "End_Lat", "End_Lng"]}
TWILIGHTS = ("Sunrise_Sunset", "Civil_Twilight", "Nautical_Twilight", "Astronomical_Twilight")
BOOLEANS = SHARED[12:25]
NOT_FEATURES = {
    *("TMC", "Number", "Side", "End_Lat", "End_Lng", "Wind_Chill(F)", "Precipitation(in)", "ID", "Source", "Severity"),
    *("Start_Time", "End_Time", "Description", "Street", "City", "County", "Zipcode", "Country", "Airport_Code"),
    "Weather_Timestamp",
}
ROWS = [
    {"Severity": "1", "Temperature(F)": "0", "Weather_Condition": "Rain", "State": "OH", "Bump": "True"},
    {"Severity": "2", "Temperature(F)": "0.5", "Weather_Condition": "Fair", "State": "CA"},
    {"Severity": "3", "Temperature(F)": "1", "Weather_Condition": "", "State": "CA", "Bump": "TRUE"},
    {"Severity": "4", "Temperature(F)": "", "Weather_Condition": "fair", "State": "TX"},
    {"Severity": "3", "Temperature(F)": "99.5", "Weather_Condition": "Fair", "State": "OH", "Bump": "FALSE"},
    {"Severity": "2", "Temperature(F)": "100", "Weather_Condition": "Fair", "State": "OH"},
]


def text(rows, header=LAYOUTS[2023]):
    plain = {**dict.fromkeys(header, "7"), **dict.fromkeys(BOOLEANS, "False"), **dict.fromkeys(TWILIGHTS, "Day")}
    plain |= {"Timezone": "US/Eastern", "Wind_Direction": "CALM", "Description": "Slow, near exit 4."}
    content = io.StringIO()
    writer = csv.DictWriter(content, header, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows({**plain, **row} for row in rows)
    return content.getvalue()


def write(path, content):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(gzip.compress(content.encode()) if path.suffix == ".gz" else content.encode())


def loaded(folder, rows=ROWS, header=LAYOUTS[2023], **choices):
    write(folder / SAMPLE, text(rows, header))
    return load(UsAccidents(**choices), data_dir=folder)


def column(data, name):
    return data.x[:, data.columns.index(name)].tolist()


@pytest.mark.parametrize("place", [f"us_accidents/{SAMPLE}", SAMPLE, SAMPLE.removesuffix(".gz")])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_both_layouts_give_the_same_features(tmp_path, layout, place):
    write(tmp_path / place, text(ROWS, LAYOUTS[layout]))
    data = load(UsAccidents(), data_dir=tmp_path)
    assert data.x.shape == (6, 29)
    assert set(data.columns) == {*LAYOUTS[layout]} - NOT_FEATURES
    assert column(data, "Temperature(F)") == [1, 1, 2, 0, 100, 100]
    assert column(data, "Weather_Condition") == [2, 1, 0, 3, 1, 1]
    assert data.categories["Weather_Condition"] == ("?", "Fair", "Rain", "fair")
    assert column(data, "State") == [1, 0, 0, 2, 1, 1]
    assert column(data, "Bump") == [1, 0, 1, 0, 0, 0]
    assert data.notes[:3] == (
        f"all 6 records of {Path(place).name}",
        "Temperature(F): 1 missing, now bin 0",
        "Weather_Condition: 1 missing, now a category of its own",
    )
    assert loaded(tmp_path / "other").fingerprint == data.fingerprint


@pytest.mark.parametrize(
    ("classes", "label", "names"),
    [(2, [0, 0, 1, 1, 1, 0], ("1 or 2", "3 or 4")), (3, [0, 0, 1, 2, 1, 0], ("1 or 2", "3", "4"))],
)
def test_severity_in_two_and_three_classes(tmp_path, classes, label, names):
    data = loaded(tmp_path, classes=classes)
    assert data.label.tolist() == label
    assert data.classes == names


def test_bins_have_equal_width(tmp_path):
    number = np.random.default_rng(0).uniform(-130, -60, size=500)
    rows = [{"Start_Lng": repr(each), "Severity": str(1 + k % 4)} for k, each in enumerate(number.tolist())]
    bins = np.array(column(loaded(tmp_path, rows), "Start_Lng"))
    low, width = number.min(), (number.max() - number.min()) / 100
    assert np.all((number >= low + (bins - 1) * width - 1e-9) & (number <= low + bins * width + 1e-9))
    assert (bins.min(), bins.max()) == (1, 100)


def test_records_beyond_those_wanted_are_not_read(tmp_path):
    damaged = [*ROWS, {"Severity": "five", "Temperature(F)": "1000"}]
    data = loaded(tmp_path, damaged, records=6)
    assert data.fingerprint == loaded(tmp_path).fingerprint
    assert data.notes[0] == f"the first 6 records of {SAMPLE}"


@pytest.mark.parametrize("name", ["Severity", "Start_Lat", "State", "Turning_Loop"])
def test_absent_columns_are_named(tmp_path, name):
    header = [each for each in SHARED if each not in (name, "Stop")]
    with pytest.raises(
        DataError, match=rf"has no ({name}, Stop|Stop, {name}); name another table with `file`"
    ) as error:
        loaded(tmp_path, header=header)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"Severity": "5"}, r"line 8: the severity must be 1, 2, 3 or 4, got 5; mend or remove the row"),
        ({"Severity": "0"}, r"line 8: the severity must be 1, 2, 3 or 4, got 0; mend"),
        ({"Severity": "2.5"}, r"line 8: the severity must be 1, 2, 3 or 4, got 2\.5; mend"),
        ({"Severity": ""}, r"line 8: column 'Severity' must hold finite numbers, got ''; mend"),
        ({"Temperature(F)": "hot"}, r"line 8: column 'Temperature\(F\)' must hold finite numbers, got 'hot'; mend"),
        ({"Stop": ""}, r"line 8: column 'Stop' must be True or False, got ''; mend or remove the row"),
    ],
)
def test_damaged_rows_are_named(tmp_path, damage, message):
    with pytest.raises(DataError, match=message) as error:
        loaded(tmp_path, [*ROWS, {"Severity": "1", **damage}])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["Wind_Speed(mph)", "Wind_Direction"])
def test_columns_without_any_value_are_refused(tmp_path, name):
    with pytest.raises(DataError) as error:
        loaded(tmp_path, [{**row, name: ""} for row in ROWS])
    assert str(error.value) == (
        f"{tmp_path / SAMPLE}: column {name!r} must hold values, and has none in 6 records; read more of them."
    )


def test_too_few_and_too_short_tables_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"data\.records: .* holds 6 records, got 7; ask for fewer"):
        loaded(tmp_path, records=7)
    write(tmp_path / SAMPLE, text(ROWS) + "1,2\n")
    with pytest.raises(DataError, match="line 8: a row must have 46 fields separated by commas, got 2; mend"):
        load(UsAccidents(), data_dir=tmp_path)
    with pytest.raises(DataError, match=r"us_accidents/x\.csv\.gz, .*us_accidents/x\.csv, .*Kaggle"):
        load(UsAccidents(file="x.csv.gz"), data_dir=tmp_path)


@pytest.mark.parametrize(
    ("choice", "message"),
    [({"classes": 4}, "'classes' must be 2 or 3, got 4"), ({"records": 0}, "'records' must be at least 1, got 0")],
)
def test_unknown_choices_are_refused(choice, message):
    with pytest.raises(DataError, match=message):
        UsAccidents(**choice)


@REAL
@pytest.mark.parametrize(
    ("file", "severity", "no_wind_speed"),
    [(SAMPLE, [70, 7_158, 1_534, 250], 650), (BALANCED, [1_000] * 4, 0), (FIRST, [6, 6_047, 3_941, 6], 1_776)],
)
def test_published_samples(file, severity, no_wind_speed):
    data = load(UsAccidents(file=file, classes=3))
    one, two, three, four = severity
    assert data.x.shape == (sum(severity), known("us-accidents").features)
    assert np.bincount(data.label).tolist() == [one + two, three, four]
    binary = load(UsAccidents(file=file))
    assert np.bincount(binary.label).tolist() == [one + two, three + four]
    assert len(binary.classes) == known("us-accidents").classes
    assert np.array_equal(binary.x, data.x)
    assert column(data, "Wind_Speed(mph)").count(0) == no_wind_speed


@REAL
@pytest.mark.parametrize("file", [SAMPLE, FIRST])
def test_published_samples_say_what_their_files_say(file):
    data = load(UsAccidents(file=file))
    path = Path(os.environ["AFTERTRACE_DATA"]) / "us_accidents" / file
    with gzip.open(path, "rt", encoding="utf-8", newline="") as rows:
        table = list(csv.DictReader(rows))
    for name, x in zip(data.columns, data.x.T, strict=True):
        values = [row[name].strip() for row in table]
        if name in data.categories:
            assert [data.categories[name][int(code)] for code in x] == [value or "?" for value in values]
        elif name in BOOLEANS:
            assert x.tolist() == [value in ("True", "TRUE") for value in values]
        else:
            number = np.array([float(value or "nan") for value in values])
            low, width = np.nanmin(number), np.ptp(number[~np.isnan(number)]) / 100
            outside = (number < low + (x - 1) * width - 1e-9) | (number > low + x * width + 1e-9)
            assert np.array_equal(x == 0, np.isnan(number))
            assert not outside.any()
