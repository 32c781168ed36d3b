"""An audit of posteriors that a user brings."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from aftertrace._hashing import digest
from aftertrace._random import Stream, rng_for
from aftertrace.attacks import Attack, EucDist, LogitDrop, OriginalLogit
from aftertrace.engine import InProcess
from aftertrace.errors import PosteriorsError
from aftertrace.posteriors import Posteriors, Role, Use
from aftertrace.results import Claim, Counts, DataSummary, Result, Scores
from aftertrace.scenarios._assess import assess
from aftertrace.scenarios._verdict import BLIND, Judgement
from aftertrace.statistics import Matching, matched_queries

ATTACKS: tuple[Attack, ...] = (LogitDrop(), EucDist(), OriginalLogit())
OFFER = "Or leave out those without a counterpart: --match (in Python, match=True)."
FEWEST_MATCHED = 20
"""Deleted, and unseen, queries that matching must leave."""
Array = NDArray[np.float64]


def audit_posteriors(
    target: Posteriors,
    *,
    limit: float | None = None,
    claim: Claim | None = None,
    confidence: float = 0.95,
    seed: int = 0,
    attacks: Sequence[Attack] = (),
    features: Array | None = None,
    match: bool = False,
) -> tuple[Result, Scores]:
    """Judge two versions of a model from their posteriors, by the attacks that need no shadow models.

    `target`: deleted and unseen queries of one pair of models or of several (`original` is the unit then).
    `attacks` without shadow models are added. `features` [Q, F] of the queries' records, finite: the blind control sees
    them, and the class. `match`: deleted and unseen queries that have no counterpart in class and features are left out
    (`matched_queries`) before anything is judged; the figures hold for the others. Raises `PosteriorsError` unless both
    roles are there, and 20 of each after matching.
    """
    brought, matching = target, None
    if match:
        target, features, matching = _matched(target, features, seed)
    judgement = Judgement(
        attack="LogitDrop", limit=limit, claim=claim, confidence=confidence, seed=seed, crossed=_roles_are_tied(target)
    )
    assessment = assess(
        None,
        target,
        (*ATTACKS, *attacks),
        judgement,
        engine=InProcess(),
        progress=lambda stage, done, total: None,
        features=features,
    )
    verdict = assessment.verdict
    if not match and any(control.name == BLIND and control.passed is False for control in assessment.controls):
        verdict = replace(verdict, sentence=f"{verdict.sentence} {OFFER}")
    counts = Counts(
        originals=len(np.unique(target.original)),
        pairs=len(np.unique(target.pair)),
        deleted=int((target.role == Role.DELETED).sum()),
        unseen=int((target.role == Role.UNSEEN).sum()),
        held_out=0,
        retained=int((target.role == Role.RETAINED).sum()),
        models=0,
        unconverged=0,
    )
    result = Result(
        title="two versions of a model",
        verdict=verdict,
        attacks=assessment.attacks,
        controls=assessment.controls,
        counts=counts,
        overfitting=None,
        data=DataSummary(
            name="posteriors",
            records=len(np.unique(target.record)),
            features=None if features is None else features.shape[1],
            classes=target.classes,
            fingerprint=digest([brought.log_values, brought.label, brought.member]),
        ),
        settings={
            "seed": seed,
            "match": match,
            "verdict": {"attack": judgement.attack, "limit": judgement.limit, "confidence": confidence},
        },
        threat_model=(
            "The attacker asks the model before and after the deletions for its posteriors at a record, and knows "
            "the record's true class.",
            "The attacker trains nothing: a stronger one, with shadow models, may find more.",
        ),
        not_tested=(
            "Attackers with shadow models: they need a simulation of the training.",
            "Attackers who see only predicted classes, more than two versions, or the model's parameters.",
            "Whether deleted and unseen records are comparable in what the control blind does not see: both must be "
            "draws of one population.",
        ),
        notes=(*_matching_notes(matching, features), *_notes(counts, target)),
        slices=assessment.slices,
        discoveries=assessment.discoveries,
    )
    return result, assessment.scores


def _matched(target: Posteriors, features: Array | None, seed: int) -> tuple[Posteriors, Array | None, Matching | None]:
    """The queries that can be compared, and those of other roles, with their features."""
    compared = (target.use == Use.EVALUATE) & np.isin(target.role, (Role.DELETED, Role.UNSEEN))
    is_deleted = target.role[compared] == Role.DELETED
    if not is_deleted.any() or is_deleted.all():
        return target, features, None  # `assess` refuses
    matching = matched_queries(
        None if features is None else features[compared],
        target.label[compared],
        is_deleted,
        rng=rng_for(seed, Stream.CONTROL, "matching"),
    )
    if min(matching.deleted, matching.unseen) < FEWEST_MATCHED:
        raise PosteriorsError(
            f"Matching must leave at least {FEWEST_MATCHED} deleted and {FEWEST_MATCHED} unseen queries; it leaves "
            f"{matching.deleted} of {is_deleted.sum()} and {matching.unseen} of {(~is_deleted).sum()}: the others have "
            f"no counterpart. Bring unseen records that were drawn as the deleted ones, or fewer features."
        )
    keep = ~compared
    keep[compared] = matching.keep
    return target.select(keep), None if features is None else features[keep], matching


def _matching_notes(matching: Matching | None, features: Array | None) -> tuple[str, ...]:
    if matching is None:
        return ()
    of_deleted, of_unseen = matching.deleted + matching.dropped_deleted, matching.unseen + matching.dropped_unseen
    alike = "classes" if features is None else "classes and features"
    return (
        f"Matched by {alike}: {matching.dropped_deleted} of {of_deleted} deleted and {matching.dropped_unseen} of "
        f"{of_unseen} unseen queries were left out, so that those kept are alike. All figures hold for those kept "
        f"only; that the control blind passes follows from this, and does not say that they were drawn alike.",
    )


def _roles_are_tied(target: Posteriors) -> bool:
    """Whether originals share deleted or unseen records, and none is deleted in one and unseen in another."""
    rows = np.flatnonzero(np.isin(target.role, (Role.DELETED, Role.UNSEEN)))
    order = rows[np.lexsort((target.original[rows], target.record[rows]))]
    again = target.record[order[1:]] == target.record[order[:-1]]
    shared = again & (target.original[order[1:]] != target.original[order[:-1]])
    deleted, unseen = (target.record[target.role == role] for role in (Role.DELETED, Role.UNSEEN))
    return bool(shared.any()) and not np.isin(deleted, unseen).any()


def _notes(counts: Counts, target: Posteriors) -> tuple[str, ...]:
    notes = []
    if counts.originals == 1:
        notes.append(
            "One pair of models: intervals are over records and hold for this pair only; another training run "
            "may leak more or less."
        )
    elif _roles_are_tied(target):
        notes.append(
            "Several originals share records whose role is always the same: intervals are over originals and records, "
            "and wide; tests over originals take the records as given."
        )
    elif len(np.unique(target.record)) < len(target):
        notes.append("Some records are queried at several pairs: intervals over originals take the records as given.")
    deviation = target.sum_deviation
    if deviation > 1e-6:
        notes.append(f"Rows of posteriors sum to 1 within {deviation:.1e}.")
    return tuple(notes)
