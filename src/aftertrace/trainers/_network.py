"""Neural networks: any `torch.nn.Module`, trained anew for every row of `keep`."""

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, Protocol, TypeGuard, get_args

import numpy as np
from numpy.typing import NDArray

from aftertrace.errors import TrainingError, UnsupportedError
from aftertrace.trainers._device import check_device
from aftertrace.trainers._image_networks import check_columns
from aftertrace.trainers._network_rows import Row, rows_of
from aftertrace.trainers._protocol import Base, Models, Promise, Seeding, Size, TrainingData

if TYPE_CHECKING:
    import torch

Activation = Literal["relu", "tanh", "gelu", "sigmoid"]
Optimizer = Literal["adam", "sgd"]
Precision = Literal["float32", "float64", "bf16"]
_ACTIVATIONS = {"relu": "ReLU", "tanh": "Tanh", "gelu": "GELU", "sigmoid": "Sigmoid"}
_ROWS_AT_ONCE = 512  # queries in one forward pass: the activations of a convolution stay small


class Network(Protocol):
    """An architecture: a frozen dataclass of plain values, so that a run can be addressed by it."""

    def build(self, n_features: int, n_classes: int) -> "torch.nn.Module":
        """A new module that takes [Q, F] and returns logits [Q, K]; weights drawn from torch's global generator."""
        ...


@dataclass(frozen=True)
class MLP:
    """Fully connected layers, `hidden` units each, then a linear one to the logits.

    After each hidden layer: batch normalisation if asked (its shift is then the only bias), activation, dropout with
    probability `dropout`.
    """

    hidden: tuple[int, ...] = (100,)
    activation: Activation = "relu"
    dropout: float = 0.0
    batch_norm: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "hidden", tuple(self.hidden))
        if any(units < 1 for units in self.hidden):
            raise ValueError(f"`hidden` must hold numbers of units of at least 1, got {self.hidden}.")
        _check_choice("activation", self.activation, tuple(_ACTIVATIONS))
        if not 0 <= self.dropout < 1:
            raise ValueError(f"`dropout` must be a probability in [0, 1), got {self.dropout}.")

    def widths(self, n_features: int, n_classes: int) -> tuple[int, ...]:
        """Numbers of units from the columns to the logits."""
        return (n_features, *self.hidden, n_classes)

    def build(self, n_features: int, n_classes: int) -> "torch.nn.Module":
        """[Q, F] -> [Q, K]"""
        from torch import nn

        layers: list[nn.Module] = []
        for before, units in zip((n_features, *self.hidden), self.hidden, strict=False):
            layers.append(nn.Linear(before, units, bias=not self.batch_norm))
            layers += [nn.BatchNorm1d(units)] if self.batch_norm else []
            layers.append(getattr(nn, _ACTIVATIONS[self.activation])())
            layers += [nn.Dropout(self.dropout)] if self.dropout else []
        return nn.Sequential(*layers, nn.Linear((n_features, *self.hidden)[-1], n_classes))


