"""From what a user brings (models and records, files, arrays) to the table that is judged."""

import hashlib
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aftertrace._given import Form, Versions
from aftertrace._hashing import digest
from aftertrace._spelling import some
from aftertrace._titles import shown, version_titles
from aftertrace.errors import InputError
from aftertrace.interchange import read_sacro
from aftertrace.models import SCORES, Model, Subjects, ask, log_values, open_model, read_subjects
from aftertrace.models._files import first_line
from aftertrace.models._likely_persons import is_feature, likely_person, taken_by
from aftertrace.models._own_features import own_features
from aftertrace.models._persons import person_names
from aftertrace.posteriors import (
    Features,
    Posteriors,
    filled_features,
    membership,
    pseudonyms,
    read_features,
    read_versions,
    role_numbers,
)
from aftertrace.posteriors._columns import LABEL, PERSON
from aftertrace.scenarios import Brought
from aftertrace.scenarios._recipe import Recipe, recipe_of

_ARRAYS = "Arrays of posteriors need `label` [Q] and `role` [Q], a word per query."
Progress = Callable[[str, int, int], None]
Opened = list[dict[str, str]]
"""Of each version: a name without its folder, and the fingerprint of what was opened."""


def brought_of(
    versions: Versions,
    *,
    key: bytes,
    check_classes: Callable[[Sequence[str]], None] = lambda names: None,
    progress: Progress,
) -> tuple[Brought, Opened]:
    """What is to be judged, and what was opened for it. Raises `InputError` for what does not go together.

    `check_classes` is called with the names of the classes as soon as they are known: of models that say them, before
    they are asked anything, which may cost money.
    """
    if versions.form is Form.MODELS:
        brought, opened = _of_models(versions, key, check_classes, progress)
    else:
        brought, opened = _answered(versions, key)
    check_classes(brought.table.classes)
    _check_different(brought.table, opened)
    return brought, opened


def _check_different(table: Posteriors, opened: Opened) -> None:
    """Raises `InputError` for a version given twice: alike by print, which closures may share, and in all answers."""
    for first, last in itertools.combinations(range(len(opened)), 2):
        same_print = opened[first]["fingerprint"] == opened[last]["fingerprint"]
        if same_print and np.array_equal(table.log_values[:, first], table.log_values[:, last]):
            raise InputError(
                f"All versions must differ, and {opened[first]['name']} and {opened[last]['name']} are the same: give "
                f"the models before and after the deletions. If training again gave the very same one, nothing has "
                f"changed and there is nothing to audit."
            )


def _answered(versions: Versions, key: bytes) -> tuple[Brought, Opened]:
    """Of what models have answered already."""
    references = versions.references
    match versions.form:
        case Form.TABLES:
            return _of_table(versions, key), []
        case Form.FOLDERS:
            return _of_folders(versions, key), [
                {"name": shown(folder), "fingerprint": _folder_print(Path(folder))} for folder in references
            ]
        case Form.ARRAYS:
            return _of_arrays(versions, key), [
                {"name": f"array {number}", "fingerprint": digest(np.asarray(values))}
                for number, values in enumerate(references)
            ]
    return _of_files(versions, key), [
        {"name": shown(path), "fingerprint": _file_print(Path(path))} for path in references
    ]


