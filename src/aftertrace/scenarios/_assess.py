"""From posteriors to figures: attacks fitted on the shadow side, scored and judged on the target side."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from aftertrace._numbering import by_appearance
from aftertrace._random import Stream, rng_for
from aftertrace.attacks import Adversary, Attack, FeatureAttack, Superset, check_needs
from aftertrace.engine import Engine
from aftertrace.errors import PosteriorsError, TrainingError, UnsupportedError
from aftertrace.posteriors import Features, Posteriors, Role, Use, concatenate
from aftertrace.results import (
    AgainstClassical,
    AttackResult,
    ControlResult,
    Discoveries,
    Scores,
    SliceResult,
    UpdateCost,
    Verdict,
)
from aftertrace.scenarios._checks import limit_checks
from aftertrace.scenarios._controls import controls, interval_of
from aftertrace.scenarios._crossfit import FOLDS
from aftertrace.scenarios._persons import Persons
from aftertrace.scenarios._slices import Groups, discoveries, every_group, slice_results
from aftertrace.scenarios._update import update_cost
from aftertrace.scenarios._verdict import Judgement, judge
from aftertrace.statistics import (
    Degradation,
    Interval,
    RateAtFpr,
    auc_by_original,
    auc_difference_one_pair,
    balanced_accuracy,
    best_threshold,
    cross_fitted_interval,
    degradation,
    holm,
    originals_needed,
    rate_at_fpr,
    sign_flip_tests,
    variance_components,
)

FPRS = (0.1, 0.01)
Array = NDArray[np.float64]
Progress = Callable[[str, int, int], None]
"""Called as `progress(stage, done, total)`."""


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """What `assess` returns."""

    attacks: tuple[AttackResult, ...]
    controls: tuple[ControlResult, ...]
    verdict: Verdict
    scores: Scores
    slices: tuple[SliceResult, ...]
    discoveries: Discoveries
    update: UpdateCost | None


def assess(
    shadow: Posteriors | None,
    target: Posteriors,
    attacks: Sequence[Attack],
    judgement: Judgement,
    *,
    engine: Engine,
    progress: Progress,
    adversary: Adversary = Adversary.POPULATION,
    groups: Groups | None = None,
    features: Features | None = None,
    persons: Persons | None = None,
    shadow_persons: Persons | None = None,
) -> Assessment:
    """Fit every attack on `shadow`, score `target`, and judge deleted against unseen queries.

    `adversary`: what the shadow side is; `groups`: columns whose groups are judged apart; `features` of the
    target's records, for the blind control; `persons`: of the target's records, who are judged in their place.
    Thresholds come from the shadow side (of persons: from `shadow_persons`, where its records tell them); without one,
    half of the target's unseen records, chosen by a coin, set the thresholds of rates and the other half is evaluated.
    Several originals are the units of all intervals; with one original only, records are, and the interval is
    conditional on that pair of models.
    """
    _require_roles(target)
    names = [attack.name for attack in attacks]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UnsupportedError(f"Attacks of one run must have different names; {twice!r} comes twice.")
    for attack in attacks:
        check_needs(attack, target, adversary=Adversary.NONE if shadow is None else adversary)
    task = ScoringTask(shadow, target, judgement.seed)
    marks: dict[str, _Marks] = {}
    progress("attacks", 0, len(attacks))
    longest_first = sorted(attacks, key=_expected_rank)
    for number, mark in engine.map(score_with, task, longest_first):
        marks[longest_first[number].name] = mark
        progress("attacks", len(marks), len(attacks))

    update = update_cost(target, confidence=judgement.confidence, persons=persons)
    groups = every_group(target, groups or {}, persons)
    marks = {attack.name: marks[attack.name] for attack in attacks}
    confidence = target.confidence[:, [0, -1]]
    if persons is not None:  # single shadow records set no thresholds for persons
        target, confidence = persons.table, persons.mean(confidence)
        shadow = None if shadow_persons is None else shadow_persons.table
        features = None if features is None else replace(features, values=persons.mean(features.values))
        marks = {name: mark.of_persons(persons, shadow_persons) for name, mark in marks.items()}
    sample = Sample.of(shadow, target, judgement)
    against = _against_classical(attacks, marks, sample)
    results = tuple(judge_attack(attack, marks, against.get(attack.name), sample) for attack in attacks)
    found = next(each for each in results if each.name == judgement.attack)
    score = marks[judgement.attack].target
    checks = controls(score, target, judgement, features=features)
    classical = marks.get(next(a.opponent for a in attacks if a.name == judgement.attack))
    told = discoveries(
        target.confidence[:, 0] if classical is None else classical.target,
        score,
        target,
        sample.rows,
        confidence=judgement.confidence,
    )
    verdict = judge(
        found,
        results,
        checks,
        judgement,
        checks=limit_checks(
            judgement.limits,
            found,
            told,
            update,
            judgement.sequence,
            repeated=sample.repeats,
            unit=judgement.unit,
        ),
        more_originals=lambda limit: _more_originals(score, target, sample, limit),
    )
    return Assessment(
        attacks=results,
        controls=checks,
        verdict=verdict,
        # a person's confidence is the mean of that of his or her records, as the scores are
        scores=replace(Scores.of(target, {name: mark.target for name, mark in marks.items()}), phi=confidence),
        slices=slice_results(
            score,
            target,
            sample.rows,
            groups,
            confidence=judgement.confidence,
            crossed=judgement.crossed,
            rng=rng_for(judgement.seed, Stream.SIGN_FLIP, "slices"),
        ),
        discoveries=told,
        update=update,
    )


def _more_originals(score: Array, target: Posteriors, sample: "Sample", limit: float) -> int | None:
    """About how many originals more than there are put the limit outside the interval; None if nothing tells."""
    rows, m = sample.rows, len(np.unique(sample.original))
    pairs = np.unique(target.pair[rows]).size
    if not 2 <= m < pairs or sample.judgement.crossed:
        return None
    pilot = variance_components(score[rows], sample.is_deleted, sample.original, target.pair[rows])
    if not 0 < pilot.auc < 1:
        return None
    needed = originals_needed(pilot, limit=limit if pilot.auc > 0.5 else 1 - limit, pairs=max(1, round(pairs / m)))
    return None if needed is None else max(1, needed - m)


@dataclass(frozen=True, eq=False)
class ScoringTask:
    shadow: Posteriors | None
    target: Posteriors
    seed: int


@dataclass(frozen=True, eq=False)
class _Marks:
    """One attack's scores of all queries: target [Q], shadow [Q'] or None."""

    target: Array
    shadow: Array | None

    def of_persons(self, target: Persons, shadow: Persons | None) -> "_Marks":
        return _Marks(
            target.mean(self.target), None if shadow is None or self.shadow is None else shadow.mean(self.shadow)
        )


def _expected_rank(attack: Attack) -> int:
    """Attacks that take long come first, so that no worker starts one when the others are done."""
    ranks = {"forest": 0, "mlp": 1}
    if isinstance(attack, Superset):
        return 0
    return ranks.get(attack.classifier, 2) if isinstance(attack, FeatureAttack) else 3


def score_with(task: ScoringTask, attack: Attack) -> _Marks:
    scorer = attack.fit(task.shadow, rng=rng_for(task.seed, Stream.ATTACK, attack.name))
    everything = task.target if task.shadow is None else concatenate([task.target, _apart(task.shadow, task.target)])
    score = scorer.score(everything)  # at once: what a forest costs is the call
    if not np.isfinite(score).all():
        raise TrainingError(f"Attack {attack.name} must give a finite score to every query, and does not.")
    target, shadow = np.split(score, [len(task.target)])
    return _Marks(target, None if task.shadow is None else shadow)


def _apart(shadow: Posteriors, target: Posteriors) -> Posteriors:
    """The shadow side with other numbers of pairs and originals than the target's: both count from 0."""
    pair, original = shadow.pair + target.pair.max() + 1, shadow.original + target.original.max() + 1
    return replace(shadow, pair=pair, original=original)


