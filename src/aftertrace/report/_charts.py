"""Charts as static SVG: no script, no font, no request. Each in two widths, for a desk and for a phone."""

import io
import math
import re
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from aftertrace.report._records import Page

if TYPE_CHECKING:
    import altair as alt

WIDE, NARROW = 700, 300
TWO_VERSIONS, CLASSICAL, LIMIT = "#0b5cad", "#8a8f98", "#b3261e"
_ROLE_COLOURS = {"Deleted": "#b3261e", "Unseen": "#0b5cad", "Retained": "#2e7d4f", "Added": "#8a5a00"}
_LINES = ["#0b5cad", "#c2571a", "#2e7d4f", "#8a8f98", "#5b6068"]


@dataclass(frozen=True)
class Drawing:
    """One chart in both widths, as SVG elements."""

    wide: str
    narrow: str


def draw(page: Page) -> dict[str, Drawing]:
    """The charts of a page: "auc", "roc", "movement"."""
    labels = {
        "auc": (_auc, "AUC of every attack with its interval; the table below holds the same figures"),
        "roc": (_roc, "ROC curves with logarithmic axes"),
        "movement": (_movement, "Distribution of the logit drop by role; the table below sums it up"),
    }
    return {
        name: Drawing(
            wide=element(make(page, WIDE), label, prefix=f"{name}-wide-"),
            narrow=element(make(page, NARROW), label, prefix=f"{name}-narrow-"),
        )
        for name, (make, label) in labels.items()
    }


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
    names: dict[str, int] = {}
    drawn = re.sub(
        r'(\bid="|url\(#|href="#)([^")]+)',
        lambda found: f"{found[1]}{prefix}{names.setdefault(found[2], len(names))}",
        drawn,
    )
    return drawn.replace("<svg", f'<svg role="img" aria-label="{escape(label, quote=True)}"', 1)


def _auc(page: Page, width: int) -> "alt.LayerChart":
    """A row per attack: the estimate as a dot, its interval as a line."""
    import altair as alt

    sees = {False: "both versions", True: "the original alone"}
    rows = [
        {
            "attack": row.name,
            "auc": row.auc,
            "low": row.auc if row.low is None else row.low,
            "high": row.auc if row.high is None else row.high,
            "sees": sees[row.classical],
        }
        for row in page.attacks
    ]
    legend = alt.Legend(title=None, orient="top", direction="horizontal", columnPadding=24)
    colours = alt.Scale(domain=list(sees.values()), range=[TWO_VERSIONS, CLASSICAL])
    colour = alt.Color("sees:N", scale=colours, legend=legend)
    names = alt.Axis(grid=False, ticks=False, domain=False, labelPadding=8)
    y = alt.Y("attack:N", sort=[row.name for row in page.attacks], title=None, axis=names)
    least = min([0.4, *(row.auc if row.low is None else row.low for row in page.attacks)])
    scale = alt.Scale(domain=[least, 1], nice=False)
    figures = alt.Axis(tickCount=4 if width == NARROW else 8, format=".1f", labelFlush=False)
    base = _chart(rows)
    marks = [
        _chart([{"x": 0.5}]).mark_rule(strokeDash=[4, 3], color=CLASSICAL).encode(x=alt.X("x:Q", scale=scale)),
        base.mark_rule(strokeWidth=2).encode(
            x=alt.X("low:Q", scale=scale, title="AUC (0.5 is guessing)", axis=figures), x2="high:Q", y=y, color=colour
        ),
        base.mark_point(filled=True, size=55, opacity=1).encode(x=alt.X("auc:Q", scale=scale), y=y, color=colour),
    ]
    if page.limit is not None:
        marks.append(_chart([{"x": page.limit}]).mark_rule(color=LIMIT).encode(x=alt.X("x:Q", scale=scale)))
    return alt.LayerChart(layer=marks).properties(width=width - 160, height=alt.Step(19))


def _roc(page: Page, width: int) -> "alt.LayerChart":
    """Share of deleted records found over share of unseen ones accused."""
    import altair as alt

    least, names = page.least_fpr, [curve.name for curve in page.curves]
    rows = [
        {"attack": curve.name, "fpr": max(float(x), least), "tpr": max(float(y), least), "order": k}
        for curve in page.curves
        for k, (x, y) in enumerate(zip(curve.fpr, curve.tpr, strict=True))
    ]
    scale = alt.Scale(type="log", domain=[least, 1], nice=False)
    axis = alt.Axis(format="~p", tickCount=4)
    colour = alt.Color(
        "attack:N",
        scale=alt.Scale(domain=names, range=_LINES[: len(names)]),
        legend=alt.Legend(title=None, orient="top" if width == NARROW else "right", columns=1),
    )
    dashes = alt.Scale(domain=names, range=[[4, 3] if curve.classical else [1, 0] for curve in page.curves])
    guess = _chart([{"x": least, "y": least}, {"x": 1, "y": 1}]).mark_line(color="#b9bdc4", strokeWidth=1)
    lines = _chart(rows).mark_line(strokeWidth=2, interpolate="step-after", clip=True)
    side = 380 if width == WIDE else width - 60
    return alt.LayerChart(
        layer=[
            guess.encode(x=alt.X("x:Q", scale=scale), y=alt.Y("y:Q", scale=scale)),
            lines.encode(
                x=alt.X("fpr:Q", scale=scale, axis=axis, title="Unseen records accused (FPR)"),
                y=alt.Y("tpr:Q", scale=scale, axis=axis, title=f"{page.who.capitalize()} records found (TPR)"),
                color=colour,
                strokeDash=alt.StrokeDash("attack:N", scale=dashes, legend=None),
                order="order:Q",
            ),
        ]
    ).properties(width=side, height=side)


def _movement(page: Page, width: int) -> "alt.LayerChart":
    """Share of the records of a role that lost at most so much."""
    import altair as alt

    shares = np.linspace(0, 1, 101)
    rows = [
        {"role": each.role, "drop": float(drop), "share": float(share)}
        for each in page.movements
        for share, drop in zip(shares, np.quantile(each.drop, shares), strict=True)
    ]
    every = np.abs(np.concatenate([each.drop for each in page.movements]))
    moved = every[every > 0]
    smallest = float(np.quantile(moved, 0.1)) if moved.size else 1.0
    largest = float(every.max()) or 1.0
    powers = np.arange(math.ceil(math.log10(smallest)), math.floor(math.log10(largest)) + 1.0)
    powers = powers[:: max(1, math.ceil(len(powers) / (2 if width == NARROW else 4)))]
    ticks = [*(-(10.0 ** powers[::-1])), 0.0, *(10.0**powers)]
    roles = [each.role for each in page.movements]
    lines = (
        _chart(rows)
        .mark_line(strokeWidth=2.5)
        .encode(
            x=alt.X(
                "drop:Q",
                scale=alt.Scale(type="symlog", constant=smallest),
                title="Logit drop",
                axis=alt.Axis(values=ticks, labelExpr="toString(datum.value)"),
            ),
            y=alt.Y("share:Q", axis=alt.Axis(format="~p"), title="Share that lost at most this"),
            color=alt.Color(
                "role:N",
                scale=alt.Scale(domain=roles, range=[_ROLE_COLOURS[role] for role in roles]),
                legend=alt.Legend(title=None, orient="top", columnPadding=24),
            ),
            order="share:Q",
        )
    )
    return alt.LayerChart(layer=[lines]).properties(width=width - 80, height=260)


def _chart(rows: list[dict[str, Any]]) -> "alt.Chart":
    import altair as alt

    return alt.Chart(alt.InlineData(values=rows))
