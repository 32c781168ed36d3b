"""For whom: no group and no deletion stands out without a leak, and those that leak do."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chi2, norm

from aftertrace.attacks import logit_drop, original_logit
from aftertrace.data import Dataset
from aftertrace.errors import ExperimentError
from aftertrace.posteriors import Posteriors, Role, Use
from aftertrace.report._sentences import discoveries_sentence
from aftertrace.results import Scores
from aftertrace.scenarios._groups import Grouping, groups_of
from aftertrace.scenarios._slices import FDR, discoveries, every_group, slice_results
from aftertrace.statistics import _deletions, benjamini_hochberg


def audit(seed, leak=0.0, leaky_class=None, originals=10, pairs=20, unseen=3):
    """Binary answers whose logits move by chance, and, of deleted records (of one class), further."""
    rng = np.random.default_rng(seed)
    role = np.tile([Role.DELETED] + [Role.UNSEEN] * unseen, originals * pairs)
    pair = np.repeat(np.arange(originals * pairs), 1 + unseen)
    label = rng.integers(2, size=len(role))
    before = 1 + rng.normal(size=len(role))
    moves = (role == Role.DELETED) & (True if leaky_class is None else label == leaky_class)
    after = before + 0.2 * rng.normal(size=len(role)) + 0.1 * rng.normal(size=originals)[pair // pairs] - leak * moves

    def answers(logit):
        own = 1 / (1 + np.exp(-logit))
        return np.where(label[:, None] == np.arange(2), own[:, None], 1 - own[:, None])

    return Posteriors.from_pair(
        answers(before),
        answers(after),
        label=label,
        role=role,
        pair=pair,
        original=pair // pairs,
        classes=("no", "yes"),
    )


def slices(table, groups=None, seed=0):
    rows = np.flatnonzero((table.use == Use.EVALUATE) & np.isin(table.role, (Role.DELETED, Role.UNSEEN)))
    score = logit_drop(table)
    return slice_results(
        score, table, rows, every_group(table, groups or {}), confidence=0.95, rng=np.random.default_rng(seed)
    )


def test_no_group_stands_out_where_nothing_leaks():
    alarms = [any(each.p_holm <= 0.05 for each in slices(audit(seed))) for seed in range(100)]
    assert sum(alarms) <= 11  # binomial(100, .05): above in one of a hundred


def test_one_pair_gives_no_alarm_either():
    found = [slices(audit(seed, originals=1, pairs=100)) for seed in range(100)]
    assert sum(any(each.p_holm <= 0.05 for each in each_audit if each.p_holm is not None) for each_audit in found) <= 11
    assert found[0][0].method.startswith("Mann-Whitney")


def test_the_group_that_leaks_is_named():
    found = {(each.by, each.group): each for each in slices(audit(1, leak=0.4, leaky_class=1))}
    assert found["class", "yes"].p_holm < 0.05
    assert found["class", "yes"].auc.low > 0.6
    assert found["class", "no"].p_holm > 0.05
    assert found["class", "no"].deleted + found["class", "yes"].deleted == 200


def test_groups_split_the_queries():
    table = audit(2)
    column = Grouping(("rest", "third"), (np.arange(len(table)) % 3 == 0).astype(int))
    found = slices(table, {"place": column})
    for by in ("class", "original's confidence", "original's class", "place"):
        own = [each for each in found if each.by == by]
        assert sum(each.deleted for each in own) == 200
        assert sum(each.unseen for each in own) == 600


def test_a_group_with_one_role_is_left_out():
    table = audit(3)
    column = Grouping(("deleted", "other"), (table.role != Role.DELETED).astype(int))
    assert not [each for each in slices(table, {"place": column}) if each.by == "place"]


def found_in(table):
    rows = np.flatnonzero((table.use == Use.EVALUATE) & np.isin(table.role, (Role.DELETED, Role.UNSEEN)))
    return discoveries(original_logit(table), logit_drop(table), table, rows, confidence=0.95)


def test_single_deletions_are_not_told_where_nothing_leaks():
    found = [found_in(audit(seed, originals=4, pairs=10, unseen=100)) for seed in range(60)]
    assert found[0].needed < found[0].unseen
    assert sum(each.after > 0 for each in found) <= 8
    assert sum(each.before > 0 for each in found) <= 8


def test_single_deletions_are_told_and_the_deletion_did_it():
    found = found_in(audit(1, leak=2.0, originals=4, pairs=10, unseen=100))
    assert found.after > 35
    assert found.before == 0
    assert 30 < found.worse <= found.after  # the normal score of the largest rank of 1 001 is 3.3: not far above noise


def test_too_few_unseen_records_are_said():
    found = found_in(audit(1, originals=4, pairs=10, unseen=3))
    assert (found.after, found.unseen, found.needed) == (0, 30, 799)
    assert "takes 799" in discoveries_sentence(found)


def scored(record, original, is_deleted):
    """Scores that hold who is who."""
    size, role = len(record), np.where(is_deleted, Role.DELETED, Role.UNSEEN).astype(np.int8)
    zero = np.zeros(size, dtype=np.int64)
    return Scores(record, zero, zero, original, zero.astype(np.int8), role, np.zeros((size, 2)), {})


def once(seed, *, before=0.0, after=0.0, alike=0.0, deleted=20, unseen=400, originals=2, grid=None):
    """Every record queried once: p-values where deleted ones [R] are moved by `before` and `after` in units of noise.

    `alike`: correlation of both scores; `grid`: scores are rounded to its multiples, so that they tie.
    """
    rng = np.random.default_rng(seed)
    size = originals * (deleted + unseen)
    is_deleted = np.arange(size) % (deleted + unseen) < deleted
    first, last = rng.normal(size=(2, size))
    last = alike * first + np.sqrt(1 - alike**2) * last
    first[is_deleted] += before
    last[is_deleted] += after
    if grid is not None:
        first, last = np.round(first / grid) * grid, np.round(last / grid) * grid
    scores = scored(np.arange(size), np.arange(size) // (deleted + unseen), is_deleted)
    return scores, first, last, scores.deletions(scores.rows(Role.DELETED), before=first, after=last)


def told(p):
    return benjamini_hochberg(p) <= FDR


def middle_rank(values):
    """From the top, counted from 1."""
    return (values[None] > values[:, None]).sum(1) + ((values[None] == values[:, None]).sum(1) + 1) / 2


@pytest.mark.parametrize("grid", [None, 0.5])
def test_p_values_of_single_deletions_by_hand(grid):
    scores, before, after, found = once(3, after=1.0, alike=0.4, deleted=6, unseen=50, grid=grid)
    deleted, unseen = scores.rows(Role.DELETED), scores.rows(Role.UNSEEN)
    for at, row in enumerate(deleted):
        among = np.append(unseen[scores.original[unseen] == scores.original[row]], row)
        z = [norm.isf((middle_rank(each[among]) - 0.5) / len(among)) for each in (before, after)]
        p_before, p_after, p_gain = ((each >= each[-1]).mean() for each in (before[among], after[among], z[1] - z[0]))
        assert found.before[at] == pytest.approx(p_before)
        assert found.after[at] == pytest.approx(p_after)
        assert found.worse[at] == pytest.approx(max(p_gain, p_after))
    assert (found.references == 50).all()


@pytest.mark.parametrize("alike", [0.0, 0.7])
@pytest.mark.parametrize("before", [-3.0, 0.0, 2.0])
def test_nothing_is_made_worse_where_both_versions_say_nothing(before, alike):
    """Whatever the original alone shows or hides, and whether unseen records score alike by both or not."""
    found = [once(seed, before=before, alike=alike)[3] for seed in range(200)]
    assert sum(told(each.worse).any() for each in found) <= 18  # binomial(200, .05): above in one of a hundred
    assert sum(told(each.after).any() for each in found) <= 18
    if before == 0:
        assert sum(told(each.before).any() for each in found) <= 18
    p_values = np.concatenate([each.worse for each in found])
    assert (p_values <= 0.05).mean() <= 0.055


def test_large_audits_look_at_gains_in_halves(monkeypatch):
    """As exact, nearly as sharp, and without a pass over the unseen records for every deleted one."""
    sharp = once(1, after=4.0, deleted=100, unseen=4000, originals=1)[3].worse
    monkeypatch.setattr(_deletions, "_MOST_COMPARISONS", 0)
    found = [once(seed, before=before)[3] for seed in range(200) for before in (0.0, -3.0)]
    assert sum(told(each.worse).any() for each in found) <= 30  # binomial(400, .05): above in one of a hundred
    assert (np.concatenate([each.worse for each in found]) <= 0.05).mean() <= 0.055
    halves = once(1, after=4.0, deleted=100, unseen=4000, originals=1)[3].worse
    assert told(halves).mean() > told(sharp).mean() - 0.1 > 0.5


def test_deletions_that_only_both_versions_show_are_made_worse():
    moved = np.tile(np.arange(20) < 10, 2)
    found = [told(once(seed, after=4.0 * moved)[3].worse) for seed in range(60)]
    assert np.mean([each[moved].mean() for each in found]) > 0.25
    assert np.mean([each[~moved].sum() / max(each.sum(), 1) for each in found]) <= 0.06


@pytest.mark.parametrize("moved", [1.0, 2.0, 3.0])
def test_records_as_exposed_before_as_after_are_not_made_worse(moved):
    """Beside as many that are made worse, which lower the bar of Benjamini and Hochberg."""
    exposed = np.tile(np.arange(20) < 10, 2)
    made_worse = np.tile(np.arange(20) >= 15, 2)
    found = [once(seed, before=moved * exposed, after=moved * exposed + 4.0 * made_worse)[3] for seed in range(100)]
    worse = [told(each.worse) for each in found]
    assert np.mean([each[~made_worse].sum() / max(each.sum(), 1) for each in worse]) <= 0.05
    assert np.mean([(each.worse[exposed] <= 0.05).mean() for each in found]) <= 0.055


def often(seed, *, before=0.0, after=0.0, originals=20, records=60, odd=3.0, always=None):
    """Records queried in every original, deleted by a coin (or `always` the first so many). Odd ones are odd to all.

    -> scores, the classical score and that of both versions
    """
    rng = np.random.default_rng(seed)
    is_deleted = rng.random((originals, records)) < 0.5
    if always is not None:
        is_deleted[:] = np.arange(records) < always
    own = odd * rng.normal(size=(2, 1, records))
    moved = np.array([before, after])[:, None, None] * is_deleted
    first, last = (own + rng.normal(size=(2, originals, records)) + moved).reshape(2, -1)
    record, original = np.tile(np.arange(records), originals), np.repeat(np.arange(originals), records)
    return scored(record, original, is_deleted.ravel()), first, last


def all_of(scores, first, last):
    return scores.deletions(scores.rows(Role.DELETED), before=first, after=last)


@pytest.mark.parametrize("grid", [0.001, 1.0])
def test_a_record_compared_with_itself_by_hand(grid):
    scores, *both = often(5, after=1.0, originals=7, records=12, odd=0.5)
    both = [np.round(each / grid) * grid for each in both]
    found = all_of(scores, *both)
    is_deleted, z = scores.role == Role.DELETED, np.empty((2, len(scores.record)))
    for row, original in enumerate(scores.original):
        among = np.append(
            np.flatnonzero((scores.original == original) & ~is_deleted & (scores.record != scores.record[row])), row
        )
        z[:, row] = [norm.isf((middle_rank(each[among])[-1] - 0.5) / len(among)) for each in both]
    z = np.round(z, 9)
    assert found.compared_with_itself.any()
    for at in np.flatnonzero(found.compared_with_itself):
        mine = scores.record == found.record[at]
        had_it = is_deleted[mine]
        p = []
        for value in (*z[:, mine], np.round(z[1, mine] - z[0, mine], 9)):
            ranks = middle_rank(-value)
            sums = [sum(chosen) for chosen in itertools.combinations(ranks, had_it.sum())]
            p.append(np.mean(np.array(sums) >= ranks[had_it].sum()))
        assert (found.before[at], found.after[at], found.worse[at]) == pytest.approx((p[0], p[1], max(p[1:])))


def test_a_record_is_compared_with_itself_where_it_can():
    found = [all_of(*often(seed)) for seed in range(60)]
    assert found[0].compared_with_itself.all()
    assert len(found[0].record) == 60
    for name in ("before", "after", "worse"):
        p_values = [getattr(each, name) for each in found]
        assert sum(told(each).any() for each in p_values) <= 8  # binomial(60, .05): above in one of a hundred
        assert (np.concatenate(p_values) <= 0.05).mean() <= 0.055


def test_a_record_compared_with_itself_is_told_and_its_cause():
    both, classical, late = (
        all_of(*often(seed, before=before, after=after))
        for seed, (before, after) in enumerate([(2, 2), (2, 0), (0, 2)])
    )
    assert min(told(both.before).mean(), told(both.after).mean(), told(classical.before).mean()) > 0.8
    assert told(late.worse).mean() > 0.4
    assert told(both.worse).mean() <= 0.05
    assert not told(classical.worse).any()


def test_originals_that_only_never_saw_a_record_count_too():
    scores, *both = often(4, after=4.0)
    first_half = (scores.role == Role.UNSEEN) | (scores.original < 10)
    half = scores.deletions(np.flatnonzero(first_half & (scores.role == Role.DELETED)), before=both[0], after=both[1])
    kept = scored(scores.record[first_half], scores.original[first_half], scores.role[first_half] == Role.DELETED)
    found = all_of(kept, *(each[first_half] for each in both))
    np.testing.assert_array_equal(found.after, half.after)
    assert told(found.after).mean() > 0.8


def test_an_odd_record_of_several_originals_is_not_found_for_that():
    """Always the same ones are deleted. Fisher's method, which takes originals as independent, finds odd ones."""
    alarms, of_fisher = np.zeros(3), 0
    for seed in range(60):
        scores, *both = often(seed, always=20, records=820, originals=4)
        found = all_of(scores, *both)
        assert (found.times == 4).all()
        assert not found.compared_with_itself.any()
        alarms += [told(p).any() for p in (found.before, found.after, found.worse)]
        one_by_one = [
            scores.deletions(rows, before=both[0], after=both[1]).after
            for rows in np.split(scores.rows(Role.DELETED), 4)
        ]
        assert found.after == pytest.approx(np.minimum(1, 2 * np.mean(one_by_one, axis=0)))
        of_fisher += told(chi2.sf(-2 * np.log(one_by_one).sum(0), 8)).any()
    assert (alarms <= 8).all()
    assert of_fisher > 20


