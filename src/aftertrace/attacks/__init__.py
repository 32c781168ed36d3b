"""Attacks: which queries were deleted?

scorer = FeatureAttack(Feature.SORTED_DIFF, "forest").fit(shadow, rng=rng)   # shadow: Posteriors
score = scorer.score(target)                                                # [Q], larger: more likely deleted
score = logit_drop(target)                                                  # the same without any training
features = sorted_diff(original, unlearned)                                 # on arrays [Q, K]
check_attack(attack)                                                        # conformance of your own
"""

from aftertrace.attacks._classifier import FeatureAttack, FeatureScorer, feature_values
from aftertrace.attacks._conformance import ATTACK_CHECKS, check_attack, simulated_posteriors
from aftertrace.attacks._features import (
    CLASS_SYMMETRIC,
    FUNCTIONS,
    Feature,
    direct_concat,
    direct_diff,
    euclidean,
    original_alone,
    sorted_concat,
    sorted_diff,
)
from aftertrace.attacks._protocol import Adversary, Attack, Needs, ScoreFunction, Scorer, check_needs
from aftertrace.attacks._score import EucDist, LogitDrop, OriginalLogit, euc_dist, logit_drop, original_logit

__all__ = [
    "ATTACK_CHECKS",
    "CLASS_SYMMETRIC",
    "FUNCTIONS",
    "Adversary",
    "Attack",
    "EucDist",
    "Feature",
    "FeatureAttack",
    "FeatureScorer",
    "LogitDrop",
    "Needs",
    "OriginalLogit",
    "ScoreFunction",
    "Scorer",
    "check_attack",
    "check_needs",
    "direct_concat",
    "direct_diff",
    "euc_dist",
    "euclidean",
    "feature_values",
    "logit_drop",
    "original_alone",
    "original_logit",
    "simulated_posteriors",
    "sorted_concat",
    "sorted_diff",
]
