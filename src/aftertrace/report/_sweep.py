"""A grid of runs for the terminal, and as one offline page."""

import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aftertrace._figures import NBSP, percent, share
from aftertrace._spelling import harmless
from aftertrace.report._charts import CLASSICAL, NARROW, TWO_VERSIONS, WIDE, element
from aftertrace.report._page import environment
from aftertrace.report._records import _BADGES, DASH, _interval, _p_value, _shares, flat_settings
from aftertrace.report._terminal import _COLOUR, _MARK, _ends, _p
from aftertrace.results import CellResult, SweepResult
from aftertrace.statistics import Interval

COLUMNS, SPACE = 3, 34
"""Most panels beside each other, with so many pixels between."""
_COSTS = {"accuracy lost": "#c2571a", "Brier score added": "#5b6068"}
_SEEN = {"both versions": TWO_VERSIONS, "the original alone (classical)": CLASSICAL}
_MULTIPLE = (
    "Each interval is of its run alone. The largest AUC of a grid is too large on average, and the smallest too small, "
    "as it was picked for being so: before quoting one, run its experiment again with another seed.",
    "p (Holm) is corrected for all attacks of its run, not for the runs beside it: of twenty runs without a leak, one "
    "may well fall below .05.",
    "Runs that share models, such as those that differ in the defense alone, share their luck too: that their "
    "intervals overlap does not mean that they do not differ.",
)


@dataclass(frozen=True)
class _Dot:
    """A figure in a panel; without an estimate, a run that could not be done."""

    panel: str
    row: str
    series: str
    interval: Interval | None


@dataclass(frozen=True)
class _Figure:
    """Dots in panels; `nothing` is where a dot stands that says nothing."""

    title: str
    nothing: float
    colours: Mapping[str, str]
    dots: tuple[_Dot, ...]

    @property
    def label(self) -> str:
        return f"{self.title} of every run; the table below holds the same figures"


@dataclass(frozen=True)
class _Page:
    title: str
    sentence: str
    badges: tuple[tuple[str, str], ...]
    confidence: str
    costs: bool
    heads: tuple[str, ...]
    axes: int
    rows: tuple[tuple[str, ...], ...]
    failed: tuple[tuple[str, str], ...]
    remarks: tuple[str, ...]
    sentences: tuple[tuple[str, str], ...]
    settings: tuple[tuple[str, str], ...]


def sweep_text(result: SweepResult, *, width: int | None = None, colour: bool | None = None) -> str:
    """A row per run, and why some could not be done. `width` and `colour`: as the terminal has them, if not given."""
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
    last = Counter(axis.setting.rpartition(".")[2] for axis in result.axes)
    for axis in result.axes:
        short = axis.setting.rpartition(".")[2]
        table.add_column(Text(short if last[short] == 1 else axis.setting), overflow="fold")
    table.add_column("verdict", overflow="fold")
    for heading in ("AUC", "interval", "classical", "p (Holm)", "accuracy"):
        table.add_column(heading, justify="right")
    for cell in result.cells:
        mark = Text("NOT DONE") if cell.outcome is None else Text(_MARK[cell.outcome], style=_COLOUR[cell.outcome])
        table.add_row(*(Text(cell.values[axis.setting]) for axis in result.axes), mark, *_terminal_figures(cell))
    with console.capture() as capture:
        console.print(_sentence(result), markup=False)
        console.print()
        console.print(table)
        console.print()
        console.print("Intervals and p are of each run alone; the largest AUC of a grid is too large on average.")
        console.print("Accuracy: of the original models on unseen records.", style="dim")
        for cell in result.failed:
            console.print(f"Not done: {_name(cell, result)}: {cell.error}", markup=False)
    return harmless(capture.get()).replace(NBSP, " ").strip("\n")


def render_sweep(result: SweepResult) -> str:
    """The page: no script, no request, readable on a phone."""
    from markupsafe import Markup

    shown = _page(result)
    figures = {"auc": _Figure("AUC (0.5 is guessing)", 0.5, _SEEN, tuple(_aucs(result)))}
    if shown.costs:
        figures["cost"] = _Figure("Cost (0 is none)", 0, _COSTS, tuple(_cost_dots(result)))
    charts = {
        name: {
            kind: Markup(element(_panels(figure, result, width), figure.label, prefix=f"{name}-{kind}-"))
            for kind, width in (("wide", WIDE), ("narrow", NARROW))
        }
        for name, figure in figures.items()
    }
    return environment().get_template("sweep.html.jinja").render(page=shown, charts=charts)


