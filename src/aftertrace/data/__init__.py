"""Data sets: labelled records as every trainer sees them.

A specification says which; `load` reads it, and never asks the network, as `fetch` does. `N` records, `F` features,
`K` classes.

    data = load(Adult(encoding="onehot"), data_dir=Path("data"))     # x [N, F], label [N], classes K, columns F
    mine = load(Csv(path="loans.csv", target="default", drop=("id",)))
    data.fingerprint                                                 # equal for equal content
    [info.name for info in available()]                              # what is known, with sizes and licences
    [file for file in verify() if file.status == "unknown"]          # files that are not as published
    fetch("adult", data_dir=Path("data"))                            # what is absent, checked by checksum
"""

from aftertrace.data._accidents import UsAccidents
from aftertrace.data._adult import Adult
from aftertrace.data._catalogue import DatasetInfo, FileStatus, verify
from aftertrace.data._cifar import Cifar10
from aftertrace.data._csv import Csv
from aftertrace.data._dataset import Dataset
from aftertrace.data._embedded import BreastCancer, Digits, Wine
from aftertrace.data._fetch import Fetched, fetch
from aftertrace.data._frame import Frame, FrameColumn
from aftertrace.data._load import SPECIFICATIONS, DataSpec, available, load
from aftertrace.data._location import Location
from aftertrace.data._mnist import Mnist
from aftertrace.data._stl import Stl10
from aftertrace.data._table import Table, read_table

__all__ = [
    "SPECIFICATIONS",
    "Adult",
    "BreastCancer",
    "Cifar10",
    "Csv",
    "DataSpec",
    "Dataset",
    "DatasetInfo",
    "Digits",
    "Fetched",
    "FileStatus",
    "Frame",
    "FrameColumn",
    "Location",
    "Mnist",
    "Stl10",
    "Table",
    "UsAccidents",
    "Wine",
    "available",
    "fetch",
    "load",
    "read_table",
    "verify",
]
