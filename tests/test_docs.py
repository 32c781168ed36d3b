"""Every example of the README and of docs/ runs."""

import json
import os
import re
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import skops.io
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from typer.testing import CliRunner

from aftertrace.cli import app
from aftertrace.models._http_settings import read_settings
from aftertrace.reproduction import SCALES
from aftertrace.results import Result
from aftertrace.scenarios import Experiment, Sweep, read_limits

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(language):
    """Fenced blocks of a language, with a name each."""
    for page in PAGES:
        fences = re.findall(r"^```(\w*)\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
        for number, text in enumerate(text for kind, text in fences if kind == language):
            yield pytest.param(text, id=f"{page.stem}-{number}")


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A folder with a finished run and the arrays that examples speak of."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(SCALES, "quick", replace(SCALES["quick"], originals=6, pairs=2))
    rng = np.random.default_rng(0)
    before = rng.dirichlet([2, 2], 80)
    return {
        "before": before,
        "after": (before + rng.dirichlet([2, 2], 80)) / 2,
        "label": rng.integers(0, 2, 80),
        "role": ["deleted", "unseen"] * 40,
    }


def small_demo():
    done = CliRunner().invoke(
        app,
        ["run", "demo", "--out", "runs/demo", "--no-report", "--jobs", "1",
         *(f"--set=scenario.{side}.{key}" for side in ("shadow", "target") for key in ("originals=6", "pairs=3")),
         "--set=attacks.classifiers=['tree']"],
    )  # fmt: skip
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("code", list(blocks("python")))
def test_python_examples_run(code, workplace, capsys):
    if "runs/demo" in code:
        small_demo()
    exec(compile(code, "example", "exec"), workplace)


@pytest.mark.parametrize("text", list(blocks("toml")))
def test_experiment_examples_are_read_and_show_the_defaults(text, tmp_path):
    path = tmp_path / "x.toml"
    path.write_text(text)
    if text.startswith("[limits]"):
        assert read_limits(path).given()
        return
    if text.startswith("url"):
        assert read_settings(path).classes == ("benign", "malignant")
        return
    if "[sweep]" in text:
        assert len(Sweep.from_toml(path).cells) > 1
        return
    assert Experiment.from_toml(path) == Experiment.from_dict({"data": {"name": "adult"}})


@pytest.mark.parametrize("text", list(blocks("csv")))
def test_posterior_examples_are_read(text, tmp_path):
    from aftertrace.posteriors import read_pair

    path = tmp_path / "v.csv"
    path.write_text(text)
    assert len(read_pair(path, path)) == 2


def commands():
    lines = [line for block in blocks("") for line in block.values[0].splitlines()]
    return [line for line in lines if line.startswith("aftertrace ")]


def test_there_are_examples_of_every_kind():
    assert all(list(blocks(kind)) for kind in ("python", "toml", "csv", ""))
    assert len(commands()) >= 3


def models_and_records():
    """Two forests before and after deletions, as skops files, and the records to ask them about."""
    data = load_breast_cancer()
    deleted, unseen = np.arange(60), np.arange(200, 300)
    for name, rows in (("before", np.arange(200)), ("after", np.arange(60, 200))):
        model = RandomForestClassifier(10, random_state=0).fit(data.data[rows], data.target[rows])
        skops.io.dump(model, f"{name}.skops")
    header = ",".join(["record", "label", *(f"f{k}" for k in range(data.data.shape[1]))])
    for name, rows in (("deleted", deleted), ("unseen", unseen)):
        lines = [",".join(map(repr, [k, int(data.target[k]), *data.data[k].tolist()])) for k in rows.tolist()]
        Path(f"{name}.csv").write_text("\n".join([header, *lines]))


@pytest.mark.parametrize("line", commands())
def test_commands_run(line, workplace):
    if "adult" in line and not os.environ.get("AFTERTRACE_DATA"):
        pytest.skip("needs the files of UCI Adult: set AFTERTRACE_DATA")
    rows = zip(range(80), workplace["label"], workplace["before"], workplace["after"], workplace["role"], strict=True)
    first, second, roles = ["record,label,0,1"], ["record,label,0,1"], ["record,role"]
    for record, label, before, after, role in rows:
        first.append(f"{record},{label},{before[0]},{before[1]}")
        second.append(f"{record},{label},{after[0]},{after[1]}")
        roles.append(f"{record},{role}")
    for name, lines in (("v1.csv", first), ("v2.csv", second), ("roles.csv", roles)):
        Path(name).write_text("\n".join(lines))
    people = zip(*workplace["before"].T, workplace["label"], strict=True)
    Path("limits.toml").write_text("[limits]\nauc = 0.6\n")
    models_and_records()
    Path("people.csv").write_text("\n".join(["age,height,bought", *(f"{a},{b},{c}" for a, b, c in people)]))
    words = shlex.split(line)[1:]
    if words[0] in ("run", "plan"):
        words += [
            "--set=attacks.classifiers=['tree']",
            "--set=attacks.learned=[]",
            "--set=verdict.attack=LogitDrop",
            "--jobs=1",
        ]
    done = CliRunner().invoke(app, words)
    assert done.exit_code in (0, 1, 3), done.output


def test_the_schema_is_the_one_in_the_docs():
    """Written from `Result.schema()`; a difference is a change of the format."""
    assert json.loads((ROOT / "docs" / "result.schema.json").read_text()) == Result.schema()


def test_links_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
            if not target.startswith(("http", "#")):
                assert (page.parent / target.split("#")[0]).exists(), f"{page.name}: {target}"
