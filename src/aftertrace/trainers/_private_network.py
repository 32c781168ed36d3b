"""DP-SGD: neural networks trained on clipped gradients of single records, with Gaussian noise."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from aftertrace.errors import UnsupportedError
from aftertrace.trainers._accounting import ACCOUNT, dp_sgd_epsilon, noise_for
from aftertrace.trainers._device import check_device
from aftertrace.trainers._network import (
    MLP,
    Network,
    NetworkModels,
    Optimizer,
    _check_choice,
    _n_activations,
    _n_weights,
    is_plain,
)
from aftertrace.trainers._network_plain import initial
from aftertrace.trainers._network_rows import INIT, VALIDATION, Row, State, child, rows_of
from aftertrace.trainers._protocol import Base, Guarantee, Promise, Seeding, Size, TrainingData
from aftertrace.trainers._public_bounds import public_range

if TYPE_CHECKING:
    import torch
    from torch import nn

Array = NDArray[np.floating]
_SAMPLE, _NOISE = VALIDATION + 1, VALIDATION + 2  # children of a row's stream, after those of `_network_rows`
_BETA, _GAMMA, _EPS = 0.9, 0.999, 1e-8  # Adam's (Kingma and Ba, 2015), as torch sets them
_HELD = 2**24  # numbers in the gradients of single records that are held at once: 64 MiB in float32
_SHORT = 5  # steps of the schedule that a certificate compares


@dataclass(frozen=True, kw_only=True)
class PrivateNetworkTrainer:
    """Trains `network` by DP-SGD (M. Abadi et al., CCS 2016, arXiv 1607.00133, algorithm 1), anew for every row.

    Each of `steps` steps takes every kept record with probability `sample_rate`, independently (Poisson sampling).
    Each taken record's gradient of the cross-entropy, over all parameters together, is scaled to an L2 norm of at
    most `clip`; Gaussian noise with standard deviation `noise_multiplier`·`clip` is added to every coordinate of the
    sum; the optimiser moves by the result over the expected number of taken records. `sample_rate`·`steps` is the
    number of passes over the records. Give either `noise_multiplier` or `epsilon`, for which the least noise is
    searched (see `aftertrace.trainers._accounting.noise_for`).

    The guarantee is (epsilon, `delta`) for one record added or removed, of the final weights and of all steps before.
    It takes as public, and does not cover: the specification; the classes; the number of kept records, by which sums
    are divided (the expected batch is `sample_rate` times it, and does not depend on what is taken); and, with
    `scaled`, the ranges of the columns over all records of the data set, kept or not, which map columns to [-1, 1].
    Weights of records multiply their losses before clipping; each must depend on its own record only. Noise is drawn
    in floating point by numpy's generator: no protection against an attacker who knows the seed or reads the last
    bits of weights.

    Deviations from algorithm 1: the expected number of taken records in place of a fixed lot size; the same clipping
    with any `optimizer`, which sees noisy gradients only; the account (`dp_sgd_epsilon`). From `NetworkTrainer`:
    every class has a posterior in every model, for the absence of a class would give away its last record.

    Initial weights, samples, noise and dropout masks come from the row's stream only, each from a child of its own.
    On the CPU only. Plain ReLU networks need no torch: the norm of a record's gradient is that of its factors,
    layer by layer, and no gradient of a single record is ever formed (I. Goodfellow, arXiv 1510.01799). Other
    networks take the gradients of all taken records at once by `torch.func`. Promise: 1e-8 in posteriors in float64,
    otherwise equal in distribution.

    Raises `ValueError` for parameters out of range.
    """

    network: Network
    epsilon: float | None = None
    noise_multiplier: float | None = None
    delta: float = 1e-5
    clip: float = 1.0
    sample_rate: float = 0.05
    steps: int = 400
    optimizer: Optimizer = "sgd"
    learning_rate: float = 0.5
    scaled: bool = True
    precision: Literal["float32", "float64"] = "float32"

    def __post_init__(self) -> None:
        if (self.epsilon is None) == (self.noise_multiplier is None):
            raise ValueError(
                f"Exactly one of `epsilon` and `noise_multiplier` must be given, got epsilon={self.epsilon} and "
                f"noise_multiplier={self.noise_multiplier}."
            )
        for name in ("epsilon", "noise_multiplier", "clip", "learning_rate"):
            value = getattr(self, name)
            if value is not None and not 0 < value < np.inf:
                raise ValueError(f"`{name}` must be a positive number, got {value}.")
        if not 0 < self.delta < 1:
            raise ValueError(f"`delta` must be a probability in (0, 1), got {self.delta}.")
        if not 0 < self.sample_rate <= 1:
            raise ValueError(f"`sample_rate` must be a probability in (0, 1], got {self.sample_rate}.")
        if self.steps < 1:
            raise ValueError(f"`steps` must be at least 1, got {self.steps}.")
        _check_choice("optimizer", self.optimizer, get_args(Optimizer))
        _check_choice("precision", self.precision, ("float32", "float64"))

    @property
    def promise(self) -> Promise:
        return Promise.TOLERANCE if self.precision == "float64" else Promise.DISTRIBUTION

    @property
    def seedings(self) -> frozenset[Seeding]:
        """Fresh only: noise that versions share cancels in their difference."""
        return frozenset({Seeding.FRESH})

    def noise(self) -> float:
        """The standard deviation of the noise over `clip`: as given, or the least for `epsilon`."""
        if self.noise_multiplier is not None:
            return self.noise_multiplier
        assert self.epsilon is not None  # one of the two is given
        return noise_for(epsilon=self.epsilon, sample_rate=self.sample_rate, steps=self.steps, delta=self.delta)

    def guarantee(self, size: Size) -> Guarantee:
        """Of each model alone; the same for every number of records.

        Raises `UnsupportedError` where dp-accounting is not installed.
        """
        noise, epsilon = self.noise(), self.epsilon
        if epsilon is None:
            epsilon = dp_sgd_epsilon(
                noise_multiplier=noise, sample_rate=self.sample_rate, steps=self.steps, delta=self.delta
            )
        account = (
            f"DP-SGD, {self.steps} steps, sample rate {self.sample_rate:g}, noise multiplier {noise:.4g}, "
            f"number of records public; {ACCOUNT}"
        )
        return Guarantee(epsilon=epsilon, delta=self.delta, adjacency="add_remove", account=account)

    def reference(self) -> "PrivateNetworkReference":
        """The same specification, with the gradient of one record after the other by autograd."""
        return PrivateNetworkReference(self)

    def short(self) -> "PrivateNetworkTrainer":
        """The same steps in float64 and few of them, where rounding has no time to grow; as much noise in each."""
        steps = min(self.steps, _SHORT)
        return replace(self, epsilon=None, noise_multiplier=self.noise(), steps=steps, precision="float64")

    def working_bytes(self, size: Size) -> int:
        """About the most that training and its models hold: records, activations, gradients, weights."""
        number = np.dtype(self.precision).itemsize
        weights = _n_weights(self.network, size.features, size.classes)
        batch = round(2 * self.sample_rate * size.records) + 10  # more are hardly ever taken
        gradients = 0 if is_plain(self.network) else 3 * max(_HELD, weights)
        widest = 4 * batch * _n_activations(self.network, size.features)
        return size.records * size.features * (8 + number) + number * (weights * (size.models + 8) + widest + gradients)

    def fit(
        self,
        data: TrainingData,
        keep: NDArray[np.bool_],
        *,
        streams: Sequence[np.random.SeedSequence],
        device: str = "cpu",
        base: Base | None = None,
    ) -> NetworkModels:
        """One model per row; `base` is not used.

        Raises `TrainingError` where a row has no records; `UnsupportedError` for devices other than 'cpu', networks
        whose layers mix records or keep statistics of them, and where torch or dp-accounting is needed but not there.
        """
        make = partial(_Plain, self.network) if is_plain(self.network) else partial(_Module, self.network, _at_once)
        return _fit(self, data, keep, streams, device, make)


@dataclass(frozen=True)
class PrivateNetworkReference:
    """Trains what `trainer` specifies with a loop over the taken records and torch's autograd. Slow and obvious."""

    trainer: PrivateNetworkTrainer

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
    ) -> NetworkModels:
        """As `PrivateNetworkTrainer.fit`."""
        return _fit(self.trainer, data, keep, streams, device, partial(_Module, self.trainer.network, _one_by_one))


