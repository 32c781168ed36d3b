"""Options for a remedy as a page compares them: what each would give away, beside what it would cost."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from aftertrace._figures import percent, share
from aftertrace.report._records import DASH, _interval, _shares, limit_title, without_gaps
from aftertrace.results import LimitCheck, Remedy, RemedyOption, Standing
from aftertrace.statistics import Interval

_COSTS = ("Accuracy it costs", "Brier added", "Accuracy")
BRIER = (
    "Brier added: what the option adds to the Brier score, the mean squared distance of the released posteriors from "
    "the truth; 0 is certain and right, 2 certain and wrong."
)
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
    """An option in words; `mark` singles out the recommended or the nearest one, `cells` are its `costs`."""

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
    costs: tuple[str, ...]


def remedies(remedy: Remedy) -> Remedies:
    """What a page shows of a remedy."""
    checks = (check for option in remedy.options for check in option.checks if check.name == "auc")
    limit = next((check.limit for check in checks), None)
    rows = [_row(option, remedy) for option in remedy.options]
    costs, cells = without_gaps(_COSTS, [row.cells for row in rows])
    return Remedies(
        sentence=remedy.sentence,
        basis=_basis(remedy),
        rows=tuple(replace(row, cells=own) for row, own in zip(rows, cells, strict=True)),
        points=tuple(_points(remedy)),
        limit=limit,
        notes=(*((BRIER,) if _COSTS[1] in costs else ()), *_unmeasured(remedy), *remedy.notes),
        costs=costs,
    )


def _unmeasured(remedy: Remedy) -> list[str]:
    """Why limits could not be held against the options, each reason once."""
    checks = [check for option in remedy.options for check in option.checks if check.estimate is None]
    return [
        f"{limit_title(name)}: not measured, {note}." for name, note in dict.fromkeys((c.name, c.note) for c in checks)
    ]


def _basis(remedy: Remedy) -> str:
    raised = "" if remedy.confidence is None else f", by intervals of {percent(remedy.confidence)}"
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
            _lost(option),
            _added(option),
            DASH if option.accuracy is None else share(option.accuracy),
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


def _lost(option: RemedyOption) -> str:
    found = option.accuracy_lost
    if _costs_nothing(option, found):
        return share(0, 0)
    return DASH if found is None else _shares(found)


def _added(option: RemedyOption) -> str:
    found = option.brier_added
    if _costs_nothing(option, found):
        return "0"
    return DASH if found is None else _interval(found, digits=3)


def _costs_nothing(option: RemedyOption, found: Interval | None) -> bool:
    """Exactly: what is released today, and what changes no answer."""
    if found is None:
        return option.kind == "as it is" and option.auc is not None
    return found.estimate == found.low == found.high == 0


def _points(remedy: Remedy) -> Iterator[Point]:
    for number, option in enumerate(remedy.options, start=1):
        if option.auc is not None:
            lost = 0.0 if option.accuracy_lost is None else option.accuracy_lost.estimate
            yield Point(number, lost, option.auc, _tone(option.checks), option.name in remedy.frontier)
