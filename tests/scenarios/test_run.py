"""From an experiment to its files: resumed, parallel, extended and re-attacked runs."""

import json
from dataclasses import dataclass

import numpy as np
import pytest
from sklearn.tree import DecisionTreeClassifier

import aftertrace as at
from aftertrace._random import Stream, stream
from aftertrace.data import load
from aftertrace.engine import Processes
from aftertrace.errors import StoreError
from aftertrace.posteriors import Role, Use
from aftertrace.procedures import Amnesiac, Retrain
from aftertrace.results import Outcome, Result
from aftertrace.scenarios import Experiment, Simulation, draw_units, run_experiment, simulate
from aftertrace.scenarios import _units as running
from aftertrace.trainers import Model, Seeding

SIZES = {"originals": 6, "pairs": 4, "records": 60}
SETTINGS = {
    "data": {"name": "wine"},
    "model": {"name": "tree"},
    "procedure": {"seed": "same"},
    "scenario": {"retained_per_pair": 1, "shadow": SIZES, "target": SIZES},
    "attacks": {"features": ["SortedDiff", "DirectConcat"], "classifiers": ["tree", "logistic"], "learned": []},
    "verdict": {"attack": "LogitDrop"},
}


def experiment(**more):
    table = json.loads(json.dumps(SETTINGS))
    for key, value in more.items():
        place = table
        *path, last = key.split("__")
        for part in path:
            place = place.setdefault(part, {})
        place[last] = value
    return Experiment.from_dict(table)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return run_experiment(experiment(), out=tmp_path_factory.mktemp("runs") / "run")


def test_fixed_pools_have_intervals_over_originals_and_records(tmp_path):
    run = run_experiment(experiment(scenario__pools="fixed", scenario__target__records=40), out=tmp_path / "run")
    assert run.result.attack("LogitDrop").auc.method.startswith("originals x records")
    assert "Intervals are over originals and records" in " ".join(run.result.notes)


def test_a_run_leaves_all_its_files(finished):
    names = {path.name for path in finished.folder.iterdir()}
    assert names == {
        "certificate.json",
        "experiment.toml",
        "manifest.json",
        "posteriors",
        "result.json",
        "scores.parquet",
    }
    assert len(list((finished.folder / "posteriors").iterdir())) == 12
    assert Experiment.from_toml(finished.folder / "experiment.toml") == experiment()


def test_the_result_survives_its_file(finished):
    content = (finished.folder / "result.json").read_text()
    again = Result.from_json(content)
    assert again.to_json() == content
    assert again.verdict == finished.result.verdict


def test_the_result_names_no_time_path_or_host(finished):
    content = (finished.folder / "result.json").read_text()
    assert str(finished.folder) not in content
    assert "seconds" not in content


def test_counts(finished):
    counts = finished.result.counts
    assert (counts.originals, counts.pairs, counts.deleted, counts.unseen) == (6, 24, 24, 24)
    assert (counts.held_out, counts.retained, counts.models) == (24, 24, 2 * 6 * 5)


def test_attacks_and_opponents(finished):
    names = [attack.name for attack in finished.result.attacks]
    assert names[:5] == ["LogitDrop", "EucDist", "LossRise", "Rank/LogitDrop", "OriginalLogit"]
    assert len(names) == 5 + 2 + 4
    for attack in finished.result.attacks:
        assert attack.classical == (attack.against is None)
        if attack.against:
            assert finished.result.attack(attack.against.opponent).classical
            assert attack.against.p_holm >= attack.against.p_value


def test_every_score_is_kept(finished):
    scores = finished.scores
    assert len(scores.record) == 24 * 4
    assert set(scores.score) == {attack.name for attack in finished.result.attacks}


