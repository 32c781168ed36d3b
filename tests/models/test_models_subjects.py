import gzip
import tracemalloc
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from aftertrace.errors import DataError, InputError
from aftertrace.models import Records, Subjects, read_subjects
from aftertrace.posteriors import Role, pseudonyms

N = 30


def table(start=0, rows=N, **columns):
    number = np.arange(start, start + rows)
    frame = pd.DataFrame(
        {
            "record": [f"r{k}" for k in number],
            "label": np.where(number % 2, "yes", "no"),
            "age": number,
            "town": [f"t{k % 3}" for k in number],
        }
    )
    return frame.assign(**columns)


def written(folder, **frames):
    files = {}
    for name, frame in frames.items():
        files[name] = folder / f"{name}.csv"
        frame.to_csv(files[name], index=False)
    return files


def refused(message, folder, **frames):
    with pytest.raises(DataError, match=message) as caught:
        read_subjects(written(folder, **frames))
    assert "\n" not in str(caught.value)


def test_files_become_subjects(tmp_path):
    files = written(tmp_path, deleted=table(), unseen=table(100), retained=table(200, 5))
    found = read_subjects(files, key=b"secret")
    assert len(found) == len(found.records) == 2 * N + 5
    assert [int((found.role == role).sum()) for role in (Role.DELETED, Role.UNSEEN, Role.RETAINED)] == [N, N, 5]
    assert found.label[:2].tolist() == ["no", "yes"]
    assert list(found.records.columns) == ["age", "town"]
    assert found.records.columns["age"].dtype == np.int64
    np.testing.assert_array_equal(found.record[:2], pseudonyms(["r0", "r1"], b"secret"))
    assert (found.person, found.left, found.notes) == (None, None, ())


