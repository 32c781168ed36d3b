"""What users bring: persons, versions, scores, an auditor who knows the truth, a shadow side, and what is said."""

import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import aftertrace as at
from aftertrace.attacks import Superset, largest_drop, logit_drop, simulated_posteriors
from aftertrace.cli import app
from aftertrace.engine import InProcess
from aftertrace.errors import ExperimentError, InputError, PosteriorsError, UnsupportedError
from aftertrace.posteriors import Features, Posteriors, Role, membership
from aftertrace.results import Claim, Limits, Outcome
from aftertrace.scenarios import AuditSettings, Brought, Experiment, audit_posteriors, shadow_plan, to_toml
from aftertrace.scenarios._crossfit import FOLDS, CrossFitted, _folds
from aftertrace.scenarios._persons import Persons
from aftertrace.statistics import auc, auc_interval_one_pair, cross_fitted_interval


def pair(leak, seed, pairs=100):
    return simulated_posteriors(leak=leak, seed=seed, originals=1, pairs=pairs)


# persons


def of_persons(seed, *, persons=60, effect=0.0, shared=1.0, sizes=(1, 5)):
    """Records of deleted and unseen persons; a person's records share a part of the noise."""
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(2 * persons), rng.integers(*sizes, 2 * persons))
    deleted = person < persons
    before = rng.normal(1, 1, len(person))
    after = (
        before - effect * deleted - shared * rng.normal(size=2 * persons)[person] - 0.3 * rng.normal(size=len(person))
    )
    values = [np.stack([1 / (1 + np.exp(-each)), 1 / (1 + np.exp(each))], axis=1) for each in (before, after)]
    role = np.where(deleted, Role.DELETED, Role.UNSEEN)
    return Posteriors.from_pair(*values, label=np.zeros(len(person), int), role=role), person


def test_a_persons_posterior_and_score_are_means():
    before, after = [[0.9, 0.1], [0.7, 0.3], [0.6, 0.4]], [[0.5, 0.5], [0.7, 0.3], [0.2, 0.8]]
    table = Posteriors.from_pair(before, after, label=[0, 1, 1], role=["deleted", "deleted", "unseen"])
    persons = Persons.of(table, np.array([7, 7, 9]))
    assert np.allclose(persons.table.values[0], [[0.8, 0.2], [0.6, 0.4]])
    assert persons.table.record.tolist() == [7, 9]
    assert persons.table.label.tolist() == [0, 1]
    assert persons.mean(np.array([1.0, 3.0, 5.0])).tolist() == [2.0, 5.0]


def test_persons_are_the_unit_of_the_audit():
    table, person = of_persons(0, effect=2.0)
    result, scores = audit_posteriors(Brought(table=table, person=person))
    assert result.unit == "person"
    assert (result.counts.deleted, result.counts.unseen) == (60, 60)
    assert len(scores.record) == 120
    assert np.allclose(scores.phi[:, 0] - scores.phi[:, 1], scores.score["LogitDrop"])
    drop = table.phi[:, 0] - table.phi[:, 1]
    means = np.array([drop[person == each].mean() for each in range(120)])
    assert result.attack("LogitDrop").auc.estimate == pytest.approx(auc(means[:60], means[60:]))
    assert any("of 120 persons" in note for note in result.notes)


def test_records_of_one_person_are_not_independent():
    """Leak-free, with noise that a person's records share: intervals over records lie, those over persons do not."""
    by_person = by_record = 0
    for seed in range(60):
        table, person = of_persons(seed, sizes=(2, 6))
        persons, drop = Persons.of(table, person), logit_drop(table)
        own, deleted = persons.mean(drop), persons.table.role == Role.DELETED
        person_auc = auc_interval_one_pair(own[deleted], own[~deleted])
        record_auc = auc_interval_one_pair(drop[table.role == 0], drop[table.role == 1])
        by_person += not person_auc.low <= 0.5 <= person_auc.high
        by_record += not record_auc.low <= 0.5 <= record_auc.high
    assert by_person <= 8  # binomial(60, .05): above by chance .006
    assert by_record >= 12


def test_the_key_of_pseudonyms_changes_nothing_for_persons():
    table, person = of_persons(0, effect=1.0)
    other = np.random.default_rng(1).permutation(10_000)[person]
    first, second = (audit_posteriors(Brought(table=table, person=each))[0] for each in (person, other))
    assert first.to_json() == second.to_json()


