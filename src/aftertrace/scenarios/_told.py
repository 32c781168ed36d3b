"""Figures told of persons, where persons are judged in the place of records."""

import re
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from aftertrace.results import DeletionUnit

Found = TypeVar("Found")
_WORDS = {"record": "person", "records": "persons", "query": "person", "queries": "persons"}
_ANY = re.compile(rf"\b({'|'.join(_WORDS)})\b")
_SENTENCES = ("method", "note", "notes", "refused")


def told_of(unit: DeletionUnit, found: Found) -> Found:
    """`found`, a tree of figures, with its methods and notes in words of the `unit` that they count.

    The statistics know records and queries only: what they are given.
    """
    return found if unit == "record" else _told(found)


def _told(found: Any) -> Any:
    if isinstance(found, tuple):
        return tuple(map(_told, found))
    if not is_dataclass(found) or isinstance(found, type):
        return found
    own = {field.name: getattr(found, field.name) for field in fields(found)}
    return replace(found, **{name: _worded(v) if name in _SENTENCES else _told(v) for name, v in own.items()})


def _worded(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_worded, value))
    return _ANY.sub(lambda match: _WORDS[match[0]], value) if isinstance(value, str) else value
