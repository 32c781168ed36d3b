"""Intervals: formulas against slow twins, conventions, and simulated coverage."""

import numpy as np
import pytest
from scipy.special import expit, logit, ndtr, ndtri
from scipy.stats import binom, binomtest, norm, t

from aftertrace.statistics import (
    Interval,
    auc,
    auc_interval,
    auc_interval_one_pair,
    clopper_pearson,
    rate_interval,
)


def simulated(rng, *, m, pairs=20, target, spread=0.5, shift=0.3):
    """One audit: originals differ in their leak (`spread`) and in the level of all their scores (`shift`).

    The expected pooled AUC in closed form: 1 / m of the comparisons are inside an original, where the level cancels.
    """
    leak = ndtri(target) * np.sqrt(2 + spread**2 + 2 * shift**2)
    level = shift * rng.standard_normal((m, 1))
    deleted = leak + spread * rng.standard_normal((m, 1)) + level + rng.standard_normal((m, pairs))
    unseen = level + rng.standard_normal((m, pairs))
    score = np.concatenate([deleted, unseen], axis=None)
    is_deleted = np.arange(score.size) < deleted.size
    original = np.tile(np.repeat(np.arange(m), pairs), 2)
    inside = ndtr(leak / np.sqrt(2 + spread**2))
    return score, is_deleted, original, (inside + (m - 1) * target) / m


def test_jackknife_is_its_formula():
    score, is_deleted, original, _ = simulated(np.random.default_rng(3), m=8, target=0.7)
    theta = []
    for i in range(8):
        keep = original != i
        theta.append(logit(auc(score[keep & is_deleted], score[keep & ~is_deleted])))
    error = np.sqrt(7 / 8 * np.sum((np.array(theta) - np.mean(theta)) ** 2))
    estimate = auc(score[is_deleted], score[~is_deleted])
    interval = auc_interval(score, is_deleted, original, confidence=0.9)
    assert interval.low == pytest.approx(expit(logit(estimate) - t.ppf(0.95, 7) * error), abs=1e-12)
    assert interval.high == pytest.approx(expit(logit(estimate) + t.ppf(0.95, 7) * error), abs=1e-12)
    assert (interval.estimate, interval.n, interval.confidence) == (pytest.approx(estimate, abs=1e-15), 8, 0.9)
    assert (interval.method, interval.note) == ("jackknife over originals", "")


def test_leave_one_out_of_one_is_moved_half_a_comparison_from_the_end():
    m = 7
    score = np.array([1.0] * m + [0.0] * m)
    score[0] = -1.0  # one deleted query of original 0 loses all: without original 0 the AUC is 1
    is_deleted, original = np.arange(2 * m) < m, np.tile(np.arange(m), 2)
    without = np.array([1 - 1 / (2 * m * m), *[5 / 6] * 6])
    error = np.sqrt(6 / 7 * np.sum((logit(without) - logit(without).mean()) ** 2))
    interval = auc_interval(score, is_deleted, original)
    assert interval.low == pytest.approx(expit(logit(6 / 7) - t.ppf(0.975, 6) * error), abs=1e-12)


@pytest.mark.parametrize("m", [6, 10, 33])
@pytest.mark.parametrize("confidence", [0.95, 0.9975])
def test_perfect_separation_has_one_trial_per_original(m, confidence):
    score, original = np.repeat([1.0, 0.0], m), np.tile(np.arange(m), 2)
    top = auc_interval(score, score == 1, original, confidence=confidence)
    bound = ((1 - confidence) / 2) ** (1 / m)
    assert (top.estimate, top.low, top.high, top.n) == (1.0, pytest.approx(bound, abs=1e-12), 1.0, m)
    assert top.method == "clopper-pearson on originals"
    bottom = auc_interval(score, score == 0, original, confidence=confidence)
    assert (bottom.estimate, bottom.low, bottom.high) == (0.0, 0.0, pytest.approx(1 - bound, abs=1e-12))


def test_originals_that_lack_a_role_count_as_far_as_they_can_be_matched():
    score = np.array([1.0] * 7 + [0.0] * 3)
    interval = auc_interval(score, score == 1, np.arange(10))
    assert (interval.n, interval.low) == (3, pytest.approx(0.025 ** (1 / 3), abs=1e-12))


def test_below_six_originals_there_is_no_interval():
    score, is_deleted, original, _ = simulated(np.random.default_rng(0), m=5, target=0.6)
    for values in (score, is_deleted.astype(float)):
        interval = auc_interval(values, is_deleted, original)
        assert (interval.low, interval.high, interval.n) == (None, None, 5)
        assert interval.note == "no interval: at least 6 originals are needed, got 5"
    assert auc_interval(is_deleted.astype(float), is_deleted, original).estimate == 1.0


