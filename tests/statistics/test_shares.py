"""The interval for a mean difference of shares."""

import numpy as np
import pytest

from aftertrace.statistics import clopper_pearson, share_difference


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
