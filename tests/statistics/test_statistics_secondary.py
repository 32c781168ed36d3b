"""Fixed pools and secondary intervals: slow twins, measured coverage, conventions."""

import numpy as np
import pytest
from scipy.special import expit, logit, ndtr, ndtri
from scipy.stats import norm, t
from test_statistics_intervals import simulated

from aftertrace.statistics import (
    auc,
    auc_interval,
    auc_interval_crossed,
    auc_interval_two_way,
    bca_by_original,
    delong_clustered,
    percentile_by_original,
)
from aftertrace.statistics._bootstrap import _weighted_auc

SECONDARY = {
    "crossed": lambda q, generator, n_boot: auc_interval_crossed(*q, np.arange(len(q[0]))),
    "delong": lambda q, generator, n_boot: delong_clustered(*q),
    "percentile": lambda q, generator, n_boot: percentile_by_original(*q, rng=generator, n_boot=n_boot),
    "bca": lambda q, generator, n_boot: bca_by_original(*q, rng=generator, n_boot=n_boot),
    "two-way": lambda q, generator, n_boot: auc_interval_two_way(
        *q, np.arange(len(q[0])), rng=generator, n_boot=n_boot
    ),
}


def rng(seed=0):
    return np.random.default_rng(seed)


def crossed(generator, *, m, R, target, record):
    """Fixed pools: the same R deleted and R unseen records at every original; `record` is their effect's sd."""
    scale = np.sqrt(2.43 + 2 * record**2)
    leak = ndtri(target) * scale
    level = 0.3 * generator.standard_normal((m, 1))
    effect = record * generator.standard_normal((2, 1, R))
    deleted = leak + 0.5 * generator.standard_normal((m, 1)) + level + effect[0] + generator.standard_normal((m, R))
    unseen = level + effect[1] + generator.standard_normal((m, R))
    score = np.concatenate([deleted, unseen], axis=None)
    original = np.tile(np.repeat(np.arange(m), R), 2)
    records = np.concatenate([np.tile(np.arange(R), m), R + np.tile(np.arange(R), m)])
    truth = (ndtr(leak / np.sqrt(2.25 + 2 * record**2)) + (m - 1) * target) / m
    return (score, np.arange(score.size) < deleted.size, original, records), truth


def test_weighted_auc_is_the_auc_of_repeated_queries():
    generator = rng(1)
    score, is_deleted = np.sort(generator.integers(0, 5, 30)).astype(float), generator.random(30) < 0.4
    weight = generator.integers(0, 4, (20, 30)).astype(float)
    weight[0, is_deleted] = 0
    fast = _weighted_auc(weight, is_deleted, np.unique(score, return_index=True)[1])
    assert np.isnan(fast[0])
    for value, row in zip(fast[1:], weight[1:].astype(int), strict=True):
        slow = auc(np.repeat(score[is_deleted], row[is_deleted]), np.repeat(score[~is_deleted], row[~is_deleted]))
        assert value == pytest.approx(slow, abs=1e-12)


def test_percentile_is_the_bootstrap_of_whole_originals():
    *queries, _ = simulated(rng(3), m=8, pairs=4, target=0.7)
    score, is_deleted, original = queries
    draws = rng(7).multinomial(8, np.full(8, 1 / 8), size=300)
    values = []
    for count in draws:
        repeated = np.repeat(np.arange(score.size), count[original])
        values.append(auc(score[repeated][is_deleted[repeated]], score[repeated][~is_deleted[repeated]]))
    interval = percentile_by_original(*queries, rng=rng(7), n_boot=300, confidence=0.9)
    wide = norm.cdf(np.sqrt(8 / 7) * t.ppf(0.95, 7))  # expanded: 8 originals, 7 degrees of freedom
    assert (interval.low, interval.high) == pytest.approx(tuple(np.quantile(values, [1 - wide, wide])), abs=1e-12)


def test_clustered_delong_is_obuchowskis_formula():
    *queries, _ = simulated(rng(4), m=9, pairs=5, target=0.7)
    score, is_deleted, original = (a[:77] for a in queries)  # unbalanced
    psi = (score[is_deleted][:, None] > score[~is_deleted]).astype(float)
    P, n = psi.shape
    x, y, a = original[is_deleted], original[~is_deleted], psi.mean()
    v10 = np.array([(psi.mean(1)[x == i] - a).sum() for i in range(9)])
    v01 = np.array([(psi.mean(0)[y == i] - a).sum() for i in range(9)])
    s10, s01, s11 = 9 / 8 / P * (v10**2).sum(), 9 / 8 / n * (v01**2).sum(), 9 / 8 * (v10 * v01).sum()
    half = norm.ppf(0.975) * np.sqrt(s10 / P + s01 / n + 2 * s11 / (P * n)) / (a * (1 - a))
    interval = delong_clustered(score, is_deleted, original)
    assert interval.low == pytest.approx(expit(logit(a) - half), abs=1e-10)
    assert interval.high == pytest.approx(expit(logit(a) + half), abs=1e-10)


