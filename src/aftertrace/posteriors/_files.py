"""Posterior files brought from outside: one file per version of the model."""

import hmac
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aftertrace._spelling import nearest
from aftertrace.errors import PosteriorsError
from aftertrace.posteriors._posteriors import SUM_TOLERANCE, Posteriors

_KEYS = ("record", "label", "role", "original", "pair")
_ROLES = ("deleted", "unseen", "retained", "added")


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
    first, last = _read(Path(before)), _read(Path(after))
    _match_classes(first, last)
    order = _match_rows(first, last)
    if (first.label != last.label[order]).any():
        row = int(np.flatnonzero(first.label != last.label[order])[0])
        raise PosteriorsError(
            f"Labels must agree between the files; record {str(first.record[row])!r} has {str(first.label[row])!r} in "
            f"{first.path.name} and {str(last.label[order][row])!r} in {last.path.name}."
        )
    columns = [last.classes.index(name) for name in first.classes]
    index = {name: k for k, name in enumerate(first.classes)}
    return Posteriors.from_pair(
        first.values,
        last.values[order][:, columns],
        label=np.array([index[name] for name in first.label.tolist()], dtype=np.int64),
        role=_roles(first, last, order, role),
        classes=first.classes,
        record=pseudonyms(first.record, key),
        original=_units(first.unit("original")),
        pair=_units(first.unit("pair")),
    )


def pseudonyms(record: Sequence[str] | NDArray[Any], key: bytes) -> NDArray[np.int64]:
    """A number from 0 to 2^63 - 1 for each record: the same for the same record and key (HMAC-SHA-256)."""
    digests = (hmac.digest(key, str(name).encode(), "sha256")[:8] for name in record)
    return np.array([int.from_bytes(part) >> 1 for part in digests], dtype=np.int64)


@dataclass(frozen=True, eq=False)
class _Version:
    path: Path
    record: NDArray[np.str_]  # [Q]
    label: NDArray[np.str_]  # [Q]
    classes: tuple[str, ...]
    values: NDArray[np.float64]  # [Q, K]
    extra: dict[str, NDArray[np.str_]]  # role, original, pair where given: [Q]

    def unit(self, name: str) -> NDArray[np.str_]:
        other = "original" if name == "pair" else "pair"
        nothing = np.full(self.record.shape, "0")
        return self.extra.get(name, self.extra.get(other, nothing))


def _read(path: Path) -> _Version:
    columns, values = _columns(path)
    for name in ("record", "label"):
        if name not in columns:
            found = [*columns, *values]
            raise PosteriorsError(
                f"{path}: there must be a column {name!r}; found {_some(found)}{nearest(name, found)}."
            )
    if len(values) < 2:
        raise PosteriorsError(
            f"{path}: besides record, label and role there must be one column per class, at least two; "
            f"found {_some(list(values)) or 'none'}."
        )
    matrix = np.column_stack(list(values.values()))
    _check_rows(path, matrix)
    classes = tuple(values)
    strange = sorted(set(columns["label"].tolist()) - set(classes))
    if strange:
        raise PosteriorsError(
            f"{path}: every label must be the name of a class column ({_some(classes)}); got {_some(strange)}."
        )
    extra = {name: columns[name] for name in _KEYS[2:] if name in columns}
    return _Version(path, columns["record"], columns["label"], classes, matrix, extra)


def _columns(path: Path) -> tuple[dict[str, NDArray[np.str_]], dict[str, NDArray[np.float64]]]:
    """The columns with a meaning as text, and the others, one per class, as numbers."""
    if not path.is_file():
        raise PosteriorsError(f"{path}: there is no such file.")
    try:
        if path.suffix == ".npz":
            return _from_npz(path)
        return _from_arrow(path, _arrow_table(path))
    except UnicodeDecodeError as error:
        raise PosteriorsError(f"{path}: the file must be UTF-8 text ({error}).") from error


