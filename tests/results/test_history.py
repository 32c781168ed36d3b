"""Releases one after the other: what changed, what may have gone wrong, what is left, and how it is shown."""

import csv
import io
import itertools
import math
import re
from dataclasses import replace

import numpy as np
import pytest

from aftertrace.errors import InputError, StoreError
from aftertrace.report._history import history_text, render_history
from aftertrace.results import (
    AttackResult,
    Counts,
    DataSummary,
    LimitCheck,
    Limits,
    Outcome,
    Result,
    Verdict,
)
from aftertrace.results._history import MOVER, History
from aftertrace.statistics import Interval, auc_interval

PRINTS = itertools.count()
EVIL = "<script>alert(1)</script>[red]&"


def interval(estimate, half=0.05, confidence=0.95):
    ends = (None, None) if half is None else (estimate - half, estimate + half)
    return Interval(estimate, *ends, confidence, 12, "jackknife over originals", "" if half else "too few")


def result(
    auc=0.55,
    *,
    half=0.05,
    seed=None,
    limits=None,
    confidence=0.95,
    attack="LogitDrop",
    outcome=Outcome.WITHIN,
    answers=None,
    model="tree",
):
    """An audit; with a `seed` it is of a simulation. `answers`: the fingerprint, by default one of its own."""
    found = interval(auc, half, confidence)
    checks = [LimitCheck.of(name, limit, found) for name, limit in ({"auc": 0.6} if limits is None else limits).items()]
    return Result(
        title="t",
        verdict=Verdict(outcome=outcome, sentence=f"{EVIL} {auc}.", attack=attack, limit=0.6, checks=tuple(checks)),
        attacks=(
            AttackResult(
                name=attack,
                feature=None,
                classifier=None,
                classical=False,
                auc=found,
                balanced_accuracy=None,
                threshold=None,
                rates=(),
                degradation=None,
                against=None,
            ),
        ),
        controls=(),
        counts=Counts(originals=12, pairs=40, deleted=40, unseen=40, held_out=0, retained=0, models=0, unconverged=0),
        overfitting=None,
        data=DataSummary(
            name="posteriors", records=80, features=None, classes=("a", "b"), fingerprint=answers or str(next(PRINTS))
        ),
        settings={"seed": 0} if seed is None else {"seed": seed, "scenario": {}, "model": model},
        threat_model=(),
        not_tested=(),
        notes=(),
    )


def history(*results, budget=None):
    return History.of([(f"v{number}", each) for number, each in enumerate(results, 1)], budget=budget)


# The error budget


def test_errors_add_up():
    """A wrong pass needs one end of one interval; a false alarm, an end of any, and both of an AUC."""
    two = {"auc": 0.6, "accuracy_loss": 0.9}
    found = history(result(), result(limits=two), result(confidence=0.99), result(limits={}))
    assert [each.false_pass for each in found.releases] == pytest.approx([0.025, 0.025, 0.005, 0])
    assert [each.false_alarm for each in found.releases] == pytest.approx([0.05, 0.075, 0.01, 0])
    assert found.false_passes == pytest.approx(0.055)
    assert found.false_alarms == pytest.approx(0.135)
    assert found.left is None
    assert found.confidence_for(4) is None


def test_what_is_left_is_spent_to_the_end_and_no_further():
    found = history(result(), result(outcome=Outcome.INCONCLUSIVE), budget=0.1)
    assert found.left == pytest.approx(0.05)
    for audits in (1, 4, 12):
        more = [result(confidence=found.confidence_for(audits))] * audits
        spent = history(result(), result(), *more, budget=0.1)
        assert spent.left == 0
    for _ in range(8):  # nobody knows how many
        found = History.of(
            [*((each.name, result(confidence=1 - 2 * each.false_pass)) for each in found.releases),
             ("next" * len(found.releases), result(confidence=found.confidence_for(None)))],
            budget=0.1,
        )  # fmt: skip
        assert found.left > 0
    assert found.left == pytest.approx(0.05 / 2**8)


