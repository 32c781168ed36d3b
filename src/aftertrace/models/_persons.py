"""Whose record each is, as Python users say it."""

from typing import Any

import numpy as np

from aftertrace._absence import is_nobody
from aftertrace.errors import InputError
from aftertrace.models._classes import class_names
from aftertrace.models._columns import is_missing


def person_names(given: Any) -> tuple[str, ...]:
    """A name for whoever each record is about [Q]. Raises `InputError` where one is missing: nobody is called "nan"."""
    persons = np.asarray(given, dtype=object)
    if persons.ndim != 1:
        raise InputError(
            f"`person` must say whose record each is, one name or number each [Q]; got {type(given).__name__}."
        )
    missing = [row for row, person in enumerate(persons.tolist()) if is_missing(person) or is_nobody(str(person))]
    if missing:
        raise InputError(
            f"`person` must say whose record each is, and says nothing in {len(missing)} rows, first in row "
            f"{missing[0]}. Fill it in, or leave these records out."
        )
    return class_names(np.asarray(given))
