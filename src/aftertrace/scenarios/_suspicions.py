"""What makes one ask whether what was brought is what it is called. Questions, which change no figure."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import fisher_exact

from aftertrace._figures import share
from aftertrace.posteriors import Kind, Posteriors, Role
from aftertrace.posteriors._correctness import correctness
from aftertrace.statistics import clopper_pearson

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
FEWEST, FEWEST_EASY = 20, 50
"""Deleted and unseen records, of each: fewer tell too little; and where a model is right on all of them."""
RIGHT = 0.995
"""The share of right answers by which unseen records look like those of training, however hard the task is."""
HONEST = 0.98
"""A model that is right so often on new records is not asked about for chance."""
LEVEL, LEVEL_EASY = 0.001, 0.02
"""The chance of a question where unseen records are as new as they should be; and where a model is just so honest."""
OVERRATED = 0.1
"""By so much few models rate themselves above what they do on records that they were fitted to."""
KNOWS = 0.015
"""The share of what there is to know of their classes that models know, however hard the task is."""


@dataclass(frozen=True)
class _Answers:
    """To one query of each record or person: first and last version [n, K], and the true class [n]."""

    first: Array
    last: Array
    label: NDArray[np.int64]

    @property
    def right(self) -> Bools:
        """By the first version. [n]"""
        return correctness(self.first, self.label)[0] == 1

    @property
    def right_last(self) -> Bools:
        """By the last version. [n]"""
        return correctness(self.last, self.label)[0] == 1


def suspicions(table: Posteriors, person: NDArray[np.int64] | None = None) -> Iterator[str]:
    """Whether the original is the model that these records trained, and whether the unseen ones trained it, too.

    One answer counts for each record, or for each `person` [Q]: several of one are not independent, and those who have
    more of them are not all right as often as others.
    """
    if table.kind is Kind.SCORE or len(table.classes) < 2:
        return
    unit = table.record if person is None else person
    deleted, unseen = (_once(table, table.role == role, unit) for role in (Role.DELETED, Role.UNSEEN))
    if len(deleted.label) >= FEWEST and _is_a_stranger(deleted):
        yield (
            f"The original model does not answer as one that the deleted records trained: {_how(deleted)}. Is it so "
            f"poor or so sure of itself, were the deleted records given wrong classes, or are these not its weights, "
            f"its answers not what they are called, or the classes those of others?"
        )
    elif min(len(deleted.label), len(unseen.label)) >= FEWEST and _knows_the_unseen(deleted, unseen):
        yield (
            f"The original model is right on {share(unseen.right.mean())} of the unseen records, and on "
            f"{share(deleted.right.mean())} of the deleted ones; the last version, which these did not train, is on "
            f"{share(deleted.right_last.mean())} of them. Is the task so easy, are the deleted ones harder, did the "
            f"update make them wrong, or were the unseen records trained on? If they were, they are retained ones: the "
            f"figures understate what the original model alone gives away, and may understate what the update does. "
            f"Then bring records that no version was trained on."
        )


def _once(table: Posteriors, rows: Bools, unit: NDArray[np.int64]) -> _Answers:
    """Of those rows the first of each unit."""
    own = np.flatnonzero(rows)[np.unique(unit[rows], return_index=True)[1]]
    values = table.values[own].astype(np.float64)
    return _Answers(first=values[:, 0], last=values[:, -1], label=table.label[own])


def _is_a_stranger(deleted: _Answers) -> bool:
    """Whether the original is far less often right on records that trained it than it says itself, as few models are
    (naive Bayes may be, and any where deleted records had wrong classes); or what it says of a class is hardly larger
    at its records than at others.
    """
    return _is_overrated(deleted) or _knows_nothing(deleted)


def _how(deleted: _Answers) -> str:
    right = f"it is right on {share(deleted.right.mean())} of them"
    if _is_overrated(deleted):
        return f"{right}, where its posteriors promise {share(deleted.first.max(axis=1).mean())}"
    return f"{right}, and its posterior of a class is hardly larger at the class's records than at others"


def _is_overrated(deleted: _Answers) -> bool:
    """By the largest posteriors, which are its own account of how often it is right; labels alone are no account."""
    if np.isin(deleted.first, (0, 1)).all():
        return False
    high = clopper_pearson(int(deleted.right.sum()), len(deleted.right), confidence=1 - 2 * LEVEL).high
    return high is not None and high < deleted.first.max(axis=1).mean() - OVERRATED


def _knows_nothing(deleted: _Answers) -> bool:
    """By the mean distance of the true class's posterior from the class's mean, as a share of what it would be if its
    posteriors were true: a model that says little of a hard task promises little.
    """
    n = len(deleted.label)
    own, mean = np.arange(n), deleted.first.mean(axis=0)
    more = deleted.first[own, deleted.label] - mean[deleted.label]
    promised = (deleted.first * (deleted.first - mean)).sum(axis=1).mean()
    error = more.std(ddof=1) / np.sqrt(n)
    several = (deleted.label != deleted.label[0]).any()
    most = (1 - mean)[deleted.label].mean()
    less = more.mean() + 3 * error < promised / 2 or more.mean() + 2 * error < KNOWS * most
    return bool(several and more.mean() <= 2 * error and less)


def _knows_the_unseen(deleted: _Answers, unseen: _Answers) -> bool:
    """Unseen records are as new to the original as deleted ones are to the last version: it should be right on no more
    of them (Fisher's exact test). And on nearly all only where the task is easy, which takes about 200 to be seen.
    """
    if _is_more_often(unseen.right, deleted.right_last) and _is_more_often(unseen.right_last, deleted.right_last):
        return True
    is_easy = min(deleted.right.mean(), unseen.right.mean()) >= RIGHT
    return bool(is_easy and min(len(deleted.label), len(unseen.label)) >= FEWEST_EASY and _is_beyond(unseen.right))


def _is_more_often(right: Bools, other: Bools) -> bool:
    table = [[right.sum(), (~right).sum()], [other.sum(), (~other).sum()]]
    return float(fisher_exact(table, alternative="greater").pvalue) < LEVEL


def _is_beyond(right: Bools) -> bool:
    low = clopper_pearson(int(right.sum()), len(right), confidence=1 - 2 * LEVEL_EASY).low
    return low is not None and low > HONEST
