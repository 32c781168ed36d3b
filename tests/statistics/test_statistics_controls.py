"""Controls: roles exchangeable by construction, and no leak found where there is none."""

import numpy as np
import pytest

from aftertrace.statistics import auc_interval, exchanged_roles, split_unseen


def rng(seed=0):
    return np.random.default_rng(seed)


def queries(seed=0, *, Q=400, pairs=25):
    """Unbalanced pairs; pair 0 has deleted queries only, pair 1 unseen only, pair 99 a single query."""
    pair = np.append(rng(seed).integers(0, pairs, Q), 99)
    is_deleted = rng(seed + 1).random(Q + 1) < 0.3
    is_deleted[pair == 0], is_deleted[pair == 1] = True, False
    return is_deleted, pair


def test_exchanged_roles_match_one_to_one_within_pairs():
    is_deleted, pair = queries()
    kept, called = exchanged_roles(is_deleted, pair, rng=rng())
    assert (np.diff(kept) > 0).all()
    for label in np.unique(pair):
        here = pair == label
        matches = min((here & is_deleted).sum(), (here & ~is_deleted).sum())
        inside = here[kept]
        assert is_deleted[kept][inside].sum() == (~is_deleted[kept][inside]).sum() == matches
        assert called[inside].sum() == (~called[inside]).sum() == matches


def test_exchanged_roles_use_a_fair_coin_per_match():
    is_deleted, pair = np.tile([True, False, True, False], 2), np.repeat([5, 3], 4)
    count, both = np.zeros(8), 0
    for seed in range(2000):
        kept, called = exchanged_roles(is_deleted, pair, rng=rng(seed))
        assert kept.size == 8
        count += called
        both += called[0] and called[2]
    assert (np.abs(count / 2000 - 0.5) < 0.045).all()
    assert abs(both / 2000 - 0.25) < 0.04  # the two matches of a pair have coins of their own


def test_exchanged_roles_choose_at_random_which_are_kept():
    is_deleted = np.array([True, False, False, False, False])
    kept = [exchanged_roles(is_deleted, np.zeros(5, int), rng=rng(seed))[0].tolist() for seed in range(400)]
    assert all(len(k) == 2 and k[0] == 0 for k in kept)
    assert all(70 < np.sum([k[1] == q for k in kept]) < 130 for q in range(1, 5))


def test_split_unseen_halves_each_pair():
    _, pair = queries(3)
    kept, called = split_unseen(pair, rng=rng())
    assert (np.diff(kept) > 0).all()
    for label, size in zip(*np.unique(pair, return_counts=True), strict=True):
        inside = pair[kept] == label
        assert called[inside].sum() == (~called[inside]).sum() == size // 2


def test_split_unseen_is_a_random_half():
    share = np.mean(
        [np.isin(np.arange(5), k[c]) for k, c in (split_unseen([0] * 5, rng=rng(s)) for s in range(2000))], 0
    )
    np.testing.assert_allclose(share, 0.4, atol=0.045)


def test_controls_are_deterministic_given_the_generator():
    is_deleted, pair = queries()
    for draw in (lambda r: exchanged_roles(is_deleted, pair, rng=r), lambda r: split_unseen(pair, rng=r)):
        for first, second in zip(draw(rng(7)), draw(rng(7)), strict=True):
            np.testing.assert_array_equal(first, second)
        assert not np.array_equal(draw(rng(7))[1], draw(rng(8))[1])


def test_controls_of_nothing_are_empty():
    for kept, called in (
        exchanged_roles([], [], rng=rng()),
        exchanged_roles([True], [0], rng=rng()),
        split_unseen([], rng=rng()),
        split_unseen([0, 1, 2], rng=rng()),
    ):
        assert (kept.size, called.size, called.dtype) == (0, 0, bool)
        assert kept.dtype.kind == "i"


def test_controls_are_checked():
    with pytest.raises(ValueError, match="`role_is_deleted` must be bool, got int64"):
        exchanged_roles([1, 0], [0, 0], rng=rng())
    with pytest.raises(ValueError, match=r"`pair` must have shape \(2,\), one value per query"):
        exchanged_roles([True, False], [0], rng=rng())
    with pytest.raises(ValueError, match="`pair` must have one dimension"):
        split_unseen([[0]], rng=rng())


def audit(generator, *, leak, m=10, pairs=20, unseen=4):
    """Scores of originals that differ in level; every pair has one deleted and some unseen queries."""
    Q = m * pairs * (1 + unseen)
    pair = np.repeat(np.arange(m * pairs), 1 + unseen)
    original = pair // pairs
    is_deleted = np.arange(Q) % (1 + unseen) == 0
    level = generator.standard_normal(m)[original] + 0.5 * generator.standard_normal(m * pairs)[pair]
    return level + generator.standard_normal(Q) + leak * is_deleted, is_deleted, pair, original


def false_alarms(control, *, confidence, audits):
    alarms = 0
    generator = rng(21)
    for _ in range(audits):
        score, is_deleted, pair, original = audit(generator, leak=2.0)
        kept, called = control(is_deleted, pair, generator)
        interval = auc_interval(score[kept], called, original[kept], confidence=confidence)
        alarms += not interval.low <= 0.5 <= interval.high
    return alarms


def unseen_unseen(is_deleted, pair, generator):
    unseen = np.flatnonzero(~is_deleted)
    kept, called = split_unseen(pair[unseen], rng=generator)
    return unseen[kept], called


def permuted(is_deleted, pair, generator):
    return exchanged_roles(is_deleted, pair, rng=generator)


@pytest.mark.parametrize("control", [unseen_unseen, permuted])
def test_controls_raise_no_alarm_though_there_is_a_leak(control):
    assert false_alarms(control, confidence=0.95, audits=200) <= 18
    assert false_alarms(control, confidence=0.9975, audits=1000) <= 9  # 2.5 expected
