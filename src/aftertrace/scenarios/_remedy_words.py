"""What a remedy says to a person, and how far options are from their limits."""

import math
from collections.abc import Sequence

from aftertrace._figures import percent, share
from aftertrace.results import LIMIT_NAMES, AttackResult, LimitCheck, Remedy, RemedyOption, Standing
from aftertrace.scenarios._verdict import Judgement, bound_of, figure_of

ONE_PAIR = (
    "One pair of models: its {unit} were halved to choose and to confirm, and all of this holds for that pair only."
)
"""`unit`: "records" or "persons"."""
TOO_FEW = (
    "What would pass cannot be told: one half of the deleted and unseen {unit} must choose, the other confirm, and "
    "there are too few of them."
)
SHARED = "Both halves share their unseen {unit}: what confirms is not wholly apart from what chose."
LEAST = 0.0005
"""What three decimals show."""
MOST_TIMES = 10
"""How much more data is worth naming."""


def excess(check: LimitCheck) -> float:
    """How far the worse end of an interval lies beyond its limit; negative: within. Infinite without an interval."""
    if check.low is None or check.high is None:
        return math.inf
    beyond = check.high - check.limit
    return max(beyond, 1 - check.limit - check.low) if check.name == "auc" else beyond


def nearest_of(options: Sequence[RemedyOption]) -> RemedyOption | None:
    """The option that exceeds the fewest limits, and of these reaches least beyond its limits; None without any."""
    return min((each for each in options if each.checks), key=_distance, default=None)


def _distance(option: RemedyOption) -> tuple[int, float, tuple[int, float]]:
    measured = [
        check for check in option.checks if check.estimate is not None
    ]  # what none can measure tells none apart
    missed = [excess(check) for check in measured if check.standing is not Standing.WITHIN]
    exceeded = sum(check.standing is Standing.EXCEEDED for check in option.checks)
    return exceeded, max(missed, default=0.0), option.cost


def recommendation(remedy: Remedy) -> str:
    """Of a remedy that recommends an option and has tried it again."""
    again = remedy.again
    assert again is not None
    best = remedy.option(again.name)
    what = "Nothing needs to be changed" if best.kind == "as it is" else best.what.rstrip(".")
    figures = f"{_figures(again.checks)}{_price(best)}" if again.checks else again.note.rstrip(".")
    if remedy.confirmed:
        caveat = f" {best.note[0].upper()}{best.note[1:]}." if best.note else ""
        more = f"{caveat}{_cheaper(best, remedy)}{_as_it_is(remedy)}"
        return f"{what}: on {remedy.confirming} other {remedy.unit}, {figures}.{more}"
    return (
        f"{_quoted(best)} is the cheapest option that passes on {remedy.choosing} {remedy.unit}, but "
        f"{remedy.confirming} others do not confirm it: {figures}. Do not rely on it before more {remedy.unit} do."
        f"{_as_it_is(remedy)}"
    )


def nothing_passes(remedy: Remedy) -> str:
    """Of a remedy that recommends nothing."""
    tried = [each for each in remedy.options if each.checks]
    if remedy.nearest is None:
        return "None of the options could be judged; each says why."
    nearest = remedy.option(remedy.nearest)
    shown = f"is shown to be within every limit by {remedy.choosing} {remedy.unit}"
    return (
        f"None of {len(tried)} option{'s' * (len(tried) > 1)} {shown}. Nearest is {_quoted(nearest)}: "
        f"{_figures(nearest.checks)}.{_would_show(nearest, remedy)}{_as_it_is(remedy)}"
    )


