"""Shares in words: every percentage that a person reads is written here."""

NBSP = "\u00a0"
"""A space at which no line breaks."""


def share(value: float, digits: int = 1) -> str:
    """Such as "12.5 %", with a fixed number of digits and no negative zero."""
    return f"{100 * value:z.{digits}f}{NBSP}%"


def percent(value: float) -> str:
    """With as many digits as it has, such as a limit or a confidence."""
    return f"{100 * value:.4g}{NBSP}%"
