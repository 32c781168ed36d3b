"""The report as one HTML file that works offline."""

import hashlib
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from aftertrace._figures import percent
from aftertrace.report._appendix import Appendix, appendix
from aftertrace.report._attacks import Evidence, evidence
from aftertrace.report._charts import draw
from aftertrace.report._exposed import Exposed, exposed, is_score
from aftertrace.report._remedy import Remedies, remedies
from aftertrace.report._sentences import discoveries_sentence, release_sentences
from aftertrace.report._summary import Summary, summary
from aftertrace.results import Result, Scores, Widening

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

_POSTERIORS = (
    "Logit drop",
    "Confidence in the true class that was lost by the update, on the scale of log odds.",
    "Confidences in the true class, before and after the update, are rounded, so that nobody can look a person up here "
    "by asking the model.",
)
_SCORES = (
    "Score drop",
    "What the update took from the model's score, which is larger for what is more likely.",
    "Scores, before and after the update, are rounded, so that nobody can look a person up here by asking the model.",
)
"""Heading of what was lost, what that is, and what is rounded: of posteriors, and of one score per record."""


@dataclass(frozen=True)
class Page:
    """Everything that the template shows, for three readers: `summary`, `evidence` with `exposed`, `appendix`."""

    title: str
    who: str
    unit: str
    confidence: str
    finished: str
    drop: str
    movement: str
    rounding: str
    discoveries: str
    summary: Summary
    widening: Widening | None
    remedies: Remedies | None
    evidence: Evidence
    exposed: Exposed
    appendix: Appendix

    @property
    def data(self) -> dict[str, Any]:
        """What the page's script shows."""
        return {"roc": self.evidence.roc.data, "records": self.exposed.data}


def page(result: Result, scores: Scores, *, manifest: Mapping[str, Any], key: bytes) -> Page:
    """The records of a page; record numbers leave only as pseudonyms under `key`."""
    who, found = result.attacked.name.lower(), result.discoveries
    drop, movement, rounding = _SCORES if is_score(result) else _POSTERIORS
    return Page(
        title=result.title,
        who=who,
        unit=result.unit,
        drop=drop,
        movement=movement,
        rounding=rounding,
        confidence=percent(result.attack(result.verdict.attack).auc.confidence),
        finished=str(manifest.get("finished", ""))[:10],
        discoveries="" if found is None else discoveries_sentence(found, who, result.unit),
        summary=summary(result),
        widening=result.widening,
        remedies=None if result.remedy is None else remedies(result.remedy),
        evidence=evidence(result, scores),
        exposed=exposed(result, scores, key, drop=drop),
        appendix=appendix(result, manifest, release=release_sentences(result)),
    )


def render(result: Result, scores: Scores, *, manifest: Mapping[str, Any], key: bytes) -> str:
    """The page: one file, no request, readable on a phone, on paper, and without its script, which only sorts, filters
    and points. Records appear as pseudonyms under `key`.

    `manifest`: what is known of the run (libraries, times, fingerprints of models); keys may be missing.
    """
    from markupsafe import Markup

    shown = page(result, scores, manifest=manifest, key=key)
    charts = {
        name: {"wide": Markup(chart.wide), "narrow": Markup(chart.narrow)}
        for name, chart in draw(shown.evidence, shown.remedies, who=shown.who, unit=shown.unit, drop=shown.drop).items()
    }
    script = files("aftertrace.report").joinpath("page.js").read_text(encoding="utf-8")
    digest = b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        environment()
        .get_template("template.html.jinja")
        .render(page=shown, charts=charts, script=Markup(script), script_hash=digest)
    )


def environment() -> "Environment":
    """The templates of this package."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("aftertrace.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["code"] = _code
    made.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    return made


def _code(text: str) -> "Markup":
    """A sentence whose options and words between backquotes are code, kept in one piece."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"`([^`]+)`|(--[a-z-]+)", r"<code>\1\2</code>", str(escape(text))))
