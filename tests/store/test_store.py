"""Runs on disk: whole or absent, addressed by content, foreign ones refused."""

import errno
import json
import math
import os
import subprocess
import sys

import numpy as np
import pytest

from aftertrace.attacks import simulated_posteriors
from aftertrace.errors import StoreError
from aftertrace.store import Kind, RunFolder, write_atomically
from aftertrace.store._kind import RUN

IDENTITY = {"seed": 0, "model": {"name": "tree"}}
ADDRESS = "ab" * 32


@pytest.fixture
def folder(tmp_path):
    return RunFolder.open(tmp_path / "run", identity=IDENTITY)


@pytest.fixture
def table():
    return simulated_posteriors(leak=1, seed=0, originals=1)


def test_units_come_back(folder, table):
    assert not folder.has_unit(ADDRESS)
    folder.write_unit(ADDRESS, table, {"n": 3})
    again, facts = folder.read_unit(ADDRESS)
    assert np.array_equal(again.log_values, table.log_values)
    assert facts == {"n": 3, "address": ADDRESS}


def test_a_truncated_unit_is_damaged(folder, table):
    folder.write_unit(ADDRESS, table, {})
    path = folder.units_path / f"{ADDRESS}.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(StoreError, match=f"{ADDRESS}.parquet: damaged"):
        folder.read_unit(ADDRESS)


def test_a_unit_under_another_name_is_damaged(folder, table):
    folder.write_unit(ADDRESS, table, {})
    path = folder.units_path / f"{ADDRESS}.parquet"
    path.rename(path.with_name("cd" * 32 + ".parquet"))
    with pytest.raises(StoreError, match="it holds the unit 'abab"):
        folder.read_unit("cd" * 32)


def test_the_same_experiment_opens_again(folder):
    assert RunFolder.open(folder.path, identity=IDENTITY).path == folder.path


def test_what_is_no_number_equals_itself_and_is_json(tmp_path):
    for number in (math.nan, np.float32("nan"), math.inf):
        folder = RunFolder.open(tmp_path / "run", identity={"missing": number}, force=True)
        RunFolder.check_free(folder.path, identity={"missing": number})
        RunFolder.open(folder.path, identity={"missing": number})
        json.loads(folder.manifest_path.read_text(), parse_constant=pytest.fail)
        for other in (-math.inf, str(number)):
            with pytest.raises(StoreError, match="missing"):
                RunFolder.open(folder.path, identity={"missing": other})
    with pytest.raises(ValueError, match="JSON"):
        folder.write_json("manifest.json", {"seconds": math.nan})


def test_a_folder_is_refused_by_what_is_known_of_the_run(folder):
    """Before the work: the rest of the identity may follow from it."""
    RunFolder.check_free(folder.path, identity={"seed": 0})
    RunFolder.check_free(folder.path.with_name("new"), identity={"seed": 1})
    with pytest.raises(StoreError, match="another experiment .seed = 1 instead of 0.. Choose"):
        RunFolder.check_free(folder.path, identity={"seed": 1})
    RunFolder.check_free(folder.path, identity={"seed": 1}, force=True)


def test_another_experiment_is_refused_and_said(folder, table):
    folder.write_unit(ADDRESS, table, {})
    other = {"seed": 0, "model": {"name": "forest"}}
    with pytest.raises(StoreError, match=r"another experiment \(model.name = forest instead of tree\).*`force=True`"):
        RunFolder.open(folder.path, identity=other)
    assert RunFolder.open(folder.path, identity=other, force=True).has_unit(ADDRESS)


