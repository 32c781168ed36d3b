"""The report: a result for the terminal, and as one offline page.

print(as_text(result))
html = render(result, scores, manifest=manifest, key=key)      # records become pseudonyms under `key`
paper = to_pdf(html)                                           # needs the extra `pdf`
lines = junit_xml(result)                                      # and `sarif`, for machines that gate a release

`exposure_text` and `render_exposure` do the same for an exposure, `sweep_text` and `render_sweep` for a grid of runs,
`history_text` and `render_history` for releases one after the other.
"""

from aftertrace.report._canaries import canaries_text, canary_result_text
from aftertrace.report._exposure import exposure_text, render_exposure
from aftertrace.report._gate import gate_text
from aftertrace.report._history import history_text, render_history
from aftertrace.report._junit import junit_xml
from aftertrace.report._page import render
from aftertrace.report._pdf import to_pdf
from aftertrace.report._reproduction import render_reproduction, reproduction_markdown, reproduction_text
from aftertrace.report._sarif import sarif
from aftertrace.report._sweep import render_sweep, sweep_text
from aftertrace.report._terminal import as_text

__all__ = [
    "as_text",
    "canaries_text",
    "canary_result_text",
    "exposure_text",
    "gate_text",
    "history_text",
    "junit_xml",
    "render",
    "render_exposure",
    "render_history",
    "render_reproduction",
    "render_sweep",
    "reproduction_markdown",
    "reproduction_text",
    "sarif",
    "sweep_text",
    "to_pdf",
]
