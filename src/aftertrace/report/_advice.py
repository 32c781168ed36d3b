"""What a verdict means for the persons concerned, and what to do, in words that need no statistics."""

from collections.abc import Iterator

from aftertrace._figures import share
from aftertrace.report._records import SHOWN
from aftertrace.results import AttackResult, ControlResult, LimitCheck, Outcome, RemedyOption, Result, Standing
from aftertrace.statistics import RateAtFpr

_HEADLINES = {
    Outcome.LEAKS: "An outsider can tell which {unit}s {fate}.",
    Outcome.WITHIN: "What an outsider can tell stays within your limits.",
    Outcome.TOO_COSTLY: "The update costs more accuracy than you accept.",
    Outcome.NOT_SHOWN: "No leak was found, which is no proof that there is none.",
    Outcome.INCONCLUSIVE: "The figures do not decide.",
    Outcome.INVALID: "This audit cannot be used.",
}
_FATES = {"deleted": "were deleted", "retained": "stayed in the model"}
_LOW_RATES = (0.01, 0.1)
LEAST_LOST = 0.0005
"""Of accuracy, as far as a page's digits go."""


def headline(result: Result) -> str:
    """The verdict in a few plain words."""
    return _HEADLINES[result.verdict.outcome].format(unit=result.unit, fate=_FATES[_who(result)])


def meaning(result: Result) -> Iterator[str]:
    """What an attacker can do, counted in records or persons."""
    if result.verdict.outcome is Outcome.INVALID:
        yield (
            "Nothing can be said for the persons concerned: a control failed, so what an attack finds may have "
            "another cause than the deletion."
        )
        return
    yield _comparison(result)
    yield from _added(result)
    yield from _accusations(result)
    yield from _one_by_one(result)


def _comparison(result: Result) -> str:
    who, unit, found = _who(result), result.unit, result.attack(result.verdict.attack)
    right = 100 * found.auc.estimate
    classical = "" if found.against is None else f" (from the original model alone, {_right(result):.0f})"
    if round(right) >= 50:
        return (
            f"Shown a {who} and an unseen {unit}, the attacker names the {who} one in {right:.0f} of 100 cases"
            f"{classical}; guessing would in 50."
        )
    return (
        f"Shown a {who} and an unseen {unit}, the attacker finds the unseen one more suspicious in "
        f"{100 - right:.0f} of 100 cases; guessing would in 50."
    )


def _right(result: Result) -> float:
    alone = _alone(result)
    return 50.0 if alone is None else 100 * alone.auc.estimate


def _alone(result: Result) -> AttackResult | None:
    """The attack on the original alone that the verdict's is compared with."""
    against = result.attack(result.verdict.attack).against
    return None if against is None else result.attack(against.opponent)


def _added(result: Result) -> Iterator[str]:
    """Whether it takes both versions to tell so much; where the original alone tells anything."""
    against, alone = result.attack(result.verdict.attack).against, _alone(result)
    if against is None or against.p_holm is None or against.difference is None or not _tells(alone):
        return
    if against.p_holm > SHOWN:
        yield "That the update tells more than the original model alone already does is not shown."
    elif against.difference > 0:
        yield "So the update tells more than the original model alone already does."


def _tells(alone: AttackResult | None) -> bool:
    return alone is not None and alone.auc.low is not None and alone.auc.low > 0.5


def _accusations(result: Result) -> Iterator[str]:
    """At the lowest rate of false accusations that could be measured."""
    who, rates = _who(result), result.attack(result.verdict.attack).rates
    for rate in sorted(rates, key=lambda each: each.fpr):
        if rate.tpr is not None and rate.fpr in _LOW_RATES:
            yield (
                f"An attacker who may accuse {100 * rate.fpr:.0f} of 100 unseen {result.unit}s wrongly finds "
                f"{100 * rate.tpr.estimate:.0f} of 100 {who} ones{_beside(result, rate)}; guessing would find "
                f"{100 * rate.fpr:.0f}."
            )
            return


def _beside(result: Result, rate: RateAtFpr) -> str:
    """The interval of a rate, and what the original model alone finds at it; empty without an interval."""
    if rate.tpr is None or rate.tpr.low is None or rate.tpr.high is None:
        return ""
    words = [f"{100 * rate.tpr.low:.0f} to {100 * rate.tpr.high:.0f}"]
    against = result.attack(result.verdict.attack).against
    if against is not None:
        alone = (each for each in result.attack(against.opponent).rates if each.fpr == rate.fpr)
        words += [f"from the original model alone, {100 * each.tpr.estimate:.0f}" for each in alone if each.tpr]
    return f" ({'; '.join(words)})"


def _one_by_one(result: Result) -> Iterator[str]:
    found, who = result.discoveries, _who(result)
    if found is None:
        return
    if found.after or found.before:
        cause = f"; of {found.worse} it is shown one by one that the update made it so" if found.worse else ""
        yield (
            f"{found.after} of {found.deleted} {who} {result.unit}s can be told one by one by both versions, "
            f"{found.before} by the original alone{cause}."
        )
    elif found.unseen < found.needed:
        yield f"Whether a single {result.unit} can be told for certain is open: too few unseen ones stand beside it."
    else:
        yield f"No single {result.unit} can be told for certain."


