"""P-values are exact, searches equal their slow twins, and held-out queries are scored like evaluated ones."""

from dataclasses import replace

import numpy as np
import pytest

from aftertrace.attacks import (
    ConformalRank,
    LogitDrop,
    LossRise,
    QuantileDrop,
    Rmia,
    check_needs,
    conformal_p_value,
    simulated_posteriors,
    simulated_records,
)
from aftertrace.attacks._conformal import confidence_cell
from aftertrace.attacks._protocol import Adversary
from aftertrace.errors import PosteriorsError, UnsupportedError
from aftertrace.posteriors import Posteriors, Role, Use, concatenate


def p_values_slowly(score, reference, group, reference_group, gamma=1.0):
    values = []
    for own, cell in zip(score, group, strict=True):
        others = [z for z, other in zip(reference, reference_group, strict=True) if other == cell]
        values.append((1 + sum(z >= own - np.log(gamma) for z in others)) / (len(others) + 1))
    return np.array(values)


@pytest.mark.parametrize("gamma", [1.0, 1.5])
@pytest.mark.parametrize(("size", "public"), [(0, 5), (1, 0), (200, 1), (200, 60)])
def test_p_values_equal_their_slow_twin(size, public, gamma):
    rng = np.random.default_rng(size + public)
    score, reference = rng.normal(size=size).round(1), rng.normal(size=public).round(1)
    group, reference_group = rng.integers(-2, 4, size), rng.integers(-1, 3, public)  # some groups on one side only
    found = conformal_p_value(score, reference, group=group, reference_group=reference_group, gamma=gamma)
    assert np.array_equal(found, p_values_slowly(score, reference, group, reference_group, gamma))
    everyone = conformal_p_value(score, reference, gamma=gamma)
    assert np.array_equal(everyone, p_values_slowly(score, reference, np.zeros(size), np.zeros(public), gamma))


def test_p_values_refuse_what_does_not_fit():
    with pytest.raises(ValueError, match="must be given together"):
        conformal_p_value([1.0], [1.0], group=[0])
    with pytest.raises(ValueError, match="`reference` must be numbers in one dimension"):
        conformal_p_value([1.0], [np.nan])
    with pytest.raises(ValueError, match="`gamma` must be at least 1, got 0.5"):
        conformal_p_value([1.0], [1.0], gamma=0.5)
    with pytest.raises(ValueError, match="`bins` must be at least 1, got 0"):
        ConformalRank(bins=0)


def simulated_pairs(
    rng, *, pairs, unseen, held_out, pair_effect, ties=False, classes=1, depends=0.0, leak=0.0, original=0
):
    """One original: queries whose drop has a shift and a scale of the pair's own; with a leak, one deleted in each."""
    width = unseen + held_out
    place, pair = np.arange(pairs * width) % width, np.repeat(np.arange(pairs), width)
    before, label = rng.normal(size=pair.size), rng.integers(0, classes, pair.size)
    shift, scale = rng.normal(size=pairs) * pair_effect, np.exp(rng.normal(size=pairs) * pair_effect)
    scale = scale[pair] * np.exp(depends * before)
    is_deleted = (place == 0) & (leak > 0)
    drop = 0.2 * (shift[pair] + scale * (rng.normal(size=pair.size) + leak * is_deleted) + label)
    drop = drop.round(1) if ties else drop
    logits = np.zeros((pair.size, 2, max(classes, 2)))
    logits[np.arange(pair.size)[:, None], [0, 1], label[:, None]] = np.stack([before, before - drop], axis=1)
    return Posteriors(
        log_values=logits - np.logaddexp.reduce(logits, axis=2, keepdims=True),
        member=np.stack([is_deleted, np.zeros_like(is_deleted)], axis=1),
        label=label,
        classes=tuple(map(str, range(logits.shape[2]))),
        record=rng.permutation(pair.size),
        pair=pair,
        original=np.full(pair.size, original),
        use=np.where(place < unseen, Use.EVALUATE, Use.HELD_OUT).astype(np.int8),
    )


DESIGNS = {
    "one pair": {"pairs": 1, "unseen": 2, "held_out": 19, "pair_effect": 1},
    "one held out in each of many pairs": {"pairs": 20, "unseen": 1, "held_out": 1, "pair_effect": 2},
    "few held out in each of many pairs": {"pairs": 20, "unseen": 2, "held_out": 3, "pair_effect": 2},
    "many held out in each of few pairs": {"pairs": 3, "unseen": 2, "held_out": 19, "pair_effect": 2},
    "ties": {"pairs": 20, "unseen": 1, "held_out": 1, "pair_effect": 1, "ties": True},
}
ATTACKS = [
    ConformalRank(),
    ConformalRank(by_class=True),
    ConformalRank(bins=3),
    ConformalRank(LossRise(), by_class=True, bins=2, gamma=1.2),
]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
@pytest.mark.parametrize("design", DESIGNS.values(), ids=DESIGNS)
def test_no_leak_gives_p_values_that_hold(design, attack):
    """P(p <= u) <= u for evaluated and for held-out queries, whatever pairs do to their queries."""
    rng = np.random.default_rng(0)
    rates = {Use.EVALUATE: [], Use.HELD_OUT: []}
    levels = np.array([0.05, 0.1, 0.25, 0.5, 0.75])
    for _ in range(150):
        table = simulated_pairs(rng, **design, classes=2, depends=0.5)
        p = 1 - attack.fit(None, rng=rng).score(table)
        for use, found in rates.items():
            found.append((p[table.use == use][:, None] <= levels + 1e-9).mean(axis=0))
    for found in rates.values():  # tables are the independent units
        error = np.std(found, axis=0) / np.sqrt(len(found)) + 0.002
        assert (np.mean(found, axis=0) <= levels + 3.5 * error).all()


