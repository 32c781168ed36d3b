"""Plain ReLU networks on a CPU: a compiled loop, one model at a time, whose weights stay in the cache.

A step of such a network takes microseconds of arithmetic, which a framework's calls outweigh many times.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aftertrace.trainers._network_loop import State, Stopping, build
from aftertrace.trainers._network_rows import INIT, Row
from aftertrace.trainers._protocol import TrainingData

if TYPE_CHECKING:
    from aftertrace.trainers._network import MLP, NetworkTrainer

Array = NDArray[np.floating]
_BETA, _GAMMA, _EPS = 0.9, 0.999, 1e-8  # Adam's (Kingma and Ba, 2015), as torch sets them

_SMALL = 100**3  # OpenBLAS multiplies smaller matrices without packing them first, a third faster

compiled = njit(cache=True, error_model="numpy", fastmath={"contract", "reassoc", "arcp"})


def fit_compiled(trainer: "NetworkTrainer", data: TrainingData, rows: Sequence[Row]) -> list[State]:
    """Train row after row."""
    dtype = np.dtype(np.float64 if trainer.precision == "float64" else np.float32)
    units = np.array([data.x.shape[1], *cast("MLP", trainer.network).hidden, data.n_classes])
    room = _Room(units, trainer.batch_size, dtype)
    return [_fit_row(trainer, data, row, units, room) for row in rows]


class _Room:
    """Arrays that are used again for every model: parameters, gradient and moments flat, one batch, its layers."""

    def __init__(self, units: NDArray[np.int64], batch_size: int, dtype: np.dtype) -> None:
        n_parameters = int((units[:-1] * units[1:] + units[1:]).sum())
        self.theta, self.gradient, self.first, self.second = np.zeros((4, n_parameters), dtype)
        self.layers = np.zeros(batch_size * int(units.sum() + units.max()), dtype)  # and room for a panel of one
        self.slopes = np.zeros(batch_size * int(units[1:].sum()), dtype)
        self.label = np.zeros(batch_size, np.int64)
        self.weight = np.zeros(batch_size, dtype)


def _fit_row(trainer: "NetworkTrainer", data: TrainingData, row: Row, units: NDArray[np.int64], room: _Room) -> State:
    dtype = room.theta.dtype
    state = {
        name: value.numpy()
        for name, value in build(trainer.network, int(units[0]), int(units[-1]), row.seed(INIT)).state_dict().items()
    }
    room.theta[:] = np.concatenate([value.T.ravel() for value in state.values()])
    room.first[:] = room.second[:] = 0
    x = row.scaled(data.x[row.train]).astype(dtype)
    label = data.label[row.train]
    weight = (np.ones(len(label)) if data.weight is None else data.weight[row.train]).astype(dtype)
    rates = np.array([trainer.learning_rate, trainer.weight_decay, trainer.momentum, _BETA, _GAMMA, _EPS])
    stopping = Stopping(trainer.early_stopping) if trainer.early_stopping else None
    steps = 0

    def now() -> State:
        return _state(state, room.theta)

    for _, order in zip(range(trainer.epochs), row.orders(), strict=False):
        steps = _epoch(
            units,
            x,
            label,
            weight,
            order,
            room.theta,
            room.gradient,
            room.first,
            room.second,
            room.layers,
            room.slopes,
            room.label,
            room.weight,
            rates,
            trainer.optimizer == "adam",
            steps,
        )
        if stopping and stopping.ends(_validate(data, row, now()), now):
            break
    return stopping.best if stopping and stopping.best else now()


def _state(like: State, theta: Array) -> State:
    """Flat parameters by torch's names, weights [out, in]."""
    out, start = {}, 0
    for name, value in like.items():
        flat = theta[start : start + value.size]
        out[name] = flat.reshape(value.shape[::-1]).T.copy(order="C")
        start += value.size
    return cast(State, out)


def _validate(data: TrainingData, row: Row, state: State) -> float:
    """The loss on records that are not trained on."""
    values = cast("list[Array]", list(state.values()))
    hidden = row.scaled(data.x[row.validation]).astype(values[0].dtype)
    for weight, bias in zip(values[:-2:2], values[1:-2:2], strict=True):
        hidden = np.maximum(hidden @ weight.T + bias, 0)
    logits = (hidden @ values[-2].T + values[-1]).astype(np.float64)
    label = data.label[row.validation]
    loss = np.logaddexp.reduce(logits, axis=1) - logits[np.arange(len(label)), label]
    if data.weight is None:
        return float(loss.mean())
    each = data.weight[row.validation]
    return float((loss * each).sum() / each.sum()) if each.sum() > 0 else 0.0


@compiled
def _epoch(  # type: ignore[no-untyped-def] # compiled
    units,
    x,
    label,
    weight,
    order,
    theta,
    gradient,
    first,
    second,
    layers,
    slopes,
    batch_label,
    batch_weight,
    rates,
    is_adam,
    steps,
):
    """One pass over the records in `order`. -> number of steps so far"""
    batch_size = batch_label.size
    for start in range(0, order.size, batch_size):
        size = min(batch_size, order.size - start)
        batch = layers[: size * units[0]].reshape(size, units[0])
        for i in range(size):
            record = order[start + i]
            batch_label[i] = label[record]
            batch_weight[i] = weight[record]
            for f in range(units[0]):
                batch[i, f] = x[record, f]
        _gradient(units, theta, gradient, layers, slopes, batch_label[:size], batch_weight[:size])
        steps += 1
        if is_adam:
            bias = np.array([1 - rates[3] ** steps, 1 - rates[4] ** steps])
            _adam(theta, gradient, first, second, rates.astype(theta.dtype), bias.astype(theta.dtype))
        else:
            _sgd(theta, gradient, first, rates.astype(theta.dtype))
    return steps


