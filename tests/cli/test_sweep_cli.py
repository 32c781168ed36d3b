"""Grids of runs and the reproduction on the command line."""

import json

import pytest
from typer.testing import CliRunner

from aftertrace.cli import app
from aftertrace.cli._exit import ExitCode
from aftertrace.reproduction import STUDIES, Claim, Setting, Study, Term
from aftertrace.reproduction import _reproduce as module

SMALL = """
[data]
name = "wine"
[scenario.shadow]
originals = 2
pairs = 2
records = 40
[scenario.target]
originals = 7
pairs = 3
records = 40
[attacks]
features = []
classifiers = []
learned = []
scores = ["LogitDrop"]
[verdict]
attack = "LogitDrop"
"""


def invoke(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def written(tmp_path, text):
    path = tmp_path / "grid.toml"
    path.write_text(text)
    return path


def test_a_file_with_a_sweep_is_a_grid(tmp_path):
    grid = written(tmp_path, SMALL + '[sweep]\ndefense = ["none", "TopK(1)"]\n')
    done = invoke("run", grid, "--out", tmp_path / "out", "--jobs", 1)
    assert done.exit_code == ExitCode.OK, done.output
    assert "TopK(1)" in done.output
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"sweep.json", "sweep.csv", "report.html", "runs"}


def test_a_run_that_cannot_be_done_leaves_the_grid_incomplete(tmp_path):
    grid = written(tmp_path, SMALL + '[sweep]\ndefense = ["none", "TopK(3)"]\n')
    done = invoke("run", grid, "--out", tmp_path / "out", "--jobs", 1)
    assert done.exit_code == ExitCode.INVALID
    assert "k can be at most 2 for 3 classes" in " ".join(done.output.split())
    cells = json.loads((tmp_path / "out" / "sweep.json").read_text())["cells"]
    assert [cell["error"] is None for cell in cells] == [True, False]


@pytest.mark.parametrize(
    "option",
    [["--until", "decided"], ["--keep-models"], ["--fail-above", "auc=0.6"], ["--what-if"], ["--junit", "junit.xml"]],
)
def test_what_is_for_single_runs_is_refused(option, tmp_path):
    grid = written(tmp_path, SMALL + '[sweep]\ndefense = ["none", "TopK(1)"]\n')
    done = invoke("run", grid, "--out", tmp_path / "out", *option)
    assert done.exit_code == ExitCode.WRONG_USE
    assert f"{option[0]} is for single runs" in done.output


def test_the_reproduction_writes_a_document_and_a_page(tmp_path, monkeypatch):
    small = {"data.name": "wine", "model.name": "tree", "scenario.shadow.records": 40, "scenario.target.records": 40}
    wine = Setting(label="wine", changes=small)
    leaks = Claim(sentence="Trees leak.", figure="AUC", terms=(Term(1, "wine", "LogitDrop"),), above=0.5)
    absent = Setting(label="absent", changes={**small, "defense": "TopK(5)"})
    own = Study(name="own", title="Own", source="here", settings=(wine, absent), claims=(leaks,), shown=("LogitDrop",))
    monkeypatch.setattr(module, "STUDIES", {"own": own})
    done = invoke("reproduce", "--scale", "quick", "--out", tmp_path / "out", "--jobs", 1)
    assert done.exit_code == ExitCode.OK, done.output
    assert "HOLDS" in done.output
    assert "Not run: absent" in done.output
    document = (tmp_path / "out" / "reproduction.md").read_text()
    assert "| Trees leak. | AUC |" in document
    assert "## Own (here)" in document
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Trees leak." in page
    assert "http" not in page.replace("http://www.w3.org", "")


def test_unknown_studies_are_said(tmp_path):
    done = invoke("reproduce", "--only", "nothing", "--out", tmp_path / "out", "--jobs", 1)
    assert done.exit_code == ExitCode.WRONG_USE
    assert "--only: there is no study 'nothing'; known are retraining" in done.output


@pytest.mark.parametrize("what", ["defenses", "studies", "procedures", "models"])
def test_what_can_be_named_is_listed(what):
    done = invoke("list", what)
    assert done.exit_code == ExitCode.OK
    expected = {"defenses": "KeyedNoise", "studies": list(STUDIES)[-1], "procedures": "sisa", "models": "private-mlp"}
    assert expected[what] in done.output


def test_a_grid_has_no_plan(tmp_path):
    grid = written(tmp_path, SMALL + '[sweep]\ndefense = ["none", "TopK(1)"]\n')
    done = invoke("plan", grid)
    assert done.exit_code == ExitCode.WRONG_USE
    assert "plan is for single runs" in done.output
