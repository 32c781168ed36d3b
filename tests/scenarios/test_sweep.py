"""Grids of runs: what they share, that they resume, and what is said of those that fail."""

import csv
import io
import json
import shutil

import pytest

from aftertrace.errors import ExperimentError, StoreError
from aftertrace.results import CellResult, SweepResult
from aftertrace.scenarios import Sweep, find_experiment, is_sweep, run_experiment, run_sweep
from aftertrace.scenarios import _sweep as sweeping
from aftertrace.scenarios._sweep import finished_result

BASE = """
[data]
name = "wine"
[model]
name = "tree"
[procedure]
seed = "same"
[scenario]
shadow = {originals = 6, pairs = 4, records = 60}
target = {originals = 6, pairs = 4, records = 60}
[attacks]
features = []
learned = []
[verdict]
attack = "LogitDrop"
"""
# in no alphabetical order; wine has three classes, so that the last defense is refused once the data are known
GRID = '[sweep]\n"verdict.confidence" = [0.9, 0.95]\ndefense = ["none", "LabelOnly", "TopK(3)"]\n'
DONE = [0, 1, 3, 4]


def written(folder, content):
    path = folder / "grid.toml"
    path.write_text(content)
    return path


def problems_of(folder, content, **more):
    with pytest.raises(ExperimentError) as caught:
        Sweep.from_toml(written(folder, content), **more)
    return caught.value.problems


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    return Sweep.from_toml(written(tmp_path_factory.mktemp("file"), BASE + GRID))


@pytest.fixture(scope="module")
def finished(sweep, tmp_path_factory):
    return run_sweep(sweep, out=tmp_path_factory.mktemp("grids") / "grid")


def contents(folder):
    return {path.relative_to(folder): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_all_combinations_and_the_last_varies_fastest(sweep):
    assert [tuple(cell.values.values()) for cell in sweep.cells] == [
        (confidence, defense) for confidence in ("0.9", "0.95") for defense in ("none", "LabelOnly", "TopK(3)")
    ]
    assert [cell.experiment.verdict.confidence for cell in sweep.cells] == [0.9] * 3 + [0.95] * 3
    assert [cell.experiment.defense for cell in sweep.cells][:3] == ["none", "LabelOnly", "TopK(3)"]
    assert len({cell.folder for cell in sweep.cells}) == 6


def test_what_runs_have_alike_is_trained_once(finished):
    result, folder = finished
    assert len(list((folder / "posteriors").iterdir())) == 6 + 6
    assert not list((folder / "runs").glob("*/posteriors"))
    assert {cell.models for cell in result.cells if cell.error is None} == {2 * 6 * 5}


def test_what_runs_train_differently_is_trained_apart(tmp_path):
    sweep = Sweep.from_toml(written(tmp_path, BASE + '[sweep]\n"model.name" = ["tree", "logistic"]\n'))
    result, folder = run_sweep(sweep, out=tmp_path / "grid")
    assert len(list((folder / "posteriors").iterdir())) == 2 * 12
    assert result.cells[0].auc != result.cells[1].auc
    assert result.settings["data"]["name"] == "wine"
    assert "name" not in result.settings["model"]


def test_a_run_that_fails_is_an_entry_and_the_others_run(finished):
    result, _ = finished
    assert [number for number, cell in enumerate(result.cells) if cell.error is None] == DONE
    assert [cell.values["defense"] for cell in result.failed] == ["TopK(3)", "TopK(3)"]
    for cell in result.failed:
        assert "TopK(3)" in cell.error or "3 classes" in cell.error
        assert cell.outcome is cell.auc is cell.sentence is cell.models is None


@pytest.mark.parametrize("number", DONE)
def test_every_run_is_what_it_would_be_alone(sweep, finished, number, tmp_path):
    result, folder = finished
    alone = run_experiment(sweep.cells[number].experiment, out=tmp_path / "alone", units=folder / "posteriors")
    own = result.cells[number]
    assert (folder / own.folder / "result.json").read_bytes() == (alone.folder / "result.json").read_bytes()
    assert own == CellResult.of(own.values, own.folder, alone.result)
    assert own.auc == alone.result.attack("LogitDrop").auc
    assert own.classical == alone.result.attack("OriginalLogit").auc


def test_shared_units_are_those_of_a_run_alone(sweep, finished, tmp_path):
    _, folder = finished
    alone = run_experiment(sweep.cells[1].experiment, out=tmp_path / "alone")
    units = {path.name: path.read_bytes() for path in (folder / "posteriors").iterdir()}
    assert units == {path.name: path.read_bytes() for path in (alone.folder / "posteriors").iterdir()}


def test_run_again_it_trains_and_attacks_nothing(sweep, finished, monkeypatch):
    result, folder = finished
    before, content = contents(folder), (folder / "sweep.json").read_bytes()
    tried = []

    def spy(experiment, **more):
        tried.append(experiment.defense)
        return run_experiment(experiment, **more)

    monkeypatch.setattr(sweeping, "run_experiment", spy)
    again, _ = run_sweep(sweep, out=folder)
    after = contents(folder)
    assert tried == ["TopK(3)", "TopK(3)"]  # what failed is tried again
    assert (folder / "sweep.json").read_bytes() == content
    assert again.to_json() == result.to_json()
    kept = [name for name in before if name.name.endswith(".parquet") or name.name == "result.json"]
    assert len(kept) == 12 + 2 * len(DONE)
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}


