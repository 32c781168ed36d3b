"""The known data sets and their files."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from aftertrace.data._find import places

Status = Literal["complete", "known subset", "unknown", "absent"]


@dataclass(frozen=True)
class KnownFile:
    """A file of a data set as known: `file` with its subfolder; `note` on what it holds."""

    file: str
    sha256: str
    note: str
    status: Literal["complete", "known subset"] = "complete"


@dataclass(frozen=True)
class PublishedFile:
    """A whole file as its source gives it: `file` with its subfolder, `checksum` as "sha256:..." or "md5:..."."""

    file: str
    checksum: str


@dataclass(frozen=True)
class Download:
    """An address that gives `files`: the only one itself, or a tar archive of that checksum with them in it by name."""

    url: str
    files: tuple[PublishedFile, ...]
    archive: str | None = None


@dataclass(frozen=True, kw_only=True)
class DatasetInfo:
    """A known data set: sizes of the whole, licence, where its files come from (none: inside scikit-learn).

    `downloads`: what `fetch` may fetch; none where the source wants a person to ask, or there is nothing to fetch.
    """

    name: str
    summary: str
    rows: int
    features: int
    classes: int
    licence: str
    source: str
    files: tuple[KnownFile, ...] = ()
    downloads: tuple[Download, ...] = ()


@dataclass(frozen=True)
class FileStatus:
    """A known file as found on this machine: `path` is None where absent."""

    data_set: str
    file: str
    status: Status
    path: Path | None
    detail: str


def verify(data_dir: Path | None = None) -> list[FileStatus]:
    """Every known file compared by checksum with what is in the data folder, in the order of the catalogue.

    "complete": as published. "known subset": part of it, as described in `detail`. "unknown": a known name with
    other content. "absent": in none of the places searched. A file known as a subset (CIFAR-10) is complete as well
    where it is the whole one. Checksums are SHA-256, and MD5 where only that was published.
    """
    return [
        _status(info.name, file, contents, data_dir)
        for info in CATALOGUE
        for file, contents in _known_contents(info).items()
    ]


def known(name: str) -> DatasetInfo:
    """The entry of the catalogue called `name`."""
    return next(info for info in CATALOGUE if info.name == name)


def has_checksum(path: Path, checksum: str) -> bool:
    """Whether a file's content is that of a checksum such as "md5:...". Raises `OSError` where it cannot be read."""
    algorithm, _, expected = checksum.partition(":")
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest() == expected


_Content = tuple[str, Status, str]
"""A content that a file is known with: its checksum, and the status and the detail to give."""


def _known_contents(info: DatasetInfo) -> dict[str, list[_Content]]:
    """By file; the whole one comes last, where the catalogue knows of another."""
    contents: dict[str, list[_Content]] = {
        each.file: [(f"sha256:{each.sha256}", each.status, each.note)] for each in info.files
    }
    for published in (each for download in info.downloads for each in download.files):
        known_here = contents.setdefault(published.file, [])
        if published.checksum not in [checksum for checksum, _, _ in known_here]:
            known_here.append((published.checksum, "complete", "as published"))
    return contents


def _status(data_set: str, file: str, contents: list[_Content], data_dir: Path | None) -> FileStatus:
    searched = places(file, data_dir)
    path = next((place for place in searched if place.is_file()), None)
    if path is None:
        return FileStatus(data_set, file, "absent", None, f"neither {searched[0]} nor {searched[1]}")
    try:
        for checksum, status, detail in contents:
            if has_checksum(path, checksum):
                return FileStatus(data_set, file, status, path, detail)
    except OSError as error:
        return FileStatus(data_set, file, "unknown", path, f"cannot be read ({error.strerror})")
    kind = "SHA-256" if contents[0][0].startswith("sha256:") else "MD5"
    return FileStatus(data_set, file, "unknown", path, f"changed, truncated or another edition: {kind} differs")


def _singly(folder: str, files: tuple[KnownFile, ...]) -> tuple[Download, ...]:
    """Files that are published as they are, next to each other."""
    return tuple(
        Download(folder + Path(each.file).name, (PublishedFile(each.file, f"sha256:{each.sha256}"),)) for each in files
    )


