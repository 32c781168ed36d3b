"""The report as one HTML file that works offline."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aftertrace.report._charts import draw
from aftertrace.report._records import page
from aftertrace.results import Result, Scores

if TYPE_CHECKING:
    from jinja2 import Environment


def render(result: Result, scores: Scores, *, manifest: Mapping[str, Any], key: bytes) -> str:
    """The page: no script, no request, readable on a phone and on paper. Records appear as pseudonyms under `key`.

    `manifest`: what is known of the run (libraries, times); keys may be missing.
    """
    from markupsafe import Markup

    shown = page(result, scores, manifest=manifest, key=key)
    charts = {name: {"wide": Markup(chart.wide), "narrow": Markup(chart.narrow)} for name, chart in draw(shown).items()}
    return environment().get_template("template.html.jinja").render(page=shown, charts=charts)


def environment() -> "Environment":
    """The templates of this package."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("aftertrace.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
