"""Generalised linear models that differ in a few records, solved together.

Variants of one model start from its solution and share its Hessian H; for each record that left or came, H changes by
x x' times a curvature [R, R], so that H^-1 is updated by the Woodbury identity. The steps contract by how much the
curvature elsewhere moves, a few parts in a thousand for a single record.

They are solved in a `Place`: with numpy, or with torch on a GPU (`_convex_torch`). The iteration is written once, in
the functions whose names both libraries share.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve

from aftertrace.trainers._convex import TOLERANCE, Array, Index, Pairs, Solution

Values = Any  # an array of numpy, or a tensor of torch on some device: no type is both

MODELS = 128
"""On the CPU, models per pass: their logits of a block of records fit the cache."""
_HELD = 2**23  # numbers that the updates of one pass may hold
_FEW = 16  # changed records that are always updated for
_MOST_SHARED_STEPS = 25
_DIVERGED = 10.0  # a step this much longer than the shortest one before ends the shared iteration


class Place(Protocol):
    """Where the variants of a solution are solved, with what they share. Not more than `most_models` at once, nor
    more than `most_held` numbers in their updates.
    """

    @property
    def solution(self) -> Solution: ...

    @property
    def xp(self) -> ModuleType:
        """The library of arrays: numpy or torch."""
        ...

    @property
    def rows(self) -> Values:
        """The design [N, F + 1]."""
        ...

    @property
    def most_models(self) -> int: ...

    @property
    def most_held(self) -> int: ...

    def array(self, values: NDArray[Any]) -> Values:
        """Bring here."""
        ...

    def host(self, values: Values) -> NDArray[Any]:
        """The way back of `array`."""
        ...

    def inverse(self, right: Values) -> Values:
        """The solution's inverse Hessian times `right` [(F + 1) R, C]."""
        ...

    def absent(self, keep: NDArray[np.bool_]) -> Values:
        """What `gradient` takes to know which records [M, N] each model lacks."""
        ...

    def gradient(self, theta: Values, absent: Values, models: Values) -> Values:
        """Gradient of the summed loss for some `models` at `theta` [F + 1, R, M]."""
        ...


@dataclass(frozen=True, eq=False)
class OnHost:
    """With numpy, on one core."""

    solution: Solution

    @property
    def xp(self) -> ModuleType:
        return np

    @property
    def rows(self) -> Array:
        return self.solution.problem.design.rows

    @property
    def most_models(self) -> int:
        return MODELS

    @property
    def most_held(self) -> int:
        return _HELD

    def array(self, values: NDArray[Any]) -> NDArray[Any]:
        """Nothing to do."""
        return values

    def host(self, values: NDArray[Any]) -> NDArray[Any]:
        """Nothing to do."""
        return values

    def inverse(self, right: Array) -> Array:
        """By the Cholesky factor."""
        return cho_solve(self.solution.factor, right, check_finite=False)

    def absent(self, keep: NDArray[np.bool_]) -> Pairs:
        """Pairs: they are few."""
        return Pairs.where(~keep)

    def gradient(self, theta: Array, absent: Pairs, models: Index) -> Array:
        """By blocks of records that fit the cache."""
        return self.solution.problem.gradient(theta, absent.only(models))


def on_host(solutions: Sequence[Solution]) -> list[Place]:
    """A place for the variants of each of an anchor's solutions."""
    return [OnHost(solution) for solution in solutions]


@dataclass(frozen=True, eq=False)
class Variants:
    """Solved variants: `theta` [M, F + 1, R], the last `step` [M] of the gradient test, `stalled` [M]."""

    theta: Array
    step: Array
    stalled: NDArray[np.bool_]


