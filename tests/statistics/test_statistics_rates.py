"""Thresholds: conformal calibration, refusals, balanced accuracy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from aftertrace.statistics import (
    balanced_accuracy,
    best_threshold,
    clopper_pearson,
    conformal_threshold,
    rate_at_fpr,
    rate_interval,
)

INF = np.inf
SCORES = st.lists(st.sampled_from([-INF, -1e308, -1.0, 0.0, 5e-324, 1.0, 2.0, 1e308, INF]), min_size=1, max_size=10)


@pytest.mark.parametrize(
    ("n", "fpr", "place"), [(9, 0.1, 9), (99, 0.01, 99), (99, 0.1, 90), (19, 0.3, 14), (4, 0.5, 3)]
)
def test_conformal_threshold_is_the_kth_smallest(n, fpr, place):
    calibration = np.random.default_rng(n).permutation(n) + 1.0
    assert conformal_threshold(calibration, fpr=fpr) == place


@pytest.mark.parametrize("fpr", [0.1, 0.07, 0.05, 0.03, 0.01, 0.001])
def test_conformal_threshold_needs_enough_records(fpr):
    needed = int(np.ceil(round(1 / fpr, 9))) - 1
    assert conformal_threshold(np.arange(needed), fpr=fpr) == needed - 1
    assert conformal_threshold(np.arange(needed - 1), fpr=fpr) is None
    assert conformal_threshold([], fpr=fpr) is None


@pytest.mark.parametrize(("n", "fpr"), [(25, 0.1), (99, 0.05), (150, 0.01)])
@pytest.mark.parametrize("ties", [False, True])
def test_conformal_threshold_keeps_the_mean_rate(n, fpr, ties):
    rng = np.random.default_rng(n)
    sample = rng.standard_normal((4000, n + 20))
    sample = np.round(sample, 1) if ties else sample
    realised = [np.mean(row[n:] > conformal_threshold(row[:n], fpr=fpr)) for row in sample]
    assert np.mean(realised) <= fpr + 3 * np.std(realised) / np.sqrt(4000)
    if not ties:
        assert np.mean(realised) >= np.floor((n + 1) * fpr) / (n + 1) - 3 * np.std(realised) / np.sqrt(4000)


def test_rate_at_fpr_holds_both_rates_and_both_intervals():
    rng = np.random.default_rng(0)
    positive, negative, calibration = rng.standard_normal(80) + 1, rng.standard_normal(200), rng.standard_normal(99)
    originals = {"original_positive": np.arange(80) // 8, "original_negative": np.arange(200) // 20}
    result = rate_at_fpr(positive, negative, calibration, fpr=0.1, confidence=0.9, **originals)
    found, accused = positive > result.threshold, negative > result.threshold
    assert result.threshold == np.sort(calibration)[89]
    exact = clopper_pearson(found.sum(), 80, confidence=0.9)
    assert result.tpr.estimate == exact.estimate
    assert result.tpr.low < exact.low < exact.high < result.tpr.high
    assert result.realised_fpr == clopper_pearson(accused.sum(), 200, confidence=0.9)
    new = rate_interval(found, originals["original_positive"], confidence=0.9)
    assert result.tpr_new_originals.low < new.low < new.high < result.tpr_new_originals.high
    assert result.fpr_new_originals == rate_interval(accused, originals["original_negative"], confidence=0.9)
    assert (result.fpr, result.n_positive, result.n_negative, result.n_calibration) == (0.1, 80, 200, 99)
    assert result.refused == ""
    assert rate_at_fpr(positive, negative, calibration, fpr=0.1).tpr_new_originals is None


def test_the_rate_covers_the_choice_of_the_threshold():
    """Deleted records score .5 higher: the truth is .0339 at 1 %. Clopper-Pearson alone takes it as it is."""
    rng, truth = np.random.default_rng(1), float(norm.sf(norm.isf(0.01) - 0.5))
    covered = naive = 0
    for _ in range(300):
        positive, negative = rng.standard_normal(1000) + 0.5, rng.standard_normal(1000)
        rate = rate_at_fpr(positive, negative, rng.standard_normal(1000), fpr=0.01)
        exact = clopper_pearson(int((positive > rate.threshold).sum()), 1000)
        covered += rate.tpr.low <= truth <= rate.tpr.high
        naive += exact.low <= truth <= exact.high
    assert covered >= 275  # binomial(300, .95): below by chance .005
    assert naive < 270


@pytest.mark.parametrize(
    ("fpr", "n_negative", "n_calibration", "refused"),
    [
        (0.1, 100, 9, ""),
        (0.1, 99, 9, "100 evaluated unseen queries are needed for an FPR of 0.1, got 99"),
        (0.1, 100, 8, "9 calibration queries are needed for an FPR of 0.1, got 8"),
        (0.01, 1000, 99, ""),
        (0.01, 999, 99, "1000 evaluated unseen queries are needed for an FPR of 0.01, got 999"),
        (
            0.01,
            0,
            0,
            "1000 evaluated unseen queries are needed for an FPR of 0.01, got 0; "
            "99 calibration queries are needed for an FPR of 0.01, got 0",
        ),
    ],
)
def test_rate_at_fpr_is_refused_with_the_number_needed(fpr, n_negative, n_calibration, refused):
    result = rate_at_fpr([1.0], np.zeros(n_negative), np.zeros(n_calibration), fpr=fpr)
    assert result.refused == refused
    assert (result.threshold is None) == (result.tpr is None) == (result.realised_fpr is None) == bool(refused)


@pytest.mark.parametrize("fpr", [0, 1, 5, np.nan])
def test_fpr_is_checked(fpr):
    with pytest.raises(ValueError, match="`fpr` must lie between 0 and 1, both excluded, got"):
        conformal_threshold([1.0], fpr=fpr)
    with pytest.raises(ValueError, match="`fpr` must lie between 0 and 1, both excluded, got"):
        rate_at_fpr([1.0], [1.0], [1.0], fpr=fpr)


def test_rate_at_fpr_checks_its_arrays():
    with pytest.raises(ValueError, match="`positive` must hold at least 1 value, got 0"):
        rate_at_fpr([], [1.0], [1.0], fpr=0.1)
    with pytest.raises(ValueError, match="`calibration` must not hold NaN"):
        rate_at_fpr([1.0], [1.0], [np.nan], fpr=0.1)


@settings(derandomize=True, deadline=None)
@given(SCORES, SCORES)
def test_best_threshold_is_best(positive, negative):
    threshold = best_threshold(positive, negative)
    achieved = balanced_accuracy(positive, negative, threshold=threshold)
    everything = {-INF, *positive, *negative}
    assert achieved == pytest.approx(max(balanced_accuracy(positive, negative, threshold=t) for t in everything))
    assert achieved >= 0.5


@pytest.mark.parametrize(
    ("positive", "negative", "threshold"),
    [
        ([3.0], [1.0], 2.0),
        ([1.0], [3.0], 3.0),  # reversed: calling nothing deleted is best
        ([1.0], [1.0], 1.0),
        ([INF], [0.0], np.finfo(float).max / 2),
        ([0.0], [-INF], -np.finfo(float).max / 2),
        ([INF], [-INF], 0.0),
        ([1.5e308], [1e308], 1.25e308),
        ([5e-324], [0.0], 0.0),
        ([np.finfo(float).max], [np.finfo(float).max / 2], np.finfo(float).max * 0.75),
        ([1.0, 3.0], [0.0, 2.0], 0.5),  # 0.5 and 2.5 are equally good and equally unbalanced: the smaller
    ],
)
def test_best_threshold_is_halfway(positive, negative, threshold):
    assert best_threshold(positive, negative) == pytest.approx(threshold, rel=1e-15)


def test_best_threshold_prefers_balance():
    # 0.5: TPR 1, TNR 1/2; 2.5: TPR 3/4, TNR 3/4. Equal balanced accuracy.
    assert best_threshold([1, 3, 3, 3], [0, 0, 2, 3]) == 2.5


def test_balanced_accuracy():
    assert balanced_accuracy([2, 2, 0], [0, 1], threshold=1) == pytest.approx((2 / 3 + 1) / 2)
    assert balanced_accuracy([INF], [-INF], threshold=-INF) == 1.0
    with pytest.raises(ValueError, match="`threshold` must be a number, got NaN"):
        balanced_accuracy([1], [0], threshold=np.nan)
    with pytest.raises(ValueError, match="`negative` must hold at least 1 value, got 0"):
        balanced_accuracy([1], [], threshold=0)