def test_a_person_has_one_role():
    table, person = of_persons(0)
    person = np.where(person == 60, 0, person)
    with pytest.raises(PosteriorsError, match="All records of a person must have one role; 1 persons have more"):
        Persons.of(table, person)
    with pytest.raises(UnsupportedError, match="leave out `match`, or the persons"):
        audit_posteriors(Brought(table=table, person=person), AuditSettings(match=True))


# several versions


def test_membership_of_every_role():
    role = np.array([Role.DELETED, Role.DELETED, Role.UNSEEN, Role.RETAINED, Role.ADDED], dtype=np.int8)
    assert membership(role, 3, np.array([1, 2, 2, 2, 2])).astype(int).tolist() == [
        [1, 0, 0], [1, 1, 0], [0, 0, 0], [1, 1, 1], [0, 0, 1],
    ]  # fmt: skip


def versions_of(seed, *, versions=4, leak=2.0, n=150):
    """Arrays of several versions; each deleted record leaves with one of them, chosen by chance."""
    rng = np.random.default_rng(seed)
    deleted, left = np.arange(2 * n) < n, rng.integers(1, versions, 2 * n)
    steps = rng.normal(size=(2 * n, versions - 1))
    steps[deleted, left[deleted] - 1] += leak
    logit = 1 - np.concatenate([np.zeros((2 * n, 1)), np.cumsum(steps, axis=1)], axis=1)
    values = np.stack([1 / (1 + np.exp(-logit)), 1 / (1 + np.exp(logit))], axis=2)
    return values, np.where(deleted, "deleted", "unseen").tolist()


def test_the_step_that_a_record_left_by_is_found_among_several():
    values, role = versions_of(0)
    audit = at.audit(
        values[:, 0], values[:, 3], between=[values[:, 1], values[:, 2]], label=np.zeros(300, int), role=role
    )
    assert audit.result.verdict.attack == "LargestDrop"
    names = [attack.name for attack in audit.result.attacks]
    assert [name for name in names if name.startswith("StepDrop")] == ["StepDrop/1", "StepDrop/2", "StepDrop/3"]
    assert audit.result.attack("LargestDrop").auc.low > 0.6
    assert "does not know by which update" in audit.result.threat_model[1]


def test_the_largest_drop_of_two_versions_is_the_logit_drop():
    table = pair(2, 0)
    assert np.array_equal(largest_drop(table), table.phi[:, 0] - table.phi[:, 1])


# scores alone


@pytest.mark.parametrize("outputs", ["loss", "log-likelihood"])
def test_scores_alone_are_audited(outputs):
    table = pair(3, 0)
    sign = -1 if outputs == "loss" else 1
    before, after = (sign * table.phi[:, [v]] for v in (0, 1))
    role = np.where(table.role == 0, "deleted", "unseen").tolist()
    found = at.audit(before, after, role=role, outputs=outputs, limits={"auc": 0.6, "accuracy_loss": 0.1})
    assert found.result.verdict.attack == "ScoreDrop"
    same = at.audit(table.values[:, 0], table.values[:, 1], label=table.label, role=role).result.attack("LogitDrop").auc
    own = found.result.attack("ScoreDrop").auc
    assert (own.estimate, own.low, own.high) == pytest.approx((same.estimate, same.low, same.high))
    by_name = {check.name: check for check in found.result.verdict.checks}
    assert "scores only" in by_name["accuracy_loss"].note
    assert found.result.update is None
    assert "ScoreDrop" in str(found)


def test_several_versions_of_scores():
    values, role = versions_of(1)
    scores = np.log(values[:, :, :1])
    found = at.audit(scores[:, 0], scores[:, 3], between=[scores[:, 1]], role=role, outputs="log-likelihood")
    assert found.result.attack("LargestDrop").against.opponent == "OriginalScore"


# an auditor who knows the truth


def test_folds_keep_pairs_or_records_whole():
    table = simulated_posteriors(leak=1, seed=0, originals=2, pairs=10)
    by_pair = list(_folds(table, np.random.default_rng(0)))
    assert len(by_pair) == FOLDS
    assert np.array_equal(np.sort(np.concatenate([test for _, test in by_pair])), np.arange(len(table)))
    for train, test in by_pair:
        assert not set(table.pair[train]) & set(table.pair[test])
    one = replace(table, pair=np.zeros_like(table.pair))
    for train, test in _folds(one, np.random.default_rng(0)):
        assert not set(table.record[train]) & set(table.record[test])
        assert abs(int((table.role[test] == 0).sum()) - 4) <= 1


