"""Every limit beside what was found."""

from collections.abc import Iterator

from aftertrace.results import AttackResult, DeletionUnit, Discoveries, LimitCheck, Limits, SequentialResult, UpdateCost
from aftertrace.scenarios._told import told_of
from aftertrace.statistics import Interval, RateAtFpr

STRICT_FPR = 0.01


def limit_checks(
    limits: Limits,
    found: AttackResult,
    discoveries: Discoveries,
    update: UpdateCost | None,
    sequence: SequentialResult | None = None,
    *,
    repeated: bool = False,
    unit: DeletionUnit = "record",
) -> tuple[LimitCheck, ...]:
    """A check for each limit given, from the verdict's attack.

    The AUC's interval is the attack's, or the last of a confidence sequence. `repeated`: several pairs of one original
    ask about the same records, so that only the AUC has an interval that knows of it.
    """
    return told_of(unit, tuple(_checks(limits, found, discoveries, update, sequence, repeated)))


def _checks(
    limits: Limits,
    found: AttackResult,
    discoveries: Discoveries,
    update: UpdateCost | None,
    sequence: SequentialResult | None,
    repeated: bool,
) -> Iterator[LimitCheck]:
    confidence = found.auc.confidence
    for name, limit in limits.given().items():
        match name:
            case "auc":
                measured: Interval | str = found.auc if sequence is None else _last(sequence)
            case _ if repeated:
                measured = (
                    "several pairs of one original ask about the same records: bring one pair, or several originals"
                )
            case "tpr_at_1pct":
                measured = _rate(next(rate for rate in found.rates if rate.fpr == STRICT_FPR))
            case "per_record":
                measured = _told(discoveries)
            case _:
                measured = "no accuracy: the models give scores only" if update is None else update.lost
        if isinstance(measured, str):
            yield LimitCheck.unmeasured(name, limit, measured, confidence=confidence)
        else:
            yield LimitCheck.of(name, limit, measured)


def _last(sequence: SequentialResult) -> Interval:
    return Interval(
        sequence.estimate[-1],
        sequence.low[-1],
        sequence.high[-1],
        sequence.confidence,
        sequence.originals[-1],
        "confidence sequence over originals",
    )


def _rate(rate: RateAtFpr) -> Interval | str:
    """For new originals, where there are enough; else conditional on the models at hand."""
    if rate.tpr is None:
        return rate.refused
    new = rate.tpr_new_originals
    return rate.tpr if new is None or new.n == 1 else new


def _told(found: Discoveries) -> Interval | str:
    """The share of deleted records that can be told one by one."""
    if found.unseen < found.needed:
        return f"{found.needed} unseen records beside an original are needed to tell single ones, got {found.unseen}"
    return "no deletion was tested alone" if found.share is None else found.share
