"""Experiments whose models name columns of a table: the run, the audit that it teaches, and what people see of it."""

import json
import sys

import joblib
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from aftertrace.cli._app import app

TRAINING = """
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

def build():
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    texts = OneHotEncoder(handle_unknown="ignore")
    columns = make_column_transformer(
        (numbers, ["age", "height"]), (texts, ["job"]), (texts, make_column_selector(pattern="town"))
    )
    return make_pipeline(columns, LogisticRegression(C=100))
"""
EXPERIMENT = """
[data]
name = "csv"
path = "public.csv"
target = "bought"
drop = ["id"]
encoding = "frame"

[model]
name = "frames_training:build"

[scenario]
shadow = { originals = 6, pairs = 2, records = 60 }
target = { originals = 6, pairs = 2, records = 60 }

[attacks]
classifiers = ["tree"]
features = ["SortedDiff"]

[verdict]
attack = "LogitDrop"
"""


def people(rng, n, start=0):
    job, town = rng.choice(["baker", "clerk", "smith"], size=n), rng.choice(["Bonn", "Ulm", None], size=n)
    age = rng.integers(20, 70, size=n)
    height = np.where(rng.random(n) < 0.1, np.nan, rng.normal(1.7, 0.1, size=n).round(2))
    bought = np.where(age + 10 * (job == "clerk") + 15 * rng.normal(size=n) > 45, "yes", "no")
    columns = {"job": job, "age": age, "town": town, "height": height}
    return pd.DataFrame({"id": np.arange(start, start + n), **columns, "bought": bought})


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "frames_training.py").write_text(TRAINING)
    (tmp_path / "frames.toml").write_text(EXPERIMENT)
    people(np.random.default_rng(0), 300).to_csv(tmp_path / "public.csv", index=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("frames_training", None)


def call(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_a_pipeline_that_names_columns_is_simulated(folder):
    done = call("run", "frames.toml", "--out", "run", "--jobs", 1)
    assert done.exit_code == 0, done.output
    assert (folder / "run" / "result.json").exists()


def test_a_pipeline_that_holds_nan_is_run_again_and_topped_up(folder):
    """`SimpleImputer` looks for NaN, which does not equal itself and is no JSON."""
    (folder / "frames.toml").write_text(
        EXPERIMENT.replace('frames_training:build"', 'frames_training:build"\nparams = { missing = nan }')
    )
    (folder / "frames_training.py").write_text(
        TRAINING.replace("build()", "build(missing)").replace(
            "SimpleImputer()", "SimpleImputer(missing_values=missing)"
        )
    )
    run = ("run", "frames.toml", "--out", "run", "--jobs", 1)
    for more in ((), (), ("--force",), ("--set", "scenario.target.originals=7")):
        done = call(*run, *more)
        assert done.exit_code == 0, done.output
    assert "models" in done.output  # of the new original alone
    for path in [*folder.rglob("run/*.json")]:
        json.loads(path.read_text(), parse_constant=pytest.fail)
    assert call("run", "run/experiment.toml", *run[2:], "--set", "scenario.target.originals=7").exit_code == 0
    other = call(*run, "--set", "model.params.missing=-1")
    assert other.exit_code == 2
    assert "another experiment (model.params.missing = -1 instead of " in " ".join(other.output.split())


def test_the_same_pipeline_is_audited_with_shadow_models(folder):
    """Models are trained by the function of the experiment, on the very files that people would have."""
    import frames_training

    own = people(np.random.default_rng(1), 160, start=1000)
    own.iloc[:120].to_csv("train.csv", index=False)
    own.iloc[:40].drop(columns="id").rename(columns={"bought": "label"}).to_csv("deleted.csv", index=False)
    own.iloc[120:].drop(columns="id").rename(columns={"bought": "label"}).to_csv("unseen.csv", index=False)
    for name, first in (("before", 0), ("after", 40)):
        table = pd.read_csv("train.csv").iloc[first:].drop(columns="id")
        joblib.dump(frames_training.build().fit(table.drop(columns="bought"), table["bought"]), f"{name}.joblib")
    for _ in range(2):  # the shadow models of the first are found again
        done = call(
            "audit", "--before", "before.joblib", "--after", "after.joblib", "--trust-pickle",
            "--deleted", "deleted.csv", "--unseen", "unseen.csv", "--shadow", "frames.toml", "--out", "audit",
            "--jobs", 1,
        )  # fmt: skip
        assert done.exit_code == 0, done.output
    assert "SortedDiff" in (folder / "audit" / "result.json").read_text()


def test_codes_are_told_of_frames(folder):
    done = call("run", "frames.toml", "--out", "run", "--set", "data.encoding=codes", "--jobs", 1)
    assert done.exit_code == 4
    assert 'To get a data frame, set data.encoding = "frame"' in " ".join(done.output.split())
