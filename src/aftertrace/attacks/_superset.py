"""What learns from everything: label-aware features of both versions, by boosting and by logistic regression."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtri

from aftertrace.attacks._features import sorted_diff
from aftertrace.attacks._protocol import Adversary, Needs
from aftertrace.errors import PosteriorsError
from aftertrace.posteriors import Posteriors, log_loss
from aftertrace.trainers import LogisticTrainer, Models, TrainingData

Array = NDArray[np.float64]
_LOG_LEAST = float(np.log(1e-12))
_MOST_CATEGORIES = 255  # of scikit-learn's boosting; more classes enter as numbers
_MANY = 500  # deleted shadow queries that support larger trees
_PRIOR = 0.25  # log-odds per standard deviation of the score without training


@dataclass(frozen=True)
class Superset:
    """Everything the other attacks look at, told apart by what was learned on shadow models, and by a prior.

    The features (`superset_features`): those of arXiv 2005.02205 that survive renaming (SortedDiff, EucDist), those of
    TC-UMIA (arXiv 2605.01129: confidence in the true class before and after) and the scores without training. Score:
    a probability of "deleted", from the sum of log-odds

        (b + l) / 2 + z / 4

    b: gradient boosting, 60 trees of 4 leaves, or 200 of 8 where there are 500 deleted shadow queries; l: logistic
    regression on normal scores, steadier where a leak is weak; z: the normal score of the logit drop, which holds where
    shadow queries are too few to learn from. Deleted and unseen shadow queries weigh the same in total. Normal scores
    are of ranks among the shadow queries (z: among its unseen ones). `classical`: the same on the original's features
    alone, the opponent; z is that of its logit.

    The form was chosen on the shadow sides of the cells of `benchmarks/power.py`, by AUC, against either part alone,
    forests and polynomials (docs/attacks.md).
    """

    classical: bool = False

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
        table = shadow.select(shadow.is_compared)
        is_deleted = table.is_attacked
        count = np.bincount(is_deleted, minlength=2)
        if not count.all():
            raise PosteriorsError(
                f"Attack {self.name} must learn from deleted and unseen shadow queries; got {count[1]} and {count[0]}."
            )
        features = superset_features(table, classical=self.classical)
        weight = (len(table) / (2 * count))[is_deleted.astype(np.int64)]
        boosting = HistGradientBoostingClassifier(
            max_iter=200 if count[1] >= _MANY else 60,
            learning_rate=0.05,
            max_leaf_nodes=8 if count[1] >= _MANY else 4,
            min_samples_leaf=30,
            l2_regularization=1.0,
            max_features=0.5,
            early_stopping=False,
            categorical_features=[0] if len(table.classes) <= _MOST_CATEGORIES else None,
            random_state=int(rng.integers(2**31)),
        )
        # without unequal weights, as scikit-learn bins weighted columns one percentile after the other: a second each
        edges = None if count[0] == count[1] else [_edges(column) for column in features.T]
        boosting.fit(_binned(features, edges), is_deleted, sample_weight=None if edges is None else weight)
        reference = np.sort(features, axis=0)
        data = TrainingData(_normal_scores(features, reference), is_deleted.astype(np.int64), 2, weight)
        linear = LogisticTrainer(C=0.1, scaled=False).fit(
            data, np.ones((1, len(table)), dtype=bool), streams=[np.random.SeedSequence(0)]
        )
        return SupersetScorer(self, boosting, edges, linear, reference, np.sort(self._untrained(table)[~is_deleted]))

    def _untrained(self, table: Posteriors) -> Array:
        """The score of the prior. [Q]"""
        first = table.phi[:, 0].astype(np.float64)
        return first if self.classical else first - table.phi[:, -1]


@dataclass(frozen=True, eq=False)
class SupersetScorer:
    """A fitted `Superset`: its two classifiers, the `edges` of the bins that boosting sees each column in (None: as it
    is), and what ranks are taken among: `reference` [n, F], `unseen` [n'].
    """

    attack: Superset
    boosting: Any
    edges: list[Array] | None
    linear: Models
    reference: Array
    unseen: Array

    def score(self, target: Posteriors) -> Array:
        """Probability of "deleted", from 0 to 1. -> [Q]"""
        features = superset_features(target, classical=self.attack.classical)
        scores, one = _normal_scores(features, self.reference), np.zeros(len(target), dtype=np.int64)
        logs = self.linear.log_posteriors(scores, one)
        learned = (self.boosting.decision_function(_binned(features, self.edges)) + logs[:, 1] - logs[:, 0]) / 2
        prior = _normal_scores(self.attack._untrained(target)[:, None], self.unseen[:, None])[:, 0]
        return expit(learned + _PRIOR * prior)


def _edges(column: Array) -> Array:
    """Bounds of at most 255 bins with about as many values each, as boosting draws them without weights."""
    different = np.unique(column)
    if len(different) <= _MOST_CATEGORIES:
        return (different[:-1] + different[1:]) / 2
    return np.unique(np.percentile(column, np.linspace(0, 100, _MOST_CATEGORIES + 1)[1:-1], method="midpoint"))


def _binned(features: Array, edges: list[Array] | None) -> Array:
    """The bin of each value; the class, in the first column, stays as it is."""
    if edges is None:
        return features
    rest = [np.searchsorted(own, column) for own, column in zip(edges[1:], features.T[1:], strict=True)]
    return np.column_stack([features[:, 0], *rest]).astype(np.float64)


def _normal_scores(values: Array, reference: Array) -> Array:
    """Of the mid-rank of each value among its sorted column of `reference` [n, F]. [Q, F] -> [Q, F], within +-3.7"""
    n = len(reference)
    share = [
        (np.searchsorted(among, own, "left") + np.searchsorted(among, own, "right") + 1) / (2 * n + 2)
        for own, among in zip(values.T, reference.T, strict=True)
    ]
    return ndtri(np.clip(np.stack(share, axis=1), 1e-4, 1 - 1e-4))


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
