"""Generalised linear models with an L2 penalty: one solved from nothing, or many that differ in a few records.

All minimise  sum_i w_i loss(x_i' theta, y_i) + 1/2 sum_j d_j theta_j^2  over theta [F + 1, R], where d is 0 for the
intercept. Variants of one model start from its solution and share its Hessian H; for each record that left or
came, H changes by x x' times a curvature [R, R], so that H^-1 is updated by the Woodbury identity. The steps
contract by how much the curvature elsewhere moves, a few parts in a thousand for a single record.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.optimize import minimize

from aftertrace.trainers._design import ROWS, Design
from aftertrace.trainers._links import Link

Array = NDArray[np.float64]
Index = NDArray[np.int64]

TOLERANCE = 1e-8
"""Gradient test: the Newton step must change no training record's logits by more than this."""
_CHUNK = 128  # models per pass: their logits of a block of records fit the cache
_HELD = 2**23  # numbers that the updates of one pass may hold
_FEW = 16  # changed records that are always updated for
_MOST_STEPS = 100
_MOST_SHARED_STEPS = 25
_DIVERGED = 10.0  # a step this much longer than the shortest one before ends the shared iteration
_SLOW = 0.1  # a Hessian is formed anew when a step leaves more than this of the last one's length
_MANY = 200  # unknowns


