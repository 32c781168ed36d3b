"""Bad input of every kind through `aftertrace audit`: one line that says what to do, nothing run, nothing lost."""

import gzip
import io
import os
import pickle
import re
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import skops.io
import torch
from one_pair import AFTER, BEFORE, DELETED, LABEL, ROLE, N, X
from sklearn.linear_model import LogisticRegression
from typer.testing import CliRunner

import aftertrace
from aftertrace.cli import app
from aftertrace.errors import InputError

POSTERIORS = ("--before", "a.csv", "--after", "b.csv")
RECORDS = ("--deleted", "d.csv", "--unseen", "u.csv")
CODE = """
import sys
import numpy as np

def shares(x, slope):
    share = 1 / (1 + np.exp(-slope * np.asarray(x, dtype=float)[:, 0]))
    return np.column_stack([1 - share, share])

def one(x): return shares(x, 1)
def two(x): return shares(x, 1.2)
def turned(x): return two(x)[:, ::-1]
def other(x): return two(x)
def three(x): return np.full((len(x), 3), 1 / 3)
def logits(x): return 4 * shares(x, 1) - 2
def more_logits(x): return 4 * shares(x, 1.2) - 2
def nan(x): return np.where(np.arange(len(x))[:, None] == 3, np.nan, one(x))
def complexes(x): return one(x) + 0j
def fails(x): raise KeyError("it fails" + chr(10) + "over two lines")
def short(x): return one(x)[1:]
def ends(x): sys.exit(0)
def scales(x):
    x -= 5
    return shares(x, 1)
def scales_too(x): return scales(x)
def factory(): sys.exit(0)
for each in (one, two, three, logits, nan, complexes, fails, short, ends):
    each.classes = ["0", "1"]
turned.classes, other.classes = ["1", "0"], ["0", "2"]
"""


class Payload:
    """What a pickle would do: leave a file."""

    def __reduce__(self):
        return Path.touch, (Path("payload-has-run"),)


PICKLE = pickle.dumps(Payload())


def write(name, header, rows):
    Path(name).write_text("\n".join(",".join(map(str, row)) for row in (header, *rows)) + "\n")


def posteriors(name, values=BEFORE, *, label=LABEL, deleted=DELETED, names="01", classes=None):
    """A file of posteriors, its first `deleted` rows those of deleted records."""
    rows = [(f"r{k}", names[label[k]], "deleted" if k < deleted else "unseen", *row) for k, row in enumerate(values)]
    write(name, ("record", "label", "role", *(classes or names)), rows)


def records(name, rows, label=LABEL):
    write(name, ("record", "label", "f0", "f1", "f2"), [(f"r{k}", label[k], *X[k]) for k in rows])


