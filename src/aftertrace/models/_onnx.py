"""ONNX files, run by onnxruntime on the CPU."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aftertrace.errors import InputError, UnsupportedError
from aftertrace.models._batches import answer_table, batches, joined
from aftertrace.models._classes import class_names
from aftertrace.models._protocol import Floats
from aftertrace.models._records import Records

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, NodeArg

TYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
    "tensor(string)": np.object_,
}
"""Types of inputs that records can have."""

FLOATS = ("tensor(float)", "tensor(double)", "tensor(float16)")
NAMED = "seq(map("
"""How the type of answers begins that scikit-learn's converters write: class names to probabilities, per record."""

LOCATION = re.compile(rb"\x0a\x08location\x12([\x00-\x7f]|[\x80-\xff][\x00-\x7f])", re.DOTALL)
"""Where a tensor outside the file is said to be: the key, and the length of the path that follows."""


@dataclass(frozen=True, eq=False)
class OnnxModel:
    """A graph with one input [Q, ...], or one for each column of a table, by name; it answers [Q, K].

    Where it was exported for one number of records, it is asked for as many at a time.
    """

    session: "InferenceSession"
    name: str
    fingerprint: str
    output: "NodeArg"
    classes: tuple[str, ...] | None = None

    def answer(self, records: Records) -> Floats:
        """[Q, K]. Raises `InputError` for records that it cannot take, `TrainingError` for answers of another shape."""
        inputs = self.session.get_inputs()
        given = _given(self.name, inputs, records)
        fixed = [each.shape[0] for each in inputs if each.shape and isinstance(each.shape[0], int)]
        try:
            parts = [
                self._run({name: values[rows] for name, values in given.items()})
                for rows in batches(len(records), fixed[0] if fixed else None)
            ]
            return joined(parts, len(records))
        except _failures() as error:
            raise InputError(
                f"{self.name}: cannot take these records: {_reason(error)}. Bring them as in training."
            ) from error

    def wanted(self, records: Records) -> tuple[str, ...]:
        """The columns of the records that it takes, all where it takes them together."""
        columns = tuple(records.columns or ())
        return tuple(filter(self.takes, columns)) or columns

    def takes(self, column: str) -> bool:
        """Whether an input is called as the column is."""
        return not {each.name for each in self.session.get_inputs()}.isdisjoint((column, _written(column)))

    def _run(self, given: Mapping[str, NDArray[Any]]) -> Floats:
        (answer,) = self.session.run([self.output.name], given)
        if self.output.type.startswith(NAMED):
            return np.array([list(row.values()) for row in answer], dtype=np.float64)
        return answer_table(np.asarray(answer, dtype=np.float64), self.name)


def open_onnx(path: Path) -> OnnxModel:
    """The model in an ONNX file.

    Names of classes are known where the converter wrote a ZipMap, as scikit-learn's do unless told otherwise. The
    fingerprint is of the file, and of the files beside it that hold its tensors. Libraries of operators are not loaded.

    Raises `InputError` where the file is none, points out of its folder, or has no answer that could be posteriors, and
    `UnsupportedError` for inputs of types that records cannot have.
    """
    fingerprint = _fingerprint(path)
    session = _session(path)
    for each in session.get_inputs():
        if each.type not in TYPES:
            raise UnsupportedError(
                f"{path}: its input {each.name!r} is of type {each.type}, which records cannot have."
            )
    output = _output(path, session.get_outputs())
    return OnnxModel(session, path.name, fingerprint, output, _classes(session, output))


def _session(path: Path) -> "InferenceSession":
    try:
        import onnxruntime
    except ImportError as error:
        raise InputError(f"{path}: ONNX models need onnxruntime: pip install onnxruntime, and try again.") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # sums in one order: equal answers when asked again
    options.log_severity_level = 4  # what is wrong is raised, and said once
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except _failures() as error:
        raise InputError(f"{path}: onnxruntime cannot open it: {_reason(error)}. Export the model again.") from error


def _output(path: Path, outputs: Sequence["NodeArg"]) -> "NodeArg":
    """The one output that could be posteriors: named ones first, since labels and margins may stand beside them."""
    named = [each for each in outputs if each.type.startswith(NAMED)]
    found = named or [each for each in outputs if each.type in FLOATS]
    if len(found) != 1:
        raise InputError(
            f"{path}: must have one output of numbers [Q, K], a column per class, got "
            f"{', '.join(f'{each.name} ({each.type})' for each in outputs)}. Export it with only that; of scikit-learn "
            f"with the option zipmap=False."
        )
    return found[0]


