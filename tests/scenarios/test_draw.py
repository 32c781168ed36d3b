"""Who trains which model: the guarantees of the draws."""

import numpy as np
import pytest

from aftertrace.errors import ExperimentError
from aftertrace.posteriors import Role, Use
from aftertrace.scenarios import Scenario, Side, draw_units


def scenario(**more):
    sizes = {"originals": 4, "pairs": 5, "records": 40}
    return Scenario(**{"shadow": Side(**sizes), "target": Side(**sizes), "retained_per_pair": 2, **more})


def every_record(unit):
    return np.concatenate([unit.train, unit.queries.record, unit.test])


def asked(unit, role, use=Use.EVALUATE, pair=None):
    own = unit.queries
    here = (own.role == role) & (own.use == use)
    return own.record[here if pair is None else here & (own.pair == pair)]


@pytest.mark.parametrize("pools", ["redrawn", "fixed"])
def test_no_record_is_on_both_sides(pools):
    units = draw_units(scenario(pools=pools), n_records=300, seed=1)
    sides = {
        side: {r for u in units if u.side == side for r in every_record(u).tolist()} for side in ("shadow", "target")
    }
    assert not sides["shadow"] & sides["target"]


@pytest.mark.parametrize("pools", ["redrawn", "fixed"])
def test_roles_are_what_they_say(pools):
    for unit in draw_units(scenario(pools=pools, unseen_per_pair=3), n_records=300, seed=1):
        train = set(unit.train.tolist())
        assert len(train) == 40
        assert (np.diff(unit.train) > 0).all()
        assert set(unit.deleted.tolist()) <= train
        assert len(set(unit.deleted.tolist())) == 5
        assert not train & {*unit.queries.record[unit.queries.role == Role.UNSEEN].tolist(), *unit.test.tolist()}
        assert np.array_equal(asked(unit, Role.DELETED), unit.deleted)
        for pair, deleted in enumerate(unit.deleted.tolist()):
            outside = [asked(unit, Role.UNSEEN, use, pair).tolist() for use in (Use.EVALUATE, Use.HELD_OUT)]
            assert list(map(len, outside)) == [3, 1]
            assert len({*outside[0], *outside[1]}) == 4
            assert asked(unit, Role.DELETED, pair=pair).tolist() == [deleted]
            assert len(asked(unit, Role.RETAINED, pair=pair)) == 2
            assert set(asked(unit, Role.RETAINED, pair=pair).tolist()) <= train - {deleted}


def test_unseen_records_of_an_original_differ_while_there_are_enough():
    for unit in draw_units(scenario(), n_records=300, seed=1):
        outside = unit.queries.record[unit.queries.role == Role.UNSEEN]
        assert len(np.unique(outside)) == len(outside)


def test_redrawn_records_change_roles_between_originals():
    units = [unit for unit in draw_units(scenario(), n_records=120, seed=1) if unit.side == "target"]
    members = set.union(*(set(unit.train.tolist()) for unit in units))
    unseen = set.union(*(set(asked(unit, Role.UNSEEN).tolist()) for unit in units))
    assert members & unseen


def test_fixed_pools_never_mix():
    units = [unit for unit in draw_units(scenario(pools="fixed"), n_records=300, seed=1) if unit.side == "target"]
    members = set.union(*(set(unit.train.tolist()) for unit in units))
    unseen = set.union(*(set(asked(unit, Role.UNSEEN).tolist()) for unit in units))
    assert not members & unseen


@pytest.mark.parametrize("pools", ["redrawn", "fixed"])
def test_membership_does_not_depend_on_the_record(pools):
    """With redrawn pools every record of a side is as often a member; with fixed ones it is not."""
    many = scenario(pools=pools, target=Side(originals=300, pairs=1, records=40))
    units = [unit for unit in draw_units(many, n_records=200, seed=2) if unit.side == "target"]
    often = np.bincount(np.concatenate([unit.train for unit in units]), minlength=200) / 300
    side = np.unique(np.concatenate([every_record(unit) for unit in units]))
    rate = often[side]
    assert (abs(rate - 0.4).max() < 0.12) == (pools == "redrawn")