def _file_print(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _folder_print(folder: Path) -> str:
    return digest([[path.name, _file_print(path)] for path in sorted(folder.iterdir()) if path.is_file()])


def _of_arrays(versions: Versions, key: bytes) -> Brought:
    role = versions.role
    if role is None or isinstance(role, Path | str):
        raise InputError(_ARRAYS)
    raw = [_numbers(values) for values in versions.references]
    if any(values.ndim != 2 or values.shape != raw[0].shape for values in raw):
        shapes = " and ".join(str(values.shape) for values in raw)
        raise InputError(f"All versions' posteriors must be [Q, K] for the same queries; got {shapes}.")
    found = log_values(raw, versions.outputs, names=version_titles(versions.references, "array"))
    rows, n_classes = len(raw[0]), found.values.shape[2]
    if versions.label is None and n_classes > 1:
        raise InputError(_ARRAYS)
    label = np.zeros(rows, dtype=np.int64) if versions.label is None else np.asarray(versions.label)
    table = Posteriors(
        log_values=found.values,
        member=membership(role_numbers(role), len(raw)),
        label=label.astype(np.int64) if np.issubdtype(label.dtype, np.integer) else label,
        classes=versions.classes or tuple(str(k) for k in range(n_classes)),
        record=pseudonyms(map(str, range(rows)), key),
        pair=np.zeros(rows, dtype=np.int64),
        original=np.zeros(rows, dtype=np.int64),
        use=np.zeros(rows, dtype=np.int8),
        kind=found.kind,
    )
    person, features = _persons(versions.person, rows, key), _nameless_features(versions, rows)
    return Brought(table=table, person=person, features=features, notes=_noted(found.note))


def _numbers(values: Any) -> NDArray[np.float64]:
    try:
        found = np.asarray(values)
        if found.dtype.kind in "cmM":
            raise TypeError(f"they are {found.dtype}")
        return found.astype(np.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"Posteriors must be numbers [Q, K], an array for each version ({first_line(error)})."
        ) from error


def _persons(given: Any, rows: int, key: bytes) -> NDArray[np.int64] | None:
    """A pseudonym of whose record each of Q queries is. [Q]"""
    if given is None:
        return None
    names = person_names(given)
    if len(names) != rows:
        raise InputError(f"`person` must say whose record each of {rows} queries is [Q]; got {len(names)}.")
    return pseudonyms(names, key)


def _nameless_features(versions: Versions, rows: int) -> Features | None:
    """Features of queries whose records have no names."""
    if isinstance(versions.features, Path | str):
        raise InputError(
            f"Records have no names in {versions.form}: `features` must be an array [Q, F], and is a file."
        )
    return None if versions.features is None else filled_features(versions.features, rows=rows)


def _of_table(versions: Versions, key: bytes) -> Brought:
    table = versions.references[0]
    person, features = _persons(versions.person, len(table), key), _nameless_features(versions, len(table))
    return Brought(table=table, person=person, features=features)


def _of_folders(versions: Versions, key: bytes) -> Brought:
    if len(versions.references) > 2:
        raise InputError(f"Target folders must be two, before and after; got {len(versions.references)}.")
    table = read_sacro(*versions.references, key=key)
    return Brought(table=table, features=_features(versions.features, table.record, key))


def _of_files(versions: Versions, key: bytes) -> Brought:
    role = versions.role
    if not (role is None or isinstance(role, Path | str)):
        raise InputError(
            f"`role` of files of posteriors must be a file of record and role, or a column in them; got "
            f"{type(role).__name__}."
        )
    columns = {"label": versions.label_column, "person": versions.person_column}
    read = read_versions(versions.references, role=role, key=key, **columns)
    raw = list(np.moveaxis(read.values, 1, 0))
    found = log_values(raw, versions.outputs, names=version_titles(versions.references, "file"))
    table = Posteriors(
        log_values=found.values,
        member=read.member,
        label=read.label,
        classes=_names(read.classes, found.values.shape[2], versions.classes),
        record=read.record,
        pair=read.pair,
        original=read.original,
        use=np.zeros(len(read.label), dtype=np.int8),
        kind=found.kind,
    )
    features = _features(versions.features, table.record, key)
    return Brought(table=table, person=read.person, features=features, notes=_noted(found.note))


def _names(own: tuple[str, ...], n: int, given: tuple[str, ...] | None) -> tuple[str, ...]:
    """Names of classes; a single column of probabilities is of the second of two."""
    if len(own) != n:
        return given or tuple(str(k) for k in range(n))
    if given is not None and set(given) != set(own):
        raise InputError(f"The files name their classes themselves, {some(own)}; leave out {some(given)} (`classes`).")
    return own


def _of_models(
    versions: Versions, key: bytes, check_classes: Callable[[Sequence[str]], None], progress: Progress
) -> tuple[Brought, Opened]:
    """All that may be wrong with what was brought is found before the first question."""
    subjects = _subjects(versions, key)
    features, unseen = _features(versions.features, subjects.record, key), ""
    if features is None:
        features, unseen = own_features(subjects.records)
    models = [
        open_model(reference, trust_pickle=versions.trust_pickle, classes=versions.classes)
        for reference in versions.references
    ]
    known = next((model.classes for model in models if model.classes is not None), versions.classes)
    if known is not None:
        check_classes(known)
    answered = ask(
        models,
        subjects,
        outputs=versions.outputs,
        classes=versions.classes,
        names=version_titles(versions.references, "model"),
        unsuited=_person_advice(versions, subjects, likely_person(subjects.records, subjects.role, named=True))
        or _copy_advice(versions, subjects, models),
        progress=progress,
    )
    likely = likely_person(subjects.records, subjects.role, taken=taken_by(models[0], subjects.records))
    opened = [
        {"name": shown(reference), "fingerprint": model.fingerprint}
        for reference, model in zip(versions.references, models, strict=True)
    ]
    brought = Brought(
        table=answered.posteriors,
        person=subjects.person,
        features=features,
        recipe=_with_columns(recipe_of(models[0], subjects.records, later=models[1:]), versions),
        advice=_noted(_person_advice(versions, subjects, likely)),
    )
    return replace(brought, notes=(*subjects.notes, *answered.notes, *_noted(unseen))), opened


def _person_advice(versions: Versions, subjects: Subjects, column: str | None) -> str:
    """What is said of a `column` that looks as if it said whose records they are, unless that is said."""
    if column is None or subjects.person is not None:
        return ""
    said = f"`person_column={column!r}`" if _are_files(versions) else "`person`, whom each record is about"
    return f"Column {column!r} looks as if it said whose record each is: give {said}, so that persons are judged."


def _copy_advice(versions: Versions, subjects: Subjects, models: Sequence[Model]) -> str:
    """What is said where models do not take the records, as the column of persons is one of their features too."""
    column = versions.person_column
    if subjects.person is None or not _are_files(versions):
        return ""
    if not any(is_feature(model, column, subjects.records) for model in models):
        return ""
    return (
        f"Column {column!r} says whose record each is, and is then no feature: copy it under another name, and give "
        f"that as `person_column`."
    )


def _subjects(versions: Versions, key: bytes) -> Subjects:
    given = {name: getattr(versions, name) for name in ("deleted", "unseen", "retained", "records")}
    given = {name: value for name, value in given.items() if value is not None}
    if "records" in given and len(given) > 1:
        raise InputError(f"Give `records`, one file with a column 'role', or the others; got {', '.join(given)}.")
    if "records" not in given and not {"deleted", "unseen"} <= given.keys():
        raise InputError(
            "Models are asked about records: give `deleted` and `unseen` (pairs of records and classes, or files), or "
            "`records`, one file with a column 'role'."
        )
    if all(isinstance(value, Path | str) for value in given.values()):
        return _subjects_of_files({name: Path(value) for name, value in given.items()}, versions, key)
    for name, value in given.items():
        if name == "records" or not (isinstance(value, tuple | list) and len(value) == 2):
            must = "a file" if name == "records" else "a pair (x, y) of records and their classes, or all must be files"
            raise InputError(f"`{name}` must be {must}; got {type(value).__name__}.")
    if (versions.label_column, versions.person_column) != (LABEL, PERSON):
        raise InputError("`label_column` and `person_column` are of files; pairs (x, y) bring classes, and `person`.")
    return Subjects.of(**{name: tuple(value) for name, value in given.items()}, persons=versions.person, key=key)


def _with_columns(recipe: Recipe, versions: Versions) -> Recipe:
    """With the columns of classes and persons, where files of records have them."""
    if not _are_files(versions):
        return recipe
    return replace(recipe, target=versions.label_column, person=versions.person_column)


def _are_files(versions: Versions) -> bool:
    """Whether records are brought in files."""
    return any(isinstance(given, Path | str) for given in (versions.records, versions.deleted))


def _subjects_of_files(files: Mapping[str, Path], versions: Versions, key: bytes) -> Subjects:
    if versions.person is not None:
        raise InputError(
            "`person` must be left out: files of records bring persons themselves, in a column (`person_column`)."
        )
    columns = {"label": versions.label_column, "person": versions.person_column}
    return read_subjects(files, labelled=versions.outputs not in SCORES, key=key, **columns)


def _features(given: Path | str | ArrayLike | None, record: NDArray[np.int64], key: bytes) -> Features | None:
    if given is None:
        return None
    if isinstance(given, Path | str):
        return read_features(given, record, key=key)
    return filled_features(given, rows=len(record))


def _noted(note: str) -> tuple[str, ...]:
    return (note,) if note else ()
