"""A defense reaches every attack: no undefended number enters any of them."""

from dataclasses import replace

import numpy as np
import pytest

from aftertrace.attacks import Adversary, Feature, FeatureAttack, check_needs
from aftertrace.attacks._conformance import simulated_posteriors, simulated_records
from aftertrace.defenses import KeyedNoise, LabelOnly, Rounding, Temperature, TopK, defend
from aftertrace.errors import UnsupportedError
from aftertrace.posteriors import Posteriors, Role, Use
from aftertrace.scenarios._settings import NAMED_ATTACKS

ATTACKS = [*NAMED_ATTACKS.values(), *(FeatureAttack(feature, "tree") for feature in Feature)]


def side(attack, seed):
    """What the attack learns from or is shown."""
    if attack.needs.shadow is Adversary.PER_RECORD:
        return simulated_records(leak=2, seed=seed, originals=6, records=40)
    return simulated_posteriors(leak=2, seed=seed, originals=4, pairs=15, held_out=1)


def scores(attack, shadow, target):
    learns = attack.needs.shadow is not Adversary.NONE
    return attack.fit(shadow if learns else None, rng=np.random.default_rng(0)).score(target)


def sharper(table):
    """Other posteriors with the same largest class."""
    return defend(table, Temperature(0.5), seed=0, side="")


def tail_spread(table):
    """Other posteriors with the same largest one, bit for bit: the rest is spread evenly."""
    return replace(defend(table, TopK(1), seed=0, side=""), kind=table.kind)


def nudged(table):
    """Other posteriors that round to the same: a little goes from class to class where that leaves the cell alone."""
    values = table.values.copy()
    for giver, taker in ((0, 1), (1, 2), (2, 0)):
        moved = values.copy()
        moved[..., giver] -= 0.02
        moved[..., taker] += 0.02
        same = (np.round(moved, 1) == np.round(values, 1)).all(axis=2) & (moved > 0).all(axis=2)
        values[same] = moved[same]
    return replace(table, log_values=np.log(values))


HIDES = [(LabelOnly(), sharper), (TopK(1), tail_spread), (Rounding(1), nudged)]


@pytest.mark.parametrize(("defense", "disguised"), HIDES, ids=lambda value: str(getattr(value, "__name__", value)))
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_what_is_released_alike_is_scored_alike(attack, defense, disguised):
    """Tables that differ, but not in what is released: every score is the same, to the last bit."""
    sides = side(attack, 1), side(attack, 0)
    others = tuple(map(disguised, sides))
    assert not np.array_equal(sides[1].log_values, others[1].log_values)
    released = [
        tuple(
            defend(table, defense, seed=0, side=name) for table, name in zip(tables, ("shadow", "target"), strict=True)
        )
        for tables in (sides, others)
    ]
    assert np.array_equal(scores(attack, *released[0]), scores(attack, *released[1]))


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_the_disguise_shows_without_a_defense(attack):
    """So that the test above can fail."""
    sides = side(attack, 1), side(attack, 0)
    plain = scores(attack, *sides)
    for _, disguised in HIDES:
        assert not np.array_equal(plain, scores(attack, *map(disguised, sides)))


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_undefended_numbers_may_be_destroyed(attack):
    """Once released, nothing of the undefended table is needed: its numbers and all probes become NaN."""
    released = []
    for is_poisoned in (False, True):
        tables = []
        for seed, name in ((1, "shadow"), (0, "target")):
            own = side(attack, seed)
            trap = np.full((len(own), 2, 3), np.nan)
            own = replace(own, log_values=own.log_values.copy(), probes={"trap": trap} if is_poisoned else {})
            assert np.isfinite(own.values).all()  # cached from now on, as is phi
            assert np.isfinite(own.phi).all()
            tables.append(defend(own, TopK(1), seed=0, side=name))
            if is_poisoned:
                for array in (own.log_values, own.values, own.phi):
                    array.setflags(write=True)
                    array[:] = np.nan
        released.append(scores(attack, *tables))
    assert np.array_equal(*released)


