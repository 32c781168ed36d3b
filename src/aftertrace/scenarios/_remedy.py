"""What would pass the limits? Ways to release the same answers, judged on one half and confirmed on the other."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from aftertrace._numbering import by_appearance
from aftertrace._random import Stream, rng_for
from aftertrace.attacks import Adversary, Attack
from aftertrace.engine import Engine, InProcess
from aftertrace.errors import InputError
from aftertrace.posteriors import Posteriors, Role
from aftertrace.results import Remedy, RemedyOption
from aftertrace.scenarios._assess import Progress
from aftertrace.scenarios._remedy_candidates import AS_IT_IS, left_out, release_candidates
from aftertrace.scenarios._remedy_options import Trained, Yardstick, judged, judged_one
from aftertrace.scenarios._remedy_words import ONE_PAIR, SHARED, TOO_FEW, nearest_of, nothing_passes, recommendation
from aftertrace.scenarios._verdict import Judgement

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


def what_if(
    shadow: Posteriors | None,
    target: Posteriors,
    attack: Attack,
    judgement: Judgement,
    *,
    person: Ints | None = None,
    shadow_person: Ints | None = None,
    adversary: Adversary = Adversary.POPULATION,
    engine: Engine | None = None,
    progress: Progress = lambda stage, done, total: None,
) -> Remedy:
    """Every release of `RELEASES` on answers that are released as they are today, and the cheapest within all limits.

    `attack` gives the verdict; on each option it is mounted anew, with `LogitDrop`, `EucDist`, and `Superset` as
    learned on the shadow side that is released alike (without one: an auditor's cross-fitted one). An option passes if
    every limit of `judgement` holds against all of them. `person` [Q], and `shadow_person` of the shadow side: as in
    `Persons`. Raises `InputError` without any limit.

    Half of the originals, chosen by the seed, choose, at a confidence that holds for all options together; the
    cheapest that passes (`RemedyOption.cost`) is tried again on the other half, at the confidence of
    the audit. With one original, records or persons are halved, and all holds for that pair of models only.
    """
    require_limits(judgement)
    shadow, target = _numbered_by_appearance(shadow, target)
    trained = Trained(shadow=shadow, target=target, person=person, shadow_person=shadow_person)
    chosen = _half(target, person, judgement.seed)
    halves = [trained.part(rows) for rows in (chosen, ~chosen)]
    if not all(_has_both_roles(half.target) for half in halves):
        return Remedy(sentence=TOO_FEW.format(unit=_units(person)))
    yardstick = Yardstick.of(attack, judgement, halves[0], adversary=adversary)
    candidates = {each.name: each for each in release_candidates(len(target.classes))}
    strict = yardstick.for_one_of(len(candidates))
    options = judged(strict, halves[0], list(candidates.values()), engine=engine or InProcess(), progress=progress)
    return conclude(
        options,
        lambda option: judged_one((yardstick, halves[1]), candidates[option.name]),
        strict,
        _halved(halves, judgement),
    )


def require_limits(judgement: Judgement) -> None:
    """Raise `InputError` where there is nothing to be within."""
    if not judgement.limits.given():
        raise InputError("What would pass needs limits to pass: give some, such as auc = 0.6, got none.")


def conclude(
    options: Sequence[RemedyOption], again: Callable[[RemedyOption], RemedyOption], strict: Yardstick, remedy: Remedy
) -> Remedy:
    """The cheapest of `options` that passes, tried `again`, in the place of what `remedy` does not say yet."""
    remedy = replace(
        remedy,
        options=tuple(options),
        attacks=tuple(attack.name for attack in strict.attacks),
        confidence=strict.judgement.confidence,
    )
    passing = [each for each in options if each.passes]
    if not passing:
        nearest = nearest_of(options)
        remedy = replace(remedy, nearest=None if nearest is None else nearest.name)
        return replace(remedy, sentence=nothing_passes(remedy))
    best = min(passing, key=lambda each: (each.name != AS_IT_IS, each.cost))
    remedy = replace(remedy, recommended=best.name, again=again(best))
    return replace(remedy, sentence=recommendation(remedy))


def _half(target: Posteriors, person: Ints | None, seed: int) -> Mask:
    """Which queries choose [Q]: those of half of the originals, or of half of the records (persons) of each role."""
    rng = rng_for(seed, Stream.REMEDY)
    if len(np.unique(target.original)) > 1:
        return _of_half(target.original, np.ones(len(target), dtype=bool), rng)
    unit = target.record if person is None else person
    roles = [target.role == role for role in (target.attacked, Role.UNSEEN)]
    return np.logical_or.reduce([_of_half(unit, rows, rng) for rows in roles])


def _of_half(unit: Ints, rows: Mask, rng: np.random.Generator) -> Mask:
    """The rows of one half of their units."""
    own = unit[rows]
    shuffled = rng.permutation(own[by_appearance(own)[1]])
    return rows & np.isin(unit, shuffled[: (len(shuffled) + 1) // 2])


def _numbered_by_appearance(shadow: Posteriors | None, target: Posteriors) -> tuple[Posteriors | None, Posteriors]:
    """Both sides with other numbers for records: theirs may be pseudonyms, and noise would differ by their key."""
    record = target.record if shadow is None else np.concatenate([shadow.record, target.record])
    other, own = np.split(by_appearance(record)[0], [len(record) - len(target)])
    return None if shadow is None else replace(shadow, record=other), replace(target, record=own)


def _has_both_roles(target: Posteriors) -> bool:
    attacked = target.is_attacked[target.is_compared]
    return bool(attacked.any() and not attacked.all())


def _halved(halves: Sequence[Trained], judgement: Judgement) -> Remedy:
    """What chooses and what confirms, before anything is known of the options."""
    tables = [half.target for half in halves]
    unit = _units(halves[0].person)
    notes = (*left_out(len(tables[0].classes)), *((SHARED.format(unit=unit),) if judgement.crossed else ()))
    if len(np.unique(np.concatenate([table.original for table in tables]))) > 1:
        sizes = [len(np.unique(table.original)) for table in tables]
        return Remedy(sentence="", unit="originals", choosing=sizes[0], confirming=sizes[1], notes=notes)
    sizes = [_compared(half) for half in halves]
    notes = (ONE_PAIR.format(unit=unit), *notes)
    return Remedy(sentence="", unit=unit, choosing=sizes[0], confirming=sizes[1], notes=notes)


def _units(person: Ints | None) -> Literal["records", "persons"]:
    return "records" if person is None else "persons"


def _compared(half: Trained) -> int:
    """How many records, or persons, are compared."""
    rows = half.target.is_compared
    return int(rows.sum()) if half.person is None else len(np.unique(half.person[rows]))
