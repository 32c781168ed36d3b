import os

import numpy as np
import pytest

from aftertrace._hashing import digest
from aftertrace.data import Adult, load
from aftertrace.data._catalogue import known
from aftertrace.errors import DataError

REAL = pytest.mark.skipif(not os.environ.get("AFTERTRACE_DATA"), reason="needs the files of UCI Adult")
RECORD = "{age}, {work}, 77516, Bachelors, 13, Never-married, {job}, Husband, White, Male, 2174, 0, 40, Cuba, {income}"


def record(*, age=39, work="Private", job="Sales", income="<=50K"):
    return RECORD.format(age=age, work=work, job=job, income=income)


TRAIN = [record(age=20), record(age=30, work="?", job="?", income=">50K"), record(age=40, work="State-gov")]
TEST = ["|1x3 Cross validator", record(age=50, income="<=50K."), record(age=60, work="Private", income=">50K.")]


def write(folder, train=TRAIN, test=TEST):
    folder.mkdir(exist_ok=True)
    (folder / "adult.data").write_text("\n".join(train) + "\n\n")
    (folder / "adult.test").write_text("\n".join(test) + "\n")
    return folder


def column(data, name):
    return data.x[:, data.columns.index(name)].tolist()


def test_both_files_are_stacked_and_encoded(tmp_path):
    write(tmp_path / "adult")
    data = load(Adult(), data_dir=tmp_path)
    assert data.name == "adult"
    assert data.x.shape == (5, 14)
    assert data.classes == ("<=50K", ">50K")
    assert data.label.tolist() == [0, 1, 0, 0, 1]
    assert column(data, "age") == [20, 30, 40, 50, 60]
    assert column(data, "workclass") == [1, 0, 2, 1, 1]
    assert column(data, "occupation") == [1, 0, 1, 1, 1]
    assert data.notes[0] == "5 records, where the published files have 48842"


def test_missing_values_become_the_most_frequent(tmp_path):
    data = load(Adult(missing="mode"), data_dir=write(tmp_path))
    assert column(data, "workclass") == [0, 0, 1, 0, 0]


def test_onehot_makes_a_column_per_category(tmp_path):
    data = load(Adult(encoding="onehot"), data_dir=write(tmp_path))
    assert [name for name in data.columns if name.startswith("workclass")] == [
        "workclass=?",
        "workclass=Private",
        "workclass=State-gov",
    ]
    assert column(data, "workclass=?") == [0, 1, 0, 0, 0]


def test_fingerprints_follow_the_content(tmp_path):
    folder = write(tmp_path / "a")
    same = write(tmp_path / "b", [line.replace(", ", ",") for line in TRAIN])
    other = write(tmp_path / "c", [record(age=21), *TRAIN[1:]])
    first = load(Adult(), data_dir=folder).fingerprint
    assert load(Adult(), data_dir=same).fingerprint == first
    assert load(Adult(), data_dir=other).fingerprint != first
    assert load(Adult(missing="mode"), data_dir=folder).fingerprint != first


def test_specifications_are_plain_values():
    assert digest(Adult()) == digest(Adult(missing="category", encoding="codes"))
    assert len({digest(Adult()), digest(Adult(missing="mode")), digest(Adult(encoding="onehot"))}) == 3


@pytest.mark.parametrize("choice", [{"missing": "median"}, {"encoding": "ordinal"}])
def test_unknown_choices_are_refused(choice):
    with pytest.raises(DataError, match=r"`(missing|encoding)` must be ('\w+' or )+'\w+', got '\w+'\."):
        Adult(**choice)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1, 2", r"adult\.data, line 4: a row must have 15 fields separated by commas, got 2; mend or remove"),
        (record(income="50K"), r"adult\.data, line 4: the income must be <=50K or >50K, got '50K'; mend"),
        (record(age="old"), r"adult\.data, line 4: column 'age' must hold finite numbers, got 'old'; mend"),
        (record(age="?"), r"adult\.data, line 4: column 'age' must hold finite numbers, got '\?'; mend"),
        (
            '"' + record(),
            r"adult\.data: must be UTF-8 text with commas between the fields, and is not \(unexpected end",
        ),
    ],
)
def test_damaged_lines_are_named(tmp_path, line, message):
    with pytest.raises(DataError, match=message) as caught:
        load(Adult(), data_dir=write(tmp_path, [*TRAIN, line]))
    assert "\n" not in str(caught.value)


def test_absent_files_say_where_to_put_them(tmp_path):
    with pytest.raises(DataError) as caught:
        load(Adult(), data_dir=tmp_path)
    assert str(caught.value) == (
        f"adult.data must be in the data folder, and is none of {tmp_path / 'adult' / 'adult.data'}, "
        f"{tmp_path / 'adult.data'}; put it there (from the UCI Machine Learning Repository, data set Adult), or name "
        f"the folder that holds it with `data_dir` or AFTERTRACE_DATA."
    )


def test_folder_named_by_the_call_then_the_environment_then_the_cache(tmp_path, monkeypatch):
    named, cache = write(tmp_path / "named"), tmp_path / "cache"
    cache.mkdir()
    write(cache / "aftertrace", [record(age=21), *TRAIN[1:]])
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setenv("AFTERTRACE_DATA", str(named))
    assert column(load(Adult()), "age")[0] == 20
    assert column(load(Adult(), data_dir=cache / "aftertrace"), "age")[0] == 21
    monkeypatch.setenv("AFTERTRACE_DATA", "")
    assert column(load(Adult()), "age")[0] == 21
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with pytest.raises(DataError, match=r"home/\.cache/aftertrace/adult/adult\.data"):
        load(Adult())


@REAL
def test_published_files():
    data = load(Adult())
    assert data.x.shape == (48_842, 14) == (known("adult").rows, known("adult").features)
    assert np.bincount(data.label).tolist() == [24_720 + 12_435, 7_841 + 3_846]
    missing = {name: column(data, name).count(0) for name in ("workclass", "occupation", "native-country")}
    assert missing == {"workclass": 2_799, "occupation": 2_809, "native-country": 857}
    assert data.x[0].tolist() == [39, 7, 77516, 9, 13, 4, 1, 1, 4, 1, 2174, 0, 40, 39]
    assert not any("published" in note for note in data.notes)
    filled = load(Adult(missing="mode"))
    assert filled.x[:, filled.columns.index("native-country")].max() == 40
    assert filled.fingerprint != data.fingerprint


@REAL
def test_published_files_onehot():
    data = load(Adult(encoding="onehot"))
    assert data.x.shape == (48_842, 6 + 9 + 16 + 7 + 15 + 6 + 5 + 2 + 42)
    assert np.array_equal(data.x[:, 1:10].sum(axis=1), np.ones(len(data)))
