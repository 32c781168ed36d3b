"""Matching: repairs what the blind control catches, makes and hides no leak, and keeps what can be compared."""

import numpy as np
import pytest

from aftertrace.statistics import auc, auc_interval_one_pair, blind_test, matched_queries
from aftertrace.statistics._blind import record_designs
from aftertrace.statistics._matching import _p_value

N = 30


def drawn(rng, other=None, n=300):
    """Features, classes and roles of one pair, and a score that follows them alone: no leak."""
    is_deleted = np.arange(2 * n) < n
    x, label = rng.normal(size=(2 * n, 5)), (rng.random(2 * n) < 0.5).astype(int)
    score = x[:, 0] - 0.6 * x[:, 1] + 0.5 * x[:, 4] + label + rng.normal(size=2 * n)
    if other == "year":
        x[n:] += [-0.6, 0.4, 0.3, 0.0, 0.0]
        score[n:] -= 0.6 + 0.6 * 0.4
    elif other == "mix":
        label = (rng.random(2 * n) < np.where(is_deleted, 0.7, 0.3)).astype(int)
        score = 1.5 * label + rng.normal(size=2 * n)
    elif other == "source":
        x[n:, 0] *= 1.6
        x[n:, 1] += 0.7 * x[n:, 2]
        x[n:, 4] -= 0.4
        is_missing = rng.random(2 * n) < np.where(is_deleted, 0.1, 0.3)
        x[is_missing, 3] = 0
        x = np.column_stack([x, is_missing])
        score = -0.6 * x[:, 0] ** 2 + x[:, 1] * -x[:, 2] + x[:, 4] + rng.normal(size=2 * n)
    return x, label, is_deleted, score


def blind(x, label, is_deleted, seed=0):
    one_pair, own = np.zeros(len(label), dtype=int), np.arange(len(label))
    return blind_test(x, label, is_deleted, one_pair, own, rng=np.random.default_rng(seed)).p_value


def matched(seed, other):
    """Of one simulated audit: p-values before and after, AUC before, interval after, with a leak, precision kept."""
    rng = np.random.default_rng([seed, 7])
    x, label, is_deleted, score = drawn(rng, other)
    found = matched_queries(x, label, is_deleted, rng=rng)
    keep = found.keep
    deleted, unseen = score[keep & is_deleted], score[keep & ~is_deleted]
    assert (found.deleted, found.unseen) == (len(deleted), len(unseen))
    assert found.deleted + found.dropped_deleted == found.unseen + found.dropped_unseen == 300
    return (
        blind(x, label, is_deleted),
        blind(x[keep], label[keep], is_deleted[keep]),
        float(auc(score[is_deleted], score[~is_deleted])),
        auc_interval_one_pair(deleted, unseen),
        auc_interval_one_pair(deleted + 1, unseen),
        (2 / (1 / found.deleted + 1 / found.unseen)) / 300,
    )


@pytest.mark.parametrize("other", ["year", "mix", "source"])
def test_matching_repairs_what_the_blind_control_catches(other, monkeypatch):
    monkeypatch.setattr("aftertrace.statistics._blind.PERMUTATIONS", 399)
    before, after, confounded, interval, leak, _ = zip(*(matched(seed, other) for seed in range(N)), strict=True)
    assert np.sum(np.array(before) <= 0.0025) >= N - 2
    assert np.sum(np.array(after) <= 0.0025) == 0
    assert 0.59 < np.mean(confounded) < 0.75
    assert np.mean([each.estimate for each in interval]) == pytest.approx(0.5, abs=0.025)
    assert sum(each.low <= 0.5 <= each.high for each in interval) >= N - 5  # 99.5 % point of the misses at 95 %
    assert sum(each.low > 0.5 for each in leak) >= N - 3


def test_records_drawn_alike_keep_most_of_their_precision(monkeypatch):
    monkeypatch.setattr("aftertrace.statistics._blind.PERMUTATIONS", 399)
    *_, interval, _, precision = zip(*(matched(seed, None) for seed in range(N)), strict=True)
    assert np.mean(precision) > 0.75
    assert sum(each.low <= 0.5 <= each.high for each in interval) >= N - 5


def test_no_overlap_keeps_nothing():
    rng = np.random.default_rng(0)
    x, label, is_deleted, _ = drawn(rng)
    x[is_deleted, 0] += 20
    found = matched_queries(x, label, is_deleted, rng=rng)
    assert not found.keep.any()
    assert (found.dropped_deleted, found.dropped_unseen) == (300, 300)


def test_classes_of_one_role_are_dropped():
    label = np.repeat([0, 1, 2], 40)
    is_deleted = np.concatenate([np.arange(40) < 20, np.ones(40), np.zeros(40)]).astype(bool)
    found = matched_queries(None, label, is_deleted, rng=np.random.default_rng(0))
    assert np.array_equal(found.keep, label == 0)


@pytest.mark.parametrize("sizes", [(300, 300), (60, 600), (600, 60), (3000, 12_000)])
def test_all_classes_have_one_ratio(sizes):
    rng = np.random.default_rng(sizes)
    label = np.concatenate([rng.choice(5, size, p=rng.dirichlet([4] * 5)) for size in sizes])
    is_deleted = np.arange(sum(sizes)) < sizes[0]
    found = matched_queries(None, label, is_deleted, rng=rng)
    counts = [np.bincount(label[found.keep & role], minlength=5) for role in (is_deleted, ~is_deleted)]
    deleted, unseen = (count[counts[0] > 0] for count in counts)
    assert np.max((unseen - 0.5) / deleted) <= np.min((unseen + 0.5) / deleted)
    assert found.deleted > 0.4 * sizes[0] or found.unseen > 0.4 * sizes[1]


def test_the_generator_decides():
    x, label, is_deleted, _ = drawn(np.random.default_rng(1), "year")
    first, again, other = (
        matched_queries(x, label, is_deleted, rng=np.random.default_rng(seed)).keep for seed in (0, 0, 1)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("width", [1, 4, 20])
def test_the_p_value_at_once_is_uniform_where_roles_are_random(width):
    """20 features make more columns than there are queries."""
    rng = np.random.default_rng(width)
    p_values = []
    for _ in range(200):
        x, label = rng.normal(size=(120, width)), rng.integers(2, size=120)
        role = rng.permutation(np.arange(120) < 50) - 50 / 120
        p_values.append([_p_value(design, role) for design in record_designs(x, label)])
    for level in (0.1, 0.5, 0.9):
        assert np.mean(np.array(p_values) <= level, axis=0) == pytest.approx(level, abs=0.11)


def test_what_does_not_fit():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="finite numbers"):
        matched_queries([[np.nan]] * 4, [0] * 4, [True, True, False, False], rng=rng)
    with pytest.raises(ValueError, match="deleted and unseen"):
        matched_queries(None, [0] * 4, [True] * 4, rng=rng)