def test_two_way_covers_fixed_pools_where_the_jackknife_does_not():
    generator, covered = rng(5), np.zeros(2)
    for _ in range(200):
        queries, truth = crossed(generator, m=10, R=20, target=0.7, record=1.0)
        for place, i in enumerate(
            (auc_interval_two_way(*queries, rng=generator, n_boot=200), auc_interval(*queries[:3]))
        ):
            covered[place] += i.low <= truth <= i.high
    assert covered[0] >= 190
    assert covered[1] <= 160


@pytest.mark.parametrize(("m", "R", "record"), [(10, 20, 1.0), (20, 40, 0.0), (8, 15, 0.3)])
def test_the_crossed_interval_is_the_two_way_bootstrap_without_resampling(m, R, record):
    generator, ratio = rng(21), []
    for _ in range(12):
        queries, _ = crossed(generator, m=m, R=R, target=0.7, record=record)
        slow, fast = auc_interval_two_way(*queries, rng=generator, n_boot=1000), auc_interval_crossed(*queries)
        assert (fast.estimate, fast.n) == (pytest.approx(slow.estimate, abs=1e-12), slow.n)
        ratio.append((logit(fast.high) - logit(fast.low)) / (logit(slow.high) - logit(slow.low)))
    assert np.mean(ratio) == pytest.approx(1, abs=0.06)


@pytest.mark.parametrize(("target", "record"), [(0.5, 1.0), (0.5, 0.0), (0.85, 1.0)])
def test_the_crossed_interval_covers_fixed_pools(target, record):
    generator, covered = rng(22), 0
    for _ in range(400):
        queries, truth = crossed(generator, m=10, R=20, target=target, record=record)
        interval = auc_interval_crossed(*queries)
        covered += interval.low <= truth <= interval.high
    assert covered >= 0.94 * 400 - 7


def test_two_way_raises_no_alarm_and_finds_a_leak():
    generator, alarms, found = rng(6), 0, 0
    for _ in range(200):
        null = auc_interval_two_way(
            *crossed(generator, m=8, R=15, target=0.5, record=0.7)[0], rng=generator, n_boot=200
        )
        leak = auc_interval_two_way(
            *crossed(generator, m=8, R=30, target=0.8, record=0.3)[0], rng=generator, n_boot=200
        )
        alarms += not null.low <= 0.5 <= null.high
        found += leak.low > 0.5
    assert alarms <= 10 + 9
    assert found >= 180


@pytest.mark.parametrize(
    ("name", "low", "high"), [("delong", 0.87, 0.96), ("percentile", 0.88, 0.97), ("bca", 0.88, 0.97)]
)
def test_secondary_intervals_cover_as_their_docstrings_say(name, low, high):
    generator, covered = rng(9), 0
    for _ in range(250):
        *queries, truth = simulated(generator, m=10, target=0.75)
        interval = SECONDARY[name](queries, generator, 200)
        covered += interval.low <= truth <= interval.high
    assert low <= covered / 250 <= high


@pytest.mark.parametrize("name", SECONDARY)
def test_conventions(name):
    interval = SECONDARY[name]
    score, original = np.repeat([1.0, 0.0], 7), np.tile(np.arange(7), 2)
    top = interval((score, score == 1, original), rng(), 200)
    assert (top.estimate, top.low, top.high, top.n) == (1, pytest.approx(0.025 ** (1 / 7)), 1, 7)
    assert top.method.startswith("clopper-pearson on originals")
    assert interval((score, score == 0, original), rng(), 200).low == 0
    few = interval((score, score == 1, original % 5), rng(), 200)
    assert (few.low, few.high) == (None, None)
    assert few.note.startswith("no interval: at least 6 originals")
    tied = interval((np.zeros(14), score == 1, original), rng(), 200)
    assert (tied.estimate, tied.low) == (0.5, pytest.approx(0.025 ** (1 / 7) / 2))
    assert tied.method.endswith("Stringer's bounds as few differ")
    with pytest.raises(ValueError, match="There must be deleted and unseen queries"):
        interval((score, score < 2, original), rng(), 200)


def test_draws_come_from_the_generator_alone():
    *queries, _ = simulated(rng(3), m=8, pairs=4, target=0.7)
    for name in ("percentile", "bca", "two-way"):
        assert SECONDARY[name](queries, rng(1), 200) == SECONDARY[name](queries, rng(1), 200)
        assert SECONDARY[name](queries, rng(1), 200) != SECONDARY[name](queries, rng(2), 200)


def test_bootstrap_arguments_are_checked():
    score, original = np.repeat([1.0, 0.0], 7), np.tile(np.arange(7), 2)
    with pytest.raises(ValueError, match="`n_boot` must be at least 100, got 99"):
        bca_by_original(score, score == 1, original, rng=rng(), n_boot=99)
    with pytest.raises(ValueError, match=r"`record` must have shape \(14,\)"):
        auc_interval_two_way(score, score == 1, original, [0], rng=rng())
    one = np.array([True, True] + [False] * 8)
    interval = bca_by_original([0.5, 3.0, *range(8)], one, [0, 0, *range(8)], rng=rng(), n_boot=100)
    assert interval.note == "no interval: one original holds all queries of a role"
