"""What every trainer promises, as checks that authors of trainers run too."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from aftertrace._hashing import digest
from aftertrace._random import Stream, stream
from aftertrace.trainers._protocol import ALLOWED, Base, Models, Promise, Trainer, TrainingData


def check_trainer(trainer: Trainer) -> None:
    """Run all checks; an `AssertionError` names what does not hold."""
    for check in TRAINER_CHECKS:
        check(trainer)


def _problem(seed: int = 0, n: int = 90, n_classes: int = 3) -> TrainingData:
    rng = np.random.default_rng(seed)
    label = np.arange(n) % n_classes
    return TrainingData(rng.normal(size=(n, 4)) + label[:, None], label, n_classes)


def _keep(data: TrainingData, M: int = 4) -> NDArray[np.bool_]:
    keep = np.ones((M, len(data.label)), dtype=bool)
    keep[np.arange(1, M), np.arange(1, M) * 7] = False
    return keep


def _streams(M: int) -> list[np.random.SeedSequence]:
    return [stream(0, Stream.TRAIN, m) for m in range(M)]


def _answers(models: Models, data: TrainingData, model: int) -> NDArray[np.float64]:
    return np.exp(models.log_posteriors(data.x, np.full(len(data.x), model)))


def answers_are_posteriors(trainer: Trainer) -> None:
    """One model per row; posteriors [Q, K] that sum to 1; queries of several models at once."""
    data = _problem()
    models = trainer.fit(data, _keep(data), streams=_streams(4))
    model = np.arange(len(data.x)) % 4
    mixed = np.exp(models.log_posteriors(data.x, model))
    assert len(models) == 4
    assert mixed.shape == (len(data.x), 3)
    assert np.allclose(mixed.sum(axis=1), 1)
    apart = np.stack([_answers(models, data, m) for m in range(4)])
    assert np.allclose(mixed, apart[model, np.arange(len(model))], atol=1e-12)


def rows_are_independent(trainer: Trainer) -> None:
    """A row trained beside others equals the row trained alone, as far as promised."""
    if trainer.promise is Promise.DISTRIBUTION:
        return
    data = _problem()
    keep, streams = _keep(data), _streams(4)
    together = trainer.fit(data, keep, streams=streams)
    for m in range(4):
        alone = trainer.fit(data, keep[[m]], streams=streams[m : m + 1])
        assert np.allclose(
            _answers(together, data, m), _answers(alone, data, 0), atol=ALLOWED[trainer.promise], rtol=0
        ), f"row {m} depends on the rows beside it"


def base_changes_nothing(trainer: Trainer) -> None:
    """Starting from earlier models gives what training from nothing gives."""
    if trainer.promise is Promise.DISTRIBUTION:
        return
    data = _problem()
    keep, streams = _keep(data), _streams(4)
    start = trainer.fit(data, keep[:1], streams=streams[:1])
    warm = trainer.fit(data, keep, streams=streams, base=Base(start, np.zeros(4, dtype=np.int64)))
    cold = trainer.fit(data, keep, streams=streams)
    for m in range(4):
        assert np.allclose(_answers(warm, data, m), _answers(cold, data, m), atol=ALLOWED[trainer.promise], rtol=0), (
            f"row {m} depends on where training started"
        )


def same_streams_same_models(trainer: Trainer) -> None:
    """Training is a function of data, rows and streams."""
    data = _problem()
    first, second = (trainer.fit(data, _keep(data), streams=_streams(4)) for _ in range(2))
    for m in range(4):
        assert np.array_equal(_answers(first, data, m), _answers(second, data, m))


def inputs_are_unchanged(trainer: Trainer) -> None:
    """Data and `keep` may be read-only."""
    data = _problem()
    keep = _keep(data)
    for array in (data.x, data.label, keep):
        array.setflags(write=False)
    trainer.fit(data, keep, streams=_streams(4))


def only_kept_records_matter(trainer: Trainer) -> None:
    """A record that no row keeps can hold anything."""
    data, keep = _problem(), _keep(_problem())
    keep[:, 5] = False
    other = TrainingData(data.x.copy(), data.label, data.n_classes)
    other.x[5] = 1e3
    first, second = (trainer.fit(each, keep, streams=_streams(4)) for each in (data, other))
    for m in range(4):
        assert np.array_equal(_answers(first, data, m), _answers(second, data, m))


def absent_class_has_no_posterior(trainer: Trainer) -> None:
    """A class without records in a row gets (almost) nothing, and the shape stays [Q, K]."""
    data = _problem()
    keep = (data.label != 1)[None]
    answers = _answers(trainer.fit(data, keep, streams=_streams(1)), data, 0)
    assert answers.shape == (len(data.x), 3)
    assert answers[:, 1].max() < 0.05


def models_learn(trainer: Trainer) -> None:
    """Classes that are far apart are told apart."""
    data = _problem(n=300)
    far = TrainingData(data.x + 2 * data.label[:, None], data.label, data.n_classes)
    answers = _answers(trainer.fit(far, _keep(far), streams=_streams(4)), far, 0)
    assert (answers.argmax(axis=1) == far.label).mean() > 0.6


def has_an_address(trainer: Trainer) -> None:
    """A run can be addressed by the trainer's specification."""
    assert digest(trainer) == digest(trainer)


TRAINER_CHECKS: tuple[Callable[[Trainer], None], ...] = (
    answers_are_posteriors,
    rows_are_independent,
    base_changes_nothing,
    same_streams_same_models,
    inputs_are_unchanged,
    only_kept_records_matter,
    absent_class_has_no_posterior,
    models_learn,
    has_an_address,
)
"""All checks of `check_trainer`."""