def _arrow_table(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    try:
        if path.suffix == ".parquet":
            return pyarrow.parquet.read_table(path)
        if path.name.endswith((".csv", ".csv.gz")):
            text = pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(_KEYS, pa.string()), strings_can_be_null=False)
            return pyarrow.csv.read_csv(path, convert_options=text)
    except (pa.ArrowException, OSError) as error:
        raise PosteriorsError(f"{path}: not a readable {path.suffix} file ({str(error).splitlines()[0]}).") from error
    raise PosteriorsError(f"{path}: a file of posteriors must end in .csv, .csv.gz, .parquet or .npz.")


def _from_arrow(path: Path, table: Any) -> tuple[dict[str, NDArray[np.str_]], dict[str, NDArray[np.float64]]]:
    import pyarrow as pa

    if len(set(table.column_names)) != len(table.column_names):
        raise PosteriorsError(f"{path}: names of columns must differ; got {_some(table.column_names)}.")
    texts, numbers = {}, {}
    for name in table.column_names:
        column = table.column(name)
        if name in _KEYS:
            if column.null_count:
                row = int(np.flatnonzero(np.array(column.is_null()))[0])
                raise PosteriorsError(f"{path}: column {name!r} must be filled in every row; row {row} is empty.")
            texts[name] = np.array(column.cast(pa.string()).to_pylist(), dtype=str)
        elif pa.types.is_floating(column.type) or pa.types.is_integer(column.type) or pa.types.is_null(column.type):
            numbers[name] = np.array(column.cast(pa.float64()).to_numpy(), dtype=np.float64)
        else:
            raise PosteriorsError(
                f"{path}: columns other than {', '.join(_KEYS)} must be posteriors, numbers from 0 to 1, one per "
                f"class; column {name!r} holds {column.type}{nearest(name, _KEYS)}."
            )
    return texts, numbers


def _from_npz(path: Path) -> tuple[dict[str, NDArray[np.str_]], dict[str, NDArray[np.float64]]]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise PosteriorsError(f"{path}: not a readable .npz file without pickled objects ({error}).") from error
    values = arrays.get("values")
    if values is None or values.ndim != 2 or not np.issubdtype(values.dtype, np.number):
        found = "no such array" if values is None else f"{values.dtype} {values.shape}"
        raise PosteriorsError(f"{path}: there must be an array `values` of numbers [Q, K]; got {found}.")
    classes = [str(name) for name in arrays.get("classes", np.arange(values.shape[1]))]
    texts = {name: arrays[name].astype(str) for name in _KEYS if name in arrays}
    wrong = [name for name, column in texts.items() if column.shape != values.shape[:1]]
    if wrong or len(classes) != values.shape[1] or len(set(classes)) != len(classes):
        raise PosteriorsError(
            f"{path}: arrays must fit `values` {values.shape}: one entry per row in {', '.join(texts)}, "
            f"{values.shape[1]} different `classes`; got {len(classes)} classes"
            + (f" and {wrong[0]} {texts[wrong[0]].shape}." if wrong else ".")
        )
    return texts, {name: values[:, k].astype(np.float64) for k, name in enumerate(classes)}


def _check_rows(path: Path, values: NDArray[np.float64]) -> None:
    if not len(values):
        raise PosteriorsError(f"{path}: there must be at least one record; the file has none.")
    if np.isnan(values).any():
        row = int(np.flatnonzero(np.isnan(values).any(axis=1))[0])
        raise PosteriorsError(f"{path}: posteriors must be numbers; row {row} holds NaN or is empty.")
    if values.min() < 0 or values.max() > 1 + SUM_TOLERANCE:
        row = int(np.flatnonzero((values < 0).any(axis=1) | (values > 1 + SUM_TOLERANCE).any(axis=1))[0])
        raise PosteriorsError(
            f"{path}: posteriors must lie between 0 and 1; row {row} holds {values[row].min():.4g} to "
            f"{values[row].max():.4g} (if these are logits, apply a softmax first)."
        )
    sums = values.sum(axis=1)
    row = int(np.abs(sums - 1).argmax())
    if abs(sums[row] - 1) > SUM_TOLERANCE:
        raise PosteriorsError(
            f"{path}: rows must sum to 1 within {SUM_TOLERANCE}; row {row} sums to {sums[row]:.6g} "
            f"({int((np.abs(sums - 1) > SUM_TOLERANCE).sum())} rows in all; is a class column missing?)."
        )


