"""Every procedure conforms; state from learning reaches forgetting."""

import numpy as np
import pytest

from aftertrace._random import Stream, stream
from aftertrace.errors import UnsupportedError
from aftertrace.procedures import PROCEDURE_CHECKS, Amnesiac, Retrain
from aftertrace.trainers import Model, Seeding, TrainingData

TREE = Model(name="tree", params={"max_features": 1}).trainer()
PROCEDURES = {
    "retrain-fresh": Retrain(TREE, Seeding.FRESH),
    "retrain-same": Retrain(TREE, Seeding.SAME),
    "amnesiac": Amnesiac(),
}


@pytest.mark.parametrize("check", PROCEDURE_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", PROCEDURES)
def test_procedure_conforms(name, check):
    check(PROCEDURES[name])


def problem(n=100):
    rng = np.random.default_rng(3)
    label = np.arange(n) % 2
    return TrainingData(rng.normal(size=(n, 3)) + label[:, None], label, 2)


def answers(state, data, model=0):
    return np.exp(state.models.log_posteriors(data.x, np.full(len(data.x), model)))


def test_retraining_is_training_anew():
    data, procedure = problem(), Retrain(TREE)
    keep = np.ones((1, 100), dtype=bool)
    state = procedure.learn(data, keep, streams=[stream(0, Stream.TRAIN, 0)])
    keep[0, 7] = False
    anew = TREE.fit(data, keep, streams=[stream(0, Stream.TRAIN, 1)])
    forgot = procedure.forget(state, data, np.array([0]), keep, streams=[stream(0, Stream.TRAIN, 1)])
    assert np.array_equal(
        forgot.models.log_posteriors(data.x, np.zeros(100, int)), anew.log_posteriors(data.x, np.zeros(100, int))
    )


def test_unsupported_seeding_is_refused_by_name():
    trainer = Model(name="sklearn.tree:DecisionTreeClassifier").trainer()
    with pytest.raises(UnsupportedError, match=r"procedure.seed = 'coupled' is not supported by SklearnTrainer"):
        Retrain(trainer, Seeding.COUPLED)


def test_amnesiac_takes_back_exactly_the_steps_that_saw_the_record():
    """The slow obvious twin: learn again, and leave out the stored updates by hand."""
    data, procedure = problem(), Amnesiac(epochs=3, batch_size=10)
    keep = np.ones((1, 100), dtype=bool)
    state = procedure.learn(data, keep, streams=[stream(0, Stream.TRAIN, 0)])
    rest = keep.copy()
    rest[0, 42] = False
    forgot = procedure.forget(state, data, np.array([0]), rest, streams=[stream(0, Stream.TRAIN, 0)])
    weight = sum(update for update, batch in zip(state.update[0], state.batch[0], strict=True) if not batch[42])
    assert sum(batch[42] for batch in state.batch[0]) == 3
    assert np.allclose(forgot.models.weight[0], weight, atol=1e-12)
    assert not np.allclose(forgot.models.weight[0], state.models.weight[0])


def test_amnesiac_chain_equals_forgetting_at_once():
    data, procedure = problem(), Amnesiac()
    keep = np.ones((1, 100), dtype=bool)
    state = procedure.learn(data, keep, streams=[stream(0, Stream.TRAIN, 0)])
    one, both = keep.copy(), keep.copy()
    one[0, 3] = False
    both[0, [3, 60]] = False
    base, streams = np.array([0]), [stream(0, Stream.TRAIN, 0)]
    chained = procedure.forget(
        procedure.forget(state, data, base, one, streams=streams), data, base, both, streams=streams
    )
    at_once = procedure.forget(state, data, base, both, streams=streams)
    assert np.allclose(answers(chained, data), answers(at_once, data), atol=1e-12)


def test_amnesiac_refuses_what_it_cannot_do():
    data, procedure = problem(), Amnesiac()
    keep = np.ones((1, 100), dtype=bool)
    keep[0, 5] = False
    state = procedure.learn(data, keep, streams=[stream(0, Stream.TRAIN, 0)])
    with pytest.raises(UnsupportedError, match="cannot add any"):
        procedure.forget(state, data, np.array([0]), np.ones_like(keep), streams=[stream(0, Stream.TRAIN, 0)])
    other = Retrain(TREE).learn(data, keep, streams=[stream(0, Stream.TRAIN, 0)])
    with pytest.raises(UnsupportedError, match="got Retrained"):
        procedure.forget(other, data, np.array([0]), keep, streams=[stream(0, Stream.TRAIN, 0)])
