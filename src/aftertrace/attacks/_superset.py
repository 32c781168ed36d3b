"""Gradient boosting on label-aware features of both versions."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aftertrace.attacks._features import sorted_diff
from aftertrace.attacks._protocol import Adversary, Needs
from aftertrace.errors import PosteriorsError
from aftertrace.posteriors import Posteriors, Role, log_loss

Array = NDArray[np.float64]
_LOG_LEAST = float(np.log(1e-12))
_MOST_CATEGORIES = 255  # of scikit-learn's boosting; more classes enter as numbers


@dataclass(frozen=True)
class Superset:
    """Everything the other attacks look at, told apart by gradient boosting trained on shadow models.

    The features of arXiv 2005.02205 that survive renaming (SortedDiff, EucDist), those of TC-UMIA
    (arXiv 2605.01129: confidence in the true class before and after) and the scores without training
    (`superset_features`). Deleted and unseen shadow queries weigh the same in total. Score: the probability of
    "deleted". `classical`: the same on the original's features alone, the opponent.

    Few and strongly regularised trees: shadow sides have hundreds of queries, and their noise is not to be learnt.
    """

    classical: bool = False
    trees: int = 100
    learning_rate: float = 0.05
    leaves: int = 8

    @property
    def name(self) -> str:
        return "SupersetClassical" if self.classical else "Superset"

    @property
    def needs(self) -> Needs:
        return Needs(shadow=Adversary.POPULATION, label=True)

    @property
    def probabilistic(self) -> bool:
        return True

    @property
    def class_symmetric(self) -> bool:
        return False  # the class itself is a feature

    @property
    def opponent(self) -> str:
        return "SupersetClassical"

    def fit(self, shadow: Posteriors | None, *, rng: np.random.Generator) -> "SupersetScorer":
        """Train on the shadow side's deleted and unseen queries."""
        from sklearn.ensemble import HistGradientBoostingClassifier

        if shadow is None:
            raise PosteriorsError(f"Attack {self.name} needs the posteriors of shadow models to learn from, got none.")
        table = shadow.evaluated(Role.DELETED, Role.UNSEEN)
        is_deleted = table.role == Role.DELETED
        if is_deleted.all() or not is_deleted.any():
            raise PosteriorsError(
                f"Attack {self.name} must learn from deleted and unseen shadow queries; "
                f"got {int(is_deleted.sum())} and {int((~is_deleted).sum())}."
            )
        model = HistGradientBoostingClassifier(
            max_iter=self.trees,
            learning_rate=self.learning_rate,
            max_leaf_nodes=self.leaves,
            l2_regularization=1.0,
            early_stopping=False,
            class_weight="balanced",
            categorical_features=[0] if len(table.classes) <= _MOST_CATEGORIES else None,
            random_state=int(rng.integers(2**31)),
        )
        return SupersetScorer(self, model.fit(superset_features(table, classical=self.classical), is_deleted))


@dataclass(frozen=True)
class SupersetScorer:
    """A fitted `Superset`."""

    attack: Superset
    model: Any

    def score(self, target: Posteriors) -> Array:
        """Probability of "deleted", from 0 to 1. -> [Q]"""
        return self.model.predict_proba(superset_features(target, classical=self.attack.classical))[:, 1]


def superset_features(table: Posteriors, *, classical: bool = False) -> Array:
    """Label-aware features of the first and the last version. -> [Q, F], F = 16 + K, or 6 + K of the first alone.

    The class; of each version the confidence in the true class, its logit, the entropy, the margin between the two
    largest posteriors and the rank of the true class; then loss rise, logit drop, KL(P_o || P_u), EucDist and
    SortedDiff (classical: the original's posteriors, ascending).
    """
    first = _version_features(table, 0)
    values = table.values.astype(np.float64)
    if classical:
        return np.column_stack([table.label, first, np.sort(values[:, 0], axis=1)]).astype(np.float64)
    last = _version_features(table, -1)
    difference = sorted_diff(values[:, 0], values[:, -1])
    loss = log_loss(table.log_values[:, [0, -1]], table.label)
    logs = np.maximum(table.log_values[:, [0, -1]], _LOG_LEAST)
    divergence = (values[:, 0] * (logs[:, 0] - logs[:, 1])).sum(axis=1)
    changes = [loss[:, 1] - loss[:, 0], table.phi[:, 0] - table.phi[:, -1], divergence]
    distance = np.linalg.norm(difference, axis=1)
    return np.column_stack([table.label, first, last, *changes, distance, difference]).astype(np.float64)


def _version_features(table: Posteriors, version: int) -> Array:
    """Confidence, logit, entropy, margin, rank of the true class. -> [Q, 5]"""
    logs = table.log_values[:, version].astype(np.float64)
    values = np.exp(logs)
    own = np.take_along_axis(values, table.label[:, None], axis=1)
    top = np.partition(values, -2, axis=1)
    entropy = -(values * np.maximum(logs, _LOG_LEAST)).sum(axis=1)
    rank = (values > own).sum(axis=1)
    return np.column_stack([own[:, 0], table.phi[:, version], entropy, top[:, -1] - top[:, -2], rank])