def solve_variants(place: Place, keep: NDArray[np.bool_], penalty: Array) -> Variants:
    """Models on the records `keep` [M, N] with `penalty` [M, F + 1], from the solution on nearly the same records.

    A model that more records left or joined than it has weights is not tried: it gains nothing from a Hessian shared.
    """
    base = place.solution
    found = Variants(
        np.repeat(base.theta[None], len(keep), axis=0), np.full(len(keep), np.inf), np.ones(len(keep), dtype=bool)
    )
    changed = (keep != base.keep).sum(axis=1)
    order = np.argsort(changed, kind="stable")
    order = order[changed[order] <= max(_FEW, base.theta.shape[0])]
    start = 0
    while start < len(order):
        rows = order[start : start + place.most_models]
        # the update of one model holds (F + 1) R numbers for each of its changed records and outputs
        held = base.theta.size * base.problem.n_outputs * np.maximum(changed[rows], 1)
        rows = rows[: max(1, int((held * np.arange(1, len(rows) + 1) <= place.most_held).sum()))]
        part = _solve_chunk(place, keep[rows], penalty[rows])
        found.theta[rows], found.step[rows], found.stalled[rows] = part.theta, part.step, part.stalled
        start += len(rows)
    return found


def _solve_chunk(place: Place, keep: NDArray[np.bool_], penalty: Array) -> Variants:
    """L-BFGS whose first inverse Hessian is the updated one, without a line search: the start is near."""
    base, xp, array = place.solution, place.xp, place.array
    update, absent = _Woodbury.of(place, keep), place.absent(keep)
    start, d = array(base.theta)[:, :, None], array(penalty.T)[:, None, :]
    # at the base's solution the gradient is known without a pass over the records
    gradient = array(base.gradient)[:, :, None] + update.gradient + (d - array(base.penalty)[:, None, None]) * start
    theta = start + xp.zeros_like(gradient)
    active, best = array(np.arange(len(keep))), array(np.full(len(keep), np.inf))
    stalled = array(np.zeros(len(keep), dtype=bool))
    memory = _Memory(xp)
    for _ in range(_MOST_SHARED_STEPS):
        step = memory.solve(gradient, partial(update.solve, models=active))
        decrement = xp.einsum("frm,frm->m", gradient, step)
        size = update.reach * xp.sqrt(decrement.clip(0.0))
        lost = ~(decrement >= 0) | ~(size <= _DIVERGED * best[active])
        done = (size <= TOLERANCE) & ~lost
        best[active] = xp.fmin(size, best[active])
        theta[:, :, active[~lost]] -= step[:, :, ~lost]
        stalled[active[lost]] = True
        on = xp.where(~(done | lost))[0]
        active = active[on]
        if not len(active):
            break
        now = theta[:, :, active]
        before, gradient = gradient[:, :, on], place.gradient(now, absent, active) + d[:, :, active] * now
        memory.add(-step[:, :, on], gradient - before, on)
    stalled[active] = True
    return Variants(place.host(xp.moveaxis(theta, 2, 0)), place.host(best), place.host(stalled))


class _Memory:
    """The two-loop recursion of L-BFGS for many models at once (Nocedal and Wright, algorithm 7.4)."""

    def __init__(self, xp: ModuleType) -> None:
        self._xp = xp
        self._steps: list[Values] = []
        self._changes: list[Values] = []
        self._inner: list[Values] = []

    def add(self, step: Values, change: Values, on: Values) -> None:
        """The last step and the change of the gradient over it [F + 1, R, M], of the models that go `on`."""
        for past in (self._steps, self._changes):
            past[:] = [each[:, :, on] for each in past]
        self._inner = [each[on] for each in self._inner]
        self._steps.append(step)
        self._changes.append(change)
        self._inner.append(self._dot(step, change))

    def solve(self, gradient: Values, first: Callable[[Values], Values]) -> Values:
        """The step for `gradient`, where `first` multiplies by the first inverse Hessian."""
        past = list(zip(self._steps, self._changes, self._inner, strict=True))
        direction, weights = gradient, []
        for step, change, inner in reversed(past):
            weight = self._dot(step, direction) / inner
            direction = direction - weight * change
            weights.append(weight)
        direction = first(direction)
        for (step, change, inner), weight in zip(past, reversed(weights), strict=True):
            direction = direction + (weight - self._dot(change, direction) / inner) * step
        return direction

    def _dot(self, left: Values, right: Values) -> Values:
        return self._xp.einsum("frm,frm->m", left, right)


