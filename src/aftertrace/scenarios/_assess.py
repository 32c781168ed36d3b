"""From posteriors to figures: attacks fitted on the shadow side, scored and judged on the target side."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aftertrace._random import Stream, rng_for
from aftertrace.attacks import Adversary, Attack, FeatureAttack, check_needs
from aftertrace.engine import Engine
from aftertrace.errors import PosteriorsError, TrainingError, UnsupportedError
from aftertrace.posteriors import Posteriors, Role, Use, concatenate
from aftertrace.results import AgainstClassical, AttackResult, ControlResult, Scores, Verdict
from aftertrace.scenarios._verdict import Judgement, judge
from aftertrace.statistics import (
    Degradation,
    Interval,
    RateAtFpr,
    auc_by_original,
    auc_interval,
    auc_interval_one_pair,
    balanced_accuracy,
    best_threshold,
    degradation,
    exchanged_roles,
    holm,
    rate_at_fpr,
    sign_flip_tests,
    split_unseen,
)

FPRS = (0.1, 0.01)
CONTROL_CONFIDENCE = 0.9975
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


def assess(
    shadow: Posteriors | None,
    target: Posteriors,
    attacks: Sequence[Attack],
    judgement: Judgement,
    *,
    engine: Engine,
    progress: Progress,
) -> Assessment:
    """Fit every attack on `shadow`, score `target`, and judge deleted against unseen queries.

    Thresholds come from the shadow side; without one (`None`), half of the target's unseen records, chosen by
    a coin, set the thresholds of rates and the other half is evaluated. Several originals are the units of all
    intervals; with one original only, records are, and the interval is conditional on that pair of models.
    """
    _require_roles(target)
    names = [attack.name for attack in attacks]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UnsupportedError(f"Attacks of one run must have different names; {twice!r} comes twice.")
    adversary = Adversary.NONE if shadow is None else Adversary.POPULATION
    for attack in attacks:
        check_needs(attack, target, adversary=adversary)
    task = _ScoringTask(shadow, target, judgement.seed)
    marks: dict[str, _Marks] = {}
    progress("attacks", 0, len(attacks))
    longest_first = sorted(attacks, key=_expected_rank)
    for number, mark in engine.map(_score, task, longest_first):
        marks[longest_first[number].name] = mark
        progress("attacks", len(marks), len(attacks))

    sample = _Sample.of(shadow, target, judgement)
    marks = {attack.name: marks[attack.name] for attack in attacks}
    against = _against_classical(attacks, marks, sample)
    results = tuple(_judge(attack, marks, against.get(attack.name), sample) for attack in attacks)
    controls = _controls(marks[judgement.attack].target, target, judgement)
    verdict = judge(next(each for each in results if each.name == judgement.attack), results, controls, judgement)
    scores = Scores.of(target, {name: mark.target for name, mark in marks.items()})
    return Assessment(attacks=results, controls=controls, verdict=verdict, scores=scores)


@dataclass(frozen=True, eq=False)
class _ScoringTask:
    shadow: Posteriors | None
    target: Posteriors
    seed: int


@dataclass(frozen=True, eq=False)
class _Marks:
    """One attack's scores of all queries: target [Q], shadow [Q'] or None."""

    target: Array
    shadow: Array | None


def _expected_rank(attack: Attack) -> int:
    """Attacks that take long come first, so that no worker starts one when the others are done."""
    ranks = {"forest": 0, "mlp": 1}
    return ranks.get(attack.classifier, 2) if isinstance(attack, FeatureAttack) else 3


def _score(task: _ScoringTask, attack: Attack) -> _Marks:
    scorer = attack.fit(task.shadow, rng=rng_for(task.seed, Stream.ATTACK, attack.name))
    everything = task.target if task.shadow is None else concatenate([task.target, task.shadow])
    score = scorer.score(everything)  # at once: what a forest costs is the call
    if not np.isfinite(score).all():
        raise TrainingError(f"Attack {attack.name} must give a finite score to every query, and does not.")
    target, shadow = np.split(score, [len(task.target)])
    return _Marks(target, None if task.shadow is None else shadow)


@dataclass(frozen=True, eq=False)
class _Sample:
    """The rows that figures are computed from."""

    rows: NDArray[np.intp]  # evaluated deleted and unseen queries of the target
    is_deleted: NDArray[np.bool_]  # of those rows
    original: NDArray[np.int64]
    calibration: NDArray[np.bool_]  # of those rows: sets thresholds of rates, where there is no shadow side
    shadow_deleted: NDArray[np.intp]
    shadow_unseen: NDArray[np.intp]
    shadow_held_out: NDArray[np.intp]
    judgement: Judgement

    @classmethod
    def of(cls, shadow: Posteriors | None, target: Posteriors, judgement: Judgement) -> "_Sample":
        rows = np.flatnonzero((target.use == Use.EVALUATE) & np.isin(target.role, (Role.DELETED, Role.UNSEEN)))
        is_deleted = target.role[rows] == Role.DELETED
        calibration = np.zeros(len(rows), dtype=bool)
        shadow_deleted = shadow_unseen = shadow_held_out = np.array([], dtype=np.intp)
        if shadow is None:
            unseen, first = np.unique(target.record[rows][~is_deleted], return_index=True)
            in_order = unseen[np.argsort(first)]  # of appearance: the values are pseudonyms, which differ by key
            chosen = rng_for(judgement.seed, Stream.SPLIT).permutation(in_order)[: len(in_order) // 2]
            calibration = ~is_deleted & np.isin(target.record[rows], chosen)
        else:
            evaluated = shadow.use == Use.EVALUATE
            shadow_deleted = np.flatnonzero(evaluated & (shadow.role == Role.DELETED))
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
            judgement=judgement,
        )

    def interval(self, score: Array) -> Interval:
        own = score[self.rows]
        return _interval(own, self.is_deleted, self.original, self.judgement.confidence)


def _interval(score: Array, is_deleted: NDArray[np.bool_], original: NDArray[np.int64], confidence: float) -> Interval:
    if len(np.unique(original)) == 1:
        return auc_interval_one_pair(score[is_deleted], score[~is_deleted], confidence=confidence)
    return auc_interval(score, is_deleted, original, confidence=confidence)


def _judge(
    attack: Attack, marks: Mapping[str, _Marks], against: AgainstClassical | None, sample: _Sample
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
    feature, classifier = (
        (attack.feature.value, attack.classifier) if isinstance(attack, FeatureAttack) else (None, None)
    )
    return AttackResult(
        name=attack.name,
        feature=feature,
        classifier=classifier,
        classical=attack.classical,
        auc=sample.interval(mark.target),
        balanced_accuracy=accuracy,
        threshold=threshold,
        rates=tuple(_rate(mark, fpr, sample) for fpr in FPRS),
        degradation=worse,
        against=against,
        notes=tuple(notes),
    )


def _rate(mark: _Marks, fpr: float, sample: _Sample) -> RateAtFpr:
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


def _degradation(mark: _Marks, classical: _Marks, sample: _Sample) -> Degradation:
    truth = [
        np.where(sample.is_deleted, each.target[sample.rows], 1 - each.target[sample.rows])
        for each in (mark, classical)
    ]
    return degradation(truth[0], truth[1], sample.is_deleted)


def _against_classical(
    attacks: Sequence[Attack], marks: Mapping[str, _Marks], sample: _Sample
) -> dict[str, AgainstClassical]:
    """Sign-flip tests of all attacks on two versions at once, Holm over all of them."""
    tested = [attack for attack in attacks if not attack.classical and attack.opponent in marks]
    if not tested:
        return {}
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


def _controls(score: Array, target: Posteriors, judgement: Judgement) -> tuple[ControlResult, ...]:
    """The two null controls of the verdict's attack, each at .25 %."""
    evaluated = np.flatnonzero((target.use == Use.EVALUATE) & np.isin(target.role, (Role.DELETED, Role.UNSEEN)))
    unseen = np.flatnonzero(target.role == Role.UNSEEN)
    exchanged, called = exchanged_roles(
        target.role[evaluated] == Role.DELETED,
        target.pair[evaluated],
        rng=rng_for(judgement.seed, Stream.CONTROL, "permuted"),
    )
    halves, first = split_unseen(target.pair[unseen], rng=rng_for(judgement.seed, Stream.CONTROL, "unseen"))
    return (
        _control("unseen/unseen", score, target.original, unseen[halves], first, judgement),
        _control("permuted", score, target.original, evaluated[exchanged], called, judgement),
    )


