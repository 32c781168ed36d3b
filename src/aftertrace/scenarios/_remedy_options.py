"""Options for a remedy, and how each is judged: attacks mounted anew on what it releases, limits, costs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from aftertrace.attacks import Adversary, Attack, EucDist, LogitDrop, Superset, check_needs
from aftertrace.defenses import Defense, KeyedNoise, LabelOnly, Rounding, Temperature, TopK, defend
from aftertrace.engine import Engine
from aftertrace.errors import AftertraceError, UnsupportedError
from aftertrace.posteriors import Kind, Posteriors, Role, correctness
from aftertrace.results import AttackResult, Discoveries, LimitCheck, OptionKind, RemedyOption, UpdateCost
from aftertrace.scenarios._assess import Progress, Sample, ScoringTask, judge_attack, score_with
from aftertrace.scenarios._checks import limit_checks
from aftertrace.scenarios._crossfit import CrossFitted, can_be_fitted
from aftertrace.scenarios._persons import Persons
from aftertrace.scenarios._remedy_words import excess
from aftertrace.scenarios._slices import discoveries
from aftertrace.scenarios._update import mean_lost
from aftertrace.scenarios._verdict import Judgement
from aftertrace.statistics import Interval

RELEASES: Mapping[Defense, str] = {
    TopK(3): "Release only the three largest posteriors.",
    TopK(1): "Release only the largest posterior.",
    Rounding(2): "Round posteriors to two decimals.",
    Rounding(1): "Round posteriors to one decimal.",
    LabelOnly(): "Release the predicted class alone.",
    Temperature(2): "Flatten posteriors with a temperature of 2.",
    KeyedNoise(0.03): "Add noise of 3 % to posteriors, the same whenever a version is asked again.",
    KeyedNoise(0.1): "Add noise of 10 % to posteriors, the same whenever a version is asked again.",
    KeyedNoise(0.3): "Add noise of 30 % to posteriors, the same whenever a version is asked again.",
    KeyedNoise(1): "Add noise as large as the posteriors themselves, the same whenever a version is asked again.",
}
"""What is tried on the same answers, and what that is for a person."""
_UNASKED = Discoveries(fdr=0.05, deleted=0, before=0, after=0, worse=0, unseen=0, needed=0)
"""Where there is no limit for single records: telling them takes long."""
COPIES = "not tested: slightly changed copies of a record get other noise, which an attacker can average away"
AS_IT_IS = "as it is"
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """An option before it is judged: how it is called, and what is done at release."""

    name: str
    kind: OptionKind
    what: str
    changes: tuple[str, ...] = ()
    defense: Defense | None = None

    @property
    def training(self) -> tuple[str, ...]:
        """The changes that need other models."""
        return tuple(change for change in self.changes if not change.startswith("defense="))

    def option(self, note: str = "") -> RemedyOption:
        """It without figures, and why there are none."""
        return RemedyOption(name=self.name, kind=self.kind, what=self.what, changes=self.changes, note=note)


@dataclass(frozen=True, eq=False, kw_only=True)
class Trained:
    """The undefended answers of one way of training; `shadow` None: there is no shadow side.

    `person` [Q]: whose the target's records are, where persons are judged. What this training costs against today's, by
    original, none where it is today's: `accuracy_lost`, `brier_added`; `accuracy`: today's.
    """

    shadow: Posteriors | None
    target: Posteriors
    person: Ints | None = None
    accuracy_lost: Mapping[int, float] = field(default_factory=dict)
    brier_added: Mapping[int, float] = field(default_factory=dict)
    accuracy: float | None = None

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


def release_candidates(*, today: Defense | None = None) -> Iterator[Candidate]:
    """What is done today, and everything else that could be done at release."""
    yield Candidate(name=AS_IT_IS, kind="as it is", what="Change nothing.", defense=today)
    for defense, what in RELEASES.items():
        if defense != today:
            yield Candidate(
                name=str(defense), kind="release", what=what, changes=(f"defense={defense}",), defense=defense
            )


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
        target = yardstick.released(trained.target, candidate.defense, "target")
        shadow = None if trained.shadow is None else yardstick.released(trained.shadow, candidate.defense, "shadow")
        costs = _Costs.of(yardstick, trained, target)
        found = list(_mounted(yardstick, trained, shadow, target, costs.update))
    except AftertraceError as error:
        return candidate.option(" ".join(str(error).split()))
    strongest = max((result for result, _ in found), key=_reach)
    by_limit = zip(*(checks for _, checks in found), strict=True)
    changed = candidate.kind != AS_IT_IS
    return replace(
        candidate.option(_note(yardstick, trained, candidate, target)),
        attack=strongest.name,
        auc=strongest.auc,
        checks=tuple(max(checks, key=excess) for checks in by_limit),
        accuracy=costs.accuracy,
        accuracy_lost=costs.accuracy_lost if changed else None,
        brier_added=costs.brier_added if changed else None,
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class _Costs:
    """On unseen records, against what is released today; None where there are no posteriors."""

    update: UpdateCost | None = None
    accuracy: float | None = None
    accuracy_lost: Interval | None = None
    brier_added: Interval | None = None

    @classmethod
    def of(cls, yardstick: Yardstick, trained: Trained, shown: Posteriors) -> "_Costs":
        rows = np.flatnonzero(shown.role == Role.UNSEEN)
        if shown.kind is Kind.SCORE:
            return cls()
        today = yardstick.released(trained.target, yardstick.today, "target")
        label, original = shown.label[rows], shown.original[rows]
        before, _ = correctness(today.values[rows, 0], label)
        now, error_now = correctness(today.values[rows, -1], label)
        then, error_then = correctness(shown.values[rows, -1], label)
        lost, added = (
            np.array([cost.get(each, 0.0) for each in original.tolist()])
            for cost in (trained.accuracy_lost, trained.brier_added)
        )
        _, unit = np.unique(original, return_inverse=True)
        confidence = yardstick.judgement.confidence
        accuracy_lost = mean_lost(now - then + lost, unit, confidence)
        update = mean_lost(before - then + lost, unit, confidence)
        accuracy = float(now.mean()) if trained.accuracy is None else trained.accuracy
        after = accuracy - accuracy_lost.estimate
        return cls(
            update=UpdateCost(queries=len(rows), before=after + update.estimate, after=after, lost=update),
            accuracy=after,
            accuracy_lost=accuracy_lost,
            brier_added=mean_lost(error_then - error_now + added, unit, confidence),
        )


def _mounted(
    yardstick: Yardstick, trained: Trained, shadow: Posteriors | None, target: Posteriors, update: UpdateCost | None
) -> Iterator[tuple[AttackResult, tuple[LimitCheck, ...]]]:
    """Every attack that can be mounted on what is released, fitted anew, and the limits beside what it found."""
    judgement, refused = yardstick.judgement, []
    for attack in yardstick.attacks:
        try:
            check_needs(attack, target, adversary=yardstick.adversary)
        except UnsupportedError as error:
            refused.append(str(error))
            continue
        marks, table, own = score_with(ScoringTask(shadow, target, judgement.seed), attack), target, shadow
        if trained.person is not None:
            persons = Persons.of(target, trained.person)
            marks, table, own = replace(marks, target=persons.mean(marks.target), shadow=None), persons.table, None
        sample = Sample.of(own, table, judgement)
        found = judge_attack(attack, {attack.name: marks}, None, sample)
        told = _UNASKED
        if judgement.limits.per_record is not None:
            told = discoveries(
                table.confidence[:, 0], marks.target, table, sample.rows, confidence=judgement.confidence
            )
        yield found, limit_checks(judgement.limits, found, told, update, repeated=sample.repeats)
    if len(refused) == len(yardstick.attacks):
        raise UnsupportedError(" ".join(refused))


def _reach(found: AttackResult) -> float:
    """How far an AUC may be from one half."""
    auc = found.auc
    return max(abs((auc.estimate if end is None else end) - 0.5) for end in (auc.low, auc.high))


def _note(yardstick: Yardstick, trained: Trained, candidate: Candidate, shown: Posteriors) -> str:
    """What a reader must know of the figures."""
    if isinstance(candidate.defense, KeyedNoise):
        return COPIES
    if candidate.kind != "release":
        return ""
    today = yardstick.released(trained.target, yardstick.today, "target")
    return "releases what is released today" if np.allclose(today.values, shown.values, rtol=0, atol=1e-12) else ""
