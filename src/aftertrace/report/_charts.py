"""Charts as static SVG: no font, no request. Each in two widths, for a desk and for a phone.

The colours are those of a white page. `style.css` turns each of them into its twin where the page is dark.
"""

import io
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
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
LINE, GLYPH, SAME = 14, 7, 6
"""Pixels: a label's height, a digit's width, and how near dots share a label."""
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
            "AUC of every option and the accuracy it costs; the table below holds the same figures",
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

    plot = _Plot.of(remedies.points, width=width - 80, height=320)
    rows = [_placed(point) for point in remedies.points]
    tones = [tone for tone in TONES if any(point.tone == tone for point in remedies.points)]
    across, scale = alt.Scale(nice=False, domain=plot.across), alt.Scale(nice=False, domain=plot.up)
    x = alt.X("lost:Q", scale=across, axis=alt.Axis(format="~p", tickCount=5), title="Accuracy it costs")
    y = alt.Y("auc:Q", scale=scale, title="AUC of the strongest attack", axis=alt.Axis(titlePadding=12))
    level, low = alt.Y("level:Q", scale=scale), alt.Y("low:Q", scale=scale)
    colour = alt.Color(
        "tone:N",
        scale=alt.Scale(domain=[TONES[tone] for tone in tones], range=[_TONE_COLOURS[tone] for tone in tones]),
        legend=alt.Legend(title=None, orient="top", columns=2 if width == NARROW else 4, columnPadding=24),
    )
    labels = _chart(_labels(remedies.points, plot))
    words = labels.encode(x=alt.X("right:Q", scale=across), y=alt.Y("level:Q", scale=scale), text="words:N")
    best = [row for row, point in zip(rows, remedies.points, strict=True) if point.is_frontier]
    limit = [] if remedies.limit is None else [{"level": remedies.limit}]
    return alt.LayerChart(
        layer=[
            _chart(limit).mark_rule(color=LIMIT).encode(y=level),
            _chart([{"level": 0.5}]).mark_rule(strokeDash=[4, 3], color=CLASSICAL).encode(y=level),
            _chart(best).mark_line(color="#b9bdc4", strokeWidth=1.5).encode(x=x, y=y, order="lost:Q"),
            _chart(rows).mark_rule(strokeWidth=1.5).encode(x=x, y=low, y2="high:Q", color=colour),
            labels.mark_rule(color="#b9bdc4").encode(x=x, y=y, x2="right:Q", y2="level:Q"),
            _chart(rows).mark_point(filled=True, size=70, opacity=1).encode(x=x, y=y, color=colour),
            *(words.mark_text(**style, dx=3, fontSize=12, align="left") for style in (_HALO, {"color": "#000"})),
        ]
    ).properties(width=plot.width, height=plot.height)


def _placed(point: Point) -> dict[str, Any]:
    """A row of the chart's data; without an interval the line has no length."""
    auc = point.auc
    low, high = (auc.estimate if end is None else end for end in (auc.low, auc.high))
    return {"lost": point.lost, "auc": auc.estimate, "low": low, "high": high, "tone": TONES[point.tone]}


@dataclass(frozen=True)
class _Plot:
    """A drawing's size in pixels, and what its axes run over."""

    width: int
    height: int
    across: tuple[float, float]
    up: tuple[float, float]

    @classmethod
    def of(cls, points: Sequence[Point], *, width: int, height: int) -> "_Plot":
        """Room for all dots and intervals, and to the right for numbers."""
        lost = [point.lost for point in points]
        span = max(lost) - min(lost) or 0.02
        ends = [point.auc.estimate if point.auc.low is None else point.auc.low for point in points]
        across = min(lost) - 0.06 * span, max(lost) + 0.06 * span + 30 / width * span
        return cls(width, height, across, (min(0.4, *ends), 1.0))

    def place(self, point: Point) -> tuple[float, float]:
        """Of a dot, in pixels from the lower left."""
        (left, right), (low, high) = self.across, self.up
        x = self.width * (point.lost - left) / (right - left)
        return x, self.height * (point.auc.estimate - low) / (high - low)

    def lost(self, x: float) -> float:
        """What stands at so many pixels from the left."""
        return self.across[0] + x / self.width * (self.across[1] - self.across[0])

    def auc(self, y: float) -> float:
        """What stands at so many pixels from below."""
        return self.up[0] + y / self.height * (self.up[1] - self.up[0])


@dataclass(frozen=True)
class _Box:
    """What a dot or a label covers, in pixels: a line's height around `y`."""

    left: float
    right: float
    y: float

    def meets(self, other: "_Box") -> bool:
        return abs(self.y - other.y) < LINE and self.left < other.right and other.left < self.right


def _labels(points: Sequence[Point], plot: _Plot) -> list[dict[str, Any]]:
    """The numbers of the options, right of their dots; dots at one place share a label, and each label stands as near
    to its dot as dots and earlier labels leave room.
    """
    together: dict[tuple[int, int], list[Point]] = {}
    for point in points:
        x, y = plot.place(point)
        together.setdefault((round(x / SAME), round(y / SAME)), []).append(point)
    taken = [_Box(x - SAME, x + SAME, y) for x, y in map(plot.place, points)]
    labels = []
    for own in sorted(together.values(), key=lambda own: -own[0].auc.estimate):  # so that leaders do not cross
        words = ", ".join(str(point.number) for point in own)
        box = _free(*plot.place(own[0]), GLYPH * len(words), taken, plot.height)
        taken.append(box)
        dot = {"lost": own[0].lost, "auc": own[0].auc.estimate}
        labels.append({**dot, "words": words, "right": plot.lost(box.left), "level": plot.auc(box.y)})
    return labels


def _free(x: float, y: float, length: float, taken: Sequence[_Box], height: int) -> _Box:
    """The nearest free place of a label: beside its dot, below, above, further below, and so on."""
    nearest = _Box(x + 2 * SAME, x + 2 * SAME + length, y)
    for step in range(0, height, LINE // 2):
        for level in (y - step, y + step):
            box = replace(nearest, y=level)
            if 0 <= level <= height and not any(map(box.meets, taken)):
                return box
    return nearest


def _powers(smallest: float, largest: float, width: int) -> list[float]:
    """Powers of ten on both sides of 0, as many as there is room for."""
    powers = np.arange(math.ceil(math.log10(smallest)), math.floor(math.log10(largest)) + 1.0)
    powers = powers[:: max(1, math.ceil(len(powers) / (2 if width == NARROW else 4)))]
    return [*(-(10.0 ** powers[::-1])), 0.0, *(10.0**powers)]


def _chart(rows: list[dict[str, Any]]) -> "alt.Chart":
    import altair as alt

    return alt.Chart(alt.InlineData(values=rows))
