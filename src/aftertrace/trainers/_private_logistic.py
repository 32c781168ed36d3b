"""Differentially private logistic regression by output or objective perturbation."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from aftertrace.errors import TrainingError, UnsupportedError
from aftertrace.trainers._network_rows import child
from aftertrace.trainers._protocol import Base, Guarantee, Promise, Seeding, Size, TrainingData
from aftertrace.trainers._public_bounds import public_range, to_unit_ball, to_unit_box

Array = NDArray[np.float64]
Method = Literal["objective", "output"]
_NOISE = 0  # child of a row's stream; its own children are the classes
_CURVATURE = 0.25  # the largest second derivative of the logistic loss: c in the paper
_ENOUGH = 1e-10  # a step shorter than this, relative to the weights, ends the iteration: the next is about its square
_MOST_STEPS = 200


@dataclass(frozen=True, kw_only=True)
class PrivateLogisticTrainer:
    """Logistic regression with noise on its objective or on its weights: (epsilon, 0)-differential privacy.

    Minimises the mean log loss plus `penalty`/2 times the squared weights (the intercept's too). "output" adds noise
    to the minimiser, "objective" adds a random linear term and minimises that. A row's noise has a uniform direction
    and a gamma distributed length, and comes from the row's stream only. Two classes are one regression; K > 2 are K
    of one class against the rest, each with epsilon / K (basic composition), their posteriors normalised.

    The guarantee is for the substitution of one record. It takes as public: the specification, the classes, the
    number of records of a row, and, where `scaled`, the ranges of the columns over all records of the data set.
    Columns are mapped from those ranges, or as they are, to [-1, 1] and clipped; with a column of ones for the
    intercept each record is divided by its norm, as the proofs need norms of at most 1. They need the exact minimiser
    too: it is solved by Newton's method until a step changes the weights by less than 1e-10 of their length. Noise is
    drawn in floating point: no protection against an attacker who reads the last bits of weights, or knows the seed.

    Every class has a posterior in every model, and a row of one class only is trained as any other: refusing it would
    give away its last record. Promise: 1e-8 in posteriors.

    Source: K. Chaudhuri, C. Monteleoni, A. Sarwate, JMLR 12 (2011), arXiv 0912.0071, algorithms 1 ("output") and 2
    ("objective"), theorems 6 and 9. Deviation: classes beyond two. Raises `ValueError` for parameters out of range.
    """

    epsilon: float
    method: Method = "objective"
    penalty: float = 0.002
    scaled: bool = True

    def __post_init__(self) -> None:
        for name in ("epsilon", "penalty"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 < value < np.inf:
                raise ValueError(f"`{name}` must be a positive number, got {value!r}.")
        if self.method not in get_args(Method):
            raise ValueError(f"`method` must be one of {', '.join(get_args(Method))}, got {self.method!r}.")

    @property
    def promise(self) -> Promise:
        return Promise.TOLERANCE

    @property
    def seedings(self) -> frozenset[Seeding]:
        """Fresh only: noise that versions share cancels in their difference."""
        return frozenset({Seeding.FRESH})

    def guarantee(self, size: Size) -> Guarantee:
        """Of each model alone; the same for every number of records."""
        account = f"logistic regression by {self.method} perturbation, number of records public"
        if size.classes > 2:
            account += f"; {size.classes} regressions of epsilon {self.epsilon / size.classes:.3g} each, added up"
        return Guarantee(epsilon=float(self.epsilon), delta=0.0, adjacency="substitution", account=account)

    def reference(self) -> "PrivateLogisticReference":
        """The same problems with the same noise, solved by MINPACK."""
        return PrivateLogisticReference(self)

    def working_bytes(self, size: Size) -> int:
        """About the most that training and its models hold: records of a row and their products, Hessians, weights."""
        columns, outputs = size.features + 1, _n_outputs(size.classes)
        return 8 * (5 * size.records * columns + 3 * columns**2 + size.models * outputs * columns)

    def fit(
        self,
        data: TrainingData,
        keep: NDArray[np.bool_],
        *,
        streams: Sequence[np.random.SeedSequence],
        device: str = "cpu",
        base: Base | None = None,
    ) -> "PrivateLogisticModels":
        """One model per row, on the CPU; `base` is not used.

        Raises `TrainingError` for a row without records; `UnsupportedError` for weighted records, for which the paper
        has no proof, and for other devices.
        """
        return _fit(self, data, keep, streams, device, _newton)


@dataclass(frozen=True)
class PrivateLogisticReference:
    """Trains what `trainer` specifies with SciPy's solver of equations. It shares the noise, not the solver."""

    trainer: PrivateLogisticTrainer

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
    ) -> "PrivateLogisticModels":
        """As `PrivateLogisticTrainer.fit`."""
        return _fit(self.trainer, data, keep, streams, device, _root)


@dataclass(frozen=True, eq=False)
class PrivateLogisticModels:
    """`weights` [M, R, F + 1], intercept last, of the records as `to_unit_ball` gives them; `low`, `high` [F]: ranges.

    R is 1 for two classes, whose second it speaks for, and K for more.
    """

    weights: Array
    low: Array
    high: Array
    counts: Mapping[str, int]
    worst: Mapping[str, float] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.weights)

    def parameters(self, model: int) -> dict[str, NDArray[np.generic]]:
        """A model's arrays by name."""
        return {"weights": self.weights[model], "low": self.low, "high": self.high}

    def log_posteriors(self, x: Array, model: NDArray[np.int64]) -> Array:
        """[Q, F], [Q] -> [Q, K]"""
        ball = to_unit_ball(to_unit_box(x, self.low, self.high))
        logits = np.einsum("qf,qrf->qr", ball, self.weights[model])
        if logits.shape[1] == 1:
            logits = np.column_stack([-logits, logits])
        log_share = -np.logaddexp(0, -logits)
        return log_share - np.logaddexp.reduce(log_share, axis=1, keepdims=True)


