"""Libraries that only some users need."""

from importlib import import_module
from typing import Any

from aftertrace.errors import UnsupportedError


def optional(module: str, *, package: str, purpose: str) -> Any:
    """The module, or `UnsupportedError` that says what to install."""
    try:
        return import_module(module)
    except ImportError as error:
        raise UnsupportedError(
            f"{purpose} needs the library {package}, which is not installed: pip install {package}, and try again."
        ) from error
