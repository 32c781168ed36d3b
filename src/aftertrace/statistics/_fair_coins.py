"""A lower bound on epsilon from independent trials whose coins are fair: what scores say about coins, not the reverse.

Under (epsilon, delta)-differential privacy no score says more about a fair coin than the odds e^epsilon, outside of
events of probability delta. So the right ones among `r` guesses are at most as many as binomial ones and those events.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtr, bdtrc, betaincinv, expit, logit

from aftertrace.statistics import _validate
from aftertrace.statistics._epsilon import EpsilonBound, _levels, _trials
from aftertrace.statistics._one_run import one_run_guesses
from aftertrace.statistics._validate import Floats

STEPS = 50  # of bisection
UNFAIR = 1e-6
"""Counts of roles that fair coins give with less than this probability are refused."""


def epsilon_fair_coins(
    score: ArrayLike,
    is_deleted: ArrayLike,
    original: ArrayLike,
    *,
    shares: ArrayLike,
    rng: np.random.Generator,
    delta: float = 0.0,
    confidence: float = 0.95,
) -> EpsilonBound:
    """The best bound over `shares` [T] of trials to guess at, declared in advance, each at a T-th of the error.

    `score` [Q], larger: more likely deleted; `is_deleted` [Q] bool, each by a fair coin of its own; `original` [Q],
    every one once: the trials are independent, as in `epsilon_clopper_pearson`. For each share s the r = s Q trials
    with the most extreme scores are guessed at (`one_run_guesses`: the top half deleted, the bottom half unseen, ties
    at random). With v right ones, the bound is the largest epsilon that leaves at most the error to

        P[D + Binomial(r - D, e^epsilon / (1 + e^epsilon)) >= v],    D ~ Binomial(Q, delta), at most r.

    Why it holds: of each trial's two laws of scores, what exceeds e^epsilon times the other has a mass of at most
    delta; a trial in that part, which happens with probability at most delta, is guessed right, and in the rest the
    coin given the scores has odds of at most e^epsilon. Which trials are guessed at depends on scores alone, and how
    many is fixed.

    One binomial takes the place of two, and the whole of the error goes to it. Measured with shares 1, 1/4 and 1/16:
    the median reaches half of the true epsilon with a fifth to a half of the trials that `epsilon_split` needs. Small
    shares serve Gaussian noise with a small delta, large ones pure differential privacy.

    Source: M. Kairouz, S. Oh, P. Viswanath (2015) for the split of the laws; for the guesses T. Steinke, M. Nasr, M.
    Jagielski (2023), whose theorem lets trials depend on each other and pays for it in delta. Raises `ValueError` as
    `epsilon_bonferroni`, for shares outside (0, 1], and for roles that fair coins would not give.

    >>> score, is_deleted = np.repeat([1.0, 0.0], 50), np.arange(100) < 50
    >>> bound = epsilon_fair_coins(score, is_deleted, np.arange(100), shares=[1.0], rng=np.random.default_rng(0))
    >>> round(bound.low, 2)
    3.49
    """
    _levels(delta, confidence)
    values, deleted, Q = _trials(score, is_deleted, original)
    declared = _validate.scores("shares", shares)
    if not ((declared > 0) & (declared <= 1)).all():
        raise ValueError(f"`shares` must lie in (0, 1], got {declared.tolist()}.")
    _refuse_unfair(int(deleted.sum()), Q)
    error = (1 - confidence) / declared.size
    low = 0.0
    for share in declared:
        r = max(1, int(share * Q))
        v = one_run_guesses(values, deleted, n_guesses=r, rng=rng)
        low = max(low, _largest_refuted(v, r, Q, delta, error))
    return EpsilonBound(low, delta, confidence, Q, f"fair coins, Bonferroni over {declared.size} shares of guesses")


def _largest_refuted(v: int, r: int, Q: int, delta: float, error: float) -> float:
    # Without delta, Clopper-Pearson's lower bound for the rate of right guesses; delta only lowers it.
    low, high = 0.0, max(0.0, float(logit(betaincinv(v, r - v + 1, error)))) if v else 0.0
    if delta == 0 or high == 0:
        return high
    weight = _excess(r, Q, delta)
    if _p_value(v, r, weight, 0.0) > error:
        return 0.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if _p_value(v, r, weight, middle) <= error else (low, middle)
    return low


def _p_value(v: int, r: int, weight: Floats, epsilon: float) -> float:
    """Probability of at least `v` right ones among `r` guesses; `weight` as from `_excess`."""
    d = np.arange(weight.size - 1)
    right = np.where(d < v, bdtrc(np.maximum(v - d - 1, 0), r - d, expit(epsilon)), 1.0)
    return float(weight[:-1] @ right + weight[-1])


def _excess(r: int, Q: int, delta: float) -> Floats:
    """Probabilities of 0, 1, ... of `Q` trials in the excess and, last, of more: counted as if all guesses were right.

    Up to `r`, or so many that what is left is below 1e-9.
    """
    most = min(r, Q, int(Q * delta + 7 * np.sqrt(Q * delta)) + 15)
    below = bdtr(np.arange(most + 1), Q, delta)
    return np.append(np.diff(below, prepend=0.0), 1 - below[-1])


def _refuse_unfair(n_deleted: int, Q: int) -> None:
    probability = min(1.0, 2 * float(bdtr(min(n_deleted, Q - n_deleted), Q, 0.5)))
    if probability < UNFAIR:
        raise ValueError(
            f"`is_deleted` must come from fair coins, which give {n_deleted} deleted of {Q} with a probability of "
            f"{probability:.1g}. For coins that are not fair: `epsilon_split`."
        )
