"""Generalised linear models that differ in a few records, solved together.

Variants of one model start from its solution and share its Hessian H; for each record that left or came, H changes by
x x' times a curvature [R, R], so that H^-1 is updated by the Woodbury identity. The steps contract by how much the
curvature elsewhere moves, a few parts in a thousand for a single record.

They are solved in a `Place`: with numpy, or with torch on a GPU (`_convex_torch`). The iteration is written once, in
the functions whose names both libraries share.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import ModuleType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from aftertrace.trainers._convex import TOLERANCE, Array, Index, Mask, Pairs, Solution
from aftertrace.trainers._scaling import MODELS

Values = Any  # an array of numpy, or a tensor of torch on some device: no type is both

_HELD = 2**23  # numbers that the updates of one pass may hold
_FEW = 16  # changed records that are always updated for
_MOST_SHARED_STEPS = 25
_DIVERGED = 10.0  # a step this much longer than the shortest one before ends the shared iteration


@dataclass(frozen=True, eq=False)
class Changes:
    """How the records of M models differ from the records `base` [N].

    Those that left or came for model m are `record[start[m]:start[m + 1]]`, ascending.
    """

    base: Mask
    record: Index
    start: Index

    @classmethod
    def of(cls, base: Mask, keep: Mask) -> "Changes":
        """Of models on the records `keep` [M, N]."""
        place = np.flatnonzero(keep != base)
        return cls(base, place % len(base), np.searchsorted(place, np.arange(len(keep) + 1) * len(base)))

    def __len__(self) -> int:
        return len(self.start) - 1

    @cached_property
    def count(self) -> Index:
        """How many there are for each model. [M]"""
        return np.diff(self.start)

    @cached_property
    def model(self) -> Index:
        """Whose each change is. [P]"""
        return np.repeat(np.arange(len(self)), self.count)

    @cached_property
    def sign(self) -> Array:
        """Whether each came (+1) or left (-1). [P]"""
        return np.where(self.base[self.record], -1.0, 1.0)

    def sum(self, values: NDArray[Any]) -> NDArray[Any]:
        """Of what belongs to the changes, by model. [P, ...] -> [M, ...]"""
        out = np.zeros((len(self), *values.shape[1:]), dtype=np.result_type(values, np.int64))
        some = np.flatnonzero(self.count)
        out[some] = np.add.reduceat(values, self.start[some], axis=0, dtype=out.dtype)
        return out

    def keep(self, model: int) -> Mask:
        """The records of a model. [N]"""
        keep, record = self.base.copy(), self.record[self.start[model] : self.start[model + 1]]
        keep[record] = ~keep[record]
        return keep

    def only(self, models: Index) -> "Changes":
        """Of `models`, renumbered by their place there."""
        start = np.concatenate([[0], np.cumsum(self.count[models])])
        place = np.arange(start[-1]) + np.repeat(self.start[models] - start[:-1], self.count[models])
        return Changes(self.base, self.record[place], start)

    def among(self, universe: Index) -> "Changes":
        """With records numbered by their place in `universe`, where all that changed are."""
        place = np.empty(len(self.base), dtype=np.int64)
        place[universe] = np.arange(len(universe))
        return Changes(self.base[universe], place[self.record], self.start)

    def absent(self) -> Pairs:
        """The records that each model lacks."""
        lacks = ~self.base
        lacks[self.record] = True
        record = np.flatnonzero(lacks)  # by some model
        inside = self.among(record)
        absent = np.repeat(~inside.base[:, None], len(self), axis=1)
        absent[inside.record, self.model] = self.sign < 0
        place, model = np.nonzero(absent)
        return Pairs(record[place], model)

    def padded(self) -> tuple[Index, Array]:
        """Records and signs by model; models with fewer changes repeat some record with sign 0. -> [M, U], [M, U]"""
        place = np.arange(len(self.record)) - self.start[self.model]
        shape = (len(self), int(self.count.max(initial=1)))
        record, sign = np.full(shape, self.record[0] if len(self.record) else 0), np.zeros(shape)
        record[self.model, place], sign[self.model, place] = self.record, self.sign
        return record, sign


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
    def inverse(self) -> Values:
        """The solution's inverse Hessian [(F + 1) R, (F + 1) R]."""
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

    def some(self, values: Values, models: Values) -> Values:
        """Of `values` [..., M] those of some `models`, ascending."""
        ...

    def absent(self, changes: Changes) -> Values:
        """What `gradient` takes to know which records each model lacks."""
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
    def inverse(self) -> Array:
        return self.solution.inverse

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

    def some(self, values: NDArray[Any], models: Index) -> NDArray[Any]:
        """By `take`: an index in brackets would turn the order of the axes in memory."""
        return values if len(models) == values.shape[-1] else values.take(models, axis=-1)

    def absent(self, changes: Changes) -> Pairs:
        """Pairs: they are few."""
        return changes.absent()

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
    stalled: Mask


