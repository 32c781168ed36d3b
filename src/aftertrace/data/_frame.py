"""Tables read back from numbers, for models that encode texts and gaps themselves."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Value = str | bool | None

GAP = "NaN"
"""What the category of missing texts is called: no text of a table is, as it is one of `NOTHING`."""
BOOLEANS = {"True": True, "TRUE": True, "true": True, "False": False, "FALSE": False, "false": False}
"""Texts that are booleans for `pandas.read_csv`, where all of a column are."""


@dataclass(frozen=True, kw_only=True)
class FrameColumn:
    """A column of a table, and the column number `place` of [N, F] that it is read from.

    Texts and booleans are codes there; `values` is what the codes stand for, None where one is missing. Numbers have
    no `values`; `gaps` is the place of the 0/1 column that says where one is missing, None if none is, and `whole`
    says that all are whole numbers.
    """

    name: str
    place: int
    values: tuple[Value, ...] | None = None
    gaps: int | None = None
    whole: bool = False

    def read(self, x: NDArray[np.float64]) -> NDArray[Any]:
        """[N, F] -> [N]: int64, float64, bool, or type object (texts, booleans with gaps); NaN where one is missing."""
        own = x[:, self.place]
        if self.values is not None:
            return _lookup(self.values)[own.astype(np.int64)]
        if self.gaps is not None:
            return np.where(x[:, self.gaps] == 1, np.nan, own)
        return own.astype(np.int64) if self.whole else own


@dataclass(frozen=True)
class Frame:
    """How records [N, F] are read back as the table that they came from, with the columns that are features.

    `target` is what the column of classes is called there, `classes` are its K values.
    """

    columns: tuple[FrameColumn, ...]
    target: str
    classes: tuple[str, ...]

    def read(self, x: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
        """The columns [N] by name, in their order and of the types that `pandas.read_csv` gives them.

        Whole numbers from 2^53 on are of type float64.
        """
        return {column.name: column.read(x) for column in self.columns}


def values_of(categories: Sequence[str]) -> tuple[Value, ...]:
    """What codes of a column of texts stand for: booleans where all categories are, None for `GAP`."""
    there = [name for name in categories if name != GAP]
    meaning: dict[str, Value] = {name: BOOLEANS.get(name) for name in there}
    if None in meaning.values():
        meaning = dict(zip(there, there, strict=True))
    return tuple(meaning.get(name) for name in categories)


def _lookup(values: Sequence[Value]) -> NDArray[Any]:
    kind = bool if all(isinstance(value, bool) for value in values) else object
    return np.array([np.nan if value is None else value for value in values], dtype=kind)
