"""A feature of both versions with a classifier trained on shadow models: the paper's attack."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aftertrace.attacks._features import CLASS_SYMMETRIC, FUNCTIONS, Feature
from aftertrace.attacks._protocol import Adversary, Needs
from aftertrace.errors import PosteriorsError
from aftertrace.posteriors import Posteriors
from aftertrace.trainers import Model, Models, TrainingData


@dataclass(frozen=True)
class FeatureAttack:
    """`feature` of the first and the last version, told apart by `classifier` (tree, forest, logistic, mlp).

    The classifiers are the paper's (preset "paper"; arXiv 2005.02205, released code): a tree of 10 leaves, a
    forest of 500 trees with 30 queries per leaf, scaled logistic regression, an MLP with early stopping.
    Deleted and unseen shadow queries weigh the same in total. Score: the probability of "deleted".
    """

    feature: Feature
    classifier: str = "tree"

    @property
    def name(self) -> str:
        return f"{self.feature}/{self.classifier}"

    @property
    def needs(self) -> Needs:
        return Needs(shadow=Adversary.POPULATION)

    @property
    def classical(self) -> bool:
        return self.feature is Feature.CLASSICAL

    @property
    def probabilistic(self) -> bool:
        return True

    @property
    def class_symmetric(self) -> bool:
        return self.feature in CLASS_SYMMETRIC

    @property
    def opponent(self) -> str:
        return f"{Feature.CLASSICAL}/{self.classifier}"

    def fit(self, shadow: Posteriors | None, *, rng: np.random.Generator) -> "FeatureScorer":
        """Train the classifier on the shadow side's deleted and unseen queries."""
        if shadow is None:
            raise PosteriorsError(f"Attack {self.name} needs the posteriors of shadow models to learn from, got none.")
        table = shadow.select(shadow.is_compared)
        is_deleted = table.is_attacked.astype(np.int64)
        count = np.bincount(is_deleted, minlength=2)
        if not count.all():
            raise PosteriorsError(
                f"Attack {self.name} must learn from deleted and unseen shadow queries; got {count[1]} and {count[0]}."
            )
        weight = None if count[0] == count[1] else (len(table) / (2 * count))[is_deleted]
        data = TrainingData(feature_values(table, self.feature), is_deleted, 2, weight)
        everything = np.ones((1, len(table)), dtype=bool)
        seed = np.random.SeedSequence(int(rng.integers(2**63)))
        models = Model(name=self.classifier, preset="paper").trainer().fit(data, everything, streams=[seed])
        return FeatureScorer(self.feature, models)


@dataclass(frozen=True)
class FeatureScorer:
    """A fitted `FeatureAttack`."""

    feature: Feature
    models: Models

    def score(self, target: Posteriors) -> NDArray[np.float64]:
        """Probability of "deleted", from 0 to 1. -> [Q]"""
        features = feature_values(target, self.feature)
        return np.exp(self.models.log_posteriors(features, np.zeros(len(features), dtype=np.int64))[:, 1])


def feature_values(table: Posteriors, feature: Feature) -> NDArray[np.float64]:
    """`feature` of the first and last version of every query. -> [Q, F]"""
    values = table.values.astype(np.float64)
    return FUNCTIONS[feature](values[:, 0], values[:, -1])
