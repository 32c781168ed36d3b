"""The loss before and after: a difference and a ratio, without any training.

The combinations of M. Jagielski, S. Wu et al., *How to combine membership-inference attacks on multiple updated
models* (PoPETs 2023, arXiv 2205.06369), turned from insertion to deletion: there a record is new if its loss fell,
here it was deleted if its loss rose.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aftertrace.attacks._protocol import Needs, ScoreFunction
from aftertrace.attacks._score import ScoreAttack
from aftertrace.posteriors import Posteriors, log_loss

RATIO_OFFSET = 5e-4
"""`c` of the released code of arXiv 2205.06369; it keeps the ratio finite where a loss is 0."""


@dataclass(frozen=True)
class LossRise(ScoreAttack):
    """`l_unlearned - l_original`, the rise of `l = -ln p_y` (ScoreDiff). Needs the true class, no shadow models."""

    @property
    def name(self) -> str:
        return "LossRise"

    @property
    def needs(self) -> Needs:
        return Needs(label=True)

    def fit(self, shadow: Posteriors | None, *, rng: np.random.Generator) -> ScoreFunction:
        """Nothing to learn."""
        return ScoreFunction(loss_rise)


@dataclass(frozen=True)
class ConfidenceRatio(ScoreAttack):
    """`(l_unlearned + c) / (l_original + c)`, `c = 5e-4` (ScoreRatio): sees small rises of small losses.

    Needs the true class, no shadow models. Above 1: confidence in the true class was lost.
    """

    @property
    def name(self) -> str:
        return "ConfidenceRatio"

    @property
    def needs(self) -> Needs:
        return Needs(label=True)

    def fit(self, shadow: Posteriors | None, *, rng: np.random.Generator) -> ScoreFunction:
        """Nothing to learn."""
        return ScoreFunction(confidence_ratio)


def loss_rise(table: Posteriors) -> NDArray[np.float64]:
    """Loss of the last version minus loss of the first; 0 where both are equal. -> [Q]"""
    loss = _losses(table)
    return loss[:, 1] - loss[:, 0]


def confidence_ratio(table: Posteriors) -> NDArray[np.float64]:
    """Loss of the last version over loss of the first, each plus `RATIO_OFFSET`; 1 where both are equal. -> [Q]"""
    loss = _losses(table) + RATIO_OFFSET
    return loss[:, 1] / loss[:, 0]


def _losses(table: Posteriors) -> NDArray[np.float64]:
    """Of the first and the last version [Q, 2]; at least 0, as sums of released rows may be a little above 1."""
    return np.maximum(log_loss(table.log_values, table.label)[:, [0, -1]], 0.0)