@pytest.mark.parametrize("defense", [Temperature(4.0), KeyedNoise(0.5)], ids=str)
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_scores_are_those_of_the_released_numbers_alone(attack, defense):
    """A table made from nothing but what was released is scored the same."""
    shadow, target = (
        defend(side(attack, seed), defense, seed=0, side=name) for seed, name in ((1, "shadow"), (0, "target"))
    )
    made = []
    for released in (shadow, target):
        built = Posteriors.from_pair(
            *np.exp(released.log_values.transpose(1, 0, 2)),
            label=released.label,
            role=released.role,
            record=released.record,
            original=released.original,
            pair=released.pair,
        )
        made.append(replace(built, use=released.use, log_values=released.log_values.copy()))
    assert np.array_equal(scores(attack, shadow, target), scores(attack, *made))


def test_an_attack_that_needs_an_undefended_probe_is_refused():
    class Distance:
        name = "Distance"
        needs = replace(NAMED_ATTACKS["LogitDrop"].needs, probes=frozenset({"distance"}))

    table = side(NAMED_ATTACKS["LogitDrop"], 0)
    probed = replace(table, probes={"distance": np.zeros((len(table), 2))})
    check_needs(Distance(), probed, adversary=Adversary.NONE)
    with pytest.raises(UnsupportedError, match="the probes distance"):
        check_needs(Distance(), defend(probed, LabelOnly(), seed=0, side="target"), adversary=Adversary.NONE)


def test_label_only_leaves_what_flips_alone_reveal():
    """SortedDiff's tree sees (same class, flipped): its AUC is that of the best use of the flip, by hand."""
    shadow, target = (simulated_posteriors(leak=12, seed=seed, originals=12, pairs=60) for seed in (1, 0))
    released = [defend(table, LabelOnly(), seed=0, side="") for table in (shadow, target)]
    score = scores(FeatureAttack(Feature.SORTED_DIFF, "tree"), *released)
    rows = target.use == Use.EVALUATE
    flipped = (target.log_values[:, 0].argmax(axis=1) != target.log_values[:, 1].argmax(axis=1))[rows]
    deleted = (target.role == Role.DELETED)[rows]
    rates = flipped[deleted].mean(), flipped[~deleted].mean()
    assert rates[0] > rates[1]
    own, others = score[rows][deleted], score[rows][~deleted]
    auc = (own[:, None] > others).mean() + (own[:, None] == others).mean() / 2
    assert auc == pytest.approx(0.5 + (rates[0] - rates[1]) / 2, abs=0.02)
    plain = scores(FeatureAttack(Feature.SORTED_DIFF, "tree"), shadow, target)
    own, others = plain[rows][deleted], plain[rows][~deleted]
    assert (own[:, None] > others).mean() > auc + 0.05


def best_auc(shadow_cell, shadow_deleted, cell, deleted):
    """AUC on the target when what is released is one of few cells, ranked by its share of deleted shadow queries."""
    rank = {
        one: (shadow_cell == one)[shadow_deleted].mean()
        / ((shadow_cell == one)[shadow_deleted].mean() + (shadow_cell == one)[~shadow_deleted].mean())
        for one in np.unique(shadow_cell)
    }
    score = np.array([rank[one] for one in cell])
    own, others = score[deleted], score[~deleted]
    return (own[:, None] > others).mean() + (own[:, None] == others).mean() / 2


@pytest.mark.parametrize("K", [2, 3])
def test_label_only_gives_exactly_what_labels_before_and_after_allow(K):
    """SortedDiff sees a flip and the new label's place among the others; of two classes, the flip alone."""
    sides = [simulated_posteriors(leak=8, seed=seed, originals=10, pairs=60, K=K) for seed in (1, 0)]
    cells, deleted = [], []
    for table in sides:
        before, after = table.log_values.argmax(axis=2).T
        place = np.where(after > before, after - 1, after)  # among the classes that were not predicted before
        cells.append(np.where(before == after, -1, place))
        deleted.append(table.role == Role.DELETED)
    assert all(len(np.unique(cell)) == K for cell in cells)
    score = scores(
        FeatureAttack(Feature.SORTED_DIFF, "tree"), *(defend(table, LabelOnly(), seed=0, side="") for table in sides)
    )
    own, others = score[deleted[1]], score[~deleted[1]]
    found = (own[:, None] > others).mean() + (own[:, None] == others).mean() / 2
    assert found == pytest.approx(best_auc(cells[0], deleted[0], cells[1], deleted[1]), abs=1e-12)
    if K == 2:
        flips = cells[1] >= 0
        assert found == pytest.approx(0.5 + (flips[deleted[1]].mean() - flips[~deleted[1]].mean()) / 2, abs=1e-12)
