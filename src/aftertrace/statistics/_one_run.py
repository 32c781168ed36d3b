"""A lower bound on epsilon from many canaries in a single training, each with a coin of its own."""

from operator import index

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtrc, expit

from aftertrace.statistics import _validate
from aftertrace.statistics._epsilon import EpsilonBound, _levels

TOLERANCE = 1e-9


def one_run_guesses(score: ArrayLike, is_member: ArrayLike, *, n_guesses: int, rng: np.random.Generator) -> int:
    """How many of `n_guesses` are correct: the top half of the canaries by score guessed in, the bottom half out.

    `score` [C], larger: more likely in; `is_member` [C] bool: the coin's outcome; on the others no guess is made. Of
    an odd number the top has one more. Ties are broken at random, so that the order of the canaries tells nothing.
    Raises `ValueError` unless 1 <= n_guesses <= C, and for NaN.
    """
    values = _validate.scores("score", score)
    member = _validate.flags("is_member", is_member, size=values.size)
    if not 1 <= n_guesses <= values.size:
        raise ValueError(f"`n_guesses` must lie between 1 and the number of canaries, {values.size}, got {n_guesses}.")
    ascending = member[np.lexsort((rng.random(values.size), values))]
    n_out = n_guesses // 2
    n_in = n_guesses - n_out
    return int(ascending[values.size - n_in :].sum()) + int((~ascending[:n_out]).sum())


def one_run_p_value(n_correct: int, n_guesses: int, n_canaries: int, *, epsilon: float, delta: float = 0.0) -> float:
    """The largest probability of at least `n_correct` correct guesses under (epsilon, delta)-differential privacy.

    Every canary of `n_canaries` (C) is in by a fair coin of its own; `n_guesses` (r) are made, the rest abstained
    from; v = `n_correct`. With B ~ Binomial(r, e^epsilon / (1 + e^epsilon)):
    p = P[B >= v] + 2 C delta max_i P[v > B >= v - i] / i, at most 1.

    Source: T. Steinke, M. Nasr, M. Jagielski, NeurIPS 2023 (arXiv 2305.08846), the main theorem. Raises
    `ValueError` unless 0 <= v <= r <= C and epsilon >= 0.
    """
    v, r, C = _counts(n_correct, n_guesses, n_canaries)
    _levels(delta, 0.5)
    if not epsilon >= 0:
        raise ValueError(f"`epsilon` must be at least 0, got {epsilon}.")
    return _p_value(v, r, C, epsilon, delta)


def epsilon_one_run(
    n_correct: int, n_guesses: int, n_canaries: int, *, delta: float = 0.0, confidence: float = 0.95
) -> EpsilonBound:
    """The largest epsilon that a single training with many canaries refutes.

    Of `n_canaries` canaries, `n_correct` of `n_guesses` guesses whether they were in were right (`one_run_guesses`);
    abstained canaries count in `n_canaries`. Valid only where every canary was put in or left out by a fair coin of
    its own, the guesses see nothing but scores, and `n_guesses` was fixed in advance. A deletion fits: each canary's
    coin decides whether it is in the original, and all that were in are deleted. Counts cannot show how the
    coins fell: the caller vouches for them. Not valid: members chosen by hand, a fixed number of them, roles taken
    from an existing split. The guarantee
    audited is add/remove where the coin decides on a record or nothing, substitution where on one record or another,
    of the two releases together.

    The bound is the largest epsilon with `one_run_p_value` <= 1 - confidence, by bisection. The p-value grows with
    epsilon as long as it is below 1/2, so that all smaller epsilons are refuted too. Source: as there. Deviation: the
    f-DP refinement (arXiv 2410.22235) is left out, since it audits a family of mechanisms, not (epsilon, delta).

    >>> round(epsilon_one_run(90, 100, 100).low, 2)
    1.63
    """
    v, r, C = _counts(n_correct, n_guesses, n_canaries)
    _levels(delta, confidence)
    low = _largest_refuted(v, r, C, delta, 1 - confidence)
    return EpsilonBound(low, delta, confidence, C, "one run with many canaries")


def _largest_refuted(v: int, r: int, C: int, delta: float, error: float) -> float:
    def is_refuted(epsilon: float) -> bool:
        return _p_value(v, r, C, epsilon, delta) <= error

    if not is_refuted(0.0):
        return 0.0
    low, high = 0.0, 1.0
    while is_refuted(high):
        low, high = high, 2 * high
    while high - low > TOLERANCE * high:
        middle = (low + high) / 2
        low, high = (middle, high) if is_refuted(middle) else (low, middle)
    return low


def _p_value(v: int, r: int, C: int, epsilon: float, delta: float) -> float:
    if v == 0:
        return 1.0
    q = float(expit(epsilon))
    reach = float(bdtrc(v - 1, r, q))
    if delta == 0:
        return reach
    i = np.arange(1, v + 1)
    # bdtrc takes no negative count: at least 0 successes are certain.
    extra = np.append(bdtrc(v - i[:-1] - 1, r, q), 1.0) - reach
    return min(1.0, reach + 2 * C * delta * float(np.max(extra / i)))


def _counts(n_correct: int, n_guesses: int, n_canaries: int) -> tuple[int, int, int]:
    v, r, C = index(n_correct), index(n_guesses), index(n_canaries)
    if not 0 <= v <= r <= C or r < 1:
        raise ValueError(
            "There must be at least one guess, no more correct ones than guesses and no more guesses than canaries, "
            f"got {v} correct of {r} guesses on {C} canaries."
        )
    return v, r, C
