"""The first screen: the verdict, what it means, what to do, and every limit beside what was found."""

from collections.abc import Iterator
from dataclasses import dataclass

from aftertrace.report._advice import advice, headline, meaning
from aftertrace.report._forest import AucScale, Dot
from aftertrace.report._records import _BADGES, _interval
from aftertrace.report._sentences import queried
from aftertrace.results import LimitCheck, Outcome, Result, Standing
from aftertrace.statistics import Interval

_STANDINGS = {
    Standing.EXCEEDED: ("Exceeded", "bad"),
    Standing.WITHIN: ("Within", "good"),
    Standing.UNDECIDED: ("Undecided", "doubt"),
}
_MEASURES = {
    "auc": ("Told from unseen {unit}s", "AUC; 0.5 is guessing"),
    "tpr_at_1pct": ("Found at 1\u00a0% false alarms", "share of {who} {unit}s"),
    "per_record": ("Told one by one", "share of {who} {unit}s"),
    "accuracy_loss": ("Accuracy lost", "on unseen {unit}s"),
}


@dataclass(frozen=True)
class Measure:
    """One limit, or what it would be about: `accepted` is empty where no limit was set, `note` says why nothing was
    measured.
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
    dot: Dot | None
    auc: str
    auc_note: str
    not_tested: tuple[str, ...]


def summary(result: Result) -> Summary:
    """The first screen of an audit."""
    verdict, counts = result.verdict, result.counts
    badge, tone = _BADGES[verdict.outcome]
    auc = result.attack(verdict.attack).auc
    pairs = f"{counts.originals} originals, {counts.pairs} pairs" if counts.originals > 1 else "one pair of models"
    scale = AucScale.of([auc], limit=verdict.limit)
    return Summary(
        badge=badge,
        tone=tone,
        headline=headline(result),
        sentence=verdict.sentence,
        size=f"{result.data.name}: {pairs}, {queried(result)}.",
        meaning=tuple(meaning(result)),
        advice=tuple(advice(result)),
        measures=tuple(measures(result)),
        scale=scale,
        dot=None if verdict.outcome is Outcome.INVALID else scale.dot(auc),
        auc=f"{auc.estimate:.2f}",
        auc_note=_note(auc),
        not_tested=result.not_tested,
    )


def _note(auc: Interval) -> str:
    if auc.low is None or auc.high is None:
        return "no interval"
    return f"{auc.low:.2f} to {auc.high:.2f}, {auc.confidence:.0%} interval"


def measures(result: Result) -> Iterator[Measure]:
    """In a fixed order; what nobody limited and nothing measured is left out."""
    checks = {check.name: check for check in result.verdict.checks}
    who = result.attacked.name.lower()
    for name, (title, about) in _MEASURES.items():
        check = checks.get(name)
        found = _found(name, result) if check is None else _checked(check)
        if found:
            note = "" if check is None or check.estimate is not None else check.note
            standing, tone = ("No limit set", "none") if check is None else _STANDINGS[check.standing]
            accepted = "" if check is None else _accepted(check)
            words = {"who": who, "unit": result.unit}
            if name == "accuracy_loss" and result.update is not None:
                about = f"{_share(result.update.before)} before, {_share(result.update.after)} after"
            yield Measure(title.format(**words), about.format(**words), accepted, found, note, standing, tone)


def _accepted(check: LimitCheck) -> str:
    return (
        f"{1 - check.limit:.2f} to {check.limit:.2f}"
        if check.name == "auc"
        else f"at most {100 * check.limit:.4g}\u00a0%"
    )


def _found(name: str, result: Result) -> str:
    """What was measured though nobody limited it; empty where it was not."""
    attack = result.attack(result.verdict.attack)
    match name:
        case "auc":
            return _interval(attack.auc)
        case "tpr_at_1pct":
            rates = [rate.tpr for rate in attack.rates if rate.fpr == 0.01 and rate.tpr is not None]
            return _shares(rates[0].estimate, rates[0].low, rates[0].high) if rates else ""
        case "per_record":
            told = result.discoveries
            return "" if told is None or told.unseen < told.needed else f"{told.after} of {told.deleted}"
    return _accuracies(result)


def _accuracies(result: Result) -> str:
    cost = result.update
    return "" if cost is None else _shares(cost.lost.estimate, cost.lost.low, cost.lost.high)


def _checked(check: LimitCheck) -> str:
    if check.estimate is None:
        return "not measured"
    if check.name == "auc":
        return _interval(Interval(check.estimate, check.low, check.high, check.confidence, check.n, check.method))
    return _shares(check.estimate, check.low, check.high)


def _shares(estimate: float, low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return f"{_share(estimate)} (no interval)"
    return f"{_share(estimate)} ({_share(low)} to {_share(high)})"


def _share(value: float) -> str:
    return f"{100 * value:z.1f}\u00a0%"
