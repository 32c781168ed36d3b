"""Statistics: how much is exposed, how sure that is, and whether the instrument itself is sound.

Pure functions from scores, roles and units of resampling to frozen records. A larger score means "more likely
deleted", and a query is called deleted when `score > threshold`. `Q` queries, `P` deleted, `n` unseen, `m`
originals, `A` attacks. The independent unit is the *original*: intervals are for new originals, unless they say
that they are conditional on the ones at hand. Scores may be infinite; NaN is a `ValueError` everywhere.

    >>> score, is_deleted = [3.0, 1.0, 2.0, 1.5, 0.5, 1.0] * 2, [True, False, True, True, False, False] * 2
    >>> original = [0, 0, 1, 2, 1, 2, 3, 3, 4, 5, 4, 5]
    >>> interval = auc_interval(score, is_deleted, original)
    >>> interval.estimate, interval.n, round(interval.low, 3)
    (1.0, 6, 0.541)
"""

from aftertrace.statistics._clopper_pearson import clopper_pearson
from aftertrace.statistics._conditional import auc_interval_one_pair
from aftertrace.statistics._controls import exchanged_roles, split_unseen
from aftertrace.statistics._degradation import Degradation, degradation
from aftertrace.statistics._jackknife import MIN_ORIGINALS, auc_by_original, auc_interval, rate_interval
from aftertrace.statistics._multiple import holm
from aftertrace.statistics._rates import (
    RateAtFpr,
    balanced_accuracy,
    best_threshold,
    conformal_threshold,
    rate_at_fpr,
)
from aftertrace.statistics._records import Interval, TestResult
from aftertrace.statistics._roc import Curve, auc, roc_curve
from aftertrace.statistics._signflip import sign_flip_test, sign_flip_tests

__all__ = [
    "MIN_ORIGINALS",
    "Curve",
    "Degradation",
    "Interval",
    "RateAtFpr",
    "TestResult",
    "auc",
    "auc_by_original",
    "auc_interval",
    "auc_interval_one_pair",
    "balanced_accuracy",
    "best_threshold",
    "clopper_pearson",
    "conformal_threshold",
    "degradation",
    "exchanged_roles",
    "holm",
    "rate_at_fpr",
    "rate_interval",
    "roc_curve",
    "sign_flip_test",
    "sign_flip_tests",
    "split_unseen",
]
