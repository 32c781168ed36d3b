"""False discoveries, numbers needed, and confidence sequences."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logit, ndtr
from scipy.stats import false_discovery_control, nct, t

from aftertrace.statistics import (
    VarianceComponents,
    auc_by_original,
    auc_interval,
    benjamini_hochberg,
    confidence_sequence,
    holm,
    originals_needed,
    unseen_needed,
    variance_components,
)


def rng(seed=0):
    return np.random.default_rng(seed)


# Benjamini-Hochberg


@settings(derandomize=True, deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.001, 0.01, 0.02, 0.04, 0.3, 1.0]), min_size=1, max_size=9))
def test_benjamini_hochberg_is_scipys(p):
    adjusted = benjamini_hochberg(p)
    np.testing.assert_allclose(adjusted, false_discovery_control(p), rtol=1e-12)
    assert (adjusted >= p).all()
    assert (adjusted <= holm(p) + 1e-12).all()


def test_benjamini_hochberg_controls_false_discoveries_of_conformal_p_values():
    generator, share, found = rng(3), [], 0
    for _ in range(600):
        unseen, score = np.sort(generator.standard_normal(399)), generator.standard_normal(30)
        score[:10] += 3.5
        p = (1 + unseen.size - np.searchsorted(unseen, score)) / (unseen.size + 1)
        rejected = benjamini_hochberg(p) <= 0.1
        share.append(rejected[10:].sum() / max(1, rejected.sum()))
        found += rejected[:10].sum()
    assert np.mean(share) <= 0.1 + 3 * np.std(share) / np.sqrt(600)
    assert found > 0.5 * 6000


def test_benjamini_hochberg_edges():
    assert benjamini_hochberg([]).size == 0
    assert benjamini_hochberg([1.0, 1.0]).tolist() == [1, 1]
    with pytest.raises(ValueError, match=r"`p` must lie in \[0, 1\], got 1.5"):
        benjamini_hochberg([1.5])


@pytest.mark.parametrize("fdr", [0.05, 0.1, 0.3])
@pytest.mark.parametrize(("n_tests", "k"), [(1, 1), (7, 1), (20, 3), (20, 20), (130, 4)])
def test_unseen_needed_is_the_smallest_number(n_tests, k, fdr):
    n = unseen_needed(n_tests, fdr=fdr, n_discoveries=k)

    def found(adjust, unseen, k):
        p = np.ones(n_tests)
        p[:k] = 1 / (unseen + 1)
        return (adjust(p) <= fdr + 1e-12).sum()

    assert found(benjamini_hochberg, n, k) >= k
    assert n == 0 or found(benjamini_hochberg, n - 1, k) < k
    single = unseen_needed(n_tests, fdr=fdr)
    assert found(holm, single, k) >= k
    assert k == n_tests or single == 0 or found(holm, single - 1, k) == 0


def test_unseen_needed_is_checked():
    with pytest.raises(ValueError, match="`n_discoveries` must lie between 1 and `n_tests` = 3, got 4"):
        unseen_needed(3, fdr=0.1, n_discoveries=4)
    with pytest.raises(ValueError, match="`fdr` must lie between 0 and 1, both excluded, got 0"):
        unseen_needed(3, fdr=0)


# Originals needed


def audit(generator, *, m, pairs, leak=0.5, spread=0.5):
    """One deleted and two unseen queries per pair; originals differ in their leak."""
    pair = np.repeat(np.arange(m * pairs), 3)
    original = pair // pairs
    is_deleted = np.arange(pair.size) % 3 == 0
    effect = leak + spread * generator.standard_normal(m)
    return generator.standard_normal(pair.size) + effect[original] * is_deleted, is_deleted, original, pair


def test_components_are_the_analysis_of_variance():
    score, is_deleted, original, pair = audit(rng(1), m=7, pairs=5)
    psi = (score[is_deleted][:, None] > score[~is_deleted]).astype(float)
    estimate = psi.mean()
    placement = np.empty(score.size)
    placement[is_deleted], placement[~is_deleted] = psi.mean(1), psi.mean(0)
    value = np.array(
        [
            (placement[is_deleted & (pair == i)] - estimate).sum()
            + (placement[~is_deleted & (pair == i)] - estimate).sum() / 2
            for i in range(35)
        ]
    ).reshape(7, 5)
    within = value.var(axis=1, ddof=1).mean()
    between = value.mean(axis=1).var(ddof=1) - within / 5
    pilot = variance_components(score, is_deleted, original, pair)
    assert (pilot.auc, pilot.n, pilot.n_pairs) == (pytest.approx(estimate), 7, 35)
    assert pilot.within == pytest.approx(within, rel=1e-10)
    assert pilot.between == pytest.approx(max(between, 0), rel=1e-10, abs=1e-12)


def test_components_predict_the_error_of_other_designs():
    generator = rng(2)
    pilot = variance_components(*audit(generator, m=400, pairs=10))
    for m, pairs in ((20, 3), (10, 30)):
        estimates = [auc_of(audit(generator, m=m, pairs=pairs)) for _ in range(500)]
        assert np.std(estimates) == pytest.approx(pilot.standard_error(n_originals=m, pairs=pairs), rel=0.12)


def auc_of(queries):
    score, is_deleted, original, _ = queries
    return auc_interval(score, is_deleted, original).estimate


def test_no_variance_between_originals_is_not_negative():
    pilot = variance_components(*audit(rng(0), m=300, pairs=4, leak=0.0, spread=0.0))
    assert 0 <= pilot.between < 0.05 * pilot.within
    assert pilot.auc == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(("value", "limit", "pairs"), [(0.6, 0.5, 4), (0.6, 0.7, 1), (0.52, 0.5, 10), (0.9, 0.8, 100)])
def test_originals_needed_is_the_smallest_number(value, limit, pairs):
    pilot = VarianceComponents(value, 0.02, 0.3, 10, 40)
    m = originals_needed(pilot, limit=limit, pairs=pairs)

    def power(m):
        shift = abs(logit(value) - logit(limit)) * value * (1 - value) / np.sqrt((0.02 + 0.3 / pairs) / m)
        return nct.sf(t.ppf(0.975, m - 1), m - 1, shift)

    assert m >= 6
    assert power(m) >= 0.8
    assert m == 6 or power(m - 1) < 0.8


def test_originals_needed_decide_with_the_power_said():
    generator = rng(4)
    pilot = variance_components(*audit(generator, m=2000, pairs=8))
    truth = replace(pilot, auc=float(ndtr(1 / 3)))  # leak .5 over sqrt(2 + .25); a pilot's own may be lucky
    m = originals_needed(truth, limit=0.5, pairs=4)
    low = [auc_interval(*audit(generator, m=m, pairs=4)[:3]).low for _ in range(1000)]
    assert 0.76 <= np.mean(np.array(low) > 0.5) <= 0.86


def test_originals_needed_ends():
    pilot = VarianceComponents(0.6, 0.0, 0.0, 10, 40)
    assert originals_needed(pilot, limit=0.5, pairs=1) == 21
    assert originals_needed(pilot, limit=0.6, pairs=1) is None
    assert originals_needed(VarianceComponents(0.6, 1.0, 1.0, 10, 40), limit=0.6 + 1e-7, pairs=1) is None
    assert originals_needed(VarianceComponents(0.6, 1e-9, 0.0, 10, 40), limit=0.5, pairs=1) == 6
    more = [originals_needed(VarianceComponents(0.6, 0.02, 0.3, 10, 40), limit=0.55, pairs=k) for k in (1, 10, 100)]
    assert more == sorted(more, reverse=True)


def test_planning_is_checked():
    pilot = VarianceComponents(0.6, 0.1, 0.1, 10, 40)
    with pytest.raises(ValueError, match="`limit` must lie between 0 and 1, both excluded, got 1"):
        originals_needed(pilot, limit=1, pairs=1)
    with pytest.raises(ValueError, match="`pairs` must be at least 1, got 0"):
        originals_needed(pilot, limit=0.5, pairs=0)
    with pytest.raises(ValueError, match="pilot's AUC must lie between 0 and 1, both excluded, got 1"):
        originals_needed(VarianceComponents(1.0, 0.1, 0.1, 10, 40), limit=0.5, pairs=1)
    with pytest.raises(ValueError, match="`pair` must belong to one original"):
        variance_components([1, 2, 3, 4], [True, False, True, False], [0, 0, 1, 1], [0, 0, 0, 0])
    for original, pair, numbers in (([0, 0, 1, 1], [0, 0, 1, 1], "2 and 2"), ([0] * 4, [0, 0, 1, 1], "1 and 2")):
        with pytest.raises(ValueError, match=f"one of several pairs, got {numbers} pairs"):
            variance_components([1, 2, 3, 4], [True, False, True, False], original, pair)


# Confidence sequence


def slow_sequence(x, error, grid):
    """Survivors of the hedged capital process, candidate by candidate."""
    alive = np.ones((len(x), grid.size), bool)
    for c, candidate in enumerate(grid):
        up = down = 0.5
        total, squares, before = 0.5, 0.25, 0.25
        out = False
        for i, value in enumerate(x, 1):
            bet = np.sqrt(2 * np.log(2 / error) / (before * i * np.log(i + 1)))
            up *= 1 + min(bet, 0.75 / candidate) * (value - candidate)
            down *= 1 - min(bet, 0.75 / (1 - candidate)) * (value - candidate)
            out = out or max(up, down) >= 1 / error
            alive[i - 1, c] = not out
            total += value
            squares += (value - total / (i + 1)) ** 2
            before = squares / (i + 1)
    return alive


def test_sequence_is_the_hedged_capital_process():
    x = rng(1).beta(4, 2, 40)
    sequence = confidence_sequence(x, confidence=0.9)
    grid = np.linspace(0, 1, 1001)[1:-1]
    alive = slow_sequence(x, 0.1, grid[::9])
    for i in range(40):
        kept = grid[::9][alive[i]]
        assert sequence.low[i] <= kept[0] + 1e-9 <= sequence.low[i] + 0.011 or sequence.low[i] == 0
        assert sequence.high[i] >= kept[-1] - 1e-9 >= sequence.high[i] - 0.011 or sequence.high[i] == 1


NULLS = {
    "coin": (lambda g, m: (g.random(m) < 0.5) * 1.0, 0.5),
    "rare": (lambda g, m: (g.random(m) < 0.03) * 1.0, 0.03),
    "beta": (lambda g, m: g.beta(9, 1, m), 0.9),
    "narrow": (lambda g, m: 0.5 + 0.1 * (g.random(m) - 0.5), 0.5),
}


@pytest.mark.parametrize("null", NULLS)
def test_the_whole_sequence_covers(null):
    draw, mean = NULLS[null]
    generator, runs, missed = rng(8), 250, 0
    for _ in range(runs):
        sequence = confidence_sequence(draw(generator, 100), confidence=0.9)
        missed += bool(((sequence.low > mean) | (sequence.high < mean)).any())
    assert missed <= 0.1 * runs  # alpha, without allowance for chance


def test_a_fixed_interval_looked_at_always_does_not_cover():
    """Why the sequence exists: the t interval after every original misses far more often."""
    x = rng(8).beta(10, 10, (500, 100))
    n = np.arange(1, 101)
    mean = np.cumsum(x, axis=1) / n
    sd = np.sqrt(np.maximum(np.cumsum(x**2, axis=1) / n - mean**2, 1e-12) * n / np.maximum(n - 1, 1))
    half = t.ppf(0.95, np.maximum(n - 1, 1)) * sd / np.sqrt(n)
    assert np.mean((np.abs(mean - 0.5) > half)[:, 5:].any(axis=1)) > 0.3


def test_sequence_finds_a_leak_and_narrows():
    score, is_deleted, original, _ = audit(rng(5), m=60, pairs=20, leak=1.0, spread=0.1)
    _, values = auc_by_original(score, is_deleted, original)
    sequence = confidence_sequence(values)
    assert np.argmax(sequence.low > 0.5) < 20
    assert (np.diff(sequence.low) >= 0).all()
    assert (np.diff(sequence.high) <= 0).all()
    np.testing.assert_allclose(sequence.estimate[-1], values.mean())
    mirrored = confidence_sequence(1 - values)
    np.testing.assert_allclose(mirrored.low, 1 - sequence.high, atol=1e-9)


def test_a_sequence_continued_is_the_sequence_of_all():
    x = rng(6).random(50)
    whole, part = confidence_sequence(x), confidence_sequence(x[:20])
    np.testing.assert_array_equal(whole.low[:20], part.low)
    np.testing.assert_array_equal(whole.high[:20], part.high)


def test_sequence_ends():
    for value in (0.0, 1.0, 0.5):
        sequence = confidence_sequence(np.full(400, value))
        assert (sequence.low <= value).all()
        assert (sequence.high >= value).all()
        assert sequence.high[-1] - sequence.low[-1] < 0.03
    first = confidence_sequence([0.5])
    assert (first.low[0], first.high[0]) == (0, 1)
    jump = confidence_sequence(np.r_[np.zeros(300), np.ones(3000)])  # no mean fits: the last interval stays
    assert jump.low[-1] < jump.high[-1]


@pytest.mark.parametrize(
    ("values", "message"),
    [([], "`values` must hold at least 1 value"), ([np.nan], "must not hold NaN"), ([1.5], r"must lie in \[0, 1\]")],
)
def test_values_are_checked(values, message):
    with pytest.raises(ValueError, match=message):
        confidence_sequence(values)