def test_one_file_with_roles_is_the_same_as_two(tmp_path):
    two = read_subjects(written(tmp_path, deleted=table(), unseen=table(100)))
    both = pd.concat([table(role="deleted"), table(100, role="unseen")])
    one = read_subjects(written(tmp_path, records=both))
    for name in ("label", "role", "record"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    np.testing.assert_array_equal(one.records.columns["town"], two.records.columns["town"])


@pytest.mark.parametrize("suffix", ["parquet", "csv.gz"])
def test_other_formats_hold_the_same(tmp_path, suffix):
    csv = read_subjects(written(tmp_path, deleted=table(), unseen=table(100)))
    files = {}
    for name, frame in (("deleted", table()), ("unseen", table(100))):
        files[name] = tmp_path / f"{name}.{suffix}"
        if suffix == "parquet":
            pa.parquet.write_table(pa.table({key: frame[key].tolist() for key in frame}), files[name])
        else:
            files[name].write_bytes(gzip.compress(frame.to_csv(index=False).encode()))
    found = read_subjects(files)
    for name in ("label", "role", "record"):
        np.testing.assert_array_equal(getattr(found, name), getattr(csv, name))
    for name in ("age", "town"):
        np.testing.assert_array_equal(found.records.columns[name], csv.records.columns[name])


def test_arrays_of_images(tmp_path):
    files, rng = {}, np.random.default_rng(0)
    for word in ("deleted", "unseen"):
        files[word] = tmp_path / f"{word}.npz"
        np.savez(files[word], x=rng.normal(size=(N, 1, 4, 4)).astype(np.float32), label=np.arange(N) % 3)
    found = read_subjects(files)
    assert found.records.array.shape == (2 * N, 1, 4, 4)
    assert found.records.array.dtype == np.float32
    assert set(found.label) == {"0", "1", "2"}
    np.testing.assert_array_equal(found.record[[0, N]], pseudonyms(["deleted 0", "unseen 0"], b""))


def test_python_users_bring_pairs():
    frame, label = table()[["age", "town"]], table()["label"]
    other = frame.assign(age=frame["age"] + 100)
    pandas = Subjects.of(deleted=(frame, label), unseen=(other, label))
    arrow = Subjects.of(
        deleted=(pa.table({name: frame[name].tolist() for name in frame}), label.tolist()),
        unseen=(pa.table({name: other[name].tolist() for name in other}), label.tolist()),
    )
    arrays = Subjects.of(deleted=(frame[["age"]].to_numpy(), label), unseen=(other[["age"]].to_numpy(), label))
    for found in (arrow, arrays):
        np.testing.assert_array_equal(found.label, pandas.label)
        np.testing.assert_array_equal(found.record, pandas.record)
    np.testing.assert_array_equal(arrow.records.columns["town"], pandas.records.columns["town"])
    assert arrays.records.array.shape == (2 * N, 1)


def test_missing_values_are_those_of_pandas(tmp_path):
    files = written(tmp_path, deleted=table(), unseen=table(100))
    for path in files.values():
        frame = pd.read_csv(path, dtype={"record": str})
        frame.loc[3, "town"], frame.loc[4, "age"], frame["date"] = "NA", np.nan, "2024-01-31"
        frame["nothing"] = np.nan
        frame.to_csv(path, index=False)
    found = read_subjects(files).records
    expected = pd.read_csv(files["deleted"])[["age", "town", "date", "nothing"]]
    pd.testing.assert_frame_equal(found.select(slice(0, N)).as_frame(), expected)


def test_labels_are_texts_in_csv_and_named_as_numbers_elsewhere(tmp_path):
    csv = read_subjects(written(tmp_path, deleted=table(label="1.0"), unseen=table(100, label="01")))
    assert set(csv.label) == {"1.0", "01"}
    x, y = np.zeros((N, 2)), np.ones(N)
    assert set(Subjects.of(deleted=(x, y), unseen=(x + 1, y)).label) == {"1"}
    assert set(Subjects.of(deleted=(x, y > 2), unseen=(x + 1, y / 2)).label) == {"False", "0.5"}


def test_persons_become_pseudonyms(tmp_path):
    files = written(
        tmp_path, deleted=table(person=np.arange(N) // 3), unseen=table(100, person=100 + np.arange(N) // 3)
    )
    found = read_subjects(files, key=b"k")
    np.testing.assert_array_equal(found.person[:4], pseudonyms(["0", "0", "0", "1"], b"k"))
    x, y = np.arange(2 * N).reshape(N, 2), np.arange(N) % 2
    persons = {"deleted": np.arange(N) // 3, "unseen": 100 + np.arange(N) // 3}
    same = Subjects.of(deleted=(x, y), unseen=(x + 100, y), persons=persons, key=b"k")
    np.testing.assert_array_equal(same.person, found.person)
    with pytest.raises(DataError, match="`person` must say persons for each of deleted, unseen; got deleted"):
        Subjects.of(deleted=(x, y), unseen=(x, y), persons={"deleted": persons["deleted"]})


def test_when_records_left(tmp_path):
    left = [1] * 10 + [2] * 10 + [""] * 10
    found = read_subjects(written(tmp_path, deleted=table(left=left), unseen=table(100)))
    np.testing.assert_array_equal(found.left, [1] * 10 + [2] * 10 + [-1] * (10 + N))
    refused("column 'left' must say the first version", tmp_path, deleted=table(left=0), unseen=table(100))
    refused("If it is a feature, give it another name", tmp_path, deleted=table(left="no"), unseen=table(100))


def test_without_classes(tmp_path):
    files = written(tmp_path, deleted=table().drop(columns="label"), unseen=table(100).drop(columns="label"))
    assert set(read_subjects(files, labelled=False).label) == {""}


def test_a_label_column_of_another_name(tmp_path):
    frames = [table(start).rename(columns={"label": "left"}) for start in (0, 100)]
    found = read_subjects(written(tmp_path, deleted=frames[0], unseen=frames[1]), label="left")
    assert set(found.label) == {"yes", "no"}


def test_a_person_column_of_another_name(tmp_path):
    frames = [table(start, customer=[f"c{start + k // 2}" for k in range(N)]) for start in (0, 100)]
    files = written(tmp_path, deleted=frames[0], unseen=frames[1])
    found = read_subjects(files, person="customer", key=b"k")
    assert found.person[:3].tolist() == pseudonyms(["c0", "c0", "c1"], b"k").tolist()
    assert list(found.records.columns) == ["age", "town"]
    with pytest.raises(DataError, match="column 'client' with whose record each is; .*`person_column`"):
        read_subjects(files, person="client")
    with pytest.raises(InputError, match="must be another one than record, role, label, got 'role'"):
        read_subjects(files, person="role")


@pytest.mark.parametrize("missing", [None, float("nan"), "", pd.NA])
def test_a_missing_person_is_no_person(missing):
    pair = np.zeros((2, 1)), np.zeros(2)
    with pytest.raises(InputError, match="says nothing in 1 rows, first in row 1"):
        Subjects.of(deleted=pair, unseen=pair, persons={"deleted": ["a", missing], "unseen": ["b", "c"]})


def test_wrong_columns(tmp_path):
    for problem, deleted, unseen in (
        (r"a column 'label' .*is 'lable' meant", table().rename(columns={"label": "lable"}), table(100)),
        ("column 'label' must be filled in every row; row 1 is empty", table(label=["a", ""] * 15), table(100)),
        (
            "every label must be a class; row 1 holds 'inf' \\(15 such rows\\)",
            table(label=["a", "inf"] * 15),
            table(100),
        ),
        ("record 'r5' is deleted and unseen", table(), table(5)),
        ("record 'r1' stands 30 times", table(record="r1"), table(100)),
        ("missing here: 'town'", table(), table(100).drop(columns="town")),
        ("deleted.csv: all records must have the same columns; missing here: 'size'", table(), table(100, size=1)),
        ("it holds texts such as 'x' here, and numbers in .*unseen.csv", table(age="x"), table(100)),
        ("must say the record of each row", table(), table(100).drop(columns="record")),
        ("must say the person of each row", table(person="a"), table(100)),
        ("person 'a' has deleted and unseen ones", table(person="a"), table(100, person="a")),
        ("there must be at least one record", table(), table(100).head(0)),
        ("its column 'role' says 'retained'", table(role="retained"), table(100)),
        ("there must be columns of features", table()[["record", "label"]], table(100)),
    ):
        refused(problem, tmp_path, deleted=deleted, unseen=unseen)
    refused("A role must be one of .*got 'unsen' \\(is 'unseen' meant", tmp_path, records=table(role="unsen"))
    refused("there must be a column 'role'", tmp_path, records=table())
    refused("There must be deleted records and unseen ones", tmp_path, records=table(role="deleted"))


def test_wrong_files(tmp_path):
    good = written(tmp_path, unseen=table(100))
    for name, content, message in (
        ("deleted.cvs", b"", "must end in .csv"),
        ("deleted.parquet", b"no parquet", "not a readable .parquet file"),
        ("deleted.csv", b"record,label,age\nr1,yes\n", "not a readable .csv file"),
        ("twice.csv", b"record,label,age,age\nr1,yes,1,2\n", "names of columns must differ"),
        ("deleted.npz", b"no archive", "must be a zip archive"),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(DataError, match=message) as caught:
            read_subjects({"deleted": path, **good})
        assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="there is no such file \\(is 'unseen.csv' meant"):
        read_subjects({"deleted": tmp_path / "unsene.csv", **good})


def test_arrays_that_are_none(tmp_path):
    path = tmp_path / "deleted.npz"
    for arrays, message in (
        ({"values": np.zeros((2, 2))}, "there must be an array 'x'.*found 'values'"),
        ({"x": np.zeros(3)}, "got float64 \\[3\\]"),
        ({"x": np.array([["a"]])}, "got <U1"),
        ({"x": np.array([[None]])}, "without pickled objects"),
        ({"x": np.zeros((3, 2)), "label": np.zeros(2)}, "one label for each of 3 records; got 2"),
        ({"x": np.zeros((3, 2)), "label": np.full(3, np.nan)}, "column 'label' must be filled"),
        ({"x": np.zeros((3, 2)), "label": np.zeros((3, 2))}, "'label' must hold one value for each record"),
    ):
        np.savez(path, **arrays)
        with pytest.raises(DataError, match=message):
            read_subjects({"deleted": path})
    np.savez(path, x=np.zeros((3, 2)), label=np.zeros(3))
    np.savez(tmp_path / "unseen.npz", x=np.zeros((3, 4)), label=np.zeros(3))
    with pytest.raises(DataError, match="must be of one shape; .*\\[2\\] and .*\\[4\\]"):
        read_subjects({"deleted": path, "unseen": tmp_path / "unseen.npz"})
    with pytest.raises(DataError, match="must all be arrays or all be tables"):
        read_subjects({"deleted": path, **written(tmp_path, unseen=table(100).drop(columns="record"))})


def test_a_zip_bomb_is_not_unpacked(tmp_path):
    path = tmp_path / "deleted.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("x.npy", "w") as member,
    ):
        for _ in range(300):
            member.write(bytes(2**20))
    tracemalloc.start()
    with pytest.raises(DataError, match="would become 300 MiB when unpacked"):
        read_subjects({"deleted": path})
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_notes(tmp_path):
    x, label = np.arange(2 * N).reshape(N, 2), np.array(["a", "b"] * (N // 2))
    same = Subjects.of(deleted=(x, label), unseen=(x[::-1][:7], label[:7])).notes
    assert same == ("7 deleted records have the same content as an unseen one: no attack can tell these apart.",)
    frame = pd.DataFrame({"a": ["x", None], "b": [1.0, np.nan]})
    other = pd.DataFrame({"a": ["x", None, "y"], "b": [2.0, np.nan, 1.0]})
    notes = Subjects.of(deleted=(frame, ["0", "1"]), unseen=(other, ["0", "1", "1"])).notes
    assert any(note.startswith("1 deleted record has the same content") for note in notes)


def test_rows_that_stand_twice_are_counted(tmp_path):
    """Equal people exist: no refusal; and numbers of records, classes, roles or persons tell rows apart."""
    bare = table().drop(columns="record")
    again = pd.concat([bare, bare.iloc[:3], bare.iloc[:1]])
    files = written(tmp_path, deleted=again, unseen=table(100).drop(columns="record"))
    (note,) = read_subjects(files).notes
    assert note.startswith(f"4 of {2 * N + 4} records repeat another one in all columns.")
    numbered = written(tmp_path, deleted=table(age=7, town="t"), unseen=table(100))
    assert read_subjects(numbered).notes == ()
    tables = {"deleted": bare.assign(age=7, town="t"), "unseen": table(100).drop(columns="record")}
    (note,) = read_subjects(written(tmp_path, **tables)).notes
    assert note.startswith(f"{N - 2} of {2 * N} records repeat")  # all but one of either class
    persons = {name: frame.assign(person=[f"{name}{k}" for k in range(N)]) for name, frame in tables.items()}
    assert read_subjects(written(tmp_path, **persons)).notes == ()
    x = np.arange(2 * N).reshape(N, 2)
    (note,) = Subjects.of(deleted=(x[[0, 0, 1]], [0, 0, 0]), unseen=(x[2:], [0] * (N - 2))).notes
    assert note.startswith(f"1 of {N + 1} records repeats another one")


def test_columns_of_records():
    records = Records(columns={"n": np.array([1, None, 2.5], dtype=object), "s": np.array(["a", "b", "c"])})
    np.testing.assert_array_equal(records.columns["n"], [1, np.nan, 2.5])
    assert not records.is_numeric
    for column, message in (
        (np.array(["2024-01-01"] * 3, dtype="datetime64[D]"), "must be numbers or texts, got datetime64"),
        (np.array([1, "a", 2], dtype=object), "must be numbers or texts, got int, str"),
        (np.zeros((3, 2)), "must hold one value each"),
        (np.zeros(2), "must be of one length"),
    ):
        with pytest.raises(InputError, match=message):
            Records(columns={"n": np.zeros(3), "x": column})
    with pytest.raises(InputError, match="must have different names"):
        Subjects.of(deleted=(pd.DataFrame([[1, 2]], columns=["a", "a"]), [0]), unseen=([[1, 2]], [0]))


def test_records_of_nobody():
    with pytest.raises(DataError, match="There must be files of records"):
        read_subjects({})
    with pytest.raises(DataError, match="`deleted` must be records and a class for each"):
        Subjects.of(deleted=(np.zeros((2, 2)), np.zeros((2, 2))), unseen=(np.zeros((2, 2)), [0, 1]))
    with pytest.raises(DataError, match="`deleted`: every label must be a class; row 1 holds 'nan'"):
        Subjects.of(deleted=(np.zeros((2, 2)), [0, np.nan]), unseen=(np.zeros((2, 2)), [0, 1]))


def test_one_file_given_twice(tmp_path):
    alike = table().drop(columns="record")
    files = written(tmp_path, deleted=alike, unseen=alike)
    with pytest.raises(DataError, match="was one file given twice"):
        read_subjects(files)


def test_persons_that_are_no_mapping():
    x, label = np.arange(2 * N).reshape(N, 2), np.array(["a", "b"] * (N // 2))
    with pytest.raises(DataError, match="`person` must say by role .* got list"):
        Subjects.of(deleted=(x, label), unseen=(x + 100, label), persons=[1] * N)
