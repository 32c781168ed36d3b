"""Unseen records that look as if they had been trained on are asked about, and honest ones hardly ever."""

import numpy as np
import pytest

import aftertrace
from aftertrace.posteriors import Posteriors
from aftertrace.report import as_text
from aftertrace.report._advice import advice
from aftertrace.scenarios._suspicions import suspicions


def answers(right, released=0.9):
    """Posteriors of class 0, which all records are of, that are right where it says. [Q, 2]"""
    share = np.where(right, released, 0.2 if released < 1 else 0)
    return np.column_stack([share, 1 - share])


def table(*, unseen, deleted=100, known=1.0, honest=0.8, forgotten=None, seed=0, times=(1, 1), released=0.9):
    """`known`, `honest`: how often the original is right on the deleted and the unseen ones; `forgotten`: the last.

    `times` each deleted and each unseen record is asked, with one answer to all.
    """
    rng = np.random.default_rng(seed)
    share = np.repeat([known, honest], [deleted, unseen])
    later = np.repeat([honest if forgotten is None else forgotten, honest], [deleted, unseen])
    before, after = (answers(rng.random(deleted + unseen) < each, released) for each in (share, later))
    role = np.repeat(["deleted", "unseen"], [deleted, unseen])
    record = np.repeat(np.arange(deleted + unseen), np.repeat(times, [deleted, unseen]))
    return Posteriors.from_pair(
        before[record], after[record], label=np.zeros(len(record), dtype=int), role=role[record].tolist(), record=record
    )


def test_an_overfitted_model_that_knows_the_unseen_records():
    (note,) = suspicions(table(unseen=100, honest=1.0, forgotten=0.8))
    assert "right on 100.0\u00a0% of the unseen records, and on 100.0\u00a0% of the deleted ones" in note
    assert "which these did not train, is on 7" in note
    assert "or were the unseen records trained on?" in note


@pytest.mark.parametrize(
    "found",
    [
        table(unseen=100),  # honest
        table(unseen=19, honest=1.0, forgotten=0.5),
        table(unseen=100, deleted=19, honest=1.0, forgotten=0.5),
        table(unseen=1000, honest=1.0, known=0.9),  # then it knows neither
        table(unseen=100, honest=1.0),  # an easy task, of which 100 records say little
    ],
)
def test_nothing_is_asked(found):
    assert not list(suspicions(found))


def test_a_forest_that_knows_the_unseen_records_though_not_all_of_them():
    """Half of them, too, where there are enough."""
    assert len(list(suspicions(table(unseen=60, deleted=60, known=0.93, honest=0.93, forgotten=0.58)))) == 1
    assert len(list(suspicions(table(unseen=400, deleted=200, known=0.93, honest=0.76, forgotten=0.58)))) == 1


@pytest.mark.parametrize("share", [0.5, 0.7, 0.9])
def test_what_is_as_new_to_one_version_as_to_the_other_is_not_asked_about(share):
    tables = (table(unseen=300, deleted=60, known=1.0, honest=share, forgotten=share, seed=n) for n in range(300))
    assert sum(len(list(suspicions(each))) for each in tables) <= 3


def answered(*, sharp, classes=(0.5, 0.3, 0.2), dealt=False, seed=0, n=60):
    """A model that is right as often as it says, the more `sharp` the oftener; `dealt`: classes are dealt by chance."""
    rng = np.random.default_rng(seed)
    values = rng.dirichlet(np.array(classes) / sharp, 2 * n)
    label = np.array([rng.choice(3, p=each) for each in values])
    label = rng.permutation(label) if dealt else label
    role = ["deleted"] * n + ["unseen"] * n
    return Posteriors.from_pair(values, values, label=label, role=role)


def asked(**how):
    """Whether the original is the model of these records, in a hundred audits."""
    found = (question for seed in range(100) for question in suspicions(answered(seed=seed, **how)))
    return [question for question in found if "does not answer as one that the deleted records trained" in question]


def test_labels_of_others_and_weights_that_learned_nothing_are_asked_about():
    assert len(asked(sharp=1.0, dealt=True)) >= 90
    assert len(asked(sharp=10.0, dealt=True, n=20)) >= 80
    assert len(asked(sharp=0.001, dealt=True)) >= 90  # all answers nearly alike: weights by chance
    assert "right on" in asked(sharp=10.0, dealt=True)[0]


def test_labels_alone_promise_nothing():
    """A model that is right on three of four and says no more than a class is as good as it says."""
    assert not list(suspicions(table(unseen=100, known=0.75, honest=0.75, released=1.0)))


def test_a_class_that_was_forgotten_is_forgotten_for_unseen_records_too():
    rng = np.random.default_rng(0)
    first, last = (answers(rng.random(160) < share) for share in (0.98, 0.65))
    role = ["deleted"] * 80 + ["unseen"] * 80
    assert not list(suspicions(Posteriors.from_pair(first, last, label=np.zeros(160, dtype=int), role=role)))


@pytest.mark.parametrize("sharp", [0.05, 0.2, 1.0, 10.0])
@pytest.mark.parametrize("classes", [(0.5, 0.3, 0.2), (0.96, 0.02, 0.02)])
@pytest.mark.parametrize("n", [20, 60, 300])
def test_models_that_are_as_good_as_they_say_are_not(sharp, classes, n):
    assert len(asked(sharp=sharp, classes=classes, n=n)) <= 3


def test_an_easy_task_is_asked_about_where_there_are_many():
    assert len(list(suspicions(table(unseen=200, honest=1.0)))) == 1


def test_what_is_asked_several_times_counts_once():
    """Records at several pairs, which are no new ones; and those of a person, who may have more than others have."""
    few = table(unseen=20, deleted=20, honest=1.0, forgotten=0.8, times=(10, 10))
    assert not list(suspicions(few))
    many = table(unseen=100, honest=1.0, forgotten=0.8, times=(2, 3))
    assert len(list(suspicions(many))) == 1
    persons = np.concatenate([np.arange(200) // 20, 100 + np.arange(300)])
    assert not list(suspicions(many, persons))  # 10 persons deleted


@pytest.mark.parametrize(("size", "times"), [(50, (1, 1)), (100, (1, 1)), (400, (1, 1)), (40, (10, 10))])
def test_models_that_generalise_well_are_hardly_asked_about(size, times):
    """Right on 97 % of what is new: 50 unseen records are all right by chance in a fifth of audits."""
    asked = [list(suspicions(table(unseen=size, honest=0.97, seed=seed, times=times))) for seed in range(300)]
    assert sum(map(len, asked)) <= 3


def test_persons_of_whom_more_is_deleted_are_no_reason_to_ask():
    """All of five answers are right less often than one."""
    persons = np.concatenate([np.arange(300) // 5, 60 + np.arange(60)])
    tables = (table(unseen=60, deleted=300, honest=0.97, seed=seed) for seed in range(300))
    assert sum(len(list(suspicions(each, persons))) for each in tables) <= 3


def test_the_question_comes_first_and_changes_nothing():
    known = table(unseen=100, honest=1.0, forgotten=0.8)
    result = aftertrace.audit(known, limits={"auc": 0.9}).result
    (question,) = result.questions
    assert "unseen records trained on?" in question
    assert next(advice(result)) == question
    assert "Question: The original model is right on" in as_text(result)
    assert "trained on" not in result.verdict.sentence


def test_scores_say_nothing_of_right_and_wrong():
    scores = np.linspace(-1, 0, 200)[:, None]
    role = ["deleted"] * 100 + ["unseen"] * 100
    result = aftertrace.audit(scores, scores - 1, role=role, outputs="log-likelihood").result
    assert not result.questions
