"""Options for a remedy as a page compares them: what each would give away, beside what it would cost."""

from collections.abc import Iterator
from dataclasses import dataclass

from aftertrace.report._records import DASH, _interval
from aftertrace.results import LimitCheck, Remedy, RemedyOption, Standing
from aftertrace.statistics import Interval

HEADS = ("No.", "Option", "Within limits", "AUC", "Accuracy lost", "Brier added", "Accuracy")
TONES = {"good": "within every limit", "doubt": "undecided", "bad": "beyond a limit", "none": "not judged"}


@dataclass(frozen=True)
class Point:
    """Where an option stands: accuracy lost, and the AUC of the attack that does best against it."""

    number: int
    lost: float
    auc: Interval
    tone: str
    is_frontier: bool


@dataclass(frozen=True)
class OptionRow:
    """An option in words; `mark` singles out the recommended or the nearest one."""

    name: str
    what: str
    mark: str
    standing: str
    tone: str
    auc: str
    attack: str
    cells: tuple[str, ...]
    note: str


@dataclass(frozen=True)
class Remedies:
    """The options, numbered from 1 in the order of `rows`, and those of them that can be drawn."""

    sentence: str
    basis: str
    rows: tuple[OptionRow, ...]
    points: tuple[Point, ...]
    limit: float | None
    notes: tuple[str, ...]
    heads: tuple[str, ...] = HEADS


def remedies(remedy: Remedy) -> Remedies:
    """What a page shows of a remedy."""
    checks = (check for option in remedy.options for check in option.checks if check.name == "auc")
    limit = next((check.limit for check in checks), None)
    return Remedies(
        sentence=remedy.sentence,
        basis=_basis(remedy),
        rows=tuple(_row(option, remedy) for option in remedy.options),
        points=tuple(_points(remedy)),
        limit=limit,
        notes=remedy.notes,
    )


def _basis(remedy: Remedy) -> str:
    raised = "" if remedy.confidence is None else f", by intervals of {100 * remedy.confidence:.4g} %"
    confirmed = f"; what is recommended was tried again on {remedy.confirming} others" if remedy.again else ""
    attacks = f" Attacks mounted anew on each: {', '.join(remedy.attacks)}." if remedy.attacks else ""
    return f"Options are judged on {remedy.choosing} {remedy.unit}{raised}{confirmed}.{attacks}"


def _row(option: RemedyOption, remedy: Remedy) -> OptionRow:
    tone = _tone(option.checks)
    marks = {remedy.recommended: "recommended" if remedy.confirmed else "cheapest, not confirmed"}
    return OptionRow(
        name=option.name,
        what=option.what,
        mark=marks.get(option.name, "nearest" if option.name == remedy.nearest else ""),
        standing={"good": "yes", "doubt": "undecided", "bad": "no", "none": DASH}[tone],
        tone=tone,
        auc=DASH if option.auc is None else _interval(option.auc),
        attack="" if option.attack is None else f"by {option.attack}",
        cells=(
            _cost(option.accuracy_lost),
            _cost(option.brier_added),
            DASH if option.accuracy is None else f"{option.accuracy:.3f}",
        ),
        note=_sentence(option.note),
    )


def _tone(checks: tuple[LimitCheck, ...]) -> str:
    standings = {check.standing for check in checks}
    if Standing.EXCEEDED in standings:
        return "bad"
    if Standing.UNDECIDED in standings:
        return "doubt"
    return "good" if standings else "none"


def _sentence(note: str) -> str:
    return f"{note[0].upper()}{note[1:].rstrip('.')}." if note else ""


def _cost(found: Interval | None) -> str:
    if found is None:
        return DASH
    if found.low is None or found.high is None:
        return f"{found.estimate:z.3f} (no interval)"
    return f"{found.estimate:z.3f} ({found.low:z.3f} to {found.high:z.3f})"


def _points(remedy: Remedy) -> Iterator[Point]:
    for number, option in enumerate(remedy.options, start=1):
        if option.auc is not None:
            lost = 0.0 if option.accuracy_lost is None else option.accuracy_lost.estimate
            yield Point(number, lost, option.auc, _tone(option.checks), option.name in remedy.frontier)
