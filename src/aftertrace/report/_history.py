"""A history of releases for the terminal, and as one offline page."""

import math
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aftertrace._figures import NBSP, percent
from aftertrace._spelling import harmless
from aftertrace.report._charts import CLASSICAL, LIMIT, NARROW, TWO_VERSIONS, WIDE, element
from aftertrace.report._page import environment
from aftertrace.report._records import _BADGES, DASH, _interval, limit_title
from aftertrace.report._terminal import _COLOUR, _MARK, _ends
from aftertrace.results import History, LimitCheck, Release

if TYPE_CHECKING:
    import altair as alt

AHEAD = (1, 4, 12)
"""Further audits for which the confidence is told."""
_REMARKS = (
    "Each interval is of its release alone. Of twenty that are sure to 95 %, one misses.",
    "What is spent is the most that the intervals allow, however the audits hang together. An audit that did not pass "
    "spends too: its verdict might have been wrong, and auditing until one passes is paid for here.",
    "What an audit did not test, such as another attacker, is in no budget.",
)


@dataclass(frozen=True)
class _Page:
    title: str
    badges: tuple[tuple[str, str], ...]
    sentence: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    trend: tuple[str, ...]
    spent: tuple[str, ...]
    ahead: tuple[tuple[str, str], ...]
    remarks: tuple[str, ...]
    sentences: tuple[tuple[str, str], ...]