class _Gradients(Protocol):
    """A model in training. `theta` [P] holds its parameters in torch's order and is moved in place."""

    theta: Array

    def clipped_sum(self, x: Array, label: NDArray[np.int64], weight: Array, clip: float) -> Array:
        """Sum of the records' gradients, each scaled to a norm of at most `clip`. [B, F], [B], [B] -> [P]"""
        ...

    def state(self) -> State:
        """The parameters by torch's names."""
        ...


class _Maker(Protocol):
    def __call__(self, n_features: int, n_classes: int, row: Row, dtype: np.dtype) -> _Gradients: ...


def _fit(
    trainer: PrivateNetworkTrainer,
    data: TrainingData,
    keep: NDArray[np.bool_],
    streams: Sequence[np.random.SeedSequence],
    device: str,
    make: _Maker,
) -> NetworkModels:
    check_device(device, "Networks are")
    if device != "cpu":
        raise UnsupportedError(f"Private networks are trained on device 'cpu', got {device!r}.")
    rows = rows_of(data, keep, streams, scaled=False, share=0)
    (_, F), K = data.x.shape, data.n_classes
    mean, scale = _units(data) if trainer.scaled else (np.zeros(F), np.ones(F))
    dtype = np.dtype(trainer.precision)
    x = ((data.x - mean) / scale).astype(dtype)
    weight = np.ones(len(x), dtype) if data.weight is None else data.weight.astype(dtype)
    deviation = trainer.noise() * trainer.clip
    states = []
    for row in rows:
        model = make(F, K, row, dtype)
        _train(trainer, row, model, x, data.label, weight, deviation)
        states.append(model.state())
    is_present = np.ones((len(rows), K), dtype=bool)
    means, scales = np.tile(mean, (len(rows), 1)), np.tile(scale, (len(rows), 1))
    return NetworkModels(trainer.network, states, means, scales, is_present)


