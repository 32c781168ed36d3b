"""Plain ReLU networks on a CPU: a compiled loop, one model at a time, whose weights stay in the cache.

A step of such a network takes microseconds of arithmetic, which a framework's calls outweigh many times.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aftertrace.trainers._blas import transposed_product
from aftertrace.trainers._links import exponential
from aftertrace.trainers._network_plain import initial, logits
from aftertrace.trainers._network_rows import INIT, Row, State, Stopping
from aftertrace.trainers._protocol import TrainingData
from aftertrace.trainers._scaling import ROWS

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
    """Arrays that are used again for every model: parameters and moments flat, one layer's gradient, one batch."""

    def __init__(self, units: NDArray[np.int64], batch_size: int, dtype: np.dtype) -> None:
        n_parameters = (units[:-1] + 1) * units[1:]
        self.theta, self.first, self.second = np.zeros((3, int(n_parameters.sum())), dtype)
        self.gradient = np.zeros(int(n_parameters.max()), dtype)
        self.layers = np.zeros(batch_size * int(units.sum()), dtype)
        self.slopes = np.zeros(batch_size * int(units[1:].sum()), dtype)
        self.label = np.zeros(batch_size, np.int64)
        self.weight = np.zeros(batch_size, dtype)


def _fit_row(trainer: "NetworkTrainer", data: TrainingData, row: Row, units: NDArray[np.int64], room: _Room) -> State:
    dtype = room.theta.dtype
    state = row.first or initial(units.tolist(), row.seed(INIT))
    room.theta[:] = np.concatenate([value.T.ravel() for value in state.values()])
    room.first[:] = room.second[:] = 0
    x = np.empty((len(row.train), units[0]), dtype)
    for start in range(0, len(x), ROWS):
        x[start : start + ROWS] = row.scaled(data.x[row.train[start : start + ROWS]])
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
    values = logits(state, row.scaled(data.x[row.validation]))
    label = data.label[row.validation]
    loss = np.logaddexp.reduce(values, axis=1) - values[np.arange(len(label)), label]
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
    typed, bias = rates.astype(theta.dtype), np.empty(2, theta.dtype)
    room = np.empty((2, batch_size * units[-1]))  # for the softmax, in float64
    for start in range(0, order.size, batch_size):
        size = min(batch_size, order.size - start)
        batch = layers[: size * units[0]].reshape(size, units[0])
        for i in range(size):
            record = order[start + i]
            batch_label[i] = label[record]
            batch_weight[i] = weight[record]
            for f in range(units[0]):
                batch[i, f] = x[record, f]
        steps += 1
        bias[0], bias[1] = 1 - rates[3] ** steps, 1 - rates[4] ** steps
        here = _forward(units, theta, layers, size)
        K = units[-1]
        slope = slopes[: size * K].reshape(size, K)
        logits = layers[here : here + size * K].reshape(size, K)
        _softmax_slope(logits, batch_label[:size], batch_weight[:size], slope, room)
        _backward(units, theta, gradient, first, second, layers, slopes, size, here, typed, bias, is_adam)
    return steps


@compiled
def _forward(units, theta, layers, size):  # type: ignore[no-untyped-def] # compiled
    """Through a batch whose records are at the start of `layers`. -> where the logits start"""
    depth = units.size - 1
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
    return here


