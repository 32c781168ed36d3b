"""Attacks: which queries were deleted?

scorer = FeatureAttack(Feature.SORTED_DIFF, "forest").fit(shadow, rng=rng)   # shadow: Posteriors
score = scorer.score(target)                                                # [Q], larger: more likely deleted
score = logit_drop(target)                                                  # the same without any training
score = ConformalRank(LogitDrop()).fit(None, rng=rng).score(target)         # its rank among public unseen records
score = JointLikelihoodRatio().fit(shadow, rng=rng).score(target)           # shadow models of the records themselves
features = sorted_diff(original, unlearned)                                 # on arrays [Q, K]
check_attack(attack)                                                        # conformance of your own
"""

from aftertrace.attacks._classifier import FeatureAttack, FeatureScorer, feature_values
from aftertrace.attacks._conformal import ConformalRank, RankScorer, conformal_p_value
from aftertrace.attacks._conformance import ATTACK_CHECKS, check_attack, simulated_posteriors, simulated_records
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
from aftertrace.attacks._joint import ROLES, JointLikelihoodRatio, JointScorer, role_probabilities
from aftertrace.attacks._lira import Lira, LiraScorer
from aftertrace.attacks._loss import RATIO_OFFSET, ConfidenceRatio, LossRise, confidence_ratio, loss_rise
from aftertrace.attacks._protocol import Adversary, Attack, Needs, ScoreFunction, Scorer, check_needs
from aftertrace.attacks._quantile import QuantileDrop, QuantileScorer
from aftertrace.attacks._rmia import Rmia, RmiaScorer
from aftertrace.attacks._score import EucDist, LogitDrop, OriginalLogit, euc_dist, logit_drop, original_logit
from aftertrace.attacks._superset import Superset, SupersetScorer, superset_features
from aftertrace.attacks._versions import LargestDrop, OriginalScore, ScoreDrop, StepDrop, largest_drop

__all__ = [
    "ATTACK_CHECKS",
    "CLASS_SYMMETRIC",
    "FUNCTIONS",
    "RATIO_OFFSET",
    "ROLES",
    "Adversary",
    "Attack",
    "ConfidenceRatio",
    "ConformalRank",
    "EucDist",
    "Feature",
    "FeatureAttack",
    "FeatureScorer",
    "JointLikelihoodRatio",
    "JointScorer",
    "LargestDrop",
    "Lira",
    "LiraScorer",
    "LogitDrop",
    "LossRise",
    "Needs",
    "OriginalLogit",
    "OriginalScore",
    "QuantileDrop",
    "QuantileScorer",
    "RankScorer",
    "Rmia",
    "RmiaScorer",
    "ScoreDrop",
    "ScoreFunction",
    "Scorer",
    "StepDrop",
    "Superset",
    "SupersetScorer",
    "check_attack",
    "check_needs",
    "confidence_ratio",
    "conformal_p_value",
    "direct_concat",
    "direct_diff",
    "euc_dist",
    "euclidean",
    "feature_values",
    "largest_drop",
    "logit_drop",
    "loss_rise",
    "original_alone",
    "original_logit",
    "role_probabilities",
    "simulated_posteriors",
    "simulated_records",
    "sorted_concat",
    "sorted_diff",
    "superset_features",
]
