"""Scores without training, and what the learned superset looks at."""

import numpy as np
import pytest

from aftertrace.attacks import (
    RATIO_OFFSET,
    ConfidenceRatio,
    EucDist,
    LogitDrop,
    Superset,
    confidence_ratio,
    logit_drop,
    loss_rise,
    simulated_posteriors,
    superset_features,
)
from aftertrace.errors import PosteriorsError
from aftertrace.posteriors import Posteriors, Role

BEFORE = [[0.8, 0.1, 0.1], [0.2, 0.5, 0.3], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
AFTER = [[0.4, 0.3, 0.3], [0.2, 0.5, 0.3], [0.5, 0.5, 0.0], [1.0, 0.0, 0.0]]
TABLE = Posteriors.from_pair(BEFORE, AFTER, label=[0, 1, 0, 0], role=["deleted", "unseen", "unseen", "unseen"])


def test_losses_by_hand():
    assert np.allclose(loss_rise(TABLE)[:2], [np.log(2), 0])
    least = -np.log(1e-12)
    assert np.isclose(loss_rise(TABLE)[2], np.log(2) - least)
    c = RATIO_OFFSET
    assert np.isclose(confidence_ratio(TABLE)[0], (np.log(2.5) + c) / (np.log(1.25) + c))
    assert np.isclose(confidence_ratio(TABLE)[2], (np.log(2) + c) / (least + c))


def test_equal_answers_have_no_rise():
    rows = [1, 3]
    assert (loss_rise(TABLE)[rows] == 0).all()
    assert (confidence_ratio(TABLE)[rows] == 1).all()
    assert (logit_drop(TABLE)[rows] == 0).all()


def test_tiny_losses_keep_their_digits_and_sums_above_one_do_no_harm():
    log_values = np.log([[[0.5, 0.5], [0.5, 0.5]]])
    log_values[0, :, 0] = [-1e-10, -3e-10]
    log_values[0, :, 1] = np.log(-np.expm1(log_values[0, :, 0]))
    parts = {name: getattr(TABLE, name)[:1] for name in ("member", "record", "pair", "original", "use")}
    tiny = Posteriors(log_values=log_values, label=np.array([0]), classes=("a", "b"), **parts)
    assert np.isclose(loss_rise(tiny)[0], 2e-10, rtol=1e-6)
    assert np.isclose(confidence_ratio(tiny)[0] - 1, 2e-10 / RATIO_OFFSET, rtol=1e-4)
    above = Posteriors.from_pair([[1.0009, 0.0]], [[1.0, 0.0]], label=[0], role=["deleted"])
    assert confidence_ratio(above)[0] == 1


def features_slowly(before, after, y):
    def version(p):
        logs = [np.log(max(value, 1e-12)) for value in p]
        entropy = -sum(value * log for value, log in zip(p, logs, strict=True))
        top = sorted(p)
        logit = logs[y] - np.log(sum(value for k, value in enumerate(p) if k != y))
        return [p[y], logit, entropy, top[-1] - top[-2], sum(value > p[y] for value in p)]

    order = sorted(range(len(before)), key=lambda k: (before[k], k))
    difference = [before[k] - after[k] for k in order]
    divergence = sum(b * (np.log(b) - np.log(a)) for b, a in zip(before, after, strict=True))
    first, last = version(before), version(after)
    changes = [np.log(before[y]) - np.log(after[y]), first[1] - last[1], divergence, np.linalg.norm(difference)]
    return [y, *first, *last, *changes, *difference]


def test_superset_features_equal_their_slow_twin():
    table = simulated_posteriors(leak=2, seed=0, originals=1, pairs=5, K=4)
    values = table.values.tolist()
    slow = [features_slowly(*pair, y) for pair, y in zip(values, table.label.tolist(), strict=True)]
    assert np.allclose(superset_features(table), slow)
    alone = superset_features(table, classical=True)
    assert alone.shape == (len(table), 6 + 4)
    assert np.allclose(alone[:, :6], superset_features(table)[:, :6])
    assert np.allclose(alone[:, 6:], np.sort(table.values[:, 0], axis=1))


def test_superset_is_not_behind_the_scores_it_contains():
    """On another side than it was trained on."""
    shadow, target = (simulated_posteriors(leak=1.5, seed=seed, originals=20, pairs=40) for seed in (1, 2))
    found = {}
    for attack in (Superset(), LogitDrop(), EucDist(), ConfidenceRatio()):
        score = attack.fit(shadow, rng=np.random.default_rng(0)).score(target)
        deleted, unseen = (score[target.role == role] for role in (Role.DELETED, Role.UNSEEN))
        found[attack.name] = (deleted[:, None] > unseen).mean() + 0.5 * (deleted[:, None] == unseen).mean()
    assert found["Superset"] > max(found.values()) - 0.03


def test_superset_balances_roles_and_names_what_is_missing():
    shadow = simulated_posteriors(leak=2, seed=5)
    few_deleted = shadow.select((shadow.role != Role.DELETED) | (shadow.pair % 5 == 0))
    score = Superset().fit(few_deleted, rng=np.random.default_rng(0)).score(simulated_posteriors(leak=2, seed=6))
    assert 0.4 < score.mean() < 0.6
    with pytest.raises(PosteriorsError, match="Superset needs the posteriors of shadow models"):
        Superset().fit(None, rng=np.random.default_rng(0))
    with pytest.raises(PosteriorsError, match="got 0 and 300"):
        Superset().fit(shadow.select(shadow.role == Role.UNSEEN), rng=np.random.default_rng(0))


def test_superset_takes_more_classes_than_categories():
    shadow = simulated_posteriors(leak=2, seed=7, originals=2, K=300)
    assert np.isfinite(Superset().fit(shadow, rng=np.random.default_rng(0)).score(shadow)).all()