@pytest.fixture(autouse=True)
def _workplace(tmp_path, monkeypatch):
    """Two good files of posteriors, two of records, and a module of models of every kind."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    posteriors("a.csv")
    posteriors("b.csv", AFTER)
    records("d.csv", range(DELETED))
    records("u.csv", range(DELETED, N))
    Path("brought_models.py").write_text(CODE)


def audit(*words):
    return CliRunner().invoke(app, ["audit", *map(str, words)])


def models(before, after):
    return tuple(
        word
        for option, name in (("--before", before), ("--after", after))
        for word in (option, f"brought_models:{name}" if name.isidentifier() else name)
    )


def contents():
    return {
        path: path.read_bytes() if path.is_file() else b"" for path in Path().rglob("*") if "cache" not in str(path)
    }


def refused(*words, says, code=2):
    """One line on stderr, after those of progress, and nothing written anywhere."""
    before = contents()
    done = audit("--out", "run", *words) if "--out" not in words else audit(*words)
    assert done.exit_code == code, done.output
    assert "Traceback" not in done.output
    message = [line for line in done.stderr.splitlines() if not re.match(r"(Asking|Training|Attacking): ", line)]
    assert len(message) == 1, done.stderr
    assert re.search(says, message[0]), message[0]
    assert not done.stdout
    assert contents() == before
    return message[0]


def judged(*words):
    """A verdict; what was printed, on one line."""
    done = audit(*words)
    assert done.exit_code in (0, 1, 3), done.output
    return " ".join(done.stdout.split())


# what models answer


def test_an_order_of_classes_of_its_own_changes_nothing():
    plain, turned = (judged(*models("one", name), *RECORDS) for name in ("two", "turned"))
    assert "brought_models:one and brought_models:two: one pair" in plain  # :two: is a picture to some terminals
    note = "The classes of brought_models:turned stand in another order than those of brought_models:one: they were"
    assert note in turned
    assert re.search("AUC 0...", plain)[0] == re.search("AUC 0...", turned)[0]


@pytest.mark.parametrize(
    ("after", "code", "says"),
    [
        ("other", 2, "must have the same classes; only brought_models:one has '1', only brought_models:other has '2'"),
        ("three", 2, "must answer with as many columns; brought_models:one with 2, brought_models:three with 3"),
        ("logits", 2, "must answer alike; brought_models:one probabilities, brought_models:logits logits"),
        (
            "nan",
            2,
            "must be finite numbers; brought_models:nan holds NaN .* first in row 3. Ask the model for that record",
        ),
        ("complexes", 4, "its answers are complex numbers"),
        ("fails", 4, "fails on records of shape .*: KeyError: 'it fails"),
        (
            "short",
            4,
            r"must answer 160 records with \[160, K\], a row for each; brought_models:short did with \[159, 2\]",
        ),
        ("ends", 4, "fails on records of shape .*: SystemExit: 0"),
        ("factory", 2, "fails when it is called for a model"),
        ("absent", 2, "there is no 'absent' in module 'brought_models'.*must be in the current folder"),
    ],
)
def test_answers_that_cannot_be_compared(after, code, says):
    refused(*models("one", after), *RECORDS, says=says, code=code)


def test_versions_of_one_name_are_told_apart():
    for folder_name, names in (("old", ("0", "1")), ("new", ("0", "2"))):
        Path(folder_name).mkdir()
        skops.io.dump(LogisticRegression().fit(X, np.take(names, LABEL)), f"{folder_name}/m.skops")
    says = "only m.skops .before. has '1', only m.skops .after. has '2'"
    refused(*models("old/m.skops", "new/m.skops"), *RECORDS, says=says)
    refused(*models("old/m.skops", "other"), *RECORDS, says="only m.skops has '1', only brought_models:other has '2'")


def test_logits_are_told_or_refused():
    both = (*models("logits", "more_logits"), *RECORDS, "--classes", "0,1")
    assert "they were taken for logits, and a softmax was applied" in judged(*both)
    refused(*both, "--outputs", "probabilities", says="must lie between 0 and 1; .* say --outputs logits")


def test_a_module_that_ends_the_process_decides_nothing():
    """An exit code of 0 is the gate's word for "publish"."""
    Path("program_of_mine.py").write_text("import sys\nsys.exit(0)\n")
    refused(*models("program_of_mine:model", "one"), *RECORDS, says="ends the process when it is imported. Put what")


def test_a_model_that_changes_its_records_changes_no_others():
    for name, rows in (("d", slice(0, DELETED)), ("u", slice(DELETED, N))):
        np.savez(f"{name}.npz", x=X[rows], label=LABEL[rows])
    arrays = ("--deleted", "d.npz", "--unseen", "u.npz", "--classes", "0,1")
    assert "Both versions answer every query exactly al" in judged(*models("scales", "scales_too"), *arrays)


def test_a_command_never_ends_as_foreign_code_says(monkeypatch):
    monkeypatch.setattr("aftertrace._audit.audit", lambda *_, **__: sys.exit(0))
    refused(*POSTERIORS, says="code of a model ended the process .sys.exit., so there is no verdict")


# who is asked about


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (
            lambda: records("d.csv", range(50, 110)),
            "must have one role; record 'r60' is deleted and unseen. Remove one",
        ),
        (lambda: records("d.csv", range(DELETED), LABEL + 1), "must be among the model's classes .*; got '2'"),
        (lambda: records("d.csv", range(0)), "must be at least one record; there is none"),
        (lambda: records("d.csv", [1, 1]), "must stand once; record 'r1' stands 2 times"),
        (lambda: write("d.csv", ["record", "f0"], [["r1", 1]]), "must be a column 'label' .* found 'record', 'f0'"),
        (lambda: write("d.csv", ["label", "f0", "f0"], [[0, 1, 1]]), "names of columns must differ"),
        (lambda: write("d.csv", ["label", "f0", "f1"], [[0, 1, 1]]), "must say the record of each row|same columns"),
    ],
)
def test_records_that_do_not_fit(make, says):
    make()
    refused(*models("one", "two"), *RECORDS, says=says)


def test_a_column_with_a_meaning_is_no_class():
    refused(
        *models("one", "two"),
        *RECORDS,
        "--label-column",
        "record",
        says="must be another one than record, role, person",
    )


