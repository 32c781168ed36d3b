"""Every attack conforms; features are the paper's."""

import numpy as np
import pytest

from aftertrace import attacks
from aftertrace.attacks import (
    ATTACK_CHECKS,
    FUNCTIONS,
    Adversary,
    Attack,
    ConfidenceRatio,
    ConformalRank,
    EucDist,
    Feature,
    FeatureAttack,
    JointLikelihoodRatio,
    LargestDrop,
    Lira,
    LogitDrop,
    LossRise,
    OriginalLogit,
    OriginalScore,
    QuantileDrop,
    Rmia,
    ScoreDrop,
    StepDrop,
    Superset,
    check_attack,
    check_needs,
    direct_concat,
    direct_diff,
    euclidean,
    simulated_posteriors,
    sorted_concat,
    sorted_diff,
)
from aftertrace.errors import PosteriorsError, UnsupportedError
from aftertrace.posteriors import Kind, Posteriors

ATTACKS = [
    LogitDrop(),
    EucDist(),
    OriginalLogit(),
    LossRise(),
    ConfidenceRatio(),
    ConformalRank(),
    ConformalRank(LossRise(), by_class=True, bins=2, gamma=1.01),
    ConformalRank(FeatureAttack(Feature.SORTED_DIFF, "logistic")),
    QuantileDrop(),
    Superset(),
    Superset(classical=True),
    JointLikelihoodRatio(),
    JointLikelihoodRatio(linear=True),
    Lira(online=False),
    Lira(pooled_variance=True),
    Lira(unlearned=True),
    Lira(),
    Rmia(),
    Rmia(online=False, gamma=2.0),
    *(FeatureAttack(feature, classifier) for feature in Feature for classifier in ("tree", "logistic")),
    FeatureAttack(Feature.SORTED_DIFF, "forest"),
    FeatureAttack(Feature.SORTED_DIFF, "mlp"),
    LargestDrop(),
    StepDrop(1),
    ScoreDrop(),
    OriginalScore(),
]


@pytest.mark.parametrize("check", ATTACK_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_attack_conforms(attack, check):
    check(attack)


def test_every_feature_is_tested():
    assert set(FUNCTIONS) == set(Feature)
    assert {attack.feature for attack in ATTACKS if isinstance(attack, FeatureAttack)} == set(Feature)


def test_every_attack_is_tested():
    kinds = {
        thing for name in attacks.__all__ if hasattr(thing := getattr(attacks, name), "fit") and thing is not Attack
    }
    assert kinds == {type(attack) for attack in ATTACKS}


def test_names_differ():
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS)


class Upside(LogitDrop):
    """Wrong sign."""

    def fit(self, shadow, *, rng):
        inner = super().fit(shadow, rng=rng)
        return type(inner)(lambda table: -inner.function(table))


class Peeking(LogitDrop):
    """Scores depend on the other queries."""

    def fit(self, shadow, *, rng):
        inner = super().fit(shadow, rng=rng)
        return type(inner)(lambda table: inner.function(table) - inner.function(table).mean())


@pytest.mark.parametrize("broken", [Upside(), Peeking()], ids=["upside", "peeking"])
def test_conformance_can_fail(broken):
    with pytest.raises(AssertionError):
        check_attack(broken)


ORIGINAL = np.array([[0.2, 0.7, 0.1], [0.5, 0.25, 0.25]])
UNLEARNED = np.array([[0.3, 0.3, 0.4], [0.5, 0.3, 0.2]])


def test_features_by_hand():
    assert np.allclose(direct_concat(ORIGINAL, UNLEARNED)[0], [0.2, 0.7, 0.1, 0.3, 0.3, 0.4])
    assert np.allclose(sorted_concat(ORIGINAL, UNLEARNED)[0], [0.1, 0.2, 0.7, 0.4, 0.3, 0.3])
    assert np.allclose(direct_diff(ORIGINAL, UNLEARNED)[0], [-0.1, 0.4, -0.3])
    assert np.allclose(sorted_diff(ORIGINAL, UNLEARNED)[0], [-0.3, -0.1, 0.4])
    assert np.allclose(euclidean(ORIGINAL, UNLEARNED)[0], np.sqrt(0.01 + 0.16 + 0.09))


def test_ties_are_sorted_stably_and_both_versions_by_the_originals_order():
    assert np.allclose(sorted_diff(ORIGINAL, UNLEARNED)[1], [-0.05, 0.05, 0.0])
    assert np.allclose(sorted_concat(ORIGINAL, UNLEARNED)[1], [0.25, 0.25, 0.5, 0.3, 0.2, 0.5])


def sorted_diff_slowly(original, unlearned):
    rows = []
    for before, after in zip(original.tolist(), unlearned.tolist(), strict=True):
        order = sorted(range(len(before)), key=lambda k: (before[k], k))
        rows.append([before[k] - after[k] for k in order])
    return np.array(rows)


def test_sorted_diff_equals_its_slow_twin():
    rng = np.random.default_rng(0)
    before, after = rng.dirichlet(np.ones(5), 200).round(1), rng.dirichlet(np.ones(5), 200)
    assert np.array_equal(sorted_diff(before, after), sorted_diff_slowly(before, after))


def test_unequal_roles_are_balanced_by_weights():
    shadow = simulated_posteriors(leak=2, seed=5)
    deleted_dropped = shadow.select((shadow.role != 0) | (shadow.pair % 5 == 0))
    score = (
        FeatureAttack(Feature.SORTED_DIFF, "logistic").fit(deleted_dropped, rng=np.random.default_rng(0)).score(shadow)
    )
    assert 0.4 < score.mean() < 0.6


def test_what_is_missing_is_refused_by_name():
    table = simulated_posteriors(leak=1, seed=0, originals=1)
    attack = FeatureAttack(Feature.SORTED_DIFF, "tree")
    with pytest.raises(UnsupportedError, match="Attack SortedDiff/tree needs shadow models"):
        check_needs(attack, table, adversary=Adversary.NONE)
    check_needs(attack, table, adversary=Adversary.PER_RECORD)
    losses = Posteriors(
        log_values=np.zeros((1, 2, 1)),
        member=np.array([[True, False]]),
        label=np.array([0]),
        classes=("loss",),
        record=np.array([0]),
        pair=np.array([0]),
        original=np.array([0]),
        use=np.array([0], dtype=np.int8),
        kind=Kind.SCORE,
    )
    with pytest.raises(UnsupportedError, match="a table of kind label or posterior, got score"):
        check_needs(LogitDrop(), losses, adversary=Adversary.NONE)
    with pytest.raises(PosteriorsError, match="needs the posteriors of shadow models"):
        attack.fit(None, rng=np.random.default_rng(0))
    with pytest.raises(PosteriorsError, match="got 0 and 25"):
        attack.fit(table.select(table.role == 1), rng=np.random.default_rng(0))
