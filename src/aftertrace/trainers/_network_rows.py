"""What one row of `keep` is trained on, and where its randomness comes from. No framework enters here."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from aftertrace.errors import TrainingError
from aftertrace.trainers._protocol import TrainingData
from aftertrace.trainers._scaling import standard

if TYPE_CHECKING:
    from aftertrace.trainers._network import EarlyStopping

State = dict[str, NDArray[np.generic]]
"""A network's arrays by torch's names."""
INIT, ORDER, DROPOUT, VALIDATION = range(4)  # children of a row's stream, by meaning; appended, never renumbered


@dataclass(frozen=True, eq=False)
class Row:
    """One model to train. `train` and `validation` are record numbers; `mean`, `scale` [F] belong to the model.

    `first`: the weights that training goes on from; new ones without it.
    """

    stream: np.random.SeedSequence
    train: NDArray[np.intp]
    validation: NDArray[np.intp]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    first: State | None = None

    def seed(self, purpose: int) -> int:
        """A seed of 64 bits for a framework's own generator."""
        return int(child(self.stream, purpose).generate_state(1, np.uint64)[0])

    def orders(self) -> Iterator[NDArray[np.intp]]:
        """The order of the training records in each epoch, without end. -> positions in `train`"""
        rng = np.random.default_rng(child(self.stream, ORDER))
        while True:
            yield rng.permutation(len(self.train))

    def scaled(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """[Q, F] -> [Q, F] in this model's units."""
        units = x - self.mean
        units /= self.scale
        return units


class Stopping:
    """Counts epochs without a lower validation loss, and holds the best state where it is to be restored."""

    def __init__(self, rule: "EarlyStopping") -> None:
        self._rule = rule
        self._lowest = math.inf
        self._stale = 0
        self.best: State | None = None

    def ends(self, loss: float, state: Callable[[], State]) -> bool:
        """Whether training ends after an epoch with validation loss `loss` and model `state()`."""
        self._stale = 0 if loss < self._lowest - self._rule.tolerance else self._stale + 1
        if loss < self._lowest:
            self._lowest = loss
            self.best = state() if self._rule.restore else None
        return self._stale >= self._rule.patience


def child(stream: np.random.SeedSequence, purpose: int) -> np.random.SeedSequence:
    """A child by meaning. Unlike `SeedSequence.spawn` it leaves `stream` as it is."""
    return np.random.SeedSequence(stream.entropy, spawn_key=(*stream.spawn_key, purpose), pool_size=stream.pool_size)


def rows_of(
    data: TrainingData,
    keep: NDArray[np.bool_],
    streams: Sequence[np.random.SeedSequence],
    *,
    scaled: bool,
    share: float,
) -> list[Row]:
    """The rows of `keep`. `share` of a row's records (rounded, at least one) is set aside for validation.

    Raises `TrainingError` where a row keeps too few records.
    """
    return [
        _row(data, np.flatnonzero(kept), stream, scaled=scaled, share=share)
        for kept, stream in zip(keep, streams, strict=True)
    ]


def _row(
    data: TrainingData, records: NDArray[np.intp], stream: np.random.SeedSequence, *, scaled: bool, share: float
) -> Row:
    aside = max(1, round(share * len(records))) if share else 0
    if len(records) <= aside:
        raise TrainingError(f"A network needs at least {aside + 1} training records in each row, got {len(records)}.")
    mean, scale = standard(data.x[records]) if scaled else (np.zeros(data.x.shape[1]), np.ones(data.x.shape[1]))
    if not aside:
        return Row(stream, records, records[:0], mean, scale)
    is_aside = np.zeros(len(records), dtype=bool)
    is_aside[np.random.default_rng(child(stream, VALIDATION)).permutation(len(records))[:aside]] = True
    return Row(stream, records[~is_aside], records[is_aside], mean, scale)