def _match_classes(first: _Version, last: _Version) -> None:
    if set(first.classes) != set(last.classes):
        before = sorted(set(first.classes) - set(last.classes))
        after = sorted(set(last.classes) - set(first.classes))
        raise PosteriorsError(
            f"Both versions must have the same classes; only in {first.path.name}: {_some(before) or 'none'}, "
            f"only in {last.path.name}: {_some(after) or 'none'}."
        )


def _match_rows(first: _Version, last: _Version) -> NDArray[np.int64]:
    """Where each row of `first` stands in `last`."""
    tables = [
        list(zip(version.unit("pair").tolist(), version.record.tolist(), strict=True)) for version in (first, last)
    ]
    for version, keys in zip((first, last), tables, strict=True):
        if len(set(keys)) != len(keys):
            twice = Counter(keys).most_common(1)[0][0]
            raise PosteriorsError(f"{version.path}: every record must stand once per pair; {twice[1]!r} stands twice.")
    place = {key: row for row, key in enumerate(tables[1])}
    before = [key[1] for key in tables[0] if key not in place]
    known = set(tables[0])
    after = [key[1] for key in tables[1] if key not in known]
    if before or after:
        raise PosteriorsError(
            f"Both files must hold the same records; only in {first.path.name}: {_counted(before)}, "
            f"only in {last.path.name}: {_counted(after)}."
        )
    return np.array([place[key] for key in tables[0]], dtype=np.int64)


def _roles(first: _Version, last: _Version, order: NDArray[np.int64], path: Path | str | None) -> list[str]:
    given: dict[str, NDArray[np.str_]] = {}
    if "role" in first.extra:
        given[first.path.name] = first.extra["role"]
    if "role" in last.extra:
        given[last.path.name] = last.extra["role"][order]
    if path is not None:
        given[str(path)] = _role_file(Path(path), first.record)
    if not given:
        raise PosteriorsError(
            f"{first.path}: the role of each record (deleted, unseen, ...) must be known: add a column 'role' to one "
            f"of the files, or give a file of the columns record and role."
        )
    (source, roles), *others = given.items()
    for name, other in others:
        if (roles != other).any():
            row = int(np.flatnonzero(roles != other)[0])
            raise PosteriorsError(
                f"Roles must agree; record {str(first.record[row])!r} is {str(roles[row])!r} in {source} "
                f"and {str(other[row])!r} in {name}."
            )
    strange = sorted(set(roles.tolist()) - set(_ROLES))
    if strange:
        raise PosteriorsError(f"{source}: a role must be one of {', '.join(_ROLES)}; got {_some(strange)}.")
    return list(roles.tolist())


def _role_file(path: Path, record: NDArray[np.str_]) -> NDArray[np.str_]:
    columns, _ = _columns(path)
    if not {"record", "role"} <= columns.keys():
        raise PosteriorsError(f"{path}: there must be columns 'record' and 'role'; found {_some(list(columns))}.")
    role = dict(zip(columns["record"].tolist(), columns["role"].tolist(), strict=True))
    absent = [name for name in record.tolist() if name not in role]
    if absent:
        raise PosteriorsError(f"{path}: every record must have a role; missing: {_counted(absent)}.")
    return np.array([role[name] for name in record.tolist()], dtype=str)


def _units(names: NDArray[np.str_]) -> NDArray[np.int64]:
    return np.unique(names, return_inverse=True)[1].astype(np.int64)


def _some(names: Sequence[str], most: int = 6) -> str:
    shown = ", ".join(repr(str(name)) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def _counted(names: list[str]) -> str:
    return f"{len(names)} ({_some(names, 3)})" if names else "none"
