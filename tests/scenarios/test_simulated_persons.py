"""Where the data say whose a record is, a simulation deletes, and judges, persons."""

import numpy as np
import pytest

import aftertrace as at
from aftertrace.errors import ExperimentError
from aftertrace.posteriors import Posteriors, Role, Use
from aftertrace.results import Outcome
from aftertrace.scenarios import Experiment, Scenario, Side, draw_units
from aftertrace.scenarios._persons import Persons
from aftertrace.scenarios._remedy_training import training_candidates
from aftertrace.scenarios._slices import every_group
from aftertrace.scenarios._update import update_cost
from aftertrace.trainers import PrivateLogisticTrainer

SIZES = {"originals": 8, "pairs": 6, "records": 30}
PERSONS = np.repeat(np.arange(100), np.arange(100) % 4 + 1)  # one to four records each


def drawn(**more):
    sides = Side(originals=3, pairs=4, records=20)
    scenario = Scenario(shadow=sides, target=sides, retained_per_pair=1, unseen_per_pair=2, **more)
    units = draw_units(scenario, n_records=100, seed=0)
    return units, [unit.of_persons(PERSONS) for unit in units]


@pytest.mark.parametrize(
    "more", [{}, {"group": 3}, {"versions": (1, 3), "replaced": True}, {"pools": "fixed"}], ids=str
)
def test_a_person_trains_leaves_joins_and_is_queried_whole(more):
    by_person, by_record = drawn(**more)
    for own, unit in zip(by_person, by_record, strict=True):
        last = unit.versions[1]
        for version in range(last + 1):
            expected = own.keep(version, 100)[:, PERSONS]  # slow twin: a record is kept where its person is
            assert np.array_equal(unit.keep(version, len(PERSONS)), expected)
        assert (np.diff(unit.train) > 0).all()
        for role in Role:
            for use in Use:
                for pair in range(unit.pairs):
                    persons, records = (
                        each.queries.record[
                            (each.queries.role == role) & (each.queries.use == use) & (each.queries.pair == pair)
                        ]
                        for each in (own, unit)
                    )
                    assert sorted(records) == np.flatnonzero(np.isin(PERSONS, persons)).tolist()
        assert set(PERSONS[unit.test]) == set(own.test)


def test_a_promise_for_records_and_a_claim_are_held_against_persons(tmp_path, monkeypatch):
    sizes, guarantee = [], PrivateLogisticTrainer.guarantee
    monkeypatch.setattr(
        PrivateLogisticTrainer, "guarantee", lambda self, size: sizes.append(size) or guarantee(self, size)
    )
    private = experiment(
        tmp_path,
        model={"name": "private-logistic", "params": {"epsilon": 1.0}},
        procedure={"seed": "fresh"},
        verdict={"claim": {"epsilon": 1.0}},
    )
    result = at.run(private, out=tmp_path / "run").result
    assert sizes[-1].records == 10 * SIZES["records"]
    assert result.privacy.records == (10, 10)
    assert result.privacy.check.ceiling == pytest.approx(1 / (1 + np.exp(-10)))
    assert "for adding or removing a person" in result.verdict.sentence


def test_a_remedy_measures_persons_and_the_same_ones(tmp_path):
    """Persons of one record have classes by chance, those of twenty one that is told by the first column."""
    rng = np.random.default_rng(0)
    lines = ["customer,a,b,label"]
    for k, x in enumerate(rng.normal(size=(160, 2))):
        for _ in range(1 if k % 2 else 20):
            label = rng.random() < 0.5 if k % 2 else x[0] > 0
            lines.append(",".join([f"c{k}", *map(repr, (x + rng.normal(size=2) * 0.05).tolist()), "ny"[int(label)]]))
    (tmp_path / "unequal.csv").write_text("\n".join(lines) + "\n")
    sides = {"originals": 6, "pairs": 3, "records": 20}
    own = experiment(
        tmp_path,
        data={"name": "csv", "path": str(tmp_path / "unequal.csv"), "target": "label", "person": "customer"},
        scenario={"shadow": sides, "target": sides, "unseen_per_pair": 3},
        limits={"auc": 0.501},
        verdict={},
    )
    remedy = at.run(own, out=tmp_path / "run", what_if=True).result.remedy
    today = remedy.option("as it is")
    private = [each for each in remedy.options if each.name.startswith("private")]
    for each in private:
        assert each.accuracy == pytest.approx(today.accuracy - each.accuracy_lost.estimate)
        assert "for a person with k of them it is k times epsilon" in each.what
    assert len(private) == 4
    assert all(0 <= each.accuracy <= 1 for each in remedy.options if each.checks)


