"""From posteriors to figures: attacks fitted on the shadow side, scored and judged on the target side."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from aftertrace._random import Stream, rng_for
from aftertrace.attacks import Adversary, Attack, check_needs
from aftertrace.engine import Engine
from aftertrace.errors import PosteriorsError, UnsupportedError
from aftertrace.posteriors import Features, Posteriors, Role, Use
from aftertrace.results import (
    AttackResult,
    ControlResult,
    Discoveries,
    Scores,
    SliceResult,
    UpdateCost,
    Verdict,
)
from aftertrace.scenarios._attack_results import against_classical, judge_attack
from aftertrace.scenarios._checks import limit_checks
from aftertrace.scenarios._controls import controls
from aftertrace.scenarios._persons import Persons
from aftertrace.scenarios._sample import Sample
from aftertrace.scenarios._scoring import Marks, ScoringTask, expected_rank, score_with
from aftertrace.scenarios._slices import Groups, discoveries, every_group, slice_results
from aftertrace.scenarios._told import told_of
from aftertrace.scenarios._update import update_cost
from aftertrace.scenarios._verdict import Judgement, judge
from aftertrace.statistics import (
    originals_needed,
    variance_components,
)

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
    marks: dict[str, Marks] = {}
    progress("attacks", 0, len(attacks))
    longest_first = sorted(attacks, key=expected_rank)
    for number, mark in engine.map(score_with, task, longest_first):
        marks[longest_first[number].name] = mark
        progress("attacks", len(marks), len(attacks))

    update = told_of(judgement.unit, update_cost(target, confidence=judgement.confidence, persons=persons))
    groups = every_group(target, groups or {}, persons)
    marks = {attack.name: marks[attack.name] for attack in attacks}
    confidence = target.confidence[:, [0, -1]]
    if persons is not None:  # single shadow records set no thresholds for persons
        target, confidence = persons.table, persons.mean(confidence)
        shadow = None if shadow_persons is None else shadow_persons.table
        features = None if features is None else replace(features, values=persons.mean(features.values))
        marks = {name: mark.of_persons(persons, shadow_persons) for name, mark in marks.items()}
    sample = Sample.of(shadow, target, judgement)
    against = against_classical(attacks, marks, sample)
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
        slices=told_of(
            judgement.unit,
            slice_results(
                score,
                target,
                sample.rows,
                groups,
                confidence=judgement.confidence,
                crossed=judgement.crossed,
                rng=rng_for(judgement.seed, Stream.SIGN_FLIP, "slices"),
            ),
        ),
        discoveries=told,
        update=update,
    )


def _more_originals(score: Array, target: Posteriors, sample: Sample, limit: float) -> int | None:
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


def _require_roles(target: Posteriors) -> None:
    evaluated = target.role[target.use == Use.EVALUATE]
    n_attacked, n_unseen = (int((evaluated == role).sum()) for role in (target.attacked, Role.UNSEEN))
    if not (n_attacked and n_unseen):
        word = target.attacked.name.lower()
        raise PosteriorsError(
            f"There must be {word} and unseen records to compare; got {n_attacked} {word} and {n_unseen} unseen."
        )