def test_more_originals_leave_the_others_as_they_are():
    few = draw_units(scenario(), n_records=300, seed=1)
    more = draw_units(scenario(target=Side(originals=9, pairs=5, records=40)), n_records=300, seed=1)
    kept = {(unit.side, unit.index): unit for unit in more}
    for unit in few:
        assert np.array_equal(unit.train, kept[unit.side, unit.index].train)
        assert np.array_equal(unit.queries.record, kept[unit.side, unit.index].queries.record)


def test_seeds_differ():
    first, second = (draw_units(scenario(), n_records=300, seed=seed)[0] for seed in (1, 2))
    assert not np.array_equal(first.train, second.train)


def test_sizes_larger_than_the_data_say_what_would_fit():
    big = scenario(shadow=Side(originals=1, pairs=1, records=100), target=Side(originals=1, pairs=1, records=200))
    with pytest.raises(ExperimentError) as caught:
        draw_units(big, n_records=201, seed=0)
    shadow, target = caught.value.problems
    assert "scenario.shadow.records: the shadow side has 100 records" in shadow
    assert "at most 98 would fit, got 100" in shadow
    assert "at most 99 would fit, got 200" in target
    with pytest.raises(ExperimentError, match="at most 80 would fit, got 100"):
        draw_units(scenario(pools="fixed", shadow=Side(pairs=1, records=100)), n_records=200, seed=0)
    fitting = scenario(shadow=Side(originals=1, pairs=1, records=98), target=Side(originals=1, pairs=1, records=99))
    assert len(draw_units(fitting, n_records=201, seed=0)) == 2


def per_record(originals=4, pairs=20, records=40, **more):
    side = Side(originals=originals, pairs=pairs, records=records)
    return Scenario(adversary="per_record", shadow=side, target=side, **more)


def candidates_of(unit):
    return {*unit.deleted.tolist(), *unit.queries.record[unit.queries.role == Role.UNSEEN].tolist()}


def test_candidates_are_the_same_everywhere_and_each_has_its_coin():
    units = draw_units(per_record(originals=200, retained_per_pair=2), n_records=200, seed=3)
    assert len({frozenset(candidates_of(unit)) for unit in units}) == 1
    candidates = sorted(candidates_of(units[0]))
    assert len(candidates) == 40
    inside = np.array([np.isin(candidates, unit.deleted) for unit in units])
    assert abs(inside.mean(axis=0) - 0.5).max() < 4 * 0.5 / np.sqrt(len(units))
    each = np.corrcoef(inside.T)[np.triu_indices(40, 1)]
    assert abs(each).max() < 4.5 / np.sqrt(len(units))  # coins of their own, not a fixed number of members
    assert inside.sum(axis=1).std() > 2


def test_every_candidate_is_queried_once_in_its_role():
    for unit in draw_units(per_record(retained_per_pair=2), n_records=200, seed=3):
        own, train = unit.queries, set(unit.train.tolist())
        main = own.record[own.role != Role.RETAINED]
        assert len(np.unique(main)) == len(main) == 40
        assert set(unit.deleted.tolist()) <= train
        assert not train & set(own.record[own.role == Role.UNSEEN].tolist())
        assert len(train) == len(unit.deleted) + 20
        assert own.pair.max() < len(unit.deleted)
        retained = own.role == Role.RETAINED
        assert set(own.record[retained].tolist()) <= set(unit.deleted.tolist())
        assert (own.record[retained] != unit.deleted[own.pair[retained]]).all()
        assert not candidates_of(unit) & set(unit.test.tolist())


def test_candidates_held_out_are_drawn_by_a_coin():
    units = draw_units(per_record(originals=100, unseen_per_pair=3), n_records=200, seed=3)
    use = np.concatenate([unit.queries.use[unit.queries.role == Role.UNSEEN] for unit in units])
    assert abs((use == Use.HELD_OUT).mean() - 0.25) < 0.03


def test_too_few_records_for_candidates_say_what_fits():
    with pytest.raises(ExperimentError, match="leave room for at most 59, got 70"):
        draw_units(per_record(records=70), n_records=80, seed=0)
    assert len(draw_units(per_record(records=59), n_records=80, seed=0)) == 8
