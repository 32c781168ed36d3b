"""Amnesiac unlearning of a linear classifier: a procedure whose forgetting needs state from learning."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aftertrace.errors import UnsupportedError
from aftertrace.procedures._protocol import State
from aftertrace.trainers import Seeding, TrainingData


@dataclass(frozen=True, eq=False)
class LinearModels:
    """Softmax regressions on standardised columns. `weight` [M, F+1, K], `mean` and `scale` [M, F]"""

    weight: NDArray[np.float64]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    @property
    def counts(self) -> Mapping[str, int]:
        return {"models": len(self)}

    @property
    def worst(self) -> Mapping[str, float]:
        return {}

    def __len__(self) -> int:
        return len(self.weight)

    def log_posteriors(self, x: NDArray[np.float64], model: NDArray[np.int64]) -> NDArray[np.float64]:
        """Log of the softmax. [Q, F], [Q] -> [Q, K]"""
        standardised = (x - self.mean[model]) / self.scale[model]
        logits = np.einsum("qf,qfk->qk", _with_bias(standardised), self.weight[model])
        top = logits.max(axis=1, keepdims=True)
        return logits - top - np.log(np.exp(logits - top).sum(axis=1, keepdims=True))


@dataclass(frozen=True, eq=False)
class Remembered:
    """The state of `Amnesiac`: the models, each step's update [M, T, F+1, K] and the records in it [M, T, N].

    A step that was taken back stays in the list with an update of zero.
    """

    models: LinearModels
    update: NDArray[np.float64]
    batch: NDArray[np.bool_]
    keep: NDArray[np.bool_]


@dataclass(frozen=True)
class Amnesiac:
    """Stochastic gradient descent that stores every step's update, and forgets by subtracting the updates of
    all steps that saw a deleted record (L. Graves, V. Nagisetty, V. Ganesh, *Amnesiac Machine Learning*,
    AAAI 2021, arXiv 2010.10981), for a softmax regression.

    Approximate: later steps started from weights that the subtracted ones had moved. Forgetting uses no
    randomness, so `seeding` is "same". Records cannot join. The scaler is the original's.
    """

    epochs: int = 5
    batch_size: int = 50
    rate: float = 0.1

    @property
    def seeding(self) -> Seeding:
        return Seeding.SAME

    def learn(
        self,
        data: TrainingData,
        keep: NDArray[np.bool_],
        *,
        streams: Sequence[np.random.SeedSequence],
        device: str = "cpu",
    ) -> Remembered:
        """One model per row of `keep`, by plain gradient steps over shuffled batches."""
        learned = [self._learn_row(data, row, stream) for row, stream in zip(keep, streams, strict=True)]
        steps = max(len(updates) for _, _, updates, _ in learned)
        update = np.zeros((len(keep), steps, data.x.shape[1] + 1, data.n_classes))
        batch = np.zeros((len(keep), steps, data.x.shape[0]), dtype=bool)
        for m, (_, _, updates, batches) in enumerate(learned):
            update[m, : len(updates)], batch[m, : len(updates)] = updates, batches
        mean, scale = np.array([row[0] for row in learned]), np.array([row[1] for row in learned])
        return Remembered(LinearModels(update.sum(axis=1), mean, scale), update, batch, keep)

    def forget(
        self,
        state: State,
        data: TrainingData,
        base: NDArray[np.int64],
        keep: NDArray[np.bool_],
        *,
        streams: Sequence[np.random.SeedSequence],
        device: str = "cpu",
    ) -> Remembered:
        """Take back each step of model `base[m]` that saw a record which `keep[m]` no longer has."""
        if not isinstance(state, Remembered):
            raise UnsupportedError(f"Amnesiac forgets from what it learned itself, got {type(state).__name__}.")
        if (keep & ~state.keep[base]).any():
            raise UnsupportedError("Amnesiac can forget records but cannot add any.")
        gone = state.keep[base] & ~keep
        touched = np.asarray((state.batch[base] & gone[:, None, :]).any(axis=2))
        update = np.where(touched[:, :, None, None], 0.0, state.update[base])
        models = LinearModels(update.sum(axis=1), state.models.mean[base], state.models.scale[base])
        return Remembered(models, update, state.batch[base], keep)

    def _learn_row(
        self, data: TrainingData, row: NDArray[np.bool_], stream: np.random.SeedSequence
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
        rng = np.random.default_rng(stream)
        records = np.flatnonzero(row)
        mean, spread = data.x[records].mean(axis=0), data.x[records].std(axis=0)
        scale = np.where(spread > 0, spread, 1.0)
        x, target = _with_bias((data.x - mean) / scale), np.eye(data.n_classes)[data.label]
        weight = np.zeros((x.shape[1], data.n_classes))
        updates, batches = [], []
        for _ in range(self.epochs):
            for chosen in np.split(rng.permutation(records), range(self.batch_size, len(records), self.batch_size)):
                logits = x[chosen] @ weight
                odds = np.exp(logits - logits.max(axis=1, keepdims=True))
                gradient = x[chosen].T @ (odds / odds.sum(axis=1, keepdims=True) - target[chosen]) / len(chosen)
                updates.append(-self.rate * gradient)
                batches.append(np.isin(np.arange(len(row)), chosen))
                weight += updates[-1]
        return mean, scale, np.array(updates), np.array(batches)


def _with_bias(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([x, np.ones((len(x), 1))], axis=1)
