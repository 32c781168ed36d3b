"""What every attack promises, as checks that authors of attacks run too."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from aftertrace._hashing import digest
from aftertrace.attacks._protocol import Attack
from aftertrace.posteriors import Posteriors, Role, from_parquet, to_parquet


def check_attack(attack: Attack) -> None:
    """Run all checks; an `AssertionError` names what does not hold."""
    for check in ATTACK_CHECKS:
        check(attack)


def simulated_posteriors(*, leak: float, seed: int, originals: int = 12, pairs: int = 25, K: int = 3) -> Posteriors:
    """A table without models: deleted records lose `leak` of their logit, in units of the noise of both roles.

    Labels, confidences and noise have one distribution for deleted and unseen records, so a `leak` of 0 is no
    leak at all. One deleted and one unseen query per pair.
    """
    rng = np.random.default_rng(seed)
    size = originals * pairs * 2
    deleted = np.arange(size) % 2 == 0
    label = rng.integers(0, K, size)
    own = np.arange(K) == label[:, None]
    logits = rng.normal(size=(size, K)) + 1.5 * own
    moved = logits + 0.1 * rng.normal(size=(size, K)) - 0.1 * leak * np.sqrt(2) * (own & deleted[:, None])
    stacked = np.stack([logits, moved], axis=1)
    values = np.exp(stacked) / np.exp(stacked).sum(axis=2, keepdims=True)
    pair = np.arange(size) // 2
    role = np.where(deleted, Role.DELETED, Role.UNSEEN)
    return Posteriors.from_pair(
        values[:, 0], values[:, 1], label=label, role=role, pair=pair, original=pair // pairs, record=np.arange(size)
    )


def _scores(attack: Attack, target: Posteriors, *, leak: float = 2.0, seed: int = 0) -> NDArray[np.float64]:
    shadow = simulated_posteriors(leak=leak, seed=1000 + seed)
    return attack.fit(shadow, rng=np.random.default_rng(seed)).score(target)


def _auc(score: NDArray[np.float64], table: Posteriors) -> float:
    deleted, unseen = (score[table.role == role] for role in (Role.DELETED, Role.UNSEEN))
    above = (deleted[:, None] > unseen).mean() + 0.5 * (deleted[:, None] == unseen).mean()
    return float(above)


def scores_are_finite(attack: Attack) -> None:
    """One finite number per query, probabilities where promised."""
    target = simulated_posteriors(leak=2, seed=2)
    score = _scores(attack, target)
    assert score.shape == (len(target),)
    assert np.isfinite(score).all()
    if attack.probabilistic:
        assert score.min() >= 0
        assert score.max() <= 1


def extremes_are_finite(attack: Attack) -> None:
    """Certain and wrong answers, probability 0 among them, have a score too."""
    extreme = Posteriors.from_pair(
        [[1, 0, 0], [0, 1, 0], [1, 0, 0]],
        [[0, 1, 0], [0, 1, 0], [1, 0, 0]],
        label=[0, 0, 0],
        role=["deleted", "unseen", "unseen"],
    )
    assert np.isfinite(_scores(attack, extreme)).all()


def same_seed_same_scores(attack: Attack) -> None:
    """Fitting is a function of the shadow table and the generator."""
    target = simulated_posteriors(leak=2, seed=2)
    assert np.array_equal(_scores(attack, target), _scores(attack, target))


def queries_are_scored_alone(attack: Attack) -> None:
    """A score depends neither on the order of queries nor on which others there are."""
    target = simulated_posteriors(leak=2, seed=2)
    score = _scores(attack, target)
    order = np.random.default_rng(0).permutation(len(target))[: len(target) // 2]
    assert np.allclose(_scores(attack, target.select(order)), score[order], atol=1e-12)


def classes_can_be_renamed(attack: Attack) -> None:
    """Where promised, the order of classes does not matter."""
    if not attack.class_symmetric:
        return
    target = simulated_posteriors(leak=2, seed=2)
    turned = replace(target, log_values=target.log_values[:, :, [2, 0, 1]], label=(target.label + 1) % 3)
    assert np.allclose(_scores(attack, turned), _scores(attack, target), atol=1e-9)


def stored_tables_score_alike(attack: Attack) -> None:
    """A table that went through a file has the same scores."""
    target = simulated_posteriors(leak=2, seed=2)
    stored, _ = from_parquet(to_parquet(target))
    assert np.array_equal(_scores(attack, stored), _scores(attack, target))


def no_signal_no_alarm(attack: Attack) -> None:
    """Without a leak the AUC is one half within four standard errors."""
    target = simulated_posteriors(leak=0, seed=3)
    error = np.sqrt(1 / 12 * (2 / 300))
    assert abs(_auc(_scores(attack, target, leak=0), target) - 0.5) < 4 * error


def planted_leak_is_found(attack: Attack) -> None:
    """A strong leak is seen by attacks on both versions, and a classical attack does not see it.

    All records have one true class, so that attacks that cannot see which it is are not lost.
    """
    shadow, target = (simulated_posteriors(leak=4, seed=seed) for seed in (1000, 4))
    shadow, target = (table.select(table.label == 0) for table in (shadow, target))
    found = _auc(attack.fit(shadow, rng=np.random.default_rng(0)).score(target), target)
    if attack.classical:
        assert abs(found - 0.5) < 0.15
    else:
        assert found > 0.6


def has_an_address(attack: Attack) -> None:
    """A run can be addressed by the attack's specification, and the attack has a name."""
    assert digest(attack) == digest(attack)
    assert attack.name


ATTACK_CHECKS: tuple[Callable[[Attack], None], ...] = (
    scores_are_finite,
    extremes_are_finite,
    same_seed_same_scores,
    queries_are_scored_alone,
    classes_can_be_renamed,
    stored_tables_score_alike,
    no_signal_no_alarm,
    planted_leak_is_found,
    has_an_address,
)
"""All checks of `check_attack`."""