def test_a_role_held_by_one_original_gives_no_interval():
    is_deleted = np.array([True, True] + [False] * 8)
    interval = auc_interval([0.5, 3.0, *range(8)], is_deleted, [0, 0, *range(8)])
    assert (interval.low, interval.high) == (None, None)
    assert interval.note == "no interval: one original holds all queries of a role"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0, 2.0], [True, True], [0, 1]), "There must be deleted and unseen queries, got 2 deleted and 0 unseen"),
        (([], [], []), "There must be deleted and unseen queries, got 0 deleted and 0 unseen"),
        (([1.0, 2.0], [1, 0], [0, 1]), "`is_deleted` must be bool, got int64"),
        (([1.0, 2.0], [True], [0, 1]), r"`is_deleted` must have shape \(2,\), one value per query, got shape \(1,\)"),
        (([1.0, 2.0], [True, False], [0]), r"`original` must have shape \(2,\), one value per query"),
        (([1.0, np.nan], [True, False], [0, 1]), "`score` must not hold NaN; 1 of 2 values are"),
    ],
)
def test_queries_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        auc_interval(*arguments)


@pytest.mark.parametrize("confidence", [0, 1, 95, np.nan])
def test_confidence_is_checked(confidence):
    for call in (
        lambda: auc_interval([1, 0], [True, False], [0, 1], confidence=confidence),
        lambda: auc_interval_one_pair([1], [0], confidence=confidence),
        lambda: clopper_pearson(1, 2, confidence=confidence),
        lambda: rate_interval([True], [0], confidence=confidence),
    ):
        with pytest.raises(ValueError, match="`confidence` must lie between 0 and 1, both excluded, got"):
            call()


@pytest.mark.parametrize("m", [10, 30])
@pytest.mark.parametrize("target", [0.5, 0.75, 0.9])
def test_jackknife_covers(m, target):
    rng = np.random.default_rng(int(1000 * target) + m)
    covered = 0
    for _ in range(1000):
        *queries, truth = simulated(rng, m=m, target=target)
        interval = auc_interval(*queries)
        covered += interval.low <= truth <= interval.high
    assert 930 <= covered <= 975


def test_a_planted_leak_is_found():
    rng = np.random.default_rng(65)
    found = 0
    for _ in range(300):
        *queries, _ = simulated(rng, m=10, target=0.65, spread=0.0, shift=0.3)
        found += auc_interval(*queries).low > 0.5
    assert found >= 270


# One pair


def slow_delong(positive, negative, *, added=False):
    """Estimate and variance; `added`: with a record at either end of each sample."""
    psi = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    P, n = psi.shape
    above, below = ([psi[i].mean() for i in range(P)], [psi[:, j].mean() for j in range(n)])
    if added:
        above, below = [*above, 0, 1], [*below, 0, 1]
    return psi.mean(), np.var(above, ddof=1) / P + np.var(below, ddof=1) / n


@pytest.mark.parametrize("levels", [3, 10, 10**6])
@pytest.mark.parametrize(("P", "n"), [(2, 9), (15, 4), (30, 30)])
def test_delong_is_its_formula(levels, P, n):
    rng = np.random.default_rng(levels + P)
    positive, negative = np.r_[0, rng.integers(0, levels, P - 1)], np.r_[0, rng.integers(0, levels, n - 1)]
    estimate, variance = slow_delong(positive, negative)
    interval = auc_interval_one_pair(positive, negative, confidence=0.8)
    half = norm.ppf(0.9) * np.sqrt(variance) / (estimate * (1 - estimate))
    least = norm.ppf(0.9) * np.sqrt(slow_delong(positive, negative, added=True)[1])
    assert interval.estimate == pytest.approx(estimate, abs=1e-12)
    assert interval.low == pytest.approx(max(0, min(expit(logit(estimate) - half), estimate - least)), abs=1e-12)
    assert interval.high == pytest.approx(min(1, max(expit(logit(estimate) + half), estimate + least)), abs=1e-12)
    assert (interval.n, interval.method) == (P + n, "delong over records, conditional on the pair")


def test_one_pair_conventions():
    top = auc_interval_one_pair([5, 6, np.inf], [1, 2, 3, 4])
    assert (top.estimate, top.high, top.n) == (1, 1, 3)
    assert top.low == pytest.approx(0.025 ** (1 / 3), abs=1e-12)
    assert top.method == "clopper-pearson over records, conditional on the pair"
    bottom = auc_interval_one_pair([0], [1, 2])
    assert (bottom.estimate, bottom.low, bottom.high, bottom.n) == (0, 0, pytest.approx(0.975), 1)
    tied = auc_interval_one_pair([1, 1], [1, 1, 1])
    assert (tied.low, tied.high) == (0, 1)
    single = auc_interval_one_pair([1.5], [1, 2])
    assert (single.low, single.high) == (None, None)
    assert single.note == "no interval: at least 2 records of each role are needed, got 1 and 2"