@pytest.mark.parametrize(
    ("design", "bins"), [("one pair", 1), ("one pair", 4), ("one held out in each of many pairs", 1)]
)
def test_p_values_are_uniform(design, bins):
    """Without ties, all values j / (n + 1) of the evaluated are equally likely, also within bins of confidence."""
    rng = np.random.default_rng(1)
    values = []
    for _ in range(1500):
        table = simulated_pairs(rng, **DESIGNS[design], depends=0.5)
        p = 1 - ConformalRank(bins=bins).fit(None, rng=rng).score(table)
        values.append(p[(table.use == Use.EVALUATE) & (table.pair == 0)][0])
    n = 19 if bins == 1 else 4  # 19 references, of which 3 are edges between four bins
    count = np.bincount(np.rint(np.array(values) * (n + 1)).astype(int), minlength=n + 2)[1:]
    assert np.allclose(np.array(values) * (n + 1), np.rint(np.array(values) * (n + 1)), atol=1e-6)
    expected = len(values) / (n + 1)
    assert ((count - expected) ** 2 / expected).sum() < n + 4 * np.sqrt(2 * n)


def test_edges_of_bins_belong_to_no_bin():
    reference = np.arange(1.0, 20.0)
    cell = confidence_cell(np.array([0.0, 4.5, 5.0, 5.5, 10.0, 14.9, 15.0, 99.0]), reference, bins=4)
    assert cell.tolist() == [0, 0, 1, 2, 3, 4, 5, 6]
    inside = confidence_cell(reference, reference, bins=4)
    assert np.bincount(inside).tolist() == [4, 1, 4, 1, 4, 1, 4]
    assert confidence_cell(np.array([0.3]), np.array([]), bins=4).tolist() == [0]
    assert len(set(confidence_cell(np.repeat([1.0, 2.0], 9), np.repeat([1.0, 2.0], 9), bins=3))) == 2


def ranks_slowly(score, table, group):
    """The attack's p-values, one query at a time."""
    public = (table.use == Use.HELD_OUT) & (table.role == Role.UNSEEN)
    values = []
    for q in range(len(table)):
        same = [z for z in np.flatnonzero(public & (group == group[q])) if table.original[z] == table.original[q]]
        own = [z for z in same if table.pair[z] == table.pair[q]]
        if len(own) >= len({table.pair[z] for z in same}):
            others = [z for z in own if z != q]
            values.append((1 + sum(score[z] >= score[q] for z in others)) / (1 + len(others)))
        else:
            others = sorted({table.pair[z] for z in same} - {table.pair[q]})
            shares = [np.mean([score[z] >= score[q] for z in same if table.pair[z] == other]) for other in others]
            values.append((1 + sum(shares)) / (1 + len(shares)))
    return np.array(values)


@pytest.mark.parametrize(("pairs", "held_out"), [(1, 6), (6, 1), (3, 5), (5, 3)])
@pytest.mark.parametrize(("by_class", "bins"), [(False, 1), (True, 1), (False, 3), (True, 2)])
def test_ranks_equal_their_slow_twin(pairs, held_out, by_class, bins):
    table = simulated_posteriors(leak=1, seed=pairs, originals=4, pairs=pairs, held_out=held_out)
    table = replace(table, pair=table.pair % pairs)  # pairs are numbered within their original
    score = LogitDrop().fit(None, rng=np.random.default_rng(0)).score(table)
    found = 1 - ConformalRank(by_class=by_class, bins=bins).fit(None, rng=np.random.default_rng(0)).score(table)
    cell, public = np.zeros(len(table), dtype=np.int64), table.use == Use.HELD_OUT
    for own in (table.original == number for number in range(4)):
        cell[own] = confidence_cell(table.phi[own, 0], table.phi[own & public, 0], bins=bins)
    assert np.allclose(found, ranks_slowly(score, table, 100 * table.label * by_class + cell), atol=1e-9)


def auc(high, low):
    return (high[:, None] > low).mean() + 0.5 * (high[:, None] == low).mean()


