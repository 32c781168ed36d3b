"""Whether a file can be what its name says, before anything reads it."""

import codecs
import gzip
import stat
import zlib
from pathlib import Path

from aftertrace._spelling import nearest_file
from aftertrace._spreadsheets import is_spreadsheet
from aftertrace.errors import DataError
from aftertrace.posteriors._archives import archive_names, check_unpacked

TABLES = (".csv", ".csv.gz", ".parquet", ".npz")
"""How names of files end that hold records or answers."""
_PICKLES = tuple(bytes([0x80, version]) for version in range(2, 6))
_PAGES = (b"<!doctype html", b"<html")
_POINTER = b"version https://git-lfs"
_CHUNK = 2**20


def check_file(path: Path) -> None:
    """Raises `DataError` unless there is such a file, with something in it."""
    try:
        found = path.stat()
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file{nearest_file(path)}.") from error
    except (OSError, ValueError) as error:  # such as a name that is too long or holds a null byte
        raise _unreadable(path, error) from error
    if stat.S_ISDIR(found.st_mode):
        raise DataError(f"{path}: is a folder; give a file in it.")
    if not stat.S_ISREG(found.st_mode):
        raise DataError(f"{path}: must be a file, and is a device or a pipe; keep what it gives in a file.")
    if not found.st_size:
        raise DataError(f"{path}: is empty. Save it again.")


def is_file(path: Path) -> bool:
    """Whether there is such a file; a name that is too long is none."""
    try:
        return path.is_file()
    except OSError:
        return False


def is_folder(path: Path) -> bool:
    """Whether there is such a folder; a name that is too long is none."""
    try:
        return path.is_dir()
    except OSError:
        return False


def check_start(path: Path) -> None:
    """Raises `DataError` for a web page and for a pointer of Git LFS, which downloads leave under any name."""
    start = first_bytes(path)
    if start.lstrip().lower().startswith(_PAGES):
        raise DataError(f"{path}: holds a web page; was the download refused? Look at it in a browser.")
    if start.startswith(_POINTER):
        raise DataError(f"{path}: is only a pointer of Git LFS. Fetch the file: git lfs pull.")


def is_pickle(path: Path) -> bool:
    """Whether a file begins as a pickle does."""
    return first_bytes(path).startswith(_PICKLES)


def first_bytes(path: Path) -> bytes:
    """The first 512 bytes of a file. Raises `DataError` where they cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(512)
    except OSError as error:
        raise _unreadable(path, error) from error


def check_no_spreadsheet(path: Path) -> None:
    """Raises `DataError` for what a spreadsheet program saves by itself."""
    if is_spreadsheet(path):
        raise DataError(f"{path}: is a spreadsheet, which is not read. Save its sheet as 'CSV UTF-8', or as Parquet.")


def check_table(path: Path) -> None:
    """Raises `DataError` unless a CSV, Parquet or NPZ file can be read without running code or filling the memory."""
    check_no_spreadsheet(path)
    if not path.name.endswith(TABLES):
        raise DataError(f"{path}: a table must end in {', '.join(TABLES[:-1])} or {TABLES[-1]}.")
    check_file(path)
    check_start(path)
    if is_pickle(path):
        raise DataError(
            f"{path}: holds a pickle under another name, which would run code of whoever made it; it was not read. "
            f"Save a table as CSV, Parquet or NPZ."
        )
    if path.suffix == ".npz":
        archive_names(path)
    elif path.suffix == ".parquet":
        _check_parquet(path)
    else:
        _check_text(path)


def _check_parquet(path: Path) -> None:
    """A column of one value takes no room in a file, and 8 bytes a row in memory."""
    import pyarrow as pa
    import pyarrow.parquet

    try:
        facts = pyarrow.parquet.read_metadata(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a readable .parquet file ({str(error).splitlines()[0]}).") from error
    check_unpacked(path, 8 * facts.num_rows * facts.num_columns)


def _check_text(path: Path) -> None:
    """UTF-8 without null bytes, columns separated by commas, and not much larger than the file if it is packed."""
    size, lines, is_packed = 0, 0, path.suffix == ".gz"
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with gzip.open(path) if is_packed else path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                if not size:
                    _check_separator(path, chunk.split(b"\n", 1)[0])
                _check_letters(path, chunk, decoder, lines)
                lines += chunk.count(b"\n")
                size += len(chunk)
                if is_packed:
                    check_unpacked(path, size)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be unpacked ({error}). Save it again.") from error


def _check_letters(path: Path, chunk: bytes, decoder: codecs.IncrementalDecoder, lines: int) -> None:
    """`lines`: how many end before the chunk."""
    if b"\0" in chunk:
        raise DataError(
            f"{path}: must be UTF-8 text, and holds null bytes: it is UTF-16, damaged, or no text. Save it as "
            f"'CSV UTF-8'."
        )
    try:
        decoder.decode(chunk)
    except UnicodeDecodeError as error:
        line = lines + error.object[: error.start].count(b"\n") + 1
        raise DataError(
            f"{path}: must be UTF-8 text, and line {line} holds the byte 0x{error.object[error.start]:02X}, which is a "
            f"letter in Latin-1 or Windows-1252. Save it as 'CSV UTF-8'."
        ) from error


def _check_separator(path: Path, header: bytes) -> None:
    others = [name for name, sign in (("semicolons", b";"), ("tabs", b"\t")) if sign in header]
    if others and b"," not in header:
        raise DataError(
            f"{path}: columns must be separated by commas, and are by {others[0]}. Save it as CSV with commas, and "
            f"decimals with points."
        )


def _unreadable(path: Path, error: OSError | ValueError) -> DataError:
    reason = getattr(error, "strerror", None) or str(error)
    return DataError(f"{path}: cannot be read ({reason}). Mend its name or its rights.")
