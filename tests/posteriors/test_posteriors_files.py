"""Files that users bring."""

import gzip
import hmac

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aftertrace.errors import InputError, PosteriorsError
from aftertrace.posteriors import Role, pseudonyms, read_pair, read_versions, role_numbers

BEFORE = """record,label,role,cat,dog
ann,cat,deleted,0.9,0.1
bob,dog,unseen,0.4,0.6
eve,dog,retained,0.2,0.8
"""
AFTER = """dog,record,cat,label
0.8,eve,0.2,dog
0.5,ann,0.5,cat
0.6,bob,0.4,dog
"""


@pytest.fixture
def files(tmp_path):
    before, after = tmp_path / "before.csv", tmp_path / "after.csv"
    before.write_text(BEFORE)
    after.write_text(AFTER)
    return before, after


def test_rows_are_matched_by_record_and_classes_by_name(files):
    table = read_pair(*files)
    assert np.allclose(table.values[0], [[0.9, 0.1], [0.5, 0.5]])
    assert np.allclose(table.values[2], [[0.2, 0.8], [0.2, 0.8]])
    assert table.classes == ("cat", "dog")
    assert table.label.tolist() == [0, 1, 1]
    assert table.role.tolist() == [Role.DELETED, Role.UNSEEN, Role.RETAINED]


def test_records_are_pseudonyms_from_the_door_on(files):
    first, second = read_pair(*files, key=b"k1"), read_pair(*files, key=b"k2")
    assert first.record.tolist() == pseudonyms(["ann", "bob", "eve"], b"k1").tolist()
    assert set(first.record.tolist()).isdisjoint(second.record.tolist())


@pytest.mark.parametrize("length", [0, 32, 64, 65, 200])
def test_pseudonyms_are_hmac_sha256(length):
    key, names = bytes(range(length)), ["", "ann", "Zoë", "x" * 100]
    slow = [int.from_bytes(hmac.digest(key, name.encode(), "sha256")[:8]) >> 1 for name in names]
    assert pseudonyms(names, key).tolist() == slow
    assert pseudonyms([], key).size == 0


@pytest.mark.parametrize("suffix", [".parquet", ".npz", ".csv.gz"])
def test_formats_give_the_same_table(files, suffix, tmp_path):
    before, after = files
    other = tmp_path / f"other{suffix}"
    rows = {"record": ["eve", "ann", "bob"], "label": ["dog", "cat", "dog"]}
    values = np.array([[0.2, 0.8], [0.5, 0.5], [0.4, 0.6]])
    if suffix == ".parquet":
        pq.write_table(pa.table({**rows, "cat": values[:, 0], "dog": values[:, 1]}), other)
    elif suffix == ".npz":
        np.savez(other, values=values, classes=np.array(["cat", "dog"]), **{k: np.array(v) for k, v in rows.items()})
    else:
        other.write_bytes(gzip.compress(after.read_bytes()))
    assert np.array_equal(read_pair(before, other).log_values, read_pair(before, after).log_values)


def test_numbers_as_records_and_classes(tmp_path):
    np.savez(tmp_path / "v1.npz", record=[7, 8], label=[0, 1], values=[[0.6, 0.4], [0.3, 0.7]])
    np.savez(tmp_path / "v2.npz", record=[8, 7], label=[1, 0], values=[[0.3, 0.7], [0.5, 0.5]])
    (tmp_path / "role.csv").write_text("record,role\n7,deleted\n8,unseen\n9,unseen\n")
    table = read_pair(tmp_path / "v1.npz", tmp_path / "v2.npz", role=tmp_path / "role.csv")
    assert np.allclose(table.values[0, 1], [0.5, 0.5])
    assert table.role.tolist() == [Role.DELETED, Role.UNSEEN]


def test_several_pairs_in_one_file(tmp_path):
    text = (
        "record,label,role,original,pair,a,b\n1,a,deleted,x,1,0.9,0.1\n2,a,unseen,x,1,0.8,0.2\n1,b,unseen,y,2,0.5,0.5\n"
    )
    (tmp_path / "one.csv").write_text(text)
    table = read_pair(tmp_path / "one.csv", tmp_path / "one.csv")
    assert table.original.tolist() == [0, 0, 1]
    assert table.record[0] == table.record[2]


