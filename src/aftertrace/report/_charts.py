"""Charts as static SVG: no font, no request. Each in two widths, for a desk and for a phone.

The colours are those of a white page. `style.css` turns each of them into its twin where the page is dark.
"""

import io
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from aftertrace.report._attacks import Curves, Evidence, Movement
from aftertrace.report._remedy import TONES, Point, Remedies

if TYPE_CHECKING:
    import altair as alt

WIDE, NARROW = 700, 300
PLACES = 161
"""Where the distribution of movements is drawn."""
TWO_VERSIONS, CLASSICAL, LIMIT = "#0b5cad", "#8a8f98", "#b3261e"
_ROLE_COLOURS = {"Deleted": "#b3261e", "Unseen": "#0b5cad", "Retained": "#2e7d4f", "Added": "#8a5a00"}
_TONE_COLOURS = {"good": "#2e7d4f", "doubt": "#8a5a00", "bad": "#b3261e", "none": "#8a8f98"}
_HALO = {"color": "#fff", "stroke": "#fff", "strokeWidth": 4}
"""Behind a number, so that it can be read on a dot."""
_LINES = ["#0b5cad", "#c2571a", "#2e7d4f"]


@dataclass(frozen=True)
class Drawing:
    """One chart in both widths, as SVG elements."""

    wide: str
    narrow: str


def draw(evidence: Evidence, remedies: Remedies | None, *, who: str, unit: str, drop: str) -> dict[str, Drawing]:
    """The charts of a page: "roc" and "movement", and "frontier" where there are remedies to draw."""
    charts = {
        "roc": drawing(
            lambda width: _roc(evidence.roc, f"{who} {unit}s", width), "ROC curves with logarithmic axes", prefix="roc"
        ),
        "movement": drawing(
            lambda width: _movement(evidence.movements, drop, width),
            f"Distribution of the {drop.lower()} by role; the table below sums it up",
            prefix="movement",
        ),
    }
    if remedies is not None and remedies.points:
        charts["frontier"] = drawing(
            lambda width: _frontier(remedies, width),
            "AUC and accuracy lost of every option; the table below holds the same figures",
            prefix="frontier",
        )
    return charts


def drawing(make: Callable[[int], Any], label: str, *, prefix: str) -> Drawing:
    """What `make` draws, in both widths; `label` says it to those who do not see it."""
    return Drawing(
        wide=element(make(WIDE), label, prefix=f"{prefix}-wide-"),
        narrow=element(make(NARROW), label, prefix=f"{prefix}-narrow-"),
    )


def element(chart: "alt.LayerChart", label: str, *, prefix: str) -> str:
    """The drawing as an element; its clips are named by `prefix` and a number, apart from other drawings'."""
    sink = io.StringIO()
    styled = (
        chart.configure(font="system-ui, sans-serif", background="transparent", padding=10)
        .configure_view(stroke=None)
        .configure_axis(labelFontSize=12, titleFontSize=12, titleFontWeight="normal", labelLimit=0, gridColor="#e6e8eb")
        .configure_legend(labelFontSize=12, titleFontSize=12, labelLimit=0)
    )
    styled.save(sink, format="svg")
    drawn = sink.getvalue()
    drawn = drawn[drawn.index("<svg") :]
    # One picture with one description: what its parts say of themselves would be read out mark by mark.
    drawn = re.sub(r' (role|aria-[a-z]+)="[^"]*"', "", drawn)
    names: dict[str, int] = {}
    drawn = re.sub(
        r'(\bid="|url\(#|href="#)([^")]+)',
        lambda found: f"{found[1]}{prefix}{names.setdefault(found[2], len(names))}",
        drawn,
    )
    return drawn.replace("<svg", f'<svg role="img" aria-label="{escape(label, quote=True)}"', 1)


def _roc(roc: Curves, who: str, width: int) -> "alt.LayerChart":
    """Share of attacked records found over share of unseen ones accused."""
    import altair as alt

    least, names = roc.least_fpr, [curve.name for curve in roc.curves]
    rows = [
        {"attack": curve.name, "fpr": max(float(x), least), "tpr": max(float(y), least), "order": k}
        for curve in roc.curves
        for k, (x, y) in enumerate(zip(curve.fpr, curve.tpr, strict=True))
    ]
    scale = alt.Scale(type="log", domain=[least, 1], nice=False)
    axis = alt.Axis(format="~p", tickCount=4)
    colour = alt.Color(
        "attack:N",
        scale=alt.Scale(domain=names, range=[_LINES[curve.hue] for curve in roc.curves]),
        legend=alt.Legend(title=None, orient="top", columns=1 if width == NARROW else 2, columnPadding=28),
    )
    dashes = alt.Scale(domain=names, range=[[4, 3] if curve.classical else [1, 0] for curve in roc.curves])
    guess = _chart([{"x": least, "y": least}, {"x": 1, "y": 1}]).mark_line(color="#b9bdc4", strokeWidth=1)
    lines = _chart(rows).mark_line(strokeWidth=2, interpolate="step-after", clip=True)
    side = 440 if width == WIDE else width - 60
    return alt.LayerChart(
        layer=[
            guess.encode(x=alt.X("x:Q", scale=scale), y=alt.Y("y:Q", scale=scale)),
            lines.encode(
                x=alt.X("fpr:Q", scale=scale, axis=axis, title="Unseen ones accused (FPR)"),
                y=alt.Y("tpr:Q", scale=scale, axis=axis, title=f"{who.capitalize()} found (TPR)"),
                color=colour,
                strokeDash=alt.StrokeDash("attack:N", scale=dashes, legend=None),
                order="order:Q",
            ),
        ]
    ).properties(width=side, height=side)


