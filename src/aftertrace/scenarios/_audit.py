"""An audit of posteriors that a user brings."""

from collections.abc import Sequence

import numpy as np

from aftertrace._hashing import digest
from aftertrace.attacks import Attack, EucDist, LogitDrop, OriginalLogit
from aftertrace.engine import InProcess
from aftertrace.posteriors import Posteriors, Role
from aftertrace.results import Counts, DataSummary, Result, Scores
from aftertrace.scenarios._assess import assess
from aftertrace.scenarios._verdict import Judgement

ATTACKS: tuple[Attack, ...] = (LogitDrop(), EucDist(), OriginalLogit())


def audit_posteriors(
    target: Posteriors,
    *,
    limit: float | None = None,
    confidence: float = 0.95,
    seed: int = 0,
    attacks: Sequence[Attack] = (),
) -> tuple[Result, Scores]:
    """Judge two versions of a model from their posteriors, by the attacks that need no shadow models.

    `target`: deleted and unseen queries of one pair of models or of several (`original` is the unit then).
    `attacks` without shadow models are added. Raises `PosteriorsError` unless both roles are there.
    """
    judgement = Judgement(attack="LogitDrop", limit=limit, confidence=confidence, seed=seed)
    assessment = assess(
        None, target, (*ATTACKS, *attacks), judgement, engine=InProcess(), progress=lambda stage, done, total: None
    )
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
        verdict=assessment.verdict,
        attacks=assessment.attacks,
        controls=assessment.controls,
        counts=counts,
        overfitting=None,
        data=DataSummary(
            name="posteriors",
            records=len(np.unique(target.record)),
            features=None,
            classes=target.classes,
            fingerprint=digest([target.log_values, target.label, target.member]),
        ),
        settings={"seed": seed, "verdict": {"attack": "LogitDrop", "limit": limit, "confidence": confidence}},
        threat_model=(
            "The attacker asks the model before and after the deletions for its posteriors at a record, and knows "
            "the record's true class.",
            "The attacker trains nothing: a stronger one, with shadow models, may find more.",
        ),
        not_tested=(
            "Attackers with shadow models: they need a simulation of the training.",
            "Attackers who see only predicted classes, more than two versions, or the model's parameters.",
            "Whether deleted and unseen records are comparable at all: both must be draws of one population.",
        ),
        notes=_notes(counts, target),
        slices=assessment.slices,
        discoveries=assessment.discoveries,
    )
    return result, assessment.scores


def _notes(counts: Counts, target: Posteriors) -> tuple[str, ...]:
    notes = []
    if counts.originals == 1:
        notes.append(
            "One pair of models: intervals are over records and hold for this pair only; another training run "
            "may leak more or less."
        )
    elif len(np.unique(target.record)) < len(target):
        notes.append("Some records are queried at several pairs: intervals over originals take the records as given.")
    deviation = target.sum_deviation
    if deviation > 1e-6:
        notes.append(f"Rows of posteriors sum to 1 within {deviation:.1e}.")
    return tuple(notes)
