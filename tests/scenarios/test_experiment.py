"""Experiment files: strict, complete, round trip."""

import math
import tomllib

import numpy as np
import pytest

from aftertrace.errors import ExperimentError
from aftertrace.scenarios import Experiment, examples, is_sweep, to_toml


def problems(table):
    with pytest.raises(ExperimentError) as caught:
        Experiment.from_dict(table)
    return caught.value.problems


@pytest.mark.parametrize("name", [name for name in examples() if not is_sweep(name)])
def test_examples_are_read_and_survive_writing(name, tmp_path):
    experiment = Experiment.from_toml(name)
    path = tmp_path / "again.toml"
    path.write_text(to_toml(experiment.as_dict()))
    assert Experiment.from_toml(path) == experiment


def test_all_problems_are_reported_together_with_the_nearest_keys():
    found = problems(
        {
            "sede": 1,
            "data": {"name": "digits"},
            "model": {"nmae": "tree", "preset": "paperish"},
            "scenario": {"pools": "redrawn", "target": {"record": 5, "pairs": "many"}},
            "attacks": {"classifiers": ["tree", "forrest"]},
        }
    )
    text = "\n".join(found)
    assert len(found) == 6
    assert "unknown key 'sede' (is 'seed' meant?); known are data, seed, model" in text
    assert "model.nmae: unknown key (is 'name' meant?)" in text
    assert "model.preset: input should be 'working' or 'paper', got 'paperish'" in text
    assert "scenario.target.record: unknown key (is 'records' meant?)" in text
    assert "scenario.target.pairs: input should be a valid integer, got 'many'" in text
    assert "attacks.classifiers.1: input should be 'tree', 'forest', 'logistic' or 'mlp', got 'forrest'" in text


def test_ranges_are_reported_together():
    found = problems(
        {
            "data": {"name": "wine"},
            "scenario": {"unseen_per_pair": 0, "target": {"originals": 0, "records": 5, "pairs": 6}},
            "verdict": {"attack": "LogitDorp"},
        }
    )
    text = "\n".join(found)
    assert "scenario.unseen_per_pair: must be at least 1, got 0" in text
    assert "scenario.target.originals: must be at least 1, got 0" in text
    assert "so there can be at most 5 (scenario.target.records), got 6" in text
    assert "verdict.attack: must be an attack of this experiment (is 'LogitDrop' meant?), got 'LogitDorp'" in text


def test_what_a_section_says_itself_is_said_once():
    assert problems({"data": {"name": "wine"}, "limits": {"auc": 60}}) == (
        "limits: The limit `auc` must be an AUC above 0.5 and below 1, such as 0.6, got 60 (is 0.6 meant?)",
    )


def test_numbers_that_json_lacks_survive_the_file():
    table = {"model": {"params": {"missing": math.nan, "bounds": [-math.inf, math.inf], "each": [{"a b": math.inf}]}}}
    assert str(tomllib.loads(to_toml(table))) == str(table)  # NaN does not equal itself


def test_a_claim_is_a_limit(tmp_path):
    claim = {"epsilon": 1.0, "delta": 1e-5}
    made = Experiment.from_dict({"data": {"name": "wine"}, "verdict": {"claim": claim}})
    assert made.largest_auc == pytest.approx(1 - (1 - 1e-5 * (1 + np.e)) ** 2 / (1 + np.e**2))
    assert Experiment.from_dict({"data": {"name": "wine"}, "limits": {"auc": 0.6}}).largest_auc == 0.6
    sharper = {**claim, "adjacency": "substitution"}
    made = Experiment.from_dict({"data": {"name": "wine"}, "verdict": {"claim": sharper}})
    assert made.largest_auc == pytest.approx(1 - (1 - 1e-5) ** 2 / (1 + np.e))
    (tmp_path / "x.toml").write_text(to_toml(made.as_dict()))
    assert Experiment.from_toml(tmp_path / "x.toml") == made
    assert (
        "verdict.claim: is a limit of the AUC by itself"
        in problems({"data": {"name": "wine"}, "verdict": {"claim": claim}, "limits": {"auc": 0.6}})[0]
    )
    assert "verdict.claim.epsilom: unknown key (is 'epsilon' meant?)" in "\n".join(
        problems({"data": {"name": "wine"}, "verdict": {"claim": {"epsilom": 1.0}}})
    )
    assert "a finite epsilon above 0" in problems({"data": {"name": "wine"}, "verdict": {"claim": {"epsilon": 0.0}}})[0]


def test_fixed_pools_decide_nothing():
    found = problems({"data": {"name": "wine"}, "scenario": {"pools": "fixed"}, "limits": {"auc": 0.6}})
    assert found[0].startswith("limits: fixed pools are for reproduction and decide nothing")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "data.name: must be one of"),
        ({"name": "digitz"}, "got 'digitz' (is 'digits' meant?)"),
        ({"name": "adult", "encodign": "codes"}, "data.encodign: unknown key (is 'encoding' meant?)"),
        (
            {"name": "adult", "encoding": "hash"},
            "data.encoding: input should be 'codes', 'onehot' or 'frame', got 'hash'",
        ),
        ({"name": "csv"}, "data.path: "),
    ],
)
def test_data_sections(data, message):
    assert any(message in line for line in problems({"data": data} if data else {}))


def test_changes_reach_every_depth():
    experiment = Experiment.from_toml(
        "demo",
        changes=[
            "model.name=forest",
            "model.params.n_estimators=7",
            "scenario.target.originals=3",
            "limits.auc=0.6",
        ],
    )
    assert experiment.model.name == "forest"
    assert experiment.model.params == {"n_estimators": 7}
    assert experiment.scenario.target.originals == 3
    assert experiment.limits.auc == 0.6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("model.name", "a change must be KEY=VALUE"),
        ("seed.x=1", "seed is a value and has no keys below it"),
        ("seed=abc", "seed: input should be a valid integer, got 'abc'"),
    ],
)
def test_bad_changes(change, message):
    with pytest.raises(ExperimentError, match=message):
        Experiment.from_toml("demo", changes=[change])


def test_a_folder_is_no_experiment(tmp_path):
    """One of a run holds its experiment, one of an audit perhaps the start of one."""
    says = f"{tmp_path}: must be an experiment file or an example, and is a folder"
    for name in (None, "simulation.toml", "experiment.toml"):
        if name is not None:
            (tmp_path / name).touch()
        with pytest.raises(ExperimentError) as caught:
            Experiment.from_toml(tmp_path)
        assert str(caught.value) == (says if name is None else f"{says} (is '{tmp_path / name}' meant?)")


def test_files_that_are_not_toml(tmp_path):
    path = tmp_path / "x.toml"
    path.write_text("seed = ")
    with pytest.raises(ExperimentError, match="not valid TOML"):
        Experiment.from_toml(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ExperimentError, match="not valid TOML"):
        Experiment.from_toml(path)
    with pytest.raises(ExperimentError, match=r"no such file or example \(is 'demo' meant\?\)"):
        Experiment.from_toml("demo1")


def test_toml_is_written_for_awkward_values(tmp_path):
    table = {"data": {"name": "csv", "path": 'a "b" \\ ü\n', "target": "y", "drop": ["x.y", "z"]}}
    experiment = Experiment.from_dict(table)
    path = tmp_path / "x.toml"
    path.write_text(to_toml(experiment.as_dict()), encoding="utf-8")
    assert Experiment.from_toml(path) == experiment
