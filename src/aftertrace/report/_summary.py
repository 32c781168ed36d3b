"""The first screen: the verdict, what it means, what to do, and every limit beside what was found."""

from collections.abc import Iterator
from dataclasses import dataclass

from aftertrace._figures import bound, percent, share
from aftertrace.report._advice import advice, headline, meaning
from aftertrace.report._forest import AucScale, Dot
from aftertrace.report._records import _BADGES, _interval, _shares, parties
from aftertrace.report._sentences import queried, why_no_interval
from aftertrace.results import LimitCheck, Outcome, Result, Standing
from aftertrace.statistics import Interval

NOT_MEASURED = "not measured"
_STANDINGS = {
    Standing.EXCEEDED: ("Exceeded", "bad"),
    Standing.WITHIN: ("Within", "good"),
    Standing.UNDECIDED: ("Undecided", "doubt"),
}
_MEASURES = {
    "auc": ("Told from unseen {unit}s", "AUC; 0.5 is guessing"),
    "tpr_at_1pct": ("Found at 1\u00a0% false alarms", "share of {who} {unit}s"),
    "per_record": ("Told one by one", "share of {who} {unit}s"),
    "accuracy_loss": ("Accuracy lost by the update", "on unseen {unit}s"),
}


@dataclass(frozen=True)
class Measure:
    """One limit, or what it would be about: `accepted` is empty where no limit was set, `note` says why there is no
    figure or no interval.
    """

    name: str
    about: str
    accepted: str
    found: str
    note: str
    standing: str
    tone: str


@dataclass(frozen=True)
class Summary:
    """What the protection officer reads. `scale` and `dot` draw the AUC of the verdict, None where it is invalid."""

    badge: str
    tone: str
    headline: str
    sentence: str
    size: str
    meaning: tuple[str, ...]
    advice: tuple[str, ...]
    measures: tuple[Measure, ...]
    scale: AucScale
    limit: str
    dot: Dot | None
    auc: str
    auc_note: str
    not_tested: tuple[str, ...]


def summary(result: Result) -> Summary:
    """The first screen of an audit."""
    verdict, counts = result.verdict, result.counts
    badge, tone = _BADGES[verdict.outcome]
    auc = result.attack(verdict.attack).auc
    pairs = f"{counts.originals} originals, {counts.pairs} pairs" if counts.originals > 1 else "One pair of models"
    scale = AucScale.of([auc], limit=verdict.limit)
    return Summary(
        badge=badge,
        tone=tone,
        headline=headline(result),
        sentence=verdict.sentence,
        size=f"{pairs}; {queried(result)}. Data: {result.data.name}.",
        meaning=tuple(meaning(result)),
        advice=tuple(advice(result)),
        measures=tuple(measures(result)),
        scale=scale,
        limit="" if verdict.limit is None else bound(verdict.limit),
        dot=None if verdict.outcome is Outcome.INVALID else scale.dot(auc),
        auc=f"{auc.estimate:.2f}",
        auc_note=_note(auc),
        not_tested=result.not_tested,
    )


def _note(auc: Interval) -> str:
    if auc.low is None or auc.high is None:
        return "no interval"
    return f"{auc.low:.2f} to {auc.high:.2f}, {percent(auc.confidence)} interval"


def measures(result: Result) -> Iterator[Measure]:
    """In a fixed order; what nobody limited and nothing measured is left out."""
    checks = {check.name: check for check in result.verdict.checks}
    for name, (title, about) in _MEASURES.items():
        check = checks.get(name)
        found = _found(name, result) if check is None else _checked(check)
        if found:
            note = "" if check is None or check.low is not None else why_no_interval(check.note)
            standing, tone = _standing(check, result.verdict.outcome)
            accepted = "" if check is None else _accepted(check)
            words = parties(result)
            if name == "accuracy_loss" and result.update is not None:
                about = f"{share(result.update.before)} before, {share(result.update.after)} after"
            yield Measure(title.format(**words), about.format(**words), accepted, found, note, standing, tone)


def _standing(check: LimitCheck | None, outcome: Outcome) -> tuple[str, str]:
    if check is None:
        return "No limit set", "none"
    return ("Invalid", "none") if outcome is Outcome.INVALID else _STANDINGS[check.standing]


def _accepted(check: LimitCheck) -> str:
    return (
        f"{bound(1 - check.limit)} to {bound(check.limit)}"
        if check.name == "auc"
        else f"at most {percent(check.limit)}"
    )


def _found(name: str, result: Result) -> str:
    """What was measured though nobody limited it; empty where it was not."""
    attack = result.attack(result.verdict.attack)
    match name:
        case "auc":
            return _interval(attack.auc)
        case "tpr_at_1pct":
            rates = [rate.tpr for rate in attack.rates if rate.fpr == 0.01 and rate.tpr is not None]
            return _shares(rates[0]) if rates else ""
        case "per_record":
            told = result.discoveries
            return "" if told is None or told.unseen < told.needed else f"{told.after} of {told.deleted}"
    return _accuracies(result)


def _accuracies(result: Result) -> str:
    cost = result.update
    return "" if cost is None else _shares(cost.lost)


def _checked(check: LimitCheck) -> str:
    if check.estimate is None:
        return NOT_MEASURED
    return _interval(check) if check.name == "auc" else _shares(check)
