"""From logits to residuals, for many models at once: one logistic output, or K outputs of a softmax.

The exponential is a polynomial that compilers turn into vector instructions, unlike a call of the C library;
its error is below two units in the last place. Nothing here divides by 0; Python's check that it does not would keep
divisions from becoming vector instructions.
"""

from typing import Protocol

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.special import expit, softmax

Array = NDArray[np.float64]

_LOG2E = 1.4426950408889634
_LN2_HIGH = 6.93147180369123816490e-01  # 32 bits: products with small integers are exact
_LN2_LOW = 1.90821492927058770002e-10
_SHIFT = 6755399441055744.0  # 1.5 * 2**52: adding it leaves the nearest integer in the lowest bits
_LARGEST = 708.0
_VECTOR = 1024  # numbers that one call of `exponential` is given, where it can be
_TAYLOR = tuple(1.0 / float(np.prod(np.arange(1, k + 1, dtype=np.float64))) for k in range(14))
_T2, _T3, _T4, _T5, _T6, _T7, _T8, _T9, _T10, _T11, _T12, _T13 = _TAYLOR[2:]


class Link(Protocol):
    """A generalised linear model's way from logits [B, R, M] of R outputs to the loss."""

    def residual(self, logits: Array, label: NDArray[np.int64], weight: Array) -> None:
        """In place: derivative of each record's loss by its logits, times its weight [B]."""
        ...

    def slope(self, logits: Array, label: NDArray[np.int64]) -> Array:
        """Derivative of each record's loss by the logits of one model. [N, R], [N] -> [N, R]"""
        ...

    def curvature(self, logits: Array) -> Array:
        """Second derivative by the logits. [N, R] -> [N, R, R]"""
        ...

    def loss(self, logits: Array, label: NDArray[np.int64]) -> Array:
        """Negative log likelihood of each record. [N, R], [N] -> [N]"""
        ...


class Sigmoid:
    """One output: the log odds of `label` 1 against 0."""

    def residual(self, logits: Array, label: NDArray[np.int64], weight: Array) -> None:
        """sigmoid(z) - y"""
        _sigmoid_residual(logits[:, 0], label, weight)

    def slope(self, logits: Array, label: NDArray[np.int64]) -> Array:
        """sigmoid(z) - y"""
        return expit(logits) - (label == 1)[:, None]

    def curvature(self, logits: Array) -> Array:
        """P (1 - p)"""
        z = np.abs(logits)
        p = np.exp(-z)
        return (p / (1 + p) ** 2)[:, :, None]

    def loss(self, logits: Array, label: NDArray[np.int64]) -> Array:
        """log(1 + exp(-z)) for label 1, with the sign of z turned for label 0"""
        return np.logaddexp(0, np.where(label == 1, -logits[:, 0], logits[:, 0]))


class Softmax:
    """One output per class."""

    def residual(self, logits: Array, label: NDArray[np.int64], weight: Array) -> None:
        """softmax(z) - onehot(y)"""
        _softmax_residual(logits, label, weight)

    def slope(self, logits: Array, label: NDArray[np.int64]) -> Array:
        """softmax(z) - onehot(y)"""
        out = softmax(logits, axis=1)
        out[np.arange(len(label)), label] -= 1
        return out

    def curvature(self, logits: Array) -> Array:
        """diag(p) - p p'"""
        p = softmax(logits, axis=1)
        out = -p[:, :, None] * p[:, None, :]
        diagonal = np.arange(p.shape[1])
        out[:, diagonal, diagonal] += p
        return out

    def loss(self, logits: Array, label: NDArray[np.int64]) -> Array:
        """logsumexp(z) - z_y"""
        top = logits.max(axis=1)
        total = top + np.log(np.exp(logits - top[:, None]).sum(axis=1))
        return total - logits[np.arange(len(label)), label]


@njit(cache=True, fastmath={"contract"}, inline="always")
def exponential(a, scale, bits):  # type: ignore[no-untyped-def] # compiled
    """In place, of a vector `a`; `scale` is scratch of its size and `bits` the same memory as integers."""
    for i in range(a.size):
        x = a[i]
        x = x if x > -_LARGEST else -_LARGEST
        x = x if x < _LARGEST else _LARGEST
        shifted = x * _LOG2E + _SHIFT
        k = shifted - _SHIFT
        r = (x - k * _LN2_HIGH) - k * _LN2_LOW
        p = _T12 + r * _T13
        p = _T11 + r * p
        p = _T10 + r * p
        p = _T9 + r * p
        p = _T8 + r * p
        p = _T7 + r * p
        p = _T6 + r * p
        p = _T5 + r * p
        p = _T4 + r * p
        p = _T3 + r * p
        p = _T2 + r * p
        a[i] = 1.0 + (r + r * r * p)
        scale[i] = shifted
    for i in range(a.size):
        bits[i] = (bits[i] + 1023) << 52
    for i in range(a.size):
        a[i] *= scale[i]


@njit(cache=True, fastmath={"contract"}, error_model="numpy")
def _sigmoid_residual(logits, label, weight):  # type: ignore[no-untyped-def] # compiled
    B, M = logits.shape
    group = max(1, _VECTOR // M)  # records at once: there may be few models
    scale = np.empty(group * M)
    bits = scale.view(np.int64)
    for first in range(0, B, group):
        last = min(first + group, B)
        z = logits[first:last].reshape((last - first) * M)
        for i in range(z.size):
            z[i] = -z[i]
        exponential(z, scale, bits)
        for i in range(first, last):
            row, w = logits[i], weight[i]
            y = 1.0 if label[i] == 1 else 0.0
            for m in range(M):
                row[m] = w * (1.0 / (1.0 + row[m]) - y)


@njit(cache=True, fastmath={"contract"}, error_model="numpy")
def _softmax_residual(logits, label, weight):  # type: ignore[no-untyped-def] # compiled
    B, R, M = logits.shape
    scale, top = np.empty(R * M), np.empty(M)
    bits = scale.view(np.int64)
    for i in range(B):
        z, w = logits[i], weight[i]
        for m in range(M):
            top[m] = z[0, m]
        for k in range(1, R):
            for m in range(M):
                top[m] = max(top[m], z[k, m])
        for k in range(R):
            for m in range(M):
                z[k, m] -= top[m]
        exponential(z.reshape(R * M), scale, bits)
        for m in range(M):
            top[m] = z[0, m]
        for k in range(1, R):
            for m in range(M):
                top[m] += z[k, m]
        for m in range(M):
            top[m] = w / top[m]
        for k in range(R):
            for m in range(M):
                z[k, m] *= top[m]
        for m in range(M):
            z[label[i], m] -= w
