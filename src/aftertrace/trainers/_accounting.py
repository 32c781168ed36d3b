"""What DP-SGD guarantees: epsilon from its noise, and noise from epsilon, by the accountant of dp-accounting."""

from functools import cache
from typing import Any

from aftertrace.errors import UnsupportedError

ACCOUNT = "privacy loss distribution of the Poisson-subsampled Gaussian (dp-accounting)"
_FINEST = 1e-4  # dp-accounting's own step between privacy losses; a coarser one gives a larger epsilon, never a smaller
_STEPS_IN_EPSILON = 2000  # in the search for a noise: costs about 1 % of epsilon after 20 000 steps, and saves seconds
_CLOSE = 1.001  # where the search for a noise stops
_MOST_NOISE = 2.0**10


def dp_sgd_epsilon(*, noise_multiplier: float, sample_rate: float, steps: int, delta: float) -> float:
    """Epsilon at `delta` of all steps of DP-SGD together, for one record that is added or removed.

    Each step takes every record with probability `sample_rate`, on its own, and adds Gaussian noise to a sum to which
    a record contributes at most a vector of norm C; `noise_multiplier` is the noise's standard deviation over C. An
    upper bound, tight up to a discretisation of privacy losses in steps of 1e-4, which costs less than .001 for tens
    of steps and some percent of an epsilon near .1 after a thousand. Sources: M. Abadi et al., CCS 2016 (arXiv
    1607.00133), section 3, for the mechanism; A. Koskela, J. Jälkö, A. Honkela, AISTATS 2020 (arXiv 1906.03049), for
    the account, which replaces their moments accountant and is never worse.

    Raises `ValueError` for arguments out of range and `UnsupportedError` where dp-accounting is not installed.

    >>> round(dp_sgd_epsilon(noise_multiplier=2.0, sample_rate=1.0, steps=1, delta=1e-5), 2)
    1.98
    """
    _check_mechanism(sample_rate, steps, delta)
    if not 0 < noise_multiplier < float("inf"):
        raise ValueError(f"`noise_multiplier` must be a positive number, got {noise_multiplier}.")
    return _epsilon(noise_multiplier, sample_rate, steps, delta, _FINEST)


def noise_for(*, epsilon: float, sample_rate: float, steps: int, delta: float) -> float:
    """The least noise multiplier with which DP-SGD is (`epsilon`, `delta`)-private, and up to 1 % more.

    The other way round of `dp_sgd_epsilon`, whose answer for it is at most `epsilon`. Takes seconds, and nothing
    when asked again.

    Raises `ValueError` for arguments out of range, or where no noise multiplier up to 1024 is enough, and
    `UnsupportedError` where dp-accounting is not installed.
    """
    _check_mechanism(sample_rate, steps, delta)
    if not 0 < epsilon < float("inf"):
        raise ValueError(f"`epsilon` must be a positive number, got {epsilon}.")
    return _search(epsilon, sample_rate, steps, delta)


@cache
def _search(epsilon: float, sample_rate: float, steps: int, delta: float) -> float:
    """Bisection: epsilon falls as the noise grows."""
    interval = max(_FINEST, epsilon / _STEPS_IN_EPSILON)

    def is_enough(noise: float) -> bool:
        return _epsilon(noise, sample_rate, steps, delta, interval) <= epsilon

    high = 1.0
    while not is_enough(high):
        high *= 2
        if high > _MOST_NOISE:
            raise ValueError(
                f"`epsilon` must be larger for {steps} steps at sample rate {sample_rate}: noise multipliers up to "
                f"{_MOST_NOISE:.0f} are not enough for {epsilon}. Take fewer steps or a lower rate."
            )
    low = high / 2
    while is_enough(low):
        low, high = low / 2, low
    while high > _CLOSE * low:
        middle = (low * high) ** 0.5
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return high


@cache
def _epsilon(noise: float, sample_rate: float, steps: int, delta: float, interval: float) -> float:
    dp, pld = _dp_accounting()
    gaussian = dp.GaussianDpEvent(noise)
    step = gaussian if sample_rate == 1 else dp.PoissonSampledDpEvent(sample_rate, gaussian)
    accountant = pld.PLDAccountant(dp.NeighboringRelation.ADD_OR_REMOVE_ONE, value_discretization_interval=interval)
    return float(accountant.compose(dp.SelfComposedDpEvent(step, steps)).get_epsilon(delta))


def _dp_accounting() -> tuple[Any, Any]:
    try:
        import dp_accounting
        from dp_accounting import pld
    except ImportError as error:
        raise UnsupportedError(
            "Privacy accounting needs dp-accounting, which is not installed: pip install aftertrace[dp]."
        ) from error
    return dp_accounting, pld


def _check_mechanism(sample_rate: float, steps: int, delta: float) -> None:
    if not 0 < sample_rate <= 1:
        raise ValueError(f"`sample_rate` must be a probability in (0, 1], got {sample_rate}.")
    if steps < 1:
        raise ValueError(f"`steps` must be at least 1, got {steps}.")
    if not 0 < delta < 1:
        raise ValueError(f"`delta` must be a probability in (0, 1), got {delta}.")
