"""The assessment: verdicts from ends of intervals, planted leaks found, null cases silent, controls that can fail."""

from dataclasses import replace

import numpy as np
import pytest

import aftertrace as at
from aftertrace._random import Stream, rng_for
from aftertrace.attacks import (
    EucDist,
    Feature,
    FeatureAttack,
    LogitDrop,
    OriginalLogit,
    Superset,
    logit_drop,
    simulated_posteriors,
)
from aftertrace.engine import InProcess
from aftertrace.errors import InputError, PosteriorsError, StoreError, UnsupportedError
from aftertrace.posteriors import Posteriors, Role
from aftertrace.results import Limits, Outcome
from aftertrace.scenarios import AuditSettings, Brought, Judgement, assess, audit_posteriors, judge
from aftertrace.scenarios._controls import controls
from aftertrace.scenarios._crossfit import CrossFitted
from aftertrace.statistics import auc_interval, exchanged_roles

PLAIN = (LogitDrop(), EucDist(), OriginalLogit())


def leak_of(auc):
    """The shift, in units of noise, that gives the logit drop this AUC.

    Drops of deleted and unseen queries have noise of one size, so AUC = Phi(leak * sqrt(2) / (sqrt(2) * s)) with
    s the spread of the drop over the noise of one logit; measured once below.
    """
    from scipy.stats import norm

    return norm.ppf(auc) * LEAK_UNIT


LEAK_UNIT = 1.24


def judged(leak, *, seed=0, limit=None, originals=10, pairs=20, attacks=PLAIN, shadow=True):
    target = simulated_posteriors(leak=leak, seed=2 * seed, originals=originals, pairs=pairs, K=3)
    other = (
        simulated_posteriors(leak=leak, seed=2 * seed + 1, originals=originals, pairs=pairs, K=3) if shadow else None
    )
    judgement = Judgement(attack="LogitDrop", limits=Limits(auc=limit), confidence=0.95, seed=seed)
    return assess(other, target, attacks, judgement, engine=InProcess(), progress=lambda *_: None)


def judged_alone(leak, *, seed):
    """By the verdict's attack and nothing beside it, where many audits are counted."""
    return judged(leak, seed=seed, attacks=[LogitDrop()], shadow=False)


def auc_of(assessment, name="LogitDrop"):
    return next(attack.auc for attack in assessment.attacks if attack.name == name)


def test_the_planted_leak_has_the_size_it_should():
    large = judged(leak_of(0.65), originals=100, pairs=60)
    assert auc_of(large).estimate == pytest.approx(0.65, abs=0.02)


def test_a_planted_leak_is_found_and_a_null_is_not():
    found = sum(auc_of(judged_alone(leak_of(0.65), seed=seed)).low > 0.5 for seed in range(60))
    alarms = sum(not auc_of(a).low <= 0.5 <= auc_of(a).high for a in (judged_alone(0, seed=s) for s in range(200)))
    assert found >= 54
    assert alarms <= 18


def test_null_controls_stay_silent_even_beside_a_strong_leak():
    failed = sum(
        any(control.passed is False for control in judged_alone(4, seed=seed).controls if control.name != "planted")
        for seed in range(200)
    )
    assert failed <= 4


def test_a_broken_instrument_fails_the_control():
    """Scores that say how a query was drawn, not what it is, leave exchangeable roles distinguishable."""
    target = simulated_posteriors(leak=0, seed=0, originals=12, pairs=30)
    judgement = Judgement(attack="LogitDrop", confidence=0.95, seed=0)
    rng = rng_for(0, Stream.CONTROL, "permuted")
    rows, called = exchanged_roles(target.role == 0, target.pair, rng=rng)
    score = np.random.default_rng(0).normal(size=len(target))
    score[rows] += called
    unseen, permuted, blind, planted = controls(score, target, judgement)
    assert permuted.passed is False
    assert unseen.passed is not None  # over pairs of the original, as each has a single unseen query
    assert planted.passed
    assert blind.passed
    found = judged(0).attacks[0]
    assert judge(found, [found], [permuted], judgement).outcome is Outcome.INVALID


@pytest.mark.parametrize(
    ("auc", "limit", "outcome"),
    [
        (0.5, None, Outcome.NOT_SHOWN),
        (0.8, None, Outcome.LEAKS),
        (0.8, 0.6, Outcome.LEAKS),
        (0.8, 0.95, Outcome.WITHIN),
        (0.8, 0.8, Outcome.INCONCLUSIVE),
        (0.2, None, Outcome.LEAKS),
        (0.2, 0.6, Outcome.LEAKS),
        (0.2, 0.95, Outcome.WITHIN),
    ],
)
def test_verdicts_come_from_ends_of_intervals(auc, limit, outcome):
    verdict = judged(leak_of(auc), seed=1, limit=limit, originals=20).verdict
    assert verdict.outcome is outcome
    assert verdict.sentence.endswith(".")
    assert "nan" not in verdict.sentence


