"""Columns with a meaning, and what users call two of them."""

from collections.abc import Collection, Sequence

from aftertrace._spelling import nearest, some
from aftertrace.errors import InputError

LABEL, PERSON = "label", "person"
"""Meanings whose columns users may call as they like; these names are the defaults."""
_HOLDS = {LABEL: "the class of each record", PERSON: "whose record each is"}


def column_meanings(fixed: Sequence[str], *, label: str = LABEL, person: str = PERSON) -> dict[str, str]:
    """What each column with a meaning means, by its name in a file; `fixed` ones mean what they are called.

    Raises `InputError` where a name is no text, or has another meaning already.
    """
    for meaning, name, others in ((LABEL, label, (*fixed, person)), (PERSON, person, (*fixed, label))):
        if not isinstance(name, str) or not name or name in others:
            raise InputError(
                f"The column with {_HOLDS[meaning]} {_option(meaning)} must be another one than "
                f"{', '.join(map(str, others))}, got {name!r}."
            )
    return {**{name: name for name in fixed}, label: LABEL, person: PERSON}


def absent_column(source: object, name: str, meaning: str, found: Collection[str]) -> str:
    """What is said where the file `source` lacks the column `name` of that `meaning`."""
    holds = f" with {_HOLDS[meaning]}" if meaning in _HOLDS else ""
    hint = f" Another name can be said {_option(meaning)}." if meaning in _HOLDS else ""
    return f"{source}: there must be a column {name!r}{holds}; found {some(list(found))}{nearest(name, found)}.{hint}"


def _option(meaning: str) -> str:
    return f"(--{meaning}-column, in Python {meaning}_column)"
