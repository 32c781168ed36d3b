"""How an option for a remedy is judged: attacks mounted anew on what it releases, limits, costs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from aftertrace.attacks import Adversary, Attack, EucDist, LogitDrop, Superset, check_needs
from aftertrace.defenses import Defense, KeyedNoise, defend
from aftertrace.engine import Engine
from aftertrace.errors import AftertraceError, UnsupportedError
from aftertrace.posteriors import Kind, Posteriors, Role, correctness
from aftertrace.results import AttackResult, Discoveries, LimitCheck, RemedyOption, UpdateCost
from aftertrace.scenarios._assess import Progress
from aftertrace.scenarios._attack_results import judge_attack
from aftertrace.scenarios._checks import limit_checks
from aftertrace.scenarios._crossfit import CrossFitted, can_be_fitted
from aftertrace.scenarios._persons import Persons
from aftertrace.scenarios._remedy_candidates import AS_IT_IS, COPIES, Candidate
from aftertrace.scenarios._remedy_words import excess, why_not
from aftertrace.scenarios._sample import Sample
from aftertrace.scenarios._scoring import ScoringTask, score_with
from aftertrace.scenarios._slices import discoveries
from aftertrace.scenarios._told import told_of
from aftertrace.scenarios._update import mean_by_original, mean_lost
from aftertrace.scenarios._verdict import Judgement
from aftertrace.statistics import Interval

_UNASKED = Discoveries(fdr=0.05, deleted=0, before=0, after=0, worse=0, unseen=0, needed=0)
"""Where there is no limit for single records: telling them takes long."""
SAME = 1e-12
"""Posteriors that differ less are the same."""
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False, kw_only=True)
class Trained:
    """The undefended answers of one way of training; `shadow` None: there is no shadow side.

    `person` [Q]: whose the target's records are, where persons are judged; `shadow_person`: whose the shadow side's
    are, where that is known. What this training costs against today's at the same unseen queries, by original, none
    where it is today's: `accuracy_lost`, `brier_added`.
    """

    shadow: Posteriors | None
    target: Posteriors
    person: Ints | None = None
    shadow_person: Ints | None = None
    accuracy_lost: Mapping[int, float] = field(default_factory=dict)
    brier_added: Mapping[int, float] = field(default_factory=dict)

    def part(self, rows: Mask) -> "Trained":
        """With those target queries alone."""
        person = None if self.person is None else self.person[rows]
        return replace(self, target=self.target.select(rows), person=person)


@dataclass(frozen=True, eq=False, kw_only=True)
class Yardstick:
    """What options are held against: `attacks`, the limits and confidence of `judgement`, today's defense."""

    attacks: tuple[Attack, ...]
    judgement: Judgement
    adversary: Adversary
    today: Defense | None
    first_is_original: bool

    @classmethod
    def of(
        cls,
        attack: Attack,
        judgement: Judgement,
        trained: Trained,
        *,
        adversary: Adversary,
        today: Defense | None = None,
        first_is_original: bool = True,
    ) -> "Yardstick":
        """The verdict's attack, and others that adapt to what is released, so that no option passes by dodging one."""
        attacks: list[Attack] = [attack, LogitDrop(), EucDist()]
        if trained.shadow is not None:
            attacks.append(Superset())
        elif can_be_fitted(trained.target):
            attacks.append(CrossFitted(Superset(), "Auditor"))
        named: dict[str, Attack] = {}
        for each in attacks:
            named.setdefault(each.name, each)
        return cls(
            attacks=tuple(named.values()),
            judgement=replace(judgement, claim=None, sequence=None),
            adversary=Adversary.NONE if trained.shadow is None else adversary,
            today=today,
            first_is_original=first_is_original,
        )

    def for_one_of(self, options: int) -> "Yardstick":
        """With a confidence that holds for that many options together (Bonferroni)."""
        confidence = 1 - (1 - self.judgement.confidence) / options
        return replace(self, judgement=replace(self.judgement, confidence=confidence))

    def released(self, table: Posteriors, defense: Defense | None, side: str) -> Posteriors:
        """What an outsider sees of a side."""
        if defense is None:
            return table
        seed, first = self.judgement.seed, self.first_is_original
        return defend(table, defense, seed=seed, side=side, first_is_original=first)


