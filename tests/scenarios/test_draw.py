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


def gone(unit):
    """All records that leave, line after line."""
    return unit.deleted.ravel()


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
        assert unit.deleted.shape == (5, 1, 1)
        assert set(gone(unit).tolist()) <= train
        assert len(set(gone(unit).tolist())) == 5
        assert not train & {*unit.queries.record[unit.queries.role == Role.UNSEEN].tolist(), *unit.test.tolist()}
        assert np.array_equal(asked(unit, Role.DELETED), gone(unit))
        for pair, deleted in enumerate(gone(unit).tolist()):
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
    return {*gone(unit).tolist(), *unit.queries.record[unit.queries.role == Role.UNSEEN].tolist()}


def test_candidates_are_the_same_everywhere_and_each_has_its_coin():
    units = draw_units(per_record(originals=200, retained_per_pair=2), n_records=200, seed=3)
    assert len({frozenset(candidates_of(unit)) for unit in units}) == 1
    candidates = sorted(candidates_of(units[0]))
    assert len(candidates) == 40
    inside = np.array([np.isin(candidates, gone(unit)) for unit in units])
    assert abs(inside.mean(axis=0) - 0.5).max() < 4 * 0.5 / np.sqrt(len(units))
    each = np.corrcoef(inside.T)[np.triu_indices(40, 1)]
    assert abs(each).max() < 4.5 / np.sqrt(len(units))  # coins of their own, not a fixed number of members
    assert inside.sum(axis=1).std() > 2


def test_every_candidate_is_queried_once_in_its_role():
    for unit in draw_units(per_record(retained_per_pair=2), n_records=200, seed=3):
        own, train = unit.queries, set(unit.train.tolist())
        main = own.record[own.role != Role.RETAINED]
        assert len(np.unique(main)) == len(main) == 40
        assert set(gone(unit).tolist()) <= train
        assert not train & set(own.record[own.role == Role.UNSEEN].tolist())
        assert len(train) == len(gone(unit)) + 20
        assert own.pair.max() < len(gone(unit))
        retained = own.role == Role.RETAINED
        assert set(own.record[retained].tolist()) <= set(gone(unit).tolist())
        assert (own.record[retained] != gone(unit)[own.pair[retained]]).all()
        assert not candidates_of(unit) & set(unit.test.tolist())


def test_candidates_held_out_are_drawn_by_a_coin():
    units = draw_units(per_record(originals=100, unseen_per_pair=3), n_records=200, seed=3)
    use = np.concatenate([unit.queries.use[unit.queries.role == Role.UNSEEN] for unit in units])
    assert abs((use == Use.HELD_OUT).mean() - 0.25) < 0.03


def test_too_few_records_for_candidates_say_what_fits():
    with pytest.raises(ExperimentError, match="leave room for at most 59, got 70"):
        draw_units(per_record(records=70), n_records=80, seed=0)
    assert len(draw_units(per_record(records=59), n_records=80, seed=0)) == 8


@pytest.mark.parametrize("pools", ["redrawn", "fixed"])
def test_lines_lose_groups_and_gain_as_many(pools):
    many = scenario(pools=pools, group=3, versions=(1, 4), replaced=True, deleted_per_pair=2, unseen_per_pair=2)
    for unit in draw_units(many, n_records=800, seed=1):
        assert unit.deleted.shape == unit.added.shape == (5, 4, 3)
        before = set(unit.train.tolist())
        for version in range(5):
            kept = unit.keep(version, 800)
            assert (kept.sum(axis=1) == 40).all()
            for line in range(5):
                out = set(unit.deleted[line, :version].ravel().tolist())
                new = set(unit.added[line, :version].ravel().tolist())
                assert len(out) == len(new) == 3 * version
                assert set(np.flatnonzero(kept[line]).tolist()) == before - out | new
        for pair in range(5):
            between = set(unit.deleted[pair, 1:4].ravel().tolist())
            own = asked(unit, Role.DELETED, pair=pair).tolist()
            assert len(own) == len(set(own)) == 2
            assert set(own) <= between
            outside = {r for use in Use for r in asked(unit, Role.UNSEEN, use, pair).tolist()}
            assert not outside & (before | set(unit.added[pair].ravel().tolist()))
            stayed = set(asked(unit, Role.RETAINED, pair=pair).tolist())
            assert stayed <= before - set(unit.deleted[pair].ravel().tolist())


def test_which_of_several_deleted_records_is_asked_is_drawn():
    """Not always one of the first version."""
    many = scenario(versions=(0, 4), target=Side(originals=40, pairs=5, records=40))
    step = [
        int(np.argwhere(unit.deleted[pair, :, 0] == asked(unit, Role.DELETED, pair=pair)[0])[0, 0])
        for unit in draw_units(many, n_records=300, seed=1)
        for pair in range(5)
    ]
    assert (np.bincount(step, minlength=4) > 0.15 * len(step)).all()


def test_other_data_of_the_shadow_side_are_numbered_from_0():
    units = draw_units(scenario(), n_records=120, seed=1, n_shadow=90)
    records = {
        side: np.concatenate([every_record(u) for u in units if u.side == side]) for side in ("shadow", "target")
    }
    assert records["shadow"].max() < 90
    assert records["target"].max() >= 90


@pytest.mark.parametrize("pools", ["redrawn", "fixed"])
def test_too_few_records_to_replace_are_said(pools):
    with pytest.raises(ExperimentError, match="join"):
        draw_units(scenario(pools=pools, group=10, replaced=True), n_records=100, seed=0)
