"""Location tables: the category of a venue from its check-ins by hour of the week."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from aftertrace.data._catalogue import known
from aftertrace.data._dataset import Dataset
from aftertrace.data._encode import encode_labels
from aftertrace.data._find import find
from aftertrace.data._table import Table, read_table
from aftertrace.errors import DataError

NEW_YORK = "nyc_withCatId.csv"
CATEGORIES = (
    "Arts & Entertainment",
    "College & University",
    "Food",
    "Nightlife Spot",
    "Outdoors & Recreation",
    "Professional & Other Places",
    "Residence",
    "Shop & Service",
    "Travel & Transport",
)
HOURS = 168


@dataclass(frozen=True, kw_only=True)
class Location:
    """Venues with 168 counts of check-ins (24 hours x 7 days) and one of 9 categories, the shape of Insta-NY.

    `file`: a table (.csv or .csv.gz) in the data folder or its subfolder `location`, with the columns `locid` (which
    numbers venues), 168 counts, and `catid`. Classes are called by the categories in the table of New York, which
    stands in for Insta-NY, and by their numbers in any other. `part`: the venues with an even or an odd `locid` alone,
    which stand in for two cities where there is one table only.
    """

    name: ClassVar[str] = "location"
    file: str = f"{NEW_YORK}.gz"
    part: Literal["all", "even", "odd"] = "all"

    def __post_init__(self) -> None:
        if self.part not in ("all", "even", "odd"):
            raise DataError(f"data.part: must be all, even or odd (by locid), got {self.part!r}.")


def load_location(spec: Location, data_dir: Path | None) -> Dataset:
    plain = spec.file.removesuffix(".gz")
    files = dict.fromkeys((f"location/{spec.file}", f"location/{plain}"))
    source = known(spec.name).source if plain == NEW_YORK else "its publisher"
    table = read_table(find(*files, data_dir=data_dir, source=source))
    hours = tuple(name for name in table.columns if name not in ("locid", "catid"))
    if "catid" not in table.columns or len(hours) != HOURS:
        raise DataError(
            f"{table.path}: must have the columns locid, {HOURS} counts and catid, got {len(hours)} counts and "
            f"{'a' if 'catid' in table.columns else 'no'} catid; name another table with `file`."
        )
    x = np.column_stack([table.numbers(name) for name in hours])
    own = _part(spec, table)
    notes = () if spec.part == "all" else (f"venues with {spec.part} locid",)
    if plain != NEW_YORK:
        label, classes = encode_labels(table.columns["catid"])
        return Dataset(spec.name, x[own], label[own], classes, hours, (f"file {spec.file}", *notes))
    category = table.numbers("catid")
    for row, number in enumerate(category.tolist()):
        if number not in range(len(CATEGORIES)):
            raise table.error(row, f"catid must be a whole number from 0 to 8, got {number:g}; mend or remove the row.")
    note = "check-ins in New York City, 2012 to 2013: a stand-in for Insta-NY"
    return Dataset(spec.name, x[own], category.astype(np.int64)[own], CATEGORIES, hours, (note, *notes))


def _part(spec: Location, table: Table) -> NDArray[np.bool_]:
    """Which rows of the table are asked for."""
    if spec.part == "all":
        return np.ones(len(table.columns["catid"]), dtype=bool)
    if "locid" not in table.columns:
        raise DataError(f"{table.path}: must have a column locid to be parted by it, got none; leave `part` out.")
    return np.asarray(table.numbers("locid") % 2 == (spec.part == "odd"))
