"""The blind control: silent where records are drawn alike, loud where they are not."""

import numpy as np
import pytest

from aftertrace.statistics import blind_test


def one_pair(rng, n=300, shift=0.0, scale=1.0, correlation=0.0, mix=0.5):
    """Unseen records from another year (mean), with another spread, source (correlation) or class mix."""
    x = rng.normal(size=(2 * n, 5))
    is_deleted = np.arange(2 * n) < n
    label = (rng.random(2 * n) < 0.5).astype(int)
    label[n:] = rng.random(n) < mix
    x[n:, 0] = scale * x[n:, 0] + shift
    x[n:, 1] += correlation * x[n:, 2]
    return x, label, is_deleted, np.zeros(2 * n, dtype=int), np.arange(2 * n)


def redrawn(rng, originals=10, pairs=20):
    """Records that recur, deleted in some originals and unseen in others, each with features of its own."""
    features, kind = rng.normal(size=(300, 4)), rng.integers(3, size=300)
    record = np.concatenate([rng.permutation(300)[: 2 * pairs] for _ in range(originals)])
    is_deleted = np.tile(np.arange(2 * pairs) < pairs, originals)
    return features[record], kind[record], is_deleted, np.repeat(np.arange(originals), 2 * pairs), record


@pytest.mark.parametrize("draw", [one_pair, redrawn])
def test_its_level_is_exact_where_records_are_drawn_alike(draw, monkeypatch):
    monkeypatch.setattr("aftertrace.statistics._blind.PERMUTATIONS", 99)
    p_values = []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        sizes = {"n": 40} if draw is one_pair else {"originals": 6, "pairs": 8}
        p_values.append(blind_test(*draw(rng, **sizes), rng=rng).p_value)
    for level, most in ((0.05, 26), (0.25, 95), (0.5, 172)):  # the 99.5 % points of binomials
        assert np.sum(np.array(p_values) <= level) <= most
    assert np.mean(p_values) == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize(
    "other",
    [{"shift": 0.5}, {"mix": 0.75}, {"scale": 1.6}, {"correlation": 0.8}],
    ids=["year", "class", "spread", "source"],
)
def test_other_unseen_records_are_caught(other):
    found = [
        blind_test(*one_pair(np.random.default_rng(seed), **other), rng=np.random.default_rng(seed))
        for seed in range(10)
    ]
    assert sum(each.p_value <= 0.0025 for each in found) >= 9
    if "shift" in other or "mix" in other:
        assert np.mean([each.auc for each in found]) > 0.55


def test_the_class_alone_is_enough():
    _, label, is_deleted, block, record = one_pair(np.random.default_rng(0), mix=0.75)
    assert blind_test(None, label, is_deleted, block, record, rng=np.random.default_rng(0)).p_value <= 0.0025


def test_records_that_tell_nothing():
    n = 40
    found = blind_test(
        np.ones((n, 2)), np.zeros(n), np.arange(n) < 20, np.zeros(n), np.arange(n), rng=np.random.default_rng(0)
    )
    assert (found.auc, found.p_value) == (0.5, 1.0)


def test_many_queries_are_drawn_from(monkeypatch):
    monkeypatch.setattr("aftertrace.statistics._blind.MOST_QUERIES", 200)
    assert blind_test(*one_pair(np.random.default_rng(0)), rng=np.random.default_rng(0)).n == 200


def test_what_does_not_fit():
    with pytest.raises(ValueError, match="finite numbers"):
        blind_test([[np.nan]] * 4, [0] * 4, [True, True, False, False], [0] * 4, range(4), rng=np.random.default_rng(0))
