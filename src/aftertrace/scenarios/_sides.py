"""The two sides of an experiment: how each is simulated, and what an outsider sees of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from aftertrace.data import Dataset, DataSpec
from aftertrace.defenses import defend
from aftertrace.errors import ExperimentError
from aftertrace.posteriors import Posteriors, Role
from aftertrace.procedures import Procedure
from aftertrace.scenarios._draw import Unit, draw_units
from aftertrace.scenarios._experiment import Experiment
from aftertrace.scenarios._simulate import Probe, Simulation
from aftertrace.scenarios._units import Finished, side_of


def simulations_of(
    experiment: Experiment,
    read: Callable[[DataSpec], Dataset],
    *,
    procedure: Procedure | None = None,
    probes: Mapping[str, Probe] | None = None,
    device: str = "cpu",
) -> dict[str, Simulation]:
    """How each side is simulated, with data as `read` gives them.

    Raises `ExperimentError` where the shadow side's data have other classes.
    """
    data = read(experiment.data)
    other = data if experiment.shadow.data is None else read(experiment.shadow.data)
    if other.classes != data.classes:
        raise ExperimentError(
            [
                f"shadow.data: must have the classes of data in the same order, {', '.join(data.classes)}, got "
                f"{', '.join(other.classes)}"
            ]
        )
    return {
        side: Simulation(
            data=own,
            procedure=procedure or experiment.build_procedure(side),
            seed=experiment.seed,
            probes=probes or {},
            device=device,
        )
        for side, own in (("shadow", other), ("target", data))
    }


def drawn_units(experiment: Experiment, simulations: Mapping[str, Simulation]) -> list[Unit]:
    """`draw_units` of an experiment's data: of records, or of persons with all of theirs, where the data tell them."""
    person = {side: simulation.data.person for side, simulation in simulations.items()}
    sizes = {side: len(simulations[side].data) if own is None else int(own.max()) + 1 for side, own in person.items()}
    drawn = draw_units(
        experiment.scenario,
        n_records=sizes["target"],
        seed=experiment.seed,
        n_shadow=None if experiment.shadow.data is None else sizes["shadow"],
        noun="records" if person["target"] is None else "persons",
    )
    return [unit if (own := person[unit.side]) is None else unit.of_persons(own) for unit in drawn]


def person_at(
    experiment: Experiment, simulations: Mapping[str, Simulation], side: str, table: Posteriors
) -> NDArray[np.int64] | None:
    """Whose record each query of a side is [Q], where its data tell."""
    person = simulations[side].data.person
    return None if person is None else person[table.record - _shift(experiment, simulations, side)]


def attacked(experiment: Experiment, simulations: Mapping[str, Simulation], side: str, table: Posteriors) -> Posteriors:
    """A side's queries, told which role is attacked; different records of both sides have different numbers."""
    record = table.record + _shift(experiment, simulations, side)
    return replace(table, record=record, attacked=Role[experiment.scenario.attacked.upper()])


def _shift(experiment: Experiment, simulations: Mapping[str, Simulation], side: str) -> int:
    """What is added to the numbers of a side's records, since those of other data count from 0 too."""
    return len(simulations["target"].data) if side == "shadow" and experiment.shadow.data is not None else 0


def seen(
    experiment: Experiment, simulations: Mapping[str, Simulation], side: str, finished: Sequence[Finished]
) -> Posteriors:
    """What an outsider sees of a side's units."""
    return released(experiment, side, attacked(experiment, simulations, side, side_of(finished)[0]))


def released(experiment: Experiment, side: str, table: Posteriors) -> Posteriors:
    """What an outsider gets to see of a side's queries: all of it, or what the defense lets through."""
    defense = experiment.build_defense()
    if defense is None:
        return table
    from_original = experiment.scenario.versions[0] == 0
    return defend(table, defense, seed=experiment.seed, side=side, first_is_original=from_original)
