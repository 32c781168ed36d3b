"""The t interval of a mean."""

import numpy as np
import pytest
from scipy import stats

from aftertrace.statistics import mean_interval


def test_it_is_students():
    values = np.random.default_rng(0).normal(0.6, 0.1, 12)
    found = mean_interval(values, confidence=0.9)
    expected = stats.t.interval(0.9, 11, values.mean(), stats.sem(values))
    assert (found.estimate, found.low, found.high, found.n) == pytest.approx((values.mean(), *expected, 12))


def test_it_covers():
    values = np.random.default_rng(1).normal(size=(2000, 6))
    found = [mean_interval(row, confidence=0.95) for row in values]
    share = np.mean([each.low <= 0 <= each.high for each in found])
    assert abs(share - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 2000)


def test_one_value_has_none():
    with pytest.raises(ValueError, match="at least 2 values, got 1"):
        mean_interval(np.ones(1), confidence=0.95)
