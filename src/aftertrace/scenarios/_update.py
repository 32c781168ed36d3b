"""What the update costs those who use the model."""

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
    """Student's t; where every answer is as right as before, what so many records exclude (Clopper and Pearson)."""
    n, method = len(lost), "t over records, conditional on the pair"
    if not lost.any():
        high = clopper_pearson(0, n, confidence=confidence).high
        assert high is not None
        return Interval(0.0, -high, high, confidence, n, "no answer changed: Clopper-Pearson over records")
    if n < 2:
        return Interval(float(lost.mean()), None, None, confidence, n, "none", "no interval: one record only")
    found = mean_interval(lost, confidence=confidence)
    return Interval(found.estimate, found.low, found.high, confidence, n, method)