def test_persons_under_another_name():
    says = "must be a column 'client' with whose record each is; .*--person-column"
    refused(*POSTERIORS, "--person-column", "client", says=says)
    refused(*models("one", "two"), *RECORDS, "--person-column", "client", says=f"d.csv and u.csv: there {says}")
    for name, rows in (("d.csv", range(DELETED)), ("u.csv", range(DELETED, N))):
        write(name, ("client", "label", "f0", "f1", "f2"), [(f"c{k // 2}", LABEL[k], *X[k]) for k in rows])
    done = audit(*models("one", "two"), *RECORDS, "--person-column", "client")
    assert f"{N} records of {N // 2} persons" in " ".join(done.stdout.split())


def test_a_forgotten_person_column_comes_before_matching():
    """Numbers of persons differ by themselves: to leave out whoever has no counterpart would hide that."""
    for name, rows in (("d.csv", range(DELETED)), ("u.csv", range(DELETED, N))):
        write(name, ("record", "label", "f0", "patient_id"), [(f"r{k}", LABEL[k], X[k, 0], k // 2) for k in rows])
    done = audit(*models("one", "two"), *RECORDS)
    assert done.exit_code == 4
    said = " ".join(done.stdout.split())
    advice = "give --person-column patient_id, so that persons are judged. Or leave out those without a counterpart: --"
    assert f"whose record each is: {advice}match." in said


@pytest.mark.parametrize("option", ["--label-column", "--person-column"])
def test_columns_that_files_lack_are_named_for_all_of_them(option):
    """One call says all there is to mend."""
    replaced("u.csv", "label", "klass")
    found = "found 'record', 'label', 'f0', 'f1', 'f2' in d.csv and 'record', 'klass', 'f0', 'f1', 'f2'"
    says = (
        f"d.csv and u.csv: there must be a column 'klas' .*; {found} .is 'klass' meant.. in u.csv. .* said .{option}."
    )
    refused(*models("one", "two"), *RECORDS, option, "klas", says=says if "label" in option else "column 'label' with")
    replaced("u.csv", "klass", "label")
    says = "d.csv and u.csv: there must be a column 'lable' .*; found 'record', 'label', .*'f2' .is 'label' meant"
    refused(*models("one", "two"), *RECORDS, option, "lable", says=says)
    replaced("b.csv", "record", "recrod")
    refused(*POSTERIORS, says="^aftertrace: b.csv: there must be a column 'record'; found .*.is 'recrod' meant")
    replaced("a.csv", "record", "row")
    says = "a.csv and b.csv: there must be a column 'record'; found 'row', .* in a.csv and 'recrod', .* in b.csv"
    refused(*POSTERIORS, says=says)


@pytest.mark.parametrize("option", ["--deleted", "--unseen", "--retained", "--records"])
def test_records_beside_posteriors(option):
    refused(
        *POSTERIORS, option, "d.csv", says=f"{option} is for models; .* in a column 'role', or in a file of .*--role"
    )


def test_few_deleted_records_are_a_note_and_a_wide_interval():
    for name, values in (("a.csv", BEFORE), ("b.csv", AFTER)):
        posteriors(name, values[:110], deleted=10)
    said = judged(*POSTERIORS)
    assert "Only 10 deleted: intervals are wide, and little can be excluded. Bring 20 or more." in said
    low, high = map(float, re.search(r"interval (0\...) to (0\...)", said).groups())
    assert high - low > 0.25


def test_all_of_one_class_is_a_note():
    for name, values in (("a.csv", BEFORE), ("b.csv", AFTER)):
        posteriors(name, values, label=np.where(np.arange(N) < DELETED, 0, LABEL))
    done = audit(*POSTERIORS)
    assert "All deleted ones are of class 0" in " ".join(done.stdout.split())


def test_classes_that_tell_the_roles_make_an_audit_invalid():
    for name, values in (("a.csv", BEFORE), ("b.csv", AFTER)):
        posteriors(name, values, label=(np.arange(N) < DELETED).astype(int))
    done = audit(*POSTERIORS, "--fail-above", "auc=0.6")
    assert done.exit_code == 4
    assert "the control blind tells them apart without any model" in " ".join(done.stdout.split())


def test_names_of_classes_that_are_known_already():
    says = "name their classes themselves, '0', '1'; leave out 'no', 'yes' .--classes"
    skops.io.dump(LogisticRegression().fit(X, LABEL.astype(str)), "m.skops")
    refused(*POSTERIORS, "--classes", "no,yes", says=says)
    refused(*models("m.skops", "m.skops"), *RECORDS, "--classes", "no,yes", says=says)


def test_names_that_look_like_arguments_stay_as_they_are():
    """Of files, and of arrays and columns in them."""
    for name in ("no`match`.csv", "my `match` of.csv"):
        refused("--before", "a.csv", "--after", name, says=f"{name}: there is no such file")
    np.savez("a.npz", values=BEFORE, record=np.arange(N), label=LABEL, role=ROLE, classes=["0", "1", "2"])
    refused("--before", "a.npz", "--after", "b.csv", says="2 different 'classes'; got 3 classes")


# arrays


@pytest.mark.parametrize(
    ("before", "says"),
    [
        ([[0.5, 0.5], [1.0]], r"must be numbers \[Q, K\], an array for each version .*inhomogeneous"),
        ([["a", "b"]] * N, "must be numbers .* for each version .*could not convert string"),
        (BEFORE + 0j, "must be numbers .*they are complex128"),
        (BEFORE[:, 1], r"must be \[Q, K\] for the same queries; got"),
        (torch.tensor(BEFORE, requires_grad=True), "must be numbers .* requires grad"),
    ],
)
def test_arrays_that_are_no_posteriors(before, says):
    with pytest.raises(InputError, match=says):
        aftertrace.audit(before, AFTER, label=LABEL, role=ROLE)


def test_tensors_and_rounding_are_welcome():
    """Single precision may leave a probability just below 0; that makes no logits of all others."""
    rounded = BEFORE.copy()
    rounded[0] = 1 + 1e-7, -1e-7
    found = aftertrace.audit(torch.tensor(rounded), AFTER, label=LABEL, role=ROLE)
    assert not [note for note in found.result.notes if "logits" in note]


# files of posteriors


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: posteriors("b.csv", AFTER, names="02"), "same classes; only in a.csv: '1', only in b.csv: '2'"),
        (
            lambda: posteriors("a.csv", label=np.full(N, 2), names="017", classes="01"),
            "must be the name of a class col",
        ),
        (lambda: posteriors("b.csv", np.where(AFTER > 0.8, np.nan, AFTER)), "b.csv: posteriors must be numbers; row"),
        (lambda: posteriors("b.csv", AFTER * 1.5), "none of b.csv is below 0, and all rows sum to 1.5"),
        (lambda: posteriors("b.csv", np.round(AFTER * 100, 1)), "rows sum to 100: are they percent. Divide by 100, or"),
        (lambda: posteriors("b.csv", AFTER[:-1]), r"same records; only in a.csv: 1 \('r159'\)"),
        (lambda: posteriors("a.csv", deleted=0), "Roles must agree; record 'r0' is 'unseen' in a.csv and 'deleted'"),
        (lambda: write("a.csv", ["record", "label", "0", "0"], [["r", 0, 0.5, 0.5]]), "names of columns must differ"),
        (lambda: Path("a.csv").write_text(""), "a.csv: is empty. Save it again"),
        (lambda: Path("a.csv").write_text("record,label,role,0,1\n"), "at least one record; the file has none"),
        (lambda: recoded("a.csv", "utf-16"), "a.csv: must be UTF-8 text, and holds null bytes.*'CSV UTF-8'"),
        (lambda: replaced("a.csv", "r7,", "r\0,"), "a.csv: must be UTF-8 text, and holds null bytes"),
        (lambda: replaced("a.csv", ",", ";"), "a.csv: columns must be separated by commas, and are by semicolons"),
        (lambda: Path("a.csv").write_text("<!DOCTYPE html><p>Sign in"), "a.csv: holds a web page"),
        (lambda: Path("a.csv").write_text("version https://git-lfs.github.com/spec/v1\n"), "git lfs pull"),
        (lambda: Path("a.csv").unlink(), "a.csv: there is no such file"),
        (lambda: folder("a.csv"), "a.csv: is a folder; give a file in it"),
        (lambda: linked("a.csv"), "a.csv: cannot be read"),
    ],
)
def test_posteriors_that_do_not_fit(make, says):
    make()
    refused(*POSTERIORS, says=says)