def history_text(history: History, *, width: int | None = None, colour: bool | None = None) -> str:
    """A row per release, what changed, and the error budget. `width` and `colour`: as the terminal has them, if not
    given.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    with_colour = sys.stdout.isatty() if colour is None else colour
    console = Console(
        width=width or min(shutil.get_terminal_size((100, 24)).columns, 120),
        color_system="standard" if with_colour else None,
        force_terminal=with_colour,
        highlight=False,
        markup=False,
        emoji=False,
    )
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("Release", overflow="fold")
    table.add_column("verdict", overflow="fold")
    for heading in ("AUC", "interval", "AUC limit", "budget spent"):
        table.add_column(heading, justify="right")
    spent = 0.0
    for release in history.releases:
        spent += release.false_pass
        mark = Text(_MARK[release.outcome], style=_COLOUR[release.outcome])
        ends = (f"{release.auc.estimate:.2f}", _ends(release.auc), _limit(release), _chance(spent))
        table.add_row(Text(release.name), mark, *ends)
    with console.capture() as capture:
        console.print(_sentence(history), markup=False)
        console.print()
        console.print(table)
        console.print()
        for line in (*_trend(history), *_beside(history), *_spent(history)):
            console.print(line, markup=False)
        if ahead := [f"{confidence} for {audits}" for audits, confidence in _ahead(history)]:
            console.print(f"Confidence of further audits that spend what is left: {'; '.join(ahead)}.", markup=False)
    return harmless(capture.get()).replace(NBSP, " ").strip("\n")


def render_history(history: History) -> str:
    """The page: no script, no request, readable on a phone."""
    from markupsafe import Markup

    label = "AUC of every release with its interval and limit; the table below holds the same figures"
    chart = {
        kind: Markup(element(_drawing(history, width), label, prefix=f"history-{kind}-"))
        for kind, width in (("wide", WIDE), ("narrow", NARROW))
    }
    return environment().get_template("history.html.jinja").render(page=_page(history), charts={"history": chart})


def _page(history: History) -> _Page:
    found = Counter(release.outcome for release in history.releases)
    limits = list(dict.fromkeys(check.name for release in history.releases for check in release.checks))
    return _Page(
        title=history.releases[-1].name,
        badges=tuple((f"{found[each]} × {badge}", tone) for each, (badge, tone) in _BADGES.items() if found[each]),
        sentence=_sentence(history),
        heads=("Release", "Verdict", "AUC", *map(_head, limits), "Error budget spent", "False alarms"),
        rows=tuple(_rows(history, limits)),
        trend=(*_trend(history), *_beside(history)),
        spent=tuple(_spent(history)),
        ahead=tuple(_ahead(history)),
        remarks=_REMARKS,
        sentences=tuple((release.name, release.sentence) for release in history.releases),
    )


def _head(limit: str) -> str:
    return f"Limit: {limit_title(limit)}"


def _rows(history: History, limits: list[str]) -> Iterator[tuple[str, ...]]:
    """Errors are summed up to each release."""
    passes = alarms = 0.0
    for release in history.releases:
        passes, alarms = passes + release.false_pass, alarms + release.false_alarm
        checks = {check.name: check for check in release.checks}
        yield (
            release.name,
            _BADGES[release.outcome][0],
            _interval(release.auc),
            *(_standing(checks.get(name)) for name in limits),
            _chance(passes),
            _chance(alarms),
        )


def _standing(check: LimitCheck | None) -> str:
    return DASH if check is None else f"{check.standing} (limit{NBSP}{_value(check.name, check.limit)})"


def _value(name: str, limit: float) -> str:
    return f"{limit:.4g}" if name == "auc" else percent(limit)


def _sentence(history: History) -> str:
    last = history.releases[-1]
    size = "1 release was audited" if len(history.releases) == 1 else f"{len(history.releases)} releases were audited"
    return f"{size}. The last, {last.name}: {last.sentence}"


def _trend(history: History) -> Iterator[str]:
    """What changed, in words."""
    last = history.releases[-1].name
    for change in history.changes:
        own = change.difference
        words = (
            f"{own.note}."
            if own.low is None or own.high is None
            else f"{percent(own.confidence)} interval {own.low:+z.2f} to {own.high:+z.2f}"
            + (", which holds 0: no change is shown." if own.low <= 0 <= own.high else ", which does not hold 0.")
        )
        yield f"AUC from {change.since} to {last}: {own.estimate:+z.2f}; {words}"


def _beside(history: History) -> Iterator[str]:
    """What a row of figures does not show: limits that became wider, and audits of no new release."""
    for each in history.loosened:
        after = "no limit" if each.after is None else _value(each.name, each.after)
        before = _value(each.name, each.before)
        yield f"Loosened in {each.release}: {limit_title(each.name)}, from {before} ({each.since}) to {after}."
    for again in history.again:
        yield f"{again.release} judges the same answers as {again.since}, so it is of no new release."
    if history.again:
        yield (
            "The error budget counts audits of the same answers too: auditing until one passes is paid for. One that "
            "only repeats another, with the same settings, can be left out."
        )


def _spent(history: History) -> Iterator[str]:
    """What the audits may have got wrong, and what is left of the budget."""
    judged = sum(bool(release.checks) for release in history.releases)
    if not judged:
        yield "No audit had a limit that it could have passed wrongly: nothing of an error budget is spent."
        return
    yield (
        f"Over {judged} {'audit' if judged == 1 else 'audits'} with limits, the chance that at least one passed "
        f"wrongly, although its release exceeds a limit, is at most {_chance(history.false_passes)}; that at least one "
        f"alarm was false, at most {_chance(history.false_alarms)}."
    )
    if history.budget is not None and history.left is not None:
        rest = f"{_chance(history.left)} is left" if history.left > 0 else "nothing is left"
        yield f"Of the error budget of {_chance(history.budget)}, {rest}."


def _ahead(history: History) -> Iterator[tuple[str, str]]:
    """Further audits, and the confidence of their intervals."""
    for audits in (*AHEAD, None):
        confidence = history.confidence_for(audits)
        if confidence is not None:
            words = f"{audits} more" if audits else "the next, with no end known"
            yield words, f"{math.ceil(confidence * 1e4 - 1e-6) / 100:g}{NBSP}%"


def _limit(release: Release) -> str:
    return next((_value("auc", check.limit) for check in release.checks if check.name == "auc"), "none")


def _chance(share: float) -> str:
    return f"{100 * min(1.0, share):.3g}{NBSP}%"


def _drawing(history: History, width: int) -> "alt.LayerChart":
    """A row per release from top to bottom: the AUC as a dot, its interval as a line, the limits as red strokes."""
    import altair as alt

    names = [release.name for release in history.releases]
    rows = [_drawn(release) for release in history.releases]
    least = min([0.4, *(row["low"] for row in rows), *(row["least"] for row in rows if row["least"] is not None)])
    scale = alt.Scale(domain=[max(0.0, least), 1], nice=False)
    axis = alt.Axis(tickCount=4 if width == NARROW else 8, format=".1f", labelFlush=False)
    x = alt.X("low:Q", scale=scale, title="AUC (0.5 is guessing)", axis=axis)
    labels = alt.Axis(grid=False, ticks=False, domain=False, labelPadding=8, labelLimit=130 if width == WIDE else 110)
    y = alt.Y("release:N", sort=names, title=None, axis=labels)
    base = alt.Chart(alt.InlineData(values=rows))
    strokes = [
        base.mark_tick(color=LIMIT, thickness=2, size=18).encode(x=alt.X(f"{end}:Q", scale=scale), y=y)
        for end in ("least", "most")
    ]
    marks = [
        base.mark_rule(strokeDash=[4, 3], color=CLASSICAL).encode(x=alt.XDatum(0.5, scale=scale)),
        base.mark_rule(strokeWidth=2, color=TWO_VERSIONS).encode(x=x, x2="high:Q", y=y),
        base.mark_point(filled=True, size=55, opacity=1, color=TWO_VERSIONS).encode(x=alt.X("auc:Q", scale=scale), y=y),
    ]
    return alt.LayerChart(layer=[*marks, *strokes]).properties(width=width - 160, height=alt.Step(26))


def _drawn(release: Release) -> dict[str, Any]:
    """A row of the chart's data; without an interval the line has no length, without a limit there are no strokes."""
    auc = release.auc
    limit = next((check.limit for check in release.checks if check.name == "auc"), None)
    return {
        "release": release.name,
        "auc": auc.estimate,
        "low": auc.estimate if auc.low is None else auc.low,
        "high": auc.estimate if auc.high is None else auc.high,
        "least": None if limit is None else 1 - limit,
        "most": limit,
    }