def test_many_rows_are_matched_as_one_by_one(tmp_path):
    """Records that stand in several pairs, both files in an order of their own."""
    rng = np.random.default_rng(0)
    rows = [(f"u{unit}", f"r{record}") for unit in range(12, 0, -1) for record in rng.permutation(40)[:15]]
    values = {(*row, version): rng.dirichlet([1, 1]) for row in rows for version in (1, 2)}
    for version in (1, 2):
        lines = [
            f"{record},{'ab'[len(record) % 2]},{unit},{'deleted' if record == 'r7' else 'unseen'},{a:.17g},{b:.17g}"
            for unit, record in (rows[k] for k in rng.permutation(len(rows)))
            for a, b in [values[unit, record, version]]
        ]
        (tmp_path / f"v{version}.csv").write_text("\n".join(["record,label,pair,role,a,b", *lines]))
    table = read_pair(tmp_path / "v1.csv", tmp_path / "v2.csv", key=b"k")
    order = [line.split(",") for line in (tmp_path / "v1.csv").read_text().splitlines()[1:]]
    assert np.allclose(table.values, [[values[row[2], row[0], version] for version in (1, 2)] for row in order])
    assert table.record.tolist() == pseudonyms([row[0] for row in order], b"k").tolist()
    units = sorted({row[2] for row in order})
    assert table.pair.tolist() == table.original.tolist() == [units.index(row[2]) for row in order]
    assert table.role.tolist() == [Role.DELETED if row[0] == "r7" else Role.UNSEEN for row in order]
    assert table.label.tolist() == [len(row[0]) % 2 for row in order]


def test_a_record_has_one_role(files, tmp_path):
    files[0].write_text(
        BEFORE.replace(",role,", ",").replace(",deleted", "").replace(",unseen", "").replace(",retained", "")
    )
    (tmp_path / "role.csv").write_text("record,role\nann,deleted\nbob,unseen\neve,unseen\nann,deleted\n")
    assert read_pair(*files, role=tmp_path / "role.csv").role.tolist() == [Role.DELETED, Role.UNSEEN, Role.UNSEEN]
    (tmp_path / "role.csv").write_text("record,role\nann,deleted\nbob,unseen\neve,unseen\nann,unseen\n")
    with pytest.raises(PosteriorsError, match="every record must have one role; 'ann' has two"):
        read_pair(*files, role=tmp_path / "role.csv")


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("after", "0.6,bob", "0.6,tom", r"only in before.csv: 1 \('bob'\), only in after.csv: 1 \('tom'\)"),
        ("after", "dog,record,cat", "fox,record,cat", "every label must be the name of a class column"),
        ("after", "0.5,ann,0.5", "0.5,ann,0.7", "row 1 sums to 1.2"),
        ("after", "0.5,ann,0.5", "nan,ann,0.5", "row 1 holds NaN or is empty"),
        ("after", "0.5,ann,0.5", ",ann,0.5", "row 1 holds NaN or is empty"),
        ("after", "0.5,ann,0.5", "3.5,ann,-2.5", "if these are logits, apply a softmax first"),
        ("after", "0.5,ann,0.5", "many,ann,0.5", "column 'dog' holds string"),
        ("after", "ann,0.5,cat", "ann,0.5,dog", "record 'ann' has 'cat' in before.csv and 'dog' in after.csv"),
        ("after", "0.6,bob", "0.6,ann", "'ann' stands twice"),
        ("after", "record", "recrod", "column 'record'; found 'dog', .* .is 'recrod' meant"),
        ("after", "0.6,bob,0.4,dog", "0.6,bob,0.4", "not a readable .csv file"),
        ("before", "role", "roles", "column 'roles' holds string"),
        ("before", ",deleted,", ",removed,", "A role must be one of deleted, unseen, retained, added; got 'removed'"),
        ("before", ",role,", ",other,", "column 'other' holds string"),
    ],
)
def test_files_that_disagree_or_are_damaged(files, name, old, new, message):
    path = files[name == "after"]
    content = path.read_text()
    assert old in content
    path.write_text(content.replace(old, new, 1))
    with pytest.raises(PosteriorsError, match=message) as caught:
        read_pair(*files)
    assert "\n" not in str(caught.value)