_CIFAR = "cifar-10-batches-py"
_CIFAR_META = "f962466ef690d46b226450fb9aadc74ba4bc64a76aa526b5827fe4bc5c7125cb"
_SUBSET: Literal["known subset"] = "known subset"

_CIFAR_BATCHES = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
}
"""MD5 of the whole batches, as published."""
_STL_FILES = {
    "train_X.bin": "918c2871b30a85fa023e0c44e0bee87f",
    "train_y.bin": "5a34089d4802c674881badbb80307741",
    "test_X.bin": "7f263ba9f9e0b06b93213547f721ac82",
    "test_y.bin": "36f9794fa4beb8a2c72628de14fa638e",
}
"""MD5, as torchvision states them. The archive also holds 2.6 GiB of unlabelled images, which nothing here reads."""
_ADULT = (
    KnownFile(
        "adult/adult.data",
        "5b00264637dbfec36bdeaab5676b0b309ff9eb788d63554ca0a249491c86603d",
        "32 561 records",
    ),
    KnownFile(
        "adult/adult.test",
        "a2a9044bc167a35b2361efbabec64e89d69ce82d9790d2980119aac5fd7e9c05",
        "16 281 records",
    ),
)
_MNIST = (
    KnownFile(
        "mnist/train-images-idx3-ubyte.gz",
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "60 000 training images",
    ),
    KnownFile(
        "mnist/train-labels-idx1-ubyte.gz",
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "60 000 training labels",
    ),
    KnownFile(
        "mnist/t10k-images-idx3-ubyte.gz",
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "10 000 test images",
    ),
    KnownFile(
        "mnist/t10k-labels-idx1-ubyte.gz",
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        "10 000 test labels",
    ),
)

