"""The planted control: a leak of known size, which an audit must find."""

import numpy as np
from numpy.typing import ArrayLike

from aftertrace.statistics import _validate
from aftertrace.statistics._validate import Floats

PLANTED_AUC = 0.65
_OF_TWO = 2 / 3  # the AUC of the larger of two scores against one of the same law


def planted_leak(
    score: ArrayLike,
    called_deleted: ArrayLike,
    original: ArrayLike,
    *,
    auc: float = PLANTED_AUC,
    rng: np.random.Generator,
) -> Floats:
    """Scores of queries with exchangeable roles, changed so that those called deleted stand out with this AUC.

    `score` [Q], `called_deleted` [Q] bool, `original` [Q], as of the unseen/unseen control. Scores become ranks with
    ties broken at random. Of those called deleted a share `6 auc - 3` then takes the larger of its own and of another
    one's of the same original, which wins against an unseen one with probability 2/3, whatever the law of scores:
    originals keep what they have in common, and so the figure of the control has about the audit's own precision. An
    original with a single query called deleted keeps it as it is. Raises `ValueError` for `auc` outside [1/2, 2/3],
    NaN or arrays that do not fit.
    """
    values = _validate.scores("score", score)
    called = _validate.flags("called_deleted", called_deleted, size=values.size)
    _, code = _validate.codes("original", original, size=values.size)
    if not 0.5 <= auc <= _OF_TWO:
        raise ValueError(f"`auc` must lie in [1/2, 2/3], got {auc}.")
    rank = np.empty(values.size)
    rank[np.lexsort((rng.random(values.size), values))] = np.arange(values.size)
    rows = np.flatnonzero(called)
    rows = rows[np.lexsort((rng.random(rows.size), code[rows]))]  # by original, at random within one
    other = np.roll(rows, -1)
    last = code[other] != code[rows]
    first = np.searchsorted(code[rows], code[rows])
    other[last] = rows[first[last]]  # the next one of the same original, in a circle
    lifted = rng.random(rows.size) < (auc - 0.5) / (_OF_TWO - 0.5)
    planted = rank.copy()
    planted[rows[lifted]] = np.maximum(rank[rows], rank[other])[lifted]
    return planted
