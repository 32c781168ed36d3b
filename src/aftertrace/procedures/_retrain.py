"""Retraining from scratch, the reference of all unlearning and the attacked case of the paper."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aftertrace.errors import UnsupportedError
from aftertrace.procedures._protocol import State
from aftertrace.trainers import Base, Models, Seeding, Trainer, TrainingData


@dataclass(frozen=True)
class Retrained:
    """The state of `Retrain`: nothing but the models."""

    models: Models


@dataclass(frozen=True)
class Retrain:
    """Train a new model on the records that remain. Removals and additions alike."""

    trainer: Trainer
    seeding: Seeding = Seeding.FRESH

    def __post_init__(self) -> None:
        if self.seeding not in self.trainer.seedings:
            known = ", ".join(sorted(self.trainer.seedings))
            raise UnsupportedError(
                f"procedure.seed = {self.seeding.value!r} is not supported by {type(self.trainer).__name__}, "
                f"which can do: {known}."
            )

    @property
    def memoryless(self) -> bool:
        """A version depends on the records that train it alone."""
        return True

    def learn(
        self,
        data: TrainingData,
        keep: NDArray[np.bool_],
        *,
        streams: Sequence[np.random.SeedSequence],
        device: str = "cpu",
    ) -> Retrained:
        """One model per row of `keep`."""
        return Retrained(self.trainer.fit(data, keep, streams=streams, device=device))

    def forget(
        self,
        state: State,
        data: TrainingData,
        base: NDArray[np.int64],
        keep: NDArray[np.bool_],
        *,
        streams: Sequence[np.random.SeedSequence],
        device: str = "cpu",
    ) -> Retrained:
        """One model per row of `keep`; the earlier models are only a place to start from."""
        start = Base(state.models, base)
        return Retrained(self.trainer.fit(data, keep, streams=streams, device=device, base=start))