def test_where_persons_do_not_suffice_persons_are_counted():
    sides = Side(originals=1, pairs=2, records=60)
    with pytest.raises(ExperimentError, match="the target side has 50 persons"):
        draw_units(Scenario(shadow=sides, target=sides), n_records=100, seed=0, noun="persons")


def write(path, *, copies=10, persons=160, told=True):
    """Persons with equal records, and classes by chance, which only the nearest records tell: those of the person."""
    rng = np.random.default_rng(0)
    x, label = rng.normal(size=(persons, 3)), rng.integers(2, size=persons)
    lines = ["customer,a,b,c,label"] + [
        ",".join([f"c{k}", *map(repr, x[k].tolist()), "yes" if label[k] else "no"])
        for _ in range(copies)
        for k in range(persons)
    ]
    path.write_text("\n".join(lines) + "\n")
    person = {"person": "customer"} if told else {"drop": ["customer"]}
    return {"name": "csv", "path": str(path), "target": "label", **person}


def experiment(tmp_path, told=True, **more):
    return Experiment.from_dict(
        {
            "data": write(tmp_path / "customers.csv", told=told),
            "model": {"name": "tree"},
            "procedure": {"seed": "same"},
            "scenario": {"shadow": SIZES, "target": SIZES},
            "attacks": {"features": ["SortedDiff"], "classifiers": ["logistic"]},
            "verdict": {"slices": ["a"]},
            **more,
        }
    )


def test_a_deletion_that_leaves_copies_behind_shows_nothing_and_that_of_the_person_does(tmp_path):
    (tmp_path / "own").mkdir(), (tmp_path / "single").mkdir()
    nearest = {"name": "sklearn.neighbors:KNeighborsClassifier", "params": {"n_neighbors": 1}}
    persons = at.run(experiment(tmp_path, model=nearest), out=tmp_path / "own" / "run").result
    most = {**SIZES, "records": 600}  # of 800: nearly every record has a copy beside it
    by_record = experiment(tmp_path, told=False, model=nearest, scenario={"shadow": most, "target": most})
    records = at.run(by_record, out=tmp_path / "single" / "run").result
    assert persons.unit == "person"
    assert persons.attack("LogitDrop").auc.low > 0.6
    assert records.unit == "record"
    assert records.attack("LogitDrop").auc.estimate < 0.55 < persons.attack("LogitDrop").auc.low
    counts = persons.counts
    assert (counts.deleted, counts.unseen, counts.held_out) == (48, 48, 48)
    assert persons.data.records == 1600
    assert persons.update.queries == 96
    said = " ".join([*persons.threat_model, *persons.notes, *persons.not_tested])
    assert "All records of one person are deleted at a time" in said
    assert "mean of that of his or her records" in said
    assert persons.attack("Superset").threshold is not None  # of the shadow side's persons


def test_scores_are_of_persons(tmp_path):
    audit = at.run(experiment(tmp_path), out=tmp_path / "run")
    assert set(audit.scores.record.tolist()) <= set(range(160))
    assert len(audit.scores.record) == 8 * 6 * 3


def test_until_decided_judges_persons_as_well(tmp_path):
    decided = at.run(
        experiment(tmp_path, verdict={"attack": "LogitDrop"}, limits={"auc": 0.55}),
        out=tmp_path / "run",
        until_decided=True,
        most_originals=40,
    ).result
    assert decided.sequence.estimate[-1] == pytest.approx(decided.attack("LogitDrop").auc.estimate, abs=0.03)
    assert decided.verdict.outcome is Outcome.LEAKS


