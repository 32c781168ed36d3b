"""Shares and limits in words: every percentage that a person reads is written here."""

NBSP = "\u00a0"
"""A space at which no line breaks."""


def share(value: float, digits: int = 1) -> str:
    """Such as "12.5 %", with a fixed number of digits and no negative zero."""
    return f"{100 * value:z.{digits}f}{NBSP}%"


def percent(value: float) -> str:
    """With as many digits as it has, such as a limit or a confidence."""
    return f"{100 * value:.4g}{NBSP}%"


def bound(limit: float) -> str:
    """A limit of an AUC, with two digits, or up to four where it has more."""
    return f"{limit:.2f}" if abs(round(limit, 2) - limit) < 1e-9 else f"{limit:.4f}".rstrip("0")


def beside(limit: float, value: float) -> str:
    """An AUC held against `limit`: with two digits, or up to six where fewer would not tell on which side it is."""
    ends = (limit, 1 - limit)
    for digits in range(2, 6):
        words = f"{value:.{digits}f}"
        if value in ends or words not in (f"{end:.{digits}f}" for end in ends):
            return words
    return f"{value:.6f}"