def _page(result: SweepResult) -> _Page:
    found = Counter(cell.outcome for cell in result.cells if cell.outcome is not None)
    badges = [(f"{found[outcome]} × {badge}", tone) for outcome, (badge, tone) in _BADGES.items() if found[outcome]]
    if result.failed:
        badges.append((f"{len(result.failed)} × Not done", "doubt"))
    levels = {cell.auc.confidence for cell in result.cells if cell.auc is not None}
    columns = _columns(result)
    return _Page(
        title=result.title,
        sentence=_sentence(result),
        badges=tuple(badges),
        confidence=f"{percent(levels.pop())} interval" if len(levels) == 1 else "interval, as sure as its run asks",
        costs=any(cell.utility is not None for cell in result.cells),
        heads=(*(axis.setting for axis in result.axes), *columns),
        axes=len(result.axes),
        rows=tuple(
            (*(cell.values[axis.setting] for axis in result.axes), *(figure(cell) for figure in columns.values()))
            for cell in result.cells
        ),
        failed=tuple((_name(cell, result), str(cell.error)) for cell in result.failed),
        remarks=_MULTIPLE,
        sentences=tuple((_name(cell, result), cell.sentence) for cell in result.cells if cell.sentence is not None),
        settings=tuple(sorted(flat_settings(result.settings))),
    )


def _sentence(result: SweepResult) -> str:
    """What was varied."""
    lists = [f"{axis.setting} ({', '.join(axis.values)})" for axis in result.axes]
    varied = lists[0] if len(lists) == 1 else f"{', '.join(lists[:-1])} and {lists[-1]}"
    runs = "1 run" if len(result.cells) == 1 else f"{len(result.cells)} runs"
    return f"{runs} of the experiment {result.title}, varying {varied}."


def _name(cell: CellResult, result: SweepResult) -> str:
    return ", ".join(f"{axis.setting} = {cell.values[axis.setting]}" for axis in result.axes)


def _terminal_figures(cell: CellResult) -> Iterator[str]:
    yield "" if cell.auc is None else f"{cell.auc.estimate:.2f}"
    yield "" if cell.auc is None else _ends(cell.auc)
    yield "" if cell.classical is None else f"{cell.classical.estimate:.2f}"
    p_value = None if cell.against is None else cell.against.p_holm
    yield "" if cell.against is None else "none" if p_value is None else _p(p_value)
    yield "" if cell.overfitting is None else share(cell.overfitting.test_accuracy.mean)


def _columns(result: SweepResult) -> Mapping[str, Callable[[CellResult], str]]:
    """Heading -> what stands there for a run; costs and privacy only where some run has them."""
    columns: dict[str, Callable[[CellResult], str]] = {
        "Verdict": lambda cell: f"Not{NBSP}done" if cell.outcome is None else _BADGES[cell.outcome][0],
        "AUC": lambda cell: _or_dash(cell.auc),
        "Classical": lambda cell: _or_dash(cell.classical),
        "p (Holm)": lambda cell: DASH if cell.against is None else _p_value(cell.against.p_holm),
        "Accuracy": lambda cell: DASH if cell.overfitting is None else share(cell.overfitting.test_accuracy.mean),
    }
    if any(cell.utility is not None for cell in result.cells):
        columns["Accuracy lost"] = lambda cell: DASH if cell.utility is None else _shares(cell.utility.accuracy_lost)
        columns["Brier added"] = _brier_added
    if any(cell.privacy is not None for cell in result.cells):
        columns["Promise (ε, δ)"] = _promise
        columns["AUC ceiling"] = _ceiling
        columns["Refuted"] = _refuted
    columns["Attack"] = lambda cell: cell.attack or DASH
    columns["Models"] = lambda cell: DASH if cell.models is None else str(cell.models)
    return columns


def _or_dash(interval: Interval | None) -> str:
    return DASH if interval is None else _interval(interval)


def _brier_added(cell: CellResult) -> str:
    return DASH if cell.utility is None else _interval(cell.utility.brier_added, digits=3)


def _promise(cell: CellResult) -> str:
    if cell.privacy is None:
        return DASH
    return f"{cell.privacy.guarantee.epsilon:.3g}, {cell.privacy.guarantee.delta:.1g}"


