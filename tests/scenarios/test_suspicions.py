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


def table(*, unseen, deleted=100, known=1.0, honest=0.8, forgotten=None, seed=0):
    """`known`, `honest`: how often the original is right on the deleted and the unseen ones; `forgotten`: the last."""
    rng = np.random.default_rng(seed)
    share = np.repeat([known, honest], [deleted, unseen])
    later = np.repeat([honest if forgotten is None else forgotten, honest], [deleted, unseen])
    before, after = (answers(rng.random(deleted + unseen) < each) for each in (share, later))
    role = ["deleted"] * deleted + ["unseen"] * unseen
    return Posteriors.from_pair(before, after, label=np.zeros(deleted + unseen, dtype=int), role=role)


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


@pytest.mark.parametrize("size", [50, 100, 400])
def test_models_that_generalise_well_are_hardly_asked_about(size):
    """Right on 97 % of what is new: 50 unseen records are all right by chance in a fifth of audits."""
    asked = [list(unseen_suspicions(table(unseen=size, honest=0.97, seed=seed))) for seed in range(300)]
    assert sum(map(len, asked)) <= 3


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
