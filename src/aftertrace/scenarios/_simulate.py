"""One unit of work: train an original, forget, query, and let the models go."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from aftertrace._hashing import digest
from aftertrace._random import Stream, rng_for, stream
from aftertrace.data import Dataset
from aftertrace.posteriors import Posteriors, Role
from aftertrace.procedures import Procedure
from aftertrace.scenarios._draw import Unit
from aftertrace.scenarios._models_file import check_saveable, save_models
from aftertrace.trainers import Models, Seeding, TrainingData

UNIT_FORMAT = 3
"""Raised whenever equal specifications would give other posteriors than before. 1: first. 2: own trainers.
3: the device is part of the address."""

LIBRARIES = ("numpy", "scipy", "scikit-learn", "numba", "torch")
"""Whose versions may move posteriors."""


class Probe(Protocol):
    """Measures more than posteriors beside the living models. A specification, like a trainer."""

    def measure(
        self,
        models: Models,
        model: NDArray[np.int64],
        x: NDArray[np.float64],
        label: NDArray[np.int64],
        *,
        rng: np.random.Generator,
    ) -> NDArray[np.floating]:
        """A measurement [Q, ...] of model number `model` [Q] at the queries `x` [Q, F] of class `label` [Q]."""
        ...


@dataclass(frozen=True, eq=False)
class Simulation:
    """What all units share: the data, how the deployer works, what is measured, the seed, and where models train."""

    data: Dataset
    procedure: Procedure
    seed: int
    probes: Mapping[str, Probe] = field(default_factory=dict)
    device: str = "cpu"

    def address(self, unit: Unit) -> str:
        """Digest of everything that determines the unit's posteriors, versions of the libraries included."""
        return digest(
            {
                "format": UNIT_FORMAT,
                "data": self.data.fingerprint,
                "procedure": self.procedure,
                "seed": self.seed,
                "probes": self.probes,
                "unit": unit,
                "device": self.device.partition(":")[0],
                "libraries": {name: library_version(name) for name in LIBRARIES},
            }
        )


def warm_up() -> None:
    """What every worker will need: the imports that take long."""
    import aftertrace.trainers._convex_variants
    import aftertrace.trainers._grow  # noqa: F401 - imported for later


@cache
def library_version(name: str) -> str:
    """The installed version of a library; looking it up reads files, and units ask often."""
    return version(name)


def simulate(
    simulation: Simulation, unit: Unit, *, keep_models: Path | None = None
) -> tuple[Posteriors, dict[str, Any]]:
    """Posteriors of the unit's queries by the original (version 0) and each pair's unlearned model (version 1).

    Also facts of the unit: accuracy of the original on its training and on unseen records, and the training's
    counts. `pair` numbers the unit's pairs, `original` is its index. Nothing of the models is kept, unless a file is
    named for them: safetensors, where array `a` of version v (0 is the original) is `v/a`.
    """
    data = simulation.data
    training = TrainingData(data.x, data.label, len(data.classes))
    pairs = len(unit.deleted)
    original = np.zeros((1, len(data)), dtype=bool)
    original[0, unit.train] = True
    kept = np.repeat(original, pairs, axis=0)
    kept[np.arange(pairs), unit.deleted] = False

    device = simulation.device
    learned = simulation.procedure.learn(
        training, original, streams=streams_of(simulation, unit, range(1)), device=device
    )
    if keep_models is not None:
        check_saveable(learned.models)
    forgotten = simulation.procedure.forget(
        learned,
        training,
        np.zeros(pairs, dtype=np.int64),
        kept,
        streams=streams_of(simulation, unit, range(1, 1 + pairs)),
        device=device,
    )
    if keep_models is not None:
        save_models(keep_models, [learned.models, forgotten.models])

    record, pair, role = unit.queries.record, unit.queries.pair, unit.queries.role
    x, label = data.x[record], data.label[record]
    before, accuracy = _query_original(learned.models, data, unit, x)
    table = Posteriors(
        log_values=np.stack([before, forgotten.models.log_posteriors(x, pair)], axis=1),
        member=np.column_stack([np.isin(role, (Role.DELETED, Role.RETAINED)), role == Role.RETAINED]),
        label=label,
        classes=data.classes,
        record=record,
        pair=pair,
        original=np.full(len(record), unit.index),
        use=unit.queries.use,
        probes={
            name: np.stack(
                [
                    probe.measure(models, model, x, label, rng=_probe_rng(simulation, unit, name, number))
                    for number, (models, model) in enumerate(
                        [(learned.models, np.zeros_like(pair)), (forgotten.models, pair)]
                    )
                ],
                axis=1,
            )
            for name, probe in simulation.probes.items()
        },
    )
    counts = {
        name: learned.models.counts.get(name, 0) + forgotten.models.counts.get(name, 0)
        for name in {*learned.models.counts, *forgotten.models.counts}
    }
    worst = {
        name: max(models.worst.get(name, 0.0) for models in (learned.models, forgotten.models))
        for name in {*learned.models.worst, *forgotten.models.worst}
    }
    return table, {"counts": counts, "worst": worst, **accuracy}


def streams_of(simulation: Simulation, unit: Unit, versions: Sequence[int]) -> list[np.random.SeedSequence]:
    """The streams that some versions of a unit are trained with; 0 is the original."""
    fresh = simulation.procedure.seeding is Seeding.FRESH
    return [stream(simulation.seed, Stream.TRAIN, unit.side, unit.index, number if fresh else 0) for number in versions]


def _probe_rng(simulation: Simulation, unit: Unit, name: str, number: int) -> np.random.Generator:
    return rng_for(simulation.seed, Stream.PROBE, unit.side, unit.index, name, number)


def _query_original(
    models: Models, data: Dataset, unit: Unit, x: NDArray[np.float64]
) -> tuple[NDArray[np.floating], dict[str, float]]:
    """The original's log posteriors at the queries, and its accuracies; one call, since calls are what costs."""
    everything = np.concatenate([x, data.x[unit.train], data.x[unit.test]])
    answers = models.log_posteriors(everything, np.zeros(len(everything), dtype=np.int64))
    at_queries, at_train, at_test = np.split(answers, [len(x), len(x) + len(unit.train)])
    return at_queries, {
        "train_accuracy": float((at_train.argmax(axis=1) == data.label[unit.train]).mean()),
        "test_accuracy": float((at_test.argmax(axis=1) == data.label[unit.test]).mean()),
    }
