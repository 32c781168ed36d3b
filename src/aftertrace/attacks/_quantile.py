"""How unusual a logit drop is for an unseen record of this kind."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aftertrace.attacks._conformal import public_records
from aftertrace.attacks._protocol import Needs
from aftertrace.attacks._score import ScoreAttack, logit_drop
from aftertrace.errors import PosteriorsError
from aftertrace.posteriors import Posteriors, Role

Array = NDArray[np.float64]

FOLDS = 5
_LOG_CHI2_MEAN = -1.2703628454614782  # of ln chi^2 with one degree of freedom
_LEAST_SHARE = 0.05  # of the standard deviation of all residuals: the least scale of a query


@dataclass(frozen=True)
class QuantileDrop(ScoreAttack):
    """`(t - mu) / s` of the logit drop `t`, with mean and scale regressed on the original's posterior and the class.

    The quantile regression of M. Bertran et al. (NeurIPS 2023) with its Gaussian head, on both versions: what a
    record loses is judged against what unseen records with such an answer lose. Ridge regression of `t`, then of the
    logarithm of its squared residuals, on piecewise linear functions of `phi_original`, the entropy and the class:
    that is robust with a few hundred unseen records, where boosted trees follow their noise. Not for models whose
    answers mostly stay exactly the same (trees): a scale cannot describe them, and the logit drop alone is better.

    Learns from the shadow side's evaluated unseen queries; without a shadow side, when scoring, from the table's
    held-out unseen ones. Then records are dealt into five folds by their number, and every query, evaluated or held
    out, is scored by the regression that left its fold out, so that both have one law.
    """

    @property
    def name(self) -> str:
        return "QuantileDrop"

    @property
    def needs(self) -> Needs:
        return Needs(label=True, held_out=True)

    def fit(self, shadow: Posteriors | None, *, rng: np.random.Generator) -> "QuantileScorer":
        """Regress on the shadow side's unseen queries, where there is a shadow side."""
        if shadow is None:
            return QuantileScorer(None)
        table = shadow.evaluated(Role.UNSEEN)
        return QuantileScorer(_Head.of(table, np.ones(len(table), dtype=bool)))


@dataclass(frozen=True)
class QuantileScorer:
    """A fitted `QuantileDrop`, or one that learns from the table's public records."""

    head: "_Head | None"

    def score(self, target: Posteriors) -> Array:
        """Standardised logit drop. -> [Q]"""
        if self.head is not None:
            return self.head.standardised(target)
        public, fold = public_records(target), target.record % FOLDS
        score = np.empty(len(target))
        for number in range(FOLDS):
            head, rows = _Head.of(target, public & (fold != number)), fold == number
            score[rows] = head.standardised(target.select(rows))
        return score


@dataclass(frozen=True, eq=False)
class _Head:
    """Mean and log variance as linear functions of a basis."""

    knots: Array  # of phi_original
    mean: Array  # [F]
    log_variance: Array  # [F]
    least: float

    @classmethod
    def of(cls, table: Posteriors, rows: NDArray[np.bool_]) -> "_Head":
        if not rows.any():
            raise PosteriorsError("Attack QuantileDrop must learn from unseen queries, shadow or held out; got none.")
        chosen = table.select(rows)
        knots = np.quantile(chosen.phi[:, 0], [0.0, 0.25, 0.5, 0.75, 1.0])
        basis, drop = _basis(chosen, knots), logit_drop(chosen)
        mean = _ridge(basis, drop)
        residual = drop - basis @ mean
        deviation = float(np.sqrt(np.mean(residual**2)))
        least = _LEAST_SHARE * deviation if deviation > 0 else 1.0  # nothing ever moved: any scale will do
        log_variance = _ridge(basis, np.log(residual**2 + least**2) - _LOG_CHI2_MEAN)
        return cls(knots, mean, log_variance, least)

    def standardised(self, table: Posteriors) -> Array:
        basis = _basis(table, self.knots)
        deviation = np.exp(basis @ self.log_variance / 2)
        return (logit_drop(table) - basis @ self.mean) / np.maximum(deviation, self.least)


def _basis(table: Posteriors, knots: Array) -> Array:
    """A constant, ramps between knots of phi_original (flat beyond), the entropy, the classes. -> [Q, F]"""
    logit = table.phi[:, 0]
    steps = np.diff(knots)
    ramps = np.clip((logit[:, None] - knots[:-1]) / np.where(steps > 0, steps, 1), 0, 1)
    values = table.values[:, 0].astype(np.float64)
    entropy = -(values * np.maximum(table.log_values[:, 0], np.log(1e-12))).sum(axis=1)
    classes = table.label[:, None] == np.arange(len(table.classes))
    return np.column_stack([np.ones(len(table)), ramps, entropy, classes])


def _ridge(basis: Array, value: Array) -> Array:
    """Least squares with a penalty of one observation per coefficient but the constant's. [Q, F], [Q] -> [F]"""
    penalty = np.ones(basis.shape[1])
    penalty[0] = 1e-9
    return np.asarray(np.linalg.solve(basis.T @ basis + np.diag(penalty), basis.T @ value), dtype=np.float64)
