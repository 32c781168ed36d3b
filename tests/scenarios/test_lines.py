"""Lines of versions: groups, online learning, versions in between, retained records, and another shadow side."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.tree import DecisionTreeClassifier

from aftertrace._random import Stream, stream
from aftertrace.attacks import Feature, FeatureAttack, Superset
from aftertrace.data import load
from aftertrace.errors import ExperimentError
from aftertrace.posteriors import Posteriors, Role
from aftertrace.procedures import Amnesiac, Retrain
from aftertrace.scenarios import Experiment, Simulation, draw_units, run_experiment, simulate
from aftertrace.scenarios._sides import drawn_units, seen, simulations_of
from aftertrace.trainers import Model, Seeding


def experiment(**scenario):
    side = {"originals": 6, "pairs": 4, "records": 120}
    return Experiment.from_dict(
        {
            "data": {"name": "breast-cancer"},
            "model": {"name": "tree"},
            "scenario": {"shadow": side, "target": side, **scenario},
            "attacks": {"features": ["SortedDiff"], "classifiers": ["tree"], "learned": [], "scores": ["LogitDrop"]},
            "verdict": {"attack": "LogitDrop"},
        }
    )


def by_hand(data, unit, version, line):
    """A tree on the records of a version, with that version's random numbers."""
    number = 1 + (version - 1) * unit.pairs + line if version else 0
    rng = np.random.default_rng(stream(0, Stream.TRAIN, unit.side, unit.index, number))
    tree = DecisionTreeClassifier(max_leaf_nodes=10, random_state=int(rng.integers(2**31)))
    records = np.flatnonzero(unit.keep(version, len(data))[line])
    return tree.fit(data.x[records], data.label[records])


@pytest.mark.parametrize("versions", [(0, 1), (0, 3), (1, 3), (2, 3)])
@pytest.mark.parametrize("replaced", [False, True])
def test_versions_are_models_on_what_remained(versions, replaced):
    """The slow obvious twin: every version seen is trained alone, by hand."""
    spec = experiment(versions=list(versions), group=2, replaced=replaced, retained_per_pair=1)
    data = load(spec.data)
    unit = draw_units(spec.scenario, n_records=len(data), seed=0)[8]
    model = Model(name="sklearn.tree:DecisionTreeClassifier", params={"max_leaf_nodes": 10})
    simulation = Simulation(data=data, procedure=Retrain(model.trainer(), Seeding.FRESH), seed=0)
    table, facts = simulate(simulation, unit)
    assert facts["counts"]["models"] == simulation.n_models(unit)
    for row in range(len(table)):
        line, record = table.pair[row], table.record[row]
        for place, version in enumerate(versions):
            answer = by_hand(data, unit, version, line).predict_proba(data.x[[record]])[0]
            assert np.allclose(table.values[row, place], answer, atol=1e-12)
            assert table.member[row, place] == unit.keep(version, len(data))[line, record]


def test_a_procedure_with_a_memory_is_led_through_every_version():
    """Amnesiac takes back updates one version after the other; Retrain trains only what is seen."""
    spec = experiment(versions=[2, 4])
    data = load(spec.data)
    unit = draw_units(spec.scenario, n_records=len(data), seed=0)[0]
    remembers = Simulation(data=data, procedure=Amnesiac(epochs=1), seed=0)
    assert remembers.trained(unit) == (1, 2, 3, 4)
    assert Simulation(data=data, procedure=spec.build_procedure(), seed=0).trained(unit) == (2, 4)
    assert simulate(remembers, unit)[1]["counts"]["models"] == 1 + 4 * 4


def test_retained_records_are_attacked_with_the_same_models(tmp_path):
    """The other role, told from the same unseen records; nothing is trained again."""
    kept = {"retained_per_pair": 2}
    first = run_experiment(experiment(**kept), out=tmp_path / "run")
    units = {path: path.stat().st_mtime_ns for path in (tmp_path / "run" / "posteriors").iterdir()}
    second = run_experiment(experiment(**kept, attacked="retained"), out=tmp_path / "run")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "run" / "posteriors").iterdir()} == units
    scores = second.scores
    retained, unseen = (scores.score["LogitDrop"][(scores.role == role) & (scores.use == 0)]
                        for role in (Role.RETAINED, Role.UNSEEN))  # fmt: skip
    greater = (retained[:, None] > unseen).mean() + (retained[:, None] == unseen).mean() / 2
    assert second.result.attack("LogitDrop").auc.estimate == pytest.approx(greater)
    assert first.result.attack("LogitDrop").auc.estimate != pytest.approx(greater)


