"""Logistic regression with an L2 penalty, solved to the optimum for all variants of an original together."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from aftertrace.errors import TrainingError
from aftertrace.trainers._device import check_device
from aftertrace.trainers._protocol import Base, Promise, Seeding, Size, TrainingData
from aftertrace.trainers._scaling import constant

if TYPE_CHECKING:
    from aftertrace.trainers._convex import Problem, Solution
    from aftertrace.trainers._convex_variants import Place
    from aftertrace.trainers._design import Frame
    from aftertrace.trainers._sklearn import SklearnTrainer

Array = NDArray[np.float64]
Index = NDArray[np.int64]
Mask = NDArray[np.bool_]
Multiclass = Literal["multinomial", "one-against-rest"]
Placed = Callable[[Sequence["Solution"]], Sequence["Place"]]
"""Brings the solutions of an anchor to where its variants are solved."""


@dataclass(frozen=True, kw_only=True)
class LogisticTrainer:
    """Minimises `C` times the summed (weighted) log loss plus half the squared weights; the intercept is free.

    `scaled`: as if columns were standardised on each model's own records, columns that do not vary there left at 0.
    `multiclass`: one softmax ("multinomial") or a binary model per class, normalised ("one-against-rest"); with two
    classes both are the same binary model. A row is solved until a Newton step changes no training record's log
    odds by more than 1e-8, and that step is taken. Rows that differ in a few records share the Hessian of the first
    of them, or of `base`; where this does not converge, a row is solved alone and counted under "fallbacks".

    Same optimum as scikit-learn's `LogisticRegression`, which stops earlier: at its default tolerance its error is
    as large as the effect of one deletion. Nothing is random.
    """

    C: float = 1.0
    scaled: bool = True
    multiclass: Multiclass = "multinomial"

    def __post_init__(self) -> None:
        if not isinstance(self.C, int | float) or not 0 < self.C < np.inf:
            raise ValueError(f"`C` must be a positive number, got {self.C!r}.")
        if self.multiclass not in get_args(Multiclass):
            raise ValueError(f"`multiclass` must be one of {', '.join(get_args(Multiclass))}, got {self.multiclass!r}.")

    @property
    def promise(self) -> Promise:
        return Promise.TOLERANCE

    @property
    def seedings(self) -> frozenset[Seeding]:
        return frozenset(Seeding)

    def reference(self) -> "SklearnTrainer":
        """The slow twin: scikit-learn's solver, one row at a time, at a tolerance far below its default."""
        from sklearn.linear_model import LogisticRegression
        from sklearn.multiclass import OneVsRestClassifier
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        from aftertrace.trainers._sklearn import SklearnTrainer

        classifier = LogisticRegression(C=self.C, solver="newton-cholesky", tol=1e-10, max_iter=1000)
        if self.multiclass == "one-against-rest":
            classifier = OneVsRestClassifier(classifier)
        return SklearnTrainer(make_pipeline(StandardScaler(), classifier) if self.scaled else classifier)

    def working_bytes(self, size: Size) -> int:
        """About the most that a fit on the CPU and its models hold: records, Hessians, updates and steps of a pass."""
        from aftertrace.trainers._convex_variants import MODELS

        columns = size.features + 1
        outputs = 1 if size.classes == 2 else size.classes
        unknowns = columns * (1 if self.multiclass == "one-against-rest" else outputs)
        records = 8 * size.records * (6 * columns + 8 * outputs)
        hessians = 8 * unknowns**2 * (2 + outputs if self.multiclass == "one-against-rest" else 3)
        steps = 8 * unknowns * min(size.models, MODELS) * (24 + 4 * outputs)
        models = size.models * (4 * size.records + 8 * columns * (3 * size.classes + 12))
        return records + hessians + steps + models

    def fit(
        self,
        data: TrainingData,
        keep: Mask,
        *,
        streams: Sequence[np.random.SeedSequence],
        device: str = "cpu",
        base: Base | None = None,
    ) -> "LogisticModels":
        """One model per row. On 'cuda', 'cuda:1' and so on, rows are solved from their anchors with torch, in float64.

        Raises `TrainingError` for a row with records of one class only, and `UnsupportedError` for other devices or
        where torch finds no GPU.
        """
        check_device(device, "Logistic regression is")
        placed: Placed
        if device == "cpu":
            from aftertrace.trainers._convex_variants import on_host as placed
        else:
            from aftertrace.trainers._convex_torch import on_device

            placed = partial(on_device, device=device)
        return fit_placed(self, data, keep, streams=streams, base=base, placed=placed)


