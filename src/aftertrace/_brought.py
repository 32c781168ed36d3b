"""From what a user brings (models and records, files, arrays) to the table that is judged."""

import hashlib
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aftertrace._hashing import digest
from aftertrace.errors import InputError
from aftertrace.interchange import read_sacro
from aftertrace.models import Outputs, Records, Subjects, ask, log_values, open_model, read_subjects
from aftertrace.models._files import first_line
from aftertrace.posteriors import (
    Features,
    Posteriors,
    Role,
    encoded_columns,
    filled_features,
    membership,
    pseudonyms,
    read_features,
    read_versions,
)
from aftertrace.posteriors._files import some
from aftertrace.posteriors._readable import TABLES, is_folder
from aftertrace.scenarios import Brought

MOST_FEATURES = 200
"""Columns of records beyond which the blind control sees the class alone: it would take long, and find little."""
SCORES = (Outputs.LOSS, Outputs.LOG_LIKELIHOOD)
"""Outputs that need no classes."""
_ROLES = {role.name.lower(): role for role in (Role.DELETED, Role.UNSEEN, Role.RETAINED, Role.ADDED)}
Progress = Callable[[str, int, int], None]
Opened = list[dict[str, str]]
"""Of each version: a name without its folder, and the fingerprint of what was opened."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Versions:
    """The arguments of `audit` that say what is to be judged, under its names; `references` in the versions' order."""

    references: tuple[Any, ...]
    deleted: Any
    unseen: Any
    retained: Any
    records: Path | str | None
    label: ArrayLike | None
    role: Path | str | Sequence[str] | None
    person: Any
    classes: tuple[str, ...] | None
    outputs: str
    trust_pickle: bool
    features: Path | str | ArrayLike | None
    label_column: str


def brought_of(versions: Versions, *, key: bytes, progress: Progress) -> tuple[Brought, Opened]:
    """What is to be judged, and what was opened for it. Raises `InputError` for what does not go together."""
    kinds = {_kind(reference) for reference in versions.references}
    if len(kinds) > 1:
        raise InputError(
            f"All versions must be of one kind: models, files of posteriors or arrays; got "
            f"{' and '.join(sorted(kinds))}."
        )
    outputs = _outputs(versions.outputs)
    kind = kinds.pop()
    if (len(versions.references) == 1) is not (kind == "tables"):
        raise InputError(
            f"There must be at least two versions, before and after, or one table of posteriors that holds them; got "
            f"{len(versions.references)} {kind}."
        )
    brought, opened = _opened(kind, versions, outputs, key, progress)
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


def _opened(kind: str, versions: Versions, outputs: Outputs, key: bytes, progress: Progress) -> tuple[Brought, Opened]:
    match kind:
        case "tables":
            return _of_table(versions, key), []
        case "target folders":
            return _of_folders(versions, key), [
                {"name": Path(folder).name, "fingerprint": _folder_print(Path(folder))}
                for folder in versions.references
            ]
        case "arrays":
            return _of_arrays(versions, outputs, key), [
                {"name": f"array {number}", "fingerprint": digest(np.asarray(values))}
                for number, values in enumerate(versions.references)
            ]
        case "files of posteriors":
            return _of_files(versions, outputs, key), [
                {"name": Path(path).name, "fingerprint": _file_print(Path(path))} for path in versions.references
            ]
    return _of_models(versions, outputs, key, progress)


