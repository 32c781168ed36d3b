"""STL-10: colour photographs of 96 x 96 pixels, from the binary files as published, reduced to 32 x 32."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from aftertrace.data._catalogue import known
from aftertrace.data._cifar import COLOURS, SIDE, pixel_columns
from aftertrace.data._dataset import Dataset
from aftertrace.data._find import find, places
from aftertrace.data._parts import check_part
from aftertrace.errors import DataError

CLASSES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")
BLOCK = 3
"""Each pixel is the mean of so many by so many of the file."""
_FOLDER = "stl10_binary"
_BYTES = len(COLOURS) * (BLOCK * SIDE) ** 2


@dataclass(frozen=True, kw_only=True)
class Stl10:
    """Photographs of 96 x 96 pixels, reduced to 32 x 32, as 3 072 values from -1 to 1 and 10 classes.

    Each value is the mean of a block of 3 x 3 pixels, as (v / 255 - .5) / .5; all red values come first, then green,
    then blue, each row by row: the `shape` of a CNN is [3, 32, 32]. `part`: the 5 000 training or the 8 000 test
    images; `records`: the first so many of them, or all. A thousand images take 24 MiB of memory, three times that
    while they are read. The unlabelled images are not used.

    Deviation from the released code of arXiv 2005.02205: it pads training images, but not test images, by 4 black
    pixels on each side and resizes with bilinear interpolation; here both parts are treated alike.
    """

    name: ClassVar[str] = "stl-10"
    part: Literal["train", "test"] = "train"
    records: int | None = None

    def __post_init__(self) -> None:
        check_part(self.part, self.records)


def load_stl10(spec: Stl10, data_dir: Path | None) -> Dataset:
    path, image = _read(f"{spec.part}_X.bin", data_dir)
    label_path, label = _read(f"{spec.part}_y.bin", data_dir)
    held = len(label)
    if len(image) != held * _BYTES or held == 0 or not 1 <= label.min() <= label.max() <= len(CLASSES):
        raise DataError(
            f"{path}: must hold {_BYTES} bytes for each image and {label_path.name} a label from 1 to 10, got "
            f"{len(image)} bytes and {held} labels up to {label.max(initial=0)}; fetch both files again."
        )
    wanted = held if spec.records is None else spec.records
    if wanted > held:
        raise DataError(f"data.records: {path.name} holds {held} images, got {wanted}; ask for fewer.")
    x = _reduced(image[: wanted * _BYTES])
    x /= 255 / 2  # in place, as in `load_cifar10`
    x -= 1
    notes = ["96 x 96 pixels reduced to 32 x 32 by means of blocks"]
    if wanted < held:
        notes.append(f"the first {wanted} of the {held} {spec.part} images")
    y = label[:wanted].astype(np.int64) - 1
    return Dataset(spec.name, x, y, _classes(data_dir), pixel_columns(), tuple(notes))


def _reduced(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Means of blocks [N, F]. The file holds each colour column by column: its axes are image, colour, column, row."""
    blocks = image.reshape(-1, len(COLOURS), SIDE, BLOCK, SIDE, BLOCK)
    means = blocks.mean(axis=(3, 5))
    return np.ascontiguousarray(means.swapaxes(2, 3)).reshape(len(means), -1)


def _read(name: str, data_dir: Path | None) -> tuple[Path, NDArray[np.uint8]]:
    path = find(f"{_FOLDER}/{name}", data_dir=data_dir, source=known(Stl10.name).source)
    return path, np.frombuffer(_content(path), dtype=np.uint8)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error}); fetch the file again.") from error


def _classes(data_dir: Path | None) -> tuple[str, ...]:
    """As `class_names.txt` names them, a line each; the known names where there is no such file."""
    path = next((place for place in places(f"{_FOLDER}/class_names.txt", data_dir) if place.is_file()), None)
    if path is None:
        return CLASSES
    names = _content(path).decode(errors="replace").split()
    if len(names) != len(CLASSES) or len(set(names)) < len(names):
        raise DataError(
            f"{path}: must hold {len(CLASSES)} names that differ, a line each, got {len(names)}: "
            f"{', '.join(names)[:200]}; fetch the file again, or remove it."
        )
    return tuple(names)