def _control(
    name: str,
    score: Array,
    original: NDArray[np.int64],
    rows: NDArray[np.intp],
    called_deleted: NDArray[np.bool_],
    judgement: Judgement,
) -> ControlResult:
    if not (called_deleted.any() and not called_deleted.all()):
        nothing = Interval(
            estimate=0.5, low=None, high=None, confidence=CONTROL_CONFIDENCE, n=0, method="none", note="no queries"
        )
        return ControlResult(
            name=name, attack=judgement.attack, auc=nothing, passed=None, note="not enough unseen queries in a pair"
        )
    auc = _interval(score[rows], called_deleted, original[rows], CONTROL_CONFIDENCE)
    if auc.low is None or auc.high is None:
        return ControlResult(name=name, attack=judgement.attack, auc=auc, passed=None, note=auc.note)
    return ControlResult(name=name, attack=judgement.attack, auc=auc, passed=auc.low <= 0.5 <= auc.high)


def _require_roles(target: Posteriors) -> None:
    evaluated = target.role[target.use == Use.EVALUATE]
    n_deleted, n_unseen = (int((evaluated == role).sum()) for role in (Role.DELETED, Role.UNSEEN))
    if not (n_deleted and n_unseen):
        raise PosteriorsError(
            f"There must be deleted and unseen records to compare; got {n_deleted} deleted and {n_unseen} unseen."
        )
