"""Persons instead of records as the unit of deletion and of report."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from aftertrace._numbering import by_appearance
from aftertrace.errors import PosteriorsError
from aftertrace.posteriors import Posteriors, Role

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Persons:
    """Which person each query is of, pair by pair: `group` [Q] in 0..G-1, of G persons in pairs.

    A person's score is the mean of that of his or her records; a person's posterior is the mean of theirs, at the class
    that most of them have. So `table`, the G queries, is judged like any other.
    """

    table: Posteriors
    group: Ints

    @classmethod
    def of(cls, table: Posteriors, person: Ints) -> "Persons":
        """`person` [Q]: a number each. Raises `PosteriorsError` for a person whose records have different roles."""
        if person.shape != table.label.shape:
            raise PosteriorsError(f"`person` must hold one number per query [{len(table)}], got {person.shape}.")
        _, pair = np.unique(table.pair, return_inverse=True)
        _, own = np.unique(person, return_inverse=True)
        group, first = by_appearance(pair * (int(own.max(initial=0)) + 1) + own)
        _check_roles(table, first, group)
        mean = replace(
            table.select(first),
            log_values=_mean_values(table, group, len(first)),
            label=_most_common(table.label, group, len(first), len(table.classes)),
            record=person[first],
            probes={},
            class_probes=frozenset(),
        )
        return cls(table=mean, group=group)

    @classmethod
    def at(cls, table: Posteriors, person: Ints | None) -> "Persons | None":
        """`of`, where it is known whose the records are."""
        return None if person is None else cls.of(table, person)

    def mean(self, values: Array) -> Array:
        """The mean over each person's records: [Q, ...] -> [G, ...]."""
        return _means(values, self.group, len(self.table))

    def shared(self, code: Ints) -> Ints:
        """What all records of a person have in common: `code` [Q], at least 0 -> [G], -1 where they differ."""
        low, high = np.full(len(self.table), np.iinfo(np.int64).max), np.full(len(self.table), -1)
        np.minimum.at(low, self.group, code)
        np.maximum.at(high, self.group, code)
        return np.where(low == high, high, -1)


def _check_roles(table: Posteriors, first: NDArray[np.intp], group: Ints) -> None:
    differ = np.flatnonzero((table.role != table.role[first][group]) | (table.use != table.use[first][group]))
    if differ.size:
        roles = sorted({Role(int(role)).name.lower() for role in table.role[group == group[differ[0]]]})
        raise PosteriorsError(
            f"All records of a person must have one role; {len(np.unique(group[differ]))} persons have more, the first "
            f"both {' and '.join(roles)}. Whoever asks to be deleted is deleted whole: give one role to each person."
        )


def _mean_values(table: Posteriors, group: Ints, n: int) -> Array:
    if len(table.classes) == 1:
        return _means(table.log_values.astype(np.float64), group, n)
    with np.errstate(divide="ignore"):
        return np.log(_means(table.values.astype(np.float64), group, n))


def _means(values: Array, group: Ints, n: int) -> Array:
    sums = np.zeros((n, *values.shape[1:]))
    np.add.at(sums, group, values)
    return sums / np.bincount(group, minlength=n).reshape(-1, *[1] * (values.ndim - 1))


def _most_common(label: Ints, group: Ints, n: int, k: int) -> Ints:
    counts = np.zeros((n, k), dtype=np.int64)
    np.add.at(counts, (group, label), 1)
    return counts.argmax(axis=1)
