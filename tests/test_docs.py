"""Every example of the README and of docs/ runs, and the pages that are made from the code are as it says."""

import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydantic
import pytest
import skops.io
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from typer.testing import CliRunner

import aftertrace as at
from aftertrace.cli import app
from aftertrace.models._http_settings import read_settings
from aftertrace.reproduction import SCALES
from aftertrace.results import Result
from aftertrace.scenarios import Experiment, Sweep, read_limits
from aftertrace.trainers import TrainingData

ROOT = Path(__file__).parent.parent
PROGRAM = Path(sys.executable).parent / "aftertrace"
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").rglob("*.md"))]
COMMAND = re.compile(r"(?:PYTHONPATH=\. )?aftertrace ")


def fences(page):
    """Language and text of each fenced block."""
    return re.findall(r"^```(\w*)\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


def blocks(language):
    """Fenced blocks of a language, with a name each."""
    for page in PAGES:
        for number, text in enumerate(text for kind, text in fences(page) if kind == language):
            yield pytest.param(text, id=f"{page.stem}-{number}")


def files_of_pages():
    """Blocks that are files: those after a paragraph that ends with the file's name and a colon."""
    for page in PAGES:
        yield from re.findall(r"`([\w-]+\.\w+)`:\n\n```\w+\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


def commands():
    """Each command of the pages once."""
    lines = [line for block in blocks("") for line in block.values[0].replace("\\\n", "").splitlines()]
    return list(dict.fromkeys(line.split("  #")[0] for line in lines if COMMAND.match(line)))


@pytest.fixture(scope="module")
def names():
    """What examples in Python speak of: answers of two versions, and three models with their records."""
    rng = np.random.default_rng(0)
    before = rng.dirichlet([2, 2], 80)
    data = load_breast_cancer()
    label = data.target_names[data.target]
    deleted, kept, unseen = np.split(rng.permutation(len(label)), [60, 250])
    trained = [np.concatenate([deleted[:30], deleted[30:], kept]), np.concatenate([deleted[30:], kept]), kept]
    original, halfway, updated = (
        RandomForestClassifier(10, random_state=0).fit(data.data[rows], label[rows]) for rows in trained
    )
    return {
        "before": before,
        "after": (before + rng.dirichlet([2, 2], 80)) / 2,
        "label": rng.integers(0, 2, 80),
        "role": ["deleted", "unseen"] * 40,
        "original": original,
        "halfway": halfway,
        "updated": updated,
        "x_deleted": data.data[deleted],
        "y_deleted": label[deleted],
        "x_unseen": data.data[unseen],
        "y_unseen": label[unseen],
    }


@pytest.fixture(scope="module")
def prepared(names, tmp_path_factory):
    """A folder with the files that examples speak of, and some finished runs."""
    folder = tmp_path_factory.mktemp("prepared")
    for name, text in files_of_pages():
        (folder / name).write_text(text)
    write_models(folder, names)
    write_answers(folder, names)
    run_small_demo(folder / "runs" / "demo")
    answers = {name: names[name] for name in ("before", "after", "label", "role")}
    for place in ("runs/first", "runs/second"):
        at.audit(**answers, limits={"auc": 0.6}, out=folder / place)
    (folder / "limits.toml").write_text("[limits]\nauc = 0.6\n")
    return folder


def write_models(folder, names):
    """Models as files, the records to ask them about, and a table to simulate from."""
    for name, model in (("before", names["original"]), ("after", names["updated"])):
        skops.io.dump(model, folder / f"{name}.skops")
    columns = [f"f{k}" for k in range(names["x_deleted"].shape[1])]
    rows = {}
    for role in ("deleted", "unseen"):
        records = zip(names[f"x_{role}"].tolist(), names[f"y_{role}"], strict=True)
        rows[role] = [",".join([*map(repr, x), y]) for x, y in records]
        (folder / f"{role}.csv").write_text("\n".join([",".join([*columns, "label"]), *rows[role]]))
    table = [",".join([*columns, "diagnosis"]), *rows["deleted"], *rows["unseen"]]
    (folder / "patients.csv").write_text("\n".join(table))


def write_answers(folder, names):
    """Posteriors of two versions with the roles of their records, and a table of people."""
    values = zip(range(80), names["label"], names["role"], names["before"], names["after"], strict=True)
    first, second = ["record,label,role,0,1"], ["record,label,0,1"]
    for record, label, role, before, after in values:
        first.append(f"{record},{label},{role},{before[0]},{before[1]}")
        second.append(f"{record},{label},{after[0]},{after[1]}")
    people = [f"{a},{b},{c}" for a, b, c in zip(*names["before"].T, names["label"], strict=True)]
    for name, lines in (("v1.csv", first), ("v2.csv", second), ("people.csv", ["age,height,bought", *people])):
        (folder / name).write_text("\n".join(lines))


def run_small_demo(out):
    sizes = [f"scenario.{side}.{key}" for side in ("shadow", "target") for key in ("originals=6", "pairs=3")]
    at.run("demo", changes=[*sizes, "attacks.classifiers=['tree']"], out=out)


@pytest.fixture
def workplace(prepared, tmp_path, monkeypatch):
    """A copy of that folder to work in, where modules and programs are found."""
    folder = tmp_path / "work"
    shutil.copytree(prepared, folder)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "training", raising=False)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setitem(SCALES, "quick", replace(SCALES["quick"], originals=6, pairs=2))
    return folder


@pytest.mark.parametrize("code", list(blocks("python")))
def test_python_examples_run(code, workplace, names, capsys):
    exec(compile(code, "example", "exec"), {**names, "__name__": "example"})


@pytest.mark.parametrize("text", list(blocks("toml")))
def test_settings_are_read(text, workplace, request):
    path = workplace / "settings.toml"
    path.write_text(text)
    if text.startswith("[limits]"):
        assert read_limits(path).given()
    elif text.startswith("url"):
        assert read_settings(path).classes == ("benign", "malignant")
    elif "[sweep]" in text:
        assert len(Sweep.from_toml(path).cells) > 1
    else:
        assert Experiment.from_toml(path).model.trainer()


def test_the_first_experiment_shows_the_defaults(tmp_path):
    path = tmp_path / "defaults.toml"
    path.write_text(next(text for kind, text in fences(ROOT / "docs" / "experiments.md") if kind == "toml"))
    assert Experiment.from_toml(path) == Experiment.from_dict({"data": {"name": "adult"}})


@pytest.mark.parametrize("text", list(blocks("csv")))
def test_posterior_examples_are_read(text, tmp_path):
    from aftertrace.posteriors import read_pair

    path = tmp_path / "v.csv"
    path.write_text(text)
    assert len(read_pair(path, path)) == 2


def test_there_are_examples_of_every_kind():
    assert all(list(blocks(kind)) for kind in ("python", "toml", "csv", ""))
    assert len(commands()) >= 10
    assert {"training.py", "train.py", "simulation.toml", "command.toml"} <= {name for name, _ in files_of_pages()}


@pytest.mark.parametrize("line", commands())
def test_commands_run(line, workplace):
    if "adult" in line and not os.environ.get("AFTERTRACE_DATA"):
        pytest.skip("needs the files of UCI Adult: set AFTERTRACE_DATA")
    words = shlex.split(line.removeprefix("PYTHONPATH=. "))[1:]
    if words[0] in ("run", "plan"):
        words += [
            "--set=attacks.classifiers=['tree']",
            "--set=attacks.learned=[]",
            "--set=verdict.attack=LogitDrop",
            "--jobs=1",
        ]
    if words[:2] == ["run", "sweep"]:
        words += ["--set=scenario.shadow.originals=1", "--set=scenario.target.originals=6"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code in (0, 1, 3), done.output


def test_the_training_command_of_the_docs_trains(workplace):
    """One model, as `aftertrace run command.toml` trains them; the run itself would take half a minute."""
    trainer = Experiment.from_toml("command.toml").model.trainer()
    data = TrainingData(x=np.random.default_rng(0).normal(size=(30, 4)), label=np.arange(30) % 2, n_classes=2)
    models = trainer.fit(data, np.ones((1, 30), dtype=bool), streams=[np.random.SeedSequence(0)])
    answers = models.log_posteriors(data.x, np.zeros(30, dtype=np.int64))
    assert (answers.argmax(axis=1) == data.label).all()


def test_the_quick_start_takes_at_most_three_commands_from_installation_to_verdict(workplace):
    """As a user would: the words of the README, in a shell, with the command that is installed."""
    block = next(text for kind, text in fences(README) if not kind and "pip install" in text)
    install, *rest = block.splitlines()
    assert install.startswith("pip install aftertrace")
    assert 1 <= len(rest) <= 2
    for line in rest:
        done = subprocess.run(line, shell=True, capture_output=True, text=True, check=False)
        assert done.returncode in (0, 1, 3), done.stderr
        assert re.search(r"AUC 0\.\d\d \(95\s% interval", done.stdout)


def test_ten_lines_of_python_judge_two_models():
    code = next(text for kind, text in fences(README) if kind == "python")
    assert len([line for line in code.splitlines() if line.strip()]) <= 10


@pytest.mark.parametrize(
    ("typed", "offered"), [("aftertrace au", "audit"), ("aftertrace audit --tr", "--trust-pickle")]
)
def test_the_shell_completes(typed, offered):
    """As the lines that `--install-completion` adds to bash ask it."""
    asked = {"COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" ")), "_AFTERTRACE_COMPLETE": "complete_bash"}
    done = subprocess.run([PROGRAM], env={**os.environ, **asked}, capture_output=True, text=True, check=False)
    assert done.stdout.split() == [offered]


@pytest.mark.skipif(tuple(map(int, pydantic.VERSION.split(".")[:2])) < (2, 13), reason="they write fewer descriptions")
def test_the_schema_is_the_one_in_the_docs():
    """Written from `Result.schema()`; a difference is a change of the format."""
    assert json.loads((ROOT / "docs" / "result.schema.json").read_text()) == Result.schema()


def test_pages_made_from_the_code_are_as_it_says():
    path = ROOT / "docs" / "_site" / "reference.py"
    spec = importlib.util.spec_from_file_location("reference", path)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    for name, text in (("cli", made.cli()), ("api", made.api())):
        assert (ROOT / "docs" / f"{name}.md").read_text() == text, f"docs/{name}.md: run `make docs`"


def test_examples_of_the_code_are_no_running_text():
    text = re.sub(r"^```.*?^```$", "", (ROOT / "docs" / "api.md").read_text(), flags=re.MULTILINE | re.DOTALL)
    assert not re.findall(r"^(?:[\w, ]+ = |if |\w[\w.]*\(.*\)(?: *#.*)?$).*", text, flags=re.MULTILINE)


def test_links_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            if not target.startswith(("http", "#")):
                assert (page.parent / target.split("#")[0]).exists(), f"{page.name}: {target}"


def test_the_site_is_built_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "site" / "notebooks" / "own_models.html").is_file()
