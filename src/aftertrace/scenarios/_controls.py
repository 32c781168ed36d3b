"""The controls of an audit: figures whose answer is known beforehand."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from aftertrace._random import Stream, rng_for
from aftertrace.posteriors import Features, Posteriors, Role
from aftertrace.results import ControlResult
from aftertrace.scenarios._told import told_of
from aftertrace.scenarios._verdict import BLIND, PLANTED, Judgement
from aftertrace.statistics import (
    PLANTED_AUC,
    Interval,
    auc,
    auc_interval,
    auc_interval_crossed,
    auc_interval_one_pair,
    blind_test,
    exchanged_roles,
    planted_leak,
    split_unseen,
)

CONTROL_CONFIDENCE = 0.9975
"""Null controls are tested at .25 % each."""
FEWEST_SHARING = 20
"""Records that share a category that is named."""
MOST_NAMED = 3
"""Columns that are named where records differ by themselves."""
Array = NDArray[np.float64]


def interval_of(
    score: Array,
    is_deleted: NDArray[np.bool_],
    original: NDArray[np.int64],
    confidence: float,
    *,
    record: NDArray[np.int64],
    is_crossed: bool = False,
) -> Interval:
    """The primary interval: over originals, or over records where there is one original.

    `is_crossed`: roles are tied to the records [Q], which several originals share; then over both.
    """
    if (original == original[0]).all():
        if len(np.unique(record)) < len(record):  # several pairs of one original: a record's queries hang together
            found = auc_interval(score, is_deleted, record, confidence=confidence)
            return replace(found, method="jackknife over records, conditional on the original")
        return auc_interval_one_pair(score[is_deleted], score[~is_deleted], confidence=confidence)
    if is_crossed:
        return auc_interval_crossed(score, is_deleted, original, record, confidence=confidence)
    return auc_interval(score, is_deleted, original, confidence=confidence)


def controls(
    score: Array, target: Posteriors, judgement: Judgement, *, features: Features | None = None
) -> tuple[ControlResult, ...]:
    """All controls that the queries allow, with the scores [Q] of the verdict's attack and the records' `features`."""
    return tuple(_controls(score, target, judgement, features))


def _controls(
    score: Array, target: Posteriors, judgement: Judgement, features: Features | None
) -> Iterator[ControlResult]:
    unseen = np.flatnonzero(target.role == Role.UNSEEN)
    halves, first = split_unseen(_matched(target, unseen), rng=_rng(judgement, "unseen"))
    rows = unseen[halves]
    yield _null("unseen/unseen", score, target, rows, first, judgement)

    retained = np.flatnonzero(target.role == Role.RETAINED)
    if len(retained):
        halves, called = split_unseen(_matched(target, retained), rng=_rng(judgement, "retained"))
        yield _null("retained/retained", score, target, retained[halves], called, judgement)

    evaluated = np.flatnonzero(target.is_compared)
    exchanged, called = exchanged_roles(
        target.is_attacked[evaluated], target.pair[evaluated], rng=_rng(judgement, "permuted")
    )
    yield _null("permuted", score, target, evaluated[exchanged], called, judgement)
    yield _blind(features, target, evaluated, judgement)
    yield _planted(score, target, rows, first, judgement)


def _matched(target: Posteriors, rows: NDArray[np.intp]) -> NDArray[np.int64]:
    """What exchangeable queries have in common: the pair, or the original where a pair has but one of them."""
    pair = target.pair[rows]
    return pair if len(np.unique(pair)) < len(pair) else target.original[rows]


def _null(
    name: str,
    score: Array,
    target: Posteriors,
    rows: NDArray[np.intp],
    called_deleted: NDArray[np.bool_],
    judgement: Judgement,
) -> ControlResult:
    if not (called_deleted.any() and not called_deleted.all()):
        return _untested(name, judgement, CONTROL_CONFIDENCE, f"not enough {judgement.unit}s of that role in a pair")
    auc = _interval(score[rows], called_deleted, target, rows, CONTROL_CONFIDENCE, judgement)
    if auc.low is None or auc.high is None:
        return ControlResult(name=name, attack=judgement.attack, auc=auc, passed=None, note=auc.note)
    return ControlResult(name=name, attack=judgement.attack, auc=auc, passed=auc.low <= 0.5 <= auc.high)


def _blind(
    features: Features | None, target: Posteriors, evaluated: NDArray[np.intp], judgement: Judgement
) -> ControlResult:
    """An attack that sees the records alone; without features, their class alone."""
    found = blind_test(
        None if features is None else features.values[evaluated],
        target.label[evaluated],
        target.is_attacked[evaluated],
        target.original[evaluated],
        target.record[evaluated],
        rng=_rng(judgement, BLIND),
    )
    sees = "class" if features is None else "features and class"
    told = Interval(
        estimate=found.auc, low=None, high=None, confidence=CONTROL_CONFIDENCE, n=found.n, method="permutation of roles"
    )
    passed = found.p_value > 1 - CONTROL_CONFIDENCE
    note = f"p = {found.p_value:.3g}{'' if passed else _what_differs(features, target, evaluated)}"
    return ControlResult(name=BLIND, attack=f"the {sees} alone", auc=told, passed=passed, note=note)


def _what_differs(features: Features | None, target: Posteriors, evaluated: NDArray[np.intp]) -> str:
    """The columns and classes that tell deleted from unseen records best, one by one.

    What few records have is not named: it might say who they are.
    """
    label, is_deleted = target.label[evaluated], target.is_attacked[evaluated]
    columns = {f"class {name}": (label == k).astype(np.float64) for k, name in enumerate(target.classes)}
    if features is not None:
        columns |= dict(zip(features.names, features.values[evaluated].T, strict=True))
    told = {
        name: auc(column[is_deleted], column[~is_deleted])
        for name, column in columns.items()
        if len(values := np.unique(column)) > 2 or min((column == value).sum() for value in values) >= FEWEST_SHARING
    }
    most = sorted(told, key=lambda name: -abs(told[name] - 0.5))[:MOST_NAMED]
    words = [
        f"{name} ({'higher' if told[name] > 0.5 else 'lower'} where deleted, AUC {max(told[name], 1 - told[name]):.2f})"
        for name in most
    ]
    return f"; what differs most: {', '.join(words)}" if words else ""


def _planted(
    score: Array,
    target: Posteriors,
    rows: NDArray[np.intp],
    called_deleted: NDArray[np.bool_],
    judgement: Judgement,
) -> ControlResult:
    """Unseen queries with a leak put in, as many called deleted as there are: an audit of this size must find it."""
    if not (called_deleted.any() and not called_deleted.all()):
        return _untested(
            PLANTED, judgement, judgement.confidence, f"not enough {judgement.unit}s of that role in a pair"
        )
    rng = _rng(judgement, PLANTED)
    planted = planted_leak(score[rows], called_deleted, target.original[rows], auc=PLANTED_AUC, rng=rng)
    kept = ~called_deleted | _as_many_as_deleted(target, rows, called_deleted, rng)
    auc = _interval(planted[kept], called_deleted[kept], target, rows[kept], judgement.confidence, judgement)
    if auc.low is None:
        return ControlResult(name=PLANTED, attack=judgement.attack, auc=auc, passed=None, note=auc.note)
    return ControlResult(name=PLANTED, attack=judgement.attack, auc=auc, passed=auc.low > 0.5)


def _as_many_as_deleted(
    target: Posteriors, rows: NDArray[np.intp], called_deleted: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Of those called deleted, by chance, no more of an original than it has deleted queries."""
    originals, own = np.unique(target.original[rows], return_inverse=True)
    deleted = target.original[target.is_compared & target.is_attacked]
    most = np.array([(deleted == each).sum() for each in originals])
    chosen = np.flatnonzero(called_deleted)
    chosen = chosen[np.lexsort((rng.random(chosen.size), own[chosen]))]
    place = np.arange(chosen.size) - np.searchsorted(own[chosen], own[chosen])
    kept = np.zeros(len(rows), dtype=bool)
    kept[chosen[place < most[own[chosen]]]] = True
    return kept


def _interval(
    score: Array,
    called_deleted: NDArray[np.bool_],
    target: Posteriors,
    rows: NDArray[np.intp],
    confidence: float,
    judgement: Judgement,
) -> Interval:
    original, record = target.original[rows], target.record[rows]
    found = interval_of(score, called_deleted, original, confidence, record=record, is_crossed=judgement.crossed)
    return told_of(judgement.unit, found)


def _untested(name: str, judgement: Judgement, confidence: float, note: str) -> ControlResult:
    nothing = Interval(estimate=0.5, low=None, high=None, confidence=confidence, n=0, method="none", note=note)
    return ControlResult(name=name, attack=judgement.attack, auc=nothing, passed=None, note=note)


def _rng(judgement: Judgement, name: str) -> np.random.Generator:
    return rng_for(judgement.seed, Stream.CONTROL, name)
