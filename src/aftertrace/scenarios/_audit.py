"""An audit of posteriors that a user brings."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from numbers import Integral

import numpy as np
from numpy.typing import NDArray

from aftertrace._hashing import digest
from aftertrace._random import Stream, rng_for
from aftertrace.attacks import Attack
from aftertrace.engine import Engine, InProcess
from aftertrace.errors import InputError, PosteriorsError, UnsupportedError
from aftertrace.posteriors import Features, Kind, Posteriors, Role, Use
from aftertrace.results import Claim, Counts, DataSummary, DeletionUnit, Limits, Outcome, Result, Scores, Verdict
from aftertrace.scenarios._assess import Assessment, Progress, assess
from aftertrace.scenarios._audit_attacks import attacks_on, verdict_attack
from aftertrace.scenarios._audit_words import (
    audit_not_tested,
    audit_notes,
    audit_threat_model,
    matching_notes,
    shadow_notes,
)
from aftertrace.scenarios._crossfit import FEWEST
from aftertrace.scenarios._persons import Persons
from aftertrace.scenarios._recipe import Recipe
from aftertrace.scenarios._remedy import require_limits, what_if
from aftertrace.scenarios._row_order import as_brought, row_order
from aftertrace.scenarios._shadow import ShadowSide, check_taught
from aftertrace.scenarios._starter import Pair
from aftertrace.scenarios._suspicions import suspicions
from aftertrace.scenarios._verdict import BLIND, Judgement
from aftertrace.scenarios._widening import widening_of
from aftertrace.statistics import Matching, matched_queries

OFFER = "Or leave out those without a counterpart: `match=True`."
Array = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False, kw_only=True)
class Brought:
    """What a user brings to be judged: Q queries.

    `table`: deleted and unseen queries, and others, of one pair of models or of several (`original` is the unit then).
    `person` [Q]: whose record each is, where persons are deleted and judged. `features` of the records:
    the blind control sees them, and the class. `notes`: what was seen when it was read; `advice`: what to bring
    otherwise, which is a question of the result and, where deleted and unseen queries differ by themselves, said first.
    `recipe`: how models like those that answered are trained, as far as these say it.
    `place` [Q]: where each stood when it was brought, once they are `in_order`.
    """

    table: Posteriors
    person: Ints | None = None
    features: Features | None = None
    notes: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()
    recipe: Recipe = field(default_factory=Recipe)
    place: Ints | None = None

    def select(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> "Brought":
        """The queries of a mask or an index, in its order."""
        return replace(
            self,
            table=self.table.select(rows),
            person=None if self.person is None else self.person[rows],
            features=None if self.features is None else self.features.select(rows),
            place=None if self.place is None else self.place[rows],
        )

    def in_order(self) -> "Brought":
        """The queries in an order that theirs does not enter (`row_order`): so a sorted file is judged alike."""
        placed = replace(self, place=np.arange(len(self.table)))
        return placed.select(row_order(self.table, person=self.person, features=self.features))


@dataclass(frozen=True, kw_only=True)
class AuditSettings:
    """How to judge what is brought. `match`: deleted and unseen queries that have no counterpart in class and features
    are left out (`matched_queries`) before anything is judged; the figures hold for the others.
    """

    limits: Limits = field(default_factory=Limits)
    claim: Claim | None = None
    confidence: float = 0.95
    seed: int = 0
    match: bool = False

    def __post_init__(self) -> None:
        if not (isinstance(self.confidence, int | float) and 0.5 <= self.confidence < 1):
            raise InputError(f"`confidence` must be at least 0.5 and below 1, such as 0.95, got {self.confidence!r}.")
        if not isinstance(self.seed, Integral) or isinstance(self.seed, bool) or self.seed < 0:
            raise InputError(f"`seed` must be a whole number of at least 0, got {self.seed!r}.")
        object.__setattr__(self, "seed", int(self.seed))  # numpy's are no numbers of JSON
        self.judgement("LogitDrop")  # limits and claim may not go together

    def judgement(self, attack: str, *, crossed: bool = False, unit: DeletionUnit = "record") -> Judgement:
        """How to judge by that attack."""
        return Judgement(
            attack=attack,
            limits=self.limits,
            claim=self.claim,
            confidence=self.confidence,
            seed=self.seed,
            crossed=crossed,
            unit=unit,
        )


def audit_posteriors(
    brought: Brought,
    settings: AuditSettings | None = None,
    *,
    shadow: ShadowSide | None = None,
    attacks: Sequence[Attack] = (),
    remedy: bool = False,
    engine: Engine | None = None,
    progress: Progress = lambda stage, done, total: None,
) -> tuple[Result, Scores]:
    """Judge versions of a model from their posteriors, or from scores, at deleted and unseen records.

    With a `shadow` side all attacks of its experiment; without, those that need none, and an auditor's attack
    (`CrossFitted`), which is an upper bound. `attacks` are added. `remedy`: try other
    releases of the same answers (`what_if`). Raises `PosteriorsError` unless both roles are there,
    and 20 of each after matching, and `UnsupportedError` for combinations that cannot be.
    """
    settings = settings or AuditSettings()
    _check(brought, settings, shadow)
    kept, matching = (brought := brought.in_order()), None
    if settings.match:
        kept, matching = _matched(brought, settings.seed)
    persons = Persons.at(kept.table, kept.person)
    own, left_out = attacks_on(kept.table, shadow)
    every_attack = (*own, *(attack for attack in attacks if attack not in own))
    judged = kept.table if persons is None else persons.table
    tied = _roles_are_tied(judged)
    unit: DeletionUnit = "record" if persons is None else "person"
    judgement = settings.judgement(verdict_attack(kept.table, shadow), crossed=tied, unit=unit)
    if remedy:
        require_limits(judgement)
    assessment = assess(
        None if shadow is None else shadow.table,
        kept.table if kept.person is None else replace(kept.table, record=kept.person),  # so that folds keep them whole
        every_attack,
        judgement,
        engine=engine or InProcess(),
        progress=progress,
        features=kept.features,
        persons=persons,
        shadow_persons=None if shadow is None else Persons.at(shadow.table, shadow.person),
    )
    counts = _counts(judged, shadow)
    notes = (
        *brought.notes,
        *matching_notes(matching, by_features=kept.features is not None),
        *audit_notes(kept.table, kept.person, judged, counts, tied=tied, left_out=left_out),
        *([] if shadow is None else shadow_notes(shadow, judged, persons_are_judged=persons is not None)),
    )
    result = Result(
        title=f"{judged.n_versions} versions of a model" if judged.n_versions > 2 else "two versions of a model",
        verdict=_offering(assessment, settings, brought),
        attacks=assessment.attacks,
        controls=assessment.controls,
        counts=counts,
        overfitting=None,
        data=DataSummary(
            name="posteriors" if judged.kind is not Kind.SCORE else "scores",
            records=len(np.unique(kept.table.record)),
            features=None if kept.features is None else kept.features.values.shape[1],
            classes=judged.classes,
            fingerprint=digest([brought.table.log_values, brought.table.label, brought.table.member]),
        ),
        settings=_settings(judgement, settings, shadow),
        threat_model=tuple(audit_threat_model(judged, has_shadow=shadow is not None)),
        not_tested=tuple(audit_not_tested(judged, unit, has_shadow=shadow is not None)),
        notes=notes,
        questions=(*brought.advice, *suspicions(kept.table, kept.person)),
        slices=assessment.slices,
        discoveries=assessment.discoveries,
        update=assessment.update,
        remedy=None
        if not remedy or assessment.verdict.outcome is Outcome.INVALID
        else what_if(
            None if shadow is None else shadow.table,
            kept.table,
            next(each for each in every_attack if each.name == judgement.attack),
            judgement,
            person=kept.person,
            shadow_person=None if shadow is None else shadow.person,
            engine=engine or InProcess(),
            progress=progress,
        ),
        widening=widening_of(_pair(judged, unit, kept.recipe, settings), shadow) if counts.originals == 1 else None,
        unit=unit,
    )
    assert kept.place is not None
    return result, assessment.scores.select(as_brought(kept.place, persons))


def _check(brought: Brought, settings: AuditSettings, shadow: ShadowSide | None) -> None:
    table = brought.table
    if brought.person is not None and settings.match:
        raise UnsupportedError("Matching compares records, and persons are judged: leave out `match`, or the persons.")
    if shadow is None:
        return
    check_taught(shadow.experiment, n_versions=table.n_versions, kind=table.kind)
    if shadow.table.classes != table.classes:
        raise PosteriorsError(
            f"The shadow side must have the models' classes in their order, {', '.join(table.classes)}; it has "
            f"{', '.join(shadow.table.classes)}."
        )


def _offering(assessment: Assessment, settings: AuditSettings, brought: Brought) -> Verdict:
    """The verdict, with advice, and matching of records offered, where deleted and unseen ones are not comparable."""
    verdict = assessment.verdict
    if settings.match or not any(each.name == BLIND and each.passed is False for each in assessment.controls):
        return verdict
    offered = [OFFER] if brought.person is None else []
    return replace(verdict, sentence=" ".join((verdict.sentence, *brought.advice, *offered)))


def _counts(table: Posteriors, shadow: ShadowSide | None) -> Counts:
    deleted, unseen, retained = (int((table.role == r).sum()) for r in (Role.DELETED, Role.UNSEEN, Role.RETAINED))
    return Counts(
        originals=len(np.unique(table.original)),
        pairs=len(np.unique(table.pair)),
        deleted=deleted,
        unseen=unseen,
        held_out=0,
        retained=retained,
        models=0 if shadow is None else shadow.models,
        unconverged=0 if shadow is None else shadow.unconverged,
    )


def _pair(judged: Posteriors, unit: DeletionUnit, recipe: Recipe, settings: AuditSettings) -> Pair:
    return Pair(
        deleted=int((judged.role == Role.DELETED).sum()),
        versions=judged.n_versions,
        unit=unit,
        classes=judged.classes,
        scores=judged.kind is Kind.SCORE,
        recipe=recipe,
        limits=settings.limits,
        claim=settings.claim,
        confidence=settings.confidence,
    )


def _settings(judgement: Judgement, settings: AuditSettings, shadow: ShadowSide | None) -> dict[str, object]:
    return {
        "seed": settings.seed,
        "match": settings.match,
        "verdict": {"attack": judgement.attack, "confidence": settings.confidence},
        "limits": settings.limits.given(),
        **({} if shadow is None else {"shadow": shadow.experiment.public_dict()}),
    }


def _matched(brought: Brought, seed: int) -> tuple[Brought, Matching | None]:
    """The queries that can be compared, and those of other roles, with their features."""
    target, features = brought.table, brought.features
    compared = (target.use == Use.EVALUATE) & np.isin(target.role, (Role.DELETED, Role.UNSEEN))
    is_deleted = target.role[compared] == Role.DELETED
    if not is_deleted.any() or is_deleted.all():
        return brought, None  # `assess` refuses
    matching = matched_queries(
        None if features is None else features.values[compared],
        target.label[compared],
        is_deleted,
        rng=rng_for(seed, Stream.CONTROL, "matching"),
    )
    if min(matching.deleted, matching.unseen) < FEWEST:
        raise PosteriorsError(
            f"Matching must leave at least {FEWEST} deleted and {FEWEST} unseen queries; it leaves "
            f"{matching.deleted} of {is_deleted.sum()} and {matching.unseen} of {(~is_deleted).sum()}: the others have "
            f"no counterpart. Bring unseen records that were drawn as the deleted ones, or fewer features."
        )
    keep = ~compared
    keep[compared] = matching.keep
    return brought.select(keep), matching


def _roles_are_tied(target: Posteriors) -> bool:
    """Whether originals share deleted or unseen records, and none is deleted in one and unseen in another."""
    rows = np.flatnonzero(np.isin(target.role, (Role.DELETED, Role.UNSEEN)))
    order = rows[np.lexsort((target.original[rows], target.record[rows]))]
    again = target.record[order[1:]] == target.record[order[:-1]]
    shared = again & (target.original[order[1:]] != target.original[order[:-1]])
    deleted, unseen = (target.record[target.role == role] for role in (Role.DELETED, Role.UNSEEN))
    return bool(shared.any()) and not np.isin(deleted, unseen).any()
