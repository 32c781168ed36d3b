"""Attacks fitted on the shadow side, and their scores of all queries."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from aftertrace._random import Stream, rng_for
from aftertrace.attacks import Attack, FeatureAttack, Superset
from aftertrace.errors import TrainingError
from aftertrace.posteriors import Posteriors, concatenate
from aftertrace.scenarios._persons import Persons

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ScoringTask:
    shadow: Posteriors | None
    target: Posteriors
    seed: int


@dataclass(frozen=True, eq=False)
class Marks:
    """One attack's scores of all queries: target [Q], shadow [Q'] or None."""

    target: Array
    shadow: Array | None

    def of_persons(self, target: Persons, shadow: Persons | None) -> "Marks":
        return Marks(
            target.mean(self.target), None if shadow is None or self.shadow is None else shadow.mean(self.shadow)
        )


def expected_rank(attack: Attack) -> int:
    """Attacks that take long come first, so that no worker starts one when the others are done."""
    ranks = {"forest": 0, "mlp": 1}
    if isinstance(attack, Superset):
        return 0
    return ranks.get(attack.classifier, 2) if isinstance(attack, FeatureAttack) else 3


def score_with(task: ScoringTask, attack: Attack) -> Marks:
    scorer = attack.fit(task.shadow, rng=rng_for(task.seed, Stream.ATTACK, attack.name))
    everything = task.target if task.shadow is None else concatenate([task.target, _apart(task.shadow, task.target)])
    score = scorer.score(everything)  # at once: what a forest costs is the call
    if not np.isfinite(score).all():
        raise TrainingError(f"Attack {attack.name} must give a finite score to every query, and does not.")
    target, shadow = np.split(score, [len(task.target)])
    return Marks(target, None if task.shadow is None else shadow)


def _apart(shadow: Posteriors, target: Posteriors) -> Posteriors:
    """The shadow side with other numbers of pairs and originals than the target's: both count from 0."""
    pair, original = shadow.pair + target.pair.max() + 1, shadow.original + target.original.max() + 1
    return replace(shadow, pair=pair, original=original)