def _file_print(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _folder_print(folder: Path) -> str:
    return digest([[path.name, _file_print(path)] for path in sorted(folder.iterdir()) if path.is_file()])


def _kind(reference: Any) -> str:
    if isinstance(reference, list | tuple) or hasattr(reference, "__array__"):  # tensors and data frames have it too
        return "arrays"
    if isinstance(reference, Posteriors):
        return "tables"
    if isinstance(reference, Path | str):
        path = Path(reference)
        if path.name.endswith(TABLES):
            return "files of posteriors"
        if is_folder(path) and any((path / name).is_file() for name in ("target.yaml", "target.json")):
            return "target folders"
    return "models"


def _outputs(word: str) -> Outputs:
    known = [each.value for each in Outputs]
    if word not in known:
        raise InputError(f"`outputs` must be one of {', '.join(known)}, got {word!r}.")
    return Outputs(word)


def _of_arrays(versions: Versions, outputs: Outputs, key: bytes) -> Brought:
    role = versions.role
    if role is None or isinstance(role, Path | str):
        raise InputError("Arrays of posteriors need `label` [Q] and `role` [Q], a word per query.")
    _without_records(versions)
    raw = [_numbers(values) for values in versions.references]
    if any(values.ndim != 2 or values.shape != raw[0].shape for values in raw):
        shapes = " and ".join(str(values.shape) for values in raw)
        raise InputError(f"All versions' posteriors must be [Q, K] for the same queries; got {shapes}.")
    found = log_values(raw, outputs)
    rows, n_classes = len(raw[0]), found.values.shape[2]
    if versions.label is None and n_classes > 1:
        raise InputError("Arrays of posteriors need `label` [Q] and `role` [Q], a word per query.")
    label = np.zeros(rows, dtype=np.int64) if versions.label is None else np.asarray(versions.label)
    table = Posteriors(
        log_values=found.values,
        member=membership(_role_numbers(role), len(raw)),
        label=label.astype(np.int64) if np.issubdtype(label.dtype, np.integer) else label,
        classes=versions.classes or tuple(str(k) for k in range(n_classes)),
        record=pseudonyms(map(str, range(rows)), key),
        pair=np.zeros(rows, dtype=np.int64),
        original=np.zeros(rows, dtype=np.int64),
        use=np.zeros(rows, dtype=np.int8),
        kind=found.kind,
    )
    person = _persons(versions.person, key)
    features = versions.features
    if isinstance(features, Path | str):
        raise InputError("Arrays of posteriors do not name records: `features` must be an array [Q, F], got a file.")
    return Brought(
        table=table,
        person=person,
        features=None if features is None else filled_features(features, rows=rows),
        notes=_noted(found.note),
    )


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


def _persons(given: Any, key: bytes) -> NDArray[np.int64] | None:
    """A pseudonym for each person. [Q]"""
    return None if given is None else pseudonyms(np.asarray(given).astype(str).tolist(), key)


def _of_table(versions: Versions, key: bytes) -> Brought:
    _without(versions, ("label", "role", "classes"), "a table of posteriors has its own")
    _without_records(versions)
    table, features = versions.references[0], versions.features
    if isinstance(features, Path | str):
        raise InputError("A table of posteriors names no records: `features` must be an array [Q, F], got a file.")
    person = _persons(versions.person, key)
    return Brought(
        table=table, person=person, features=None if features is None else filled_features(features, rows=len(table))
    )


def _of_folders(versions: Versions, key: bytes) -> Brought:
    _without(versions, ("label", "role", "person"), "target folders bring their own labels and roles, and no persons")
    _without_records(versions)
    if len(versions.references) > 2:
        raise InputError(f"Target folders must be two, before and after; got {len(versions.references)}.")
    table = read_sacro(*versions.references, key=key)
    return Brought(table=table, features=_features(versions.features, table, key))


def _role_numbers(role: Sequence[str]) -> NDArray[np.int8]:
    words, code = np.unique(np.asarray(role, dtype=str), return_inverse=True)
    strange = sorted(set(words.tolist()) - _ROLES.keys())
    if strange:
        raise InputError(f"A role must be one of {', '.join(_ROLES)}; got {strange[0]!r}.")
    return np.array([_ROLES[word] for word in words.tolist()], dtype=np.int8)[code]


def _of_files(versions: Versions, outputs: Outputs, key: bytes) -> Brought:
    role = versions.role
    if versions.label is not None or versions.person is not None or not (role is None or isinstance(role, Path | str)):
        raise InputError("Files of posteriors bring labels and persons themselves; `role` may be a further file.")
    _without_records(versions)
    read = read_versions(versions.references, role=role, key=key)
    found = log_values(list(np.moveaxis(read.values, 1, 0)), outputs)
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
    features = _features(versions.features, table, key)
    return Brought(table=table, person=read.person, features=features, notes=_noted(found.note))


def _names(own: tuple[str, ...], n: int, given: tuple[str, ...] | None) -> tuple[str, ...]:
    """Names of classes; a single column of probabilities is of the second of two."""
    if len(own) != n:
        return given or tuple(str(k) for k in range(n))
    if given is not None and set(given) != set(own):
        raise InputError(f"The files name their classes themselves, {some(own)}; leave out {some(given)} (--classes).")
    return own


def _without(versions: Versions, names: Sequence[str], why: str) -> None:
    for name in names:
        if getattr(versions, name) is not None:
            raise InputError(f"`{name}` must be left out: {why}.")


def _without_records(versions: Versions) -> None:
    for name in ("deleted", "unseen", "retained", "records"):
        if getattr(versions, name) is not None:
            raise InputError(
                f"`{name}` is for models, which are asked about records; posteriors have been asked: say the `role` "
                "of each."
            )


def _of_models(versions: Versions, outputs: Outputs, key: bytes, progress: Progress) -> tuple[Brought, Opened]:
    for name in ("role", "label"):
        if getattr(versions, name) is not None:
            raise InputError(f"`{name}` is for posteriors; models need records: `deleted` and `unseen`.")
    subjects = _subjects(versions, key, labelled=outputs not in SCORES)
    models = [
        open_model(reference, trust_pickle=versions.trust_pickle, classes=versions.classes)
        for reference in versions.references
    ]
    answered = ask(models, subjects, outputs=outputs, classes=versions.classes, progress=progress)
    features, unseen = _features(versions.features, answered.posteriors, key), ""
    if features is None:
        features, unseen = _own_features(subjects.records)
    opened = [
        {"name": _shown(reference), "fingerprint": model.fingerprint}
        for reference, model in zip(versions.references, models, strict=True)
    ]
    brought = Brought(table=answered.posteriors, person=subjects.person, features=features)
    return replace(brought, notes=(*subjects.notes, *answered.notes, *_noted(unseen))), opened


def _subjects(versions: Versions, key: bytes, *, labelled: bool) -> Subjects:
    read = partial(read_subjects, label=versions.label_column, labelled=labelled, key=key)
    given = {name: getattr(versions, name) for name in ("deleted", "unseen", "retained")}
    given = {name: value for name, value in given.items() if value is not None}
    if versions.records is not None:
        if given:
            raise InputError(f"Give one file of `records` with a column role, or {', '.join(given)}; got both.")
        _without(versions, ("person",), "files of records bring persons themselves, in a column")
        return read({"records": Path(versions.records)})
    if "deleted" not in given or "unseen" not in given:
        raise InputError(
            "Models are asked about records: give `deleted` and `unseen` ones (pairs of records and classes, or "
            "files), or one file of `records` with a column role."
        )
    if all(isinstance(value, Path | str) for value in given.values()):
        _without(versions, ("person",), "files of records bring persons themselves, in a column")
        return read({name: Path(path) for name, path in given.items()})
    for name, value in given.items():
        if not (isinstance(value, tuple | list) and len(value) == 2):
            raise InputError(f"`{name}` must be a pair (x, y) of records and their classes, or all must be files.")
    return Subjects.of(**{name: tuple(value) for name, value in given.items()}, persons=versions.person, key=key)


def _features(given: Path | str | ArrayLike | None, table: Posteriors, key: bytes) -> Features | None:
    if given is None:
        return None
    if isinstance(given, Path | str):
        return read_features(given, table.record, key=key)
    return filled_features(given, rows=len(table))


def _own_features(records: Records) -> tuple[Features | None, str]:
    """What the records themselves say to the blind control, and a note on what it does not see of them."""
    columns = records.columns or {}
    if records.array is not None and records.array.ndim == 2:
        columns = {f"column {k}": column for k, column in enumerate(records.array.T)}
    if 0 < len(columns) <= MOST_FEATURES:
        encoded, left_out = encoded_columns(columns)
        if 0 < len(encoded.names) <= MOST_FEATURES:
            return encoded, _unseen_columns(left_out)
    return None, (
        f"The control blind sees the records' classes alone: it takes 1 to {MOST_FEATURES} columns of numbers and "
        f"categories. Describe the records in fewer (--features)."
    )


def _unseen_columns(names: Sequence[str]) -> str:
    if not names:
        return ""
    return (
        f"The control blind does not see {', '.join(names)}. If one of them says whose record each is, call it person: "
        f"records of one person are not independent, and intervals and controls would be too sure."
    )


def _shown(reference: Any) -> str:
    """A model's name for a manifest: nothing of the folders of this machine."""
    if isinstance(reference, Path | str):
        if "://" in str(reference):  # without credentials or a query, which may hold one
            address = urlsplit(str(reference))
            return f"{address.hostname}{address.path}"
        return Path(reference).name
    return type(reference).__name__


def _noted(note: str) -> tuple[str, ...]:
    return (note,) if note else ()
