"""CIFAR-10: colour photographs, from the pickled batches of the python version, of which nothing is run."""

import io
import pickle
import pickletools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aftertrace.data._catalogue import known
from aftertrace.data._dataset import Dataset
from aftertrace.data._find import find, places
from aftertrace.data._parts import check_part
from aftertrace.errors import DataError

SIDE = 32
COLOURS = ("red", "green", "blue")
MEAN, DEVIATION = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
"""Of each colour in the training images, from 0 to 1: the usual normalisation."""
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
MOST_TUPLES = 1000
"""In a file; an array takes about six."""
_FOLDER = "cifar-10-batches-py"
_BATCHES = {"train": tuple(f"data_batch_{number}" for number in range(1, 6)), "test": ("test_batch",)}
_PUBLISHED = {"train": 50_000, "test": 10_000}


@dataclass(frozen=True, kw_only=True)
class Cifar10:
    """Photographs of 32 x 32 pixels as 3 072 normalised values and 10 classes.

    All red values come first, then green, then blue, each row by row, as in the file: the `shape` of a CNN is
    [3, 32, 32]. `part`: the five training batches in order, or the test batch, as many images as the files hold
    (published: 50 000 and 10 000); `records`: the first so many of them, or all. A thousand images take 24 MiB of
    memory. The files are pickles: they are read without running anything that they name.

    Deviations from the released code of arXiv 2005.02205: it divides by .2023, .1994 and .2010, which are not the
    deviations of the pixels, and flips images at random in training.
    """

    name: ClassVar[str] = "cifar-10"
    part: Literal["train", "test"] = "train"
    records: int | None = None

    def __post_init__(self) -> None:
        check_part(self.part, self.records)


def load_cifar10(spec: Cifar10, data_dir: Path | None) -> Dataset:
    batches = [_batch(name, data_dir) for name in _BATCHES[spec.part]]
    image = np.concatenate([image for image, _ in batches])
    label = np.concatenate([label for _, label in batches])
    wanted = len(image) if spec.records is None else spec.records
    if wanted > len(image):
        raise DataError(f"data.records: the {spec.part} batches hold {len(image)} images, got {wanted}; ask for fewer.")
    x = image[:wanted].reshape(wanted, len(COLOURS), SIDE * SIDE) / 255
    x -= np.array(MEAN)[:, None]  # in place: all images take 1.2 GiB
    x /= np.array(DEVIATION)[:, None]
    notes = []
    if len(image) < _PUBLISHED[spec.part]:
        notes.append(f"a subset: {len(image)} of the {_PUBLISHED[spec.part]} published {spec.part} images")
    if wanted < len(image):
        notes.append(f"the first {wanted} of the {len(image)} {spec.part} images")
    return Dataset(spec.name, x.reshape(wanted, -1), label[:wanted], _classes(data_dir), pixel_columns(), tuple(notes))


def pixel_columns() -> tuple[str, ...]:
    """Names of the values of an image: colour by colour, row by row."""
    return tuple(f"{colour} {row} {column}" for colour in COLOURS for row in range(SIDE) for column in range(SIDE))