def test_the_auditor_finds_what_there_is_and_nothing_else():
    auditor, outside, naive = CrossFitted(Superset(), "Auditor"), 0, 0
    for seed in range(60):
        table = pair(0, seed, pairs=40)
        score = auditor.fit(None, rng=np.random.default_rng(0)).score(table)
        deleted = table.role == Role.DELETED
        plain = auc_interval_one_pair(score[deleted], score[~deleted])
        wide = cross_fitted_interval(plain, folds=FOLDS)
        outside += not wide.low <= 0.5 <= wide.high
        naive += not plain.low <= 0.5 <= plain.high
    assert outside <= 8  # binomial(60, .05): above by chance .006
    assert naive >= 6
    result, _ = audit_posteriors(Brought(table=pair(3, 0)))
    assert result.attack("Auditor").auc.low > 0.5
    assert result.attack("Auditor").shadow == "truth"
    assert any("bounds from above" in line for line in result.threat_model)


def test_the_key_of_pseudonyms_changes_nothing_for_the_auditor():
    table = pair(2, 0)
    other = replace(table, record=np.random.default_rng(1).permutation(10_000)[: len(table)])
    first, second = (audit_posteriors(Brought(table=each))[0] for each in (table, other))
    assert first.attack("Auditor") == second.attack("Auditor")


def test_few_queries_have_no_auditor():
    result, _ = audit_posteriors(Brought(table=pair(2, 0, pairs=15)))
    assert "Auditor" not in [attack.name for attack in result.attacks]
    assert any("Only 15 deleted" in note for note in result.notes)
    assert any("No auditor's attack" in note for note in result.notes)


# what is said


def test_unmoved_answers_are_named():
    table = pair(2, 0)
    values = table.log_values.copy()
    values[::2, 1] = values[::2, 0]  # deleted ones
    result, _ = audit_posteriors(Brought(table=replace(table, log_values=values)))
    assert any("100\u00a0% of deleted ones, 0\u00a0% of unseen ones" in note for note in result.notes)
    same = replace(table, log_values=table.log_values[:, [0, 0]])
    result, _ = audit_posteriors(Brought(table=same))
    assert any("two files of one model" in note for note in result.notes)
    assert result.verdict.outcome is not Outcome.LEAKS


def test_deletions_of_one_class_are_named():
    table = pair(2, 0)
    table = table.select((table.role == Role.UNSEEN) | (table.label == 1))
    result, _ = audit_posteriors(Brought(table=table))
    assert any("All deleted ones are of class 1" in note for note in result.notes)


def test_one_pair_says_what_it_cannot_and_how_to_learn_more():
    result, _ = audit_posteriors(Brought(table=pair(2, 0)))
    assert result.widening is not None
    assert "next update" in result.widening.cannot[0]
    assert result.widening.command == "aftertrace run simulation.toml"
    several, _ = audit_posteriors(Brought(table=simulated_posteriors(leak=1, seed=0, originals=8, pairs=10)))
    assert several.widening is None


# a shadow side


@pytest.fixture(scope="module")
def experiment():
    sizes = {"originals": 6, "pairs": 8, "records": 60}
    return Experiment.from_dict(
        {
            "data": {"name": "wine"},
            "procedure": {"seed": "same"},
            "scenario": {"shadow": sizes, "target": sizes},
            "attacks": {"classifiers": ["tree"], "features": ["SortedDiff"]},
        }
    )