def test_a_unit_equals_models_trained_one_by_one():
    """The slow obvious twin of the simulation."""
    spec, data = experiment(), load(experiment().data)
    unit = draw_units(spec.scenario, n_records=len(data), seed=0)[7]
    model = Model(name="sklearn.tree:DecisionTreeClassifier", params={"max_leaf_nodes": 10})
    procedure = Retrain(model.trainer(), Seeding.FRESH)
    table, facts = simulate(Simulation(data=data, procedure=procedure, seed=0), unit)

    def trained(records, version):
        rng = np.random.default_rng(stream(0, Stream.TRAIN, unit.side, unit.index, version))
        tree = DecisionTreeClassifier(max_leaf_nodes=10, random_state=int(rng.integers(2**31)))
        return tree.fit(data.x[records], data.label[records])

    original = trained(unit.train, 0)
    for row in range(len(table)):
        pair, record = table.pair[row], table.record[row]
        unlearned = trained(unit.train[unit.train != unit.deleted[pair, 0, 0]], 1 + int(pair))
        for version, model in enumerate((original, unlearned)):
            assert np.allclose(table.values[row, version], model.predict_proba(data.x[[record]])[0], atol=1e-12)
        in_original, in_unlearned = record in unit.train, record in unit.train and record != unit.deleted[pair, 0, 0]
        assert table.member[row].tolist() == [in_original, in_unlearned]
    assert facts["train_accuracy"] == original.score(data.x[unit.train], data.label[unit.train])
    assert facts["test_accuracy"] == original.score(data.x[unit.test], data.label[unit.test])


def test_same_seed_leaves_unmoved_what_fresh_seeds_move():
    data = load(experiment().data)
    unit = draw_units(experiment().scenario, n_records=len(data), seed=0)[0]
    trainer = Model(name="mlp").trainer()
    drop = {}
    for seeding in (Seeding.SAME, Seeding.FRESH):
        table, _ = simulate(Simulation(data=data, procedure=Retrain(trainer, seeding), seed=0), unit)
        drop[seeding] = np.abs(table.phi[:, 0] - table.phi[:, 1]).mean()
    assert drop[Seeding.FRESH] > 3 * drop[Seeding.SAME]


def test_held_out_queries_enter_no_figure(finished):
    scores = finished.scores
    held_out = scores.use == Use.HELD_OUT
    assert (scores.role[held_out] == Role.UNSEEN).all()
    assert finished.result.counts.unseen == ((scores.role == Role.UNSEEN) & ~held_out).sum()


def test_two_workers_give_the_same_bytes(finished, tmp_path):
    other = run_experiment(experiment(), out=tmp_path / "run", engine=Processes(2))
    assert (other.folder / "result.json").read_bytes() == (finished.folder / "result.json").read_bytes()


def nothing_trained(*_):
    pytest.fail("something was trained again")


def test_nothing_is_trained_again_when_attacks_change(finished, tmp_path, monkeypatch):
    run_experiment(experiment(), out=tmp_path / "run")
    monkeypatch.setattr(running, "simulate", nothing_trained)
    changed = experiment(attacks__classifiers=["tree"], limits__auc=0.7, verdict__confidence=0.9)
    result = run_experiment(changed, out=tmp_path / "run").result
    assert result.verdict.limit == 0.7
    assert len(result.attacks) == 5 + 1 + 2


def test_more_originals_train_only_the_new_ones(tmp_path, monkeypatch):
    run_experiment(experiment(), out=tmp_path / "run")
    trained = []
    monkeypatch.setattr(
        running, "simulate", lambda context, unit, **more: trained.append(unit.index) or simulate(context, unit)
    )
    run_experiment(experiment(scenario__target__originals=8), out=tmp_path / "run")
    assert trained == [6, 7]


def test_a_damaged_unit_is_said_and_trained_again(tmp_path):
    first = run_experiment(experiment(), out=tmp_path / "run")
    before = (first.folder / "result.json").read_bytes()
    unit = sorted((first.folder / "posteriors").iterdir())[0]
    unit.write_bytes(unit.read_bytes()[:-100])
    notes = []
    again = run_experiment(experiment(), out=tmp_path / "run", progress=lambda stage, done, total: notes.append(stage))
    assert any("damaged" in note and "trained again" in note for note in notes)
    assert (again.folder / "result.json").read_bytes() == before


