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

from aftertrace.statistics._blind import BlindTest, blind_test
from aftertrace.statistics._bootstrap import auc_interval_two_way, bca_by_original, percentile_by_original
from aftertrace.statistics._clopper_pearson import clopper_pearson
from aftertrace.statistics._conditional import auc_interval_one_pair
from aftertrace.statistics._controls import exchanged_roles, split_unseen
from aftertrace.statistics._cross_fitted import cross_fitted_interval
from aftertrace.statistics._crossed import auc_interval_crossed
from aftertrace.statistics._degradation import Degradation, degradation
from aftertrace.statistics._deletions import Deletions, single_deletions
from aftertrace.statistics._delong_clustered import delong_clustered
from aftertrace.statistics._epsilon import (
    EpsilonBound,
    epsilon_bonferroni,
    epsilon_clopper_pearson,
    epsilon_split,
)
from aftertrace.statistics._fair_coins import epsilon_fair_coins
from aftertrace.statistics._jackknife import MIN_ORIGINALS, auc_by_original, auc_interval, rate_interval
from aftertrace.statistics._mann_whitney import mann_whitney
from aftertrace.statistics._matching import Matching, matched_queries
from aftertrace.statistics._mean import mean_interval
from aftertrace.statistics._multiple import benjamini_hochberg, holm, unseen_needed
from aftertrace.statistics._one_run import epsilon_one_run, one_run_guesses, one_run_p_value
from aftertrace.statistics._paired import AucDifference, auc_difference_one_pair
from aftertrace.statistics._planted import PLANTED_AUC, planted_leak
from aftertrace.statistics._power import VarianceComponents, originals_needed, variance_components
from aftertrace.statistics._privacy import (
    CeilingCheck,
    DpGuarantee,
    auc_ceiling,
    check_ceiling,
    dp_compose,
    dp_group,
    dp_substitution,
    tpr_ceiling,
)
from aftertrace.statistics._rates import (
    RateAtFpr,
    balanced_accuracy,
    best_threshold,
    conformal_threshold,
    rate_at_fpr,
)
from aftertrace.statistics._records import Interval, TestResult
from aftertrace.statistics._roc import Curve, auc, roc_curve
from aftertrace.statistics._sequence import ConfidenceSequence, confidence_sequence
from aftertrace.statistics._shares import share_difference
from aftertrace.statistics._signflip import sign_flip_test, sign_flip_tests

__all__ = [
    "MIN_ORIGINALS",
    "PLANTED_AUC",
    "AucDifference",
    "BlindTest",
    "CeilingCheck",
    "ConfidenceSequence",
    "Curve",
    "Degradation",
    "Deletions",
    "DpGuarantee",
    "EpsilonBound",
    "Interval",
    "Matching",
    "RateAtFpr",
    "TestResult",
    "VarianceComponents",
    "auc",
    "auc_by_original",
    "auc_ceiling",
    "auc_difference_one_pair",
    "auc_interval",
    "auc_interval_crossed",
    "auc_interval_one_pair",
    "auc_interval_two_way",
    "balanced_accuracy",
    "bca_by_original",
    "benjamini_hochberg",
    "best_threshold",
    "blind_test",
    "check_ceiling",
    "clopper_pearson",
    "confidence_sequence",
    "conformal_threshold",
    "cross_fitted_interval",
    "degradation",
    "delong_clustered",
    "dp_compose",
    "dp_group",
    "dp_substitution",
    "epsilon_bonferroni",
    "epsilon_clopper_pearson",
    "epsilon_fair_coins",
    "epsilon_one_run",
    "epsilon_split",
    "exchanged_roles",
    "holm",
    "mann_whitney",
    "matched_queries",
    "mean_interval",
    "one_run_guesses",
    "one_run_p_value",
    "originals_needed",
    "percentile_by_original",
    "planted_leak",
    "rate_at_fpr",
    "rate_interval",
    "roc_curve",
    "share_difference",
    "sign_flip_test",
    "sign_flip_tests",
    "single_deletions",
    "split_unseen",
    "tpr_ceiling",
    "unseen_needed",
    "variance_components",
]
