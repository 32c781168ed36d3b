"""How many originals decide: variance of the pooled AUC between and within originals, and the power it gives."""

import math
from dataclasses import dataclass
from operator import index

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logit, nctdtr, stdtrit

from aftertrace.statistics import _validate
from aftertrace.statistics._alike import units_needed
from aftertrace.statistics._concordance import ranks, wins
from aftertrace.statistics._jackknife import MIN_ORIGINALS
from aftertrace.statistics._validate import Floats, Ints

MOST_ORIGINALS = 10**7


@dataclass(frozen=True)
class VarianceComponents:
    """What a pilot says about the variance of the pooled AUC: (between + within / pairs per original) / originals.

    `between`, `within`: variances of a pair's influence on the AUC, between originals and within one. `n` counts the
    pilot's originals, `n_pairs` its pairs.
    """

    auc: float
    between: float
    within: float
    n: int
    n_pairs: int

    def standard_error(self, *, n_originals: int, pairs: int) -> float:
        """Predicted for the AUC of `n_originals` with `pairs` each."""
        return math.sqrt((self.between + self.within / pairs) / n_originals)


def variance_components(
    score: ArrayLike, is_deleted: ArrayLike, original: ArrayLike, pair: ArrayLike
) -> VarianceComponents:
    """Variance of the pooled AUC between and within originals, from a pilot audit.

    `score` [Q]; `is_deleted` [Q] bool; `original` [Q]; `pair` [Q], labels unique across originals. A pair's influence
    is the sum of its queries' (placement - AUC), deleted over the number of all deleted and unseen over that of all
    unseen, times the number of pairs; one-way analysis of variance of it, a negative component between originals set
    to 0. Exact for balanced audits, with equally many queries of a role in every pair; approximate for others.

    Source: placements as in DeLong (1988); S. Searle et al., Variance Components (1992). Raises
    `ValueError` for fewer than 2 originals, one pair for every original (within cannot be told apart), a pair in two
    originals, a role without queries, NaN or arrays that do not fit.
    """
    values = _validate.scores("score", score, at_least=0)
    deleted = _validate.flags("is_deleted", is_deleted, size=values.size)
    _validate.both_roles(deleted)
    _, original_code = _validate.codes("original", original, size=values.size)
    _, pair_code = _validate.codes("pair", pair, size=values.size)
    owner = _owners(original_code, pair_code)
    P = int(deleted.sum())
    size = np.where(deleted, P, values.size - P)
    placement = wins(ranks(values), deleted) / (values.size - size)
    estimate = float(placement[deleted].mean())
    share = np.bincount(pair_code, weights=(placement - estimate) / size).astype(np.float64, copy=False)
    influence = owner.size * share
    between, within = _components(influence, owner)
    return VarianceComponents(estimate, between, within, int(owner.max()) + 1, owner.size)


def originals_needed(
    pilot: VarianceComponents, *, limit: float, pairs: int, power: float = 0.8, confidence: float = 0.95
) -> int | None:
    """How many originals, with `pairs` each, put `limit` outside the interval of `auc_interval` with this power.

    `limit`: an AUC, on either side of the pilot's, which is taken as the truth, as are its variance components. A lucky
    pilot therefore asks for too few: measured with a true AUC of .63 against .5 and `power` .8, pilots of 10 originals
    gave a true power of .44 to 1 (10 to 90 % of pilots, median .83), of 30 .56 to .98, of 100 .68 to .93.

    The power is that of the t test on the logit scale (noncentral t, m - 1 degrees of freedom). Of a pilot without any
    variance, as when no output moved: as many as would do if they are all alike. At least 6; None where the pilot's AUC
    is the limit, or 10 million originals would not do.

    Raises `ValueError` for `limit`, `power` or `confidence` outside (0, 1), `pairs` below 1, or a pilot with AUC 0 or
    1, whose variance says nothing.
    """
    for name, value in (("limit", limit), ("power", power), ("confidence", confidence)):
        _validate.proportion(name, value)
    k = index(pairs)
    if k < 1:
        raise ValueError(f"`pairs` must be at least 1, got {k}.")
    if not 0 < pilot.auc < 1:
        raise ValueError(f"The pilot's AUC must lie between 0 and 1, both excluded, got {pilot.auc:g}.")
    distance = abs(float(logit(pilot.auc) - logit(limit)))
    error = pilot.standard_error(n_originals=1, pairs=k) / (pilot.auc * (1 - pilot.auc))
    if distance == 0:
        return None

    def decides(m: int) -> bool:
        if error == 0:
            return m >= units_needed(pilot.auc, limit, confidence=confidence)
        return _power(distance / error * math.sqrt(m), m, confidence) >= power

    if not decides(MOST_ORIGINALS):
        return None
    low, high = MIN_ORIGINALS - 1, MOST_ORIGINALS  # the power grows with m
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if decides(middle) else (middle, high)
    return high


def _power(shift: float, m: int, confidence: float) -> float:
    # Far out SciPy's noncentral t gives NaN; there the power is 1 to the last digit.
    if shift > 30:
        return 1.0
    return 1 - float(nctdtr(m - 1, shift, stdtrit(m - 1, (1 + confidence) / 2)))


def _owners(original: Ints, pair: Ints) -> Ints:
    """The original of each pair. [pairs]"""
    owner = np.zeros(int(pair.max()) + 1, dtype=np.int64)
    owner[pair] = original
    if (owner[pair] != original).any():
        raise ValueError("`pair` must belong to one original; label pairs uniquely across originals.")
    m = int(original.max()) + 1
    if not 2 <= m < owner.size:
        raise ValueError(
            f"A pilot needs at least 2 originals and one of several pairs, got {m} and {owner.size} pairs."
        )
    return owner


def _components(value: Floats, group: Ints) -> tuple[float, float]:
    """Variance between and within groups by one-way analysis of variance; values of mean 0."""
    size = np.bincount(group)
    mean = np.bincount(group, weights=value) / size
    n, m = value.size, size.size
    within = float(np.sum((value - mean[group]) ** 2)) / (n - m)
    between = float(np.sum(size * (mean - value.mean()) ** 2)) / (m - 1)
    typical = (n - float(np.sum(size**2)) / n) / (m - 1)
    return max(0.0, (between - within) / typical), within