@dataclass(frozen=True)
class CNN:
    """The paper's SimpleCNN for images of `shape` (channels, height, width), given as rows of F = C·H·W numbers.

    conv 3×3 (32), ReLU, conv 3×3 (64), ReLU, max pool 2, dropout ¼, fully connected (128), ReLU, dropout ½, logits.
    """

    shape: tuple[int, int, int] = (1, 28, 28)

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(self.shape))
        if len(self.shape) != 3 or self.shape[0] < 1 or min(self.shape[1:]) < 6:
            raise ValueError(f"`shape` must be (channels, height, width) of at least (1, 6, 6), got {self.shape}.")

    def build(self, n_features: int, n_classes: int) -> "torch.nn.Module":
        """[Q, C·H·W] -> [Q, K]. Raises `InputError` where F is not C·H·W."""
        from torch import nn

        check_columns(self.shape, n_features)
        channels, height, width = self.shape
        pooled = 64 * ((height - 4) // 2) * ((width - 4) // 2)
        return nn.Sequential(
            nn.Unflatten(1, self.shape),
            nn.Conv2d(channels, 32, 3),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Dropout(0.25),
            nn.Flatten(),
            nn.Linear(pooled, 128),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(128, n_classes),
        )


@dataclass(frozen=True)
class EarlyStopping:
    """Stop when the validation loss has not fallen by more than `tolerance` for `patience` epochs.

    `share` of each row's own records, drawn from the row's own stream, is not trained on. With `restore` the model
    is the one of the epoch with the lowest validation loss, otherwise that of the last epoch.
    """

    share: float = 0.1
    patience: int = 10
    tolerance: float = 1e-4
    restore: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise ValueError(f"`share` must be between 0 and 1, got {self.share}.")
        if self.patience < 1:
            raise ValueError(f"`patience` must be at least 1 epoch, got {self.patience}.")
        if not self.tolerance >= 0:
            raise ValueError(f"`tolerance` must be at least 0, got {self.tolerance}.")


@dataclass(frozen=True, kw_only=True)
class NetworkTrainer:
    """Trains `network` from new weights for every row, with mini-batches and the mean cross-entropy as loss.

    `epochs` passes over the kept records, in a new order each; the last, smaller batch is kept, but where the network
    normalises batches, a last batch of one record, which has no variance, joins the one before. With `scaled`,
    columns are standardised on each model's own kept records. Weights of records are honoured: the loss of a batch
    is sum(w·l) / sum(w), and 0 where its weights sum to 0. Initial weights, order of batches and dropout masks come
    from the row's stream only, so a model does not depend on the rows beside it; `stack` rows at a time are trained
    together on a GPU. On the CPU, plain ReLU networks take a compiled path and the rest a loop over rows.
    `bf16` is float32 with autocast. Promise: 1e-8 in posteriors for `MLP` and `CNN` in float64, otherwise equal in
    distribution.

    Deviation from a plain softmax: classes without training records in a row get the log posterior -inf, and the
    others are renormalised. Masks drawn on a GPU are not those drawn on a CPU.

    Raises `ValueError` for parameters out of range.
    """

    network: Network
    optimizer: Optimizer = "adam"
    learning_rate: float = 1e-3
    momentum: float = 0.0
    weight_decay: float = 0.0
    epochs: int = 50
    batch_size: int = 64
    scaled: bool = True
    precision: Precision = "float32"
    early_stopping: EarlyStopping | None = None
    stack: int = 16

    def __post_init__(self) -> None:
        _check_choice("optimizer", self.optimizer, get_args(Optimizer))
        _check_choice("precision", self.precision, get_args(Precision))
        if not 0 < self.learning_rate < np.inf:
            raise ValueError(f"`learning_rate` must be a positive number, got {self.learning_rate}.")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"`momentum` must be in [0, 1), got {self.momentum}.")
        if self.momentum and self.optimizer != "sgd":
            raise ValueError(f"`momentum` must be 0 unless `optimizer` is 'sgd', got {self.momentum}.")
        if not 0 <= self.weight_decay < np.inf:
            raise ValueError(f"`weight_decay` must be a number of at least 0, got {self.weight_decay}.")
        for name in ("epochs", "batch_size", "stack"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be at least 1, got {getattr(self, name)}.")

    @property
    def promise(self) -> Promise:
        """Deep networks grow rounding into differences within a few steps, whatever the precision."""
        exact = self.precision == "float64" and isinstance(self.network, MLP | CNN)
        return Promise.TOLERANCE if exact else Promise.DISTRIBUTION

    @property
    def seedings(self) -> frozenset[Seeding]:
        return frozenset({Seeding.FRESH, Seeding.SAME})

    def reference(self) -> "NetworkReference":
        """The same specification, trained by the plain torch loop always: what the other paths must equal."""
        return NetworkReference(self)

    def short(self, epochs: int = 2) -> "NetworkTrainer | None":
        """The same specification in float64 with few epochs, where rounding has no time to grow.

        None for networks in which it has: ResNet-50 turns 1e-16 into 1e-10 in 5 steps and 1e-3 in 10.
        """
        if not isinstance(self.network, MLP | CNN):
            return None
        return replace(self, epochs=epochs, precision="float64")

    def working_bytes(self, size: Size) -> int:
        """About the most that training on the CPU and its models hold: records, optimiser, activations, weights."""
        number = 8 if self.precision == "float64" else 4
        weights = _n_weights(self.network, size.features, size.classes)
        widest = _n_activations(self.network, size.features)
        records = size.records * size.features * (8 + 2 * number)
        return records + number * (weights * (size.models + 8) + 4 * widest * max(self.batch_size, _ROWS_AT_ONCE))

    def fit(
        self,
        data: TrainingData,
        keep: NDArray[np.bool_],
        *,
        streams: Sequence[np.random.SeedSequence],
        device: str = "cpu",
        base: Base | None = None,
    ) -> "NetworkModels":
        """One model per row; `base` is not used. Devices: 'cpu', 'cuda', 'cuda:1' and so on.

        Raises `TrainingError` where a row has no records or training cannot go on, and `UnsupportedError` for other
        devices or where torch is not installed.
        """
        return self._fitted(data, keep, _rows(self, data, keep, streams), device)

    def staged(self, stages: int) -> "NetworkTrainer":
        """With 2 e / (stages + 1) of its e epochs, at least 1: stage r has r / stages of the records."""
        return replace(self, epochs=max(1, round(2 * self.epochs / (stages + 1))))

    def go_on(
        self,
        data: TrainingData,
        keep: NDArray[np.bool_],
        *,
        streams: Sequence[np.random.SeedSequence],
        device: str = "cpu",
        start: Sequence[tuple[Models, int]],
    ) -> "NetworkModels":
        """As `fit`, from the weights of models trained earlier; moments of the optimiser and units are new."""
        return self._fitted(data, keep, _started(_rows(self, data, keep, streams), start), device)

    def _fitted(self, data: TrainingData, keep: NDArray[np.bool_], rows: Sequence[Row], device: str) -> "NetworkModels":
        _check_device(device)
        states: list[dict[str, NDArray[np.generic]]]
        if device != "cpu":
            from aftertrace.trainers._network_stack import fit_stacked

            states = fit_stacked(self, data, rows, device)
        elif compiles(self):
            from aftertrace.trainers._mlp import fit_compiled

            states = fit_compiled(self, data, rows)
        else:
            from aftertrace.trainers._network_loop import fit_loop

            states = fit_loop(self, data, rows, device="cpu", tuned=True)
        return _models(self, data, keep, rows, states, device)


@dataclass(frozen=True)
class NetworkReference:
    """Trains what `trainer` specifies by a plain torch loop, one model at a time, on any device. Slow and obvious."""

    trainer: NetworkTrainer

    @property
    def promise(self) -> Promise:
        return self.trainer.promise

    @property
    def seedings(self) -> frozenset[Seeding]:
        return self.trainer.seedings

    def fit(
        self,
        data: TrainingData,
        keep: NDArray[np.bool_],
        *,
        streams: Sequence[np.random.SeedSequence],
        device: str = "cpu",
        base: Base | None = None,
    ) -> "NetworkModels":
        """As `NetworkTrainer.fit`."""
        return self._fitted(data, keep, _rows(self.trainer, data, keep, streams), device)

    def staged(self, stages: int) -> "NetworkReference":
        """As `NetworkTrainer.staged`."""
        return NetworkReference(self.trainer.staged(stages))

    def go_on(
        self,
        data: TrainingData,
        keep: NDArray[np.bool_],
        *,
        streams: Sequence[np.random.SeedSequence],
        device: str = "cpu",
        start: Sequence[tuple[Models, int]],
    ) -> "NetworkModels":
        """As `NetworkTrainer.go_on`."""
        return self._fitted(data, keep, _started(_rows(self.trainer, data, keep, streams), start), device)

    def _fitted(self, data: TrainingData, keep: NDArray[np.bool_], rows: Sequence[Row], device: str) -> "NetworkModels":
        _check_device(device)
        from aftertrace.trainers._network_loop import fit_loop

        states = fit_loop(self.trainer, data, rows, device=device, tuned=False)
        return _models(self.trainer, data, keep, rows, states, device)


@dataclass(frozen=True, eq=False)
class NetworkModels:
    """Trained networks. `states[m]` holds model m's named arrays; `mean`, `scale` [M, F] its units;
    `is_present` [M, K] the classes that it was trained on.
    """

    network: Network
    states: Sequence[Mapping[str, NDArray[np.generic]]]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    is_present: NDArray[np.bool_]
    device: str = "cpu"

    @property
    def counts(self) -> Mapping[str, int]:
        return {"models": len(self.states), "unconverged": 0}

    @property
    def worst(self) -> Mapping[str, float]:
        return {}

    def __len__(self) -> int:
        return len(self.states)

    def parameters(self, model: int) -> dict[str, NDArray[np.generic]]:
        """Its arrays by torch's names, in the precision of training; `units.mean`, `units.scale` [F] of its records,
        and `units.present` [K], the classes that it was trained on.
        """
        units = {"mean": self.mean[model], "scale": self.scale[model], "present": self.is_present[model]}
        return {**self.states[model], **{f"units.{name}": value for name, value in units.items()}}

    def _logits_of(self) -> Callable[[Mapping[str, NDArray[np.generic]], NDArray[np.float64]], NDArray[np.float64]]:
        """A function of a state and records in its units."""
        if is_plain(self.network) and self.device == "cpu":
            from aftertrace.trainers._network_plain import logits

            return logits
        from aftertrace.trainers._network_loop import Evaluation

        F, K = self.mean.shape[1], self.is_present.shape[1]
        return partial(Evaluation(self.network, F, K, device=self.device).logits, rows_at_once=_ROWS_AT_ONCE)

    def log_posteriors(self, x: NDArray[np.float64], model: NDArray[np.int64]) -> NDArray[np.float64]:
        """Log-softmax without dropout, of logits in the precision of the weights. [Q, F], [Q] -> [Q, K]

        `-inf` for classes without training records. Raises `TrainingError` where a model answers NaN.
        """
        logits_of = self._logits_of()
        values = np.empty((len(x), self.is_present.shape[1]))
        for number in np.unique(model):
            rows = np.flatnonzero(model == number)
            values[rows] = logits_of(self.states[number], (x[rows] - self.mean[number]) / self.scale[number])
        if not np.isfinite(values).all():
            raise TrainingError(
                "A trained network answers NaN: its training diverged. Scale the columns, or lower `learning_rate`."
            )
        values[~self.is_present[model]] = -np.inf
        values -= values.max(axis=1, keepdims=True)
        return values - np.log(np.exp(values).sum(axis=1, keepdims=True))


def is_plain(network: Network) -> TypeGuard[MLP]:
    """Whether a network is linear layers and ReLUs, for which torch is not needed on the CPU."""
    return (
        isinstance(network, MLP)
        and bool(network.hidden)
        and network.activation == "relu"
        and not network.batch_norm
        and network.dropout == 0
    )


def compiles(trainer: NetworkTrainer) -> bool:
    """Whether the compiled path of the CPU covers a specification: plain ReLU networks in float32 or float64."""
    return is_plain(trainer.network) and trainer.precision != "bf16"


def _n_weights(network: Network, n_features: int, n_classes: int) -> int:
    match network:
        case MLP():
            return sum((a + 3) * b for a, b in pairwise(network.widths(n_features, n_classes)))
        case CNN():
            flat = n_features // network.shape[0] * 16  # 64 channels of a quarter of the pixels
            return 32 * 9 * (network.shape[0] + 64) + 128 * (flat + n_classes)
    from aftertrace.trainers._network_loop import build

    return sum(value.numel() for value in build(network, n_features, n_classes, seed=0).state_dict().values())


def _n_activations(network: Network, n_features: int) -> int:
    """Of one record in the widest layers."""
    match network:
        case MLP():
            return n_features + sum(network.hidden)
        case CNN():
            return n_features // network.shape[0] * (32 + 64)
    return 64 * n_features  # of an unknown module: as of a convolution


def _started(rows: Sequence[Row], start: Sequence[tuple[Models, int]]) -> list[Row]:
    """Rows that go on from networks trained earlier. Raises `UnsupportedError` for other models."""
    begun = []
    for row, (models, number) in zip(rows, start, strict=True):
        if not isinstance(models, NetworkModels):
            raise UnsupportedError(f"A network goes on from a network, got {type(models).__name__}.")
        begun.append(replace(row, first=dict(models.states[number])))
    return begun


def _rows(
    trainer: NetworkTrainer,
    data: TrainingData,
    keep: NDArray[np.bool_],
    streams: Sequence[np.random.SeedSequence],
) -> list[Row]:
    share = trainer.early_stopping.share if trainer.early_stopping else 0.0
    return rows_of(data, keep, streams, scaled=trainer.scaled, share=share)


def _models(
    trainer: NetworkTrainer,
    data: TrainingData,
    keep: NDArray[np.bool_],
    rows: Sequence[Row],
    states: Sequence[Mapping[str, NDArray[np.generic]]],
    device: str,
) -> NetworkModels:
    F = data.x.shape[1]
    is_present = np.zeros((len(keep), data.n_classes), dtype=bool)
    for m, kept in enumerate(keep):
        is_present[m, data.label[kept]] = True
    mean = np.array([row.mean for row in rows]).reshape(len(rows), F)
    scale = np.array([row.scale for row in rows]).reshape(len(rows), F)
    return NetworkModels(trainer.network, states, mean, scale, is_present, device)


def _check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise ValueError(f"`{name}` must be one of {', '.join(map(repr, choices))}, got {value!r}.")


def _check_device(device: str) -> None:
    """Refuse what cannot train, by name."""
    if importlib.util.find_spec("torch") is None:
        raise UnsupportedError("Networks need PyTorch, which is not installed: pip install torch.")
    check_device(device, "Networks are")