@dataclass(frozen=True, eq=False)
class _Problem:
    """Mean log loss of `rows` [n, d] (times their label, -1 or 1) + `linear`·w + `penalty`/2 |w|^2."""

    rows: Array
    linear: Array
    penalty: float

    def gradient(self, w: Array) -> Array:
        return -self.rows.T @ _sigmoid(-self.rows @ w) / len(self.rows) + self.linear + self.penalty * w

    def hessian(self, w: Array) -> Array:
        p = _sigmoid(self.rows @ w)
        hessian: Array = self.rows.T @ (self.rows * (p * (1 - p))[:, None]) / len(self.rows)
        hessian[np.diag_indices(len(w))] += self.penalty
        return hessian


_Solver = Callable[[_Problem], Array]


def _fit(
    trainer: PrivateLogisticTrainer,
    data: TrainingData,
    keep: NDArray[np.bool_],
    streams: Sequence[np.random.SeedSequence],
    device: str,
    solve: _Solver,
) -> PrivateLogisticModels:
    if device != "cpu":
        raise UnsupportedError(f"Private logistic regression is trained on device 'cpu', got {device!r}.")
    if data.weight is not None:
        raise UnsupportedError("Private logistic regression takes records that weigh the same, got weights.")
    ones = np.ones(data.x.shape[1])
    low, high = public_range(data) if trainer.scaled else (-ones, ones)
    positive = range(1, 2) if data.n_classes == 2 else range(data.n_classes)
    weights = np.empty((len(keep), len(positive), data.x.shape[1] + 1))
    for m, (row, stream) in enumerate(zip(keep, streams, strict=True)):
        records = np.flatnonzero(row)
        if not len(records):
            raise TrainingError("Private logistic regression needs at least one record in each row, got 0.")
        ball = to_unit_ball(to_unit_box(data.x[records], low, high))
        for r, k in enumerate(positive):
            signed = np.where(data.label[records] == k, 1.0, -1.0)[:, None] * ball
            rng = np.random.default_rng(child(child(stream, _NOISE), k))
            weights[m, r] = _perturbed(trainer, signed, trainer.epsilon / len(positive), rng, solve)
    return PrivateLogisticModels(weights, low, high, {"models": len(keep)})


def _perturbed(
    trainer: PrivateLogisticTrainer, signed: Array, epsilon: float, rng: np.random.Generator, solve: _Solver
) -> Array:
    """The weights of one regression on `signed` [n, d], records times their label, -1 or 1. -> [d]"""
    n, d = signed.shape
    if trainer.method == "output":
        clean = solve(_Problem(signed, np.zeros(d), trainer.penalty))
        return clean + _noise(rng, d, rate=n * trainer.penalty * epsilon / 2)
    left, extra = _objective_budget(epsilon, n, trainer.penalty)
    linear = _noise(rng, d, rate=left / 2) / n
    return solve(_Problem(signed, linear, trainer.penalty + extra))


def _objective_budget(epsilon: float, n: int, penalty: float) -> tuple[float, float]:
    """Algorithm 2, steps 1 and 2: what is left of epsilon for the noise, and what is added to the penalty."""
    left = epsilon - 2 * float(np.log1p(_CURVATURE / (n * penalty)))  # 1 + 2c/(n l) + c^2/(n l)^2 is a square
    if left > 0:
        return left, 0.0
    return epsilon / 2, _CURVATURE / (n * float(np.expm1(epsilon / 4))) - penalty


def _noise(rng: np.random.Generator, d: int, *, rate: float) -> Array:
    """Drawn with density proportional to exp(-rate |b|): a gamma distributed length in a uniform direction. -> [d]"""
    direction = rng.standard_normal(d)
    return rng.gamma(d, 1 / rate) / np.linalg.norm(direction) * direction


def _newton(problem: _Problem) -> Array:
    """The minimiser; steps are halved until the gradient shrinks, which it does along every Newton step at first."""
    w = np.zeros(problem.rows.shape[1])
    slope = problem.gradient(w)
    for _ in range(_MOST_STEPS):
        step = np.linalg.solve(problem.hessian(w), slope)
        if np.linalg.norm(step) <= _ENOUGH * (1 + np.linalg.norm(w)):
            return w - step
        length = 1.0
        while np.linalg.norm(then := problem.gradient(w - length * step)) > (1 - length / 4) * np.linalg.norm(slope):
            length /= 2
            if length < 1e-6:
                raise TrainingError(_STUCK)
        w, slope = w - length * step, then
    raise TrainingError(_STUCK)


_STUCK = "Private logistic regression did not reach its minimum, which its guarantee needs; raise `penalty`."


def _root(problem: _Problem) -> Array:
    """Where the gradient is 0, by Powell's hybrid method."""
    from scipy.optimize import root

    start = np.zeros(problem.rows.shape[1])
    found: Array = root(problem.gradient, start, jac=problem.hessian, method="hybr", options={"xtol": 1e-13}).x
    return found


def _n_outputs(n_classes: int) -> int:
    return 1 if n_classes == 2 else n_classes


def _sigmoid(logits: Array) -> Array:
    return 0.5 * (1 + np.tanh(0.5 * logits))
