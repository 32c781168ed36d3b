"""The verdict: from the interval of the attack fixed in advance, and from the controls."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from aftertrace.errors import InputError
from aftertrace.results import AttackResult, Claim, ControlResult, Outcome, SequentialResult, Verdict
from aftertrace.statistics import PLANTED_AUC

PLANTED = "planted"
"""The control that must find something."""
BLIND = "blind"
"""The control that sees no model."""
_SUBJECT = {"deleted": "Deletions", "retained": "Retained records"}
MOST_MORE = 10_000
"""Originals beyond which a number is no help."""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """How to judge, whatever the attacks: the attack of the verdict, its limit, confidence, seed.

    `claim`: of differential privacy, in the place of a limit. `crossed`: roles are tied to records that several
    originals share, as in fixed pools. `attacked`: who is told from unseen records.

    `sequence`: what was seen on the way, where originals were added until it was decided.
    """

    attack: str
    limit: float | None
    confidence: float
    seed: int
    claim: Claim | None = None
    crossed: bool = False
    attacked: Literal["deleted", "retained"] = "deleted"
    sequence: SequentialResult | None = None

    def __post_init__(self) -> None:
        if self.claim is not None:
            if self.limit is not None:
                raise InputError("Give a limit or a claim, which is a limit too; got both.")
            object.__setattr__(self, "limit", self.claim.largest_auc)
        if self.limit is not None and not 0.5 < self.limit < 1:
            raise InputError(f"`limit` must be an AUC between 0.5 and 1, such as 0.6, got {self.limit}.")


def judge(
    found: AttackResult,
    results: Sequence[AttackResult],
    controls: Sequence[ControlResult],
    judgement: Judgement,
    *,
    more_originals: Callable[[float], int | None] = lambda limit: None,
) -> Verdict:
    """The verdict, from the ends of the interval of the attack fixed in advance.

    An AUC below one half is a leak too (over-unlearning): a limit L asks for an interval within [1 - L, L]. A failed
    null control makes the audit invalid. A planted leak that is not found makes "no leak shown" inconclusive: what
    an interval excludes it excludes all the same. `more_originals(limit)` is asked where more would help.
    """
    auc, limit = found.auc, judgement.limit
    failed = [control.name for control in controls if control.passed is False and control.name != PLANTED]
    is_blunt = any(control.passed is False and control.name == PLANTED for control in controls)
    more = None
    against = next(
        (each.auc.estimate for each in results if found.against and each.name == found.against.opponent), None
    )
    classical = "" if against is None else f" From the original model alone: {against:.2f}."
    if failed:
        outcome = Outcome.INVALID
        sentence = (
            "This audit is invalid: deleted and unseen records differ by themselves (the control blind tells them "
            "apart without any model), so a score may say what they are instead of what happened to them. Compare "
            "records that were drawn alike."
            if failed == [BLIND]
            else f"This audit is invalid: the control {' and '.join(failed)} finds a difference between queries whose "
            f"roles are exchangeable, so no figure here can be trusted."
        )
    elif judgement.sequence is not None and limit is not None:
        outcome, sentence = _of_sequence(judgement.sequence, limit, _SUBJECT[judgement.attacked])
        sentence += classical
    elif auc.low is None or auc.high is None:
        outcome = Outcome.INCONCLUSIVE
        sentence = f"Inconclusive: AUC {auc.estimate:.2f}, {auc.note}."
    else:
        outcome = outcome_of(auc.low, auc.high, limit)
        if outcome is Outcome.NOT_SHOWN and is_blunt:
            outcome = Outcome.INCONCLUSIVE
        if outcome is Outcome.INCONCLUSIVE and limit is not None:
            more = more_originals(limit)
        sentence = _sentence(outcome, found, judgement, more) + classical
    if judgement.claim is not None:
        sentence += _of_claim(judgement.claim, outcome)
    return Verdict(
        outcome=outcome,
        sentence=sentence,
        attack=judgement.attack,
        limit=limit,
        more_originals=more,
        claim=judgement.claim,
    )


def _of_claim(claim: Claim, outcome: Outcome) -> str:
    """What an outcome, with a claim's ceiling as the limit, says of the claim."""
    match outcome:
        case Outcome.LEAKS:
            return f" That refutes the claim of {claim}, or the account of it."
        case Outcome.INVALID:
            return ""
    return f" The claim of {claim} allows that; an audit can refute a claim, and never prove it."


def outcome_of(low: float, high: float, limit: float | None) -> Outcome:
    """What an interval says of a limit on the AUC, either way from one half."""
    if limit is None:
        return Outcome.NOT_SHOWN if low <= 0.5 <= high else Outcome.LEAKS
    if low > limit or high < 1 - limit:
        return Outcome.LEAKS
    return Outcome.WITHIN if high <= limit and low >= 1 - limit else Outcome.INCONCLUSIVE


def _sentence(outcome: Outcome, found: AttackResult, judgement: Judgement, more: int | None) -> str:
    auc, limit, learned = found.auc, judgement.limit, found.shadow != "none"
    subject = _SUBJECT[judgement.attacked]
    figure = f"AUC {auc.estimate:.2f} ({auc.confidence:.0%} interval {auc.low:.2f} to {auc.high:.2f})"
    over = ""
    if auc.high is not None and auc.high < 0.5:
        over = (
            " What was learned on the shadow side holds the other way round here."
            if learned
            else " They stand out by moving less than unseen ones do."
        )
    match outcome:
        case Outcome.LEAKS if limit is None:
            return (
                f"{subject} show: comparing both versions tells {judgement.attacked} from unseen records with "
                f"{figure}.{over}"
            )
        case Outcome.LEAKS:
            return f"{subject} show more than allowed: {figure} lies beyond the limit of {limit:.2f}.{over}"
        case Outcome.WITHIN:
            return f"{subject} do not show more than allowed: {figure} lies within the limit of {limit:.2f}."
        case Outcome.INCONCLUSIVE if limit is None:
            return (
                f"Inconclusive: {figure} holds one half, and a planted leak of AUC {PLANTED_AUC:.2f} is not found in "
                f"so few queries either; more originals or records would tell."
            )
        case Outcome.INCONCLUSIVE:
            return f"Inconclusive: {figure} holds the limit of {limit:.2f}; {_would_decide(more)}."
        case _:
            return f"No leak is shown: {figure} holds one half, which is not a proof that there is none."


def _of_sequence(sequence: SequentialResult, limit: float, subject: str) -> tuple[Outcome, str]:
    """The verdict of a confidence sequence: valid although it was looked at after every block."""
    low, high = sequence.low[-1], sequence.high[-1]
    figure = (
        f"mean AUC {sequence.estimate[-1]:.2f} ({sequence.confidence:.0%} confidence sequence {low:.2f} to {high:.2f}, "
        f"{sequence.originals[-1]} originals)"
    )
    outcome = outcome_of(low, high, limit)
    match outcome:
        case Outcome.LEAKS:
            return outcome, f"{subject} show more than allowed: {figure} lies beyond the limit of {limit:.2f}."
        case Outcome.WITHIN:
            return outcome, f"{subject} do not show more than allowed: {figure} lies within the limit of {limit:.2f}."
    return outcome, f"Inconclusive: {figure} holds the limit of {limit:.2f}; allow more originals, or another limit."


def _would_decide(more: int | None) -> str:
    if more is None:
        return "more originals or records would decide"
    if more > MOST_MORE:
        return f"more than {MOST_MORE} more originals would be needed to decide: the limit is too near"
    return f"about {more} more {'original' if more == 1 else 'originals'} would decide"
