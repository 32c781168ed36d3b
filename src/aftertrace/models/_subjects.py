"""Whom an audit asks about."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from aftertrace.errors import DataError
from aftertrace.models._classes import class_names
from aftertrace.models._parts import Part, is_said, joined_left, joined_records
from aftertrace.models._persons import person_names
from aftertrace.models._records import Records, records_of
from aftertrace.posteriors import ROLES, Role, pseudonyms

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False, kw_only=True)
class Subjects:
    """Q records with what is known of them; `read_subjects` and `Subjects.of` make and check them.

    `label` [Q]: the name of each record's class, a text (empty texts where records have no classes); `role` [Q]: a
    `Role`; `record` [Q]: a pseudonym for each record (`pseudonyms`); `person` [Q]: one for the person it is about, or
    None; `left` [Q]: the first version without the record, -1 for "the last one"; `notes`: what a reader must know.
    """

    records: Records
    label: NDArray[np.object_]
    role: NDArray[np.int8]
    record: Ints
    person: Ints | None = None
    left: Ints | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.role)

    @classmethod
    def of(
        cls,
        *,
        deleted: tuple[Any, Any],
        unseen: tuple[Any, Any],
        retained: tuple[Any, Any] | None = None,
        persons: Mapping[str, Sequence[Any]] | None = None,
        key: bytes = b"",
    ) -> Self:
        """From pairs (x, y): records and their classes.

        `x`: an array [n, ...], or a table with named columns (pandas, polars, pyarrow); `y` [n]: classes, as the
        models name them. `persons`: for "deleted", "unseen" and "retained" whom each record is about. Records are
        called by their place, "deleted 0" for the first, and become `pseudonyms` of that by `key`.

        Raises `DataError` or `InputError` where records, classes and persons do not fit each other.
        """
        given = {"deleted": deleted, "unseen": unseen, **({} if retained is None else {"retained": retained})}
        if persons is not None and not isinstance(persons, Mapping):
            raise DataError(
                f"`person` must say by role whom each record is about, such as {{'deleted': [...], 'unseen': [...]}}; "
                f"got {type(persons).__name__}."
            )
        if persons is not None and persons.keys() != given.keys():
            raise DataError(
                f"`person` must say persons for each of {', '.join(given)}; got {', '.join(persons) or 'none'}."
            )
        parts = [_part(word, x, y, None if persons is None else persons[word]) for word, (x, y) in given.items()]
        return cls.joined(parts, key=key)

    @classmethod
    def joined(cls, parts: Sequence[Part], *, key: bytes) -> Self:
        """From parts that have not been checked against each other."""
        records = joined_records(parts)
        role = np.concatenate([part.role for part in parts])
        label = np.concatenate([part.labels() for part in parts])
        are_named = is_said(parts, "record")
        names = [name for part in parts for name in part.names()]
        persons = [name for part in parts for name in part.person or ()] if is_said(parts, "person") else None
        if not (role == Role.DELETED).any() or not (role == Role.UNSEEN).any():
            raise DataError("There must be deleted records and unseen ones; give both.")
        _check_once(names, role)
        if persons is not None:
            _check_persons(persons, role)
        content, left = records.contents(), joined_left(parts)
        known = [column for column in (label, role, persons, left) if column is not None]
        again = () if are_named else _again(zip(content.tolist(), *known, strict=True))
        return cls(
            records=records,
            label=label,
            role=role,
            record=pseudonyms(names, key),
            person=None if persons is None else pseudonyms(persons, key),
            left=left,
            notes=(*_notes(content, role), *again),
        )


def _part(word: str, x: Any, y: Any, persons: Sequence[Any] | None) -> Part:
    records, label = records_of(x), np.asarray(y)
    if label.ndim != 1:
        raise DataError(f"`{word}` must be records and a class for each [n]; got classes of shape {label.shape}.")
    return Part(
        source=f"`{word}`",
        records=records,
        label=np.array(class_names(label), dtype=object),
        role=np.full(len(records), ROLES[word], dtype=np.int8),
        person=None if persons is None else person_names(persons),
    )


def _check_once(names: Sequence[str], role: NDArray[np.int8]) -> None:
    for name, first, other in _torn(names, role):
        raise DataError(f"Every record must have one role; record {name!r} is {first} and {other}. Remove one of both.")
    twice, times = Counter(names).most_common(1)[0]
    if times > 1:
        raise DataError(f"Every record must stand once; record {twice!r} stands {times} times.")


def _check_persons(persons: Sequence[str], role: NDArray[np.int8]) -> None:
    for name, first, other in _torn(persons, role):
        raise DataError(
            f"All records of a person must have one role; person {name!r} has {first} and {other} ones. Leave this "
            f"person out, or correct the roles."
        )


def _torn(names: Sequence[str], role: NDArray[np.int8]) -> Iterator[tuple[str, str, str]]:
    """Each name that stands for two roles, and these."""
    known: dict[str, np.int8] = {}
    for name, own in zip(names, role, strict=True):
        other = known.setdefault(name, own)
        if other != own:
            yield name, Role(int(other)).name.lower(), Role(int(own)).name.lower()


def _notes(content: NDArray[np.object_], role: NDArray[np.int8]) -> tuple[str, ...]:
    same, deleted = _alike(content, role), int((role == Role.DELETED).sum())
    if not same:
        return ()
    if 2 * same > deleted:
        raise DataError(
            f"{same} of {deleted} deleted records stand among the unseen ones too, with the same values: a record is "
            f"deleted or unseen. Leave them out of one of both; was one file given twice?"
        )
    return (
        f"{same} deleted record{'s have' if same > 1 else ' has'} the same content as an unseen one: no attack can "
        f"tell these apart.",
    )


def _alike(content: NDArray[np.object_], role: NDArray[np.int8]) -> int:
    """Deleted records whose content an unseen one has too."""
    unseen = set(content[role == Role.UNSEEN].tolist())
    return sum(each in unseen for each in content[role == Role.DELETED].tolist())


def _again(rows: Iterable[tuple[Any, ...]]) -> tuple[str, ...]:
    """A note on rows that repeat another one in all that is said, as far as nothing says that they are others'."""
    counts = Counter(rows)
    repeated = counts.total() - len(counts)
    if not repeated:
        return ()
    return (
        f"{repeated} of {counts.total()} records repeat{'s' if repeated == 1 else ''} another one in all columns. "
        f"Equal people are no mistake; rows that stand twice count twice, and intervals are then too narrow: leave "
        f"them out. Names of records, in a column 'record', say that all are different ones.",
    )