def _movement(movements: Sequence[Movement], drop: str, width: int) -> "alt.LayerChart":
    """Share of the records of a role that lost at most so much.

    Counted at fixed places: a curve through every record's own drop would let its reader measure that drop.
    """
    import altair as alt

    every = np.abs(np.concatenate([each.drop for each in movements]))
    moved = every[every > 0]
    smallest = float(np.quantile(moved, 0.1)) if moved.size else 1.0
    largest = float(every.max()) or 1.0
    places = smallest * np.sinh(np.linspace(-1, 1, PLACES) * np.arcsinh(largest / smallest))
    rows = [
        {"role": each.role, "drop": float(place), "share": float(share)}
        for each in movements
        for place, share in zip(places, np.searchsorted(each.drop, places, "right") / each.drop.size, strict=True)
    ]
    roles = [each.role for each in movements]
    lines = (
        _chart(rows)
        .mark_line(strokeWidth=2.5)
        .encode(
            x=alt.X(
                "drop:Q",
                scale=alt.Scale(type="symlog", constant=smallest),
                title=drop,
                axis=alt.Axis(values=_powers(smallest, largest, width), labelExpr="toString(datum.value)"),
            ),
            y=alt.Y("share:Q", axis=alt.Axis(format="~p"), title="Share that lost at most this"),
            color=alt.Color(
                "role:N",
                scale=alt.Scale(domain=roles, range=[_ROLE_COLOURS[role] for role in roles]),
                legend=alt.Legend(title=None, orient="top", columnPadding=24),
            ),
            order="drop:Q",
        )
    )
    return alt.LayerChart(layer=[lines]).properties(width=width - 80, height=260)


def _frontier(remedies: Remedies, width: int) -> "alt.LayerChart":
    """A dot per option: what it gives away over what it costs, and a line through those that none other beats."""
    import altair as alt

    rows = [_placed(point) for point in remedies.points]
    tones = [tone for tone in TONES if any(point.tone == tone for point in remedies.points)]
    scale = alt.Scale(domain=[min([0.4, *(row["low"] for row in rows)]), 1], nice=False)
    across = alt.Scale(nice=False, padding=18)
    x = alt.X("lost:Q", scale=across, axis=alt.Axis(format="~p", tickCount=5), title="Accuracy lost")
    y = alt.Y("auc:Q", scale=scale, title="AUC of the strongest attack")
    level, low = alt.Y("level:Q", scale=scale), alt.Y("low:Q", scale=scale)
    colour = alt.Color(
        "tone:N",
        scale=alt.Scale(domain=[TONES[tone] for tone in tones], range=[_TONE_COLOURS[tone] for tone in tones]),
        legend=alt.Legend(title=None, orient="top", columns=2 if width == NARROW else 4, columnPadding=24),
    )
    numbers = _chart(_numbers(remedies.points)).encode(x=x, y=y, text="words:N")
    best = [row for row, point in zip(rows, remedies.points, strict=True) if point.is_frontier]
    limit = [] if remedies.limit is None else [{"level": remedies.limit}]
    return alt.LayerChart(
        layer=[
            _chart(limit).mark_rule(color=LIMIT).encode(y=level),
            _chart([{"level": 0.5}]).mark_rule(strokeDash=[4, 3], color=CLASSICAL).encode(y=level),
            _chart(best).mark_line(color="#b9bdc4", strokeWidth=1.5).encode(x=x, y=y, order="lost:Q"),
            _chart(rows).mark_rule(strokeWidth=1.5).encode(x=x, y=low, y2="high:Q", color=colour),
            _chart(rows).mark_point(filled=True, size=70, opacity=1).encode(x=x, y=y, color=colour),
            *(
                numbers.mark_text(**style, dx=8, dy=-9, fontSize=12, align="left")
                for style in (_HALO, {"color": "#000"})
            ),
        ]
    ).properties(width=width - 80, height=300)


def _placed(point: Point) -> dict[str, Any]:
    """A row of the chart's data; without an interval the line has no length."""
    auc = point.auc
    low, high = (auc.estimate if end is None else end for end in (auc.low, auc.high))
    return {"lost": point.lost, "auc": auc.estimate, "low": low, "high": high, "tone": TONES[point.tone]}


def _numbers(points: Sequence[Point]) -> list[dict[str, Any]]:
    """The numbers of the options at their places; those that stand together share a label."""
    together: dict[tuple[float, int], list[Point]] = {}
    for point in points:
        together.setdefault((round(point.lost, 2), round(25 * point.auc.estimate)), []).append(point)
    return [
        {"lost": own[0].lost, "auc": own[0].auc.estimate, "words": ", ".join(str(point.number) for point in own)}
        for own in together.values()
    ]


def _powers(smallest: float, largest: float, width: int) -> list[float]:
    """Powers of ten on both sides of 0, as many as there is room for."""
    powers = np.arange(math.ceil(math.log10(smallest)), math.floor(math.log10(largest)) + 1.0)
    powers = powers[:: max(1, math.ceil(len(powers) / (2 if width == NARROW else 4)))]
    return [*(-(10.0 ** powers[::-1])), 0.0, *(10.0**powers)]


def _chart(rows: list[dict[str, Any]]) -> "alt.Chart":
    import altair as alt

    return alt.Chart(alt.InlineData(values=rows))
