"""One unit of work: train an original, forget, query, and let the models go."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from aftertrace._hashing import digest
from aftertrace._random import Stream, rng_for, stream
from aftertrace.data import Dataset
from aftertrace.posteriors import Posteriors, Role
from aftertrace.procedures import Memoryless, Procedure, Retrain, Sisa, State
from aftertrace.scenarios._draw import Unit
from aftertrace.scenarios._models_file import check_saveable, save_models
from aftertrace.trainers import Models, Seeding, Trainer, TrainingData

UNIT_FORMAT = 4
"""Raised whenever equal specifications would give other posteriors than before. 1: first. 2: own trainers.
3: the device is part of the address. 4: lines of versions."""

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


@runtime_checkable
class ClassValued(Protocol):
    """A probe whose measurement [Q, ..., K] is of log posteriors, at other inputs than the record: it is released
    through the same defense as they are. Others are not released at all where there is a defense.
    """

    @property
    def class_valued(self) -> bool:
        """True."""
        ...


@dataclass(frozen=True, eq=False)
class Simulation:
    """What all units share: the data, how the deployer works, what is measured, the seed, and where models train."""

    data: Dataset
    procedure: Procedure
    seed: int
    probes: Mapping[str, Probe] = field(default_factory=dict)
    device: str = "cpu"

    def trained(self, unit: Unit) -> tuple[int, ...]:
        """The versions after the original that are trained of each line: those seen, and what they need."""
        if isinstance(self.procedure, Memoryless):
            return tuple(number for number in unit.versions if number)
        return tuple(range(1, unit.versions[1] + 1))

    def n_models(self, unit: Unit) -> int:
        """The original and its versions."""
        return 1 + unit.pairs * len(self.trained(unit))

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


def trainer_of(procedure: Procedure) -> Trainer | None:
    """What a procedure of ours trains with; None for one of the user's own."""
    return procedure.trainer if isinstance(procedure, Retrain | Sisa) else None


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
    """Posteriors of the unit's queries by the two versions of each line that the attacker sees.

    Also facts of the unit: accuracy of the original on its training and on unseen records, and the training's
    counts. `pair` numbers the unit's pairs, `original` is its index. Nothing of the models is kept, unless a file is
    named for them: safetensors, where array `a` of model v (0 is the original) is `v/a`; version after version, line
    after line.
    """
    data = simulation.data
    training = TrainingData(data.x, data.label, len(data.classes), frame=data.frame)
    learned = simulation.procedure.learn(
        training, unit.keep(0, len(data))[:1], streams=streams_of(simulation, unit, [0]), device=simulation.device
    )
    if keep_models is not None:
        check_saveable(learned.models)
    states = versions_of(simulation, unit, training, learned, range(unit.pairs))
    if keep_models is not None:
        save_models(keep_models, [state.models for state in states.values()])

    record, pair, role = unit.queries.record, unit.queries.pair, unit.queries.role
    x, label = data.x[record], data.label[record]
    of_original, accuracy = _query_original(learned.models, data, unit, x)
    seen = [(states[version].models, pair if version else np.zeros_like(pair)) for version in unit.versions]
    answers = [
        models.log_posteriors(x, model) if version else of_original
        for version, (models, model) in zip(unit.versions, seen, strict=True)
    ]
    table = Posteriors(
        log_values=np.stack(answers, axis=1),
        member=np.column_stack([np.isin(role, (Role.DELETED, Role.RETAINED)), role == Role.RETAINED]),
        label=label,
        classes=data.classes,
        record=record,
        pair=pair,
        original=np.full(len(record), unit.index),
        use=unit.queries.use,
        class_probes=frozenset(name for name, probe in simulation.probes.items() if isinstance(probe, ClassValued)),
        probes={
            name: np.stack(
                [
                    probe.measure(models, model, x, label, rng=_probe_rng(simulation, unit, name, number))
                    for number, (models, model) in enumerate(seen)
                ],
                axis=1,
            )
            for name, probe in simulation.probes.items()
        },
    )
    every = [state.models for state in states.values()]
    counts = {
        name: sum(models.counts.get(name, 0) for models in every) for name in {n for m in every for n in m.counts}
    }
    worst = {name: max(models.worst.get(name, 0.0) for models in every) for name in {n for m in every for n in m.worst}}
    return table, {"counts": counts, "worst": worst, **accuracy}


def versions_of(
    simulation: Simulation, unit: Unit, training: TrainingData, learned: State, lines: Sequence[int]
) -> dict[int, State]:
    """The original, and the versions of some lines, each from the one before it. -> version -> state"""
    states = {0: learned}
    base, last = np.zeros(len(lines), dtype=np.int64), learned
    for step in simulation.trained(unit):
        last = states[step] = simulation.procedure.forget(
            last,
            training,
            base,
            unit.keep(step, len(simulation.data))[np.asarray(lines)],
            streams=streams_of(simulation, unit, [1 + (step - 1) * unit.pairs + line for line in lines]),
            device=simulation.device,
        )
        base = np.arange(len(lines))
    return states


def streams_of(simulation: Simulation, unit: Unit, numbers: Sequence[int]) -> list[np.random.SeedSequence]:
    """The streams that some models of a unit are trained with: 0 is the original, then version after version."""
    fresh = simulation.procedure.seeding is Seeding.FRESH
    return [stream(simulation.seed, Stream.TRAIN, unit.side, unit.index, number if fresh else 0) for number in numbers]


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
