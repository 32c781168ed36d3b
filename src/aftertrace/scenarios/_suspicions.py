"""What makes one ask whether what was brought is what it is called."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.stats import fisher_exact

from aftertrace._figures import share
from aftertrace.posteriors import Kind, Posteriors, Role
from aftertrace.posteriors._correctness import correctness
from aftertrace.statistics import clopper_pearson

FEWEST = 50
"""Deleted and unseen records, of each: with fewer, models that generalise well are right on all by chance."""
RIGHT = 0.995
"""The share of right answers by which unseen records look like those of training."""
HONEST = 0.98
"""A model that is right so often on new records is not asked about for chance."""
LEVEL = 0.02
"""The chance of a question where a model is just so honest."""


def unseen_suspicions(table: Posteriors, person: NDArray[np.int64] | None = None) -> Iterator[str]:
    """Whether the unseen records were trained on: a question, which changes no figure.

    It is asked where the original is right on nearly all deleted and all unseen records alike, and that is no chance:
    it is right on the unseen ones more often than the last version is on the deleted ones, which did not train that
    one (Fisher's exact test), or more often than `HONEST` (Clopper-Pearson). An easy task passes the second way, which
    takes about 200 unseen records. One answer counts for each record, or for each `person` [Q]: several of one are not
    independent, and those who have more of them are not all right as often as others.
    """
    if table.kind is Kind.SCORE or len(table.classes) < 2:
        return
    unit = table.record if person is None else person
    deleted, unseen = (_once(table.role == role, unit) for role in (Role.DELETED, Role.UNSEEN))
    first, last = (correctness(table.values[:, version], table.label)[0] == 1 for version in (0, -1))
    if min(len(deleted), len(unseen)) < FEWEST or min(first[deleted].mean(), first[unseen].mean()) < RIGHT:
        return
    if not (_is_more_often(first[unseen], last[deleted]) or _is_beyond(first[unseen])):
        return
    yield (
        f"The original model is right on {share(first[unseen].mean())} of the unseen records, as on "
        f"{share(first[deleted].mean())} of the deleted ones; the last version, which these did not train, is on "
        f"{share(last[deleted].mean())} of them. Is the task so easy, or were the unseen records trained on? If they "
        f"were, they are retained ones: the figures understate what the original model alone gives away, and may "
        f"understate what the update does. Then bring records that no version was trained on."
    )


def _once(rows: NDArray[np.bool_], unit: NDArray[np.int64]) -> NDArray[np.intp]:
    """Of those rows the first of each unit."""
    return np.flatnonzero(rows)[np.unique(unit[rows], return_index=True)[1]]


def _is_more_often(right: np.ndarray, other: np.ndarray) -> bool:
    table = [[right.sum(), (~right).sum()], [other.sum(), (~other).sum()]]
    return float(fisher_exact(table, alternative="greater").pvalue) < LEVEL


def _is_beyond(right: np.ndarray) -> bool:
    low = clopper_pearson(int(right.sum()), len(right), confidence=1 - 2 * LEVEL).low
    return low is not None and low > HONEST