def recoded(name, encoding):
    Path(name).write_text(Path(name).read_text(), encoding=encoding)


def replaced(name, old, new):
    Path(name).write_text(Path(name).read_text().replace(old, new))


def folder(name):
    Path(name).unlink()
    Path(name).mkdir()


def linked(name):
    Path(name).unlink()
    Path(name).symlink_to(name)


def test_latin_letters_of_another_encoding():
    Path("a.csv").write_bytes(Path("a.csv").read_bytes().replace(b"r7,", "ré,".encode("latin-1")))
    says = "csv: must be UTF-8 text, and line 9 holds the byte 0xE9, which is a letter in Latin-1 .* as 'CSV UTF-8'"
    refused(*POSTERIORS, says=says)
    Path("d.csv").write_bytes(Path("d.csv").read_bytes().replace(b"r7,", "ré,".encode("latin-1")))
    refused(*models("one", "two"), *RECORDS, says=f"d.{says}")
    Path("a.csv.gz").write_bytes(gzip.compress(Path("a.csv").read_bytes()))
    refused("--before", "a.csv.gz", "--after", "b.csv", says="a.csv.gz: must be UTF-8 text, and line 9 holds")


@pytest.mark.parametrize(
    "address", ["https://user:hidden@127.0.0.1:1/x.xls", "http://127.0.0.1:1/s?token=hidden&f=x.xls"]
)
def test_addresses_are_no_spreadsheets_and_keep_their_secrets(address):
    done = audit(*models(address, address), *RECORDS)
    assert done.exit_code in (2, 4)
    assert "spreadsheet" not in done.output
    assert "hidden" not in done.output