def test_trained_attacks_are_compared_with_their_classical_twin():
    attacks = (*PLAIN, FeatureAttack(Feature.CLASSICAL, "tree"), FeatureAttack(Feature.SORTED_DIFF, "tree"))
    found = judged(3, attacks=attacks)
    trained = found.attacks[-1]
    assert trained.against.opponent == "Classical/tree"
    assert trained.against.p_holm < 0.05
    assert trained.degradation.wins > trained.degradation.losses
    assert trained.balanced_accuracy > 0.6


def test_an_audit_of_few_deletions_has_few_planted_ones():
    """However many unseen records there are: what two deletions show, no audit of two can find."""
    table = simulated_posteriors(leak=0, seed=1, originals=1, pairs=400)
    table = replace(table, pair=np.zeros(len(table), dtype=np.int64))
    few = np.isin(np.arange(len(table)), np.flatnonzero(table.is_attacked)[2:], invert=True)
    for rows, found in ((few, False), (np.ones(len(table), dtype=bool), True)):
        judgement, own = Judgement(attack="LogitDrop", confidence=0.95, seed=0), table.select(np.flatnonzero(rows))
        verdict = assess(None, own, [LogitDrop()], judgement, engine=InProcess(), progress=lambda *_: None)
        planted = next(control for control in verdict.controls if control.name == "planted")
        assert planted.auc.n == min(200, (table.is_attacked & rows).sum()) + 200
        assert planted.passed == found
        assert verdict.verdict.outcome is (Outcome.NOT_SHOWN if found else Outcome.INCONCLUSIVE)


def test_nothing_is_shown_by_a_single_unseen_record():
    """No leak can be planted there, and all are told apart."""
    table = simulated_posteriors(leak=30, seed=1, originals=1, pairs=20)
    table = replace(table, pair=np.zeros(len(table), dtype=np.int64))
    one = table.select(np.append(np.flatnonzero(table.is_attacked), np.flatnonzero(~table.is_attacked)[0]))
    judgement = Judgement(attack="LogitDrop", confidence=0.95, seed=0)
    found = assess(None, one, [LogitDrop()], judgement, engine=InProcess(), progress=lambda *_: None)
    assert found.attacks[0].auc.estimate == 1
    assert found.verdict.outcome is Outcome.INCONCLUSIVE
    assert "no planted leak of AUC 0.65 can be found among so few records" in found.verdict.sentence


def test_a_planted_leak_that_is_not_found_makes_no_leak_shown_inconclusive():
    tiny = [judged(0, seed=seed, originals=6, pairs=4, shadow=False) for seed in range(20)]
    for found in tiny:
        planted = next(control for control in found.controls if control.name == "planted")
        shown = found.verdict.outcome is Outcome.LEAKS
        assert shown or (found.verdict.outcome is Outcome.NOT_SHOWN) == planted.passed
    assert sum(found.verdict.outcome is Outcome.INCONCLUSIVE for found in tiny) > 5


def test_retained_records_are_a_control_where_they_are_queried():
    """The unseen queries of every second original are called retained: their scores are exchangeable too."""
    target = simulated_posteriors(leak=3, seed=0, originals=24, pairs=30)
    stays = (target.role == Role.UNSEEN) & (target.pair % 2 == 1)
    table = replace(target, member=target.member | stays[:, None])
    judgement = Judgement(attack="LogitDrop", confidence=0.95, seed=0)
    found = {each.name: each for each in controls(logit_drop(table), table, judgement)}
    assert found["retained/retained"].passed
    assert found["retained/retained"].auc.n == 24


def test_few_originals_say_what_is_missing():
    few = judged(4, originals=3)
    assert few.verdict.outcome is Outcome.INCONCLUSIVE
    assert "6" in few.verdict.sentence
    assert all(control.passed is None for control in few.controls if control.name != "blind")


def test_records_that_differ_by_themselves_make_the_audit_invalid():
    """Unseen records of another class mix: the logit drop differs by class, and nothing leaks."""
    target = simulated_posteriors(leak=0, seed=0, originals=10, pairs=40, K=3)
    kept = (target.role == Role.DELETED) | (target.label == 0) | (np.arange(len(target)) % 3 == 0)
    judgement = Judgement(attack="LogitDrop", confidence=0.95, seed=0)
    found = assess(None, target.select(kept), PLAIN, judgement, engine=InProcess(), progress=lambda *_: None)
    assert found.verdict.outcome is Outcome.INVALID
    assert "differ by themselves" in found.verdict.sentence


def test_rates_are_refused_below_the_sample_they_need():
    small = judged(3, originals=6, pairs=40, shadow=False)
    ten, one = small.attacks[0].rates
    assert not ten.refused
    assert "1000 evaluated unseen queries are needed" in one.refused


def test_arrays_without_shadow_models():
    table = simulated_posteriors(leak=3, seed=1, originals=1, pairs=300)
    role = np.where(table.role == 0, "deleted", "unseen")
    audit = at.audit(table.values[:, 0], table.values[:, 1], label=table.label, role=role.tolist(), limits={"auc": 0.6})
    assert audit.outcome is Outcome.LEAKS
    assert "one pair" in str(audit).lower()
    ten, _ = audit.result.attack("LogitDrop").rates
    assert ten.n_calibration == 150
    assert ten.n_negative == 150


