"""The figures of one attack, and of each beside the classical one that it is compared with."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from aftertrace._random import Stream, rng_for
from aftertrace.attacks import Adversary, Attack, FeatureAttack
from aftertrace.results import AgainstClassical, AttackResult
from aftertrace.scenarios._crossfit import FOLDS
from aftertrace.scenarios._sample import Sample
from aftertrace.scenarios._scoring import Marks
from aftertrace.scenarios._told import told_of
from aftertrace.statistics import (
    Degradation,
    RateAtFpr,
    auc_by_original,
    auc_difference_one_pair,
    balanced_accuracy,
    best_threshold,
    cross_fitted_interval,
    degradation,
    holm,
    rate_at_fpr,
    sign_flip_tests,
)

FPRS = (0.1, 0.01)
HALVED = "half of the unseen queries set the threshold: it takes twice as many"


def judge_attack(
    attack: Attack, marks: Mapping[str, Marks], against: AgainstClassical | None, sample: Sample
) -> AttackResult:
    mark = marks[attack.name]
    threshold, accuracy, notes = None, None, []
    positive, negative = (mark.target[sample.rows[sample.is_deleted == side]] for side in (True, False))
    if mark.shadow is None:
        notes.append("no balanced accuracy: its threshold would have to be chosen on a shadow side, and there is none")
    else:
        threshold = best_threshold(mark.shadow[sample.shadow_deleted], mark.shadow[sample.shadow_unseen])
        accuracy = balanced_accuracy(positive, negative, threshold=threshold)
    worse = None
    if not attack.classical and attack.probabilistic and attack.opponent in marks:
        worse = _degradation(mark, marks[attack.opponent], sample)
    elif not attack.classical:
        notes.append("no degradation count and rate: the score is not a probability")
    auc = sample.interval(mark.target)
    if attack.needs.shadow is Adversary.TRUTH:
        auc = cross_fitted_interval(auc, folds=FOLDS)
    if attack.needs.shadow not in (Adversary.NONE, Adversary.TRUTH) and auc.high is not None and auc.high < 0.5:
        notes.append("below one half: what it learned on the shadow side did not transfer")
    feature, classifier = (
        (attack.feature.value, attack.classifier) if isinstance(attack, FeatureAttack) else (None, None)
    )
    found = AttackResult(
        name=attack.name,
        feature=feature,
        classifier=classifier,
        classical=attack.classical,
        auc=auc,
        balanced_accuracy=accuracy,
        threshold=threshold,
        rates=tuple(_rate(mark, fpr, sample) for fpr in FPRS),
        degradation=worse,
        against=against,
        notes=tuple(notes),
        shadow=attack.needs.shadow.value,
    )
    return told_of(sample.judgement.unit, found)


def _rate(mark: Marks, fpr: float, sample: Sample) -> RateAtFpr:
    own = mark.target[sample.rows]
    calibration = own[sample.calibration] if mark.shadow is None else mark.shadow[sample.shadow_held_out]
    evaluated = ~sample.is_deleted & ~sample.calibration
    found = rate_at_fpr(
        own[sample.is_deleted],
        own[evaluated],
        calibration,
        fpr=fpr,
        original_positive=sample.original[sample.is_deleted],
        original_negative=sample.original[evaluated],
        confidence=sample.judgement.confidence,
    )
    if found.refused and mark.shadow is None:
        found = replace(found, refused=f"{found.refused} ({HALVED})")
    return found


def _degradation(mark: Marks, classical: Marks, sample: Sample) -> Degradation:
    truth = [
        np.where(sample.is_deleted, each.target[sample.rows], 1 - each.target[sample.rows])
        for each in (mark, classical)
    ]
    return degradation(truth[0], truth[1], sample.is_deleted)


def against_classical(
    attacks: Sequence[Attack], marks: Mapping[str, Marks], sample: Sample
) -> dict[str, AgainstClassical]:
    """Sign-flip tests of all attacks on two versions at once, on one pair over records; Holm over all of them."""
    tested = [attack for attack in attacks if not attack.classical and attack.opponent in marks]
    if not tested:
        return {}
    if (sample.original == sample.original[0]).all() and not sample.repeats:
        return _on_one_pair(tested, marks, sample)
    own = {
        name: auc_by_original(mark.target[sample.rows], sample.is_deleted, sample.original)[1]
        for name, mark in marks.items()
    }
    difference = np.column_stack([own[attack.name] - own[attack.opponent] for attack in tested])
    difference = difference[np.isfinite(difference).all(axis=1)]
    if len(difference) < 2:
        note = f"{len(difference)} original with both roles: a test over originals needs at least 2"
        return {
            attack.name: AgainstClassical(
                opponent=attack.opponent,
                difference=float(difference[:, a].mean()) if len(difference) else None,
                p_value=None,
                p_holm=None,
                method="none",
                note=note,
            )
            for a, attack in enumerate(tested)
        }
    tests = sign_flip_tests(difference, rng=rng_for(sample.judgement.seed, Stream.SIGN_FLIP))
    adjusted = holm(np.array([test.p_value for test in tests]))
    return {
        attack.name: AgainstClassical(
            opponent=attack.opponent,
            difference=float(test.statistic),
            p_value=float(test.p_value),
            p_holm=float(p_holm),
            method=f"{test.method}; Holm over {len(tested)} attacks",
            note=test.note,
        )
        for attack, test, p_holm in zip(tested, tests, adjusted, strict=True)
    }


def _on_one_pair(tested: Sequence[Attack], marks: Mapping[str, Marks], sample: Sample) -> dict[str, AgainstClassical]:
    found = [
        auc_difference_one_pair(
            marks[attack.name].target[sample.rows],
            marks[attack.opponent].target[sample.rows],
            sample.is_deleted,
            confidence=sample.judgement.confidence,
            folds=FOLDS if attack.needs.shadow is Adversary.TRUTH else None,
        )
        for attack in tested
    ]
    p_values = [each.p_value for each in found if each.p_value is not None]
    adjusted = iter(holm(np.array(p_values)).tolist() if p_values else [])
    return {
        attack.name: AgainstClassical(
            opponent=attack.opponent,
            difference=each.interval.estimate,
            low=each.interval.low,
            high=each.interval.high,
            p_value=each.p_value,
            p_holm=None if each.p_value is None else next(adjusted),
            method=f"{each.interval.method}; Holm over {len(p_values)} attacks",
            note=each.interval.note,
        )
        for attack, each in zip(tested, found, strict=True)
    }