def fit_placed(
    trainer: LogisticTrainer,
    data: TrainingData,
    keep: Mask,
    *,
    streams: Sequence[np.random.SeedSequence],
    base: Base | None,
    placed: Placed,
) -> "LogisticModels":
    """`LogisticTrainer.fit`, with variants solved where `placed` brings them."""
    if len(streams) != len(keep):
        raise ValueError(f"`streams` must be one per row of `keep`; got {len(streams)} for {len(keep)} rows.")
    present = _present(data, keep)
    models = _Collected.empty(trainer, placed, len(keep), data)
    is_pending = np.ones(len(keep), dtype=bool)
    for anchor, rows in _known_anchors(trainer, data, keep, present, base):
        models.add(anchor, rows, keep[rows])
        is_pending[rows] = False
    while is_pending.any():
        rows = _alike(keep, present, np.flatnonzero(is_pending))
        anchor = _solve_anchor(trainer, data, keep[rows], present[rows[0]])
        models.add(anchor, rows, keep[rows])
        models.anchors[int(rows[0])] = anchor
        is_pending[rows] = False
    return models.finished()


@dataclass(frozen=True, eq=False)
class LogisticModels:
    """`weights` [M, K, F + 1] on plain records, intercept last; `present` [M, K]; `independent` [M]: one against rest.

    `worst["log_odds_step"]`: the largest last step, what the gradient test compared with 1e-8.
    """

    weights: Array
    present: Mask
    independent: Mask
    counts: Mapping[str, int]
    worst: Mapping[str, float]
    trainer: LogisticTrainer
    anchors: Mapping[int, "Anchor"] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.weights)

    def parameters(self, model: int) -> dict[str, NDArray[np.generic]]:
        """A model's arrays by name."""
        return {"weights": self.weights[model], "present": self.present[model], "independent": self.independent[model]}

    def log_posteriors(self, x: Array, model: Index) -> Array:
        """Log posteriors; `-inf` for classes without records. [Q, F], [Q] -> [Q, K]"""
        out = np.empty((len(x), self.weights.shape[1]))
        order = np.argsort(model, kind="stable")
        numbers, first = np.unique(model[order], return_index=True)
        for number, queries in zip(numbers, np.split(order, first[1:]), strict=True):
            weights = self.weights[number]
            logits = x[queries] @ weights[:, :-1].T + weights[:, -1]
            out[queries] = _log_posterior(logits, self.present[number], bool(self.independent[number]))
        return out


@dataclass(frozen=True, eq=False)
class Anchor:
    """A model that others are solved from: numbers of records `universe`, coordinates, and solution per output."""

    data: TrainingData
    universe: Index
    frame: "Frame"
    solutions: tuple["Solution", ...]
    present: Mask