@pytest.mark.parametrize("name", ["t.xlsx", "t.XLS", "t.ods"])
@pytest.mark.parametrize("option", ["--before", "--after", "--deleted", "--role", "--features"])
def test_spreadsheets(name, option):
    Path(name).write_bytes(b"PK")
    words = (*models("one", "two"), *RECORDS) if option == "--deleted" else POSTERIORS
    refused(*words, option, name, says=f"{name}: is a spreadsheet, .*. Save its sheet as 'CSV UTF-8', or as Parquet")


TABLE, SETTINGS = ". Save its sheet as 'CSV UTF-8'.", "; write the settings into a TOML file, as text"


@pytest.mark.parametrize("name", ["t.xlsx", "t.ODS"])
@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (("run", "breast-cancer-logistic", "--set=data={name='csv', path='NAME', target='y'}"), TABLE),
        (("exposure", "NAME", "--target=y"), TABLE),
        (("canaries", "make", "NAME", "--target=y", "--out=made"), TABLE),
        (("run", "NAME"), SETTINGS),
        (("audit", *POSTERIORS, "--limits=NAME"), SETTINGS),
        (("audit", *POSTERIORS, "--shadow=NAME"), SETTINGS),
    ],
)
def test_spreadsheets_wherever_files_are_read(words, remedy, name):
    Path(name).write_bytes(b"PK\0\0")
    done = CliRunner().invoke(app, [word.replace("NAME", name) for word in words])
    assert done.exit_code == 2, done.output
    *notes, refusal = done.stderr.splitlines()
    assert all(note.startswith("note: ") for note in notes)
    assert refusal.endswith(f"{name}: is a spreadsheet, which is not read{remedy}")


def test_absent_files_and_those_that_may_be_meant():
    Path("customers.csv.gz").touch()
    Path("customers.parquet").touch()
    Path("risk.toml").touch()
    for option, name, meant in (
        ("--before", "custmers.csv", "customers.csv.gz"),
        ("--before", "custmers.parquet", "customers.parquet"),
        ("--role", "custommers.csv.gz", "customers.csv.gz"),
        ("--limits", "riskk.toml", "risk.toml"),
        ("--shadow", "riskk.toml", "risk.toml"),
    ):
        refused(*POSTERIORS, option, name, says=f"{name}: there is no such file.* .is '{meant}' meant.")
    Path("before.skops").touch()
    refused(*models("befor.skops", "one"), *RECORDS, says="no such file .is 'before.skops' meant")
    for name in ("c.csv", "after.csv", "absent/a.csv"):
        refused(*POSTERIORS, "--before", name, says=f"{name}: there is no such file[.]$")


@pytest.mark.parametrize("option", ["--before", "--deleted", "--role", "--features"])
def test_names_that_no_file_can_have(option):
    words = (*models("one", "two"), *RECORDS) if option == "--deleted" else POSTERIORS
    refused(*words, option, "x" * 300 + ".csv", says="cannot be read .File name too long")


def test_very_many_columns_take_seconds():
    width = 5000
    for name, share in (("a.csv", 1), ("b.csv", 0.999)):
        rows = [(f"r{k}", 0, "deleted" if k < 5 else "unseen", share, 1 - share, *[0] * (width - 2)) for k in range(20)]
        write(name, ("record", "label", "role", *range(width)), rows)
    assert "5 deleted and 15 unseen" in judged(*POSTERIORS)


