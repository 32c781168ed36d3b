"""For whom: no group and no deletion stands out without a leak, and those that leak do."""

import numpy as np
import pytest

from aftertrace.attacks import logit_drop, original_logit
from aftertrace.data import Dataset
from aftertrace.errors import ExperimentError
from aftertrace.posteriors import Posteriors, Role, Use
from aftertrace.report._sentences import discoveries_sentence
from aftertrace.scenarios._groups import Grouping, groups_of
from aftertrace.scenarios._slices import discoveries, slice_results


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
    return slice_results(score, table, rows, groups or {}, confidence=0.95, rng=np.random.default_rng(seed))


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
    return discoveries(original_logit(table), logit_drop(table), table, rows)


def test_single_deletions_are_not_told_where_nothing_leaks():
    found = [found_in(audit(seed, originals=4, pairs=10, unseen=100)) for seed in range(60)]
    assert found[0].needed < found[0].unseen
    assert sum(each.after > 0 for each in found) <= 8
    assert sum(each.before > 0 for each in found) <= 8


def test_single_deletions_are_told_and_the_deletion_did_it():
    found = found_in(audit(1, leak=2.0, originals=4, pairs=10, unseen=100))
    assert found.after > 35
    assert found.before == 0
    assert found.worse == found.after


def test_too_few_unseen_records_are_said():
    found = found_in(audit(1, originals=4, pairs=10, unseen=3))
    assert (found.after, found.unseen, found.needed) == (0, 30, 799)
    assert "takes 799" in discoveries_sentence(found)


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
