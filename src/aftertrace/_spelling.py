"""Names in messages: some of many, what was probably meant by an unknown one, and nothing that moves a terminal."""

import difflib
import re
from collections.abc import Iterable, Sequence

_CONTROL = re.compile(r"\x1b(?!\[[0-9;]*m)|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f]")  # no tab, line end or colour


def harmless(text: str) -> str:
    """Text for a terminal: names that a user's files bring may hold sequences that clear it or type into it."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def nearest(name: str, known: Iterable[str]) -> str:
    """` (is 'x' meant?)` for the nearest known name, or nothing."""
    names = {each.lower(): each for each in known}
    near = difflib.get_close_matches(name.lower(), names, n=1)
    return f" (is {names[near[0]]!r} meant?)" if near else ""


def some(names: Sequence[str], most: int = 6) -> str:
    """The first names, and how many more there are."""
    shown = ", ".join(repr(str(name)) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