CATALOGUE = (
    DatasetInfo(
        name="digits",
        summary="handwritten digits of 8 x 8 grey levels",
        rows=1797,
        features=64,
        classes=10,
        licence="CC BY 4.0",
        source="scikit-learn (UCI, Optical Recognition of Handwritten Digits, test part)",
    ),
    DatasetInfo(
        name="breast-cancer",
        summary="malignant or benign from measures of cell nuclei",
        rows=569,
        features=30,
        classes=2,
        licence="CC BY 4.0",
        source="scikit-learn (UCI, Breast Cancer Wisconsin Diagnostic)",
    ),
    DatasetInfo(
        name="wine",
        summary="cultivar of a wine from its chemical analysis",
        rows=178,
        features=13,
        classes=3,
        licence="CC BY 4.0",
        source="scikit-learn (UCI, Wine)",
    ),
    DatasetInfo(
        name="adult",
        summary="income above 50 000 dollars from the census of 1994",
        rows=48_842,
        features=14,
        classes=2,
        licence="CC BY 4.0",
        source="the UCI Machine Learning Repository, data set Adult",
        files=_ADULT,
        downloads=_singly("https://archive.ics.uci.edu/ml/machine-learning-databases/adult/", _ADULT),
    ),
    DatasetInfo(
        name="location",
        summary="category of a venue in New York from its check-ins by hour of the week, a stand-in for Insta-NY",
        rows=13_839,
        features=168,
        classes=9,
        licence="research use; cite Yang et al. 2015 and MARC (Petry et al. 2020)",
        source="the New York check-ins of MARC (Petry et al. 2020), counted by venue and hour of the week",
        files=(
            KnownFile(
                "location/nyc_withCatId.csv.gz",
                "2c40e1e0bd7cc044ff41e4e135d88c1ffc1802eb050aa300a670124e7c8de54a",
                "13 839 venues of New York, a stand-in for Insta-NY",
            ),
        ),
    ),
    DatasetInfo(
        name="mnist",
        summary="handwritten digits of 28 x 28 grey levels",
        rows=70_000,
        features=784,
        classes=10,
        licence="CC BY-SA 3.0",
        source="the MNIST database of LeCun, Cortes and Burges",
        files=_MNIST,
        downloads=_singly("https://ossci-datasets.s3.amazonaws.com/mnist/", _MNIST),
    ),
    DatasetInfo(
        name="cifar-10",
        summary="colour photographs of 32 x 32 pixels",
        rows=60_000,
        features=3072,
        classes=10,
        licence="none stated; research use, cite Krizhevsky 2009",
        source="the CIFAR-10 page of A. Krizhevsky, python version",
        files=(
            KnownFile(
                f"{_CIFAR}/batches.meta",
                _CIFAR_META,
                "names of the classes",
            ),
            KnownFile(
                f"{_CIFAR}/data_batch_1",
                "1a392bce3589a8f60773b82bff1d855254b62b255a710c2719abfb9147b0aa11",
                "the first 4 000 of 10 000 images",
                _SUBSET,
            ),
            KnownFile(
                f"{_CIFAR}/data_batch_2",
                "21ab0bd3a67c83f2317e144a6be043a5a431e974b943a4760d1445cf160c5e2d",
                "the first 1 000 of 10 000 images",
                _SUBSET,
            ),
            KnownFile(
                f"{_CIFAR}/data_batch_3",
                "3bf58841a73bde102df5539a6d3ca52c7d911425f7c4b62facd332621daa83fa",
                "the first 1 000 of 10 000 images",
                _SUBSET,
            ),
            KnownFile(
                f"{_CIFAR}/data_batch_4",
                "7cde41779952711f7a6a9e13b2d1d138e83662784fc8839d893ff7c30ef93ce4",
                "the first 1 000 of 10 000 images",
                _SUBSET,
            ),
            KnownFile(
                f"{_CIFAR}/data_batch_5",
                "99493c898bc3789ffeb8b8ce00d81f0b6c2b07cf6bafb9468c66eb51dc4ddf9d",
                "the first 1 000 of 10 000 images",
                _SUBSET,
            ),
            KnownFile(
                f"{_CIFAR}/test_batch",
                "427be5899ea809cf87280498b43cd3ff3be4576551efd918b3878b81dad0e145",
                "the first 1 000 of 10 000 images",
                _SUBSET,
            ),
        ),
        downloads=(
            Download(
                "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
                (
                    PublishedFile(f"{_CIFAR}/batches.meta", f"sha256:{_CIFAR_META}"),
                    *(PublishedFile(f"{_CIFAR}/{name}", f"md5:{md5}") for name, md5 in _CIFAR_BATCHES.items()),
                ),
                archive="md5:c58f30108f718f92721af3b95e74349a",
            ),
        ),
    ),
    DatasetInfo(
        name="stl-10",
        summary="colour photographs of 96 x 96 pixels, reduced to 32 x 32",
        rows=13_000,
        features=3072,
        classes=10,
        licence="none stated; research use, cite Coates, Ng and Lee 2011",
        source="the STL-10 page of A. Coates, binary files",
        downloads=(
            Download(
                "http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz",
                tuple(PublishedFile(f"stl10_binary/{name}", f"md5:{md5}") for name, md5 in _STL_FILES.items()),
                archive="md5:91f7769df0f17e558f3565bffb0c7dfb",
            ),
        ),
    ),
    DatasetInfo(
        name="us-accidents",
        summary="severity of a traffic accident in the United States, March 2023",
        rows=7_728_394,
        features=29,
        classes=2,
        licence="CC BY-NC-SA 4.0, research only",
        source="Kaggle, data set US Accidents of S. Moosavi",
        files=(
            KnownFile(
                "us_accidents/US_Accidents_March23_sample.csv.gz",
                "55500292193d62eddf918bb1873fd36ea480bf0814420cb4df0009101ccf9f61",
                "9 012 random records of March 2023",
                _SUBSET,
            ),
            KnownFile(
                "us_accidents/US_Accidents_March23_balanced.csv.gz",
                "32462b2dbb44506610dbec8bbbbdfee66dcfa7d7d87c0e2e67bd18717f4583db",
                "1 000 records of each severity without missing values, March 2023",
                _SUBSET,
            ),
            KnownFile(
                "us_accidents/US_Accidents_May19_first10000.csv.gz",
                "bd539677085f44d9402b8677748dda8292c4134bf18a729258d5219d82cc70a1",
                "the first 10 000 records of May 2019",
                _SUBSET,
            ),
        ),
    ),
)
