"""The difference of two AUCs on one pair of models."""

import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import t

from aftertrace.statistics import auc, auc_difference_one_pair


def two_scores(generator, *, deleted=40, unseen=90, own=0.6, other=0.6, shared=0.6):
    is_deleted = np.arange(deleted + unseen) < deleted
    common = np.sqrt(shared) * generator.standard_normal(is_deleted.size)
    scores = (common + np.sqrt(1 - shared) * generator.standard_normal(is_deleted.size) for _ in range(2))
    return *(score + leak * is_deleted for score, leak in zip(scores, (own, other), strict=True)), is_deleted


def placements(score, is_deleted):
    psi = (score[is_deleted][:, None] > score[~is_deleted]) + 0.5 * (score[is_deleted][:, None] == score[~is_deleted])
    return psi.mean(axis=1), psi.mean(axis=0)


def of_few(difference):
    return max(np.var(difference, ddof=1), np.var([*difference, -0.25, 0.25], ddof=1))


@pytest.mark.parametrize("folds", [None, 5])
def test_it_is_its_formula(folds):
    score, other, is_deleted = two_scores(np.random.default_rng(3))
    (above, below), (above_other, below_other) = (placements(each, is_deleted) for each in (score, other))
    error = np.sqrt(of_few(above - above_other) / 40 + of_few(below - below_other) / 90)
    error *= 1 if folds is None else np.sqrt(1 + 5 / 4)
    found = auc_difference_one_pair(score, other, is_deleted, confidence=0.9, folds=folds)
    estimate = auc(score[is_deleted], score[~is_deleted]) - auc(other[is_deleted], other[~is_deleted])
    assert found.interval.estimate == pytest.approx(estimate)
    assert found.interval.low == pytest.approx(estimate - t.ppf(0.95, 39) * error)
    assert found.interval.high == pytest.approx(estimate + t.ppf(0.95, 39) * error)
    assert found.p_value == pytest.approx(2 * t.sf(abs(estimate) / error, 39))
    assert (found.interval.n, found.interval.method) == (130, "paired delong over records, conditional on the pair")


@pytest.mark.parametrize(("own", "other"), [(0.0, 0.0), (0.8, 0.3)])
def test_it_covers(own, other):
    """Of 500, at 95 %, from 461 to 488 by chance .999."""
    generator, truth, covered = np.random.default_rng(8), ndtr(own / np.sqrt(2)) - ndtr(other / np.sqrt(2)), 0
    for _ in range(500):
        interval = auc_difference_one_pair(*two_scores(generator, own=own, other=other)).interval
        covered += interval.low <= truth <= interval.high
    assert 461 <= covered <= 490


@pytest.mark.parametrize(("own", "other", "shared"), [(2.5, 2.0, 0.7), (3.2, 2.0, 0.7), (3.0, 2.8, 0.95)])
def test_high_aucs_of_few_deleted_are_covered(own, other, shared):
    """Of 300, at 95 %, fewer than 273 by chance .001. By the variance at hand alone 281, 265 and 253."""
    generator, truth, covered = np.random.default_rng(12), ndtr(own / np.sqrt(2)) - ndtr(other / np.sqrt(2)), 0
    for _ in range(300):
        scores = two_scores(generator, deleted=20, unseen=2000, own=own, other=other, shared=shared)
        interval = auc_difference_one_pair(*scores).interval
        covered += interval.low <= truth <= interval.high
    assert covered >= 273


def test_few_that_differ_prove_little():
    """Two attacks part on a twentieth of the records: one must not be surely better because few were met."""
    generator, wrong = np.random.default_rng(5), 0
    for _ in range(300):
        score, other, is_deleted = two_scores(generator, deleted=25)
        other = np.where(generator.random(score.size) < 0.05, other, score)
        found = auc_difference_one_pair(score, other, is_deleted)
        excluded = not found.interval.low <= 0 <= found.interval.high
        assert excluded == (found.p_value < 0.05)
        wrong += excluded
    assert wrong <= 24  # binomial(300, .05): above by chance .01


def test_the_same_scores_differ_by_nothing_and_not_for_sure():
    score, _, is_deleted = two_scores(np.random.default_rng(0))
    found = auc_difference_one_pair(score, score, is_deleted)
    assert (found.interval.estimate, found.p_value) == (0, 1)
    assert found.interval.low < -0.05 < 0.05 < found.interval.high


def test_exchanged_scores_give_the_opposite():
    score, other, is_deleted = two_scores(np.random.default_rng(1), own=1.0)
    one, two = auc_difference_one_pair(score, other, is_deleted), auc_difference_one_pair(other, score, is_deleted)
    assert (one.interval.low, one.interval.high) == pytest.approx((-two.interval.high, -two.interval.low))
    assert one.p_value == pytest.approx(two.p_value)


def test_one_record_has_none():
    found = auc_difference_one_pair([1.0, 0.0, 2.0], [0.0, 1.0, 2.0], [True, False, False])
    assert (found.interval.low, found.interval.high, found.p_value) == (None, None, None)
    assert found.interval.note == "no interval: at least 2 records of each role are needed, got 1"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0], [1.0, 2.0], [True, False]), r"`score` must have shape \(2,\), one value per query, got \(1,\)"),
        (([1.0, 2.0], [1.0, np.nan], [True, False]), "`other` must not hold NaN"),
        (([1.0, 2.0], [1.0, 2.0], [True, True]), "There must be deleted and unseen queries"),
    ],
)
def test_queries_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        auc_difference_one_pair(*arguments)