def test_a_killed_grid_goes_on(sweep, finished, tmp_path):
    result, folder = finished
    shutil.copytree(folder, tmp_path / "killed")
    for name in ("sweep.json", f"{result.cells[1].folder}/result.json"):
        (tmp_path / "killed" / name).unlink()
    again, _ = run_sweep(sweep, out=tmp_path / "killed")
    assert again.to_json() == result.to_json()


def test_a_finished_run_is_believed_only_if_it_is_that_run(sweep, finished, tmp_path, monkeypatch):
    result, folder = finished
    path, experiment = folder / result.cells[0].folder, sweep.cells[0].experiment
    assert finished_result(path, experiment).verdict.sentence == result.cells[0].sentence
    assert finished_result(path, sweep.cells[1].experiment) is None
    assert finished_result(tmp_path, experiment) is None
    shutil.copytree(path, tmp_path / "run")
    (tmp_path / "run" / "result.json").write_text("{")
    assert finished_result(tmp_path / "run", experiment) is None
    monkeypatch.setattr(sweeping, "library_version", lambda name: "0")
    assert finished_result(path, experiment) is None


def test_another_grid_needs_another_folder_or_force(sweep, finished, tmp_path):
    _, folder = finished
    shutil.copytree(folder, tmp_path / "grid")
    other = Sweep.from_toml(written(tmp_path, BASE + '[sweep]\n"verdict.confidence" = [0.8]\n'))
    with pytest.raises(StoreError, match="`force=True`"):
        run_sweep(other, out=tmp_path / "grid")
    units = contents(tmp_path / "grid" / "posteriors")
    result, _ = run_sweep(other, out=tmp_path / "grid", force=True)
    assert [cell.values for cell in result.cells] == [{"verdict.confidence": "0.8"}]
    assert contents(tmp_path / "grid" / "posteriors") == units


def test_the_records_survive_their_file(finished):
    result, folder = finished
    content = (folder / "sweep.json").read_bytes()
    again = SweepResult.from_json(content)
    assert again.to_json().encode() == content
    assert again.axes == result.axes
    assert [axis.setting for axis in again.axes] == ["verdict.confidence", "defense"]
    assert again.cells == result.cells
    with pytest.raises(StoreError, match="a sweep of format 1"):
        SweepResult.from_json(json.dumps({**json.loads(content), "format": 2}))


def test_the_file_names_no_time_path_or_host(finished):
    _, folder = finished
    content = (folder / "sweep.json").read_text()
    assert str(folder) not in content
    assert "seconds" not in content


