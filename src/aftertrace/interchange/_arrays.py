"""Arrays from files of other tools. Nothing is ever unpickled."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aftertrace._spelling import nearest_file
from aftertrace.errors import PosteriorsError

MOST_BYTES = 4 * 2**30
"""Of an array that is compressed: a file that unpacks to more is taken for a trap."""
READABLE = (".npy", ".npz", ".csv")


def read_array(path: Path) -> NDArray[Any]:
    """The array of a file: .npy (mapped, not loaded), .npz with one array in it, or .csv without a header [N, F].

    A CSV file gives numbers where all of its columns hold numbers (an empty field is NaN), and texts otherwise. Raises
    `PosteriorsError` naming the file, for pickles and arrays of Python objects too.
    """
    if not path.is_file():
        raise PosteriorsError(f"{path}: there is no such file{nearest_file(path)}.")
    if path.suffix not in READABLE:
        pickled = "a pickle runs code of whoever made it and is not opened" if _is_pickle(path) else "not readable"
        raise PosteriorsError(
            f"{path}: {pickled}; an array must be in a file that ends in {', '.join(READABLE)}. Save it again with "
            f"numpy.save or numpy.savetxt(..., delimiter=',')."
        )
    try:
        return {".npy": _from_npy, ".npz": _from_npz, ".csv": _from_csv}[path.suffix](path)
    except Exception as error:  # damaged bytes make zipfile, zlib, tokenize and numpy raise nearly anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise PosteriorsError(
            f"{path}: not a readable {path.suffix} file of numbers or texts ({reason}). Save it again, without "
            f"pickling."
        ) from error


def _is_pickle(path: Path) -> bool:
    return path.suffix in (".pkl", ".pickle", ".joblib", ".sav")


def _from_npy(path: Path) -> NDArray[Any]:
    # mapped: refuses objects, and a header that promises more than the file holds, before any memory is taken
    mapped: NDArray[Any] = np.lib.format.open_memmap(path, mode="r")
    return mapped


def _from_npz(path: Path) -> NDArray[Any]:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if len(members) != 1 or members[0].file_size > MOST_BYTES:
            size = sum(member.file_size for member in members)
            raise ValueError(
                f"one array of at most {MOST_BYTES} bytes is allowed, and it holds {len(members)} of {size}"
            )
        with archive.open(members[0]) as file:
            array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
    return array


def _from_csv(path: Path) -> NDArray[Any]:
    import pyarrow as pa
    import pyarrow.csv as arrow_csv

    table = arrow_csv.read_csv(
        path,
        read_options=arrow_csv.ReadOptions(autogenerate_column_names=True),
        convert_options=arrow_csv.ConvertOptions(strings_can_be_null=False),
    )
    columns = table.columns
    if all(_is_number(column.type) for column in columns):
        return np.column_stack([column.cast(pa.float64()).to_numpy() for column in columns])
    return np.column_stack([column.cast(pa.string()).to_numpy().astype(str) for column in columns])


def _is_number(kind: Any) -> bool:
    import pyarrow as pa

    return any(
        test(kind) for test in (pa.types.is_floating, pa.types.is_integer, pa.types.is_boolean, pa.types.is_null)
    )