@dataclass(eq=False)
class _Collected:
    """Models as they come in."""

    trainer: LogisticTrainer
    placed: Placed
    weights: Array
    present: Mask
    independent: Mask
    anchors: dict[int, Anchor] = field(default_factory=dict)
    fallbacks: int = 0
    unconverged: int = 0
    step: float = 0.0

    @classmethod
    def empty(cls, trainer: LogisticTrainer, placed: Placed, n_models: int, data: TrainingData) -> "_Collected":
        shape = (n_models, data.n_classes, data.x.shape[1] + 1)
        flags = np.zeros(shape[:2], dtype=bool), np.zeros(n_models, dtype=bool)
        return cls(trainer, placed, np.zeros(shape), *flags)

    def add(self, anchor: Anchor, rows: Index, keep: Mask) -> None:
        """Solve `rows` from `anchor`."""
        inside = keep[:, anchor.universe]
        penalty = _penalties(self.trainer, anchor, inside)
        classes = np.flatnonzero(anchor.present)
        self.present[rows] = anchor.present
        self.independent[rows] = len(anchor.solutions) > 1
        for number, place in enumerate(self.placed(anchor.solutions)):
            theta, failed = self._solve(place, inside, penalty)
            self.unconverged += failed
            outside = anchor.frame.outward(theta.transpose(0, 2, 1))
            if len(anchor.solutions) > 1:
                self.weights[rows, classes[number]] = outside[:, 0]
            elif outside.shape[1] == 1:
                self.weights[rows, classes[1]] = outside[:, 0]
            else:
                self.weights[rows[:, None], classes] = outside

    def _solve(self, place: "Place", keep: Mask, penalty: Array) -> tuple[Array, int]:
        """Weights [M, F + 1, R] in the solution's coordinates, and how many rows did not converge."""
        from aftertrace.trainers._convex import solve
        from aftertrace.trainers._convex_variants import solve_variants

        found, solution = solve_variants(place, keep, penalty), place.solution
        failed = 0
        for row in np.flatnonzero(found.stalled):
            alone = solve(solution.problem, keep[row], penalty[row], solution.theta)
            found.theta[row], found.step[row] = alone.theta, alone.step
            failed += not alone.converged
        self.fallbacks += int(found.stalled.sum())
        self.step = max(self.step, float(found.step.max(initial=0.0)))
        return found.theta, failed

    def finished(self) -> LogisticModels:
        counts = {"models": len(self.weights), "fallbacks": self.fallbacks, "unconverged": self.unconverged}
        worst = {"log_odds_step": self.step}
        return LogisticModels(self.weights, self.present, self.independent, counts, worst, self.trainer, self.anchors)


def _present(data: TrainingData, keep: Mask) -> Mask:
    """Which classes each row has records of. -> [M, K]"""
    present = np.stack([keep[:, data.label == k].any(axis=1) for k in range(data.n_classes)], axis=1)
    few = np.flatnonzero(present.sum(axis=1) < 2)
    if len(few):
        raise TrainingError(
            f"Logistic regression could not be trained on {keep[few[0]].sum()} records of "
            f"{present[few[0]].sum()} classes: it needs records of at least two."
        )
    return present


def _alike(keep: Mask, present: Mask, pending: Index) -> Index:
    """The first of `pending`, and those that have its classes and share more than half of its records."""
    first = keep[pending[0]]
    changed = (keep[pending] != first).sum(axis=1)
    same = (present[pending] == present[pending[0]]).all(axis=1)
    return pending[same & (2 * changed < first.sum())]


def _known_anchors(
    trainer: LogisticTrainer, data: TrainingData, keep: Mask, present: Mask, base: Base | None
) -> list[tuple[Anchor, Index]]:
    """Anchors among the earlier models, each with the rows that start from it and need no other records."""
    if base is None or not isinstance(base.models, LogisticModels) or base.models.trainer != trainer:
        return []
    out = []
    for number, anchor in base.models.anchors.items():
        if anchor.data is not data:
            continue
        rows = np.flatnonzero(base.row == number)
        inside = keep[np.ix_(rows, anchor.universe)]
        known = inside.sum(axis=1) == keep[rows].sum(axis=1)
        near = 2 * (inside != anchor.solutions[0].keep).sum(axis=1) < anchor.solutions[0].keep.sum()
        rows = rows[known & near & (present[rows] == anchor.present).all(axis=1)]
        if len(rows):
            out.append((anchor, rows))
    return out


