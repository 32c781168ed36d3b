"""Records as living models take them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aftertrace.errors import InputError
from aftertrace.models._columns import code_of, column_of

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, eq=False)
class Records:
    """Q records: an array [Q, ...], or the named columns [Q] of a table; exactly one of the two.

    A column holds numbers, or texts (type object) with NaN where one is missing, as `pandas.read_csv` makes them.
    Raises `InputError` unless that holds and all columns are of one length.
    """

    array: NDArray[Any] | None = None
    columns: Mapping[str, NDArray[Any]] | None = None

    def __post_init__(self) -> None:
        if (self.array is None) == (self.columns is None):
            raise InputError("Records must be an array [Q, ...] or named columns, one of both.")
        if self.array is not None:
            if self.array.ndim < 2:
                raise InputError(
                    f"Records must be an array [Q, ...] of two or more axes, got shape {self.array.shape}."
                )
            return
        columns = {name: column_of(name, values) for name, values in (self.columns or {}).items()}
        if len({len(column) for column in columns.values()}) != 1:
            raise InputError("Columns of records must be of one length, and there must be one at least.")
        object.__setattr__(self, "columns", columns)

    def __len__(self) -> int:
        return len(self.array) if self.array is not None else len(next(iter((self.columns or {}).values())))

    @property
    def is_numeric(self) -> bool:
        """Whether `as_array` has an answer."""
        return all(column.dtype != object for column in (self.columns or {}).values())

    def select(self, rows: NDArray[np.bool_] | NDArray[np.integer] | slice) -> "Records":
        """A copy of the records of a mask, an index or a slice: a model that scales in place changes no other's."""
        if self.array is not None:
            return Records(array=self.array[rows].copy())
        return Records(columns={name: column[rows].copy() for name, column in (self.columns or {}).items()})

    def contents(self) -> NDArray[np.object_]:
        """Bytes [Q] that are equal exactly where records are."""
        if self.array is not None:
            flat = np.ascontiguousarray(self.array).reshape(len(self), -1)
        else:
            flat = np.column_stack([code_of(column) for column in (self.columns or {}).values()])
        return np.array([row.tobytes() for row in flat], dtype=object)

    def as_array(self) -> NDArray[Any]:
        """[Q, ...]; columns become [Q, F], in their order. Raises `InputError` for a column that is no numbers."""
        if self.array is not None:
            return self.array
        assert self.columns is not None
        for name, column in self.columns.items():
            if column.dtype == object:
                raise InputError(
                    f"This model takes numbers, and column {name!r} of the records holds texts such as "
                    f"{str(column[0])!r}. Encode it as in training, or bring the pipeline that does; if it says whose "
                    f"record each is, name it (`person_column={name!r}`)."
                )
        return np.column_stack([column.astype(np.float64) for column in self.columns.values()])

    def as_frame(self) -> "pandas.DataFrame":
        """The columns as a data frame, for pipelines that choose columns by name. Needs pandas."""
        try:
            import pandas
        except ImportError as error:
            raise InputError(
                "This model chooses columns by name, which needs pandas: pip install pandas, and try again."
            ) from error
        if self.columns is None:
            raise InputError(
                "This model chooses columns by name, and the records are an array: bring them as a table with names."
            )
        return pandas.DataFrame(dict(self.columns))


def records_of(given: Any) -> Records:
    """Records from an array, or from a table of pandas, polars or pyarrow, none of which is imported here.

    Raises `InputError` for anything else, and for columns that are neither numbers nor texts.
    """
    if isinstance(given, Records):
        return given
    names = getattr(given, "column_names", None)  # pyarrow, whose `columns` are not names
    names = getattr(given, "columns", None) if names is None else names
    if names is None:
        array = np.asarray(given)
        return Records(array=array[:, None] if array.ndim == 1 else array)
    texts = [str(name) for name in names]
    if len(set(texts)) < len(texts):
        raise InputError(f"Columns of records must have different names; got {', '.join(map(repr, texts))}.")
    return Records(columns={text: np.asarray(given[name]) for text, name in zip(texts, names, strict=True)})
