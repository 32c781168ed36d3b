"""The verdict: from the ends of intervals beside the limits, and from the controls."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from aftertrace._figures import beside, bound, percent, share
from aftertrace.errors import InputError
from aftertrace.results import (
    AttackResult,
    Claim,
    ControlResult,
    DeletionUnit,
    LimitCheck,
    Limits,
    Outcome,
    SequentialResult,
    Standing,
    Verdict,
)
from aftertrace.statistics import PLANTED_AUC

PLANTED = "planted"
"""The control that must find something."""
BLIND = "blind"
"""The control that sees no model."""
MOST_MORE = 10_000
"""Originals beyond which a number is no help."""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """How to judge, whatever the attacks: the attack of the verdict, the limits, confidence, seed.

    `claim`: of differential privacy, whose ceiling is then the limit of the AUC. `crossed`: roles are tied to records
    that several originals share, as in fixed pools. `attacked`: who is told from unseen records.

    `sequence`: what was seen on the way, where originals were added until it was decided. `unit`: what is deleted.
    """

    attack: str
    limits: Limits = field(default_factory=Limits)
    confidence: float
    seed: int
    claim: Claim | None = None
    crossed: bool = False
    attacked: Literal["deleted", "retained"] = "deleted"
    sequence: SequentialResult | None = None
    unit: DeletionUnit = "record"

    def __post_init__(self) -> None:
        if self.claim is not None:
            if self.limits.auc is not None:
                raise InputError("Give a limit of the AUC or a claim, which is one too; got both.")
            object.__setattr__(self, "limits", replace(self.limits, auc=self.claim.largest_auc))
        if self.limits.given().keys() == {"accuracy_loss"}:
            raise InputError(
                "A limit of `accuracy_loss` alone limits no leak: give `auc`, `tpr_at_1pct` or `per_record` beside it."
            )

    @property
    def subject(self) -> str:
        """Who may show."""
        return "Deletions" if self.attacked == "deleted" else f"Retained {self.unit}s"


def judge(
    found: AttackResult,
    results: Sequence[AttackResult],
    controls: Sequence[ControlResult],
    judgement: Judgement,
    *,
    checks: Sequence[LimitCheck] = (),
    more_originals: Callable[[float], int | None] = lambda limit: None,
) -> Verdict:
    """The verdict, from the ends of intervals: of the attack fixed in advance, and of what the limits are about.

    An AUC below one half is a leak too (over-unlearning): a limit L asks for an interval within [1 - L, L]. A failed
    null control makes the audit invalid. A planted leak that is not found makes "no leak shown" inconclusive: what
    an interval excludes it excludes all the same. `checks`: of every limit; a leak beyond one decides, then more
    accuracy lost than accepted, then an undecided one. `more_originals(limit)` is asked where more would help.
    """
    failed = [control.name for control in controls if control.passed is False and control.name != PLANTED]
    is_blunt = any(control.passed is False and control.name == PLANTED for control in controls)
    more = None
    if failed:
        outcome, sentence = Outcome.INVALID, _invalid(failed, controls, judgement.unit)
    elif checks:
        outcome = _of_checks(checks)
        undecided = next((each for each in checks if each.name == "auc" and each.standing is Standing.UNDECIDED), None)
        if undecided is not None and judgement.sequence is None:
            more = more_originals(undecided.limit)
        sentence = _limits_sentence(outcome, checks, found, judgement, more) + _classical(found, results)
    elif found.auc.low is None or found.auc.high is None:
        outcome, sentence = Outcome.INCONCLUSIVE, f"Inconclusive: AUC {found.auc.estimate:.2f}, {found.auc.note}."
    else:
        outcome = Outcome.NOT_SHOWN if found.auc.low <= 0.5 <= found.auc.high else Outcome.LEAKS
        if outcome is Outcome.NOT_SHOWN and (is_blunt or found.auc.estimate in (0.0, 1.0)):
            outcome = Outcome.INCONCLUSIVE
        sentence = _sentence(outcome, found, judgement) + _classical(found, results)
    if judgement.claim is not None:
        sentence += _of_claim(judgement.claim.of_unit(judgement.unit), outcome, checks)
    return Verdict(
        outcome=outcome,
        sentence=sentence,
        attack=judgement.attack,
        limit=judgement.limits.auc,
        more_originals=more,
        claim=judgement.claim,
        checks=tuple(checks),
    )


def _of_checks(checks: Sequence[LimitCheck]) -> Outcome:
    exceeded = {check.name for check in checks if check.standing is Standing.EXCEEDED}
    if exceeded - {"accuracy_loss"}:
        return Outcome.LEAKS
    if exceeded:
        return Outcome.TOO_COSTLY
    return Outcome.INCONCLUSIVE if any(c.standing is Standing.UNDECIDED for c in checks) else Outcome.WITHIN


def _invalid(failed: Sequence[str], controls: Sequence[ControlResult], unit: DeletionUnit) -> str:
    if failed == [BLIND]:
        differs = next(each.note.partition("; ")[2] for each in controls if each.name == BLIND)
        return (
            f"This audit is invalid: deleted and unseen {unit}s differ by themselves (the control blind tells them "
            "apart without any model), so a score may say what they are instead of what happened to them"
            f"{differs and ': '}{differs}. Compare {unit}s that were drawn alike."
        )
    return (
        f"This audit is invalid: the control {' and '.join(failed)} finds a difference between {unit}s whose "
        f"roles are exchangeable, so no figure here can be trusted."
    )


def _classical(found: AttackResult, results: Sequence[AttackResult]) -> str:
    against = next(
        (each.auc.estimate for each in results if found.against and each.name == found.against.opponent), None
    )
    return "" if against is None else f" From the original model alone: {against:.2f}."


def _of_claim(claim: str, outcome: Outcome, checks: Sequence[LimitCheck]) -> str:
    """What the check of the AUC, whose limit is the claim's ceiling, says of the claim; other limits say nothing."""
    if outcome is Outcome.INVALID:
        return ""
    match next(check.standing for check in checks if check.name == "auc"):
        case Standing.EXCEEDED:
            return f" The AUC refutes the claim of {claim}, or the account of it."
        case Standing.UNDECIDED:
            return f" Whether the claim of {claim} allows this AUC is undecided."
    return f" The claim of {claim} allows this AUC; an audit can refute a claim, and never prove it."