def _classes(session: "InferenceSession", output: "NodeArg") -> tuple[str, ...] | None:
    """The names in a ZipMap, from the answer to a record of zeros; None where there is no ZipMap, or no such answer."""
    if not output.type.startswith(NAMED):
        return None
    inputs = session.get_inputs()
    shapes = [[1, *(size if isinstance(size, int) else 1 for size in each.shape[1:])] for each in inputs]
    zeros: dict[str, NDArray[Any]] = {
        each.name: np.full(shape, "" if each.type == "tensor(string)" else 0, dtype=TYPES[each.type])
        for each, shape in zip(inputs, shapes, strict=True)
    }
    try:
        (answer,) = session.run([output.name], zeros)
    except _failures():
        return None
    return class_names(list(answer[0]))


def _given(name: str, inputs: Sequence["NodeArg"], records: Records) -> Mapping[str, NDArray[Any]]:
    """What each input gets: a column [Q, 1] by its name, or the only one all records."""
    columns = _spelled(records.columns or {})
    missing = [each.name for each in inputs if each.name not in columns]
    if not missing:
        return {each.name: _column(name, each, columns[each.name]) for each in inputs}
    if len(inputs) > 1:
        raise InputError(
            f"{name}: takes columns by name, and the records lack {', '.join(map(repr, missing[:3]))}"
            f"{f' and {len(missing) - 3} more' if len(missing) > 3 else ''}. Bring a table as in training."
        )
    return {inputs[0].name: _cast(name, inputs[0], records.as_array())}


def _spelled(columns: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
    """Columns by their names, and as scikit-learn's converters write these, unless two would be written alike."""
    names: dict[str, list[str]] = {}
    for name in columns:
        names.setdefault(_written(name), []).append(name)
    return {written: columns[own[0]] for written, own in names.items() if len(own) == 1} | dict(columns)


def _written(name: str) -> str:
    """The name of a column as scikit-learn's converters write it."""
    written = re.sub(r"[^\w+]", "_", name)
    return f"_{written}" if written[:1].isdigit() else written


def _column(name: str, node: "NodeArg", values: NDArray[Any]) -> NDArray[Any]:
    cast = _cast(name, node, values)
    return cast if len(node.shape) == 1 else cast[:, None]


def _cast(name: str, node: "NodeArg", values: NDArray[Any]) -> NDArray[Any]:
    """Values of the type that an input has. Raises `InputError` where that would change them."""
    dtype, texts = np.dtype(TYPES[node.type]), values.dtype.kind not in "biuf"
    whole = dtype.kind in "iu"
    broken = values[values != np.floor(values)] if whole and values.dtype.kind == "f" else values[:0]
    if texts != (dtype.kind == "O") or broken.size:
        wanted = "texts" if dtype.kind == "O" else "whole numbers" if whole else "numbers"
        came = "texts" if texts else "numbers"
        raise InputError(
            f"{name}: its input {node.name!r} takes {wanted}, and the records hold {came} such as "
            f"{(broken if broken.size else values).flat[0]!s}. Bring them as in training."
        )
    return np.array(values.astype(str) if texts else values, dtype=dtype, order="C")


def _fingerprint(path: Path) -> str:
    """SHA-256 of the file and of the files that hold its tensors, which must be in its folder.

    Two models may differ in those only: torch writes all weights there. onnxruntime looks at the paths itself, but
    older versions did not.
    """
    try:
        held = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}.") from error
    found = hashlib.sha256(held)
    for beside in _outside(path, held):
        with beside.open("rb") as file:
            found.update(hashlib.file_digest(file, "sha256").digest())
    return found.hexdigest()


def _outside(path: Path, held: bytes) -> Sequence[Path]:
    folder = path.resolve().parent
    locations = set()
    for found in LOCATION.finditer(held):
        length = found[1][0] if len(found[1]) == 1 else (found[1][0] & 0x7F) | found[1][1] << 7
        locations.add(held[found.end() : found.end() + length])
    files = [folder / text.decode("utf-8", "replace") for text in sorted(locations) if b"\0" not in text]
    there = [file for file in files if file.is_file()]
    if b"_ORT_MEM_ADDR_" in held or any(not file.resolve().is_relative_to(folder) for file in there):
        raise InputError(
            f"{path}: was not opened: it takes tensors from outside its folder. Export it into one folder."
        )
    return there


def _failures() -> tuple[type[Exception], ...]:
    """What onnxruntime raises; its errors have no base of their own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    own = (each for each in vars(state).values() if isinstance(each, type) and issubclass(each, Exception))
    return (*own, ValueError, RuntimeError, TypeError)


def _reason(error: Exception) -> str:
    """What onnxruntime says, in one line and without its number."""
    text = " ".join(str(error).split())
    return re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : | Please fix either .*$", "", text).rstrip(".")[:300]
