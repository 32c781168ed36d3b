"""The planted control, and the rank test of one pair."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from aftertrace.statistics import auc, auc_interval, mann_whitney, planted_leak

LAWS = {
    "normal": lambda rng, size: rng.normal(size=size),
    "heavy": lambda rng, size: rng.standard_cauchy(size=size),
    "mostly one value": lambda rng, size: np.maximum(rng.normal(size=size) - 1, 0),
    "three values": lambda rng, size: rng.integers(3, size=size).astype(float),
}


def halves(rng, law, originals=40, per_original=100):
    original = np.repeat(np.arange(originals), per_original)
    score = LAWS[law](rng, len(original)) + rng.normal(size=originals)[original]
    return score, np.tile([True, False], len(original) // 2), original


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("size", [0.5, 0.6, 0.65])
def test_the_planted_leak_has_its_size_inside_originals(law, size):
    rng = np.random.default_rng(1)
    found = []
    for _ in range(20):
        score, called, original = halves(rng, law)
        planted = planted_leak(score, called, original, auc=size, rng=rng)
        found += [auc(planted[(original == o) & called], planted[(original == o) & ~called]) for o in range(40)]
    assert abs(np.mean(found) - size) < 4 * np.std(found) / np.sqrt(len(found))
    assert np.std(found) / np.sqrt(len(found)) < 0.004


def test_an_audit_of_ordinary_size_finds_it_and_a_tiny_one_does_not():
    rng = np.random.default_rng(2)
    share = {}
    for originals, per_original in ((10, 40), (6, 4)):
        lows = []
        for _ in range(100):
            score, called, original = halves(rng, "normal", originals, per_original)
            lows.append(auc_interval(planted_leak(score, called, original, rng=rng), called, original).low)
        share[originals] = np.mean([low is not None and low > 0.5 for low in lows])
    assert share[10] > 0.9
    assert share[6] < 0.5


def test_only_those_called_deleted_rise_and_never_beyond_what_is_there():
    rng = np.random.default_rng(3)
    score, called, original = halves(rng, "normal", 5, 10)
    planted = planted_leak(score, called, original, rng=rng)
    rank = np.argsort(np.argsort(score))
    assert np.array_equal(planted[~called], rank[~called])
    assert (planted[called] >= rank[called]).all()
    for o in range(5):
        own = called & (original == o)
        assert set(planted[own]) <= set(rank[own])


def test_a_lone_query_stays():
    planted = planted_leak([1.0, 0.0, 5.0], [True, False, True], [0, 0, 1], rng=np.random.default_rng(0))
    assert planted.tolist() == [1, 0, 2]


@pytest.mark.parametrize("size", [0.4, 0.7, np.nan])
def test_sizes_that_cannot_be_planted(size):
    with pytest.raises(ValueError, match="auc"):
        planted_leak([0.0, 1.0], [True, False], [0, 0], auc=size, rng=np.random.default_rng(0))


@pytest.mark.parametrize("law", LAWS)
def test_mann_whitney_is_scipys(law):
    rng = np.random.default_rng(4)
    for shift in (0.0, 0.3, 1.0):
        first, second = LAWS[law](rng, 40) + shift, LAWS[law](rng, 31)
        theirs = mannwhitneyu(first, second, method="asymptotic").pvalue
        assert mann_whitney(first, second) == pytest.approx(theirs, rel=1e-9)


def test_mann_whitney_without_enough_or_any_difference():
    assert mann_whitney(np.arange(7.0), np.arange(50.0)) is None
    assert mann_whitney(np.zeros(9), np.zeros(9)) == 1.0


def test_mann_whitney_keeps_its_level():
    rng = np.random.default_rng(5)
    p_values = [mann_whitney(LAWS["mostly one value"](rng, 20), LAWS["mostly one value"](rng, 15)) for _ in range(2000)]
    assert np.mean(np.array(p_values) <= 0.05) < 0.06
