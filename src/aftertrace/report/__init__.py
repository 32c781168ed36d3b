"""The report: a result for the terminal and as one offline page.

print(as_text(result))
"""

from aftertrace.report._terminal import as_text

__all__ = ["as_text"]