def side(experiment, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan = shadow_plan(experiment, source="wine.toml")
    return plan.simulate(engine=InProcess(), progress=lambda *_: None)


def test_a_shadow_side_teaches_the_attacks_of_its_experiment(experiment, tmp_path, monkeypatch):
    own = side(experiment, tmp_path, monkeypatch)
    table = replace(pair(2, 0), classes=own.table.classes)
    result, _ = audit_posteriors(Brought(table=table), shadow=own)
    assert result.verdict.attack == "Superset"
    assert {"SortedDiff/tree", "LogitDrop"} <= {attack.name for attack in result.attacks}
    assert result.attack("Superset").balanced_accuracy is not None
    assert any("Left out" in note and "Rank/LogitDrop" in note for note in result.notes)
    assert result.widening.command == "aftertrace run wine.toml"
    assert result.widening.models == 6 * 9
    assert result.counts.models == own.models == 6 * 9


def test_the_shadow_models_are_those_of_the_run(experiment, tmp_path, monkeypatch):
    """So that widening by a run trains them no second time."""
    own = side(experiment, tmp_path, monkeypatch)
    finished = []
    run = at.run(experiment, progress=lambda stage, done, total: finished.append((stage, done)))
    first = next(done for stage, done in finished if stage == "models")
    assert first == own.models
    assert run.folder.parent.name == "runs"


def test_classes_are_matched_by_name(experiment, tmp_path, monkeypatch):
    own = side(experiment, tmp_path, monkeypatch)
    turned = own.in_order(own.table.classes[::-1])
    assert np.array_equal(turned.table.log_values, own.table.log_values[:, :, ::-1])
    names = [np.array(each.classes)[each.label] for each in (own.table, turned.table)]
    assert np.array_equal(*names)
    with pytest.raises(PosteriorsError, match="must have the classes of the models, cat, dog"):
        own.in_order(("cat", "dog"))


def test_what_a_shadow_side_does_not_teach(experiment, tmp_path, monkeypatch):
    own = side(experiment, tmp_path, monkeypatch)
    table = replace(pair(2, 0), classes=own.table.classes)
    three = replace(table, log_values=table.log_values[:, [0, 1, 1]], member=table.member[:, [0, 1, 1]])
    with pytest.raises(UnsupportedError, match="got 3 versions: leave it out"):
        audit_posteriors(Brought(table=three), shadow=own)
    scenario = replace(experiment.scenario, adversary="per_record")
    with pytest.raises(ExperimentError, match="the shadow side of an audit is of a population"):
        shadow_plan(replace(experiment, scenario=scenario), source="x.toml")


LIMITS, CLAIM = {"auc": 0.6, "per_record": 0.1}, Claim(epsilon=1.0, delta=1e-5)


@pytest.mark.parametrize(
    "own",
    [{}, {"limits": Limits(auc=0.8)}, {"limits": Limits(per_record=0.3)}, {"claim": Claim(epsilon=2.0)}],
    ids=["none", "auc", "per_record", "claim"],
)
@pytest.mark.parametrize(
    "settings",
    [
        AuditSettings(limits=Limits(**LIMITS)),
        AuditSettings(claim=CLAIM, limits=Limits(per_record=0.1), confidence=0.99),
        AuditSettings(limits=Limits(tpr_at_1pct=0.1)),
        AuditSettings(),
    ],
    ids=["limits", "claim", "no auc", "none"],
)
def test_the_next_command_has_the_limits_of_the_audit(experiment, own, settings, tmp_path, monkeypatch):
    """Those of the shadow side's file are told and passed over, in the audit and by the command that it prints."""
    verdict = replace(experiment.verdict, claim=own.get("claim"))
    with_limits = replace(experiment, limits=own.get("limits", Limits()), verdict=verdict)
    found = side(with_limits, tmp_path, monkeypatch)
    assert found.experiment == experiment
    table = replace(pair(2, 0), classes=found.table.classes)
    result, _ = audit_posteriors(Brought(table=table), settings, shadow=found)
    judged = settings.judgement("LogitDrop").limits.given()
    assert {check.name: check.limit for check in result.verdict.checks} == judged
    notes = [note for note in result.notes if note.startswith("Passed over in wine.toml")]
    assert len(notes) == bool(own)
    if own:
        assert {"auc": "limits.auc = 0.8", "per_record": "limits.per_record = 0.3"}.get(
            next(iter(with_limits.limits.given()), ""), "verdict.claim of epsilon 2"
        ) in notes[0]
    Path("wine.toml").write_text(to_toml(with_limits.as_dict()))
    again = ran(shlex.split(result.widening.command), monkeypatch)
    assert (again.limits, again.verdict.claim) == (settings.limits, settings.claim)
    assert again.verdict.confidence == settings.confidence


def ran(words, monkeypatch):
    """The experiment that a command runs."""
    seen = []

    def stop(experiment, **_):
        seen.append(experiment)
        raise InputError("stopped")

    monkeypatch.setattr("aftertrace._api.run_experiment", stop)
    done = CliRunner().invoke(app, words[1:])
    assert "stopped" in done.stderr
    return seen[0]


# what does not go together


ARRAYS = {"label": [0, 1] * 20, "role": ["deleted", "unseen"] * 20}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"before": "v1.csv", "after": [[0.5, 0.5]]}, "All versions must be of one kind"),
        ({"before": [[0.5, 0.5]] * 40, "after": [[0.5, 0.5]] * 39, **ARRAYS}, "must be .Q, K. for the same queries"),
        ({"before": [[0.5, 0.5]] * 40, "after": [[0.5, 0.5]] * 40}, "need `label` .Q. and `role` .Q."),
        ({"before": [[0.5, 0.5]] * 40, "after": [[0.5, 0.5]] * 40, **ARRAYS, "deleted": "d.csv"}, "`deleted` is for"),
        ({"before": [[0.5, 0.5]] * 40, "after": [[0.5, 0.5]] * 40, **ARRAYS, "outputs": "odds"}, "must be one of auto"),
        ({"before": "a.skops", "after": "b.skops"}, "Models are asked about records: give `deleted` and `unseen`"),
        (
            {"before": "a.skops", "after": "b.skops", "role": "r.csv"},
            "`role` is for files of posteriors, arrays; models are asked",
        ),
        ({"before": "a.skops", "after": "b.skops", "deleted": 3, "unseen": 4}, "must be a pair .x, y."),
        ({"before": "a.skops", "deleted": 3, "unseen": 4}, "There must be at least two versions"),
        ({"before": "v1.csv", "after": "v2.csv", "label": [1]}, "`label` is for arrays; files of posteriors hold"),
    ],
)
def test_arguments_that_do_not_go_together(arguments, message):
    with pytest.raises(InputError, match=message):
        at.audit(**arguments)