def _ceiling(cell: CellResult) -> str:
    if cell.privacy is None:
        return DASH
    return f"{cell.privacy.check.ceiling:.3f}" if cell.privacy.has_ceiling else "none"


def _refuted(cell: CellResult) -> str:
    words = {True: "yes", False: "no", None: "no interval"}
    return DASH if cell.privacy is None else words[cell.privacy.check.violated]


def _aucs(result: SweepResult) -> Iterator[_Dot]:
    attack, classical = _SEEN
    for cell in result.cells:
        panel, row = _place(cell, result)
        yield _Dot(panel, row, attack, cell.auc)
        if cell.classical is not None:
            yield _Dot(panel, row, classical, cell.classical)


def _cost_dots(result: SweepResult) -> Iterator[_Dot]:
    accuracy, brier = _COSTS
    for cell in result.cells:
        if cell.utility is not None:
            panel, row = _place(cell, result)
            yield _Dot(panel, row, accuracy, cell.utility.accuracy_lost)
            yield _Dot(panel, row, brier, cell.utility.brier_added)


def _place(cell: CellResult, result: SweepResult) -> tuple[str, str]:
    """The panel of a run, a line per axis, and its row in there: the last axis."""
    *outer, last = result.axes
    return "\n".join(f"{axis.setting}: {cell.values[axis.setting]}" for axis in outer), cell.values[last.setting]


def _panels(figure: _Figure, result: SweepResult, width: int) -> Any:
    """A panel per combination of all axes but the last, a row per value of that one, a dot per figure."""
    import altair as alt

    rows = [_drawn(dot) for dot in figure.dots]
    panels = list(dict.fromkeys(dot.panel for dot in figure.dots))
    columns = 1 if width == NARROW else min(COLUMNS, len(panels))
    ends = [figure.nothing, *(row[end] for row in rows for end in ("low", "high") if row[end] is not None)]
    least, most = (min(0.4, *ends), 1.0) if figure.nothing else (min(ends), max(*ends, 0.05))
    scale = alt.Scale(domain=[least, most], nice=False)
    series = list(figure.colours)
    order = alt.YOffset("series:N", sort=series, scale=alt.Scale(domain=series, paddingOuter=0.6))
    names = alt.Axis(grid=False, ticks=False, domain=False, labelPadding=8, labelLimit=130 if width == WIDE else 110)
    y = alt.Y("row:N", title=None, axis=names, scale=alt.Scale(domain=list(result.axes[-1].values)))
    x = alt.X("low:Q", scale=scale, title=figure.title, axis=alt.Axis(tickCount=4, labelFlush=False))
    legend = alt.Legend(title=None, orient="top", columns=1 if width == NARROW else 2, columnPadding=24)
    colours = alt.Scale(domain=series, range=list(figure.colours.values()))
    colour = alt.Color("series:N", scale=colours, legend=legend)
    base = alt.Chart()
    layers = [
        base.mark_rule(strokeDash=[4, 3], color=CLASSICAL).encode(x=alt.XDatum(figure.nothing, scale=scale)),
        base.mark_rule(strokeWidth=2).encode(x=x, x2="high:Q", y=y, yOffset=order, color=colour),
        base.mark_point(filled=True, size=50, opacity=1).encode(
            x=alt.X("estimate:Q", scale=scale), y=y, yOffset=order, color=colour
        ),
        base.transform_filter("datum.missing")
        .mark_text(align="left", color=CLASSICAL, text="not done")
        .encode(x=alt.XDatum(least, scale=scale), y=y),
    ]
    each = (width - 160 - SPACE * (columns - 1)) / columns
    layered = alt.LayerChart(layer=layers).properties(width=each, height={"step": 26, "for": "position"})
    header = alt.Header(
        title=None, labelExpr="split(datum.label, '\\n')", labelFontSize=12, labelAnchor="start", labelLimit=0
    )
    return layered.properties(data=alt.InlineData(values=rows)).facet(
        facet=alt.Facet("panel:N", sort=panels, header=header), columns=columns, spacing=SPACE
    )


def _drawn(dot: _Dot) -> dict[str, Any]:
    """A row of the chart's data; without an interval the line has no length."""
    own = dot.interval
    ends = (None, None, None) if own is None else (own.estimate, own.low, own.high)
    estimate, low, high = ends
    return {
        "panel": dot.panel,
        "row": dot.row,
        "series": dot.series,
        "estimate": estimate,
        "low": estimate if low is None else low,
        "high": estimate if high is None else high,
        "missing": own is None,
    }