def test_a_class_only_one_version_has(files):
    files[1].write_text(AFTER.replace("dog,record,cat,label", "fox,record,cat,label").replace(",dog\n", ",cat\n"))
    with pytest.raises(PosteriorsError, match="only in before.csv: 'dog', only in after.csv: 'fox'"):
        read_pair(*files)


def with_column(path, name, values):
    lines = path.read_text().splitlines()
    path.write_text("\n".join(f"{line},{value}" for line, value in zip(lines, (name, *values), strict=True)) + "\n")


@pytest.mark.parametrize("which", [0, 1])
def test_persons_may_stand_in_either_file_under_any_name(files, which):
    with_column(files[which], "customer", ["c1", "c2", "c1"])
    found = read_versions(files, person="customer", key=b"k")
    in_order = ["c1", "c2", "c1"] if which == 0 else ["c2", "c1", "c1"]  # the second file begins with eve
    assert found.person.tolist() == pseudonyms(in_order, b"k").tolist()


@pytest.mark.parametrize("nobody", ["", " ", "?", "NA", "nan", "NULL"])
def test_nobody_is_called_nothing(files, nobody):
    with_column(files[1], "person", ["c1", nobody, "c1"])
    with pytest.raises(
        PosteriorsError, match=r"after\.csv: whose each record is must be said for all, and is not for 1"
    ):
        read_versions(files)


def test_persons_agree_between_the_files_and_are_found(files):
    with_column(files[0], "person", ["c1", "c2", "c3"])
    with_column(files[1], "person", ["c3", "c1", "c9"])
    with pytest.raises(PosteriorsError, match="record 'bob' is of one in before.csv and of another in after.csv"):
        read_versions(files)
    with pytest.raises(
        PosteriorsError, match="must be a column 'customer' with whose record each is; found .*'person'"
    ):
        read_versions(files, person="customer")


def test_a_label_column_of_another_name(files):
    for path in files:
        path.write_text(path.read_text().replace("label", "species"))
    named, plain = read_versions(files, label="species"), [0, 1, 1]
    assert named.label.tolist() == plain
    with pytest.raises(
        PosteriorsError, match="column 'label' with the class .*; found 'record', 'species', .*`label_column`"
    ):
        read_versions(files)
    for wrong in ("record", "", 3):
        with pytest.raises(InputError, match="The column with the class of each record .*must be another one than"):
            read_versions(files, label=wrong)


@pytest.mark.parametrize("words", [["unseen", "deleted"], [Role.UNSEEN, Role.DELETED], np.array([1, 0], dtype=np.int8)])
def test_roles_as_words_and_numbers(words):
    assert role_numbers(words).tolist() == [1, 0]
    with pytest.raises(PosteriorsError, match="got '4'"):
        role_numbers([Role.MIXED])


def test_roles_are_asked_for(files):
    text = BEFORE.replace("role,", "").replace("deleted,", "").replace("unseen,", "").replace("retained,", "")
    files[0].write_text(text)
    with pytest.raises(PosteriorsError, match="the role of each record .* must be known"):
        read_pair(*files)


def test_absent_empty_and_foreign_files(files, tmp_path):
    with pytest.raises(PosteriorsError, match="there is no such file"):
        read_pair(files[0], tmp_path / "nothing.csv")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(PosteriorsError, match="is empty"):
        read_pair(files[0], tmp_path / "empty.csv")
    (tmp_path / "head.csv").write_text("record,label,cat,dog\n")
    with pytest.raises(PosteriorsError, match="at least one record"):
        read_pair(files[0], tmp_path / "head.csv")
    (tmp_path / "model.pkl").write_bytes(b"\x80\x04")
    with pytest.raises(PosteriorsError, match="must end in .csv"):
        read_pair(files[0], tmp_path / "model.pkl")
    (tmp_path / "noise.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(PosteriorsError, match="not a readable .parquet file"):
        read_pair(files[0], tmp_path / "noise.parquet")


def test_pickled_arrays_are_never_opened(files, tmp_path):
    np.savez(tmp_path / "v.npz", values=np.array([[object()]], dtype=object), record=[1], label=[0])
    with pytest.raises(PosteriorsError, match="not a readable .npz file without pickled objects"):
        read_pair(files[0], tmp_path / "v.npz")