@dataclass(frozen=True, eq=False)
class _Woodbury:
    """The inverse Hessian after records left and came, for each of many models.

    H_m = H + X' D X over the U records that changed for model m (padded with zero curvature), where X is
    x (x) I_R and D their signed curvature; so H_m^-1 g = h - A D (I + X A D)^-1 X h with A = H^-1 X' and h = H^-1 g.
    `gradient` [F + 1, R, M] is what the changed records add to the gradient at the base's solution. `reach` is the
    largest norm of a changed record in the metric of H^-1: it turns lengths of steps into changes of logits.
    """

    place: Place
    rows: Values  # [M, U, F + 1]
    solved: Values  # A', outputs before columns: [M, U R, R (F + 1)]
    middle: Values  # D (I + X A D)^-1, symmetric: [M, U R, U R]
    gradient: Values
    reach: float

    @classmethod
    def of(cls, place: Place, keep: NDArray[np.bool_]) -> "_Woodbury":
        base, xp, array = place.solution, place.xp, place.array
        record, sign = _changes(base.keep, keep)
        (M, U), (n_columns, R) = record.shape, base.theta.shape
        unique, back = np.unique(record, return_inverse=True)
        back, sign = array(back.reshape(M, U)), array(sign)
        slope, curvature = base.local(unique)
        signed = sign[:, :, None, None] * array(curvature)[back]  # D: [M, U, R, R]
        x = place.rows[array(unique)]
        a = _solved(place, x)
        rows, each = x[back], a[back]

        gradient = xp.einsum("muf,mur->frm", rows, sign[:, :, None] * array(slope)[back])
        xa = (each.reshape(M, -1, n_columns) @ xp.swapaxes(rows, 1, 2)).reshape(M, U * R, R, U)
        xa = xp.swapaxes(xa, 2, 3)  # read as its transpose, which it equals
        xad = xp.einsum("mavr,mvrs->mavs", xa, signed).reshape(M, U * R, U * R)
        inverse = xp.linalg.inv(array(np.eye(U * R)) + xad).reshape(M, U, R, U * R)
        middle = xp.einsum("murs,musa->mura", signed, inverse).reshape(M, U * R, U * R)
        farthest = xp.einsum("urrf,uf->ur", a, x).max()
        reach = max(1.0, float(xp.sqrt(farthest)))
        return cls(place, rows, each.reshape(M, U * R, -1), middle, gradient, reach)

    def solve(self, gradient: Values, models: Values) -> Values:
        """Newton steps [F + 1, R, M] of some models."""
        xp, (n_columns, R, M) = self.place.xp, gradient.shape
        h = self.place.inverse(gradient.reshape(-1, M)).reshape(n_columns, R, M)
        t = (self.rows[models] @ xp.moveaxis(h, 2, 0)).reshape(M, 1, -1)
        away = t @ self.middle[models] @ self.solved[models]
        return h - xp.swapaxes(away.reshape(M, R, n_columns), 0, 2)


def _solved(place: Place, x: Values) -> Values:
    """Columns of H^-1 X' for the records `x` [U, F + 1], one for each output. -> [U, R, R, F + 1]"""
    xp, (n_columns, R) = place.xp, place.solution.theta.shape
    right = xp.einsum("uf,rs->frus", x, place.array(np.eye(R))).reshape(n_columns * R, -1)
    return xp.moveaxis(place.inverse(right).reshape(n_columns, R, -1, R), (2, 3, 1, 0), (0, 1, 2, 3))


def _changes(base: NDArray[np.bool_], keep: NDArray[np.bool_]) -> tuple[Index, Array]:
    """The records that changed for each model, and whether they came (+1) or left (-1). -> [M, U], [M, U]

    Models with fewer changes repeat some record with sign 0.
    """
    model, record = np.nonzero(keep != base)
    place = np.arange(len(model)) - np.searchsorted(model, np.arange(len(keep)))[model]
    shape = (len(keep), int(place.max(initial=0)) + 1)
    records, sign = np.full(shape, record[0] if len(record) else 0), np.zeros(shape)
    records[model, place] = record
    sign[model, place] = np.where(keep[model, record], 1.0, -1.0)
    return records, sign