@pytest.mark.parametrize("attack", [ConformalRank(), QuantileDrop()], ids=lambda attack: attack.name)
@pytest.mark.parametrize(("pairs", "held_out"), [(25, 1), (2, 40)])
def test_held_out_queries_look_like_evaluated_ones(attack, pairs, held_out):
    """Thresholds set on held-out scores suit evaluated ones."""
    table = simulated_posteriors(leak=3, seed=1, originals=1000 // pairs, pairs=pairs, held_out=held_out)
    score = attack.fit(None, rng=np.random.default_rng(0)).score(table)
    unseen = table.role == Role.UNSEEN
    evaluated, held = (score[unseen & (table.use == use)] for use in (Use.EVALUATE, Use.HELD_OUT))
    assert abs(auc(evaluated, held) - 0.5) < 4 * np.sqrt((1 / len(evaluated) + 1 / len(held)) / 12)
    assert auc(score[table.role == Role.DELETED], evaluated) > 0.9


@pytest.mark.parametrize("design", ["one pair", "one held out in each of many pairs"])
def test_thresholds_of_held_out_scores_hold_within_a_step(design):
    """Within a pair the grids differ by one step, across pairs with one held-out query each they are the same."""
    rng = np.random.default_rng(6)
    table = concatenate([simulated_pairs(rng, **DESIGNS[design], original=number) for number in range(600)])
    score = ConformalRank().fit(None, rng=rng).score(table)
    evaluated, held = (score[table.use == use] for use in (Use.EVALUATE, Use.HELD_OUT))
    step = 1 / 20 if design == "one pair" else 0
    for fpr in (0.06, 0.1, 0.3):
        accused = (evaluated > np.quantile(held, 1 - fpr, method="higher")).mean()
        assert accused <= fpr + step + 4 * np.sqrt(fpr / 600)
        assert accused >= fpr - 1 / 19 - 4 * np.sqrt(fpr / 600)


def test_ranking_makes_pairs_comparable():
    """A scale that a pair gives to all its queries hides a leak from the drop, and not from its rank."""
    rng = np.random.default_rng(0)
    design = {"pairs": 1, "unseen": 2, "held_out": 40, "pair_effect": 2, "leak": 2.5}
    table = concatenate([simulated_pairs(rng, **design, original=number) for number in range(150)])
    deleted, unseen = (np.flatnonzero((table.use == Use.EVALUATE) & (table.role == role)) for role in (0, 1))
    found = {}
    for attack in (LogitDrop(), ConformalRank()):
        score = attack.fit(None, rng=rng).score(table)
        found[attack.name] = auc(score[deleted], score[unseen])
    assert found["Rank/LogitDrop"] > found["LogitDrop"] + 0.1


def test_a_query_without_references_scores_nothing():
    table = simulated_posteriors(leak=4, seed=0, originals=2, pairs=5, held_out=1)
    alone = table.select((table.original == 0) | (table.use == Use.EVALUATE))
    score = ConformalRank().fit(None, rng=np.random.default_rng(0)).score(alone)
    assert (score[alone.original == 1] == 0).all()
    assert (score[alone.original == 0] > 0).any()


@pytest.mark.parametrize("attack", [ConformalRank(), QuantileDrop(), Rmia()], ids=lambda attack: attack.name)
def test_held_out_queries_are_required_by_name(attack):
    table = simulated_records(leak=0, seed=0, originals=4)
    evaluated = table.select(table.use == Use.EVALUATE)
    check_needs(attack, table, adversary=Adversary.PER_RECORD)
    with pytest.raises(UnsupportedError, match="needs held-out unseen queries on the target side, and there are none"):
        check_needs(attack, evaluated, adversary=Adversary.PER_RECORD)
    shadow = table if attack.needs.shadow is Adversary.PER_RECORD else None
    with pytest.raises(PosteriorsError, match="held.out"):
        attack.fit(shadow, rng=np.random.default_rng(0)).score(evaluated)


def test_quantile_drop_knows_what_unseen_records_of_a_kind_lose():
    """Where the spread of drops depends on the confidence and their mean on the class, standardising helps."""
    rng = np.random.default_rng(3)
    many = {"unseen": 2, "held_out": 2, "pair_effect": 0, "classes": 2, "depends": 1.0}
    table = simulated_pairs(rng, pairs=300, **many, leak=1.5)
    shadow = simulated_pairs(rng, pairs=300, **many)
    evaluated, deleted = table.use == Use.EVALUATE, table.role == Role.DELETED
    found = {}
    for name, attack, side in (
        ("drop", LogitDrop(), None),
        ("held out", QuantileDrop(), None),
        ("shadow", QuantileDrop(), shadow),
    ):
        score = attack.fit(side, rng=rng).score(table)
        found[name] = auc(score[evaluated & deleted], score[evaluated & ~deleted])
    assert min(found["held out"], found["shadow"]) > found["drop"] + 0.04  # 0.855 is the best there is
    unseen = score[evaluated & ~deleted]
    assert abs(unseen.mean()) < 0.2
    assert 0.8 < unseen.std() < 1.25


def test_quantile_drop_where_nothing_moves():
    table = simulated_posteriors(leak=0, seed=0, originals=1, held_out=4)
    still = replace(table, log_values=table.log_values[:, [0, 0]])
    assert (np.abs(QuantileDrop().fit(None, rng=np.random.default_rng(0)).score(still)) < 1e-9).all()
    with pytest.raises(PosteriorsError, match="must learn from unseen queries"):
        QuantileDrop().fit(table.evaluated(Role.DELETED), rng=np.random.default_rng(0))
