"""Any training that a command does: records in a file, a model file out."""

import shlex
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aftertrace.errors import ExperimentError, TrainingError, UnsupportedError
from aftertrace.models import Model, Outputs, Records, log_values, open_model
from aftertrace.trainers._protocol import Base, Promise, Seeding, TrainingData

PLACES = ("records", "model", "seed")


@dataclass(frozen=True, kw_only=True)
class CommandTrainer:
    """Trains by `command`, once per model: no shell, its words with {records}, {model} and {seed} filled in.

    {records}: an NPZ file of `x` [n, F] and `label` [n], classes as numbers 0 to K-1; {model}: where to leave the
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
        return CommandModels(trained, data.n_classes, self.outputs, {"models": len(trained), "unconverged": 0})

    def _fit_row(self, data: TrainingData, row: NDArray[np.bool_], seed: int) -> Model:
        with tempfile.TemporaryDirectory() as folder:
            records, model = Path(folder) / "records.npz", Path(folder) / f"model{self.suffix}"
            np.savez(records, x=data.x[row], label=data.label[row])
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

    def __len__(self) -> int:
        return len(self.trained)

    def log_posteriors(self, x: NDArray[np.float64], model: NDArray[np.int64]) -> NDArray[np.float64]:
        """[Q, F], [Q] -> [Q, K]; `-inf` for classes that a model does not name. Raises `TrainingError`."""
        values = np.full((len(x), self.n_classes), -np.inf)
        for number in np.unique(model):
            rows, own = np.flatnonzero(model == number), self.trained[number]
            answers = log_values([own.answer(Records(array=x[rows]))], self.outputs).values[:, 0]
            values[rows[:, None], self._places(own, answers.shape[1])] = answers
        return values

    def _places(self, model: Model, width: int) -> NDArray[np.int64]:
        names = model.classes or tuple(str(k) for k in range(width))
        known = {str(k): k for k in range(self.n_classes)}
        if len(names) != width or not set(names) <= known.keys():
            raise TrainingError(
                f"The command's model must answer a column per class, named 0 to {self.n_classes - 1}; got "
                f"{', '.join(names)}, and {width} columns."
            )
        return np.array([known[name] for name in names], dtype=np.int64)


def _filled(word: str, places: Mapping[str, str]) -> str:
    for name, value in places.items():
        word = word.replace(f"{{{name}}}", value)
    return word