@pytest.mark.parametrize("attack", [FeatureAttack(Feature.SORTED_CONCAT, "tree"), Superset()], ids=lambda a: a.name)
def test_what_learns_from_the_shadow_side_learns_the_attacked_role(attack):
    """Deleted, retained and unseen records that move differently: each is told from unseen if attacked."""
    rng = np.random.default_rng(0)
    role = np.repeat(["deleted", "retained", "unseen"], 200)
    before = np.repeat([0.6, 0.9, 0.6], 200) + rng.normal(0, 0.02, 600)
    after = before - np.repeat([0.2, 0.0, 0.0], 200)
    sides = [np.column_stack([p, 1 - p]) for p in (before, after)]
    table = Posteriors.from_pair(*sides, label=np.zeros(600, dtype=int), role=role)
    for attacked in (Role.DELETED, Role.RETAINED):
        shadow = replace(table, attacked=attacked)
        score = attack.fit(shadow, rng=np.random.default_rng(1)).score(shadow)
        unseen = score[table.role == Role.UNSEEN]
        assert score[table.role == attacked].min() > unseen.max()


def test_a_shadow_side_of_other_data_and_models():
    spec = Experiment.from_dict(
        {**experiment().as_dict(), "shadow": {"data": {"name": "breast-cancer"}, "model": {"name": "logistic"}}}
    )
    simulations = simulations_of(spec, load)
    names = {side: type(each.procedure.trainer).__name__ for side, each in simulations.items()}
    assert names == {"shadow": "LogisticTrainer", "target": "TreeTrainer"}
    units = drawn_units(spec, simulations)
    tables = {
        side: seen(spec, simulations, side, [simulate(simulations[side], u) for u in units if u.side == side])
        for side in ("shadow", "target")
    }
    assert not set(tables["shadow"].record) & set(tables["target"].record)  # numbered apart
    assert max(tables["target"].record) >= 569 // 2  # either side has all records of its data


def test_other_data_must_have_the_same_classes():
    spec = Experiment.from_dict({**experiment().as_dict(), "shadow": {"data": {"name": "wine"}}})
    with pytest.raises(ExperimentError, match="must have the classes of data in the same order, malignant, benign"):
        simulations_of(spec, load)


@pytest.mark.parametrize(
    ("scenario", "problem"),
    [
        ({"versions": [1, 1]}, "the earlier first"),
        ({"versions": [2, 0]}, "the earlier first"),
        ({"group": 0}, "scenario.group: must be at least 1, got 0"),
        ({"group": 60, "versions": [0, 2]}, "120 records leave up to version 2"),
        ({"deleted_per_pair": 2}, "1 records leave between versions 0 and 1"),
        ({"attacked": "retained"}, "scenario.retained_per_pair: retained records are attacked"),
        ({"adversary": "per_record", "group": 2}, "scenario.group: with a per-record adversary"),
    ],
)
def test_what_does_not_go_together_is_said(scenario, problem):
    with pytest.raises(ExperimentError, match=problem.replace("(", r"\(")):
        experiment(**scenario)


def test_shards_that_lack_a_class_are_stated(tmp_path):
    """Wine has three classes: ten shards of 40 records miss one now and then."""
    table = experiment().as_dict()
    side = {"originals": 6, "pairs": 3, "records": 40}
    table |= {"data": {"name": "wine"}, "procedure": {"name": "sisa"}}
    table["scenario"] |= {"shadow": side, "target": side}
    result = run_experiment(Experiment.from_dict(table), out=tmp_path / "run").result
    assert result.training.shards_without_a_class > 0
    assert result.training.certificate.passed
    assert any("SISA" in line for line in result.threat_model)
