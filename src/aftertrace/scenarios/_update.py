"""What the update costs those who use the model."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from aftertrace.posteriors import Kind, Posteriors, Role, correctness
from aftertrace.results import UpdateCost
from aftertrace.scenarios._persons import Persons
from aftertrace.statistics import MIN_ORIGINALS, Interval, mean_interval, share_difference


def update_cost(table: Posteriors, *, confidence: float, persons: Persons | None = None) -> UpdateCost | None:
    """Accuracy of the first and the last version at all unseen queries; None for scores and where there are none.

    `persons`: of the queries, each counted once, by the share of his or her records that are classified rightly. The
    interval of what was lost is over originals (from 6 on; below, none), or with one original over records or persons.
    """
    if table.kind is Kind.SCORE:
        return None
    right = np.stack([correctness(table.values[:, version], table.label)[0] for version in (0, -1)], axis=1)
    if persons is not None:
        table, right = persons.table, persons.mean(right)
    rows = np.flatnonzero(table.role == Role.UNSEEN)
    if not rows.size:
        return None
    before, after = right[rows].T
    _, which = np.unique(table.original[rows], return_inverse=True)
    return UpdateCost(
        queries=len(rows),
        before=float(before.mean()),
        after=float(after.mean()),
        lost=mean_lost(before - after, which, confidence),
    )


def mean_lost(lost: NDArray[np.float64], original: NDArray[np.intp], confidence: float) -> Interval:
    """`lost` [n] in -1..1: the share of right answers that each record, or person, of `original` 0..M-1 lost."""
    found = share_difference(lost, original=original, confidence=confidence)
    return found if original.any() else replace(found, method=f"{found.method}, conditional on the pair")


def mean_by_original(values: NDArray[np.float64], original: NDArray[np.intp], confidence: float) -> Interval:
    """Of M originals' means, from 6 on; of one original's values, if there is but one."""
    m = int(original.max()) + 1
    if m == 1 and len(values) > 1:
        found = mean_interval(values, confidence=confidence)
        return replace(found, method="t over one original's values, conditional on the pair")
    means = np.bincount(original, values) / np.bincount(original)
    if m < MIN_ORIGINALS:
        note = f"no interval: at least {MIN_ORIGINALS} originals are needed, got {m}"
        return Interval(float(means.mean()), None, None, confidence, m, "none", note)
    return mean_interval(means, confidence=confidence)