def _limits_sentence(
    outcome: Outcome, checks: Sequence[LimitCheck], found: AttackResult, judgement: Judgement, more: int | None
) -> str:
    """The checks that made the outcome, in words."""
    decisive = {Outcome.WITHIN: Standing.WITHIN, Outcome.INCONCLUSIVE: Standing.UNDECIDED}
    told = [
        _check_words(check, judgement)
        for check in checks
        if check.standing is decisive.get(outcome, Standing.EXCEEDED)
        and (outcome is Outcome.TOO_COSTLY or check.standing is not Standing.EXCEEDED or check.name != "accuracy_loss")
    ]
    words = "; ".join(told)
    match outcome:
        case Outcome.LEAKS:
            return f"{judgement.subject} show more than allowed: {words}.{_over(found)}"
        case Outcome.WITHIN:
            return f"{judgement.subject} do not show more than allowed: {words}."
        case Outcome.TOO_COSTLY:
            return f"The update costs more accuracy than allowed: {words}."
    if judgement.sequence is not None:
        return f"Inconclusive: {words}; allow more originals, or another limit."
    return f"Inconclusive: {words}; {_would_decide(more, judgement.unit, alone=len(told) == 1)}."


def _check_words(check: LimitCheck, judgement: Judgement) -> str:
    """Such as: AUC 0.62 (95 % interval 0.60 to 0.64) lies beyond the limit of 0.60."""
    own = "AUC" if judgement.sequence is None else "mean AUC"
    name = {
        "auc": own,
        "tpr_at_1pct": f"the share of {judgement.attacked} {judgement.unit}s found at 1 % false alarms,",
        "per_record": f"the share of {judgement.attacked} {judgement.unit}s that can be told one by one,",
        "accuracy_loss": f"the accuracy lost on unseen {judgement.unit}s,",
    }[check.name]
    if check.estimate is None:
        return f"{name.rstrip(',')} could not be measured"
    found = figure_of(check, check.estimate)
    if check.low is None or check.high is None:
        return f"{name} {found}, has no interval ({check.note.removeprefix('no interval: ')})"
    kind = "interval" if judgement.sequence is None or check.name != "auc" else "confidence sequence"
    units = "" if kind == "interval" else f", {check.n} originals"
    comma = "," if name.endswith(",") else ""
    figure = (
        f"{name} {found} ({percent(check.confidence)} {kind} {figure_of(check, check.low)} to "
        f"{figure_of(check, check.high)}{units}){comma}"
    )
    words = {
        Standing.EXCEEDED: "lies beyond the limit of",
        Standing.WITHIN: "lies within the limit of",
        Standing.UNDECIDED: "reaches across the limit of",
    }
    return f"{figure} {words[check.standing]} {bound_of(check)}"


def figure_of(check: LimitCheck, value: float) -> str:
    """An AUC as a fraction, a share in percent."""
    return beside(check.limit, value) if check.name == "auc" else share(value)


def bound_of(check: LimitCheck) -> str:
    """Its limit in the same words."""
    return bound(check.limit) if check.name == "auc" else percent(check.limit)


def _over(found: AttackResult) -> str:
    """What an AUC below one half means."""
    if found.auc.high is None or found.auc.high >= 0.5:
        return ""
    if found.shadow != "none":
        return " What was learned on the shadow side holds the other way round here."
    return " They lost less confidence than unseen ones did: are before and after, or deleted and unseen, exchanged?"


def _sentence(outcome: Outcome, found: AttackResult, judgement: Judgement) -> str:
    """Without a limit."""
    auc = found.auc
    figure = f"AUC {auc.estimate:.2f} ({percent(auc.confidence)} interval {auc.low:.2f} to {auc.high:.2f})"
    match outcome:
        case Outcome.LEAKS:
            return (
                f"{judgement.subject} show: comparing both versions tells {judgement.attacked} from unseen "
                f"{judgement.unit}s with {figure}.{_over(found)}"
            )
        case Outcome.INCONCLUSIVE:
            return (
                f"Inconclusive: {figure} includes one half, and no planted leak of AUC {PLANTED_AUC:.2f} can be found "
                f"among so few {judgement.unit}s either; more originals or {judgement.unit}s would tell."
            )
    return f"No leak is shown: {figure} includes one half, which is not a proof that there is none."


def _would_decide(more: int | None, unit: DeletionUnit, *, alone: bool) -> str:
    """`more` would decide the AUC, and all if that `alone` is open."""
    if more is None:
        return f"more originals or {unit}s would decide"
    what = "decide" if alone else "decide the AUC"
    if more > MOST_MORE:
        return f"more than {MOST_MORE} more originals would be needed to {what}: the limit is too near"
    return f"about {more} more {'original' if more == 1 else 'originals'} would {what}"
