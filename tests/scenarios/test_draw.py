"""Who trains which model: the guarantees of the draws."""

import numpy as np
import pytest

from aftertrace.errors import ExperimentError
from aftertrace.scenarios import Scenario, Side, draw_units


def scenario(**more):
    sizes = {"originals": 4, "pairs": 5, "records": 40}
    return Scenario(**{"shadow": Side(**sizes), "target": Side(**sizes), "retained_per_pair": 2, **more})


def every_record(unit):
    return np.concatenate([unit.train, unit.unseen.ravel(), unit.held_out.ravel(), unit.test])


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
        assert not train & {*unit.unseen.ravel().tolist(), *unit.held_out.ravel().tolist(), *unit.test.tolist()}
        for deleted, unseen, held_out, retained in zip(
            unit.deleted, unit.unseen, unit.held_out, unit.retained, strict=True
        ):
            assert len({*unseen.tolist(), *held_out.tolist()}) == 4
            assert set(retained.tolist()) <= train - {int(deleted)}


def test_unseen_records_of_an_original_differ_while_there_are_enough():
    for unit in draw_units(scenario(), n_records=300, seed=1):
        outside = np.concatenate([unit.unseen, unit.held_out], axis=1).ravel()
        assert len(np.unique(outside)) == len(outside)


def test_redrawn_records_change_roles_between_originals():
    units = [unit for unit in draw_units(scenario(), n_records=120, seed=1) if unit.side == "target"]
    members = set.union(*(set(unit.train.tolist()) for unit in units))
    unseen = set.union(*(set(unit.unseen.ravel().tolist()) for unit in units))
    assert members & unseen


def test_fixed_pools_never_mix():
    units = [unit for unit in draw_units(scenario(pools="fixed"), n_records=300, seed=1) if unit.side == "target"]
    members = set.union(*(set(unit.train.tolist()) for unit in units))
    unseen = set.union(*(set(unit.unseen.ravel().tolist()) for unit in units))
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
        assert np.array_equal(unit.unseen, kept[unit.side, unit.index].unseen)


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
