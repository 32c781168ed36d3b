"""The report: a result for the terminal, and as one offline page.

print(as_text(result))
html = render(result, scores, manifest=manifest, key=key)      # records become pseudonyms under `key`
paper = to_pdf(html)                                           # with the extra `pdf`

`exposure_text` and `render_exposure` do the same for an exposure, `sweep_text` and `render_sweep` for a grid of runs.
"""

from aftertrace.report._canaries import canaries_text, canary_result_text
from aftertrace.report._exposure import exposure_text, render_exposure
from aftertrace.report._page import render
from aftertrace.report._pdf import to_pdf
from aftertrace.report._reproduction import render_reproduction, reproduction_markdown, reproduction_text
from aftertrace.report._sweep import render_sweep, sweep_text
from aftertrace.report._terminal import as_text

__all__ = [
    "as_text",
    "canaries_text",
    "canary_result_text",
    "exposure_text",
    "render",
    "render_exposure",
    "render_reproduction",
    "render_sweep",
    "reproduction_markdown",
    "reproduction_text",
    "sweep_text",
    "to_pdf",
]