def advice(result: Result) -> Iterator[str]:
    """What to do next, most important first."""
    yield from result.questions
    match result.verdict.outcome:
        case Outcome.LEAKS:
            yield from _against_a_leak(result)
        case Outcome.WITHIN:
            yield "As far as your limits go, the updated model may be published."
            yield "Weigh what was not tested, below."
            yield "Audit every further version: what several of them show adds up."
        case Outcome.TOO_COSTLY:
            leak = (
                "whether the leak is within your limits is open, too"
                if _open_leaks(result)
                else "the leak is within them"
            )
            yield f"Do not publish it yet: the loss of accuracy is beyond your limits; {leak}."
            yield from _remedy(result)
            yield "Or accept the cost, and say so: raise the limit of `accuracy_loss`."
        case Outcome.NOT_SHOWN:
            yield "Set limits before you decide: without one, no audit can say that a model is good enough."
            yield from _still_possible(result)
            yield "Weigh what was not tested, below."
        case Outcome.INCONCLUSIVE:
            yield _meanwhile(result)
            yield _larger(result)
            if result.remedy is not None:
                yield from _remedy(result)
        case Outcome.INVALID:
            yield "Decide nothing by the figures of this report."
            yield from (_repair(control, result) for control in result.controls if control.passed is False)


def _against_a_leak(result: Result) -> Iterator[str]:
    yield "Do not publish the updated model as it is."
    yield from _exchanged(result)
    yield from _original_first(result)
    yield from _remedy(result)
    yield (
        "If both versions are public already, decide who must be told: the file pseudonyms.key beside the run "
        f"turns its pseudonyms back into {result.unit}s."
    )


def _exchanged(result: Result) -> Iterator[str]:
    """Below one half, without training, what was brought is the first suspect."""
    found = result.attack(result.verdict.attack)
    was_brought, high = "scenario" not in result.settings and found.shadow == "none", found.auc.high
    if was_brought and high is not None and high < 0.5:
        yield f"First make sure that before and after, or {_who(result)} and unseen, are not exchanged."


def _original_first(result: Result) -> Iterator[str]:
    """Where the original alone exceeds the limit, no way to delete helps as long as it is public."""
    alone, verdict = _alone(result), result.verdict
    limit = verdict.limit if verdict.checks else 0.5
    if alone is not None and alone.auc.low is not None and limit is not None and alone.auc.low > limit:
        yield (
            f"If the original model is public, begin with it: alone it tells {_who(result)} from unseen {result.unit}s "
            f"in {_right(result):.0f} of 100 cases, whatever becomes of the update. Withdraw it, or let it answer less."
        )


def _remedy(result: Result) -> Iterator[str]:
    """What to change, if options were tried and one held; else how to find out."""
    remedy = result.remedy
    if remedy is None:
        yield (
            "Look for a remedy: the same audit with --what-if tries what to release and how to delete, and weighs each "
            "against accuracy."
        )
    elif remedy.recommended is not None and remedy.confirmed:
        best = remedy.option(remedy.recommended)
        yield f"{best.what} On data that did not choose it, that stayed within every limit{_price(best)}."
    elif remedy.options:
        yield "No remedy is confirmed: see below what was tried, and what comes nearest."
    else:
        yield "No remedy could be tried: see below why."


def _price(option: RemedyOption) -> str:
    if option.accuracy_lost is None:
        return ""
    lost = option.accuracy_lost.estimate
    return f" and cost {'no' if lost < LEAST_LOST else f'{share(lost)} of'} accuracy"


def _still_possible(result: Result) -> Iterator[str]:
    auc = result.attack(result.verdict.attack).auc
    if auc.low is not None and auc.high is not None:
        furthest = max(auc.high, 1 - auc.low)
        yield (
            f"Ask whether a leak as large as these figures still allow would do: {100 * furthest:.0f} of 100 "
            f"comparisons right."
        )


def _open(result: Result) -> list[LimitCheck]:
    """The limits that are undecided."""
    return [check for check in result.verdict.checks if check.standing is Standing.UNDECIDED]


def _open_leaks(result: Result) -> list[LimitCheck]:
    return [check for check in _open(result) if check.name != "accuracy_loss"]


def _meanwhile(result: Result) -> str:
    if result.verdict.checks and not _open_leaks(result):
        return (
            "The leak is within your limits. Whether the loss of accuracy is too is open: until then, do not publish."
        )
    return "Until this is decided, treat the model as if deletions showed."


def _larger(result: Result) -> str:
    """How to decide; limits that could not be measured say beside them what that takes."""
    unmeasured = any(check.estimate is None for check in _open(result))
    rest = " The table of limits says what it takes to measure the rest." if unmeasured else ""
    more = result.verdict.more_originals
    if more is not None:
        return f"Repeat the audit with about {more} more originals, which would decide the AUC.{rest}"
    if result.widening is not None:
        return (
            f"Repeat the audit with more {result.unit}s, or simulate more pairs of versions: the recipe is below.{rest}"
        )
    more_of = f"more {result.unit}s" if result.counts.originals == 1 else "more originals"
    return f"Repeat the audit with {more_of}.{rest}"


def _repair(control: ControlResult, result: Result) -> str:
    if control.name == "blind":
        own = result.settings
        can_match = result.unit == "record" and "scenario" not in own and not own.get("match")
        matching = ", or leave out those without a counterpart (--match)" if can_match else ""
        return f"Compare {result.unit}s that were drawn alike: bring other unseen ones{matching}."
    return f"Find out why the control {control.name} failed: see Controls."


def _who(result: Result) -> str:
    return result.attacked.name.lower()
