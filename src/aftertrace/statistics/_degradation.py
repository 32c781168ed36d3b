"""How much more the pair gives away than the original model alone: DegCount and DegRate."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from aftertrace.statistics import _validate


@dataclass(frozen=True)
class Degradation:
    """An attack against the classical one, on the same queries.

    `wins`, `ties`, `losses`: queries whose true status the attack holds more, equally, less probable. `deg_count`: the
    rate of wins, in [0, 1]; `deg_rate`: the mean gain in probability, in [-1, 1]; larger means that the update harms
    more. `brier_attack`, `brier_classical`: mean squared errors, smaller is better. All but the counts weigh the
    roles equally. No interval: resample originals for one.
    """

    wins: int
    ties: int
    losses: int
    deg_count: float
    deg_rate: float
    brier_attack: float
    brier_classical: float
    n: int


def degradation(attack_truth: ArrayLike, classical_truth: ArrayLike, is_deleted: ArrayLike) -> Degradation:
    """Privacy degradation by the update.

    `attack_truth`, `classical_truth` [Q]: each attack's probability of the query's *true* status, in [0, 1];
    `is_deleted` [Q] bool. With as many unseen as deleted queries `deg_count` and `deg_rate` are the paper's.

    Source: Chen et al., CCS 2021 (arXiv 2005.02205). Deviations: ties are reported, since attacks that
    agree often (trees) are not centred at 1/2 by a strict comparison; roles are weighted equally, so that many unseen
    per deleted do not decide; Brier scores are added, because DegRate is not a proper score. Raises `ValueError` for
    NaN, values outside [0, 1], a role without queries or arrays that do not fit.

    >>> degradation([0.9, 0.6], [0.5, 0.6], [True, False]).deg_count
    0.5
    """
    attack = _validate.probabilities("attack_truth", attack_truth, at_least=0)
    classical = _validate.probabilities("classical_truth", classical_truth, at_least=0)
    if attack.shape != classical.shape:
        raise ValueError(
            f"`classical_truth` must have the shape of `attack_truth`, {attack.shape}, got {classical.shape}."
        )
    deleted = _validate.flags("is_deleted", is_deleted, size=attack.size)
    _validate.both_roles(deleted)

    def mean(values: np.ndarray) -> float:
        return (float(values[deleted].mean()) + float(values[~deleted].mean())) / 2

    return Degradation(
        wins=int((attack > classical).sum()),
        ties=int((attack == classical).sum()),
        losses=int((attack < classical).sum()),
        deg_count=mean(attack > classical),
        deg_rate=mean(attack - classical),
        brier_attack=mean((1 - attack) ** 2),
        brier_classical=mean((1 - classical) ** 2),
        n=attack.size,
    )