@compiled
def _gradient(units, theta, gradient, layers, slopes, label, weight):  # type: ignore[no-untyped-def] # compiled
    """Forward and backward through a batch whose records are at the start of `layers`."""
    size, depth = label.size, units.size - 1
    at, here, there = 0, 0, size * units[0]
    for layer in range(depth):
        n, m = units[layer], units[layer + 1]
        w, b = theta[at : at + n * m].reshape(n, m), theta[at + n * m : at + n * m + m]
        into, out = layers[here:there].reshape(size, n), layers[there : there + size * m].reshape(size, m)
        _product(into, w, out)
        if layer < depth - 1:
            _bias_relu(out, b)
        else:
            for i in range(size):
                out[i] += b
        at, here, there = at + n * m + m, there, there + size * m
    K, spare = units[depth], there
    slope = slopes[: size * K].reshape(size, K)
    _softmax_slope(layers[here : here + size * K].reshape(size, K), label, weight, slope)
    end, now = size * K, 0
    for layer in range(depth - 1, -1, -1):
        n, m = units[layer], units[layer + 1]
        at -= n * m + m
        there, here = here, here - size * n
        slope = slopes[now : now + size * m].reshape(size, m)
        into = layers[here:there].reshape(size, n)
        _outer(into, slope, gradient[at : at + n * m].reshape(n, m), layers[spare:])
        _sum_rows(slope, gradient[at + n * m : at + n * m + m])
        if layer:
            back = slopes[end : end + size * n].reshape(size, n)
            np.dot(slope, theta[at : at + n * m].reshape(n, m).T, back)
            _relu_slope(back, into)
            now, end = end, end + size * n


@compiled
def _panel(n, others):  # type: ignore[no-untyped-def] # compiled
    """Rows per panel when `n` are shared out evenly, so that a panel's product has at most `_SMALL` terms."""
    parts = -(-n * others // _SMALL)
    return -(-n // parts)


@compiled
def _product(a, b, out):  # type: ignore[no-untyped-def] # compiled
    """`out` [B, H] becomes `a` [B, F] times `b` [F, H], by panels of rows."""
    step = _panel(len(a), b.size)
    for start in range(0, len(a), step):
        np.dot(a[start : start + step], b, out[start : start + step])


@compiled
def _outer(a, b, out, spare):  # type: ignore[no-untyped-def] # compiled
    """`out` [F, H] becomes `a` [B, F] transposed times `b` [B, H], by panels of columns of `a`."""
    step = _panel(a.shape[1], b.size)
    if step == a.shape[1]:
        np.dot(a.T, b, out)
        return
    for start in range(0, a.shape[1], step):
        width = min(step, a.shape[1] - start)
        panel = spare[: len(a) * width].reshape(len(a), width)
        for i in range(len(a)):
            for f in range(width):
                panel[i, f] = a[i, start + f]
        np.dot(panel.T, b, out[start : start + width])


@compiled
def _bias_relu(out, b):  # type: ignore[no-untyped-def] # compiled
    zero = b[0] * 0
    for i in range(out.shape[0]):
        row = out[i]
        for j in range(b.size):
            value = row[j] + b[j]
            row[j] = value if not value < zero else zero  # NaN goes on, to be seen


@compiled
def _relu_slope(back, into):  # type: ignore[no-untyped-def] # compiled
    for i in range(back.shape[0]):
        to, active = back[i], into[i]
        for j in range(to.size):
            to[j] = to[j] if not active[j] <= 0 else 0


@compiled
def _sum_rows(slope, out):  # type: ignore[no-untyped-def] # compiled
    out[:] = 0
    for i in range(slope.shape[0]):
        row = slope[i]
        for j in range(out.size):
            out[j] += row[j]


@compiled
def _softmax_slope(logits, label, weight, slope):  # type: ignore[no-untyped-def] # compiled
    """Derivative of the weighted mean cross-entropy by the logits."""
    total = weight.sum()
    if total <= 0:
        slope[:] = 0
        return
    for i in range(logits.shape[0]):
        row, to, share = logits[i], slope[i], weight[i] / total
        top = row[0]
        for k in range(1, row.size):
            top = max(top, row[k])
        norm = share * 0
        for k in range(row.size):
            to[k] = np.exp(row[k] - top)
            norm += to[k]
        for k in range(row.size):
            to[k] *= share / norm
        to[label[i]] -= share


@compiled
def _adam(theta, gradient, first, second, rates, bias):  # type: ignore[no-untyped-def] # compiled
    rate, decay, beta, gamma, eps = rates[0] / bias[0], rates[1], rates[3], rates[4], rates[5]
    one = beta / beta
    near, far, root = one - beta, one - gamma, one / np.sqrt(bias[1])
    for i in range(theta.size):
        g = gradient[i] + decay * theta[i]
        m = beta * first[i] + near * g
        v = gamma * second[i] + far * g * g
        first[i], second[i] = m, v
        theta[i] -= rate * m / (np.sqrt(v) * root + eps)


@compiled
def _sgd(theta, gradient, moment, rates):  # type: ignore[no-untyped-def] # compiled
    rate, decay, momentum = rates[0], rates[1], rates[2]
    for i in range(theta.size):
        moment[i] = momentum * moment[i] + gradient[i] + decay * theta[i]
        theta[i] -= rate * moment[i]
