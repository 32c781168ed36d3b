"""`aftertrace data fetch`, on a stub."""

import pytest
from typer.testing import CliRunner

import aftertrace.data
from aftertrace.cli import ExitCode, app
from aftertrace.data import Fetched
from aftertrace.errors import DataError


def invoke(*words):
    return CliRunner().invoke(app, ["data", "fetch", *map(str, words)])


@pytest.fixture
def calls(monkeypatch, tmp_path):
    """Calls of `fetch`, which finds one file and brings another."""
    seen = []

    def stub(name, *, data_dir, progress):
        seen.append((name, data_dir))
        progress("adult.test: files", 1, 2)
        return [
            Fetched("adult/adult.data", tmp_path / "adult.data", False),
            Fetched("adult/adult.test", tmp_path / "adult" / "adult.test", True),
        ]

    monkeypatch.setattr(aftertrace.data, "fetch", stub)
    return seen


def test_every_file_has_a_line(calls, tmp_path):
    done = invoke("adult", "--data-dir", tmp_path)
    assert done.exit_code == ExitCode.OK
    assert done.stdout == f"there    {tmp_path / 'adult.data'}\nfetched  {tmp_path / 'adult' / 'adult.test'}\n"
    assert invoke("adult").exit_code == ExitCode.OK
    assert calls == [("adult", tmp_path), ("adult", None)]


def test_sets_inside_scikit_learn_need_nothing():
    done = invoke("digits")
    assert done.exit_code == ExitCode.OK
    assert done.stdout == "digits is inside scikit-learn: there is nothing to fetch.\n"


def test_errors_are_one_line(monkeypatch, tmp_path):
    done = invoke("us-accidents", "--data-dir", tmp_path)
    assert done.exit_code == ExitCode.WRONG_USE
    assert done.stdout == ""
    assert done.stderr.startswith("aftertrace: us-accidents: must be fetched by hand from Kaggle, ")
    assert done.stderr.count("\n") == 1

    def fail(name, *, data_dir, progress):
        raise DataError("no connection")

    monkeypatch.setattr(aftertrace.data, "fetch", fail)
    done = invoke("adult")
    assert (done.exit_code, done.stderr) == (ExitCode.WRONG_USE, "aftertrace: no connection\n")


def test_an_unknown_name_is_refused():
    done = invoke("cifar10")
    assert done.exit_code == ExitCode.WRONG_USE
    assert "(is 'cifar-10' meant?)" in done.stderr
