"""What the update costs those who use the model."""

import math

import numpy as np
from numpy.typing import NDArray

from aftertrace.posteriors import Kind, Posteriors, Role, correctness
from aftertrace.results import UpdateCost
from aftertrace.statistics import MIN_ORIGINALS, Interval, clopper_pearson, mean_interval


def update_cost(table: Posteriors, *, confidence: float) -> UpdateCost | None:
    """Accuracy of the first and the last version at all unseen queries; None for scores and where there are none.

    The interval of what was lost is over originals (from 6 on; below, none), or with one original over records.
    """
    rows = np.flatnonzero(table.role == Role.UNSEEN)
    if table.kind is Kind.SCORE or not rows.size:
        return None
    before, after = (correctness(table.values[rows, version], table.label[rows])[0] for version in (0, -1))
    _, which = np.unique(table.original[rows], return_inverse=True)
    return UpdateCost(
        queries=len(rows),
        before=float(before.mean()),
        after=float(after.mean()),
        lost=mean_lost(before - after, which, confidence),
    )


def mean_lost(lost: NDArray[np.float64], original: NDArray[np.intp], confidence: float) -> Interval:
    m = int(original.max()) + 1
    if m == 1:
        return _over_records(lost, confidence)
    means = np.bincount(original, lost) / np.bincount(original)
    if m < MIN_ORIGINALS:
        note = f"no interval: at least {MIN_ORIGINALS} originals are needed, got {m}"
        return Interval(float(means.mean()), None, None, confidence, m, "none", note)
    return mean_interval(means, confidence=confidence)


def _over_records(lost: NDArray[np.float64], confidence: float) -> Interval:
    """From the exact intervals of the shares that got worse and better: with few changes t would be far too narrow.

    Source: R. Newcombe, Statistics in Medicine 17 (1998), method 10's combination, with Clopper-Pearson's ends.
    """
    n, estimate = len(lost), float(lost.mean())
    worse, better = (clopper_pearson(int(part.sum()), n, confidence=confidence) for part in (lost > 0, lost < 0))
    low = estimate - math.hypot(worse.estimate - _end(worse.low), _end(better.high) - better.estimate)
    high = estimate + math.hypot(_end(worse.high) - worse.estimate, better.estimate - _end(better.low))
    return Interval(estimate, low, high, confidence, n, "Newcombe over records, conditional on the pair")


def _end(value: float | None) -> float:
    assert value is not None  # Clopper-Pearson's intervals have both
    return value