def solve_variants(place: Place, changes: Changes, penalty: Array) -> Variants:
    """Models on the solution's records after `changes`, with `penalty` [M, F + 1].

    A model that more records left or joined than it has weights is not tried: it gains nothing from a Hessian shared.
    """
    base = place.solution
    M, changed = len(changes), changes.count
    found = Variants(np.repeat(base.theta[None], M, axis=0), np.full(M, np.inf), np.ones(M, dtype=bool))
    order = np.argsort(changed, kind="stable")
    order = order[changed[order] <= max(_FEW, base.theta.shape[0])]
    start = 0
    while start < len(order):
        rows = order[start : start + place.most_models]
        # the update of one model holds (F + 1) R numbers for each of its changed records and outputs
        held = base.theta.size * base.problem.n_outputs * np.maximum(changed[rows], 1)
        rows = rows[: max(1, int((held * np.arange(1, len(rows) + 1) <= place.most_held).sum()))]
        part = _solve_chunk(place, changes.only(rows), penalty[rows])
        found.theta[rows], found.step[rows], found.stalled[rows] = part.theta, part.step, part.stalled
        start += len(rows)
    return found


def _solve_chunk(place: Place, changes: Changes, penalty: Array) -> Variants:
    """L-BFGS whose first inverse Hessian is the updated one, without a line search: the start is near."""
    base, xp, array = place.solution, place.xp, place.array
    update, absent = _Woodbury.of(place, changes), place.absent(changes)
    start, d = array(base.theta)[:, :, None], array(penalty.T)[:, None, :]
    # at the base's solution the gradient is known without a pass over the records
    gradient = array(base.gradient)[:, :, None] + update.gradient + (d - array(base.penalty)[:, None, None]) * start
    theta = start + xp.zeros_like(gradient)
    now, active, best = theta, array(np.arange(len(changes))), array(np.full(len(changes), np.inf))
    stalled = array(np.zeros(len(changes), dtype=bool))
    memory = _Memory(place)
    for _ in range(_MOST_SHARED_STEPS):
        step = memory.solve(gradient, update.solve)
        decrement = xp.einsum("frm,frm->m", gradient, step)
        size = update.reach * xp.sqrt(decrement.clip(0.0))
        lost = ~(decrement >= 0) | ~(size <= _DIVERGED * best[active])
        done = (size <= TOLERANCE) & ~lost
        best[active], stalled[active] = xp.fmin(size, best[active]), lost
        step = xp.where(lost, 0.0, step)
        now = now - step
        theta[:, :, active] = now
        on = xp.where(~(done | lost))[0]
        active, update = active[on], update.only(on)
        if not len(active):
            break
        now, step, before = (place.some(each, on) for each in (now, step, gradient))
        gradient = place.gradient(now, absent, active) + place.some(d, active) * now
        memory.add(-step, gradient - before, on)
    stalled[active] = True
    return Variants(place.host(xp.moveaxis(theta, 2, 0)), place.host(best), place.host(stalled))


class _Memory:
    """The two-loop recursion of L-BFGS for many models at once (Nocedal and Wright, algorithm 7.4)."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._steps: list[Values] = []
        self._changes: list[Values] = []
        self._inner: list[Values] = []

    def add(self, step: Values, change: Values, on: Values) -> None:
        """The last step and the change of the gradient over it [F + 1, R, M], of the models that go `on`."""
        for past in (self._steps, self._changes, self._inner):
            past[:] = [self._place.some(each, on) for each in past]
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
        return self._place.xp.einsum("frm,frm->m", left, right)


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
    def of(cls, place: Place, changes: Changes) -> "_Woodbury":
        base, xp, array = place.solution, place.xp, place.array
        record, sign = changes.padded()
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

    def only(self, models: Values) -> "_Woodbury":
        """Of some models, ascending."""
        if len(models) == len(self.rows):
            return self
        return replace(self, rows=self.rows[models], solved=self.solved[models], middle=self.middle[models])

    def solve(self, gradient: Values) -> Values:
        """Newton steps [F + 1, R, M]."""
        xp, (n_columns, R, M) = self.place.xp, gradient.shape
        h = (self.place.inverse @ gradient.reshape(-1, M)).reshape(n_columns, R, M)
        t = (self.rows @ xp.moveaxis(h, 2, 0)).reshape(M, 1, -1)
        away = t @ self.middle @ self.solved
        return h - xp.swapaxes(away.reshape(M, R, n_columns), 0, 2)


def _solved(place: Place, x: Values) -> Values:
    """H^-1 X' for the records `x` [U, F + 1], transposed, outputs before columns. -> [U, R, R, F + 1]"""
    n_columns, R = place.solution.theta.shape
    out = x @ place.inverse.reshape(n_columns, -1)
    return place.xp.swapaxes(out.reshape(-1, R, n_columns, R), 2, 3)