def _units(data: TrainingData) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What maps the public range of each column to [-1, 1]; a column of one value to 0. -> middle [F], half [F]"""
    low, high = public_range(data)
    return (low + high) / 2, np.where(high > low, (high - low) / 2, 1.0)


def _train(
    trainer: PrivateNetworkTrainer,
    row: Row,
    model: _Gradients,
    x: Array,
    label: NDArray[np.int64],
    weight: Array,
    deviation: float,
) -> None:
    """Algorithm 1."""
    sampling, noise = (np.random.default_rng(child(row.stream, purpose)) for purpose in (_SAMPLE, _NOISE))
    expected = trainer.sample_rate * len(row.train)
    move = (_Adam if trainer.optimizer == "adam" else _Sgd)(trainer.learning_rate, model.theta)
    for _ in range(trainer.steps):
        taken = row.train[sampling.random(len(row.train)) < trainer.sample_rate]
        total = model.clipped_sum(x[taken], label[taken], weight[taken], trainer.clip)
        total += _noise(noise, deviation, len(total)).astype(total.dtype)
        move(total / expected)


def _noise(rng: np.random.Generator, deviation: float, n: int) -> NDArray[np.float64]:
    """[n]; the same in every precision of training."""
    return deviation * rng.standard_normal(n)


class _Sgd:
    def __init__(self, rate: float, theta: Array) -> None:
        self._rate, self._theta = rate, theta

    def __call__(self, gradient: Array) -> None:
        self._theta -= self._rate * gradient


class _Adam:
    """As torch computes it."""

    def __init__(self, rate: float, theta: Array) -> None:
        self._rate, self._theta, self._steps = rate, theta, 0
        self._first, self._second = np.zeros_like(theta), np.zeros_like(theta)

    def __call__(self, gradient: Array) -> None:
        self._steps += 1
        self._first += (1 - _BETA) * (gradient - self._first)
        self._second += (1 - _GAMMA) * (gradient * gradient - self._second)
        root = np.sqrt(self._second) / np.sqrt(1 - _GAMMA**self._steps)
        self._theta -= self._rate / (1 - _BETA**self._steps) * self._first / (root + _EPS)


def _factor(norm: Array, clip: float) -> Array:
    """min(1, clip / norm), also where a norm is 0."""
    return clip / np.maximum(norm, clip)


class _Plain:
    """Linear layers and ReLUs. The gradient of a record by a weight is the outer product of slope and input."""

    def __init__(self, network: MLP, n_features: int, n_classes: int, row: Row, dtype: np.dtype) -> None:
        first = initial(network.widths(n_features, n_classes), row.seed(INIT))
        self.theta = np.concatenate([value.ravel() for value in first.values()]).astype(dtype)
        self._shapes = {name: value.shape for name, value in first.items()}
        self._layers = self._by_layer(self.theta)

    def _by_layer(self, flat: Array) -> list[tuple[Array, Array]]:
        """Views of weight [out, in] and bias [out]."""
        views = list(_views(flat, self._shapes).values())
        return list(zip(views[::2], views[1::2], strict=True))

    def state(self) -> State:
        return {name: view.copy() for name, view in _views(self.theta, self._shapes).items()}

    def clipped_sum(self, x: Array, label: NDArray[np.int64], weight: Array, clip: float) -> Array:
        inputs = [x]
        for w, b in self._layers[:-1]:
            inputs.append(np.maximum(inputs[-1] @ w.T + b, 0))
        w, b = self._layers[-1]
        slopes = [_softmax_slope(inputs[-1] @ w.T + b, label) * weight[:, None]]
        for (w, _), into in zip(self._layers[:0:-1], inputs[:0:-1], strict=True):
            slopes.append((slopes[-1] @ w) * (into > 0))
        pairs = list(zip(reversed(slopes), inputs, strict=True))
        square = sum(_square(slope) * (_square(into) + 1) for slope, into in pairs)  # 1: the input of the bias
        factor = _factor(np.sqrt(square), clip)
        out = np.empty_like(self.theta)
        for (slope, into), (w, b) in zip(pairs, self._by_layer(out), strict=True):
            slope *= factor[:, None]
            np.matmul(slope.T, into, out=w)
            np.sum(slope, axis=0, out=b)
        return out


def _softmax_slope(logits: Array, label: NDArray[np.int64]) -> Array:
    """Derivative of each record's cross-entropy by its logits. [B, K], [B] -> [B, K]"""
    slope = np.exp(logits - logits.max(axis=1, keepdims=True))
    slope /= slope.sum(axis=1, keepdims=True)
    slope[np.arange(len(label)), label] -= 1
    return slope


