"""Columns of records that look as if they said whose each is, where nobody said so."""

import re
from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from aftertrace.models._columns import is_missing
from aftertrace.models._onnx import OnnxModel
from aftertrace.models._pickled import PickledModel
from aftertrace.models._protocol import Model
from aftertrace.models._records import Records
from aftertrace.models._sklearn import SklearnModel
from aftertrace.models._torch import TorchModel
from aftertrace.posteriors._columns import is_of_persons, is_persons_number

FEWEST = 10
"""Persons: fewer different values are categories."""
SHARED, MOSTLY_SHARED = 0.1, 0.5
"""The share of records whose value another one has: of a column that is called a person's number, and of any other."""
_MOMENT = re.compile(
    r"\d{4}[-./]\d\d[-./]\d\d(?!\d)|\d{1,2}[./]\d{1,2}[./]\d{2,4}|\d{1,2}:\d\d(?::\d\d)?(?![:\w])"
    r"|(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:T|(?:\.0)?$)"
)
"""A date or a time. Some people's numbers begin with their date of birth."""


def likely_person(
    records: Records, role: NDArray[np.int8], *, taken: Collection[str] | None = None, named: bool = False
) -> str | None:
    """The column that most looks as if it said whose record each is; None where none does.

    Values must repeat, be texts or whole numbers, and at least `FEWEST` different ones. A column that is called as a
    person's number is (`patient_id`) needs no more. One that is called as a person is (`patient`) must also leave each
    value in one `role` [Q], as persons are deleted whole; so must any other one, of which it must be known besides that
    no model takes it. `taken`: the columns that a model takes, which are features; None where it does not say.
    `named`: look at names of persons' numbers alone.
    """
    columns = {name: column for name, column in (records.columns or {}).items() if name not in (taken or ())}
    called = [name for name in columns if is_persons_number(name)]
    found = [name for name in called if _repeats(columns[name]) >= SHARED]
    if not (found or named):
        others = columns if taken is not None else filter(is_of_persons, columns)
        found = [name for name in others if _repeats(columns[name]) >= MOSTLY_SHARED and _is_pure(columns[name], role)]
        found.sort(key=lambda name: not is_of_persons(name))
    return found[0] if found else None


def taken_by(model: Model, records: Records) -> Collection[str] | None:
    """The columns that enter a model's answers to `records`; None where that cannot be told."""
    match model:
        case PickledModel():
            return taken_by(model.model, records)
        case SklearnModel():
            return model.wanted(records)
        case OnnxModel():
            return model.wanted(records)
        case TorchModel():
            return tuple(records.columns or ())
    return None


def is_feature(model: Model, column: str, records: Records) -> bool:
    """Whether a model was fitted on a `column` that `records` lack, as it says whose each is; not all models say it."""
    match model:
        case PickledModel():
            return is_feature(model.model, column, records)
        case SklearnModel():
            own = model.names()
            return column in own if own else model.n_features == len(records.columns or ()) + 1
        case OnnxModel():
            return model.takes(column)
    return False


def _repeats(column: NDArray[np.generic]) -> float:
    """The share of records whose value another one has; 0 where values cannot stand for persons."""
    there = _values(column)
    if there is None:
        return 0.0
    counts = np.unique(there, return_counts=True)[1]
    return float(counts[counts > 1].sum() / len(column)) if len(counts) >= FEWEST else 0.0


def _values(column: NDArray[np.generic]) -> NDArray[np.str_] | None:
    """Those that are there, as texts; None where they are neither whole numbers nor texts, or dates or times."""
    there = np.array([value for value in column.tolist() if not is_missing(value)])
    if not there.size or there.dtype.kind not in "iufU" or (there.dtype.kind == "f" and (there % 1 != 0).any()):
        return None
    texts = there.astype(str)
    return None if all(_MOMENT.match(text) for text in texts[:FEWEST].tolist()) else texts


def _is_pure(column: NDArray[np.generic], role: NDArray[np.int8]) -> bool:
    """Whether no value stands under two roles; a gap is none."""
    pairs = {pair for pair in zip(column.tolist(), role.tolist(), strict=True) if not is_missing(pair[0])}
    return len(pairs) == len({value for value, _ in pairs})
