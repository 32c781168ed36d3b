"""What a result says of the training behind it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aftertrace.posteriors import Posteriors, Role, Use
from aftertrace.procedures import Procedure
from aftertrace.results import Certificate, Counts, Overfitting, PrivacyResult, Spread, Training
from aftertrace.scenarios._assess import Assessment
from aftertrace.scenarios._draw import Unit
from aftertrace.scenarios._experiment import Experiment
from aftertrace.scenarios._simulate import Simulation, trainer_of
from aftertrace.trainers import Private, Size


def counts_of(target: Posteriors, facts: Sequence[Mapping[str, Any]]) -> Counts:
    evaluated = target.role[target.use == Use.EVALUATE]
    return Counts(
        originals=len(np.unique(target.original)),
        pairs=len(np.unique(target.pair)),
        deleted=int((evaluated == Role.DELETED).sum()),
        unseen=int((evaluated == Role.UNSEEN).sum()),
        held_out=int((target.use == Use.HELD_OUT).sum()),
        retained=int((evaluated == Role.RETAINED).sum()),
        models=sum(each["counts"].get("models", 0) for each in facts),
        unconverged=sum(each["counts"].get("unconverged", 0) for each in facts),
    )


def training_of(
    procedure: Procedure, facts: Sequence[Mapping[str, Any]], certificate: Certificate | None
) -> Training | None:
    """What the result says of the training; None for a procedure of the user's own."""
    trainer = trainer_of(procedure)
    if trainer is None:
        return None
    names = sorted({name for each in facts for name in each["worst"]})
    return Training(
        trainer=type(trainer).__name__,
        promise=trainer.promise.value,
        fallbacks=sum(each["counts"].get("fallbacks", 0) for each in facts),
        worst={name: max(each["worst"].get(name, 0.0) for each in facts) for name in names},
        certificate=certificate,
        shards_without_a_class=sum(each["counts"].get("shards_without_a_class", 0) for each in facts),
    )


def privacy_of(
    experiment: Experiment, target: Simulation, units: Sequence[Unit], assessment: Assessment
) -> PrivacyResult | None:
    """What a private trainer promises, beside what was found; `units`: of the target side."""
    trainer, scenario = trainer_of(target.procedure), experiment.scenario
    if not isinstance(trainer, Private):
        return None
    shards = experiment.procedure.shards if experiment.procedure.name == "sisa" else 1
    size = Size(
        records=min(len(unit.train) for unit in units) // shards,
        features=target.data.x.shape[1],
        classes=len(target.data.classes),
        models=1,
    )
    found = next(each for each in assessment.attacks if each.name == experiment.verdict.attack)
    models = 2 if scenario.attacked == "retained" else 1
    records = _records_of_a_person(target.data.person)
    return PrivacyResult.of(trainer.guarantee(size), found.auc, models=models, records=records)


def _records_of_a_person(person: NDArray[np.int64] | None) -> tuple[int, int]:
    """The fewest and the most; one where records are judged by themselves."""
    if person is None:
        return 1, 1
    counts = np.bincount(person)
    return int(counts.min()), int(counts.max())


def overfitting_of(facts: Sequence[Mapping[str, float]]) -> Overfitting:
    train, test = (np.array([each[name] for each in facts]) for name in ("train_accuracy", "test_accuracy"))
    return Overfitting(train_accuracy=_spread(train), test_accuracy=_spread(test), gap=_spread(train - test))


def _spread(values: np.ndarray) -> Spread:
    return Spread(mean=float(values.mean()), low=float(values.min()), high=float(values.max()))