def _square(a: Array) -> Array:
    """Squared norms of rows. [B, F] -> [B]"""
    return np.einsum("bf,bf->b", a, a)


def _views(flat: Array, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    """Arrays of `shapes`, one after the other in `flat`, which they share."""
    out, start = {}, 0
    for name, shape in shapes.items():
        stop = start + int(np.prod(shape))
        out[name] = flat[start:stop].reshape(shape)
        start = stop
    return out


class _Module:
    """Any module that takes each record by itself. `each`: how the gradients of single records are taken."""

    def __init__(
        self, network: Network, each: "_Each", n_features: int, n_classes: int, row: Row, dtype: np.dtype
    ) -> None:
        import torch

        from aftertrace.trainers._network_loop import MaskedDropout, build, generator_of

        self._each = each
        self._dtype = {"float32": torch.float32, "float64": torch.float64}[dtype.name]
        self._module = build(network, n_features, n_classes, row.seed(INIT)).to(self._dtype).train()
        _check_layers(self._module)
        self._parameters = {name: p for name, p in self._module.named_parameters() if p.requires_grad}
        self._dropouts = {name: m for name, m in self._module.named_modules() if isinstance(m, MaskedDropout) and m.p}
        self._generator = generator_of(row, "cpu")
        self.theta = np.concatenate([p.detach().numpy().ravel() for p in self._parameters.values()])
        for name, view in _views(self.theta, {name: tuple(p.shape) for name, p in self._parameters.items()}).items():
            self._parameters[name].data = torch.from_numpy(view)  # the module follows as `theta` moves

    def state(self) -> State:
        from aftertrace.trainers._network_loop import state_of

        return state_of(self._module)

    def clipped_sum(self, x: Array, label: NDArray[np.int64], weight: Array, clip: float) -> Array:
        import torch

        total = np.zeros_like(self.theta)
        if not len(x):
            return total
        batch = torch.from_numpy(x), torch.from_numpy(label), torch.from_numpy(weight)
        masks = self._masks(batch[0])
        size = max(1, _HELD // len(total))
        for start in range(0, len(x), size):
            here = slice(start, start + size)
            records, labels, weights = (each[here] for each in batch)
            part = records, labels, weights, {name: mask[here] for name, mask in masks.items()}
            gradients = self._each(self._loss, self._parameters, part)
            total += _factor(np.sqrt(_square(gradients)), clip) @ gradients
        return total

    def _masks(self, x: "torch.Tensor") -> dict[str, "torch.Tensor"]:
        """Of all records of a batch, drawn in the order in which the module calls its dropouts. -> [B, ...] each"""
        from aftertrace.trainers._network_loop import draw_mask
        from aftertrace.trainers._network_stack import _shapes

        if not self._dropouts:
            return {}
        shapes = _shapes(self._module, self._dropouts, x[:1])
        return {
            name: draw_mask((len(x), *shape), self._dropouts[name].p, self._generator, self._dtype)
            for name, shape in shapes.items()
        }

    def _loss(
        self,
        parameters: Mapping[str, "torch.Tensor"],
        x: "torch.Tensor",
        label: "torch.Tensor",
        weight: "torch.Tensor",
        masks: Mapping[str, "torch.Tensor"],
    ) -> "torch.Tensor":
        """Of one record: [F], [], [] -> []"""
        from torch.func import functional_call
        from torch.nn.functional import cross_entropy

        for name, mask in masks.items():
            self._dropouts[name].mask = mask[None]
        return weight * cross_entropy(functional_call(self._module, dict(parameters), (x[None],)), label[None])


_Part = tuple[Any, Any, Any, dict[str, Any]]
"""Tensors of some records: columns [B, F], labels [B], weights [B], dropout masks [B, ...] by name."""
_Each = Callable[[Callable[..., Any], Mapping[str, Any], _Part], Array]
"""From the loss of one record, parameters and some records to each one's gradient, [B, P]."""


def _at_once(loss: Callable[..., Any], parameters: Mapping[str, Any], part: _Part) -> Array:
    from torch.func import grad, vmap

    fixed = {name: parameter.detach() for name, parameter in parameters.items()}
    try:
        gradients = vmap(grad(loss), in_dims=(None, 0, 0, 0, 0))(fixed, *part)
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        raise UnsupportedError(f"The network cannot be trained record by record: {reason}") from error
    return np.concatenate([value.reshape(len(part[0]), -1).numpy() for value in gradients.values()], axis=1)


def _one_by_one(loss: Callable[..., Any], parameters: Mapping[str, Any], part: _Part) -> Array:
    """The slow twin: autograd for one record after the other."""
    import torch

    x, label, weight, masks = part
    each = []
    for i in range(len(x)):
        own = {name: mask[i] for name, mask in masks.items()}
        gradients = torch.autograd.grad(loss(parameters, x[i], label[i], weight[i], own), list(parameters.values()))
        each.append(np.concatenate([value.numpy().ravel() for value in gradients]))
    return np.stack(each)


def _check_layers(module: "nn.Module") -> None:
    """Refuse what mixes records, keeps statistics of them, or draws masks that no stream controls."""
    from torch import nn
    from torch.nn.modules.batchnorm import _BatchNorm
    from torch.nn.modules.dropout import _DropoutNd

    mixing = [type(layer).__name__ for layer in module.modules() if isinstance(layer, _BatchNorm)]
    if mixing:
        raise UnsupportedError(
            f"Private networks must take each record by itself; {mixing[0]} mixes the records of a batch. "
            f"Leave it out, or use {nn.GroupNorm.__name__}."
        )
    buffers = [name for name, _ in module.named_buffers()]
    if buffers:
        raise UnsupportedError(
            f"Private networks must keep nothing but parameters, which noise protects; buffer {buffers[0]!r} may hold "
            f"statistics of records. Leave it out."
        )
    drawing = [type(layer).__name__ for layer in module.modules() if isinstance(layer, _DropoutNd)]
    if drawing:
        raise UnsupportedError(
            f"Private networks must drop out by nn.Dropout, whose masks are drawn here; got {drawing[0]}."
        )