def test_records_of_several_originals_are_counted_once():
    table = audit(1, leak=2.0, originals=4, pairs=10, unseen=100)
    again = replace(table, record=np.where(table.role == Role.DELETED, table.pair % 10, 100 + np.arange(len(table))))
    found = found_in(again)
    assert found.deleted == 10
    assert found.after == 10
    assert found.needed == 399  # twice as many as for ten that are deleted once
    assert "of 10 deleted ones" in discoveries_sentence(found)


def test_groups_of_columns():
    x = np.column_stack([np.arange(60.0), np.arange(60) % 3, np.arange(60) % 2, 1 - np.arange(60) % 2])
    data = Dataset(
        "made", x, np.arange(60) % 2, ("a", "b"), ("size", "kind", "sex=f", "sex=m"), (), {"kind": ("x", "y", "z")}
    )
    found = groups_of(data, ["size", "kind", "sex"])
    assert np.bincount(found["size"].code).tolist() == [20, 20, 20]
    assert [found["kind"].names[k] for k in found["kind"].code[:3]] == ["x", "y", "z"]
    assert [found["sex"].names[k] for k in found["sex"].code[:2]] == ["m", "f"]
    assert found["size"].at(np.array([59, 0])).code.tolist() == [2, 0]
    with pytest.raises(ExperimentError, match="no column 'sx' .is 'sex' meant"):
        groups_of(data, ["sx"])


def test_a_column_of_too_many_categories_is_refused():
    names = tuple(f"town {k}" for k in range(60))
    data = Dataset("made", np.arange(60.0)[:, None], np.arange(60) % 2, ("a", "b"), ("town",), (), {"town": names})
    with pytest.raises(ExperimentError, match="must have at most 50 categories, got 60"):
        groups_of(data, ["town"])
