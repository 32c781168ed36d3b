"""The verdict: from the interval of the attack fixed in advance, and from the controls."""

from collections.abc import Sequence
from dataclasses import dataclass

from aftertrace.errors import InputError
from aftertrace.results import AttackResult, ControlResult, Outcome, Verdict
from aftertrace.statistics import Interval


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """How to judge, whatever the attacks: the attack of the verdict, its limit, confidence, seed."""

    attack: str
    limit: float | None
    confidence: float
    seed: int

    def __post_init__(self) -> None:
        if self.limit is not None and not 0.5 < self.limit < 1:
            raise InputError(f"`limit` must be an AUC between 0.5 and 1, such as 0.6, got {self.limit}.")


def judge(
    found: AttackResult, results: Sequence[AttackResult], controls: Sequence[ControlResult], judgement: Judgement
) -> Verdict:
    """The verdict, from the ends of the interval of the attack fixed in advance.

    An AUC below one half is a leak too (over-unlearning): a limit L asks for an interval within [1 - L, L].
    """
    auc, limit = found.auc, judgement.limit
    failed = [control.name for control in controls if control.passed is False]
    against = next(
        (each.auc.estimate for each in results if found.against and each.name == found.against.opponent), None
    )
    classical = "" if against is None else f" From the original model alone: {against:.2f}."
    if failed:
        outcome = Outcome.INVALID
        sentence = (
            f"This audit is invalid: the control {' and '.join(failed)} finds a difference between queries whose "
            f"roles are exchangeable, so no figure here can be trusted."
        )
    elif auc.low is None or auc.high is None:
        outcome = Outcome.INCONCLUSIVE
        sentence = f"Inconclusive: AUC {auc.estimate:.2f}, {auc.note}."
    else:
        outcome = _outcome(auc.low, auc.high, limit)
        sentence = _sentence(outcome, auc, limit) + classical
    return Verdict(outcome=outcome, sentence=sentence, attack=judgement.attack, limit=limit)


def _outcome(low: float, high: float, limit: float | None) -> Outcome:
    if limit is None:
        return Outcome.NOT_SHOWN if low <= 0.5 <= high else Outcome.LEAKS
    if low > limit or high < 1 - limit:
        return Outcome.LEAKS
    return Outcome.WITHIN if high <= limit and low >= 1 - limit else Outcome.INCONCLUSIVE


def _sentence(outcome: Outcome, auc: Interval, limit: float | None) -> str:
    figure = f"AUC {auc.estimate:.2f} ({auc.confidence:.0%} interval {auc.low:.2f} to {auc.high:.2f})"
    over = " They stand out by moving less than unseen ones do." if auc.high is not None and auc.high < 0.5 else ""
    match outcome:
        case Outcome.LEAKS if limit is None:
            return f"Deletions show: comparing both versions tells deleted from unseen records with {figure}.{over}"
        case Outcome.LEAKS:
            return f"Deletions show more than allowed: {figure} lies beyond the limit of {limit:.2f}.{over}"
        case Outcome.WITHIN:
            return f"Deletions do not show more than allowed: {figure} lies within the limit of {limit:.2f}."
        case Outcome.INCONCLUSIVE:
            return f"Inconclusive: {figure} holds the limit of {limit:.2f}; more originals or records would decide."
        case _:
            return f"No leak is shown: {figure} holds one half, which is not a proof that there is none."
