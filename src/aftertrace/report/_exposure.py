"""An exposure for the terminal, and as one offline page."""

import shutil
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from aftertrace._figures import share
from aftertrace.report._charts import NARROW, WIDE, Drawing, element
from aftertrace.report._page import environment
from aftertrace.report._records import EXPOSED, flat_settings, shown_names
from aftertrace.results import Exposure, ExposureResult

if TYPE_CHECKING:
    import altair as alt

_LEVELS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
_REMARKS = (
    "The model is the deployer's own; someone who compares two published versions sees the same posteriors.",
    "The attacker of this page knows the record and its class, asks both models about it, and compares its loss of "
    "confidence with that of unseen records. Attackers with shadow models can do better, never worse.",
    "One deletion at a time, everything else equal: other changes between two versions hide a deletion.",
    "All records come from one original model, so that no interval is given; an audit (aftertrace run) gives one.",
)


@dataclass(frozen=True)
class _Page:
    title: str
    sentence: str
    size: str
    levels: tuple[tuple[str, ...], ...]
    classes: tuple[tuple[str, ...], ...]
    exposed: tuple[tuple[str, ...], ...]
    remarks: tuple[str, ...]
    provenance: tuple[tuple[str, str], ...]
    settings: tuple[tuple[str, str], ...]


def exposure_text(result: ExposureResult) -> str:
    """The figures in a few lines, as wide as the terminal."""
    half, far = result.quantiles["0.5"], result.quantiles["0.99"]
    width = min(shutil.get_terminal_size((100, 24)).columns, 100)
    return "\n".join(
        textwrap.fill(line, width)
        for line in (
            result.sentence,
            "",
            f"{result.title}: {result.records} deletions, each seen beside {result.unseen} unseen records.",
            f"Logit drop: median {half:.2g}, and {far:.2g} or more for one record in a hundred.",
            f"A deleted record lost more than an unseen one in {100 * result.auc:.1f} % of comparisons; chance: 50 %.",
            *([f"Certificate: {result.certificate.sentence}"] if result.certificate is not None else []),
        )
    )


def render_exposure(
    result: ExposureResult,
    rows: Exposure,
    *,
    classes: Sequence[str],
    manifest: Mapping[str, Any],
    key: bytes,
) -> str:
    """The page: no script, no request, readable on a phone. Records appear as pseudonyms under `key`."""
    from markupsafe import Markup

    page = _Page(
        title=result.title,
        sentence=result.sentence,
        size=f"{result.records} records deleted in turn, {result.unseen} unseen ones asked about each deletion.",
        levels=tuple(
            (share(level, 0), share((rows.p_value <= level).mean()))
            for level in _LEVELS
            if level >= 1 / (1 + rows.unseen)
        ),
        classes=tuple(_by_class(rows, classes)),
        exposed=tuple(_exposed(rows, classes, key)),
        remarks=_REMARKS,
        provenance=tuple(_provenance(result, manifest)),
        settings=tuple(flat_settings(result.settings)),
    )
    drawing = Drawing(
        wide=element(_shown(rows, WIDE), "Share of deletions that show, by wrong accusations", prefix="shown-wide-"),
        narrow=element(
            _shown(rows, NARROW), "Share of deletions that show, by wrong accusations", prefix="shown-narrow-"
        ),
    )
    charts = {"shown": {"wide": Markup(drawing.wide), "narrow": Markup(drawing.narrow)}}
    return environment().get_template("exposure.html.jinja").render(page=page, charts=charts)


def _by_class(rows: Exposure, classes: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for number, name in enumerate(classes):
        own = rows.label == number
        if own.any():
            drop = rows.logit_drop[own]
            shown = (rows.p_value[own] <= 0.05).mean()
            yield (
                name,
                str(own.sum()),
                f"{np.median(drop):.2g}",
                f"{np.quantile(drop, 0.95):.2g}",
                f"{drop.max():.2g}",
                share(shown),
            )


def _exposed(rows: Exposure, classes: Sequence[str], key: bytes) -> Iterator[tuple[str, ...]]:
    order = np.lexsort((-rows.logit_drop, rows.rank))[:EXPOSED]
    for place, name in zip(order, shown_names(rows.record[order], key), strict=True):
        yield (
            name,
            classes[rows.label[place]],
            f"{rows.before[place]:.3g}",
            f"{rows.after[place]:.3g}",
            f"{rows.logit_drop[place]:.3g}",
            f"{rows.p_value[place]:.3f}",
        )


def _provenance(result: ExposureResult, manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "Data", f"{result.data}: {result.records} training and {result.unseen} unseen records"
    yield "Fingerprint of the data (SHA-256)", result.fingerprint
    if result.certificate is not None:
        yield "Certificate", result.certificate.sentence
    for name in ("finished", "python", "platform"):
        if name in manifest:
            yield name.capitalize(), str(manifest[name])
    if manifest.get("seconds"):
        yield "Time", ", ".join(f"{name} {value:.1f} s" for name, value in manifest["seconds"].items())
    if manifest.get("libraries"):
        yield "Libraries", ", ".join(f"{name} {number}" for name, number in manifest["libraries"].items())


def _shown(rows: Exposure, width: int) -> "alt.LayerChart":
    """Share of p-values up to each level; on the diagonal there is no leak."""
    import altair as alt

    least = 1 / (1 + rows.unseen)
    levels = np.geomspace(least, 1, 80)
    ordered = np.sort(rows.p_value)
    values = [
        {
            "level": float(level),
            "share": float(np.searchsorted(ordered, level * (1 + 1e-9), side="right") / len(ordered)),
        }
        for level in levels
    ]
    chance = [{"level": float(level), "share": float(level)} for level in levels]
    x = alt.X(
        "level:Q",
        scale=alt.Scale(type="log", domain=[least, 1]),
        axis=alt.Axis(format="~p", tickCount=5),
        title="Unseen records accused wrongly",
    )
    y = alt.Y("share:Q", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="~p"), title="Deletions that show")
    line = (
        alt.Chart(alt.InlineData(values=values))
        .mark_line(strokeWidth=2.5, color="#0b5cad", interpolate="step-after")
        .encode(x=x, y=y)
    )
    diagonal = alt.Chart(alt.InlineData(values=chance)).mark_line(strokeWidth=1, color="#8a8f98").encode(x=x, y=y)
    return alt.LayerChart(layer=[diagonal, line]).properties(width=width - 80, height=260)
