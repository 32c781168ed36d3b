"""Posterior files brought from outside: one file per version of the model, matched by record."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aftertrace._absence import is_nobody
from aftertrace._spelling import some
from aftertrace.errors import PosteriorsError
from aftertrace.posteriors._columns import LABEL, PERSON
from aftertrace.posteriors._files import (
    Answers,
    Ints,
    Words,
    answer_columns,
    file_columns,
    pseudonyms,
    read_answers,
    read_numbers,
)
from aftertrace.posteriors._posteriors import Posteriors
from aftertrace.posteriors._roles import Role, membership, role_numbers


def read_pair(before: Path | str, after: Path | str, *, role: Path | str | None = None, key: bytes = b"") -> Posteriors:
    """Posteriors of the same records by two versions of a model, from two files.

    CSV, Parquet and NPZ files hold `record`, `label` and one column per class, named by the class; NPZ files
    hold arrays `record`, `label`, `values` [Q, K] and, unless the classes are called 0 to K-1, `classes`.
    Optional columns: `role` (deleted, unseen, retained, added; in either file, or in a third one of `record`
    and `role`), and `original` and `pair` where several pairs of models are audited together. Rows are
    matched by record (and pair), classes by name, in any order. `record` becomes `pseudonyms(record, key)`
    at once: no table made here holds a real one.

    Raises `PosteriorsError` naming the file, what is wrong and how to go on.
    """
    found = _versions([read_answers(Path(path)) for path in (before, after)], role, key)
    with np.errstate(divide="ignore"):
        log_values = np.log(found.values)
    return Posteriors(
        log_values=log_values,
        member=found.member,
        label=found.label,
        classes=found.classes,
        record=found.record,
        pair=found.pair,
        original=found.original,
        use=np.zeros(len(found.label), dtype=np.int8),
    )


@dataclass(frozen=True, eq=False)
class VersionAnswers:
    """What V versions answered, as their files say, before it is known what the numbers are.

    `values` [Q, V, K]: no NaN; `label` [Q] in 0..K-1 (0 where there is one column only), `member` [Q, V], `record`,
    `original`, `pair` [Q], and `person` [Q] (pseudonyms) or None.
    """

    values: NDArray[np.float64]
    label: Ints
    member: NDArray[np.bool_]
    classes: tuple[str, ...]
    record: Ints
    original: Ints
    pair: Ints
    person: Ints | None


def read_versions(
    paths: Sequence[Path | str],
    *,
    role: Path | str | None = None,
    label: str = LABEL,
    person: str = PERSON,
    key: bytes = b"",
) -> VersionAnswers:
    """What V versions of a model answered at the same records, from a file each, the original's first.

    Files as in `read_pair`, but of any numbers: logits, or a single column of scores, which needs no `label`. Further
    optional columns: `person`, whose record it is, and with more than two versions `left`, the first version (from 1)
    that a deleted record is not part of any more; by default the last. `label` and `person`: what the columns of
    classes and of persons are called. Raises `PosteriorsError`, and `InputError` for names that are none.
    """
    meanings = answer_columns(label=label, person=person)
    versions = read_numbers([Path(path) for path in paths], meanings)
    return _versions(versions, role, key)


def _versions(versions: Sequence[Answers], role: Path | str | None, key: bytes) -> VersionAnswers:
    first, *others = versions
    labels = first.label.numbers(first.classes) if len(first.classes) > 1 else np.zeros_like(first.record.code)
    values, orders = [first.values], [np.arange(len(first.values))]
    for other in others:
        _match_classes(first, other)
        orders.append(_match_rows(first, other))
        if len(first.classes) > 1:
            _match_labels(first, other, orders[-1])
        place = {name: k for k, name in enumerate(other.classes)}
        columns = [place[name] for name in first.classes]
        values.append(other.values[:, columns][orders[-1]])
    return VersionAnswers(
        values=np.stack(values, axis=1),
        label=labels,
        member=membership(_roles(versions, orders, role), len(versions), _left(first, len(versions))),
        classes=first.classes,
        record=pseudonyms(first.record.words, key)[first.record.code],
        original=first.unit("original").places(),
        pair=first.unit("pair").places(),
        person=_persons(versions, orders, key),
    )


def _persons(versions: Sequence[Answers], orders: Sequence[Ints], key: bytes) -> Ints | None:
    """A pseudonym of whose record each row of the first version is [Q], from whichever files say it."""
    said = [
        (version.path, pseudonyms(column.words, key)[column.code][order])
        for version, order in zip(versions, orders, strict=True)
        if (column := version.extra.get(PERSON)) is not None
    ]
    for version in versions:
        if (column := version.extra.get(PERSON)) is not None:
            _check_everybody(version, column)
    for path, other in said[1:]:
        if (other != said[0][1]).any():
            row = int(np.flatnonzero(other != said[0][1])[0])
            raise PosteriorsError(
                f"Persons must agree between the files; record {versions[0].record.at(row)!r} is of one in "
                f"{said[0][0].name} and of another in {path.name}."
            )
    return said[0][1] if said else None


def _check_everybody(version: Answers, column: Words) -> None:
    nobody = np.array([is_nobody(word) for word in column.words], dtype=bool)[column.code]
    if nobody.any():
        row = int(np.flatnonzero(nobody)[0])
        raise PosteriorsError(
            f"{version.path}: whose each record is must be said for all, and is not for {nobody.sum()}, "
            f"first at record {version.record.at(row)!r}. Fill it in, or leave these records out."
        )


def _left(version: "Answers", n_versions: int) -> Ints | None:
    column = version.extra.get("left")
    if column is None:
        return None
    known = {str(v): v for v in range(1, n_versions)}
    strange = sorted(set(column.words) - known.keys() - {""})
    if strange:
        raise PosteriorsError(
            f"{version.path}: column 'left' must name the first version without a record, 1 to {n_versions - 1}, or be "
            f"empty; got {some(strange)}."
        )
    return np.array([known.get(word, n_versions - 1) for word in column.words.tolist()])[column.code]


def _match_classes(first: Answers, last: Answers) -> None:
    if set(first.classes) != set(last.classes):
        before = sorted(set(first.classes) - set(last.classes))
        after = sorted(set(last.classes) - set(first.classes))
        raise PosteriorsError(
            f"Both versions must have the same classes; only in {first.path.name}: {some(before) or 'none'}, "
            f"only in {last.path.name}: {some(after) or 'none'}."
        )


def _match_rows(first: Answers, last: Answers) -> Ints:
    """Where each row of `first` stands in `last`."""
    width, pair = len(first.record.words), first.unit("pair")
    own = pair.code * width + first.record.code
    place, other_pair = last.record.numbers(first.record.words), last.unit("pair").numbers(pair.words)
    other = np.where((place < 0) | (other_pair < 0), -1, other_pair * width + place)
    orders = [_ascending(version, key) for version, key in ((first, own), (last, other))]
    if not np.array_equal(own[orders[0]], other[orders[1]]):
        only_before, only_after = (
            _counted(version.record.of_rows(~np.isin(key, others)))
            for version, key, others in ((first, own, other), (last, other, own))
        )
        raise PosteriorsError(
            f"Both files must hold the same records; only in {first.path.name}: {only_before}, "
            f"only in {last.path.name}: {only_after}."
        )
    matched = np.empty_like(own)
    matched[orders[0]] = orders[1]
    return matched


def _ascending(version: Answers, key: Ints) -> Ints:
    """The order of the keys of a version's rows, which must differ; -1 stands for one that the other version lacks."""
    order = np.argsort(key)
    again = np.flatnonzero((np.diff(key[order]) == 0) & (key[order[1:]] >= 0))
    if again.size:
        twice = version.record.at(order[again[0]])
        raise PosteriorsError(f"{version.path}: every record must stand once per pair; {twice!r} stands twice.")
    return order