def _batch(name: str, data_dir: Path | None) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images [n, 3072] and labels [n] of one file."""
    path = find(f"{_FOLDER}/{name}", data_dir=data_dir, source=known(Cifar10.name).source)
    content = read_pickle(path)
    image, label = content.get("data"), content.get("labels")
    if not isinstance(image, _Array) or not isinstance(label, list):
        raise DataError(
            f"{path}: must hold an array `data` and a list `labels`, got {', '.join(content) or 'nothing'}; "
            f"fetch the file again."
        )
    values, wrong = image.values, sum(not _is_class(number) for number in label)
    if values.shape != (len(label), len(COLOURS) * SIDE * SIDE) or wrong:
        raise DataError(
            f"{path}: must hold {len(COLOURS) * SIDE * SIDE} bytes and a label from 0 to 9 for each image, got data "
            f"{values.shape} and {len(label)} labels, {wrong} of them others; fetch the file again."
        )
    return values, np.array(label, dtype=np.int64)


def _is_class(number: object) -> bool:
    return type(number) is int and 0 <= number < len(CLASSES)


def _classes(data_dir: Path | None) -> tuple[str, ...]:
    """As `batches.meta` names them; the known names where there is no such file, which subsets often leave out."""
    path = next((place for place in places(f"{_FOLDER}/batches.meta", data_dir) if place.is_file()), None)
    if path is None:
        return CLASSES
    names = read_pickle(path).get("label_names")
    texts = [_text(name) for name in names] if isinstance(names, list) else []
    if len(texts) != len(CLASSES) or len(set(texts)) < len(texts):
        raise DataError(
            f"{path}: must hold a list `label_names` of {len(CLASSES)} names that differ, got {texts!r:.200}; "
            f"fetch the file again, or remove it."
        )
    return tuple(texts)


def read_pickle(path: Path) -> dict[str, Any]:
    """The dictionary in a file of CIFAR-10, keys as text, byte strings of Python 2 as bytes, arrays as `_Array`.

    No name in the file is ever looked up in a module: a few are replaced by the makers below, all others raise
    `DataError`, as does a file that is no such pickle.
    """
    try:
        packed = path.read_bytes()
        _check_operations(packed)
        content = _Unpickler(io.BytesIO(packed), encoding="bytes").load()
    except _RefusedError as error:
        raise DataError(f"{path}: {error}; fetch the file again from a source that you trust.") from error
    except Exception as error:  # whatever bytes make an unpickler raise: its documentation promises no list
        raise DataError(
            f"{path}: cannot be read as a pickle ({type(error).__name__}: {error}); fetch the file again."
        ) from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: must hold a dictionary, got {type(content).__name__}; fetch the file again.")
    return {_text(key): value for key, value in content.items()}


def _check_operations(packed: bytes) -> None:
    """What would take the interpreter down: more memory than there is, as a damaged file may ask for, or tuples in
    tuples, whose hash overflows the stack.
    """
    n_tuples = 0
    for operation, argument, _ in pickletools.genops(packed):
        if operation.name in ("PUT", "LONG_BINPUT") and int(argument or 0) > len(packed):
            raise _RefusedError(f"must number its objects one by one, and has a number {argument}")
        n_tuples += "TUPLE" in operation.name
    if n_tuples > MOST_TUPLES:
        raise _RefusedError(f"must hold at most {MOST_TUPLES} tuples, and holds {n_tuples}")


def _text(value: object) -> str:
    return value.decode("latin1") if isinstance(value, bytes) else str(value)


class _RefusedError(Exception):
    """The file names something that no batch needs."""


class _Maker(NamedTuple):
    """What a pickle gets in place of a function. A tuple, because a pickle can set attributes of functions and classes
    that it gets hold of; of a tuple it can set none.
    """

    kind: str

    def __call__(self, *arguments: object) -> object:
        match self.kind, arguments:
            case "array", _:
                return _Array()
            case "dtype", [bytes() | str() as code, *_]:
                return _Dtype(code)
            case "bytes", [str() as text, "latin1"]:
                return text.encode("latin1")
        raise _RefusedError(f"must hold arrays of bytes, and asks for {self.kind} of {arguments!r:.80}")


class _Dtype:
    """The type of an array as the file names it."""

    def __init__(self, code: bytes | str) -> None:
        self.code = code

    def __setstate__(self, state: object) -> None:
        """The byte order and fields that follow mean nothing for single bytes."""


class _Array:
    """An array of bytes, made here from its content, so that the file never reaches numpy's own constructors."""

    def __init__(self) -> None:
        self.values: NDArray[np.uint8] = np.empty(0, dtype=np.uint8)

    def __setstate__(self, state: object) -> None:
        match state:
            case (_, tuple() as shape, _Dtype(code=b"u1" | "u1"), by_column, bytes() as content):
                order: Literal["F", "C"] = "F" if by_column else "C"
                self.values = np.frombuffer(content, dtype=np.uint8).reshape(shape, order=order)
            case _:
                raise _RefusedError("must hold arrays of bytes (uint8), and holds another")


_NAMES = {
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _Maker("array") for core in ("core", "_core")},
    ("numpy", "ndarray"): _Maker("ndarray"),  # only as an argument of _reconstruct
    ("numpy", "dtype"): _Maker("dtype"),
    ("_codecs", "encode"): _Maker("bytes"),  # how Python 3 writes bytes in protocol 2
}
"""All that a batch may name, and what it gets."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> _Maker:
        try:
            return _NAMES[module, name]
        except KeyError:
            raise _RefusedError(
                f"must hold arrays, texts, numbers, lists and dictionaries only, and asks for {module}.{name}, "
                f"of which nothing was run"
            ) from None