def test_nothing_is_left():
    found = history(*[result()] * 5, budget=0.1)
    assert found.left == pytest.approx(-0.025)
    assert found.confidence_for(1) is None
    assert found.confidence_for(None) is None
    assert "Of the error budget of 10 %, nothing is left." in flat(history_text(found))


def test_a_budget_that_is_just_spent_is_not_overspent():
    """Four times (1 - .95) / 2 is a little more than .1 to a computer."""
    for confidence, audits, budget in ((0.95, 4, 0.1), (0.9, 3, 0.15), (0.95, 2, 0.05)):
        found = history(*[result(confidence=confidence)] * audits, budget=budget)
        assert math.copysign(1, found.left) == 1
        assert found.left == 0
        assert found.confidence_for(1) is None
        assert "nothing is left." in flat(history_text(found))
        assert history(*[result(confidence=confidence)] * audits, budget=budget - 1e-6).left < 0
        assert history(*[result(confidence=confidence)] * audits, budget=budget + 1e-6).left > 0


def test_a_wide_budget_asks_for_no_confidence():
    assert history(result(), budget=0.9).confidence_for(1) == 0


def test_the_chance_of_a_wrong_pass_is_no_more_than_that():
    """Audits of a true AUC at the limit itself, where a wrong pass is likeliest."""
    rng, limits, wrong, repetitions = np.random.default_rng(0), Limits(auc=0.6), 0, 400
    is_deleted, original = np.tile([True, False], 120), np.repeat(np.arange(12), 20)
    for _ in range(repetitions):
        passes = 0
        for _ in range(4):
            score = rng.normal(size=240) + is_deleted * 0.3583  # Phi(.3583 / sqrt(2)) = .6
            check = LimitCheck.of("auc", limits.auc, auc_interval(score, is_deleted, original))
            passes += check.standing == "within"
        wrong += passes > 0
    bound = 4 * 0.025
    assert wrong / repetitions < bound + 2 * math.sqrt(bound * (1 - bound) / repetitions)


# The trend


def test_changes_are_against_the_first_and_the_previous():
    found = history(result(0.5, seed=1), result(0.52, seed=2), result(0.6, seed=3))
    assert [each.since for each in found.changes] == ["v1", "v2"]
    first = found.changes[0].difference
    assert first.estimate == pytest.approx(0.1)
    assert first.method == MOVER
    assert (first.low, first.high) == pytest.approx((0.1 - 0.05 * math.sqrt(2), 0.1 + 0.05 * math.sqrt(2)))
    assert [each.since for each in history(result(), result()).changes] == ["v1"]
    assert history(result()).changes == ()


@pytest.mark.parametrize(
    ("first", "last", "reason"),
    [
        (result(), result(), "may share records or models"),
        (result(seed=1), result(), "may share records or models"),
        (result(seed=1), result(seed=1), "the same seed"),
        (result(seed=1), result(seed=2, attack="EucDist"), "the attacks are not the same (LogitDrop, EucDist)"),
        (result(seed=1), result(seed=2, half=None), "not both have one"),
        (result(seed=1), result(seed=2, confidence=0.99), "not of the same confidence"),
    ],
)
def test_no_interval_where_chance_cannot_be_told(first, last, reason):
    (change,) = history(first, last).changes
    assert change.difference.low is None
    assert change.difference.note.startswith("no interval: ")
    assert reason in change.difference.note


def test_the_difference_of_independent_audits_covers():
    """Two simulations of other seeds: the interval of their difference holds the true one, 0."""
    rng, held, repetitions = np.random.default_rng(1), 0, 400
    is_deleted, original = np.tile([True, False], 60), np.repeat(np.arange(12), 10)
    for _ in range(repetitions):
        audits = []
        for seed in (1, 2):
            shift = np.repeat(0.8 + 0.3 * rng.normal(size=12), 10)
            found = auc_interval(rng.normal(size=120) + is_deleted * shift, is_deleted, original)
            own = result(seed=seed)
            audits.append(replace(own, attacks=(replace(own.attacks[0], auc=found),)))
        difference = history(*audits).changes[0].difference
        held += difference.low <= 0 <= difference.high
    assert 0.92 < held / repetitions < 0.985