@compiled
def _backward(units, theta, gradient, first, second, layers, slopes, size, here, rates, bias, is_adam):  # type: ignore[no-untyped-def] # compiled
    """From the slope of the loss by the logits, at the start of `slopes`; `here` is where the logits start.

    A layer's parameters move as soon as nothing needs the old ones, while its gradient is in the cache.
    """
    depth = units.size - 1
    at, now, end = theta.size, 0, size * units[depth]
    for layer in range(depth - 1, -1, -1):
        n, m = units[layer], units[layer + 1]
        at -= n * m + m
        stop = at + n * m + m
        there, here = here, here - size * n
        slope = slopes[now : now + size * m].reshape(size, m)
        into = layers[here:there].reshape(size, n)
        if layer:
            back = slopes[end : end + size * n].reshape(size, n)
            _back(slope, theta[at : at + n * m].reshape(n, m), gradient, back)  # which is not yet in use
            _relu_slope(back, into)
            now, end = end, end + size * n
        _outer(into, slope, gradient[: n * m].reshape(n, m))
        _sum_rows(slope, gradient[n * m : n * m + m])
        if is_adam:
            _adam(theta[at:stop], gradient, first[at:stop], second[at:stop], rates, bias)
        else:
            _sgd(theta[at:stop], gradient, first[at:stop], rates)


@compiled
def _panel(n, others):  # type: ignore[no-untyped-def] # compiled
    """Rows per panel, so that a panel's product has at most `_SMALL` terms: a multiple of a kernel's 4, or all `n`."""
    step = _SMALL // others // 4 * 4
    return min(step, n) if step else n


@compiled
def _product(a, b, out):  # type: ignore[no-untyped-def] # compiled
    """`out` [B, H] becomes `a` [B, F] times `b` [F, H], by panels of rows."""
    step = _panel(len(a), b.size)
    for start in range(0, len(a), step):
        np.dot(a[start : start + step], b, out[start : start + step])


@compiled
def _outer(a, b, out):  # type: ignore[no-untyped-def] # compiled
    """`out` [F, H] becomes `a` [B, F] transposed times `b` [B, H], by panels of columns of `a`."""
    step = _panel(a.shape[1], b.size)
    for start in range(0, a.shape[1], step):
        transposed_product(a, b, start, min(start + step, a.shape[1]), out)


@compiled
def _back(a, b, spare, out):  # type: ignore[no-untyped-def] # compiled
    """`out` [B, F] becomes `a` [B, H] times `b` [F, H] transposed, which takes a tenth longer when left to BLAS."""
    if 4 * b.size > _SMALL:
        np.dot(a, b.T, out)
        return
    turned = spare[: b.size].reshape(b.shape[1], b.shape[0])
    _transpose(b, turned)
    _product(a, turned, out)


@compiled
def _transpose(a, out):  # type: ignore[no-untyped-def] # compiled
    """`out` [H, F] becomes `a` [F, H] transposed."""
    F, H = a.shape
    whole = F // 8 * 8
    for i in range(0, whole, 8):  # parts of rows of `out`, so that what is written stays in the cache
        for j in range(H):
            to = out[j, i : i + 8]
            for k in range(8):
                to[k] = a[i + k, j]
    for i in range(whole, F):
        for j in range(H):
            out[j, i] = a[i, j]


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
    whole = slope.shape[0] // 4 * 4
    for i in range(0, whole, 4):  # one load and store of a sum for four rows
        a, b, c, d = slope[i], slope[i + 1], slope[i + 2], slope[i + 3]
        for j in range(out.size):
            out[j] += a[j] + b[j] + c[j] + d[j]
    for i in range(whole, slope.shape[0]):
        row = slope[i]
        for j in range(out.size):
            out[j] += row[j]


@compiled
def _softmax_slope(logits, label, weight, slope, room):  # type: ignore[no-untyped-def] # compiled
    """Derivative of the weighted mean cross-entropy by the logits."""
    total = weight.sum()
    if total <= 0:
        slope[:] = 0
        return
    B, K = logits.shape
    value, scale = room[0, : B * K].reshape(B, K), room[1, : B * K]
    for i in range(B):
        row = logits[i]
        top = row[0]
        for k in range(1, K):
            top = max(top, row[k])
        for k in range(K):
            value[i, k] = row[k] - top
    exponential(value.reshape(B * K), scale, scale.view(np.int64))
    for i in range(B):
        to, share = slope[i], weight[i] / total
        norm = value[i].sum()
        for k in range(K):
            to[k] = value[i, k] * (share / norm)
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