def _match_labels(first: Answers, other: Answers, order: Ints) -> None:
    label, last = first.label.numbers(first.classes), other.label.numbers(first.classes)[order]
    if (label != last).any():
        row = int(np.flatnonzero(label != last)[0])
        raise PosteriorsError(
            f"Labels must agree between the files; record {first.record.at(row)!r} has "
            f"{first.classes[label[row]]!r} in {first.path.name} and {first.classes[last[row]]!r} in {other.path.name}."
        )


def _roles(versions: Sequence[Answers], orders: Sequence[Ints], path: Path | str | None) -> NDArray[np.int8]:
    """A `Role` per row of the first version."""
    first = versions[0]
    given: dict[str, Ints] = {}
    for version, order in zip(versions, orders, strict=True):
        if "role" in version.extra:
            given[version.path.name] = _role_numbers(version.path, version.extra["role"])[order]
    if path is not None:
        given[str(path)] = _role_file(Path(path), first.record)
    if not given:
        raise PosteriorsError(
            f"{first.path}: the role of each record (deleted, unseen, ...) must be known: add a column 'role' to one "
            f"of the files, or give a file of the columns record and role (`role`)."
        )
    (source, roles), *others = given.items()
    for name, other in others:
        if (roles != other).any():
            row = int(np.flatnonzero(roles != other)[0])
            raise PosteriorsError(
                f"Roles must agree; record {first.record.at(row)!r} is {Role(roles[row]).word!r} in {source} "
                f"and {Role(other[row]).word!r} in {name}."
            )
    return roles.astype(np.int8)


def _role_numbers(path: Path, column: Words) -> Ints:
    try:
        return role_numbers(column.words)[column.code].astype(np.int64)
    except PosteriorsError as error:
        raise PosteriorsError(f"{path}: {error}") from error


def _role_file(path: Path, record: Words) -> Ints:
    """The role of each record, from a file of record and role. [Q]"""
    columns, _ = file_columns(path)
    if not {"record", "role"} <= columns.keys():
        raise PosteriorsError(f"{path}: there must be columns 'record' and 'role'; found {some(list(columns))}.")
    known, role = columns["record"], _role_numbers(path, columns["role"])
    of_word = np.full(known.words.size, -1)
    of_word[known.code] = role
    if (of_word[known.code] != role).any():
        row = int(np.flatnonzero(of_word[known.code] != role)[0])
        raise PosteriorsError(f"{path}: every record must have one role; {known.at(row)!r} has two.")
    place = record.numbers(known.words)
    if (place < 0).any():
        raise PosteriorsError(f"{path}: every record must have a role; missing: {_counted(record.of_rows(place < 0))}.")
    return of_word[place]


def _counted(names: list[str]) -> str:
    return f"{len(names)} ({some(names, 3)})" if names else "none"
