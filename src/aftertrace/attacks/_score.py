"""Attacks without any training: one number per query, of fixed orientation."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aftertrace.attacks._classifier import feature_values
from aftertrace.attacks._features import Feature
from aftertrace.attacks._protocol import Needs, ScoreFunction
from aftertrace.posteriors import Posteriors


@dataclass(frozen=True)
class ScoreAttack:
    """What the attacks without training have in common; they differ in their score alone."""

    @property
    def needs(self) -> Needs:
        return Needs()

    @property
    def classical(self) -> bool:
        return False

    @property
    def probabilistic(self) -> bool:
        return False

    @property
    def class_symmetric(self) -> bool:
        return True

    @property
    def opponent(self) -> str:
        return "OriginalLogit"


@dataclass(frozen=True)
class LogitDrop(ScoreAttack):
    """`phi_original - phi_unlearned`: how much confidence in the true class the update took away.

    Needs the true class, no shadow models. The deletion form of ScoreDiff (arXiv 2205.06369) on the logit
    scale of LiRA (arXiv 2112.03570). The attack of the verdict, fixed in advance.
    """

    @property
    def name(self) -> str:
        return "LogitDrop"

    @property
    def needs(self) -> Needs:
        return Needs(label=True)

    def fit(self, shadow: Posteriors | None, *, rng: np.random.Generator) -> ScoreFunction:
        """Nothing to learn."""
        return ScoreFunction(logit_drop)


@dataclass(frozen=True)
class EucDist(ScoreAttack):
    """The paper's Euclidean distance between both posteriors, taken as the score itself. No training, no label."""

    @property
    def name(self) -> str:
        return "EucDist"

    def fit(self, shadow: Posteriors | None, *, rng: np.random.Generator) -> ScoreFunction:
        """Nothing to learn."""
        return ScoreFunction(euc_dist)


@dataclass(frozen=True)
class OriginalLogit(ScoreAttack):
    """`phi_original` alone: the classical counterpart of the attacks without training.

    Membership inference by the loss on one model (S. Yeom et al., CSF 2018), on the logit scale.
    """

    @property
    def name(self) -> str:
        return "OriginalLogit"

    @property
    def needs(self) -> Needs:
        return Needs(label=True)

    @property
    def classical(self) -> bool:
        return True

    def fit(self, shadow: Posteriors | None, *, rng: np.random.Generator) -> ScoreFunction:
        """Nothing to learn."""
        return ScoreFunction(original_logit)


def logit_drop(table: Posteriors) -> NDArray[np.float64]:
    """`phi` of the first version minus `phi` of the last. -> [Q]"""
    return table.phi[:, 0] - table.phi[:, -1]


def euc_dist(table: Posteriors) -> NDArray[np.float64]:
    """Euclidean distance between the posteriors of the first and the last version. -> [Q]"""
    return feature_values(table, Feature.EUC_DIST)[:, 0]


def original_logit(table: Posteriors) -> NDArray[np.float64]:
    """`phi` of the first version. -> [Q]"""
    return table.phi[:, 0]
