"""Records as the JSON of a request, and the JSON of an answer as rows."""

import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aftertrace._spelling import nearest
from aftertrace.errors import InputError, TrainingError
from aftertrace.models._protocol import Floats
from aftertrace.models._records import Records

_PLACEHOLDER = re.compile(r"\$([A-Za-z]\w*)")
_PLACEHOLDERS = ("records", "objects", "record", "object")
"""Records as lists of values, or as objects by name of column; several, or one at a time."""


def template_problem(template: str) -> str | None:
    """What is wrong with the template of a request, if anything is."""
    names = _PLACEHOLDER.findall(template)
    if len(names) != 1 or names[0] not in _PLACEHOLDERS:
        meant = nearest(names[0], _PLACEHOLDERS) if names else ""
        got = ", ".join(f"${name}" for name in names) or "none"
        return f"must hold one of {', '.join(f'${name}' for name in _PLACEHOLDERS)} once, got {got}{meant}"
    try:
        json.loads(_PLACEHOLDER.sub(r'"\1"', template))  # within quotes it would end the text: no JSON
    except (ValueError, RecursionError) as error:
        return f"must be JSON once ${names[0]} is filled in, and is not ({error}); write ${names[0]} without quotes"
    return None


def placeholder_of(template: str) -> str:
    """The one placeholder of a template without problems; several records at a time have an s at its end."""
    return str(_PLACEHOLDER.findall(template)[0])


def fill(template: str, texts: Sequence[str]) -> str:
    """The body of a request about records that are JSON texts; just one where the template holds one at a time."""
    together = ",".join(texts)
    filling = f"[{together}]" if placeholder_of(template).endswith("s") else together
    return _PLACEHOLDER.sub(lambda _: filling, template)


def texts_of(records: Records, placeholder: str) -> list[str]:
    """Each record as JSON: a list of its values, or an object by name of column. NaN, a missing number, is null.

    Raises `InputError` for infinite numbers, values that JSON has no word for, and objects of records without names.
    """
    by_name = placeholder.startswith("object")
    if by_name and records.columns is None:
        raise InputError(
            f"A request with ${placeholder} takes records with names of columns, and these are an array: bring a "
            f"table, or write $record{placeholder.removeprefix('object')} in 'request'."
        )
    if records.columns is None:
        assert records.array is not None
        rows: list[Any] = _plain(records.array)
    else:
        rows = [list(row) for row in zip(*map(_plain, records.columns.values()), strict=True)]
    if by_name:
        rows = [dict(zip(records.columns or (), row, strict=True)) for row in rows]
    try:
        return [json.dumps(row, allow_nan=False, separators=(",", ":"), default=_number) for row in rows]
    except (TypeError, ValueError) as error:
        raise InputError(
            f"Records for an endpoint must be finite numbers, texts, truth values or nothing, as JSON knows them, "
            f"and these are not ({error}): change or leave out that column."
        ) from error


def _plain(values: NDArray[Any]) -> list[Any]:
    plain = values.astype(object)
    plain[plain != plain] = None  # NaN, among texts too
    return list(plain.tolist())


def _number(value: object) -> object:
    """Of NumPy's numbers inside columns of objects."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is none of them")


def rows_of(answer: object, path: str, *, n: int, single: bool, classes: Sequence[str] | None, where: str) -> Floats:
    """The rows [n, K] of an answer. `path`: dotted keys of objects and numbers of lists; `*` is each of a list.

    A row is a list of numbers, an object of numbers by class, or one number: a score. With `single` the path leads to
    one row. Raises `TrainingError`, calling the endpoint `where`, for an answer of another form.
    """
    found = _follow(answer, path.split(".") if path else [], "", path, where)
    rows = [found] if single else found
    if not isinstance(rows, list):
        raise TrainingError(f"{where}: 'response' ({path!r}) must lead to a list of rows, and leads to {_kind(rows)}.")
    if len(rows) != n:
        raise TrainingError(f"{where} must give a row for each record, and gave {len(rows)} for {n}.")
    numbers = [_row(row, classes, where) for row in rows]
    if len({len(row) for row in numbers}) != 1:
        raise TrainingError(
            f"{where} must give rows of one length, and gave some of {min(map(len, numbers))} and some of "
            f"{max(map(len, numbers))} numbers."
        )
    try:
        values = np.array(numbers, dtype=np.float64)
    except OverflowError:  # a whole number beyond float64
        values = np.full((n, 1), np.nan)
    if not np.isfinite(values).all():
        raise TrainingError(f"{where} must give finite numbers, and gave NaN or an infinite one.")
    return values


def _follow(value: Any, parts: Sequence[str], passed: str, path: str, where: str) -> Any:
    if not parts:
        return value
    part, rest = parts[0], parts[1:]
    here = f"{passed}.{part}" if passed else part
    match value:
        case list() if part == "*":
            return [_follow(each, rest, here, path, where) for each in value]
        case list() if part.isdecimal() and int(part) < len(value):
            return _follow(value[int(part)], rest, here, path, where)
        case dict() if part in value:
            return _follow(value[part], rest, here, path, where)
        case dict():
            keys = ", ".join(repr(key[:40]) for key in list(value)[:8]) or "none"
            there = f"there are the keys {keys}{nearest(part, value)}"
        case _:
            there = f"there is {_kind(value)}"
    raise TrainingError(
        f"{where}: 'response' must be the path to the rows of its answer, got {path!r}; instead of {here!r} {there}."
    )


def _row(row: Any, classes: Sequence[str] | None, where: str) -> list[float]:
    if isinstance(row, dict) and classes is not None and set(row) == set(classes):
        row = [row[name] for name in classes]
    elif isinstance(row, dict):
        keys = ", ".join(repr(key[:40]) for key in list(row)[:8]) or "none"
        wanted = f"the classes {', '.join(classes)}" if classes else "'classes', which the endpoint file must then list"
        raise TrainingError(f"{where}: a row that is an object must have {wanted} for keys, and has {keys}.")
    values = row if isinstance(row, list) else [row]
    wrong = [each for each in values if isinstance(each, bool) or not isinstance(each, int | float)]
    if wrong or not values:
        kind = _kind(wrong[0] if wrong else row)
        raise TrainingError(
            f"{where}: a row must be a list of numbers, an object of numbers by class or one number, "
            f"and there is {kind} in one; check 'response'."
        )
    return values


def _kind(value: object) -> str:
    """What a JSON value is, without showing it: it may repeat what was sent."""
    match value:
        case None:
            return "null"
        case bool():
            return "a truth value"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list():
            return f"a list of {len(value)}"
    return "an object"