def test_the_key_of_the_pseudonyms_changes_no_figure(tmp_path):
    table = simulated_posteriors(leak=2, seed=0, originals=1, pairs=150)
    for version in (0, 1):
        rows = [
            f"{k},{table.label[k]},{'deleted' if table.role[k] == 0 else 'unseen'},{','.join(map(repr, row.tolist()))}"
            for k, row in enumerate(table.values[:, version])
        ]
        (tmp_path / f"v{version}.csv").write_text("\n".join(["record,label,role,0,1,2", *rows]))
    first, second = (at.audit(tmp_path / "v0.csv", tmp_path / "v1.csv") for _ in range(2))
    assert first.key != second.key
    assert first.result.to_json() == second.result.to_json()


def test_another_audit_does_not_replace_what_a_folder_holds(tmp_path):
    tables = [simulated_posteriors(leak=2, seed=seed, originals=1, pairs=40) for seed in (0, 1)]

    def audit(table, **more):
        role = np.where(table.role == 0, "deleted", "unseen").tolist()
        return at.audit(
            table.values[:, 0], table.values[:, 1], label=table.label, role=role, out=tmp_path / "a", **more
        )

    first = audit(tables[0])
    assert audit(tables[0]).key == first.key
    with pytest.raises(StoreError, match="another audit .*`force=True`"):
        audit(tables[1])
    assert audit(tables[1], force=True).folder == first.folder
    (tmp_path / "a" / "pseudonyms.key").write_text("no key")
    with pytest.raises(StoreError, match="must hold the key of the pseudonyms"):
        audit(tables[1])


@pytest.mark.parametrize("limit", [0.5, 0.2, 1.0])
def test_limits_are_checked(limit):
    with pytest.raises(InputError, match="must be an AUC above 0.5 and below 1"):
        at.audit([[0.5, 0.5]] * 2, [[0.5, 0.5]] * 2, label=[0, 1], role=["deleted", "unseen"], limits={"auc": limit})


def test_attacks_need_different_names():
    table = simulated_posteriors(leak=2, seed=0, originals=1, pairs=40)
    other = CrossFitted(Superset(), "LogitDrop")
    with pytest.raises(UnsupportedError, match="'LogitDrop' comes twice"):
        audit_posteriors(Brought(table=table), attacks=[other])
    again, _ = audit_posteriors(Brought(table=table), attacks=[LogitDrop()])
    assert [attack.name for attack in again.attacks].count("LogitDrop") == 1


def test_both_roles_are_needed():
    with pytest.raises(PosteriorsError, match="got 2 deleted and 0 unseen"):
        at.audit([[0.5, 0.5]] * 2, [[0.6, 0.4]] * 2, label=[0, 1], role=["deleted"] * 2)


def shared_records(seed, *, originals=8, records=15, effect=1.0):
    """Leak-free: the same deleted and unseen records at every original, each with an effect of its own on the drop."""
    rng = np.random.default_rng(seed)
    own = np.tile(effect * rng.normal(size=2 * records), originals)
    first = rng.normal(size=own.size)
    last = first - own - rng.normal(size=own.size)
    p = [np.stack([1 / (1 + np.exp(-each)), 1 / (1 + np.exp(each))], axis=1) for each in (first, last)]
    is_deleted = np.tile(np.arange(2 * records) < records, originals)
    return Posteriors.from_pair(
        *p,
        label=np.zeros(own.size, dtype=int),
        role=np.where(is_deleted, Role.DELETED, Role.UNSEEN),
        record=np.tile(np.arange(2 * records), originals),
        original=np.repeat(np.arange(originals), 2 * records),
        pair=np.repeat(np.arange(originals), 2 * records),
    )


def test_records_that_all_originals_share_widen_the_interval():
    """An unseen set brought once for several pairs: over originals alone, half of leak-free audits look significant."""

    def crossed(table, seed):
        judgement = Judgement(attack="LogitDrop", confidence=0.95, seed=seed, crossed=True)
        return auc_of(assess(None, table, [LogitDrop()], judgement, engine=InProcess(), progress=lambda *_: None))

    alarms = naive = 0
    for seed in range(40):
        table = shared_records(seed)
        found = crossed(table, seed)
        alarms += not found.low <= 0.5 <= found.high
        plain = auc_interval(logit_drop(table), table.role == Role.DELETED, table.original)
        naive += not plain.low <= 0.5 <= plain.high
    assert alarms <= 5  # binomial(40, .05): above in one of a hundred
    assert naive >= 12
    result, _ = audit_posteriors(Brought(table=table), AuditSettings(seed=seed))
    assert result.attack("LogitDrop").auc.method == "originals x records"
    assert result.attack("LogitDrop").auc.low == pytest.approx(found.low)
    assert "over originals and records" in result.notes[0]


def test_records_in_both_roles_leave_the_originals_as_the_unit():
    table = shared_records(1)
    swapped = np.where(table.original % 2 == 0, table.record, 29 - table.record)
    result, _ = audit_posteriors(Brought(table=replace(table, record=swapped)))
    assert result.attack("LogitDrop").auc.method == "jackknife over originals"
    assert "take the records as given" in result.notes[0]