def test_the_table_of_the_grid(finished):
    result, folder = finished
    rows = list(csv.DictReader(io.StringIO((folder / "sweep.csv").read_text())))
    assert len(rows) == 6
    for row, cell in zip(rows, result.cells, strict=True):
        assert (row["verdict.confidence"], row["defense"]) == tuple(cell.values.values())
        assert row["error"] == (cell.error or "")
        if cell.error is None:
            figures = cell.auc.estimate, cell.auc.low, cell.auc.high, cell.classical.estimate, cell.against.p_holm
            assert tuple(float(row[name]) for name in ("auc", "low", "high", "classical", "p_holm")) == figures
            assert float(row["test_accuracy"]) == cell.overfitting.test_accuracy.mean
            assert (row["outcome"], row["attack"]) == (cell.outcome.value, "LogitDrop")


def test_the_file_in_the_folder_is_the_grid(sweep, finished):
    _, folder = finished
    again = Sweep.from_toml(folder / "experiment.toml")
    assert (again.axes, again.cells) == (sweep.axes, sweep.cells)


def test_values_of_every_kind_survive_the_file(tmp_path):
    grid = (
        '[sweep]\n"model.params" = [{max_leaf_nodes = 4}, {max_leaf_nodes = 8, criterion = "entropy"}]\n'
        '"verdict.slices" = [[], ["alcohol"]]\nseed = [0, 1]\n'
    )
    sweep = Sweep.from_toml(written(tmp_path, BASE + grid))
    assert len(sweep.cells) == 8
    assert sweep.cells[-1].experiment.model.params == {"max_leaf_nodes": 8, "criterion": "entropy"}
    assert Sweep.from_toml(written(tmp_path, sweep.to_toml())).cells == sweep.cells


def test_all_problems_of_a_file_at_once(tmp_path):
    grid = '[sweep]\n"verdict.confidence" = [0.95, 7]\ndefense = ["none", "TopQ(1)"]\n"scenario.group" = [1, 0]\n'
    found = problems_of(tmp_path, BASE + grid)
    assert len(found) == len(set(found))
    for word in ("verdict.confidence", "TopQ(1)", "scenario.group"):
        assert any(word in problem for problem in found), found
    found = problems_of(tmp_path, BASE + '[sweep]\n"model.nam" = ["tree"]\n"model.parms" = [{}]\n')
    assert [problem.split(":")[0] for problem in found] == ["model.nam", "model.parms"]


def test_a_setting_below_a_value_is_a_problem_of_the_file(tmp_path):
    with pytest.raises(ExperimentError, match="seed is a value") as caught:
        Sweep.from_toml(written(tmp_path, "seed = 0\n" + BASE + '[sweep]\n"seed.x" = [1]\n'))
    assert "grid.toml" in str(caught.value)


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("[sweep]\n", ["must hold settings with lists"]),
        ('[sweep]\nmodel.name = ["tree"]\nseed = 1\n', ['"model.name" = [...]', "sweep.seed: must be a list"]),
        ("[sweep]\nseed = [1, 1]\ndefense = []\n", ["sweep.seed: values must differ", "sweep.defense: must be a list"]),
        (f"[sweep]\nseed = {list(range(1001))}\n", ["1001 combinations; at most 1000"]),
        ("[sweep]\nseed = [2020-01-01]\n", ["seed"]),
    ],
)
def test_a_wrong_section_says_what_is_wrong(tmp_path, section, words):
    found = problems_of(tmp_path, BASE + section)
    assert len(found) == len(words)
    for problem, word in zip(found, words, strict=True):
        assert word in problem


def test_changes_hold_for_all_runs_but_not_for_what_varies(tmp_path):
    path = written(tmp_path, BASE + GRID)
    sweep = Sweep.from_toml(path, changes=["seed=5"])
    assert {cell.experiment.seed for cell in sweep.cells} == {5}
    found = problems_of(tmp_path, BASE + GRID, changes=["defense=none"])
    assert found == ("defense: is in the section sweep and cannot be changed as well",)


def test_the_example_is_a_grid(tmp_path):
    assert is_sweep("sweep")
    assert not is_sweep("demo")
    assert not is_sweep(written(tmp_path, "[sweep"))
    sweep = Sweep.from_toml(find_experiment("sweep"))
    assert len(sweep.cells) == 8
