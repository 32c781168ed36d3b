"""The account of DP-SGD against formulas of its own: Renyi divergences in closed form, and exact single mechanisms."""

import sys
from math import comb, log

import dp_accounting
import numpy as np
import pytest
from dp_accounting import rdp
from scipy.optimize import brentq
from scipy.special import logsumexp, xlog1py, xlogy
from scipy.stats import norm

from aftertrace.errors import UnsupportedError
from aftertrace.trainers import _accounting
from aftertrace.trainers._accounting import dp_sgd_epsilon, noise_for

ORDERS = tuple(range(2, 80))
SETTINGS = [(1.2, 0.001, 1000), (1.0, 0.05, 400), (3.0, 0.5, 100), (1.5, 1.0, 1)]  # noise, sample rate, steps


def renyi_epsilon(noise, rate, steps, delta):
    """I. Mironov, K. Talwar, L. Zhang (2019), section 3.3, and C. Canonne, G. Kamath, T. Steinke (2020), prop. 12."""
    best = np.inf
    for a in ORDERS:
        terms = [
            log(comb(a, k)) + xlogy(k, rate) + xlog1py(a - k, -rate) + k * (k - 1) / (2 * noise**2)
            for k in range(a + 1)
        ]
        divergence = steps * logsumexp(terms) / (a - 1)
        best = min(best, divergence + np.log1p(-1 / a) - np.log(delta * a) / (a - 1))
    return best


def gaussian_epsilon(noise, delta):
    """B. Balle, Y.-X. Wang (ICML 2018), theorem 8: exact for one Gaussian mechanism of sensitivity 1."""
    half = 1 / (2 * noise)
    return brentq(
        lambda e: norm.cdf(half - e * noise) - np.exp(e) * norm.cdf(-half - e * noise) - delta, 0, 100, xtol=1e-10
    )


def one_sampled_step_epsilon(noise, rate, delta):
    """Exact: (1 - q) N(0, s) + q N(1, s) against N(0, s), whose likelihood ratio grows with the outcome."""

    def excess(e):
        t = noise**2 * np.log((np.expm1(e) + rate) / rate) + 0.5  # where the ratio is e^e
        here = norm.sf(t / noise)
        return (1 - rate) * here + rate * norm.sf((t - 1) / noise) - np.exp(e) * here - delta

    return brentq(excess, 1e-9, 50, xtol=1e-10)


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_closed_form_agrees_with_the_renyi_accountant_and_is_not_below_ours(setting):
    noise, rate, steps = setting
    own = renyi_epsilon(noise, rate, steps, 1e-5)
    event = dp_accounting.PoissonSampledDpEvent(rate, dp_accounting.GaussianDpEvent(noise))
    theirs = rdp.RdpAccountant(ORDERS).compose(dp_accounting.SelfComposedDpEvent(event, steps)).get_epsilon(1e-5)
    assert own == pytest.approx(theirs, rel=1e-9)
    ours = dp_sgd_epsilon(noise_multiplier=noise, sample_rate=rate, steps=steps, delta=1e-5)
    assert 0.2 * own < ours < own


@pytest.mark.parametrize(("noise", "steps"), [(1.5, 1), (0.7, 1), (20.0, 400)])
def test_without_sampling_it_is_the_exact_gaussian_mechanism(noise, steps):
    exact = gaussian_epsilon(noise / np.sqrt(steps), 1e-5)
    ours = dp_sgd_epsilon(noise_multiplier=noise, sample_rate=1.0, steps=steps, delta=1e-5)
    assert exact <= ours < exact + 2e-3


@pytest.mark.parametrize(("noise", "rate"), [(1.0, 0.05), (0.7, 0.3)])
def test_a_single_sampled_step_is_exact(noise, rate):
    exact = one_sampled_step_epsilon(noise, rate, 1e-5)
    ours = dp_sgd_epsilon(noise_multiplier=noise, sample_rate=rate, steps=1, delta=1e-5)
    assert exact <= ours < exact + 2e-3


@pytest.mark.parametrize(("epsilon", "rate", "steps"), [(8.0, 0.05, 200), (1.0, 1.0, 5)])
def test_noise_for_is_enough_and_hardly_more(epsilon, rate, steps):
    setting = {"sample_rate": rate, "steps": steps, "delta": 1e-5}
    noise = noise_for(epsilon=epsilon, **setting)
    assert dp_sgd_epsilon(noise_multiplier=noise, **setting) <= epsilon
    assert dp_sgd_epsilon(noise_multiplier=noise / 1.01, **setting) > epsilon


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"noise_multiplier": 0.0}, "`noise_multiplier` must be a positive number, got 0.0."),
        ({"sample_rate": 0.0}, r"`sample_rate` must be a probability in \(0, 1\], got 0.0."),
        ({"steps": 0}, "`steps` must be at least 1, got 0."),
        ({"delta": 0.0}, r"`delta` must be a probability in \(0, 1\), got 0.0."),
    ],
)
def test_arguments_out_of_range(change, message):
    setting = {"noise_multiplier": 1.0, "sample_rate": 0.1, "steps": 1, "delta": 1e-5, **change}
    with pytest.raises(ValueError, match=message):
        dp_sgd_epsilon(**setting)


def test_an_epsilon_that_no_noise_reaches_is_refused(monkeypatch):
    with pytest.raises(ValueError, match="`epsilon` must be a positive number"):
        noise_for(epsilon=-1.0, sample_rate=0.1, steps=1, delta=1e-5)
    monkeypatch.setattr(_accounting, "_MOST_NOISE", 8.0)
    with pytest.raises(ValueError, match="are not enough for 0.75. Take fewer steps or a lower rate."):
        noise_for(epsilon=0.75, sample_rate=1.0, steps=50, delta=1e-5)


def test_without_dp_accounting_it_says_how_to_go_on(monkeypatch):
    monkeypatch.setitem(sys.modules, "dp_accounting", None)
    with pytest.raises(UnsupportedError, match=r"pip install aftertrace\[dp\]"):
        dp_sgd_epsilon(noise_multiplier=1.2345, sample_rate=0.1, steps=3, delta=1e-5)