@dataclass(frozen=True, eq=False)
class Sample:
    """The rows that figures are computed from."""

    rows: NDArray[np.intp]  # evaluated deleted and unseen queries of the target
    is_deleted: NDArray[np.bool_]  # of those rows
    original: NDArray[np.int64]
    calibration: NDArray[np.bool_]  # of those rows: sets thresholds of rates, where there is no shadow side
    shadow_deleted: NDArray[np.intp]
    shadow_unseen: NDArray[np.intp]
    shadow_held_out: NDArray[np.intp]
    record: NDArray[np.int64]  # of those rows
    judgement: Judgement

    @classmethod
    def of(cls, shadow: Posteriors | None, target: Posteriors, judgement: Judgement) -> "Sample":
        rows = np.flatnonzero(target.is_compared)
        is_deleted = target.is_attacked[rows]
        calibration = np.zeros(len(rows), dtype=bool)
        shadow_deleted = shadow_unseen = shadow_held_out = np.array([], dtype=np.intp)
        if shadow is None:
            unseen = target.record[rows][~is_deleted]
            in_order = unseen[by_appearance(unseen)[1]]
            chosen = rng_for(judgement.seed, Stream.SPLIT).permutation(in_order)[: len(in_order) // 2]
            calibration = ~is_deleted & np.isin(target.record[rows], chosen)
        else:
            evaluated = shadow.use == Use.EVALUATE
            shadow_deleted = np.flatnonzero(evaluated & shadow.is_attacked)
            shadow_unseen = np.flatnonzero(evaluated & (shadow.role == Role.UNSEEN))
            shadow_held_out = np.flatnonzero(shadow.use == Use.HELD_OUT)
        return cls(
            rows=rows,
            is_deleted=is_deleted,
            original=target.original[rows],
            calibration=calibration,
            shadow_deleted=shadow_deleted,
            shadow_unseen=shadow_unseen,
            shadow_held_out=shadow_held_out,
            record=target.record[rows],
            judgement=judgement,
        )

    @property
    def repeats(self) -> bool:
        """Do several pairs of one original ask about the same records?"""
        return len(np.unique(self.original)) == 1 and len(np.unique(self.record)) < len(self.record)

    def interval(self, score: Array) -> Interval:
        own = score[self.rows]
        return interval_of(
            own,
            self.is_deleted,
            self.original,
            self.judgement.confidence,
            record=self.record,
            is_crossed=self.judgement.crossed,
        )


def judge_attack(
    attack: Attack, marks: Mapping[str, _Marks], against: AgainstClassical | None, sample: Sample
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
    return AttackResult(
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


def _rate(mark: _Marks, fpr: float, sample: Sample) -> RateAtFpr:
    own = mark.target[sample.rows]
    calibration = own[sample.calibration] if mark.shadow is None else mark.shadow[sample.shadow_held_out]
    evaluated = ~sample.is_deleted & ~sample.calibration
    return rate_at_fpr(
        own[sample.is_deleted],
        own[evaluated],
        calibration,
        fpr=fpr,
        original_positive=sample.original[sample.is_deleted],
        original_negative=sample.original[evaluated],
        confidence=sample.judgement.confidence,
    )


def _degradation(mark: _Marks, classical: _Marks, sample: Sample) -> Degradation:
    truth = [
        np.where(sample.is_deleted, each.target[sample.rows], 1 - each.target[sample.rows])
        for each in (mark, classical)
    ]
    return degradation(truth[0], truth[1], sample.is_deleted)


def _against_classical(
    attacks: Sequence[Attack], marks: Mapping[str, _Marks], sample: Sample
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


def _on_one_pair(tested: Sequence[Attack], marks: Mapping[str, _Marks], sample: Sample) -> dict[str, AgainstClassical]:
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
    p_values = [each.p_value for each in found]
    adjusted = p_values if None in p_values else holm(np.array(p_values)).tolist()
    return {
        attack.name: AgainstClassical(
            opponent=attack.opponent,
            difference=each.interval.estimate,
            low=each.interval.low,
            high=each.interval.high,
            p_value=each.p_value,
            p_holm=p_holm,
            method=f"{each.interval.method}; Holm over {len(tested)} attacks",
            note=each.interval.note,
        )
        for attack, each, p_holm in zip(tested, found, adjusted, strict=True)
    }


def _require_roles(target: Posteriors) -> None:
    evaluated = target.role[target.use == Use.EVALUATE]
    n_attacked, n_unseen = (int((evaluated == role).sum()) for role in (target.attacked, Role.UNSEEN))
    if not (n_attacked and n_unseen):
        word = target.attacked.name.lower()
        raise PosteriorsError(
            f"There must be {word} and unseen records to compare; got {n_attacked} {word} and {n_unseen} unseen."
        )