@pytest.mark.parametrize("name", ["result.json", "scores.parquet"])
def test_damaged_results_are_named_and_written_anew(tmp_path, name):
    audit = at.run(experiment(), out=tmp_path / "run")
    path = audit.folder / name
    path.write_bytes(path.read_bytes()[:90])
    with pytest.raises(StoreError, match=f"{name}: damaged .* finished units are kept"):
        at.Audit.of_folder(audit.folder)
    at.run(experiment(), out=tmp_path / "run")
    assert at.Audit.of_folder(audit.folder).result.to_json() == audit.result.to_json()


def test_a_run_that_is_stopped_goes_on(tmp_path):
    class StopError(Exception):
        pass

    def stop(stage, done, total):
        if stage == "models" and done >= 20:
            raise StopError

    with pytest.raises(StopError):
        run_experiment(experiment(), out=tmp_path / "run", progress=stop)
    done = len(list((tmp_path / "run" / "posteriors").iterdir()))
    assert 0 < done < 12
    resumed = run_experiment(experiment(), out=tmp_path / "run")
    straight = run_experiment(experiment(), out=tmp_path / "straight")
    assert (resumed.folder / "result.json").read_bytes() == (straight.folder / "result.json").read_bytes()


def test_a_folder_of_another_experiment_is_refused(finished):
    with pytest.raises(StoreError, match=r"another experiment .*seed = 1 instead of 0"):
        run_experiment(experiment(seed=1), out=finished.folder)
    with pytest.raises(StoreError, match=r"model\.params\.max_leaf_nodes = 5 instead of none"):
        run_experiment(experiment(model__params={"max_leaf_nodes": 5}), out=finished.folder)


def test_the_same_experiment_has_the_same_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    folders = [
        run_experiment(experiment(attacks__classifiers=[c], attacks__features=["EucDist"])).folder
        for c in ("tree", "mlp")
    ]
    assert folders[0] == folders[1]
    assert folders[0].parent.name == "runs"


def test_a_procedure_with_state_runs_the_whole_road(tmp_path):
    audit = at.run(experiment(), procedure=Amnesiac(), out=tmp_path / "run")
    assert audit.result.title == "Amnesiac on wine"
    assert audit.result.settings["procedure"]["epochs"] == 5
    assert np.isfinite(audit.result.attack("LogitDrop").auc.estimate)


@dataclass(frozen=True)
class Shaken:
    """A probe: posteriors at copies of the record with a little noise."""

    copies: int = 3

    def measure(self, models, model, x, label, *, rng):
        answers = [models.log_posteriors(x + 0.01 * rng.normal(size=x.shape), model) for _ in range(self.copies)]
        return np.exp(np.stack(answers, axis=1))


def test_probes_measure_beside_living_models(tmp_path):
    data = load(experiment().data)
    unit = draw_units(experiment().scenario, n_records=len(data), seed=0)[0]
    plain = Simulation(data=data, procedure=Retrain(Model(name="logistic").trainer()), seed=0)
    probed = Simulation(data=data, procedure=plain.procedure, seed=0, probes={"shaken": Shaken()})
    assert plain.address(unit) != probed.address(unit)
    table, _ = simulate(probed, unit)
    assert table.probes["shaken"].shape == (len(table), 2, 3, 3)
    assert np.allclose(table.probes["shaken"].mean(axis=2), table.values, atol=0.05)
    again, _ = simulate(probed, unit)
    assert np.array_equal(again.probes["shaken"], table.probes["shaken"])


def test_limits_decide_the_outcome(tmp_path):
    strict = at.run(experiment(limits__auc=0.501), out=tmp_path / "run")
    assert strict.outcome in (Outcome.LEAKS, Outcome.INCONCLUSIVE)
    assert strict.result.verdict.limit == 0.501
