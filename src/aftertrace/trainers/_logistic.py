"""Logistic regression with an L2 penalty, solved to the optimum for all variants of an original together."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from aftertrace.errors import TrainingError
from aftertrace.trainers._device import check_device
from aftertrace.trainers._protocol import Base, Promise, Seeding, Size, TrainingData
from aftertrace.trainers._scaling import MODELS, constant

if TYPE_CHECKING:
    from aftertrace.trainers._convex import Problem, Solution
    from aftertrace.trainers._convex_variants import Changes, Place
    from aftertrace.trainers._design import Frame
    from aftertrace.trainers._logistic_plain import PlainLogistic

Array = NDArray[np.float64]
Index = NDArray[np.int64]
Mask = NDArray[np.bool_]
Multiclass = Literal["multinomial", "one-against-rest"]
Placed = Callable[[Sequence["Solution"]], Sequence["Place"]]
"""Brings the solutions of an anchor to where its variants are solved."""
_CLOSE = 1e-2  # a row whose steps became shorter than this goes on alone from where it stalled


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

    def reference(self) -> "PlainLogistic":
        """The slow twin: one row at a time by Newton's method, with none of this module's code."""
        from aftertrace.trainers._logistic_plain import PlainLogistic

        return PlainLogistic(self)

    def working_bytes(self, size: Size) -> int:
        """About the most that a fit on the CPU and its models hold: records, Hessians, updates and steps of a pass."""
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
    from aftertrace.trainers._convex_variants import Changes

    models = _Collected.empty(trainer, placed, len(keep), data)
    is_pending = np.ones(len(keep), dtype=bool)
    for anchor, rows in _earlier(trainer, data, base):
        changes = Changes.of(anchor.keep, keep[rows])
        known = np.flatnonzero(_is_known(data, anchor, changes))
        models.add(anchor, rows[known], changes.only(known))
        is_pending[rows[known]] = False
    while is_pending.any():
        rows = _near_first(keep, np.flatnonzero(is_pending))
        changes = Changes.of(keep[rows[0]].copy(), keep[rows])  # the anchor outlives the caller's `keep`
        present = _present(data, changes)
        alike = np.flatnonzero((present == present[0]).all(axis=1))
        rows, changes = rows[alike], changes.only(alike)
        anchor = _solve_anchor(trainer, data, changes, present[0])
        models.add(anchor, rows, changes)
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
    """A model on the records `keep` [N] that others are solved from, whose records are in `universe` [U] too.

    `solutions` are of the records `universe` in the coordinates `frame`, one for each output.
    """

    data: TrainingData
    keep: Mask
    universe: Index
    frame: "Frame"
    solutions: tuple["Solution", ...]
    present: Mask

    @cached_property
    def spread(self) -> tuple[Array, Array]:
        """Mean and summed squares around it of the design's columns but the last. [F], [F]"""
        x = self.solutions[0].problem.design.rows[self.solutions[0].keep, :-1]
        mean = x.mean(axis=0)
        return mean, ((x - mean) ** 2).sum(axis=0)


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

    def add(self, anchor: Anchor, rows: Index, changes: "Changes") -> None:
        """Solve `rows`, which are the anchor's after `changes`."""
        changes = changes.among(anchor.universe)
        penalty = _penalties(self.trainer, anchor, changes)
        classes = np.flatnonzero(anchor.present)
        self.present[rows] = anchor.present
        self.independent[rows] = len(anchor.solutions) > 1
        for number, place in enumerate(self.placed(anchor.solutions)):
            theta, failed = self._solve(place, changes, penalty)
            self.unconverged += failed
            outside = anchor.frame.outward(theta.transpose(0, 2, 1))
            if len(anchor.solutions) > 1:
                self.weights[rows, classes[number]] = outside[:, 0]
            elif outside.shape[1] == 1:
                self.weights[rows, classes[1]] = outside[:, 0]
            else:
                self.weights[rows[:, None], classes] = outside

    def _solve(self, place: "Place", changes: "Changes", penalty: Array) -> tuple[Array, int]:
        """Weights [M, F + 1, R] in the solution's coordinates, and how many rows did not converge."""
        from aftertrace.trainers._convex import solve
        from aftertrace.trainers._convex_variants import solve_variants

        found, failed = solve_variants(place, changes, penalty), 0
        for row in np.flatnonzero(found.stalled).tolist():
            start = found.theta[row] if found.step[row] < _CLOSE else place.solution.theta
            alone = solve(place.solution.problem, changes.keep(row), penalty[row], start)
            found.theta[row], found.step[row] = alone.theta, alone.step
            failed += not alone.converged
        self.fallbacks += int(found.stalled.sum())
        self.step = max(self.step, float(found.step.max(initial=0.0)))
        return found.theta, failed

    def finished(self) -> LogisticModels:
        counts = {"models": len(self.weights), "fallbacks": self.fallbacks, "unconverged": self.unconverged}
        worst = {"log_odds_step": self.step}
        return LogisticModels(self.weights, self.present, self.independent, counts, worst, self.trainer, self.anchors)