def test_an_audit_with_a_shadow_side_of_persons_has_thresholds_for_persons(tmp_path):
    rng = np.random.default_rng(0)
    n = 120
    person = np.repeat(np.arange(n // 2), 2)
    role = np.where(person < n // 4, "deleted", "unseen")
    own = rng.uniform(0.2, 0.9, n)
    answers = [np.stack([p, 1 - p], axis=1) for p in (own, np.clip(own - 0.1 * (role == "deleted"), 0.05, 1))]
    common = {"label": np.zeros(n, int), "role": role.tolist(), "person": person, "classes": ("no", "yes")}
    (tmp_path / "runs").mkdir()
    found = {
        told: at.audit(*answers, **common, shadow=experiment(tmp_path, told=told)).result for told in (True, False)
    }
    assert found[True].attack("Superset").balanced_accuracy is not None
    assert found[False].attack("Superset").balanced_accuracy is None
    assert any("data.person" in note for note in found[False].notes)
    assert not any("data.person" in note for note in found[True].notes)


# what is said of persons


def table_of(before, after, label):
    role = np.array(["deleted", "unseen"])[np.arange(len(label)) % 2]
    answers = [np.stack([1 - p, p], axis=1) for p in map(np.asarray, (before, after))]
    return Posteriors.from_pair(*answers, label=label, role=role.tolist(), classes=("no", "yes"))


def test_a_person_with_records_of_two_classes_is_in_no_group_by_class():
    table = table_of([0.1, 0.2, 0.3, 0.4, 0.9, 0.8], [0.1] * 6, [0, 1, 0, 1, 0, 0])
    persons = Persons.of(table, np.array([0, 1, 0, 1, 2, 3]))
    mixed = Persons.of(table, np.array([0, 1, 0, 3, 0, 1]))
    groups = every_group(table, {}, persons)
    assert groups["class"].code.tolist() == [0, 1, 0, 0]
    assert groups["original's confidence"].names[groups["original's confidence"].code[0]] == ".5 to .9"
    groups = every_group(table, {}, mixed)
    assert groups["class"].code.tolist() == [0, -1, 1]
    assert groups["original's class"].code.tolist() == [-1, 1, 1]


def test_accuracy_counts_every_person_once():
    # one unseen person with nine right records, one with a single wrong one
    before = np.full(20, 0.9)
    after = np.where(np.arange(20) == 19, 0.1, 0.9)
    table = table_of(before, after, [1] * 20)
    person = np.where(np.arange(20) % 2 == 0, 100, np.where(np.arange(20) == 19, 1, 0))
    cost = update_cost(table, confidence=0.95, persons=Persons.of(table, person))
    assert (cost.queries, cost.before, cost.after) == (2, 1.0, 0.5)
    assert update_cost(table, confidence=0.95).after == 0.9


def test_the_interval_of_lost_accuracy_covers_where_losses_come_by_person():
    """A tenth of the persons loses all 10 records. Binomial(300, .95): below 273 by .002; over records far less."""
    rng, covered, as_records = np.random.default_rng(0), 0, 0
    n = 100
    for _ in range(300):
        loses = np.repeat(rng.random(n) < 0.1, 10)
        table = Posteriors.from_pair(
            np.tile([0.1, 0.9], (10 * n, 1)),
            np.where(loses[:, None], [0.9, 0.1], [0.1, 0.9]),
            label=np.ones(10 * n, int),
            role=["unseen"] * (10 * n),
            classes=("no", "yes"),
        )
        persons = Persons.of(table, np.repeat(np.arange(n), 10))
        own, records = (update_cost(table, confidence=0.95, persons=each).lost for each in (persons, None))
        covered += own.low <= 0.1 <= own.high
        as_records += records.low <= 0.1 <= records.high
    assert covered >= 273
    assert as_records < 240


def test_remedies_of_training_know_persons(tmp_path):
    own = experiment(tmp_path, limits={"auc": 0.55}, verdict={"attack": "LogitDrop"})
    remedy = at.run(own, out=tmp_path / "run", what_if=True).result.remedy
    assert remedy is not None
    names = [each.name for each in training_candidates(own)]
    by_name = {each.name: each for each in remedy.options}
    assert set(names) <= set(by_name)
    assert by_name["as it is"].auc.estimate > 0.6  # of records it would be the same: persons' records are equal
