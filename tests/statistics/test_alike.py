"""Where nearly all units are alike no interval may be narrow: Stringer's bounds."""

import numpy as np
import pytest
from scipy.stats import beta

from aftertrace.statistics import (
    Interval,
    VarianceComponents,
    auc_interval,
    auc_interval_crossed,
    auc_interval_one_pair,
    auc_interval_two_way,
    bca_by_original,
    clopper_pearson,
    cross_fitted_interval,
    delong_clustered,
    originals_needed,
    percentile_by_original,
    rate_interval,
)
from aftertrace.statistics._alike import nearly_alike, not_nearer_than_stringer


def rng(seed=0):
    return np.random.default_rng(seed)


def bounded(*samples, confidence=0.95):
    """What becomes of an interval of no width."""
    values = samples[0]
    interval = Interval(values.mean(), values.mean(), values.mean(), confidence, values.size, "none")
    return not_nearer_than_stringer(interval, *samples)


@pytest.mark.parametrize("m", [1, 6, 40])
@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.9975])
def test_units_that_are_all_alike_have_the_exact_interval(m, confidence):
    q = ((1 - confidence) / 2) ** (1 / m)  # beyond the ends, m equal units are rarer than that
    for value in (0.0, 0.3, 0.5, 1.0):
        found = bounded(np.full(m, value), confidence=confidence)
        assert (found.low, found.high) == (pytest.approx(value * q), pytest.approx(1 - (1 - value) * q))


@pytest.mark.parametrize("k", [0, 1, 3, 5])
def test_units_that_differ_by_all_that_is_possible_have_clopper_and_pearsons(k):
    found, exact = bounded((np.arange(30) < k).astype(float)), clopper_pearson(k, 30)
    assert found.high == pytest.approx(exact.high)
    assert found.low == 0 if k == 0 else found.low <= k / 30


def test_units_that_differ_count_by_how_much():
    values = np.r_[np.full(17, 0.2), 0.8, 0.3, 0.1]
    p = beta.ppf(0.975, np.arange(4) + 1, 20 - np.arange(4))
    found = bounded(values)
    assert found.high == pytest.approx(0.2 + 0.8 * p[0] + (p[1] - p[0]) * 0.6 + (p[2] - p[1]) * 0.1)
    assert found.low == pytest.approx(0.2 - 0.2 * p[0] - (p[1] - p[0]) * 0.1)
    assert found.method == "none, Stringer's bounds as few differ"


def test_rounding_is_no_difference():
    values = 0.5 + 1e-12 * rng().standard_normal(12)
    assert bounded(values).high == pytest.approx(bounded(np.full(12, 0.5)).high)


@pytest.mark.parametrize(
    ("differ", "m", "alike"), [(0, 1, True), (2, 6, True), (3, 6, False), (5, 11, True), (5, 10, False), (6, 90, False)]
)
def test_most_must_be_equal_and_fewer_than_six_differ(differ, m, alike):
    values = np.r_[np.full(m - differ, 0.5), np.linspace(0.6, 0.9, differ)]
    assert nearly_alike(values) == alike


def test_what_is_wider_already_stays():
    wide = Interval(0.5, 0.0, 1.0, 0.95, 6, "wide")
    assert not_nearer_than_stringer(wide, np.full(6, 0.5)) is wide
    none = Interval(0.5, None, None, 0.95, 3, "none")
    assert not_nearer_than_stringer(none, np.full(3, 0.5)) is none


# No interval of the package has no width


TIED = np.zeros(24), np.arange(24) % 2 == 0, np.arange(24) // 4
INTERVALS = {
    "jackknife": lambda s, d, o: auc_interval(s, d, o),
    "crossed": lambda s, d, o: auc_interval_crossed(s, d, o, np.arange(s.size)),
    "one pair": lambda s, d, o: auc_interval_one_pair(s[d], s[~d]),
    "cross-fitted": lambda s, d, o: cross_fitted_interval(auc_interval(s, d, o), folds=5),
    "clustered": lambda s, d, o: delong_clustered(s, d, o),
    "two-way": lambda s, d, o: auc_interval_two_way(s, d, o, np.arange(s.size), rng=rng(), n_boot=100),
    "percentile": lambda s, d, o: percentile_by_original(s, d, o, rng=rng(), n_boot=100),
    "bca": lambda s, d, o: bca_by_original(s, d, o, rng=rng(), n_boot=100),
}


