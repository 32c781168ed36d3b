"""Text tables: CSV files as columns of strings, with the line that each row came from."""

import csv
import gzip
import io
import math
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aftertrace._spelling import nearest_file
from aftertrace._spreadsheets import is_spreadsheet
from aftertrace.errors import DataError


@dataclass(frozen=True)
class Table:
    """`columns`: name -> one string per row; `lines`: where each row ends in the file."""

    path: Path
    columns: dict[str, tuple[str, ...]]
    lines: tuple[int, ...]

    def error(self, row: int, sentence: str) -> DataError:
        return DataError(f"{self.path}, line {self.lines[row]}: {sentence}")

    def numbers(self, name: str) -> NDArray[np.float64]:
        """A column as numbers. Raises `DataError` with the line of the first that is not a finite number."""
        values = self.columns[name]
        texts = set(values)
        finite = {text: value for text in texts if (value := number(text)) is not None and math.isfinite(value)}
        if len(finite) < len(texts):
            row, text = next((row, text) for row, text in enumerate(values) if text not in finite)
            raise self.error(row, f"column {name!r} must hold finite numbers, got {text!r}; mend or remove the row.")
        return translate(values, finite)


def translate(values: Sequence[str], numbers: Mapping[str, float]) -> NDArray[np.float64]:
    """The number that stands for each value."""
    return np.fromiter(map(numbers.__getitem__, values), np.float64, count=len(values))


def number(text: str) -> float | None:
    """The number that a text is; None if it is not one, as `1_000`, which names something, and digits beyond ASCII."""
    if "_" in text or not text.isascii():
        return None
    try:
        return float(text)
    except ValueError:
        return None


def read_table(path: Path, *, as_it_stands: bool = False) -> Table:
    """A CSV file (.csv, .csv.gz) whose first line names the columns.

    Names and values lose the spaces around them, unless `as_it_stands`: then they are what pandas makes of them.
    """
    rows = read_rows(path, as_it_stands=as_it_stands)
    _, fields = next(rows, (0, []))
    header = fields if as_it_stands else [name.strip() for name in fields]
    if not header:
        raise DataError(f"{path}: must hold a line of column names and rows below it, and is empty; name another file.")
    twice = [name for name, times in Counter(header).items() if times > 1]
    if twice:
        raise DataError(f"{path}: column names must differ, and {twice[0]!r} comes twice; rename one of them.")
    return table(path, header, rows, as_it_stands=as_it_stands)


def table(
    path: Path, header: Sequence[str], rows: Iterable[tuple[int, list[str]]], *, as_it_stands: bool = False
) -> Table:
    """Rows under the given column names. Raises `DataError` for none, or for one of another length."""
    lines, records = [], []
    for line, fields in rows:
        if len(fields) != len(header):
            raise DataError(
                f"{path}, line {line}: a row must have {len(header)} fields separated by commas, "
                f"got {len(fields)}; mend or remove the row."
            )
        lines.append(line)
        records.append(fields)
    if not records:
        raise DataError(f"{path}: must hold at least one row of data, got none; name another file.")
    columns = zip(*records, strict=True)
    read = columns if as_it_stands else map(stripped, columns)
    return Table(path, dict(zip(header, read, strict=True)), tuple(lines))


def stripped(column: Sequence[str]) -> tuple[str, ...]:
    """Without surrounding spaces; equal texts become one object, which halves the time of all that follows."""
    bare = {text: text.strip() for text in set(column)}
    return tuple(map(bare.__getitem__, column))


def read_rows(path: Path, *, as_it_stands: bool = False) -> Iterator[tuple[int, list[str]]]:
    """(line number, fields) of each line that is not empty; spaces before a field are dropped unless `as_it_stands`."""
    if is_spreadsheet(path):
        raise DataError(f"{path}: is a spreadsheet, which is not read. Save its sheet as 'CSV UTF-8'.")
    try:
        with path.open("rb") as raw, gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw as content:
            if b"\0" in content.peek(1):
                raise csv.Error("it has zero bytes")
            text = io.TextIOWrapper(content, encoding="utf-8-sig", newline="")
            reader = csv.reader(text, skipinitialspace=not as_it_stands, strict=True)
            for fields in reader:
                if len(fields) > 1 or any(map(str.strip, fields)):
                    yield reader.line_num, fields
    except FileNotFoundError as error:
        raise DataError(
            f"{path}: there is no such file{nearest_file(path)}; check the path, which starts at {Path.cwd()}."
        ) from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(
            f"{path}: must be UTF-8 text with commas between the fields, and is not ({error}); save it as CSV in UTF-8."
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path}: cannot be read ({reason}); check the file, or fetch it again.") from error
