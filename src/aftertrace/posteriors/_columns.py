"""Columns with a meaning, and what users call two of them."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from aftertrace._spelling import nearest, some
from aftertrace.errors import InputError

LABEL, PERSON = "label", "person"
"""Meanings whose columns users may call as they like; these names are the defaults."""
MOST_NAMED = 20
"""Columns of a file that are named where one is absent: what is meant should be among them."""
_HOLDS = {LABEL: "the class of each record", PERSON: "whose record each is"}

_PERSON = (
    "(?:person|individual|patient|customer|client|user|member|household|subject|participant|respondent|student"
    "|employee)"
)
_KEY = "(?:id|uid|uuid|guid|key|hash)"
_NUMBER = "(?:no|nr|num|number)"
"""Of one person: the number of several is a count."""


def is_persons_number(name: str) -> bool:
    """Whether a column is called as one of persons' numbers is: patient_id, CustomerNo, ID user."""
    return re.fullmatch(f"{_PERSON}(?:{_NUMBER}|s?{_KEY})|id{_PERSON}s?", _letters(name)) is not None


def is_of_persons(name: str) -> bool:
    """Whether a column is called as persons are: patient, household name."""
    return re.fullmatch(f"{_PERSON}s?(?:name)?", _letters(name)) is not None


def _letters(name: str) -> str:
    return re.sub("[^a-z]", "", name.lower())


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


def absent_column(name: str, meaning: str, found: Mapping[Path, Sequence[str]]) -> str:
    """What is said of the files that lack the column `name` of that `meaning`; `found`: the columns of each."""
    holds = f" with {_HOLDS[meaning]}" if meaning in _HOLDS else ""
    hint = f" Another name can be said {_option(meaning)}." if meaning in _HOLDS else ""
    columns = [f"{some(each, MOST_NAMED)}{nearest(name, each)}" for each in found.values()]
    if len(set(columns)) > 1:
        columns = [f"{text} in {path.name}" for text, path in zip(columns, found, strict=True)]
    files = " and ".join(map(str, found))
    return f"{files}: there must be a column {name!r}{holds}; found {' and '.join(dict.fromkeys(columns))}.{hint}"


def _option(meaning: str) -> str:
    return f"(`{meaning}_column`)"
