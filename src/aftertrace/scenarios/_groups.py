"""Groups of records by a column: categories, or thirds of a number."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aftertrace._spelling import nearest
from aftertrace.data import Dataset
from aftertrace.errors import ExperimentError

MOST_VALUES = 20
"""A column of numbers with more different values is cut into thirds."""
MOST_GROUPS = 50
"""Of more categories, hardly one has enough deleted records."""


@dataclass(frozen=True, eq=False)
class Grouping:
    """`code` [N]: which of the `names` each is in."""

    names: tuple[str, ...]
    code: NDArray[np.int64]

    def at(self, record: NDArray[np.int64]) -> "Grouping":
        """Of some records [Q]."""
        return Grouping(self.names, self.code[record])


def groups_of(data: Dataset, columns: Sequence[str]) -> dict[str, Grouping]:
    """The group of every record [N] by each of `columns`: a column of codes, of numbers, or one-hot encoded.

    Raises `ExperimentError` for a column that the data do not have, and for one of more than 50 categories.
    """
    found = {name: _groups(data, name) for name in columns}
    for name, group in found.items():
        if len(group.names) > MOST_GROUPS:
            raise ExperimentError(
                [
                    f"verdict.slices: column {name!r} must have at most {MOST_GROUPS} categories, got "
                    f"{len(group.names)}; group its values in the data, or leave it out"
                ]
            )
    return found


def _groups(data: Dataset, name: str) -> Grouping:
    onehot = [k for k, column in enumerate(data.columns) if column.startswith(f"{name}=")]
    if name in data.categories:
        return Grouping(data.categories[name], data.x[:, data.columns.index(name)].astype(np.int64))
    if name in data.columns:
        return _of_numbers(data.x[:, data.columns.index(name)])
    if onehot:
        names = tuple(data.columns[k].partition("=")[2] for k in onehot)
        return Grouping(names, data.x[:, onehot].argmax(axis=1))
    known = list(dict.fromkeys(column.partition("=")[0] for column in data.columns))
    raise ExperimentError(
        [f"verdict.slices: the data have no column {name!r}{nearest(name, known)}; known are {', '.join(known)}"]
    )


def _of_numbers(x: NDArray[np.float64]) -> Grouping:
    values = np.unique(x)
    if len(values) <= MOST_VALUES:
        return Grouping(tuple(f"{value:g}" for value in values), np.searchsorted(values, x))
    low, high = np.quantile(x, [1 / 3, 2 / 3])
    names = (f"up to {low:g}", f"{low:g} to {high:g}", f"above {high:g}")
    return Grouping(names, (x > low).astype(np.int64) + (x > high))
