"""The report on paper."""

import logging
from typing import Any

from aftertrace.errors import InputError

MARK = b"%aftertrace\n"
"""The last line, a comment, by which a report is known from other PDFs."""


def to_pdf(html: str) -> bytes:
    """A page of this package as a tagged PDF, laid out by its print style; nothing is fetched.

    Needs the extra `pdf` (WeasyPrint) and the library Pango. Raises `InputError` where either is missing.
    """
    weasyprint = _weasyprint()
    offline = weasyprint.urls.URLFetcher(allowed_protocols=("data",))
    # It warns of every style that paper has no use for, such as shadows and focus rings.
    logging.getLogger("weasyprint").setLevel(logging.ERROR)
    made: bytes = weasyprint.HTML(string=html, url_fetcher=offline).write_pdf(pdf_tags=True)
    return made + MARK


def _weasyprint() -> Any:
    try:
        import weasyprint
    except ImportError as error:
        raise InputError(
            "A PDF needs WeasyPrint, which is not installed: pip install 'aftertrace[pdf]', or print the HTML report "
            "from a browser."
        ) from error
    except OSError as error:
        raise InputError(
            "A PDF needs the library Pango, which WeasyPrint does not find: install it (on Debian libpango-1.0-0 and "
            "libpangoft2-1.0-0), or print the HTML report from a browser."
        ) from error
    return weasyprint
