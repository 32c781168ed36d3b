"""Unknown names: what was probably meant."""

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str:
    """` (is 'x' meant?)` for the nearest known name, or nothing."""
    names = {each.lower(): each for each in known}
    near = difflib.get_close_matches(name.lower(), names, n=1)
    return f" (is {names[near[0]]!r} meant?)" if near else ""