def _present(data: TrainingData, changes: "Changes") -> Mask:
    """Which classes each model has records of. -> [M, K]"""
    every = np.arange(data.n_classes)
    count = np.bincount(data.label[changes.base], minlength=data.n_classes)
    count = count + changes.sum(changes.sign[:, None] * (data.label[changes.record, None] == every))
    present = count > 0
    few = np.flatnonzero(present.sum(axis=1) < 2)
    if len(few):
        raise TrainingError(
            f"Logistic regression could not be trained on {count[few[0]].sum():.0f} records of "
            f"{present[few[0]].sum()} classes: it needs records of at least two."
        )
    return present


def _near_first(keep: Mask, pending: Index) -> Index:
    """The first of `pending`, and those that differ from it in at most half as many records as it has."""
    first = keep[pending[0]]
    return pending[2 * (keep[pending] != first).sum(axis=1) <= first.sum()]


def _earlier(trainer: LogisticTrainer, data: TrainingData, base: Base | None) -> list[tuple[Anchor, Index]]:
    """Anchors among the earlier models, each with the rows that may start from it."""
    if base is None or not isinstance(base.models, LogisticModels) or base.models.trainer != trainer:
        return []
    anchors = base.models.anchors.items()
    return [(anchor, np.flatnonzero(base.row == number)) for number, anchor in anchors if anchor.data is data]


def _is_known(data: TrainingData, anchor: Anchor, changes: "Changes") -> Mask:
    """Which models have the anchor's classes, differ from it as `_near_first` says, and need no other records."""
    outside = np.ones(len(anchor.keep), dtype=bool)
    outside[anchor.universe] = False
    near = (2 * changes.count <= anchor.keep.sum()) & (changes.sum(outside[changes.record]) == 0)
    return near & (_present(data, changes) == anchor.present).all(axis=1)


def _solve_anchor(trainer: LogisticTrainer, data: TrainingData, changes: "Changes", present: Mask) -> Anchor:
    """The model on the base's records, solved alone, over the records of all models."""
    from aftertrace.trainers._convex import Problem, solve
    from aftertrace.trainers._design import Frame, design
    from aftertrace.trainers._links import Sigmoid, Softmax

    inside = changes.base.copy()
    inside[changes.record] = True
    universe = np.flatnonzero(inside)
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
    keep = changes.base[universe]
    penalty = _penalty_of(trainer, frame, matrix.rows, keep)
    return Anchor(data, changes.base, universe, frame, tuple(solve(each, keep, penalty) for each in problems), present)


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


def _penalties(trainer: LogisticTrainer, anchor: Anchor, changes: "Changes") -> Array:
    """`_penalty_of` for models that differ little from the anchor. -> [M, F + 1]"""
    solution = anchor.solutions[0]
    if not trainer.scaled:
        return np.repeat(solution.penalty[None], len(changes), axis=0)
    rows, (mean, square) = solution.problem.design.rows, anchor.spread
    n = changes.base.sum()
    shifted = rows[changes.record, :-1] - mean  # sums of squares around the anchor's mean lose nothing to cancellation
    signed = changes.sign[:, None] * shifted
    left = (n + changes.sum(changes.sign))[:, None]
    variance = (square + changes.sum(signed * shifted)) / left - (changes.sum(signed) / left) ** 2
    moved = changes.sum(shifted != 0) > 0  # columns where some changed record differs from the mean
    variance = np.where(moved | (square > 0), variance, solution.penalty[:-1] * trainer.C)
    # few are left with almost nothing of their variance: those are counted again from their own records
    for row in np.flatnonzero((moved & (variance <= 1e-6 * (square / n))).any(axis=1)).tolist():
        variance[row] = _penalty_of(trainer, anchor.frame, rows, changes.keep(row))[:-1] * trainer.C
    return np.append(variance / trainer.C, np.zeros((len(changes), 1)), axis=1)


def _log_posterior(logits: Array, present: Mask, independent: bool) -> Array:
    """Log posteriors of one model. [Q, K] -> [Q, K]"""
    if independent:
        logits = -np.logaddexp(0, -logits)
    logits = np.where(present, logits, -np.inf)
    top = logits.max(axis=1, keepdims=True)
    return logits - top - np.log(np.exp(logits - top).sum(axis=1, keepdims=True))