# What a row does not show


def loosened(*limits):
    return [(each.release, each.since, each.name, each.before, each.after)
            for each in history(*(result(limits=own) for own in limits)).loosened]  # fmt: skip


def test_wider_limits_are_told():
    assert loosened({"auc": 0.6}, {"auc": 0.6}, {"auc": 0.55}) == []
    assert loosened({"auc": 0.6}, {"auc": 0.7}, {"auc": 0.7}) == [("v2", "v1", "auc", 0.6, 0.7)]
    assert loosened({"auc": 0.7}, {"auc": 0.6}, {"auc": 0.65}) == [("v3", "v2", "auc", 0.6, 0.65)]
    assert loosened({}, {"auc": 0.7}) == []
    two = {"auc": 0.6, "accuracy_loss": 0.01}
    gone = loosened(two, {"auc": 0.6}, {"auc": 0.6}, {"auc": 0.6, "accuracy_loss": 0.02})
    assert gone == [("v2", "v1", "accuracy_loss", 0.01, None), ("v4", "v1", "accuracy_loss", 0.01, 0.02)]
    text = flat(history_text(history(result(limits=two), result(limits={"auc": 0.7}))))
    assert "Loosened in v2: AUC, from 0.6 (v1) to 0.7." in text
    assert "Loosened in v2: Accuracy lost by the update, from 1 % (v1) to no limit." in text
    assert "Loosened" not in history_text(history(result(), result()))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"answers": "x"}, {"answers": "x", "limits": {}, "attack": "EucDist", "auc": 0.7}, True),
        ({"answers": "x"}, {"answers": "y"}, False),
        ({"answers": "x"}, {"answers": "x", "seed": 1}, False),
        ({"answers": "x", "seed": 1}, {"answers": "x", "seed": 1, "limits": {}}, True),
        ({"answers": "x", "seed": 1}, {"answers": "x", "seed": 1, "attack": "EucDist"}, False),  # nothing to compare
        ({"answers": "x", "seed": 1}, {"answers": "x", "seed": 2}, False),
        ({"answers": "x", "seed": 1}, {"answers": "x", "seed": 1, "model": "forest"}, False),
        ({"answers": "x", "seed": 1}, {"answers": "x", "seed": 1, "auc": 0.56}, False),  # other code of the same name
    ],
)
def test_the_same_answers_judged_again_are_no_new_release(one, other, same):
    found = history(result(**one), result(), result(**other))
    assert [(each.release, each.since) for each in found.again] == ([("v3", "v1")] if same else [])
    for shown in (flat(history_text(found)), flat(render_history(found))):
        assert ("v3 judges the same answers as v1, so it is of no new release." in shown) is same
        assert ("The error budget counts audits of the same answers too" in shown) is same


# Bad input


def test_what_is_no_history():
    with pytest.raises(InputError, match="at least one audit, got none"):
        History.of([])
    with pytest.raises(InputError, match="'a' comes 2 times"):
        History.of([("a", result()), ("a", result())])
    for budget in (0, 1, -0.1, math.nan):
        with pytest.raises(InputError, match="between 0 and 1, such as 0.1"):
            History.of([("a", result())], budget=budget)


def test_folders_are_named_by_what_tells_them_apart(tmp_path, monkeypatch):
    for name in ("a/audit", "b/audit", "c/other"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "result.json").write_text(result().to_json())
    folders = [tmp_path / name for name in ("b/audit", "a/audit", "c/other")]
    assert [each.name for each in History.of_folders(folders).releases] == ["b/audit", "a/audit", "c/other"]
    assert [each.name for each in History.of_folders(folders[1:]).releases] == ["audit", "other"]
    monkeypatch.chdir(folders[0])
    assert [each.name for each in History.of_folders([folders[0].relative_to(folders[0])]).releases] == ["audit"]
    with pytest.raises(InputError, match="'audit' comes 2 times"):
        History.of_folders([folders[0], folders[0]])
    with pytest.raises(InputError, match="got none"):
        History.of_folders([])