def judged(
    yardstick: Yardstick, trained: Trained, candidates: Sequence[Candidate], *, engine: Engine, progress: Progress
) -> list[RemedyOption]:
    """All candidates on the same answers, in order."""
    found: dict[int, RemedyOption] = {}
    progress("what if", 0, len(candidates))
    for number, option in engine.map(judged_one, (yardstick, trained), candidates):
        found[number] = option
        progress("what if", len(found), len(candidates))
    return [found[number] for number in range(len(candidates))]


def judged_one(context: tuple[Yardstick, Trained], candidate: Candidate) -> RemedyOption:
    """A candidate with its figures, or with the reason why it has none."""
    yardstick, trained = context
    try:
        shown = _Shown.of(yardstick, trained, candidate.defense)
        costs = _Costs.of(yardstick, trained, shown)
        found = list(_mounted(yardstick, shown, costs.update))
    except AftertraceError as error:
        return candidate.option(" ".join(str(error).split()))
    strongest = max((result for result, _ in found), key=_reach)
    by_limit = zip(*(checks for _, checks in found), strict=True)
    changed = candidate.kind != AS_IT_IS
    return replace(
        candidate.option(_note(candidate, shown) if changed else why_not(yardstick.judgement, found)),
        attack=strongest.name,
        auc=strongest.auc,
        checks=tuple(max(checks, key=excess) for checks in by_limit),
        accuracy=costs.accuracy,
        accuracy_lost=costs.accuracy_lost if changed else None,
        brier_added=costs.brier_added if changed else None,
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class _Shown:
    """What an outsider sees of a candidate, and of the same models `today`; `target` is `today` if they are equal."""

    shadow: Posteriors | None
    target: Posteriors
    today: Posteriors
    persons: Persons | None
    shadow_persons: Persons | None

    @classmethod
    def of(cls, yardstick: Yardstick, trained: Trained, defense: Defense | None) -> "_Shown":
        today = yardstick.released(trained.target, yardstick.today, "target")
        target = yardstick.released(trained.target, defense, "target")
        if target is not today and np.allclose(today.values, target.values, rtol=0, atol=SAME):
            defense, target = yardstick.today, today
        shadow = None if trained.shadow is None else yardstick.released(trained.shadow, defense, "shadow")
        return cls(
            shadow=shadow,
            target=target,
            today=today,
            persons=Persons.at(target, trained.person),
            shadow_persons=None if shadow is None else Persons.at(shadow, trained.shadow_person),
        )

    @property
    def is_todays(self) -> bool:
        return self.target is self.today


@dataclass(frozen=True, eq=False, kw_only=True)
class _Costs:
    """On unseen records, or persons, against what is released today; None where there are no posteriors."""

    update: UpdateCost | None = None
    accuracy: float | None = None
    accuracy_lost: Interval | None = None
    brier_added: Interval | None = None

    @classmethod
    def of(cls, yardstick: Yardstick, trained: Trained, shown: _Shown) -> "_Costs":
        if shown.target.kind is Kind.SCORE:
            return cls()
        measured, original = _at_unseen(shown)
        before, now, then, error_now, error_then = measured.T
        lost, added = (
            np.array([cost.get(each, 0.0) for each in original.tolist()])
            for cost in (trained.accuracy_lost, trained.brier_added)
        )
        _, unit = np.unique(original, return_inverse=True)
        confidence = yardstick.judgement.confidence
        at_release, by_update = now - then + lost, before - then + lost
        own = unit
        if trained.accuracy_lost:  # what a training costs is known by original, and is no share of a record
            at_release, by_update = (_originals(each, unit) for each in (at_release, by_update))
            own = np.arange(len(by_update))
        accuracy_lost = mean_lost(at_release, own, confidence)
        brier_added = mean_by_original(error_then - error_now + added, unit, confidence)
        if shown.is_todays and not trained.accuracy_lost:
            accuracy_lost, brier_added = (_nothing(each) for each in (accuracy_lost, brier_added))
        update = mean_lost(by_update, own, confidence)
        after = float(then.mean())
        found = cls(
            update=UpdateCost(queries=len(unit), before=after + update.estimate, after=after, lost=update),
            accuracy=after,
            accuracy_lost=accuracy_lost,
            brier_added=brier_added,
        )
        return told_of(yardstick.judgement.unit, found)


def _at_unseen(shown: _Shown) -> tuple[NDArray[np.float64], Ints]:
    """Right answers before the update, after it, and as shown, errors after it and as shown [n, 5]; the originals."""
    versions = shown.today.values[:, 0], shown.today.values[:, -1], shown.target.values[:, -1]
    (before, _), (now, error_now), (then, error_then) = (correctness(each, shown.target.label) for each in versions)
    table, columns = shown.target, np.stack([before, now, then, error_now, error_then], axis=1)
    if shown.persons is not None:
        table, columns = shown.persons.table, shown.persons.mean(columns)
    rows = np.flatnonzero(table.role == Role.UNSEEN)
    return columns[rows], table.original[rows]


def _originals(values: NDArray[np.float64], original: NDArray[np.intp]) -> NDArray[np.float64]:
    """The mean of each original 0..M-1, of a cost that cannot be more than all accuracy. [M]"""
    return np.clip(np.bincount(original, values) / np.bincount(original), -1, 1)


def _nothing(found: Interval) -> Interval:
    """What the same answers cost: no sample is needed to know it."""
    return Interval(0.0, 0.0, 0.0, found.confidence, found.n, "the same answers")


def _mounted(
    yardstick: Yardstick, shown: _Shown, update: UpdateCost | None
) -> Iterator[tuple[AttackResult, tuple[LimitCheck, ...]]]:
    """Every attack that can be mounted on what is released, fitted anew, and the limits beside what it found."""
    judgement, target, persons, refused = yardstick.judgement, shown.target, shown.persons, []
    if persons is not None:  # so that folds keep them whole
        target = replace(target, record=persons.table.record[persons.group])
    for attack in yardstick.attacks:
        try:
            check_needs(attack, target, adversary=yardstick.adversary)
        except UnsupportedError as error:
            refused.append(str(error))
            continue
        marks, table, own = score_with(ScoringTask(shown.shadow, target, judgement.seed), attack), target, shown.shadow
        if persons is not None:
            marks, table = marks.of_persons(persons, shown.shadow_persons), persons.table
            own = None if shown.shadow_persons is None else shown.shadow_persons.table
        sample = Sample.of(own, table, judgement)
        found = judge_attack(attack, {attack.name: marks}, None, sample)
        told = _UNASKED
        if judgement.limits.per_record is not None:
            told = discoveries(
                table.confidence[:, 0], marks.target, table, sample.rows, confidence=judgement.confidence
            )
        yield found, limit_checks(judgement.limits, found, told, update, repeated=sample.repeats, unit=judgement.unit)
    if len(refused) == len(yardstick.attacks):
        raise UnsupportedError(" ".join(refused))


def _reach(found: AttackResult) -> float:
    """How far an AUC may be from one half."""
    auc = found.auc
    return max(abs((auc.estimate if end is None else end) - 0.5) for end in (auc.low, auc.high))


def _note(candidate: Candidate, shown: _Shown) -> str:
    """What a reader must know of the figures."""
    if candidate.kind == "release" and shown.is_todays:
        return "releases what is released today"
    return COPIES if isinstance(candidate.defense, KeyedNoise) else ""
