"""Generalised linear models with an L2 penalty, solved to the optimum.

They minimise  sum_i w_i loss(x_i' theta, y_i) + 1/2 sum_j d_j theta_j^2  over theta [F + 1, R], where d is 0 for the
intercept. Many that differ in a few records are solved together by `_convex_variants`.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.linalg.lapack import dpotri

from aftertrace.errors import TrainingError
from aftertrace.trainers._design import Design
from aftertrace.trainers._links import Link

Array = NDArray[np.float64]
Index = NDArray[np.int64]
Mask = NDArray[np.bool_]

TOLERANCE = 1e-8
"""Gradient test: the Newton step must change no training record's logits by more than this."""
_MOST_STEPS = 100
_SLOW = 0.1  # a Hessian is formed anew when a step leaves more than this of the last one's length
_MANY = 200  # unknowns
_BLOCK = 2**15  # numbers of a block of records and their logits, which stay in cache between the two products
_LEAST_ROWS = 128  # of a block; products with fewer are slow


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

    def objective(self, logits: Array, keep: Mask, penalty: Array, theta: Array) -> float:
        """What one model minimises on the records `keep` [N]."""
        loss = (self.weight * self.link.loss(logits, self.label))[keep].sum()
        return float(loss + 0.5 * (penalty[:, None] * theta**2).sum())

    def slope(self, logits: Array, keep: Mask, penalty: Array, theta: Array) -> Array:
        """The gradient of `objective`. -> [F + 1, R]"""
        residual = self.link.slope(logits, self.label) * (self.weight * keep)[:, None]
        return self.design.rows.T @ residual + penalty[:, None] * theta

    def gradient(self, theta: Array, absent: "Pairs") -> Array:
        """Gradient of the summed loss for many models [F + 1, R, M], each without its `absent` records."""
        n_columns, n_outputs, n_models = theta.shape
        weights = np.ascontiguousarray(theta).reshape(n_columns, -1)
        n_rows = max(_LEAST_ROWS, _BLOCK // sum(weights.shape))
        out, logits = np.zeros_like(weights), np.empty((n_rows, weights.shape[1]))
        for start in range(0, len(self.label), n_rows):
            stop = min(start + n_rows, len(self.label))
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
    keep: Mask
    penalty: Array
    theta: Array
    step: float
    converged: bool

    @cached_property
    def logits(self) -> Array:
        """[N, R]"""
        return self.problem.logits(self.theta)

    @cached_property
    def inverse(self) -> Array:
        """Inverse of the Hessian [(F + 1) R, (F + 1) R]: for many models one product with it beats two solves."""
        factor, _ = _factor(self.problem, self.keep, self.penalty, self.logits)
        lower, _ = dpotri(factor, lower=True, overwrite_c=True)
        return np.tril(lower) + np.tril(lower, -1).T

    @cached_property
    def gradient(self) -> Array:
        """[F + 1, R], nearly zero."""
        return self.problem.slope(self.logits, self.keep, self.penalty, self.theta)

    def local(self, record: Index) -> tuple[Array, Array]:
        """First and second derivatives of the weighted loss of some records by their logits. -> [U, R], [U, R, R]"""
        problem, logits, weight = self.problem, self.logits[record], self.problem.weight[record]
        slope = problem.link.slope(logits, problem.label[record]) * weight[:, None]
        return slope, problem.link.curvature(logits) * weight[:, None, None]


def solve(problem: Problem, keep: Mask, penalty: Array, start: Array | None = None) -> Solution:
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


def _approach(problem: Problem, keep: Mask, penalty: Array, start: Array) -> Array:
    """Near the optimum by L-BFGS, where forming Hessians on the way would cost more."""
    from scipy.optimize import minimize

    def value(flat: Array) -> tuple[float, Array]:
        theta = flat.reshape(start.shape)
        logits = problem.logits(theta)
        gradient = problem.slope(logits, keep, penalty, theta)
        return problem.objective(logits, keep, penalty, theta), gradient.ravel()

    found = minimize(value, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 200, "gtol": 1e-2})
    return found.x.reshape(start.shape)


def _search(problem: Problem, keep: Mask, penalty: Array, theta: Array, step: Array, decrement: float) -> Array:
    """Half the step until the objective falls; near the optimum, where rounding hides the fall, the whole step."""
    if decrement < 1e-6:
        return theta - step

    def value(theta: Array) -> float:
        return problem.objective(problem.logits(theta), keep, penalty, theta)

    now, length = value(theta), 1.0
    while value(theta - length * step) > now - 1e-4 * length * decrement and length > 1e-8:
        length /= 2
    return theta - length * step


def _factor(problem: Problem, keep: Mask, penalty: Array, logits: Array) -> tuple[Array, bool]:
    curvature = problem.link.curvature(logits) * (problem.weight * keep)[:, None, None]
    hessian = problem.design.gram(curvature)
    columns, outputs = np.arange(hessian.shape[0]), np.arange(hessian.shape[1])
    hessian[columns[:, None], outputs, columns[:, None], outputs] += penalty[:, None]
    if problem.n_outputs > 1:
        # adding one number to a column's weights of all outputs changes no posterior: this keeps their sum where it
        # is, which is 0; a small penalty alone would turn rounding in that direction into long steps
        hessian[columns, :, columns, :] += 1.0
    size = len(columns) * len(outputs)
    try:
        return cho_factor(hessian.reshape(size, size), lower=True, overwrite_a=True, check_finite=False)
    except LinAlgError as error:
        raise TrainingError(
            "Logistic regression could not be solved: its Hessian is singular in float64, as where the penalty is tiny "
            "and classes are told apart perfectly. Lower `C`, or standardise the columns."
        ) from error