def test_a_table_from_anywhere():
    table = pair(2, 0)
    assert at.audit(table).result.attack("LogitDrop") == audit_posteriors(Brought(table=table))[0].attack("LogitDrop")


# what differs where records are not comparable


def test_what_differs_most_is_named():
    table = pair(1, 0)
    rng = np.random.default_rng(0)
    age = rng.normal(size=len(table)) + 2 * (table.role == Role.DELETED)
    features = Features(np.column_stack([rng.normal(size=len(table)), age]), ("height", "age"))
    result, _ = audit_posteriors(Brought(table=table, features=features))
    assert result.verdict.outcome is Outcome.INVALID
    assert "what differs most: age (higher where deleted, AUC 0.9" in result.verdict.sentence
    assert "`match=True`" in result.verdict.sentence
    kept, _ = audit_posteriors(Brought(table=table, features=features), AuditSettings(match=True))
    assert kept.verdict.outcome is not Outcome.INVALID
    assert "differs" not in kept.verdict.sentence


def test_what_few_records_share_is_not_named():
    table = pair(1, 0)
    deleted = table.role == Role.DELETED
    rng = np.random.default_rng(0)
    age = rng.normal(size=len(table)) + deleted
    few = np.arange(len(table)) < 10
    features = Features(np.column_stack([deleted & few, age]).astype(float), ("town = Ulm", "age"))
    result, _ = audit_posteriors(Brought(table=table, features=features))
    assert "age" in result.verdict.sentence
    assert "Ulm" not in result.to_json()


def test_functions_made_alike_are_different_models():
    table = pair(2, 0)
    x = np.arange(len(table), dtype=float)[:, None]

    def model(version):
        return lambda rows: table.values[rows[:, 0].astype(int), version]

    deleted = table.role == Role.DELETED
    records = {"deleted": (x[deleted], table.label[deleted]), "unseen": (x[~deleted], table.label[~deleted])}
    found = at.audit(model(0), model(1), **records)
    assert found.result.attack("LogitDrop").auc.estimate == pytest.approx(auc(*logit_drop_by_role(table)))
    with pytest.raises(InputError, match="are the same"):
        at.audit(model(0), model(0), **records)


def logit_drop_by_role(table):
    drop, deleted = logit_drop(table), table.role == Role.DELETED
    return drop[deleted], drop[~deleted]