def test_what_differs_is_said_in_words(folder):
    print_ = "0123456789abcdef" * 4
    for there, here, words in (
        ({"limits": {"auc": 0.6}}, {"limits": {}}, "no limits.auc instead of 0.6"),
        ({"limits": {}}, {"limits": {"auc": 0.6}}, "limits.auc = 0.6 instead of none"),
        ({"claim": None}, {"claim": {"epsilon": 1}}, "claim, and there none"),
        ({"claim": {"epsilon": 1}}, {"claim": None}, "no claim"),
        ({"data": print_}, {"data": print_[::-1]}, "data differs"),
        ({"data": f"train.py --data {print_} a"}, {"data": f"train.py --data {print_} b"}, "data differs"),
        ({"a": 0, "b": 0, "c": 0, "d": 0, "e": 0}, {}, "no a instead of 0; no b instead of 0; no c instead of 0; no d "
         "instead of 0; ..."),
    ):  # fmt: skip
        own = RunFolder.open(folder.path, identity=there, force=True)
        with pytest.raises(StoreError) as error:
            RunFolder.open(own.path, identity=here)
        assert f"holds a run of another experiment ({words}). Choose another one (`out`)" in str(error.value)


def test_what_a_folder_holds_is_called_by_its_kind(tmp_path):
    audit = Kind("audit", "another audit", lambda there, here: [] if there == here else ["the question"])
    RunFolder.open(tmp_path / "audit", identity=IDENTITY, kind=audit)
    RunFolder.open(tmp_path / "run", identity=IDENTITY)
    assert RunFolder.open(tmp_path / "audit", identity=IDENTITY, kind=audit)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("mine")
    for name, kind, identity, words in (
        ("audit", RUN, IDENTITY, "this folder holds an audit, and this is a run. Choose another one (`out`)"),
        ("run", audit, IDENTITY, "this folder holds a run, and this is an audit. Choose another one (`out`)"),
        ("audit", audit, {"seed": 1}, "this folder holds another audit (the question). Choose another one (`out`)"),
        ("mine", audit, IDENTITY, "this folder holds other files and no audit. Choose another one (`out`)"),
        ("mine/thesis.tex", audit, IDENTITY, "an audit needs a folder, and this is a file"),
    ):
        with pytest.raises(StoreError) as error:
            RunFolder.check_free(tmp_path / name, identity=identity, kind=kind)
        assert words in str(error.value)
    assert RunFolder.open(tmp_path / "audit", identity=IDENTITY, force=True).read_manifest()["kind"] == "run"


def test_foreign_folders_and_files_are_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(StoreError, match="holds other files and no run"):
        RunFolder.open(tmp_path, identity=IDENTITY)
    with pytest.raises(StoreError, match="this is a file"):
        RunFolder.open(tmp_path / "thesis.tex", identity=IDENTITY)
    assert (tmp_path / "thesis.tex").read_text() == "mine"


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", json.dumps({"format": 99})])
def test_damaged_manifests(folder, content):
    folder.manifest_path.write_text(content)
    with pytest.raises(StoreError, match=r"manifest.json: (damaged|a run must have format)"):
        folder.read_manifest()


def test_a_damaged_manifest_costs_no_unit(folder, table):
    folder.write_unit(ADDRESS, table, {})
    folder.manifest_path.write_text("{")
    with pytest.raises(StoreError, match="again in this folder, by force: finished units are kept"):
        RunFolder.open(folder.path, identity=IDENTITY)
    assert RunFolder.open(folder.path, identity=IDENTITY, force=True).has_unit(ADDRESS)
    assert folder.read_manifest()["identity"] == IDENTITY


def test_absent_results_say_how_to_go_on(folder):
    with pytest.raises(StoreError, match="no readable result.json .* run the experiment again"):
        folder.read("result.json")


def test_what_a_killed_process_left_is_removed(folder):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (folder.units_path / f".unfinished-{gone.pid}-abc").write_bytes(b"half")
    living = folder.units_path / f".unfinished-{os.getpid()}-abc"
    living.write_bytes(b"half")
    RunFolder.open(folder.path, identity=IDENTITY)
    assert [path.name for path in folder.units_path.iterdir()] == [living.name]


def test_a_full_disk_leaves_the_old_file_and_says_so(tmp_path, monkeypatch):
    path = tmp_path / "result.json"
    write_atomically(path, b"old")

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"no space left on the disk\. Make room"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [item.name for item in tmp_path.iterdir()] == ["result.json"]


def test_folders_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        RunFolder.open(tmp_path / "file" / "below", identity=IDENTITY)


def test_private_files_are_private(folder):
    path = folder.write("key", "secret", private=True)
    assert path.stat().st_mode & 0o777 == 0o600
