"""What a defense costs those who use the model."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aftertrace.errors import PosteriorsError
from aftertrace.posteriors import Kind, Posteriors, Role, correctness
from aftertrace.statistics import MIN_ORIGINALS, Interval, mean_interval


@dataclass(frozen=True, kw_only=True)
class UtilityCost:
    """Of the last version's answers at unseen records, without and with the defense; `queries` of them, or persons.

    `accuracy_lost`, `brier_added`: paired differences, means of originals' means; the Brier score is the mean squared
    distance of the posteriors from the truth, from 0 to 2.
    """

    queries: int
    accuracy: float
    defended_accuracy: float
    accuracy_lost: Interval
    brier_added: Interval


def utility_cost(
    undefended: Posteriors,
    defended: Posteriors,
    *,
    unit: NDArray[np.int64] | None = None,
    confidence: float = 0.95,
) -> UtilityCost:
    """Accuracy and Brier score that a defense costs, with t intervals over originals (from 6 on; below, none).

    `unit` [Q]: which queries count together, as the records of a person at a pair do, by their mean.

    All unseen queries count, held-out ones too. Where several posteriors are the largest, a user's guess among them is
    right by chance: t equal ones count 1/t. What is released by label only has the same accuracy, unless posteriors are
    equal, and another Brier score, as a rule a larger one.

    Raises `PosteriorsError` unless both tables hold the same queries, unseen ones among them, with a value per class.
    """
    _check(undefended, defended)
    rows = np.flatnonzero(undefended.role == Role.UNSEEN)
    _, first, own = np.unique(rows if unit is None else unit[rows], return_index=True, return_inverse=True)
    _, original = np.unique(undefended.original[rows[first]], return_inverse=True)
    (right, error), (right_then, error_then) = (
        [_means(each, own) for each in correctness(table.values[rows, -1], table.label[rows])]
        for table in (undefended, defended)
    )
    return UtilityCost(
        queries=len(first),
        accuracy=float(right.mean()),
        defended_accuracy=float(right_then.mean()),
        accuracy_lost=_interval(right - right_then, original, confidence),
        brier_added=_interval(error_then - error, original, confidence),
    )


def _check(undefended: Posteriors, defended: Posteriors) -> None:
    if Kind.SCORE in (undefended.kind, defended.kind):
        raise PosteriorsError("The cost of a defense needs a value per class, and a table holds one score per record.")
    same = undefended.classes == defended.classes and all(
        np.array_equal(getattr(undefended, name), getattr(defended, name))
        for name in ("record", "label", "original", "pair", "member")
    )
    if not same:
        raise PosteriorsError(
            f"Both tables must hold the same queries in the same order, without and with the defense; got two that "
            f"differ in records, labels, models or classes ({len(undefended)} and {len(defended)} queries)."
        )
    if not (undefended.role == Role.UNSEEN).any():
        raise PosteriorsError("The cost of a defense is measured on unseen queries; got none.")


def _means(values: NDArray[np.float64], group: NDArray[np.intp]) -> NDArray[np.float64]:
    return np.bincount(group, values) / np.bincount(group)


def _interval(difference: NDArray[np.float64], original: NDArray[np.intp], confidence: float) -> Interval:
    means = _means(difference, original)
    m, estimate = len(means), float(means.mean())
    if m < MIN_ORIGINALS:
        note = f"no interval: at least {MIN_ORIGINALS} originals are needed, got {m}"
        return Interval(estimate, None, None, confidence, m, "none", note)
    return mean_interval(means, confidence=confidence)