# traps


def bomb(name, member, *, also=()):
    """A zip archive of 300 KB that unpacks to 300 MB."""
    with zipfile.ZipFile(name, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open(member, "w") as file:
            head = io.BytesIO()
            np.lib.format.write_array_header_1_0(
                head, {"descr": "<f8", "fortran_order": False, "shape": (300 * 2**16, 2)}
            )
            file.write(head.getvalue())
            for _ in range(300):
                file.write(bytes(2**20))
        for other in also:
            archive.writestr(other, "{}")


def test_zip_bombs():
    bomb("bomb.npz", "values.npy")
    bomb("records.npz", "x.npy")
    bomb("bomb.skops", "junk", also=["schema.json"])
    says = "would become 300 MiB when unpacked, from .* MiB: too much for an honest file"
    refused("--before", "bomb.npz", "--after", "b.csv", says=says)
    refused(*models("one", "two"), "--deleted", "records.npz", "--unseen", "u.csv", says=says)
    refused(*models("bomb.skops", "one"), *RECORDS, says=says)


def test_other_bombs():
    packed = gzip.compress(b"r,0,deleted,1,0\n" * 2**16)
    Path("bomb.csv.gz").write_bytes(gzip.compress(b"record,label,role,0,1\n") + 300 * packed)
    zeros = pa.array(np.zeros(40_000_000, dtype=np.int8))
    pyarrow.parquet.write_table(pa.table({"label": zeros}), "bomb.parquet")
    for name in ("bomb.csv.gz", "bomb.parquet"):
        refused("--before", name, "--after", "b.csv", says="when unpacked, .*: too much for an honest file")


@pytest.mark.parametrize("suffix", [".skops", ".onnx", ".pt2", ".ts", ".toml", ".joblib", ".pkl"])
def test_pickles_as_models(suffix):
    Path(f"m{suffix}").write_bytes(PICKLE)
    refused(*models(f"m{suffix}", f"m{suffix}"), *RECORDS, says="pickle.*it was not read")


@pytest.mark.parametrize("suffix", [".npz", ".csv", ".csv.gz", ".parquet"])
def test_pickles_as_tables(suffix):
    Path(f"t{suffix}").write_bytes(PICKLE)
    says = "holds a pickle under another name, .*; it was not read"
    refused("--before", f"t{suffix}", "--after", "b.csv", says=says)
    refused(*models("one", "two"), "--deleted", f"t{suffix}", "--unseen", "u.csv", says=says)


@pytest.mark.parametrize("option", ["--limits", "--shadow", "--role", "--features"])
def test_pickles_as_anything_else(option):
    Path("t.pkl").write_bytes(PICKLE)
    refused(*POSTERIORS, option, "t.pkl", says="t.pkl: ")


def test_pickles_inside_archives():
    np.savez("values.npz", values=np.ones((1, 2)) / 2, record=np.array([Payload()], dtype=object))
    np.savez("x.npz", x=np.ones((1, 3)), label=np.array([Payload()], dtype=object))
    torch.save(Payload(), "m.skops")
    torch.save(Payload(), "weights.pt")
    Path("brought_net.py").write_text("from torch import nn\ndef make(): return nn.Linear(3, 2)\n")
    refused("--before", "values.npz", "--after", "b.csv", says="not a readable .npz file without pickled objects")
    refused(*models("one", "two"), "--deleted", "x.npz", "--unseen", "u.csv", says="without pickled objects")
    refused(*models("m.skops", "one"), *RECORDS, says="holds a pickle under another name")
    refused(*models("brought_net:make@weights.pt", "one"), *RECORDS, says="weights.pt: holds no plain weights")


def test_a_toml_of_a_million_lines():
    Path("t.toml").write_text("\n".join(["[limits]", *(f"a{k} = 1" for k in range(1_000_000))]))
    refused(*POSTERIORS, "--limits", "t.toml", says="must be a small TOML file")
    refused(*POSTERIORS, "--shadow", "t.toml", says="must be a small TOML file")
    refused(*models("t.toml", "t.toml"), *RECORDS, says="must be an endpoint file of at most 64 KiB, and is longer")


@pytest.mark.parametrize("text", ["a = " + "[" * 50_000, "[limits", "[limits]\nauc = 'low'", "[limits]\nauc = nan", ""])
def test_settings_that_are_none(text):
    Path("t.toml").write_text(text)
    refused(*POSTERIORS, "--limits", "t.toml", says="^t.toml: (not valid TOML|The limit `auc` must be|there must be)")


def test_experiments_that_are_none():
    Path("t.toml").write_text("a = " + "[" * 50_000)
    refused(*POSTERIORS, "--shadow", "t.toml", says="t.toml: not valid TOML")
    refused(*POSTERIORS, "--shadow", "x" * 300, says="there is no such file or example")


def test_settings_of_another_encoding():
    Path("t.toml").write_text("[limits]\nauc = 0.6\n", encoding="utf-16")
    refused(*POSTERIORS, "--limits", "t.toml", says="t.toml: not valid TOML")
    refused(*models("t.toml", "t.toml"), *RECORDS, says="t.toml: must be TOML, and is not")
    refused(*POSTERIORS, "--shadow", "t.toml", says="t.toml: not valid TOML")


# names


@pytest.mark.parametrize(
    "names",
    [
        ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>'),
        ("../../etc/passwd", "/etc/passwd"),
        ("]]>", "{{ 7 * 7 }}"),
        ("\x1b[31mred", "a\tb"),
        ("[/b]", ":fire:"),
    ],
)
def test_names_are_only_names(names):
    quoted = ['"' + name.replace('"', '""') + '"' for name in names]
    for name, values in (("a.csv", BEFORE), ("b.csv", AFTER)):
        posteriors(name, values, names=quoted)
        replaced(name, "\nr", f"\n{names[0]}".replace('"', ""))
    before = contents()
    done = audit(*POSTERIORS, "--out", "run", "--junit", "run/junit.xml", "--sarif", "run/audit.sarif")
    assert done.exit_code == 0, done.output
    assert {path for path in contents() if path.parts[0] != "run"} == set(before)
    report = Path("run/report.html").read_text()
    assert not [name for name in names if "<" in name and name in report]
    assert report.count("<script") == report.count("</script")
    assert "\x1b[31m" not in done.stdout
    assert not [name for name in names if name == ":fire:" and f"class: {name}" not in done.stdout]
    ElementTree.parse("run/junit.xml")


def test_names_of_models_and_columns_are_only_names():
    names = ("<img src=x onerror=alert(1)>.skops", "'><img src=y>.skops")
    for name, strength in zip(names, (1, 2), strict=True):
        skops.io.dump(LogisticRegression(C=strength).fit(X, LABEL.astype(str)), name)
    for file in ("d.csv", "u.csv"):
        replaced(file, "f0", "<script>alert(1)</script>")
    judged(*models(*names), *RECORDS, "--out", "run")
    report = Path("run/report.html").read_text()
    assert not re.search("<img src=[xy]", report)
    assert "<script>alert(1)" not in report


# where the audit goes


def test_a_folder_that_holds_something_else_keeps_it():
    Path("run").mkdir()
    Path("run/mine.txt").write_text("mine")
    refused(
        *POSTERIORS, says="run: this folder holds other files and no audit. Choose another one .--out., .*: --force"
    )
    refused(*POSTERIORS, "--out", "a.csv", says="a.csv: an audit needs a folder, and this is a file. .* .--out.")
    refused(*POSTERIORS, "--out", "a.csv/run", says="cannot be written .Not a directory")
    refused(*POSTERIORS, "--out", "x" * 300, says="File name too long")


def test_another_audit_is_not_replaced():
    judged(*POSTERIORS, "--out", "run")
    posteriors("b.csv", AFTER[::-1])
    refused(*POSTERIORS, says="run: this folder holds another audit .other answers of the model after.. .*: --force.")


def test_a_folder_that_cannot_be_written(monkeypatch):
    """Rights do not bind root, who may run the tests."""

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    refused(*POSTERIORS, says="run: cannot be written .Permission denied.. Choose another folder.")


def test_a_file_that_cannot_be_read(monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refuse)
        done = audit(*POSTERIORS)
    assert done.exit_code == 2
    assert "a.csv: cannot be read (Permission denied)" in done.stderr


@pytest.mark.parametrize("option", ["--junit", "--sarif", "--pdf"])
def test_outputs_replace_no_input_and_are_checked_first(option):
    for content in ("x,y\n1,2\n", "def model(x): ...\n", "<testsuites name='another'/>", "%PDF-1.4\na thesis\n"):
        Path("own").write_text(content)
        refused(
            *POSTERIORS, option, "own", says=f"{option} must be a new file, or what an earlier call wrote; got own,"
        )
        assert Path("own").read_text() == content
    Path("link").symlink_to("nowhere")
    os.mkfifo("pipe")
    for name in ("link", "pipe"):
        refused(*POSTERIORS, option, name, says=f"got {name}, which is something else")
    assert Path("link").is_symlink()
    assert Path("pipe").is_fifo()
    refused(*POSTERIORS, option, "absent/x", says=f"{option} must be a file in a folder that is there, got absent/x")


@pytest.mark.parametrize("option", ["--junit", "--sarif", "--pdf"])
def test_outputs_replace_no_file_of_the_audits_folder(option):
    judged(*POSTERIORS, "--out", "run")
    there = Path("run/result.json").read_bytes()
    refused(*POSTERIORS, "--out", "run", option, "run/result.json", says="which the audit writes")
    refused(*POSTERIORS, "--out", "run", option, "run/certificate.json", says="which the audit writes")
    assert Path("run/result.json").read_bytes() == there
    done = CliRunner().invoke(app, ["report", "run", option, "run/result.json"])
    assert "run/result.json, which the audit writes. Choose another." in done.stderr
    assert Path("run/result.json").read_bytes() == there
    same = ("--junit", "same", "--sarif", "same")
    refused(*POSTERIORS, *same, says="--sarif must be a file of its own, got same")


def test_a_call_that_is_refused_leaves_no_outcome_of_an_earlier_one():
    """A server that reads the file must not take the last release's outcome for this one's."""
    files = ("--junit", "junit.xml", "--sarif", "run/audit.sarif")
    judged(*POSTERIORS, "--out", "run", *files)
    outcomes = {name: Path(name).read_bytes() for name in files[1::2]}
    kept = Path("run/result.json").read_bytes()
    for more, says in (
        (("--seed", "1"), "holds another audit .seed = 1 instead of 0."),
        (("--fail-above", "auc=60"), "is 0.6 meant"),
        (("--pdf", "absent/x.pdf"), "--pdf must be a file in a folder that is there"),
    ):
        for name, content in outcomes.items():
            Path(name).write_bytes(content)
        done = audit(*POSTERIORS, "--out", "run", *files, *more)
        assert done.exit_code == 2
        assert re.search(says, done.stderr)
        assert not any(map(os.path.exists, outcomes))
    assert Path("run/result.json").read_bytes() == kept
    for command in (("run", "absent.toml"), ("run", "demo", "--most", "5"), ("run", "demo", "--memory", "lots")):
        Path("junit.xml").write_bytes(outcomes["junit.xml"])
        assert CliRunner().invoke(app, [*command, "--junit", "junit.xml"]).exit_code == 2
        assert not Path("junit.xml").exists()


@pytest.mark.parametrize("option", ["--junit", "--sarif", "--pdf"])
def test_a_folder_that_cannot_take_an_output_is_found_first(option, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("aftertrace.cli._outputs.TemporaryFile", refuse)
    says = f"{option} must be in a folder that can be written, got . .Permission denied.. Choose another"
    refused(*POSTERIORS, option, "new", says=says)


# models elsewhere


@pytest.mark.parametrize(
    ("handler", "says"),
    [
        (None, "must be reachable, and there is no connection .*tried 1 times.*run the same again"),
        ((200, "text/html", b"<!doctype html><p>Sign in"), "must answer with JSON, and gave a web page .HTML"),
        ((500, "text/plain", b"it hurts"), "must answer, and says 500"),
        ((200, "application/json", b'{"predictions": [[0.5]]}'), "must give "),
    ],
)
def test_endpoints_that_do_not_answer(handler, says):
    class Answer(BaseHTTPRequestHandler):
        def do_POST(self):
            status, kind, content = handler
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        Path("endpoint.toml").write_text(f'url = "http://127.0.0.1:{server.server_port}/score"\nretries = 0\n')
        if handler is None:
            server.server_close()
            refused(*models("endpoint.toml", "endpoint.toml"), *RECORDS, says=says, code=4)
            return
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            refused(*models("endpoint.toml", "endpoint.toml"), *RECORDS, says=says, code=4)
        finally:
            server.shutdown()
            thread.join()


def test_secrets_that_are_absent(monkeypatch):
    monkeypatch.delenv("SCORING_TOKEN", raising=False)
    Path("endpoint.toml").write_text(
        'url = "https://127.0.0.1:1/score"\nheaders = { Authorization = "Bearer ${SCORING_TOKEN}" }\n'
    )
    says = "the environment variable SCORING_TOKEN must hold its value, and is not set"
    refused(*models("endpoint.toml", "endpoint.toml"), *RECORDS, says=says)
