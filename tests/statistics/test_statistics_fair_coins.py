"""The bound from fair coins: against brute force, and never above mechanisms of known epsilon too often."""

import numpy as np
import pytest
from scipy.stats import binom, norm

from aftertrace.statistics import epsilon_fair_coins
from aftertrace.statistics._fair_coins import _excess, _largest_refuted, _p_value

SHARES = (1, 1 / 4, 1 / 16)


def brute_p_value(v, r, Q, delta, epsilon):
    """Sum over all numbers of trials in the excess."""
    q = np.exp(epsilon) / (1 + np.exp(epsilon))
    d = np.arange(Q + 1)
    inside = np.minimum(d, r)
    return float(np.sum(binom.pmf(d, Q, delta) * np.where(v <= inside, 1.0, binom.sf(v - inside - 1, r - inside, q))))


@pytest.mark.parametrize("delta", [0.01, 0.1])
@pytest.mark.parametrize(("v", "r", "Q"), [(9, 10, 20), (30, 40, 40), (5, 10, 100), (10, 10, 10)])
@pytest.mark.parametrize("epsilon", [0.0, 0.5, 2.0])
def test_p_values_are_those_of_brute_force(delta, v, r, Q, epsilon):
    ours = _p_value(v, r, _excess(r, Q, delta), epsilon)
    assert ours == pytest.approx(brute_p_value(v, r, Q, delta, epsilon), abs=1e-8)


@pytest.mark.parametrize("delta", [0.0, 0.001])
def test_the_bound_is_where_the_p_value_crosses_the_error(delta):
    low = _largest_refuted(80, 100, 100, delta, 0.05)
    assert brute_p_value(80, 100, 100, delta, low - 1e-6) <= 0.05 + 1e-9
    assert brute_p_value(80, 100, 100, delta, low + 1e-6) > 0.05 - 1e-9
    assert _largest_refuted(50, 100, 100, delta, 0.05) == 0.0
    assert _largest_refuted(0, 100, 100, delta, 0.05) == 0.0


def test_delta_only_lowers():
    bounds = [_largest_refuted(90, 100, 200, delta, 0.05) for delta in (0.0, 1e-6, 1e-3, 1e-2)]
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[1] == pytest.approx(bounds[0], abs=1e-3)


def answers(name, coin, epsilon, rng):
    if name == "randomised response":
        return np.where(rng.random(coin.size) < 1 / (1 + np.exp(epsilon)), ~coin, coin).astype(float)
    return coin + rng.laplace(scale=1 / epsilon, size=coin.size)


@pytest.mark.parametrize("name", ["randomised response", "laplace"])
@pytest.mark.parametrize("epsilon", [0.5, 2.0])
def test_it_exceeds_a_known_epsilon_in_at_most_its_share(name, epsilon):
    bounds = []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        coin = rng.random(300) < 0.5
        score = answers(name, coin, epsilon, rng)
        bounds.append(epsilon_fair_coins(score, coin, np.arange(300), shares=SHARES, rng=rng).low)
    assert np.sum(np.array(bounds) > epsilon) <= 31  # the 99.5 % point of a binomial at 5 %
    assert np.median(bounds) > epsilon / 4


def test_noise_of_gauss_at_its_true_delta():
    sigma, epsilon = 1.0, 1.5
    delta = norm.cdf(0.5 / sigma - epsilon * sigma) - np.exp(epsilon) * norm.cdf(-0.5 / sigma - epsilon * sigma)
    bounds = []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        coin = rng.random(500) < 0.5
        score = coin + sigma * rng.normal(size=500)
        bounds.append(epsilon_fair_coins(score, coin, np.arange(500), shares=SHARES, rng=rng, delta=delta).low)
    assert np.sum(np.array(bounds) > epsilon) <= 25


def test_a_leak_that_is_certain_is_bounded_by_the_number_of_trials():
    coin = np.arange(200) % 2 == 0
    bound = epsilon_fair_coins(coin.astype(float), coin, np.arange(200), shares=[1.0], rng=np.random.default_rng(0))
    assert bound.low == pytest.approx(np.log(0.05 ** (1 / 200) / (1 - 0.05 ** (1 / 200))), abs=1e-9)


def test_roles_that_fair_coins_would_not_give_are_refused():
    deleted = np.arange(100) < 5
    with pytest.raises(ValueError, match="must come from fair coins, which give 5 deleted of 100"):
        epsilon_fair_coins(deleted.astype(float), deleted, np.arange(100), shares=[1.0], rng=np.random.default_rng(0))


@pytest.mark.parametrize("shares", [[0.0], [1.5], []])
def test_shares_are_checked(shares):
    coin = np.arange(20) % 2 == 0
    with pytest.raises(ValueError, match="shares"):
        epsilon_fair_coins(coin.astype(float), coin, np.arange(20), shares=shares, rng=np.random.default_rng(0))


def test_an_original_that_comes_twice_is_refused():
    coin = np.arange(20) % 2 == 0
    with pytest.raises(ValueError, match="original"):
        epsilon_fair_coins(coin.astype(float), coin, np.zeros(20), shares=[1.0], rng=np.random.default_rng(0))
