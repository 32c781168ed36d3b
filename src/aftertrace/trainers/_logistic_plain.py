"""Logistic regression, one model at a time by Newton's method: the slow obvious twin of the fast one.

It shares no code with the fast solver, so that a fault of one shows against the other; tests hold it against
scikit-learn's solver. It needs numpy alone: a run that checks a few models does not wait for scikit-learn.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from aftertrace.errors import TrainingError, UnsupportedError
from aftertrace.trainers._protocol import Base, Promise, Seeding, TrainingData

if TYPE_CHECKING:
    from aftertrace.trainers._logistic import LogisticTrainer

Array = NDArray[np.float64]
Response = Callable[[Array], Array]
_ENOUGH = 1e-11  # a step that changes no log odds by more ends the iteration: the next one would be its square
_MOST_STEPS = 200


@dataclass(frozen=True)
class PlainLogistic:
    """What `LogisticTrainer` promises, as its definition reads."""

    of: "LogisticTrainer"

    @property
    def promise(self) -> Promise:
        return Promise.EXACT

    @property
    def seedings(self) -> frozenset[Seeding]:
        return frozenset(Seeding)

    def fit(
        self,
        data: TrainingData,
        keep: NDArray[np.bool_],
        *,
        streams: Sequence[np.random.SeedSequence],
        device: str = "cpu",
        base: Base | None = None,
    ) -> "PlainLogisticModels":
        """One model per row of `keep` [M, N], on the CPU; nothing is random and `base` is not used."""
        if device != "cpu":
            raise UnsupportedError(f"The plain logistic regression is trained on device 'cpu', got {device!r}.")
        fitted = [self._fit_row(data, np.flatnonzero(row)) for row in keep]
        return PlainLogisticModels(fitted, data.n_classes, {"models": len(fitted)})

    def _fit_row(self, data: TrainingData, records: NDArray[np.int64]) -> "_Fitted":
        x, label = data.x[records], data.label[records]
        weight = np.ones(len(x)) if data.weight is None else data.weight[records]
        classes = np.unique(label)
        if len(classes) < 2:
            raise TrainingError(
                f"Logistic regression could not be trained on {len(x)} records of {len(classes)} classes: it needs "
                f"records of at least two."
            )
        mean, scale = np.zeros(x.shape[1]), np.ones(x.shape[1])
        if self.of.scaled:
            mean, spread = x.mean(axis=0), x.std(axis=0)
            varies = np.ptp(x, axis=0) > 1e-13 * np.abs(x).max(axis=0)
            scale = np.where(varies, spread, np.inf)  # a constant column becomes zeros
        rows = np.column_stack([(x - mean) / scale, np.ones(len(x))])
        penalty = np.append(np.full(x.shape[1], 1 / self.of.C), 0.0)
        is_class = (label[:, None] == classes).astype(np.float64)
        binary = len(classes) == 2 or self.of.multiclass == "one-against-rest"
        if not binary:
            theta = _newton(rows, is_class, weight, penalty, _softmax)
        elif len(classes) == 2:
            theta = _newton(rows, is_class[:, 1:], weight, penalty, _sigmoid)
        else:
            each = [_newton(rows, is_class[:, [k]], weight, penalty, _sigmoid) for k in range(len(classes))]
            theta = np.column_stack(each)
        return _Fitted(classes, mean, scale, theta, _sigmoid if binary else _softmax)


@dataclass(frozen=True, eq=False)
class _Fitted:
    """`theta` [F + 1, R] on columns standardised by `mean` and `scale`."""

    classes: NDArray[np.int64]
    mean: Array
    scale: Array
    theta: Array
    response: Response

    def posteriors(self, x: Array) -> Array:
        """[Q, F] -> [Q, len(classes)]"""
        p = self.response(((x - self.mean) / self.scale) @ self.theta[:-1] + self.theta[-1])
        if p.shape[1] == 1:
            return np.column_stack([1 - p, p])
        return p / p.sum(axis=1, keepdims=True)


@dataclass(frozen=True, eq=False)
class PlainLogisticModels:
    """Fitted models, asked one after the other."""

    fitted: Sequence[_Fitted]
    n_classes: int
    counts: Mapping[str, int]
    worst: Mapping[str, float] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.fitted)

    def log_posteriors(self, x: Array, model: NDArray[np.int64]) -> Array:
        """[Q, F], [Q] -> [Q, K]"""
        values = np.zeros((len(x), self.n_classes))
        for number in np.unique(model):
            rows = np.flatnonzero(model == number)
            values[rows[:, None], self.fitted[number].classes] = self.fitted[number].posteriors(x[rows])
        with np.errstate(divide="ignore"):
            return np.log(values)


def _newton(rows: Array, truth: Array, weight: Array, penalty: Array, response: Response) -> Array:
    """The optimum of the weighted log loss plus half the penalised squares. [N, F + 1], [N, R] -> [F + 1, R]"""
    theta: Array = np.zeros((rows.shape[1], truth.shape[1]))
    for _ in range(_MOST_STEPS):
        p = response(rows @ theta)
        gradient = rows.T @ ((p - truth) * weight[:, None]) + penalty[:, None] * theta
        hessian = _hessian(rows, p, weight, penalty, response)
        solved = np.linalg.solve(hessian, gradient.T.reshape(-1, 1))
        step = solved.reshape(gradient.shape[::-1]).T
        if np.abs(rows @ step).max() <= _ENOUGH:
            return theta - step
        theta = theta - _length(rows, truth, weight, penalty, response, theta, step) * step
    raise TrainingError(f"Logistic regression did not converge within {_MOST_STEPS} steps; lower `C`.")


def _length(
    rows: Array, truth: Array, weight: Array, penalty: Array, response: Response, theta: Array, step: NDArray[Any]
) -> float:
    """The first of 1, 1/2, 1/4, ... that does not raise the objective beyond rounding."""

    def objective(theta: Array) -> float:
        logits = rows @ theta
        if response is _softmax:
            top = logits.max(axis=1, keepdims=True)
            loss = np.log(np.exp(logits - top).sum(axis=1)) + top[:, 0] - (logits * truth).sum(axis=1)
        else:
            loss = np.logaddexp(0, np.where(truth == 1, -logits, logits))[:, 0]
        return float(weight @ loss + 0.5 * (penalty[:, None] * theta**2).sum())

    now, length = objective(theta), 1.0
    while length > 1e-6 and objective(theta - length * step) > now + 1e-12 * abs(now):
        length /= 2
    return length


def _hessian(rows: Array, p: Array, weight: Array, penalty: Array, response: Response) -> Array:
    """Second derivatives, outputs outermost. -> [R (F + 1), R (F + 1)]"""
    n_columns, n_outputs = rows.shape[1], p.shape[1]
    out = np.empty((n_outputs, n_columns, n_outputs, n_columns))
    for a in range(n_outputs):
        for b in range(n_outputs):
            curvature = weight * p[:, a] * ((a == b) - p[:, b])
            out[a, :, b, :] = rows.T @ (curvature[:, None] * rows)
    hessian = out.reshape(n_outputs * n_columns, n_outputs * n_columns)
    hessian[np.diag_indices(len(hessian))] += np.tile(penalty, n_outputs)
    if response is _softmax:  # one number added to all intercepts changes no posterior: their sum stays 0
        intercepts = np.arange(n_outputs) * n_columns + n_columns - 1
        hessian[np.ix_(intercepts, intercepts)] += 1.0
    return hessian


def _sigmoid(logits: Array) -> Array:
    return 0.5 * (1 + np.tanh(0.5 * logits))


def _softmax(logits: Array) -> Array:
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)