@pytest.mark.parametrize("name", INTERVALS)
def test_tied_scores_exclude_little(name):
    """Six originals that leak nothing: one in three may leak all, and none was met, with probability .09."""
    found = INTERVALS[name](*TIED)
    assert found.estimate == 0.5
    least = 0.5 + 0.5 * clopper_pearson(0, 12 if name == "one pair" else 6).high
    assert found.high >= least - 1e-12
    assert found.low <= 1 - least + 1e-12


def test_originals_of_other_sizes_are_alike_where_nothing_moved():
    original = np.repeat(np.arange(9), np.arange(2, 11))
    score = np.zeros(original.size)
    score[np.flatnonzero(original == 4)[0]] = 0.001  # the one query that moved, by next to nothing
    is_deleted = np.arange(original.size) % 2 == 0
    found = auc_interval(score, is_deleted, original)
    assert found.high >= 0.5 + 0.5 * clopper_pearson(0, 9).high - 0.01


def test_levels_that_cancel_are_no_variance():
    """Each original has one score for all: the AUC is one half without any of them."""
    original = np.repeat(np.arange(8), 6)
    found = auc_interval(original.astype(float), np.arange(48) % 2 == 0, original)
    assert (found.estimate, found.high) == (0.5, pytest.approx(0.5 + 0.5 * clopper_pearson(0, 8).high))


def test_records_as_units_are_alike_by_role():
    """Three of 20 deleted records moved, none of 300 unseen ones: it is the 20 that count."""
    score = np.r_[np.ones(3), np.zeros(317)]
    found = auc_interval(score, np.arange(320) < 20, np.arange(320))
    assert found.high == pytest.approx(0.5 + 0.5 * clopper_pearson(3, 20).high)


def test_rates_that_are_all_equal_have_a_width():
    original = np.arange(80) // 10
    found = rate_interval(np.arange(80) % 10 == 0, original)
    assert found.high == pytest.approx(1 - 0.9 * 0.025 ** (1 / 8))


# Simulated: no gate passes more often than an interval of 95 % may be wrong on one side


def whole_or_nothing(generator, *, m, chance, pairs=10, noise=0.0):
    """All scores are tied, but for originals that leak all of their deletions, and a share of single ones."""
    original, is_deleted = np.arange(2 * m * pairs) // (2 * pairs), np.arange(2 * m * pairs) % 2 == 0
    moved = (generator.random(m) < chance)[original] | (generator.random(original.size) < noise)
    return (moved & is_deleted).astype(float), is_deleted, original


@pytest.mark.parametrize("m", [6, 8, 17, 20, 30])
@pytest.mark.parametrize("limit", [0.6, 0.7])
def test_originals_that_seldom_leak_all_do_not_pass(m, limit):
    """At a true AUC of the limit + .01: 2.5 % may pass, and by chance .01 at most 14 of 300 do."""
    generator = rng(m)
    passed = 0
    for _ in range(300):
        interval = auc_interval(*whole_or_nothing(generator, m=m, chance=2 * (limit + 0.01 - 0.5)))
        passed += interval.low >= 1 - limit and interval.high <= limit
    assert passed <= 14


@pytest.mark.parametrize("chance", [0.02, 0.05, 0.2])
@pytest.mark.parametrize("noise", [0.0, 0.005])
def test_upper_ends_cover_originals_that_seldom_leak_all(chance, noise):
    generator, below = rng(round(1000 * (chance + noise))), 0
    for _ in range(300):
        queries = whole_or_nothing(generator, m=12, chance=chance, noise=noise)
        below += auc_interval(*queries).high < 0.5 + (chance + (1 - chance) * noise) / 2 - 0.005
    assert below <= 14


def test_one_in_twenty_that_leaks_all_is_not_excluded():
    queries = whole_or_nothing(rng(), m=6, chance=0.0)
    assert auc_interval(*queries).high > 0.525


def test_originals_needed_by_a_pilot_without_variance():
    pilot = VarianceComponents(0.5, 0.0, 0.0, 6, 60)
    m = originals_needed(pilot, limit=0.6, pairs=10)
    assert m == originals_needed(pilot, limit=0.4, pairs=10) == 17
    for size, passes in ((m - 1, False), (m, True)):
        assert (auc_interval(*whole_or_nothing(rng(), m=size, chance=0.0)).high <= 0.6) == passes
    assert originals_needed(pilot, limit=0.99, pairs=10) == 6  # never fewer than any interval takes
