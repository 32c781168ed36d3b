"""The interval for a mean difference of shares."""

import numpy as np
import pytest
from scipy.stats import beta

from aftertrace.statistics import clopper_pearson, mean_interval, share_difference


def test_where_nothing_is_gained_and_few_lose_the_upper_end_is_near_the_exact_one():
    own = share_difference([1.0] * 3 + [0.0] * 97)
    exact = clopper_pearson(3, 100)
    assert own.estimate == exact.estimate
    assert own.high == pytest.approx(exact.high)
    assert own.low < exact.low  # something may be gained, though nobody here did


def test_no_change_is_not_certain_to_be_none():
    assert share_difference(np.zeros(50)).high == pytest.approx(clopper_pearson(0, 50).high)


def test_ends_are_shares():
    assert share_difference(np.ones(3)).high == 1
    assert share_difference(-np.ones(3)).low == -1


@pytest.mark.parametrize("bad", [[], [[0.0]], [1.5], [np.nan]])
def test_what_is_no_share_is_refused(bad):
    with pytest.raises(ValueError, match="from -1 to 1"):
        share_difference(bad)


@pytest.mark.parametrize(
    ("records", "n"), [(1, 20), (1, 200), (3, 20), (3, 200), (10, 60)], ids=lambda value: f"{value}"
)
def test_it_covers(records, n):
    """Persons with some records each, a tenth of the persons far worse off. Binomial(400, .95): below 366 by .0005."""
    rng, covered = np.random.default_rng(records * n), 0
    truth = 0.1 * 0.5 + 0.9 * 0.01
    for _ in range(400):
        chance = np.where(rng.random(n) < 0.1, 0.5, 0.01)
        lost = rng.binomial(records, chance) / records
        found = share_difference(lost)
        covered += found.low <= truth <= found.high
    assert covered >= 366


def test_losses_and_gains_that_balance_are_covered():
    rng, covered = np.random.default_rng(5), 0
    for _ in range(400):
        found = share_difference(rng.choice([-1.0, 0.0, 1.0], 40, p=[0.05, 0.9, 0.05]))
        covered += found.low <= 0 <= found.high
    assert 366 <= covered < 400


# Several originals


def test_of_originals_it_is_students_interval_of_their_means():
    lost = np.random.default_rng(2).choice([-1.0, 0.0, 1.0], 400, p=[0.2, 0.5, 0.3])
    found = share_difference(lost, original=np.arange(400) // 50)
    expected = mean_interval(lost.reshape(8, 50).mean(axis=1), confidence=0.95)
    assert found == expected


@pytest.mark.parametrize("m", [6, 10, 20, 40])
def test_where_no_original_lost_anything_a_rare_one_may_lose_all(m):
    found = share_difference(np.zeros(30 * m), original=np.arange(30 * m) // 30)
    most = 1 - 0.025 ** (1 / m)  # so many originals may lose all, and none of m be met
    assert (found.estimate, found.n) == (0, m)
    assert (found.low, found.high) == (pytest.approx(-most), pytest.approx(most))


def test_so_many_originals_exclude_a_loss_of_one_in_fifty():
    ends = {m: share_difference(np.zeros(m), original=np.arange(m)).high for m in (182, 183)}
    assert ends[183] < 0.02 < ends[182]


def test_where_few_originals_changed_stringer_bounds_it():
    lost, original = np.zeros(200), np.arange(200) // 20
    lost[[0, 20, 40]] = 1
    found = share_difference(lost, original=original)
    p = beta.ppf(0.975, np.arange(4) + 1, 10 - np.arange(4))
    assert found.high == pytest.approx(p[0] + (p[3] - p[0]) * 0.05)
    assert found.low == pytest.approx(-p[0])
    assert found.method.endswith("Stringer's bounds as few differ")


def test_where_records_changed_in_many_originals_records_and_variance_bound_it():
    """In eight of ten a record is lost and one gained, in two only lost: their means are alike, the records are not."""
    lost = np.zeros((10, 50))
    lost[:, 0] = 1
    lost[:8, 1] = -1
    original = np.arange(500) // 50
    found, records = share_difference(lost.ravel(), original=original), share_difference(lost.ravel())
    t_alone = mean_interval(lost.mean(axis=1), confidence=0.95)
    assert found.high == max(records.high, t_alone.high)
    assert found.low == min(records.low, t_alone.low)
    assert found.high < 0.03


def test_where_all_records_of_an_original_fare_alike_they_are_not_independent():
    found = share_difference(np.ones(400), original=np.arange(400) // 40)
    assert (found.low, found.high) == (pytest.approx(2 * 0.025**0.1 - 1), 1)


@pytest.mark.parametrize(
    ("m", "records", "chance", "loss"),
    [(10, 100, 0.1, 0.3), (10, 100, 0.05, 0.4), (20, 50, 0.05, 0.4), (40, 50, 0.05, 0.4)],
)
def test_a_rare_original_that_loses_much_rarely_passes(m, records, chance, loss):
    """The limit lies .01 below the truth: at most 18 of 200 may pass, and at 95 % at least 181 be covered."""
    rng, passed, covered, truth = np.random.default_rng(m), 0, 0, chance * loss
    original = np.repeat(np.arange(m), records)
    for _ in range(200):
        loses = np.where(rng.random(m) < chance, loss, 0)[original]
        found = share_difference((rng.random(original.size) < loses).astype(float), original=original)
        passed += found.high <= truth - 0.01
        covered += found.low <= truth <= found.high
    assert passed <= 18
    assert covered >= 181


def test_small_losses_of_independent_records_stay_within_small_limits():
    """Ten originals with 40 records, 1 in 50 of which are lost and as many gained, nearly always keep .05."""
    rng, within = np.random.default_rng(3), 0
    for _ in range(200):
        lost = rng.choice([1.0, -1.0, 0.0], 400, p=[0.02, 0.02, 0.96])
        within += share_difference(lost, original=np.arange(400) // 40).high <= 0.05
    assert within >= 180


def test_below_six_originals_there_is_none_and_of_one_its_records():
    found = share_difference(np.zeros(30), original=np.arange(30) % 5)
    assert (found.low, found.high, found.note) == (None, None, "no interval: at least 6 originals are needed, got 5")
    assert share_difference(np.zeros(30), original=np.zeros(30)) == share_difference(np.zeros(30))


def test_changes_of_one_in_a_hundred_records_are_covered():
    """Ten originals with 20 records each: often nothing changes in any, or in a few. Binomial(400, .95)."""
    rng, covered = np.random.default_rng(7), 0
    for _ in range(400):
        found = share_difference((rng.random(200) < 0.01).astype(float), original=np.arange(200) // 20)
        covered += found.low <= 0.01 <= found.high
    assert covered >= 366