def _solve_anchor(trainer: LogisticTrainer, data: TrainingData, keep: Mask, present: Mask) -> Anchor:
    """The first row of `keep`, solved alone, over the records of all rows."""
    from aftertrace.trainers._convex import Problem, solve
    from aftertrace.trainers._design import Frame, design
    from aftertrace.trainers._links import Sigmoid, Softmax

    universe = np.flatnonzero(keep.any(axis=0))
    x, label = data.x[universe], data.label[universe]
    frame = Frame.of(x)
    matrix = design(frame.apply(x))
    weight = np.ones(len(universe)) if data.weight is None else data.weight[universe]
    classes = np.flatnonzero(present)

    def binary(k: np.int64) -> "Problem":
        return Problem(matrix, (label == k).astype(np.int64), weight, Sigmoid(), 1)

    if len(classes) == 2:
        problems = [binary(classes[1])]
    elif trainer.multiclass == "one-against-rest":
        problems = [binary(k) for k in classes]
    else:
        place = np.cumsum(present) - 1
        problems = [Problem(matrix, np.maximum(place[label], 0), weight, Softmax(), len(classes))]
    first = keep[0, universe]
    penalty = _penalty_of(trainer, frame, matrix.rows, first)
    return Anchor(data, universe, frame, tuple(solve(each, first, penalty) for each in problems), present)


def _penalty_of(trainer: LogisticTrainer, frame: "Frame", rows: Array, keep: Mask) -> Array:
    """The penalty in the frame's coordinates of weights on columns scaled by one model's own records. -> [F + 1]"""
    variance = np.ones(rows.shape[1] - 1)
    if trainer.scaled:
        x = rows[keep, :-1]
        mean = x.mean(axis=0)
        variance = ((x - mean) ** 2).mean(axis=0)
        # the standard deviation of a column that does not vary is taken as 1; any positive number gives weight 0
        variance[constant(variance, mean, len(x))] = 1.0
    else:
        variance /= frame.scale**2
    return np.append(variance / trainer.C, 0.0)


def _penalties(trainer: LogisticTrainer, anchor: Anchor, keep: Mask) -> Array:
    """`_penalty_of` for many models [M, N] that differ little from the anchor. -> [M, F + 1]"""
    solution = anchor.solutions[0]
    rows, first = solution.problem.design.rows, solution.keep
    if not trainer.scaled:
        return np.repeat(solution.penalty[None], len(keep), axis=0)
    x = rows[first, :-1]
    mean = x.mean(axis=0)
    shifted = rows[:, :-1] - mean  # sums of squares around the anchor's mean lose nothing to cancellation
    square = (shifted[first] ** 2).sum(axis=0)
    model, record = np.nonzero(keep != first)
    sign = np.where(keep[model, record], 1.0, -1.0)[:, None]
    n = keep.sum(axis=1)[:, None]
    total, squares = np.zeros((len(keep), x.shape[1])), np.repeat(square[None], len(keep), axis=0)
    np.add.at(total, model, sign * shifted[record])
    np.add.at(squares, model, sign * shifted[record] ** 2)
    variance = squares / n - (total / n) ** 2
    still = np.ones_like(variance, dtype=bool)  # columns where no changed record differs from the mean
    np.logical_and.at(still, model, shifted[record] == 0)
    # few are left with almost nothing of their variance: those are counted again from their own records
    for row in np.flatnonzero((~still & (variance <= 1e-6 * (square / len(x)))).any(axis=1)):
        variance[row] = _penalty_of(trainer, anchor.frame, rows, keep[row])[:-1] * trainer.C
    unchanged = _penalty_of(trainer, anchor.frame, rows, first)[:-1] * trainer.C
    flat = still & (square == 0)
    variance[flat] = np.broadcast_to(unchanged, variance.shape)[flat]
    return np.append(variance / trainer.C, np.zeros((len(keep), 1)), axis=1)


def _log_posterior(logits: Array, present: Mask, independent: bool) -> Array:
    """Log posteriors of one model. [Q, K] -> [Q, K]"""
    if independent:
        logits = -np.logaddexp(0, -logits)
    logits = np.where(present, logits, -np.inf)
    top = logits.max(axis=1, keepdims=True)
    return logits - top - np.log(np.exp(logits - top).sum(axis=1, keepdims=True))
