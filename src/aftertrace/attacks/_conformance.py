"""What every attack promises, as checks that authors of attacks run too."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from aftertrace._hashing import digest
from aftertrace.attacks._protocol import Adversary, Attack
from aftertrace.errors import UnsupportedError
from aftertrace.posteriors import Kind, Posteriors, Role, Use, from_parquet, to_parquet


def check_attack(attack: Attack) -> None:
    """Run all checks; an `AssertionError` names what does not hold."""
    for check in ATTACK_CHECKS:
        check(attack)


def simulated_posteriors(
    *, leak: float, seed: int, originals: int = 12, pairs: int = 25, K: int = 3, held_out: int = 0
) -> Posteriors:
    """A table without models: deleted records lose `leak` of their logit, in units of the noise of both roles.

    Labels, confidences and noise have one distribution for deleted and unseen records, so a `leak` of 0 is no
    leak at all. One deleted, one unseen and `held_out` further unseen queries per pair; every query is of another
    record.
    """
    rng = np.random.default_rng(seed)
    width = 2 + held_out
    size = originals * pairs * width
    place = np.arange(size) % width
    label = rng.integers(0, K, size)
    own = np.arange(K) == label[:, None]
    logits = rng.normal(size=(size, K)) + 1.5 * own
    return _simulated(
        logits,
        label,
        is_deleted=place == 0,
        use=np.where(place > 1, Use.HELD_OUT, Use.EVALUATE),
        pair=np.arange(size) // width,
        original=np.arange(size) // (width * pairs),
        record=np.arange(size),
        leak=leak,
        rng=rng,
    )


def simulated_records(
    *, leak: float, seed: int, memory: float = 0, originals: int = 24, records: int = 60, K: int = 3
) -> Posteriors:
    """A table without models for per-record attacks: the same records come back with every original.

    Each original has each record in or out by a coin; those in it are deleted, one pair each, the others are
    unseen, a quarter of them held out. Records have a label and a difficulty of their own that do not depend on
    `seed`, so that the tables of two seeds are a shadow and a target side. Deleted records lose `leak` as in
    `simulated_posteriors`; members have `memory` more in the original's logit, in units of a record's noise, which
    is what a classical attack finds.
    """
    rng, own_rng = np.random.default_rng(seed), np.random.default_rng(0)
    difficulty, labels = own_rng.normal(size=(records, K)), own_rng.integers(0, K, records)
    record, original = np.tile(np.arange(records), originals), np.repeat(np.arange(originals), records)
    is_deleted = rng.random(record.size) < 0.5
    label = labels[record]
    own = np.arange(K) == label[:, None]
    noise = 0.5 * rng.normal(size=(record.size, K)) + 0.5 * memory * (own & is_deleted[:, None])
    held_out = ~is_deleted & (rng.random(record.size) < 0.25)
    return _simulated(
        difficulty[record] + noise + 1.5 * own,
        label,
        is_deleted=is_deleted,
        use=np.where(held_out, Use.HELD_OUT, Use.EVALUATE),
        pair=np.arange(record.size) // 2,
        original=original,
        record=record,
        leak=leak,
        rng=rng,
    )


def _simulated(
    logits: NDArray[np.float64],
    label: NDArray[np.int64],
    *,
    is_deleted: NDArray[np.bool_],
    use: NDArray[np.int64],
    pair: NDArray[np.int64],
    original: NDArray[np.int64],
    record: NDArray[np.int64],
    leak: float,
    rng: np.random.Generator,
) -> Posteriors:
    """Both versions' posteriors from the original's logits [Q, K]."""
    own = np.arange(logits.shape[1]) == label[:, None]
    moved = logits + 0.1 * rng.normal(size=logits.shape) - 0.1 * leak * np.sqrt(2) * (own & is_deleted[:, None])
    stacked = np.stack([logits, moved], axis=1)
    values = np.exp(stacked) / np.exp(stacked).sum(axis=2, keepdims=True)
    role = np.where(is_deleted, Role.DELETED, Role.UNSEEN)
    table = Posteriors.from_pair(
        values[:, 0], values[:, 1], label=label, role=role, pair=pair, original=original, record=record
    )
    return replace(table, use=use.astype(np.int8))


def _table(attack: Attack, *, leak: float, seed: int) -> Posteriors:
    """What `attack` can learn from and be shown, with held-out queries; about 600 evaluated ones."""
    if attack.needs.shadow is Adversary.PER_RECORD:
        return simulated_records(leak=leak, seed=seed, originals=12)
    return _suited(attack, simulated_posteriors(leak=leak, seed=seed, held_out=1))


def _suited(attack: Attack, table: Posteriors) -> Posteriors:
    """The table, or its logits of the true class as scores where the attack takes nothing else."""
    if Kind.POSTERIOR in attack.needs.kinds:
        return table
    clipped = np.clip(table.phi, -50, 50)[:, :, None]
    return replace(table, log_values=clipped, classes=("score",), label=np.zeros_like(table.label), kind=Kind.SCORE)


def _shadow(attack: Attack, *, leak: float, seed: int) -> Posteriors | None:
    match attack.needs.shadow:
        case Adversary.NONE:
            return None
        case Adversary.POPULATION:
            return _table(attack, leak=leak, seed=1000 + seed)
        case Adversary.PER_RECORD:
            return simulated_records(leak=leak, seed=1000 + seed)
        case Adversary.TRUTH:
            raise UnsupportedError(
                f"{attack.name} learns from the audited queries themselves: it is no outsider's attack."
            )


def _scores(attack: Attack, target: Posteriors, *, leak: float = 2.0, seed: int = 0) -> NDArray[np.float64]:
    shadow = _shadow(attack, leak=leak, seed=seed)
    return attack.fit(shadow, rng=np.random.default_rng(seed)).score(target)


def _auc(score: NDArray[np.float64], table: Posteriors) -> float:
    evaluated = table.use == Use.EVALUATE
    deleted, unseen = (score[evaluated & (table.role == role)] for role in (Role.DELETED, Role.UNSEEN))
    above = (deleted[:, None] > unseen).mean() + 0.5 * (deleted[:, None] == unseen).mean()
    return float(above)


def scores_are_finite(attack: Attack) -> None:
    """One finite number per query, probabilities where promised."""
    target = _table(attack, leak=2, seed=2)
    score = _scores(attack, target)
    assert score.shape == (len(target),)
    assert np.isfinite(score).all()
    if attack.probabilistic:
        assert score.min() >= 0
        assert score.max() <= 1


def extremes_are_finite(attack: Attack) -> None:
    """Certain and wrong answers, probability 0 among them, have a score too."""
    extreme = Posteriors.from_pair(
        [[1, 0, 0], [0, 1, 0], [1, 0, 0], [1, 0, 0], [0, 1, 0]],
        [[0, 1, 0], [0, 1, 0], [1, 0, 0], [0, 0, 1], [0, 1, 0]],
        label=[0, 0, 0, 0, 0],
        role=["deleted", "unseen", "unseen", "unseen", "unseen"],
    )
    extreme = replace(extreme, use=np.array([0, 0, 0, 1, 1], dtype=np.int8))
    assert np.isfinite(_scores(attack, _suited(attack, extreme))).all()


def same_seed_same_scores(attack: Attack) -> None:
    """Fitting is a function of the shadow table and the generator."""
    target = _table(attack, leak=2, seed=2)
    assert np.array_equal(_scores(attack, target), _scores(attack, target))


def queries_are_scored_alone(attack: Attack) -> None:
    """A score depends neither on the order of queries nor on which others are evaluated (held out are all)."""
    target = _table(attack, leak=2, seed=2)
    score = _scores(attack, target)
    rng = np.random.default_rng(0)
    evaluated = rng.permutation(np.flatnonzero(target.use == Use.EVALUATE))
    order = rng.permutation(np.append(evaluated[::2], np.flatnonzero(target.use == Use.HELD_OUT)))
    assert np.allclose(_scores(attack, target.select(order)), score[order], atol=1e-12)


def classes_can_be_renamed(attack: Attack) -> None:
    """Where promised, the order of classes does not matter."""
    if not attack.class_symmetric or Kind.POSTERIOR not in attack.needs.kinds:
        return
    target = _table(attack, leak=2, seed=2)
    turned = replace(target, log_values=target.log_values[:, :, [2, 0, 1]], label=(target.label + 1) % 3)
    assert np.allclose(_scores(attack, turned), _scores(attack, target), atol=1e-9)


def stored_tables_score_alike(attack: Attack) -> None:
    """A table that went through a file has the same scores."""
    target = _table(attack, leak=2, seed=2)
    stored, _ = from_parquet(to_parquet(target))
    assert np.array_equal(_scores(attack, stored), _scores(attack, target))


def no_signal_no_alarm(attack: Attack) -> None:
    """Without a leak the AUC is one half within four standard errors."""
    target = _table(attack, leak=0, seed=3)
    error = np.sqrt(1 / 12 * (2 / 300))
    assert abs(_auc(_scores(attack, target, leak=0), target) - 0.5) < 4 * error


def planted_leak_is_found(attack: Attack) -> None:
    """A strong leak is seen by attacks on both versions, and a classical attack does not see it.

    All records have one true class, so that attacks that cannot see which it is are not lost.
    """
    shadow, target = _shadow(attack, leak=4, seed=0), _table(attack, leak=4, seed=4)
    target = target.select(target.label == 0)
    shadow = None if shadow is None else shadow.select(shadow.label == 0)
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
