"""Unseen records that look as if they had been trained on are asked about, and honest ones hardly ever."""

import numpy as np
import pytest

import aftertrace
from aftertrace.posteriors import Posteriors
from aftertrace.scenarios._suspicions import unseen_suspicions


def answers(right):
    """Posteriors of class 0, which all records are of, that are right where it says. [Q, 2]"""
    share = np.where(right, 0.9, 0.2)
    return np.column_stack([share, 1 - share])


def table(*, unseen, deleted=100, known=1.0, honest=0.8, forgotten=None, seed=0, times=(1, 1)):
    """`known`, `honest`: how often the original is right on the deleted and the unseen ones; `forgotten`: the last.

    `times` each deleted and each unseen record is asked, with one answer to all.
    """
    rng = np.random.default_rng(seed)
    share = np.repeat([known, honest], [deleted, unseen])
    later = np.repeat([honest if forgotten is None else forgotten, honest], [deleted, unseen])
    before, after = (answers(rng.random(deleted + unseen) < each) for each in (share, later))
    role = np.repeat(["deleted", "unseen"], [deleted, unseen])
    record = np.repeat(np.arange(deleted + unseen), np.repeat(times, [deleted, unseen]))
    return Posteriors.from_pair(
        before[record], after[record], label=np.zeros(len(record), dtype=int), role=role[record].tolist(), record=record
    )


def test_an_overfitted_model_that_knows_the_unseen_records():
    (note,) = unseen_suspicions(table(unseen=100, honest=1.0, forgotten=0.8))
    assert "right on 100.0\u00a0% of the unseen records, as on 100.0\u00a0% of the deleted ones" in note
    assert "which these did not train, is on 7" in note
    assert "or were the unseen records trained on?" in note


@pytest.mark.parametrize(
    "found",
    [
        table(unseen=100),  # honest
        table(unseen=49, honest=1.0, forgotten=0.8),
        table(unseen=100, deleted=49, honest=1.0, forgotten=0.8),
        table(unseen=1000, honest=1.0, known=0.9),  # then it knows neither
        table(unseen=100, honest=1.0),  # an easy task, of which 100 records say little
    ],
)
def test_nothing_is_asked(found):
    assert not list(unseen_suspicions(found))


def test_an_easy_task_is_asked_about_where_there_are_many():
    assert len(list(unseen_suspicions(table(unseen=200, honest=1.0)))) == 1


def test_what_is_asked_several_times_counts_once():
    """Records at several pairs, which are no new ones; and those of a person, who may have more than others have."""
    few = table(unseen=20, deleted=20, honest=1.0, forgotten=0.8, times=(10, 10))
    assert not list(unseen_suspicions(few))
    many = table(unseen=100, honest=1.0, forgotten=0.8, times=(2, 3))
    assert len(list(unseen_suspicions(many))) == 1
    persons = np.concatenate([np.arange(200) // 5, 100 + np.arange(300)])
    assert not list(unseen_suspicions(many, persons))  # 40 persons deleted


@pytest.mark.parametrize(("size", "times"), [(50, (1, 1)), (100, (1, 1)), (400, (1, 1)), (40, (10, 10))])
def test_models_that_generalise_well_are_hardly_asked_about(size, times):
    """Right on 97 % of what is new: 50 unseen records are all right by chance in a fifth of audits."""
    asked = [list(unseen_suspicions(table(unseen=size, honest=0.97, seed=seed, times=times))) for seed in range(300)]
    assert sum(map(len, asked)) <= 3


def test_persons_of_whom_more_is_deleted_are_no_reason_to_ask():
    """All of five answers are right less often than one."""
    persons = np.concatenate([np.arange(300) // 5, 60 + np.arange(60)])
    tables = (table(unseen=60, deleted=300, honest=0.97, seed=seed) for seed in range(300))
    assert sum(len(list(unseen_suspicions(each, persons))) for each in tables) <= 3


def test_the_question_is_a_note_and_changes_nothing():
    known = table(unseen=100, honest=1.0, forgotten=0.8)
    result = aftertrace.audit(known, limits={"auc": 0.9}).result
    assert any("were the unseen records trained on?" in note for note in result.notes)
    assert "trained on" not in result.verdict.sentence


def test_scores_say_nothing_of_right_and_wrong():
    scores = np.linspace(-1, 0, 200)[:, None]
    role = ["deleted"] * 100 + ["unseen"] * 100
    result = aftertrace.audit(scores, scores - 1, role=role, outputs="log-likelihood").result
    assert not any("trained on?" in note for note in result.notes)
