"""How much memory a unit of work takes, and how many may run at once."""

import os
from collections.abc import Sequence

from aftertrace.engine import Engine
from aftertrace.scenarios._assess import Progress
from aftertrace.scenarios._draw import Unit
from aftertrace.scenarios._simulate import Simulation, trainer_of
from aftertrace.trainers import Bounded, NetworkTrainer, Size, Trainer

_PROCESS = 2**28  # an interpreter with its libraries
_TORCH = 2**28  # and with torch


def machine_share() -> int:
    """The default of `memory`: a quarter of the machine's, in bytes."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 4


def process_bytes(simulation: Simulation, unit: Unit) -> int | None:
    """About the most that a process holds that works on a unit; None where the trainer does not say."""
    trainer = trainer_of(simulation.procedure)
    if trainer is None:
        return None
    data, queries, models = simulation.data, len(unit.queries), simulation.n_models(unit)
    size = Size(records=len(unit.train), features=data.x.shape[1], classes=len(data.classes), models=models)
    masks = 4 * models * len(data)  # `keep`, and what is cut out of it
    answers = 8 * (queries + len(unit.train) + len(unit.test)) * (data.x.shape[1] + 8 * len(data.classes))
    training = training_bytes(trainer, size)
    return None if training is None else training + masks + answers


def training_bytes(trainer: Trainer, size: Size) -> int | None:
    """About the most that a process holds that trains models; None where the trainer does not say."""
    if not isinstance(trainer, Bounded):
        return None
    return _PROCESS + (_TORCH if isinstance(trainer, NetworkTrainer) else 0) + trainer.working_bytes(size)


def within(engine: Engine, needed: Sequence[int | None], memory: int | None, progress: Progress) -> Engine:
    """The engine with no more tasks at once than fit into `memory` bytes, by default `machine_share`; at least one.

    `needed`: `process_bytes` of the tasks.
    """
    most = max((each for each in needed if each is not None), default=0)
    memory = machine_share() if memory is None else memory
    if most > memory:
        progress(
            f"note: a unit of work takes about {most / 2**30:.2g} GiB of memory, and {memory / 2**30:.2g} GiB may be "
            f"taken: units run one at a time.",
            0,
            0,
        )
    return engine.limited(max(1, memory // most)) if most else engine
