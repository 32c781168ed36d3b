"""An auditor who knows the truth: a trained attack fitted to the very queries it is scored on, in folds."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from aftertrace.attacks import Adversary, Attack, Needs, ScoreFunction
from aftertrace.posteriors import Posteriors

FOLDS = 5
FEWEST = 20
"""Deleted, and unseen, queries that are worth fitting to, and matching must leave: fewer say next to nothing."""
MOST = 50_000
"""Queries that one fit uses; more teach nothing."""
Rows = NDArray[np.intp]


@dataclass(frozen=True)
class CrossFitted:
    """`attack`, which learns from a population's shadow models, taught by the audited queries themselves.

    Queries are dealt into 5 folds, whole pairs from 5 pairs on, whole records below; each fold is scored by the attack
    as fitted to the others. An outsider has no such labels: what this finds is an upper bound of what an attacker
    of that form could learn. Queries that are not compared are scored by the first fold's fit. This is no ordinary
    attack: its score of a query depends on the others and on their roles, which is why it lives here.
    """

    attack: Attack
    name: str
    opponent: str = "Auditor/classical"

    @property
    def needs(self) -> Needs:
        return replace(self.attack.needs, shadow=Adversary.TRUTH)

    @property
    def classical(self) -> bool:
        return self.attack.classical

    @property
    def probabilistic(self) -> bool:
        return self.attack.probabilistic

    @property
    def class_symmetric(self) -> bool:
        return self.attack.class_symmetric

    def fit(self, shadow: Posteriors | None, *, rng: np.random.Generator) -> ScoreFunction:
        """Nothing yet: it learns when it is shown the target."""
        return ScoreFunction(lambda target: _scores(self.attack, target, rng))


def can_be_fitted(target: Posteriors) -> bool:
    """Whether there are enough queries of both roles."""
    compared = target.is_attacked[target.is_compared]
    return min(int(compared.sum()), int((~compared).sum())) >= FEWEST


def _scores(attack: Attack, target: Posteriors, rng: np.random.Generator) -> NDArray[np.float64]:
    score = np.empty(len(target))
    for number, (train, test) in enumerate(_folds(target, rng)):
        chosen = train if len(train) <= MOST else np.sort(rng.choice(train, MOST, replace=False))
        scorer = attack.fit(target.select(chosen), rng=rng)
        rows = np.concatenate([test, np.flatnonzero(~target.is_compared)]) if number == 0 else test
        score[rows] = scorer.score(target.select(rows))
    return score


def _folds(target: Posteriors, rng: np.random.Generator) -> Iterator[tuple[Rows, Rows]]:
    """Rows to fit and rows to score. Whole units in random order are dealt like cards, roles apart.

    The order is drawn from that of appearance: numbers of records are pseudonyms, which differ by key.
    """
    compared = np.flatnonzero(target.is_compared)
    pairs = np.unique(target.pair[compared])
    unit = (target.pair if len(pairs) >= FOLDS else target.record)[compared]
    deleted = target.is_attacked[compared]
    fold_of: dict[int, int] = {}
    for role in (True, False):
        names = [name for name in dict.fromkeys(unit[deleted == role].tolist()) if name not in fold_of]
        fold_of |= {names[k]: place % FOLDS for place, k in enumerate(rng.permutation(len(names)).tolist())}
    fold = np.array([fold_of[name] for name in unit.tolist()])
    for number in range(FOLDS):
        yield compared[fold != number], compared[fold == number]