def why_not(judgement: Judgement, found: Sequence[tuple[AttackResult, Sequence[LimitCheck]]]) -> str:
    """Why changing nothing does not pass where the verdict may: it is of one attack, by its own intervals.

    Empty where it passes, and where the verdict's attack exceeds a limit here, which needs no explanation.
    """
    standings = {result.name: {check.standing for check in checks} for result, checks in found}
    beyond = [name for name, own in standings.items() if own != {Standing.WITHIN}]
    own = standings.get(judgement.attack, {Standing.EXCEEDED})
    if not beyond or Standing.EXCEEDED in own:
        return ""
    if judgement.attack not in beyond:
        return (
            f"the verdict is by {judgement.attack} alone, which stays within every limit here too; "
            f"{_listed(beyond)} {'does' if len(beyond) == 1 else 'do'} not"
        )
    return (
        f"the verdict is by {judgement.attack} alone and narrower intervals; by those of "
        f"{percent(judgement.confidence)}, which hold for all options together, it is undecided here"
    )


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _as_it_is(remedy: Remedy) -> str:
    """What explains that changing nothing does not pass, if something must."""
    plain = next(each for each in remedy.options if each.kind == "as it is")
    if not plain.checks or not plain.note:
        return ""
    return f' "As it is" does not pass, though the verdict may: {plain.note}.'


def _quoted(option: RemedyOption) -> str:
    return f'"{option.name}"'


def _figures(checks: Sequence[LimitCheck]) -> str:
    return "; ".join(_figure(check) for check in checks)


def _figure(check: LimitCheck) -> str:
    """Such as: AUC 0.52 (95 % interval 0.49 to 0.55) lies within the limit of 0.60. Shares are percent."""
    name = LIMIT_NAMES[check.name]
    if check.estimate is None:
        return f"{name} could not be measured"
    found = figure_of(check, check.estimate)
    if check.low is None or check.high is None:
        return f"{name} {found} has no interval ({check.note.removeprefix('no interval: ')})"
    stands = {
        Standing.WITHIN: "lies within",
        Standing.EXCEEDED: "lies beyond",
        Standing.UNDECIDED: "reaches across",
    }[check.standing]
    return (
        f"{name} {found} ({percent(check.confidence)} interval {figure_of(check, check.low)} to "
        f"{figure_of(check, check.high)}) {stands} the limit of {bound_of(check)}"
    )


def _price(option: RemedyOption) -> str:
    lost, added = option.accuracy_lost, option.brier_added
    if lost is None or added is None:
        return ""
    cost = "no accuracy" if lost.estimate < LEAST else f"{share(lost.estimate)} of accuracy"
    more = "" if abs(added.estimate) < LEAST else f", and changes the Brier score by {added.estimate:+.3f}"
    return f"; it costs {cost}{more}"


def _cheaper(best: RemedyOption, remedy: Remedy) -> str:
    """The cheapest option below the best that would pass by its estimates, if there is one."""
    undecided = [each for each in remedy.options if each.cost < best.cost and _needed(each, remedy) is not None]
    if not undecided:
        return ""
    least = min(undecided, key=lambda each: each.cost)
    return f" {_quoted(least)} would cost less.{_would_show(least, remedy)}"


def _would_show(option: RemedyOption, remedy: Remedy) -> str:
    needed = _needed(option, remedy)
    if needed is None:
        return ""
    return (
        f" By its estimates it passes; about {needed} {remedy.unit} to choose on, in place of {remedy.choosing}, would "
        f"show it."
    )


def _needed(option: RemedyOption, remedy: Remedy) -> int | None:
    """About how many units would show that it passes, as intervals shrink with their root; None if nothing tells."""
    if option.passes or not option.checks or any(check.low is None for check in option.checks):
        return None
    times = max(_times(check) for check in option.checks)
    return math.ceil(times * remedy.choosing) if times <= MOST_TIMES else None


def _times(check: LimitCheck) -> float:
    """How many times as much data puts the ends within the limit; infinite where the estimate is beyond."""
    if check.estimate is None or check.low is None or check.high is None:
        return math.inf
    sides = [(check.high - check.estimate, check.limit - check.estimate)]
    if check.name == "auc":
        sides.append((check.estimate - check.low, check.estimate - (1 - check.limit)))
    return max(math.inf if room <= 0 else (half / room) ** 2 for half, room in sides)
