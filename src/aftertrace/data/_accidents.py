"""US Accidents: how severe a traffic accident was, in the layouts of 2019 and of 2023."""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from aftertrace.data._catalogue import known
from aftertrace.data._dataset import Dataset
from aftertrace.data._encode import MISSING, encode
from aftertrace.data._find import find
from aftertrace.data._table import Table, read_rows, table
from aftertrace.errors import DataError

BINS = 100
FLOATS = (
    "Start_Lat",
    "Start_Lng",
    "Distance(mi)",
    "Temperature(F)",
    "Humidity(%)",
    "Pressure(in)",
    "Visibility(mi)",
    "Wind_Speed(mph)",
)
CATEGORIES = (
    "State",
    "Timezone",
    "Wind_Direction",
    "Weather_Condition",
    "Sunrise_Sunset",
    "Civil_Twilight",
    "Nautical_Twilight",
    "Astronomical_Twilight",
)
BOOLEANS = (
    "Amenity",
    "Bump",
    "Crossing",
    "Give_Way",
    "Junction",
    "No_Exit",
    "Railway",
    "Roundabout",
    "Station",
    "Stop",
    "Traffic_Calming",
    "Traffic_Signal",
    "Turning_Loop",
)
FEATURES = (*FLOATS, *CATEGORIES, *BOOLEANS)
TARGET = "Severity"
CLASSES = {2: ("1 or 2", "3 or 4"), 3: ("1 or 2", "3", "4")}
_CLASS_OF = {2: (0, 0, 1, 1), 3: (0, 0, 1, 2)}  # of severity 1, 2, 3, 4


@dataclass(frozen=True, kw_only=True)
class UsAccidents:
    """Accidents with 29 features (place, weather, daylight, the road) and their severity in 2 or 3 classes.

    `file`: a table (.csv or .csv.gz) in the data folder or its subfolder `us_accidents`, in the layout of 2019 or of
    2023. `records`: the first so many of it, or all; a thousand take about 4 MiB of memory while they are read.
    `classes`: 2, severity 1 or 2 against 3 or 4, as the code released with arXiv 2005.02205 makes them; 3, severity 1
    or 2, 3, and 4. That code announces three balanced classes and makes two, and the paper does not say which
    three: these are our own choice, and not balanced.

    Features: the paper's code uses 29 columns; which, we do not know. Ours are those of both layouts, without
    the record's number, times, description and country (the same everywhere); without places finer than a state
    (street, city, county, zip code, airport), whose index is close to a record's number; without wind chill and
    precipitation, of which over a quarter is missing in the sample of 2023 and most in that of 2019; and without the
    source, whose names differ between the layouts. 29 remain.

    - 8 numbers: the bin, 1 to 100, of 100 of equal width from the least to the greatest value; missing is 0.
    - 8 categories: their index in sorted order, spelled as they are (`CALM` is not `Calm`); missing is one, `?`.
    - 13 booleans: 0 or 1; none is ever missing.

    Bins and categories are those of the records that are read, before any split: deleting a record does not move them.
    Loading raises `DataError` for absent columns, a severity that is not 1 to 4, and other damage, with its line.
    S. Moosavi et al., A Countrywide Traffic Accident Dataset, 2019.
    """

    name: ClassVar[str] = "us-accidents"
    file: str = "US_Accidents_March23_sample.csv.gz"
    classes: Literal[2, 3] = 2
    records: int | None = None

    def __post_init__(self) -> None:
        if self.classes not in CLASSES:
            raise DataError(f"'classes' must be 2 or 3, got {self.classes}.")
        if self.records is not None and self.records < 1:
            raise DataError(f"'records' must be at least 1, got {self.records}.")


def load_accidents(spec: UsAccidents, data_dir: Path | None) -> Dataset:
    files = dict.fromkeys(f"us_accidents/{name}" for name in (spec.file, spec.file.removesuffix(".gz")))
    part = _read(find(*files, data_dir=data_dir, source=known(spec.name).source), spec.records)
    n_missing = {name: sum(map(part.columns[name].count, MISSING)) for name in (*FLOATS, *CATEGORIES)}
    for name, count in n_missing.items():
        if count == len(part.lines):
            raise DataError(
                f"{part.path}: column {name!r} must hold values, and has none in {count} records; read more of them."
            )
    categories = {name: part.columns[name] for name in CATEGORIES}
    encoded = encode(spec.name, categories, missing="category", encoding="codes")
    x = np.column_stack([*(_bins(part, name) for name in FLOATS), encoded.x, *(_bits(part, name) for name in BOOLEANS)])
    notes = (
        f"{'all' if spec.records is None else 'the first'} {len(x)} records of {part.path.name}",
        *(f"{name}: {n_missing[name]} missing, now bin 0" for name in FLOATS if n_missing[name]),
        *encoded.notes,
    )
    label = np.array(_CLASS_OF[spec.classes])[_severity(part) - 1]
    return Dataset(spec.name, x, label, CLASSES[spec.classes], FEATURES, notes, encoded.categories)


def _read(path: Path, records: int | None) -> Table:
    """The first records alone: the whole table has millions."""
    rows = read_rows(path)
    _, fields = next(rows, (0, []))
    header = [name.strip() for name in fields]
    absent = [name for name in (*FEATURES, TARGET) if name not in header]
    if absent:
        raise DataError(
            f"{path}: must have the columns of US Accidents, and has no {', '.join(absent)}; "
            f"name another table with `file`."
        )
    part = table(path, header, islice(rows, records))
    if records is not None and len(part.lines) < records:
        raise DataError(f"data.records: {path.name} holds {len(part.lines)} records, got {records}; ask for fewer.")
    return part


def _bins(part: Table, name: str) -> NDArray[np.int64]:
    """0 where the value is missing, else 1 to 100."""
    values = part.columns[name]
    rows = [row for row, text in enumerate(values) if text not in MISSING]
    there = Table(part.path, {name: tuple(values[row] for row in rows)}, tuple(part.lines[row] for row in rows))
    number = there.numbers(name)
    inner = np.linspace(number.min(), number.max(), BINS + 1)[1:-1]
    bins = np.zeros(len(values), dtype=np.int64)
    bins[rows] = 1 + np.digitize(number, inner)
    return bins


def _bits(part: Table, name: str) -> NDArray[np.int64]:
    meaning = {"true": 1, "false": 0}
    bits = [meaning.get(text.lower(), -1) for text in part.columns[name]]
    if -1 in bits:
        row = bits.index(-1)
        got = part.columns[name][row]
        raise part.error(row, f"column {name!r} must be True or False, got {got!r}; mend or remove the row.")
    return np.array(bits)


def _severity(part: Table) -> NDArray[np.int64]:
    """1, 2, 3 or 4."""
    severity = part.numbers(TARGET)
    for row, value in enumerate(severity.tolist()):
        if value not in (1, 2, 3, 4):
            raise part.error(row, f"the severity must be 1, 2, 3 or 4, got {value:g}; mend or remove the row.")
    return severity.astype(np.int64)
