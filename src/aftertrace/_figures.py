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
    """A limit of an AUC, with two digits, or three where it has more."""
    return f"{limit:.2f}" if abs(round(limit, 2) - limit) < 0.0005 else f"{limit:.3f}"


def beside(limit: float, value: float) -> str:
    """An AUC held against `limit`: with two digits, or with three where two would not tell on which side it is."""
    two = f"{value:.2f}"
    return f"{value:.3f}" if two in (f"{limit:.2f}", f"{1 - limit:.2f}") and value not in (limit, 1 - limit) else two
