"""Any training that a command does: records in a file, a model file out."""

import csv
import shlex
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aftertrace._spelling import some
from aftertrace.data import Frame
from aftertrace.errors import ExperimentError, TrainingError, UnsupportedError
from aftertrace.models import Model, Outputs, Records, log_values, open_model
from aftertrace.trainers._protocol import Base, Promise, Seeding, TrainingData

PLACES = ("records", "model", "seed")


@dataclass(frozen=True, kw_only=True)
class CommandTrainer:
    """Trains by `command`, once per model: no shell, its words with {records}, {model} and {seed} filled in.

    {records}: an NPZ file of `x` [n, F] and `label` [n], classes as numbers 0 to K-1, or from data with a `frame` a CSV
    file of the table with its column of classes, by whose values the model may name them; {model}: where to leave the
    model, a path that ends in `suffix` (a kind that `aftertrace.models.open_model` opens; a pickle of your own making,
    as .joblib, is opened); {seed}: a number below 2^31, the same for the same stream: use it for all that is random, or
    retraining noise is not what `procedure.seed` says. `outputs`: what the model answers. The command must be in the
    PATH or be a path from the current folder. A run is addressed by these parameters: it cannot see the command's code,
    so change `version` when that changes.
    """

    command: str
    suffix: str = ".skops"
    outputs: Outputs = Outputs.AUTO
    version: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "outputs", Outputs(self.outputs))
        try:
            shlex.split(self.command)
        except ValueError as error:
            raise ExperimentError(
                [f"model.params.command: must be words of a shell ({error}), got {self.command!r}"]
            ) from error
        missing = [name for name in PLACES[:2] if f"{{{name}}}" not in self.command]
        if missing:
            raise ExperimentError(
                [f"model.params.command: must hold {{{missing[0]}}}, where the command finds it, got {self.command!r}"]
            )

    @property
    def promise(self) -> Promise:
        return Promise.EXACT

    @property
    def seedings(self) -> frozenset[Seeding]:
        return frozenset({Seeding.FRESH, Seeding.SAME})

    def fit(
        self,
        data: TrainingData,
        keep: NDArray[np.bool_],
        *,
        streams: Sequence[np.random.SeedSequence],
        device: str = "cpu",
        base: Base | None = None,
    ) -> "CommandModels":
        """One run of the command per row; `base` is not used. Raises `TrainingError` with the command's last words."""
        if device != "cpu":
            raise UnsupportedError(f"A command trains where it likes; the device must be 'cpu', got {device!r}.")
        trained = [
            self._fit_row(data, row, int(np.random.default_rng(stream).integers(2**31)))
            for row, stream in zip(keep, streams, strict=True)
        ]
        counts = {"models": len(trained), "unconverged": 0}
        return CommandModels(trained, data.n_classes, self.outputs, counts, frame=data.frame)

    def _fit_row(self, data: TrainingData, row: NDArray[np.bool_], seed: int) -> Model:
        with tempfile.TemporaryDirectory() as folder:
            records, model = _write_records(Path(folder), data, row), Path(folder) / f"model{self.suffix}"
            places = {"records": str(records), "model": str(model), "seed": str(seed)}
            self._run([_filled(word, places) for word in shlex.split(self.command)])
            if not model.exists():
                raise TrainingError(f"The training command left no {model.name} where {{model}} says: {self.command}")
            return open_model(model, trust_pickle=True)

    def _run(self, words: Sequence[str]) -> None:
        try:
            done = subprocess.run(
                words, capture_output=True, encoding="utf-8", errors="replace", check=False, stdin=subprocess.DEVNULL
            )
        except OSError as error:
            raise TrainingError(f"The training command cannot be run ({error.strerror}): {self.command}") from error
        if done.returncode:
            last = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
            raise TrainingError(f"The training command ended with status {done.returncode} ({last}): {self.command}")


@dataclass(frozen=True, eq=False)
class CommandModels:
    """Models that a command left."""

    trained: Sequence[Model]
    n_classes: int
    outputs: Outputs
    counts: Mapping[str, int] = field(default_factory=dict)
    worst: Mapping[str, float] = field(default_factory=dict)
    frame: Frame | None = None

    def __len__(self) -> int:
        return len(self.trained)

    def log_posteriors(self, x: NDArray[np.float64], model: NDArray[np.int64]) -> NDArray[np.float64]:
        """[Q, F], [Q] -> [Q, K]; `-inf` for classes that a model does not name. Raises `TrainingError`."""
        values = np.full((len(x), self.n_classes), -np.inf)
        for number in np.unique(model):
            rows, own = np.flatnonzero(model == number), self.trained[number]
            answers = log_values([own.answer(self._records(x[rows]))], self.outputs).values[:, 0]
            values[rows[:, None], self._places(own, answers.shape[1])] = answers
        return values

    def _records(self, x: NDArray[np.float64]) -> Records:
        return Records(array=x) if self.frame is None else Records(columns=self.frame.read(x))

    def _places(self, model: Model, width: int) -> NDArray[np.int64]:
        """The class of each column that a model answers: by its name in the table, or its number."""
        numbers = tuple(str(k) for k in range(self.n_classes))
        names = model.classes or tuple(str(k) for k in range(width))
        for known in (self.frame.classes if self.frame else numbers, numbers):
            if len(names) == width and set(names) <= set(known):
                return np.array([known.index(name) for name in names], dtype=np.int64)
        named = f"named {some(self.frame.classes)}, or " if self.frame else "named "
        raise TrainingError(
            f"The command's model must answer a column per class, {named}0 to {self.n_classes - 1}; got "
            f"{some(names)}, and {width} columns."
        )


def _write_records(folder: Path, data: TrainingData, row: NDArray[np.bool_]) -> Path:
    """The training records of one model: arrays, or the table that they are read back as."""
    if data.frame is None:
        path = folder / "records.npz"
        np.savez(path, x=data.x[row], label=data.label[row])
        return path
    path = folder / "records.csv"
    columns = data.frame.read(data.x[row])
    classes = [data.frame.classes[k] for k in data.label[row]]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*columns, data.frame.target])
        writer.writerows(zip(*map(_texts, columns.values()), classes, strict=True))
    return path


def _texts(column: NDArray[Any]) -> list[Any]:
    """A column as it is written to a CSV file: nothing where a value is missing."""
    return ["" if value != value else value for value in column.tolist()]


def _filled(word: str, places: Mapping[str, str]) -> str:
    for name, value in places.items():
        word = word.replace(f"{{{name}}}", value)
    return word
