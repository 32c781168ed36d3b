"""The interval for a mean difference of shares."""

import numpy as np
import pytest

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


def test_where_no_original_lost_anything_records_say_how_sure_that_is():
    found, records = share_difference(np.zeros(200), original=np.arange(200) // 20), share_difference(np.zeros(200))
    assert (found.estimate, found.n) == (0, 10)
    assert (found.low, found.high) == (records.low, records.high)
    assert found.high > 0.015


def test_where_few_originals_changed_both_bound_it():
    lost = np.zeros(200)
    lost[:3] = 1
    original = np.arange(200) // 20
    found, records = share_difference(lost, original=original), share_difference(lost)
    t_alone = mean_interval(lost.reshape(10, 20).mean(axis=1), confidence=0.95)
    assert found.high == max(records.high, t_alone.high)
    assert found.low == min(records.low, t_alone.low)


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
