"""From specification to data set: the one visible table of those that can be loaded."""

from pathlib import Path

from aftertrace.data._accidents import UsAccidents, load_accidents
from aftertrace.data._adult import Adult, load_adult
from aftertrace.data._catalogue import CATALOGUE, DatasetInfo
from aftertrace.data._cifar import Cifar10, load_cifar10
from aftertrace.data._csv import Csv, load_csv
from aftertrace.data._dataset import Dataset
from aftertrace.data._embedded import BreastCancer, Digits, Wine, load_embedded
from aftertrace.data._location import Location, load_location
from aftertrace.data._mnist import Mnist, load_mnist
from aftertrace.data._stl import Stl10, load_stl10

DataSpec = Digits | BreastCancer | Wine | Adult | Location | Mnist | Cifar10 | Stl10 | UsAccidents | Csv
SPECIFICATIONS: tuple[type[DataSpec], ...] = (
    Digits,
    BreastCancer,
    Wine,
    Adult,
    Location,
    Mnist,
    Cifar10,
    Stl10,
    UsAccidents,
    Csv,
)


def load(spec: DataSpec, *, data_dir: Path | None = None) -> Dataset:
    """The data set that a specification describes.

    `data_dir` holds the files, as published, in their own subfolders or directly; without it `AFTERTRACE_DATA`
    names the folder, else it is `aftertrace` in the user's cache. Sets inside scikit-learn and `Csv` do not use it.
    Raises `DataError` for a file that is absent, damaged or not as described.
    """
    match spec:
        case Adult():
            return load_adult(spec, data_dir)
        case Location():
            return load_location(spec, data_dir)
        case Mnist():
            return load_mnist(spec, data_dir)
        case Cifar10():
            return load_cifar10(spec, data_dir)
        case Stl10():
            return load_stl10(spec, data_dir)
        case UsAccidents():
            return load_accidents(spec, data_dir)
        case Csv():
            return load_csv(spec)
        case _:
            return load_embedded(spec)


def available() -> tuple[DatasetInfo, ...]:
    """The known data sets that can be loaded by name; any other table is loaded with `Csv`."""
    names = {kind.name for kind in SPECIFICATIONS}
    return tuple(info for info in CATALOGUE if info.name in names)
