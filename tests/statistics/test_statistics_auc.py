"""AUC, ROC curve, and the fast sums by original against their slow obvious twins."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from aftertrace.statistics import auc, auc_by_original, auc_interval, roc_curve
from aftertrace.statistics._concordance import concordance, ranks, wins

INF = np.inf
SCORES = st.lists(st.sampled_from([-INF, -2.0, -0.0, 0.0, 0.5, 1.0, 1e308, INF]), min_size=1, max_size=12)


def slow_auc(positive, negative):
    return np.mean([1.0 if x > y else 0.5 if x == y else 0.0 for x in positive for y in negative])


def audit(seed, *, m, Q, levels=None, infinite=False):
    """Unbalanced originals; one has deleted queries only and one unseen only."""
    rng = np.random.default_rng(seed)
    score = rng.standard_normal(Q) if levels is None else rng.integers(0, levels, Q).astype(float)
    if infinite:
        score[rng.random(Q) < 0.1] = INF
        score[rng.random(Q) < 0.1] = -INF
    original = np.sort(rng.integers(0, m, Q) ** 2 // m) * 7 - 3
    is_deleted = rng.random(Q) < 0.4
    is_deleted[original == original.min()] = True
    is_deleted[original == original.max()] = False
    order = rng.permutation(Q)
    return score[order], is_deleted[order], original[order]


AUDITS = [
    audit(0, m=6, Q=60),
    audit(1, m=20, Q=300),
    audit(2, m=9, Q=200, levels=3),
    audit(3, m=12, Q=150, levels=8, infinite=True),
    audit(4, m=30, Q=90, infinite=True),
    audit(5, m=8, Q=80, levels=1),
]


@settings(derandomize=True, deadline=None)
@given(SCORES, SCORES)
def test_auc_is_the_share_of_ordered_pairs(positive, negative):
    assert auc(positive, negative) == pytest.approx(slow_auc(positive, negative), abs=1e-15)
    assert auc(positive, negative) + auc(negative, positive) == pytest.approx(1, abs=1e-15)


def test_auc_agrees_with_mann_whitney():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 9, 70), rng.integers(0, 7, 31)
    assert auc(x, y) == pytest.approx(mannwhitneyu(x, y).statistic / (70 * 31), abs=1e-14)


@pytest.mark.parametrize(
    ("positive", "negative", "value"),
    [([1], [0], 1.0), ([0], [1], 0.0), ([0], [0], 0.5), ([INF], [INF], 0.5), ([INF, 0], [-INF, 0], 0.875)],
)
def test_auc_closed_forms(positive, negative, value):
    assert auc(positive, negative) == value


@pytest.mark.parametrize("function", [auc, roc_curve])
@pytest.mark.parametrize(
    ("positive", "negative", "message"),
    [
        ([], [1.0], "`positive` must hold at least 1 value, got 0"),
        ([1.0], [], "`negative` must hold at least 1 value, got 0"),
        ([1.0, np.nan], [1.0], "`positive` must not hold NaN; 1 of 2 values are"),
        ([[1.0]], [1.0], r"`positive` must have one dimension, got shape \(1, 1\)"),
    ],
)
def test_two_samples_are_checked(function, positive, negative, message):
    with pytest.raises(ValueError, match=message):
        function(positive, negative)


@settings(derandomize=True, deadline=None)
@given(SCORES, SCORES)
def test_roc_curve_holds_the_rates_at_its_thresholds(positive, negative):
    curve = roc_curve(positive, negative)
    assert (curve.fpr[0], curve.tpr[0], curve.fpr[-1], curve.tpr[-1]) == (0, 0, 1, 1)
    assert curve.threshold.size == np.unique(positive + negative).size + 1
    for fpr, tpr, threshold in zip(curve.fpr[:-1], curve.tpr[:-1], curve.threshold[:-1], strict=True):
        assert fpr == np.mean(np.array(negative) > threshold)
        assert tpr == np.mean(np.array(positive) > threshold)
    assert np.trapezoid(curve.tpr, curve.fpr) == pytest.approx(auc(positive, negative), abs=1e-14)


@pytest.mark.parametrize("queries", AUDITS)
def test_leave_one_out_is_the_auc_without_each_original(queries):
    score, is_deleted, original = queries
    labels, code = np.unique(original, return_inverse=True)
    sums = concordance(score, is_deleted, code, labels.size)
    slow = []
    for label in labels:
        keep = original != label
        slow.append(slow_auc(score[keep & is_deleted], score[keep & ~is_deleted]))
    assert sums.auc == pytest.approx(slow_auc(score[is_deleted], score[~is_deleted]), abs=1e-12)
    np.testing.assert_allclose(sums.leave_one_out(), slow, rtol=0, atol=1e-12)


@pytest.mark.parametrize("queries", AUDITS)
def test_auc_by_original_is_the_auc_inside_each(queries):
    score, is_deleted, original = queries
    labels, fast = auc_by_original(score, is_deleted, original)
    assert labels.tolist() == sorted(set(original.tolist()))
    for label, value in zip(labels, fast, strict=True):
        x, y = score[is_deleted & (original == label)], score[~is_deleted & (original == label)]
        expected = slow_auc(x, y) if x.size and y.size else np.nan
        np.testing.assert_allclose(value, expected, rtol=0, atol=1e-12)
    assert np.isnan(fast[[0, -1]]).all()


@pytest.mark.parametrize("m", [1, 255, 256, 70_000])
def test_many_originals_are_told_apart(m):
    """Numbers of originals are sorted in as few bits as they need."""
    rng = np.random.default_rng(m)
    score, is_deleted, original = rng.integers(0, 50, 3000) / 7, rng.random(3000) < 0.3, rng.integers(0, m, 3000)
    found, rank = concordance(score, is_deleted, original, m), ranks(score)
    unseen = np.bincount(original[~is_deleted], minlength=m)
    win = wins(rank, is_deleted)
    nested = wins(ranks(original * 50 + rank), is_deleted) - (np.cumsum(unseen) - unseen)[original]
    for name, weights in (
        ("row", win * is_deleted),
        ("column", win * ~is_deleted),
        ("within", nested * is_deleted),
    ):
        np.testing.assert_array_equal(getattr(found, name), np.bincount(original, weights=weights, minlength=m))


def test_order_and_names_of_originals_do_not_matter():
    score, is_deleted, original = AUDITS[1]
    order = np.random.default_rng(0).permutation(score.size)
    expected = auc_interval(score, is_deleted, original)
    again = auc_interval(score[order], is_deleted[order], 1000 - original[order])
    np.testing.assert_allclose([again.low, again.high], [expected.low, expected.high], rtol=0, atol=1e-12)
    monotone = auc_interval(np.exp(score), is_deleted, original)
    assert monotone == expected


def test_inputs_stay_unchanged():
    score, is_deleted, original = (a.copy() for a in AUDITS[3])
    auc_interval(score, is_deleted, original)
    for before, after in zip(AUDITS[3], (score, is_deleted, original), strict=True):
        np.testing.assert_array_equal(before, after)