def test_folders_that_hold_no_audit(tmp_path):
    with pytest.raises(StoreError, match=r"no readable result\.json"):
        History.of_folders([tmp_path])
    (tmp_path / "result.json").write_text("{}")
    with pytest.raises(StoreError, match=r"result\.json: damaged .* Give the command that made it again"):
        History.of_folders([tmp_path])


# How it is shown


def flat(text):
    return " ".join(text.split())


@pytest.fixture(scope="module")
def releases():
    return history(
        result(0.5, seed=1),
        result(0.56, seed=2, outcome=Outcome.INCONCLUSIVE),
        result(0.8, seed=3, outcome=Outcome.LEAKS),
        result(0.7, half=None, limits={"auc": 0.75, "accuracy_loss": 0.01}, outcome=Outcome.INVALID),
        budget=0.2,
    )


def test_text_has_a_row_per_release(releases):
    text = history_text(releases, width=100, colour=False)
    assert max(map(len, text.splitlines())) <= 100
    rows = [line.split() for line in text.splitlines() if re.match(r"v\d", line)]
    assert [row[0] for row in rows] == ["v1", "v2", "v3", "v4"]
    assert rows[0][-6:] == ["0.45", "to", "0.55", "0.6", "2.5", "%"]
    assert rows[3][-5:] == ["0.70", "none", "0.75", "10", "%"]
    assert "4 releases were audited. The last, v4: <script>alert(1)</script>[red]& 0.7." in flat(text)
    assert "AUC from v3 to v4: -0.10; no interval: both may share records or models" in flat(text)
    assert "exceeds a limit, is at most 10 %; that at least one alarm was false, at most 22.5 %." in flat(text)
    assert "Of the error budget of 20 %, 10 % is left." in flat(text)
    assert "80 % for 1 more; 95 % for 4 more; 98.34 % for 12 more; 90 % for the next, with no end known." in flat(text)


def test_text_of_changes_says_what_they_show():
    small, large = history(result(0.5, seed=1), result(0.52, seed=2)), history(result(0.5, seed=1), result(0.7, seed=2))
    assert "interval -0.05 to +0.09, which holds 0: no change is shown." in flat(history_text(small))
    assert "interval +0.13 to +0.27, which does not hold 0." in flat(history_text(large))


def test_the_ceiling_of_a_claim_is_rounded():
    assert " 0.8808 " in history_text(history(result(limits={"auc": 0.8807970779778823})), colour=False, width=100)


def test_text_of_audits_without_limits():
    text = flat(history_text(history(result(limits={}), budget=0.1)))
    assert "1 release was audited." in text
    assert "No audit had a limit" in text


def test_the_page_is_one_small_file_that_asks_for_nothing(releases):
    page = render_history(releases)
    assert len(page.encode()) < 500_000
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert not re.search(r"""(src|href)=["'](?!#|data:)""", page)
    assert len(re.findall(r"<svg", page)) == 2
    body = re.search(r"<tbody>(.*?)</tbody>", page, flags=re.DOTALL)[1]
    lines = body.replace("\u00a0", " ").split("</tr>")[:-1]
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, flags=re.DOTALL) for row in lines]
    assert rows[0] == ["v1", rows[0][1], "0.50 (0.45 to 0.55)", "within (limit 0.6)", "–", "2.5 %", "5 %"]
    assert rows[3][2:] == ["0.70 (no interval)", "undecided (limit 0.75)", "undecided (limit 1 %)", "10 %", "22.5 %"]
    assert "Error budget spent" in page
    assert "rong pass" not in page


def test_the_table_of_figures(releases):
    rows = list(csv.DictReader(io.StringIO(releases.to_csv())))
    assert [row["release"] for row in rows] == ["v1", "v2", "v3", "v4"]
    assert [row["auc_standing"] for row in rows] == ["within", "undecided", "exceeded", "undecided"]
    assert rows[0]["accuracy_loss_limit"] == ""
    assert (rows[3]["low"], rows[3]["accuracy_loss_limit"]) == ("", "0.01")
    assert float(rows[0]["false_pass"]) == pytest.approx(0.025)
