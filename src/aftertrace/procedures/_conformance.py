"""What every procedure promises, as checks that authors of procedures run too."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from aftertrace._hashing import digest
from aftertrace._random import Stream, stream
from aftertrace.procedures._protocol import Procedure, State
from aftertrace.trainers import Models, TrainingData


def check_procedure(procedure: Procedure) -> None:
    """Run all checks; an `AssertionError` names what does not hold."""
    for check in PROCEDURE_CHECKS:
        check(procedure)


def _problem() -> TrainingData:
    rng = np.random.default_rng(1)
    label = np.arange(120) % 3
    return TrainingData(rng.normal(size=(120, 4)) + label[:, None], label, 3)


_OUT = np.array([3, 50, 71])  # one record forgotten by each of three versions


def _learn(procedure: Procedure, data: TrainingData) -> State:
    keep = np.ones((1, len(data.label)), dtype=bool)
    return procedure.learn(data, keep, streams=[stream(0, Stream.TRAIN, 0)])


def _forget(procedure: Procedure, data: TrainingData, state: State, rows: NDArray[np.int64]) -> State:
    keep = np.ones((len(rows), len(data.label)), dtype=bool)
    keep[np.arange(len(rows)), _OUT[rows]] = False
    streams = [stream(0, Stream.TRAIN, 1 + int(row)) for row in rows]
    return procedure.forget(state, data, np.zeros(len(rows), dtype=np.int64), keep, streams=streams)


def _answers(models: Models, data: TrainingData, model: int = 0) -> NDArray[np.float64]:
    return np.exp(models.log_posteriors(data.x, np.full(len(data.x), model)))


def states_hold_a_model_per_row(procedure: Procedure) -> None:
    """`learn` and `forget` return as many models as `keep` has rows."""
    data = _problem()
    state = _learn(procedure, data)
    assert len(state.models) == 1
    assert len(_forget(procedure, data, state, np.arange(3)).models) == 3


def rows_are_forgotten_alone(procedure: Procedure) -> None:
    """A version made beside others equals the version made alone."""
    data = _problem()
    state = _learn(procedure, data)
    together = _forget(procedure, data, state, np.arange(3))
    for row in range(3):
        alone = _forget(procedure, data, state, np.array([row]))
        assert np.allclose(_answers(together.models, data, row), _answers(alone.models, data), atol=1e-8)


def forgetting_leaves_the_state(procedure: Procedure) -> None:
    """The earlier version answers as before, and forgetting again gives the same."""
    data = _problem()
    state = _learn(procedure, data)
    before = _answers(state.models, data)
    first, second = (_forget(procedure, data, state, np.arange(3)) for _ in range(2))
    assert np.array_equal(before, _answers(state.models, data))
    assert np.array_equal(_answers(first.models, data, 2), _answers(second.models, data, 2))


def versions_chain(procedure: Procedure) -> None:
    """A version can be forgotten from again."""
    data = _problem()
    middle = _forget(procedure, data, _learn(procedure, data), np.arange(3))
    keep = np.ones((1, len(data.label)), dtype=bool)
    keep[0, [_OUT[1], 90]] = False
    last = procedure.forget(middle, data, np.array([1]), keep, streams=[stream(0, Stream.TRAIN, 9)])
    assert np.allclose(_answers(last.models, data).sum(axis=1), 1)


def nothing_can_be_forgotten(procedure: Procedure) -> None:
    """A version that keeps all records is possible."""
    data = _problem()
    state = _learn(procedure, data)
    keep = np.ones((1, len(data.label)), dtype=bool)
    same = procedure.forget(state, data, np.array([0]), keep, streams=[stream(0, Stream.TRAIN, 0)])
    assert _answers(same.models, data).shape == (120, 3)


def has_an_address(procedure: Procedure) -> None:
    """A run can be addressed by the procedure's specification."""
    assert digest(procedure) == digest(procedure)


PROCEDURE_CHECKS: tuple[Callable[[Procedure], None], ...] = (
    states_hold_a_model_per_row,
    rows_are_forgotten_alone,
    forgetting_leaves_the_state,
    versions_chain,
    nothing_can_be_forgotten,
    has_an_address,
)
"""All checks of `check_procedure`."""
