"""Records as a design matrix that is multiplied by the weights of many models at once.

One-hot columns are mostly zeros, and then a loop over what is there does a tenth of the work of a dense product.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aftertrace.trainers._scaling import constant

_DENSE_COLUMN = 0.3  # columns with more values than this are centred, others keep their zeros
_SPARSE_PAIRS = 0.06  # with fewer values than this the Hessian is summed record by record
_DENSE = 0.25  # matrices with more values than this are multiplied by BLAS

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Frame:
    """Affine coordinates `(x - centre) / scale` [F] in which models are solved: good conditioning, same models."""

    centre: Array
    scale: Array

    @classmethod
    def of(cls, x: Array) -> "Frame":
        """Unit standard deviations; columns that are mostly zero keep their zeros."""
        scale = x.std(axis=0)
        centre = x.mean(axis=0)
        scale[constant(scale**2, centre, len(x))] = 1.0
        centre[(x != 0).mean(axis=0) <= _DENSE_COLUMN] = 0.0
        return cls(centre, scale)

    def apply(self, x: Array) -> Array:
        """Records in these coordinates, with a last column of ones. [N, F] -> [N, F + 1]"""
        design = np.empty((x.shape[0], x.shape[1] + 1))
        np.subtract(x, self.centre, out=design[:, :-1])
        design[:, :-1] /= self.scale
        design[:, -1] = 1.0
        return design

    def inward(self, weights: Array) -> Array:
        """Weights on plain records [M, R, F + 1] as weights in these coordinates."""
        inside = weights.copy()
        inside[..., :-1] *= self.scale
        inside[..., -1] += weights[..., :-1] @ self.centre
        return inside

    def outward(self, weights: Array) -> Array:
        """The way back of `inward`."""
        outside = weights.copy()
        outside[..., :-1] /= self.scale
        outside[..., -1] -= outside[..., :-1] @ self.centre
        return outside


class Design(Protocol):
    """A matrix [N, F + 1] and its products with the weights of many models, by blocks of records."""

    @property
    def rows(self) -> Array: ...

    def forward(self, start: int, stop: int, weights: Array, out: Array) -> None:
        """`out` [B, C] becomes rows `start:stop` times `weights` [F + 1, C]."""
        ...

    def backward(self, start: int, stop: int, residual: Array, out: Array) -> None:
        """Add transposed rows `start:stop` times `residual` [B, C] to `out` [F + 1, C]."""
        ...

    def gram(self, curvature: Array) -> Array:
        """Sum over records of x x' times `curvature` [N, R, R]. -> [F + 1, R, F + 1, R]"""
        ...


def design(rows: Array) -> Design:
    """The faster way to multiply `rows` [N, F + 1]."""
    filled = rows != 0
    return Sparse.of(rows, filled) if filled.mean() < _DENSE else Dense(rows)


@dataclass(frozen=True, eq=False)
class Dense:
    """Products by BLAS."""

    rows: Array

    def forward(self, start: int, stop: int, weights: Array, out: Array) -> None:
        """One matrix product."""
        np.dot(self.rows[start:stop], weights, out=out)

    def backward(self, start: int, stop: int, residual: Array, out: Array) -> None:
        """One matrix product."""
        out += self.rows[start:stop].T @ residual

    def gram(self, curvature: Array) -> Array:
        """One product per pair of outputs."""
        x, n_outputs = self.rows, curvature.shape[1]
        out = np.empty((x.shape[1], n_outputs, x.shape[1], n_outputs))
        for a in range(n_outputs):
            for b in range(a + 1):
                block = x.T @ (x * curvature[:, a, b, None])
                out[:, a, :, b] = out[:, b, :, a] = block
        return out


@dataclass(frozen=True, eq=False)
class Sparse:
    """Compressed rows: the values of record i are at `start[i]:start[i + 1]` of `column` and `value`."""

    rows: Array
    start: NDArray[np.int64]
    column: NDArray[np.int64]
    value: Array

    @classmethod
    def of(cls, rows: Array, filled: NDArray[np.bool_]) -> "Sparse":
        record, column = np.nonzero(filled)
        start = np.concatenate([[0], np.cumsum(np.bincount(record, minlength=len(rows)))])
        return cls(rows, start, column, rows[record, column])

    def forward(self, start: int, stop: int, weights: Array, out: Array) -> None:
        """Rows of `weights` added up."""
        _forward(self.start, self.column, self.value, start, stop, weights, out)

    def backward(self, start: int, stop: int, residual: Array, out: Array) -> None:
        """Rows of `residual` spread out."""
        _backward(self.start, self.column, self.value, start, stop, residual, out)

    def gram(self, curvature: Array) -> Array:
        """Pairs of values of each record, unless there are so many that BLAS is faster."""
        if self.value.size > _SPARSE_PAIRS * self.rows.size:
            return Dense(self.rows).gram(curvature)
        n_columns, n_outputs = self.rows.shape[1], curvature.shape[1]
        out = np.zeros((n_columns, n_columns, n_outputs, n_outputs))
        _gram(self.start, self.column, self.value, curvature, out)
        return out.transpose(0, 2, 1, 3)


@njit(cache=True, fastmath={"contract"})
def _forward(begin, column, value, start, stop, weights, out):  # type: ignore[no-untyped-def] # compiled
    for i in range(start, stop):
        row = out[i - start]
        row[:] = 0.0
        p, end = begin[i], begin[i + 1]
        while p + 4 <= end:  # four at a time: one load and store of the sum for four products
            a, b, c, d = value[p], value[p + 1], value[p + 2], value[p + 3]
            wa, wb = weights[column[p]], weights[column[p + 1]]
            wc, wd = weights[column[p + 2]], weights[column[p + 3]]
            for m in range(row.size):
                row[m] += a * wa[m] + b * wb[m] + c * wc[m] + d * wd[m]
            p += 4
        while p < end:
            a, wa = value[p], weights[column[p]]
            for m in range(row.size):
                row[m] += a * wa[m]
            p += 1


@njit(cache=True, fastmath={"contract"})
def _backward(begin, column, value, start, stop, residual, out):  # type: ignore[no-untyped-def] # compiled
    for i in range(start, stop):
        row = residual[i - start]
        for p in range(begin[i], begin[i + 1]):
            a, to = value[p], out[column[p]]
            for m in range(row.size):
                to[m] += a * row[m]


@njit(cache=True)
def _gram(begin, column, value, curvature, out):  # type: ignore[no-untyped-def] # compiled
    outputs = curvature.shape[1]
    for i in range(begin.size - 1):
        for p in range(begin[i], begin[i + 1]):
            for q in range(begin[i], begin[i + 1]):
                product, to = value[p] * value[q], out[column[p], column[q]]
                for a in range(outputs):
                    for b in range(outputs):
                        to[a, b] += product * curvature[i, a, b]