@dataclass(frozen=True, eq=False)
class Problem:
    """Records as `design` [N, F + 1], `label` [N], `weight` [N], and the loss by `link` of R outputs."""

    design: Design
    label: Index
    weight: Array
    link: Link
    n_outputs: int

    def logits(self, theta: Array) -> Array:
        """Of one model [F + 1, R]. -> [N, R]"""
        return self.design.rows @ theta

    def objective(self, logits: Array, keep: NDArray[np.bool_], penalty: Array, theta: Array) -> float:
        """What one model minimises on the records `keep` [N]."""
        loss = (self.weight * self.link.loss(logits, self.label))[keep].sum()
        return float(loss + 0.5 * (penalty[:, None] * theta**2).sum())

    def slope(self, logits: Array, keep: NDArray[np.bool_], penalty: Array, theta: Array) -> Array:
        """The gradient of `objective`. -> [F + 1, R]"""
        residual = self.link.slope(logits, self.label) * (self.weight * keep)[:, None]
        return self.design.rows.T @ residual + penalty[:, None] * theta

    def gradient(self, theta: Array, absent: "Pairs") -> Array:
        """Gradient of the summed loss for many models [F + 1, R, M], each without its `absent` records."""
        n_columns, n_outputs, n_models = theta.shape
        weights = np.ascontiguousarray(theta).reshape(n_columns, -1)
        out, logits = np.zeros_like(weights), np.empty((ROWS, weights.shape[1]))
        for start in range(0, len(self.label), ROWS):
            stop = min(start + ROWS, len(self.label))
            block = logits[: stop - start]
            self.design.forward(start, stop, weights, block)
            each = block.reshape(stop - start, n_outputs, n_models)
            self.link.residual(each, self.label[start:stop], self.weight[start:stop])
            record, model = absent.within(start, stop)
            each[record - start, :, model] = 0.0
            self.design.backward(start, stop, block, out)
        return out.reshape(theta.shape)


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of `record` and `model`, ordered by record."""

    record: Index
    model: Index

    @classmethod
    def where(cls, mask: NDArray[np.bool_]) -> "Pairs":
        """Of a mask [M, N]."""
        record, model = np.nonzero(mask.T)
        return cls(record, model)

    def within(self, start: int, stop: int) -> tuple[Index, Index]:
        """The pairs of records `start:stop`."""
        low, high = np.searchsorted(self.record, (start, stop))
        return self.record[low:high], self.model[low:high]

    def only(self, models: Index) -> "Pairs":
        """The pairs of `models`, renumbered by their place there."""
        place = np.full(max(self.model.max(initial=-1), models.max(initial=-1)) + 1, -1)
        place[models] = np.arange(len(models))
        model = place[self.model]
        return Pairs(self.record[model >= 0], model[model >= 0])


@dataclass(frozen=True, eq=False)
class Solution:
    """A model at its optimum, with its Hessian there: `theta` [F + 1, R], `keep` [N], `penalty` [F + 1].

    `step` is the bound that the gradient test compares, `converged` its outcome.
    """

    problem: Problem
    keep: NDArray[np.bool_]
    penalty: Array
    theta: Array
    step: float
    converged: bool

    @cached_property
    def logits(self) -> Array:
        """[N, R]"""
        return self.problem.logits(self.theta)

    @cached_property
    def factor(self) -> tuple[Array, bool]:
        """Cholesky factor of the Hessian [(F + 1) R, (F + 1) R]."""
        return _factor(self.problem, self.keep, self.penalty, self.logits)

    @cached_property
    def gradient(self) -> Array:
        """[F + 1, R], nearly zero."""
        return self.problem.slope(self.logits, self.keep, self.penalty, self.theta)


def solve(problem: Problem, keep: NDArray[np.bool_], penalty: Array, start: Array | None = None) -> Solution:
    """Newton's method with a line search on the records `keep` [N]; with many unknowns L-BFGS goes first.

    The Hessian is kept as long as steps shrink fast.
    """
    shape = (problem.design.rows.shape[1], problem.n_outputs)
    theta = np.zeros(shape) if start is None else start.copy()
    if start is None and shape[0] * shape[1] > _MANY:
        theta = _approach(problem, keep, penalty, theta)
    factor, before, size = None, np.inf, np.inf
    for _ in range(_MOST_STEPS):
        logits = problem.logits(theta)
        gradient = problem.slope(logits, keep, penalty, theta)
        if factor is None or size > _SLOW * before:
            factor = _factor(problem, keep, penalty, logits)
        step = cho_solve(factor, gradient.ravel(), check_finite=False).reshape(shape)
        before, size = size, float(np.abs(problem.logits(step)).max())
        if size <= TOLERANCE:
            return Solution(problem, keep, penalty, theta - step, size, True)
        theta = _search(problem, keep, penalty, theta, step, float(np.vdot(gradient, step)))
    return Solution(problem, keep, penalty, theta, size, False)


def _approach(problem: Problem, keep: NDArray[np.bool_], penalty: Array, start: Array) -> Array:
    """Near the optimum by L-BFGS, where forming Hessians on the way would cost more."""

    def value(flat: Array) -> tuple[float, Array]:
        theta = flat.reshape(start.shape)
        logits = problem.logits(theta)
        gradient = problem.slope(logits, keep, penalty, theta)
        return problem.objective(logits, keep, penalty, theta), gradient.ravel()

    found = minimize(value, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 200, "gtol": 1e-2})
    return found.x.reshape(start.shape)


def _search(
    problem: Problem, keep: NDArray[np.bool_], penalty: Array, theta: Array, step: Array, decrement: float
) -> Array:
    """Half the step until the objective falls; near the optimum, where rounding hides the fall, the whole step."""
    if decrement < 1e-6:
        return theta - step

    def value(theta: Array) -> float:
        return problem.objective(problem.logits(theta), keep, penalty, theta)

    now, length = value(theta), 1.0
    while value(theta - length * step) > now - 1e-4 * length * decrement and length > 1e-8:
        length /= 2
    return theta - length * step


def _factor(problem: Problem, keep: NDArray[np.bool_], penalty: Array, logits: Array) -> tuple[Array, bool]:
    curvature = problem.link.curvature(logits) * (problem.weight * keep)[:, None, None]
    hessian = problem.design.gram(curvature)
    columns, outputs = np.arange(hessian.shape[0]), np.arange(hessian.shape[1])
    hessian[columns[:, None], outputs, columns[:, None], outputs] += penalty[:, None]
    if problem.n_outputs > 1:
        # adding one number to all intercepts changes no posterior: this keeps their sum where it is
        hessian[-1, :, -1, :] += 1.0
    size = len(columns) * len(outputs)
    return cho_factor(hessian.reshape(size, size), lower=True, overwrite_a=True, check_finite=False)


@dataclass(frozen=True, eq=False)
class Variants:
    """Solved variants: `theta` [M, F + 1, R], the last `step` [M] of the gradient test, `stalled` [M]."""

    theta: Array
    step: Array
    stalled: NDArray[np.bool_]


def solve_variants(base: Solution, keep: NDArray[np.bool_], penalty: Array) -> Variants:
    """Models on the records `keep` [M, N] with `penalty` [M, F + 1], from the solution on nearly the same records.

    A model that more records left or joined than it has weights is not tried: it gains nothing from a Hessian shared.
    """
    found = Variants(
        np.repeat(base.theta[None], len(keep), axis=0), np.full(len(keep), np.inf), np.ones(len(keep), dtype=bool)
    )
    changed = (keep != base.keep).sum(axis=1)
    order = np.argsort(changed, kind="stable")
    order = order[changed[order] <= max(_FEW, base.theta.shape[0])]
    start = 0
    while start < len(order):
        rows = order[start : start + _CHUNK]
        # the update of one model holds (F + 1) R numbers for each of its changed records and outputs
        held = base.theta.size * base.problem.n_outputs * np.maximum(changed[rows], 1)
        rows = rows[: max(1, int((held * np.arange(1, len(rows) + 1) <= _HELD).sum()))]
        part = _solve_chunk(base, keep[rows], penalty[rows])
        found.theta[rows], found.step[rows], found.stalled[rows] = part.theta, part.step, part.stalled
        start += len(rows)
    return found


def _solve_chunk(base: Solution, keep: NDArray[np.bool_], penalty: Array) -> Variants:
    """L-BFGS whose first inverse Hessian is the updated one, without a line search: the start is near."""
    update = _Woodbury.of(base, keep)
    absent = Pairs.where(~keep)
    start = base.theta[:, :, None]
    d = penalty.T[:, None, :]
    # at the base's solution the gradient is known without a pass over the records
    gradient = base.gradient[:, :, None] + update.gradient + (d - base.penalty[:, None, None]) * start
    theta = np.repeat(start, len(keep), axis=2)
    active, best = np.arange(len(keep)), np.full(len(keep), np.inf)
    stalled = np.zeros(len(keep), dtype=bool)
    memory = _Memory(len(keep))
    for _ in range(_MOST_SHARED_STEPS):
        step = memory.solve(gradient, partial(update.solve, models=active))
        decrement = np.einsum("frm,frm->m", gradient, step)
        size = update.reach * np.sqrt(np.maximum(decrement, 0.0))
        lost = ~(decrement >= 0) | ~(size <= _DIVERGED * best[active])
        done = (size <= TOLERANCE) & ~lost
        best[active] = np.fmin(size, best[active])
        theta[:, :, active[~lost]] -= step[:, :, ~lost]
        stalled[active[lost]] = True
        on = ~(done | lost)
        active = active[on]
        if not len(active):
            break
        now = theta[:, :, active]
        before, gradient = gradient[:, :, on], base.problem.gradient(now, absent.only(active)) + d[:, :, active] * now
        memory.add(-step[:, :, on], gradient - before, on)
    stalled[active] = True
    return Variants(np.ascontiguousarray(theta.transpose(2, 0, 1)), best, stalled)


class _Memory:
    """The two-loop recursion of L-BFGS for many models at once (Nocedal and Wright, algorithm 7.4)."""

    def __init__(self, n_models: int) -> None:
        self._steps: list[Array] = []
        self._changes: list[Array] = []
        self._inner: list[Array] = []

    def add(self, step: Array, change: Array, on: NDArray[np.bool_]) -> None:
        """The last step and the change of the gradient over it [F + 1, R, M], of the models that go `on`."""
        for past in (self._steps, self._changes):
            past[:] = [each[:, :, on] for each in past]
        self._inner = [each[on] for each in self._inner]
        self._steps.append(step)
        self._changes.append(change)
        self._inner.append(np.einsum("frm,frm->m", step, change))

    def solve(self, gradient: Array, first: Callable[[Array], Array]) -> Array:
        """The step for `gradient`, where `first` multiplies by the first inverse Hessian."""
        past = list(zip(self._steps, self._changes, self._inner, strict=True))
        direction, weights = gradient, []
        for step, change, inner in reversed(past):
            weight = np.einsum("frm,frm->m", step, direction) / inner
            direction = direction - weight * change
            weights.append(weight)
        direction = first(direction)
        for (step, change, inner), weight in zip(past, reversed(weights), strict=True):
            direction = direction + (weight - np.einsum("frm,frm->m", change, direction) / inner) * step
        return direction


@dataclass(frozen=True, eq=False)
class _Woodbury:
    """The inverse Hessian after records left and came, for each of many models.

    H_m = H + X' D X over the U records that changed for model m (padded with zero curvature), where X is
    x (x) I_R and D their signed curvature; so H_m^-1 g = h - A D (I + X A D)^-1 X h with A = H^-1 X' and h = H^-1 g.
    `gradient` [F + 1, R, M] is what the changed records add to the gradient at the base's solution. `reach` is the
    largest norm of a changed record in the metric of H^-1: it turns lengths of steps into changes of logits.
    """

    factor: tuple[Array, bool]
    rows: Array  # [M, U, F + 1]
    solved: Array  # A: [M, (F + 1) R, U R]
    middle: Array  # D (I + X A D)^-1: [M, U R, U R]
    gradient: Array
    reach: float

    @classmethod
    def of(cls, base: Solution, keep: NDArray[np.bool_]) -> "_Woodbury":
        record, sign, model, place = _changes(base.keep, keep)
        problem, R = base.problem, base.problem.n_outputs
        M, U, n_columns = len(keep), int(place.max(initial=-1)) + 1, problem.design.rows.shape[1]
        unique, back = np.unique(record, return_inverse=True)
        x = problem.design.rows[unique]
        curvature = problem.link.curvature(base.logits[unique]) * problem.weight[unique, None, None]
        residual = base.logits[unique][:, :, None].copy()
        problem.link.residual(residual, problem.label[unique], problem.weight[unique])

        right = np.einsum("uf,rs->frus", x, np.eye(R)).reshape(n_columns * R, -1)
        solved = cho_solve(base.factor, right, overwrite_b=True, check_finite=False).reshape(n_columns * R, -1, R)
        rows, signed = np.zeros((M, U, n_columns)), np.zeros((M, U, R, R))
        a = np.zeros((M, n_columns * R, U, R))
        gradient = np.zeros((M, n_columns, R))
        rows[model, place] = x[back]
        signed[model, place] = sign[:, None, None] * curvature[back]
        a[model, :, place] = solved[:, back].transpose(1, 0, 2)
        np.add.at(gradient, model, (sign[:, None] * residual[back, :, 0])[:, None, :] * x[back][:, :, None])

        blocks, each = np.zeros((M, U, R, U, R)), np.arange(U)
        blocks[:, each, :, each] = signed.transpose(1, 0, 2, 3)
        d = blocks.reshape(M, U * R, U * R)
        xa = np.einsum("muf,mfrvs->murvs", rows, a.reshape(M, n_columns, R, U, R), optimize=True)
        inner = np.eye(U * R) + xa.reshape(M, U * R, U * R) @ d
        middle = d @ np.linalg.inv(inner) if U else d
        farthest = xa.reshape(M, U * R, U * R).diagonal(axis1=1, axis2=2)
        reach = max(1.0, float(np.sqrt(farthest.max(initial=0.0))))
        return cls(base.factor, rows, a.reshape(M, n_columns * R, U * R), middle, gradient.transpose(1, 2, 0), reach)

    def solve(self, gradient: Array, models: Index) -> Array:
        """Newton steps [F + 1, R, M] of some models."""
        shape = gradient.shape
        h = cho_solve(self.factor, gradient.reshape(-1, shape[2]), check_finite=False)
        each = h.reshape(shape)
        t = np.einsum("muf,frm->mur", self.rows[models], each).reshape(len(models), -1, 1)
        h -= (self.solved[models] @ (self.middle[models] @ t))[:, :, 0].T
        return h.reshape(shape)


def _changes(base: NDArray[np.bool_], keep: NDArray[np.bool_]) -> tuple[Index, Array, Index, Index]:
    """Every change of a record: which, +1 came or -1 left, in which model, and its place there."""
    model, record = np.nonzero(keep != base)
    sign = np.where(keep[model, record], 1.0, -1.0)
    first = np.searchsorted(model, np.arange(len(keep)))
    return record, sign, model, np.arange(len(model)) - first[model]


__all__ = ["LinAlgError", "Problem", "Solution", "Variants", "solve", "solve_variants"]
