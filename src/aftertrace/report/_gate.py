"""A gate, line by line: every limit and every control of an audit. JUnit, SARIF and pytest show these lines."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from aftertrace._figures import percent
from aftertrace.report._records import limit_title, parties
from aftertrace.report._sentences import why_no_interval
from aftertrace.results import ControlResult, LimitCheck, Outcome, Result, Standing
from aftertrace.statistics import Interval

_LIMITS = {
    "auc": "How often the verdict's attack ranks a {who} {unit} above an unseen one; 0.5 is guessing.",
    "tpr_at_1pct": "Share of {who} {unit}s that the verdict's attack finds where it accuses 1 % of unseen ones.",
    "per_record": "Share of {who} {unit}s that stand out alone, at a false discovery rate of 5 %.",
    "accuracy_loss": "Accuracy on unseen {unit}s that the update costs.",
}
"""What each limit is about."""
_CONTROLS = {
    "unseen/unseen": "Two unseen {unit}s of a pair, and one is called {who}: nothing may be found.",
    "retained/retained": "Two {unit}s of a pair that stayed, and one is called {who}: nothing may be found.",
    "blind": "An attack that sees records only, no model: nothing may be found, else {who} and unseen {unit}s are not "
    "comparable.",
    "planted": "A leak of AUC 0.65 is put into unseen {unit}s: it must be found.",
    "permuted": "A coin swaps a {who} and an unseen {unit} within each pair: nothing may be found.",
}
_NO_LIMIT = "No limit was given, so that nothing can be exceeded. Give some with --limits."
_BLUNT = (
    "A leak that was put in was not found, so that a small one would not show. What an interval excludes it excludes "
    "all the same."
)


class State(StrEnum):
    """What became of a limit or a control."""

    PASSED = "passed"
    EXCEEDED = "exceeded"  # a limit
    INCONCLUSIVE = "inconclusive"  # a limit
    INVALID = "invalid"  # a limit, in an audit of which a control failed
    FAILED = "failed"  # a control that must find nothing
    UNTESTED = "not tested"  # nothing to hold it against; blocks nothing


_OF_STANDING = {
    Standing.WITHIN: State.PASSED,
    Standing.EXCEEDED: State.EXCEEDED,
    Standing.UNDECIDED: State.INCONCLUSIVE,
}


@dataclass(frozen=True, kw_only=True)
class GateLine:
    """A limit or a control: `kind` ("limit", "control") and `name` are the same in every audit; `message`: what came.

    `meaning`: what it is about, whatever came.
    """

    kind: str
    name: str
    meaning: str
    state: State
    message: str

    @property
    def blocks(self) -> bool:
        """Does it stop a release? Some line does exactly where the exit code is not 0."""
        return self.state not in (State.PASSED, State.UNTESTED)


def gate_lines(result: Result) -> tuple[GateLine, ...]:
    """The limits, or that there are none, and then the controls."""
    return (*_limits(result), *(_control(control, result) for control in result.controls))


def control_meaning(name: str, result: Result) -> str:
    """What a control does, in words of those who are judged."""
    return _CONTROLS.get(name, name).format(**parties(result))


def gate_text(result: Result) -> str:
    """The verdict's sentence, and below it every limit, and every control that did not pass."""
    shown = [line for line in gate_lines(result) if line.kind == "limit" or line.state is not State.PASSED]
    return "\n".join([result.verdict.sentence, *(f"  {line.state}: {line.name}: {line.message}" for line in shown)])


def _limits(result: Result) -> Iterator[GateLine]:
    verdict = result.verdict
    invalid = verdict.outcome is Outcome.INVALID
    for check in verdict.checks:
        yield GateLine(
            kind="limit",
            name=check.name,
            meaning=_LIMITS[check.name].format(**parties(result)),
            state=State.INVALID if invalid else _OF_STANDING[check.standing],
            message=verdict.sentence if invalid else _found(check),
        )
    if not verdict.checks:
        yield GateLine(kind="limit", name="none", meaning=_NO_LIMIT, state=State.UNTESTED, message=verdict.sentence)


def _found(check: LimitCheck) -> str:
    head = f"{limit_title(check.name)} must be at most {check.limit:g}"
    if check.name == "auc":
        head += f" and at least {1 - check.limit:.4g}"
    if check.estimate is None:
        return f"{head}, and was not measured: {check.note}."
    if check.low is None or check.high is None:
        return f"{head}, and is {check.estimate:.3f} without an interval: {why_no_interval(check.note)}."
    return f"{head}, and is {check.estimate:.3f} ({_ends(check)}; n = {check.n}, {check.method})."


def _control(control: ControlResult, result: Result) -> GateLine:
    blunt = control.name == "planted" and control.passed is False
    states = {True: State.PASSED, False: State.UNTESTED if blunt else State.FAILED, None: State.UNTESTED}
    message = f"AUC {control.auc.estimate:.3f} ({_ends(control.auc)})."
    if control.passed is None:
        message = f"Not testable: {control.note}."
    return GateLine(
        kind="control",
        name=control.name,
        meaning=control_meaning(control.name, result),
        state=states[control.passed],
        message=f"{message} {_BLUNT}" if blunt else message,
    )


def _ends(found: LimitCheck | Interval) -> str:
    if found.low is None or found.high is None:
        return "no interval"
    return f"{percent(found.confidence)} interval {found.low:.3f} to {found.high:.3f}"
