"""Target folders of SACRO-ML."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aftertrace.errors import PosteriorsError
from aftertrace.interchange._sacro_folder import TargetFolder
from aftertrace.posteriors import Posteriors, Role, pseudonyms

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
KEYS = ("indices_{}", "X_{}_orig", "X_{}")
"""What tells records apart, best first: numbers of records; what was recorded of them; what the model was given."""


@dataclass(frozen=True, eq=False)
class _Version:
    """What one folder says of its N records: training set first, then the test set."""

    folder: Path
    values: NDArray[np.float64]  # [N, K]
    label: Ints  # [N]
    classes: tuple[str, ...]
    member: Flags  # [N]
    rows: NDArray[Any]  # [N, F]: what tells records apart

    @classmethod
    def of(cls, target: TargetFolder, pattern: str) -> "_Version":
        """Of the arrays of a folder, `pattern` those that tell records apart."""
        answers, labels, telling = target.sides("proba_{}"), target.sides("y_{}"), target.sides(pattern)
        lengths = [tuple(map(len, pair)) for pair in (answers, labels, telling)]
        if len(set(lengths)) != 1:
            raise PosteriorsError(
                f"{target.folder}: proba, y and {pattern.format('*')} must hold as many records each, in training "
                f"and test set; got {', '.join(f'{train} and {test}' for train, test in lengths)}."
            )
        values = _probabilities(target.folder, np.concatenate(answers))
        is_trained = np.arange(len(values)) < len(answers[0])
        names = _names(target.folder, np.concatenate(labels))
        classes = _classes(target.folder, names[is_trained], values.shape[1])
        rows = np.concatenate(telling).reshape(len(values), -1)
        return cls(target.folder, values, _places(target.folder, names, classes), classes, is_trained, rows)


def read_sacro(before: Path | str, after: Path | str, *, key: bytes = b"") -> Posteriors:
    """Two target folders of SACRO-ML, of the original and of the updated model, as a table of posteriors.

    A folder holds `target.yaml` (of old releases `target.json`), which names the files of `proba_train`,
    `proba_test` [N, K] (columns in the sorted order of the classes in `y_train`, as of `predict_proba`), `y_train`,
    `y_test`, and one of `indices_*` (numbers of records), `X_*_orig`, `X_*`: the first that both folders have tells
    which records are the same. Files may be CSV without a header (as SACRO-ML reads it), .npy or .npz. SACRO-ML itself
    saves pickles; these are refused, as the model and the modules beside it are never opened: docs/interchange.md says
    how to save arrays as CSV.

    Roles follow from the training sets, so deleted records must be in the test set of the later folder. Both folders
    must hold the same records. Record numbers of the table are pseudonyms by `key`.

    Raises `PosteriorsError` naming the folder or file, what is wrong and how to go on; `UnsupportedError` where
    `target.yaml` is to be read and PyYAML is not installed. Format: `sacroml/attacks/target.py` (2.0.1, `Target.save`,
    `Target.load`) of github.com/AI-SDC/SACRO-ML.
    """
    targets = TargetFolder.of(Path(before)), TargetFolder.of(Path(after))
    pattern = _telling(*targets)
    first, last = (_Version.of(target, pattern) for target in targets)
    order = _match(first, last, pattern)
    _check_agreement(first, last, order)
    member = np.column_stack([first.member, last.member[order]])
    try:
        return Posteriors.from_pair(
            first.values,
            last.values[order],
            label=first.label,
            role=_roles(member),
            classes=first.classes,
            record=pseudonyms(_contents(first.rows), key),
        )
    except PosteriorsError as error:
        raise PosteriorsError(f"{first.folder} (version 0) and {last.folder} (version 1): {error}") from error


def _telling(first: TargetFolder, last: TargetFolder) -> str:
    """The pattern of the arrays that tell which records of both folders are the same."""
    for pattern in KEYS:
        if first.has(pattern) and last.has(pattern):
            return pattern
    named = ", ".join(pattern.format("train") for pattern in KEYS)
    raise PosteriorsError(
        f"{first.folder} and {last.folder} must both have one of {named} (and the same of the test set) as CSV, .npy "
        f"or .npz, to tell which records are the same. Pickles are not opened: see docs/interchange.md."
    )


def _probabilities(folder: Path, values: NDArray[Any]) -> NDArray[np.float64]:
    if values.ndim != 2 or values.shape[1] < 2 or not np.issubdtype(values.dtype, np.number):
        raise PosteriorsError(
            f"{folder}: proba_train and proba_test must be numbers [N, K] for two classes or more; got {values.dtype} "
            f"{values.shape}."
        )
    return values.astype(np.float64)


def _names(folder: Path, label: NDArray[Any]) -> NDArray[np.str_]:
    """Labels [N] or [N, 1] as texts: 1 and 1.0 are the class "1"."""
    if label.size != len(label):
        raise PosteriorsError(f"{folder}: y_train and y_test must hold one class per record; got {label.shape}.")
    label = label.ravel()
    if not (np.issubdtype(label.dtype, np.number) or label.dtype == np.bool_):
        return label.astype(str)
    if not (np.isfinite(label) & (label == np.round(label))).all():
        raise PosteriorsError(f"{folder}: y_train and y_test must be classes, whole numbers or texts; got fractions.")
    return label.astype(np.int64).astype(str)


def _classes(folder: Path, trained: NDArray[np.str_], columns: int) -> tuple[str, ...]:
    """The class of each column of `proba`: the sorted ones of the training set, or 0 to K-1 where some lack there."""
    present = _sorted(set(trained.tolist()))
    counted = [str(k) for k in range(columns)]
    if len(present) == columns:
        return tuple(present)
    if set(present) <= set(counted):
        return tuple(counted)
    raise PosteriorsError(
        f"{folder}: proba must have a column for each class of y_train, or classes 0 to {columns - 1}; got {columns} "
        f"columns and {len(present)} classes."
    )


def _sorted(names: set[str]) -> list[str]:
    """As numbers where all are, as scikit-learn sorts them."""
    return sorted(names, key=int) if all(name.lstrip("-").isdecimal() for name in names) else sorted(names)


def _places(folder: Path, names: NDArray[np.str_], classes: tuple[str, ...]) -> Ints:
    place = {name: k for k, name in enumerate(classes)}
    strange = sorted(set(names.tolist()) - place.keys())
    if strange:
        raise PosteriorsError(f"{folder}: class {strange[0]!r} of y_test must be one that proba has a column for.")
    return np.array([place[name] for name in names.tolist()], dtype=np.int64)


def _match(first: _Version, last: _Version, pattern: str) -> Ints:
    """Where each record of `first` stands in `last`. [N]"""
    if first.rows.shape[1] != last.rows.shape[1]:
        raise PosteriorsError(
            f"{first.folder} and {last.folder}: {pattern.format('train')} must agree in columns; got "
            f"{first.rows.shape[1]} and {last.rows.shape[1]}."
        )
    joined = np.concatenate([first.rows, last.rows])
    codes = np.column_stack([np.unique(column, return_inverse=True)[1] for column in joined.T])
    code = np.unique(codes, axis=0, return_inverse=True)[1].ravel()
    own, other = code[: len(first.rows)], code[len(first.rows) :]
    for version, numbers in ((first, own), (last, other)):
        _check_different(version, numbers, pattern)
    lacking, extra = ~np.isin(own, other), ~np.isin(other, own)
    if lacking.any() or extra.any():
        raise PosteriorsError(
            f"Both folders must hold the same records (by {pattern.format('*')}), deleted ones in the later one's test "
            f"set; {lacking.sum()} of {len(own)} are only in {first.folder}, {extra.sum()} of {len(other)} only in "
            f"{last.folder}. Features that were scaled anew differ: give indices_train and indices_test."
        )
    at = np.argsort(other)
    return at[np.searchsorted(other, own, sorter=at)]


def _check_different(version: _Version, code: Ints, pattern: str) -> None:
    values, counts = np.unique(code, return_counts=True)
    if (counts > 1).any():
        twice = np.flatnonzero(code == values[counts > 1][0])[:2]
        raise PosteriorsError(
            f"{version.folder}: every record must stand once; rows {twice[0]} and {twice[1]} of training and test set "
            f"have the same {pattern.format('*')}. Give indices_train and indices_test, which tell them apart."
        )


def _check_agreement(first: _Version, last: _Version, order: Ints) -> None:
    if first.classes != last.classes:
        only = [sorted(set(one.classes) - set(other.classes))[:3] for one, other in ((first, last), (last, first))]
        raise PosteriorsError(
            f"Both models must have the same classes; {first.folder} has {len(first.classes)} (it alone {only[0]}), "
            f"{last.folder} {len(last.classes)} (it alone {only[1]})."
        )
    wrong = np.flatnonzero(first.label != last.label[order])
    if wrong.size:
        row = wrong[0]
        raise PosteriorsError(
            f"Labels must agree; row {row} of {first.folder} has {first.classes[first.label[row]]!r}, and the same "
            f"record {first.classes[last.label[order][row]]!r} in {last.folder}."
        )


def _contents(rows: NDArray[Any]) -> list[str]:
    """A text for each record: the same for the same content."""
    if np.issubdtype(rows.dtype, np.number):
        return [row.tobytes().hex() for row in rows.astype(np.float64) + 0.0]  # -0 is 0
    return ["\0".join(row) for row in rows.astype(str)]


def _roles(member: Flags) -> NDArray[np.int8]:
    before, after = member.T
    was_in = np.where(after, Role.RETAINED, Role.DELETED)
    return np.where(before, was_in, np.where(after, Role.ADDED, Role.UNSEEN)).astype(np.int8)