def test_one_pair_covers_records():
    rng = np.random.default_rng(11)
    for target in (0.5, 0.8):
        covered = 0
        for _ in range(600):
            positive = rng.standard_normal(60) + ndtri(target) * np.sqrt(2)
            interval = auc_interval_one_pair(positive, rng.standard_normal(80))
            covered += interval.low <= target <= interval.high
        assert 0.925 <= covered / 600 <= 0.975


@pytest.mark.parametrize("deleted", [3, 8, 20])
def test_few_that_did_not_move_prove_little(deleted):
    """After deterministic retraining a fifth of the deleted moves and no unseen one: the AUC is .61, and .6 a limit."""
    rng, passes = np.random.default_rng(deleted), 0
    for _ in range(300):
        moved = (rng.random(deleted) < 0.22).astype(float)
        interval = auc_interval_one_pair(moved, np.zeros(200))
        passes += interval.high is not None and interval.high <= 0.6
    assert passes <= 14  # binomial(300, .025): above by chance .01


# Rates


@pytest.mark.parametrize("n", [1, 7, 100])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.9975])
def test_clopper_pearson_is_scipys(n, confidence):
    for k in {0, 1, n // 2, n}:
        exact = binomtest(k, n).proportion_ci(confidence, method="exact")
        interval = clopper_pearson(k, n, confidence=confidence)
        assert interval == Interval(
            k / n, pytest.approx(exact.low, abs=1e-10), pytest.approx(exact.high, abs=1e-10), confidence, n,
            "clopper-pearson",
        )  # fmt: skip


@pytest.mark.parametrize("rate", [0.001, 0.03, 0.2, 0.5, 0.95])
def test_clopper_pearson_covers_exactly(rate):
    n = 40
    intervals = [clopper_pearson(k, n) for k in range(n + 1)]
    covers = np.array([i.low <= rate <= i.high for i in intervals])
    assert binom.pmf(np.arange(n + 1), n, rate)[covers].sum() >= 0.95


@pytest.mark.parametrize(
    ("k", "n", "message"),
    [
        (0, 0, "`n` must be at least 1, got 0"),
        (3, 2, "`k` must lie between 0 and `n` = 2, got 3"),
        (-1, 2, "`k` must lie between 0 and `n` = 2, got -1"),
    ],
)
def test_clopper_pearson_is_checked(k, n, message):
    with pytest.raises(ValueError, match=message):
        clopper_pearson(k, n)


def test_rate_interval_is_the_jackknife_of_the_pooled_rate():
    rng = np.random.default_rng(2)
    original = rng.integers(0, 9, 120)
    hit = rng.random(120) < 0.3
    theta = np.array([logit(hit[original != i].mean()) for i in range(9)])
    half = t.ppf(0.975, 8) * np.sqrt(8 / 9 * np.sum((theta - theta.mean()) ** 2))
    interval = rate_interval(hit, original)
    assert interval.low == pytest.approx(expit(logit(hit.mean()) - half), abs=1e-12)
    assert interval.high == pytest.approx(expit(logit(hit.mean()) + half), abs=1e-12)


def test_rate_interval_conventions():
    none = rate_interval(np.zeros(30, bool), np.arange(30) // 3)
    assert (none.low, none.high, none.n) == (0, pytest.approx(1 - 0.025**0.1, abs=1e-12), 10)
    assert rate_interval([True], [0]).note == "no interval: at least 6 originals are needed, got 1"
    with pytest.raises(ValueError, match="`hit` must hold at least 1 value, got 0"):
        rate_interval([], [])
    with pytest.raises(ValueError, match="`hit` must be bool, got float64"):
        rate_interval([0.5], [0])


@pytest.mark.parametrize("rate", [0.05, 0.3])
def test_rate_interval_covers_new_originals_where_clopper_pearson_does_not(rate):
    rng = np.random.default_rng(8)
    original = np.repeat(np.arange(10), 40)
    covered, conditional = 0, 0
    for _ in range(500):
        level = ndtri(rate) * np.sqrt(1.25) + 0.5 * rng.standard_normal((10, 1))
        hit = (rng.standard_normal((10, 40)) < level).ravel()
        interval, exact = rate_interval(hit, original), clopper_pearson(int(hit.sum()), hit.size)
        covered += interval.low <= rate <= interval.high
        conditional += exact.low <= rate <= exact.high
    assert 0.92 <= covered / 500 <= 0.99
    assert conditional / 500 < 0.85
