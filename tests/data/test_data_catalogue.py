import os
import subprocess
import sys
from dataclasses import replace

import pytest

import aftertrace.data
from aftertrace.data import SPECIFICATIONS, BreastCancer, Csv, Digits, Wine, available, load, verify
from aftertrace.data import _catalogue as catalogue

REAL = pytest.mark.skipif(not os.environ.get("AFTERTRACE_DATA"), reason="needs the data folder")
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_public_names_are_all_there_is():
    visible = {name for name in vars(aftertrace.data) if name.isidentifier() and not name.startswith("_")}
    assert visible == set(aftertrace.data.__all__)


def test_import_is_light():
    heavy = "[name for name in ('sklearn', 'scipy', 'pandas', 'pyarrow') if name in sys.modules]"
    code = f"import sys, aftertrace.data; sys.exit(str({heavy}) if {heavy} else 0)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("spec", [Digits(), BreastCancer(), Wine()], ids=lambda spec: spec.name)
def test_embedded_sets_are_as_catalogued(spec):
    data = load(spec)
    info = catalogue.known(spec.name)
    assert (data.name, *data.x.shape, len(data.classes)) == (info.name, info.rows, info.features, info.classes)
    assert load(spec).fingerprint == data.fingerprint
    assert not data.x.flags.writeable


def test_embedded_sets_differ():
    assert len({load(spec).fingerprint for spec in (Digits(), BreastCancer(), Wine())}) == 3


def test_every_specification_but_csv_is_available_and_back():
    assert [info.name for info in available()] == [kind.name for kind in SPECIFICATIONS if kind is not Csv]


def test_known_files_are_listed_once_with_a_checksum_each():
    files = [file for info in catalogue.CATALOGUE for file in info.files]
    assert len(files) == 17
    assert len({file.file for file in files}) == len({file.sha256 for file in files}) == 17
    assert all(len(file.sha256) == 64 for file in files)


def test_verify_tells_absent_unknown_subset_and_complete(tmp_path, monkeypatch):
    adult = catalogue.known("adult")
    whole, part = (
        replace(adult.files[0], sha256=EMPTY, note="nothing"),
        replace(adult.files[1], sha256=EMPTY, note="some", status="known subset"),
    )
    monkeypatch.setattr(catalogue, "CATALOGUE", (replace(adult, files=(whole, part)),))
    assert [(each.status, each.path) for each in verify(tmp_path)] == [("absent", None), ("absent", None)]
    assert verify(tmp_path)[0].detail == f"neither {tmp_path / 'adult' / 'adult.data'} nor {tmp_path / 'adult.data'}"
    (tmp_path / "adult.data").touch()
    (tmp_path / "adult.test").touch()
    assert [(each.status, each.detail) for each in verify(tmp_path)] == [
        ("complete", "nothing"),
        ("known subset", "some"),
    ]
    (tmp_path / "adult.data").write_text("more")
    changed = verify(tmp_path)[0]
    assert (changed.data_set, changed.file, changed.status) == ("adult", "adult/adult.data", "unknown")
    assert changed.path == tmp_path / "adult.data"
    assert changed.detail == "changed, truncated or another edition: SHA-256 differs"


def test_verify_uses_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("AFTERTRACE_DATA", str(tmp_path))
    assert {each.status for each in verify()} == {"absent"}


@REAL
def test_verify_of_the_data_folder_finds_nothing_changed():
    found = {each.file: each.status for each in verify() if each.status != "absent"}
    assert "unknown" not in found.values()
    assert found["adult/adult.data"] == found["location/nyc_withCatId.csv.gz"] == "complete"
