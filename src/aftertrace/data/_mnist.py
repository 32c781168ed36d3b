"""MNIST: handwritten digits, from the IDX files as published."""

import gzip
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from aftertrace.data._catalogue import known
from aftertrace.data._dataset import Dataset
from aftertrace.data._find import find
from aftertrace.data._parts import check_part
from aftertrace.errors import DataError

SIDE = 28
MEAN, DEVIATION = 0.1307, 0.3081
"""Of the pixels of the training images, from 0 to 1; the usual normalisation, also of arXiv 2005.02205."""
_FILES = {"train": "train", "test": "t10k"}
_UNSIGNED_BYTES = 8  # the type of all values in these files


@dataclass(frozen=True, kw_only=True)
class Mnist:
    """Digits of 28 x 28 grey levels as 784 normalised pixels, row by row, and 10 classes.

    `part`: the 60 000 training images or the 10 000 test images; `records`: the first so many of them, or all. A
    thousand images take 6 MiB of memory.
    """

    name: ClassVar[str] = "mnist"
    part: Literal["train", "test"] = "train"
    records: int | None = None

    def __post_init__(self) -> None:
        check_part(self.part, self.records)


def load_mnist(spec: Mnist, data_dir: Path | None) -> Dataset:
    start = _FILES[spec.part]
    path, image = _read(f"{start}-images-idx3-ubyte", 3, data_dir)
    label_path, label = _read(f"{start}-labels-idx1-ubyte", 1, data_dir)
    if image.shape[1:] != (SIDE, SIDE) or len(image) != len(label) or label.max(initial=0) > 9:
        raise DataError(
            f"{path}: must hold images of 28 x 28 and {label_path.name} a label from 0 to 9 for each, got images "
            f"{image.shape} and {len(label)} labels up to {label.max(initial=0)}; fetch both files again."
        )
    wanted = len(image) if spec.records is None else spec.records
    if wanted > len(image):
        raise DataError(f"data.records: {path.name} holds {len(image)} images, got {wanted}; ask for fewer.")
    x = image[:wanted].reshape(wanted, -1) / 255
    x -= MEAN  # in place: all images take 360 MiB
    x /= DEVIATION
    columns = tuple(f"pixel {row} {column}" for row in range(SIDE) for column in range(SIDE))
    note = (f"the first {wanted} of the {len(image)} {spec.part} images",) if wanted < len(image) else ()
    return Dataset(spec.name, x, label[:wanted].astype(np.int64), tuple("0123456789"), columns, note)


def _read(name: str, dimensions: int, data_dir: Path | None) -> tuple[Path, NDArray[np.uint8]]:
    """An IDX file of bytes: two zeros, the type, the number of dimensions, each one's size (big-endian), the values."""
    files = [f"mnist/{name}.gz", f"mnist/{name}"]
    path = find(*files, data_dir=data_dir, source=known(Mnist.name).source)
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error}); fetch the file again.") from error
    header = 4 + 4 * dimensions
    if len(content) < header or content[:4] != bytes([0, 0, _UNSIGNED_BYTES, dimensions]):
        raise DataError(
            f"{path}: must be an IDX file of bytes in {dimensions} dimensions, got one that starts with "
            f"{content[:4].hex() or 'nothing'}; fetch the file again."
        )
    shape = struct.unpack(f">{dimensions}I", content[4:header])
    if len(content) - header != int(np.prod(shape, dtype=np.int64)):
        raise DataError(
            f"{path}: its header announces {' x '.join(map(str, shape))} values and {len(content) - header} follow; "
            f"the file is damaged: fetch it again."
        )
    return path, np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape)
