"""A shadow side for posteriors that a user brings: simulated by an experiment of the user's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aftertrace.data import load
from aftertrace.engine import Engine
from aftertrace.errors import ExperimentError, PosteriorsError, UnsupportedError
from aftertrace.posteriors import Kind, Posteriors
from aftertrace.procedures import Procedure
from aftertrace.results import Claim, Limits
from aftertrace.scenarios._assess import Progress
from aftertrace.scenarios._experiment import Experiment
from aftertrace.scenarios._identity import default_folder, identity_of
from aftertrace.scenarios._memory import process_bytes, within
from aftertrace.scenarios._sides import attacked, drawn_units, person_at, released, simulations_of
from aftertrace.scenarios._simulate import Simulation
from aftertrace.scenarios._toml import to_toml
from aftertrace.scenarios._units import obtain, side_of
from aftertrace.store import RunFolder


@dataclass(frozen=True, eq=False, kw_only=True)
class ShadowSide:
    """What the attacker learned from: `table`, by the `experiment` that was simulated; `models` were trained, of which
    `unconverged` stopped early. `source`: the experiment's file from where the user stands, for the command that widens
    an audit. `person` [Q]: whose record each is, where the experiment deletes persons. `limits`, `claim`: of its file,
    which are passed over.
    """

    table: Posteriors
    person: NDArray[np.int64] | None
    experiment: Experiment
    models: int
    unconverged: int
    source: str
    limits: Limits = field(default_factory=Limits)
    claim: Claim | None = None

    @property
    def passed_over(self) -> tuple[str, ...]:
        """The limits of its file: dotted keys with what they say."""
        limits = (f"limits.{name} = {limit:g}" for name, limit in self.limits.given().items())
        return (*limits, *([] if self.claim is None else [f"verdict.claim of epsilon {self.claim.epsilon:g}"]))

    def in_order(self, classes: tuple[str, ...]) -> "ShadowSide":
        """With its classes in the order of `classes`. Raises `PosteriorsError` where they are others."""
        own = self.table.classes
        _check_classes(own, classes)
        there = [own.index(name) for name in classes]
        table = replace(
            self.table,
            log_values=self.table.log_values[:, :, there],
            label=np.argsort(there)[self.table.label],
            classes=classes,
        )
        return replace(self, table=table)


@dataclass(frozen=True, eq=False, kw_only=True)
class ShadowPlan:
    """A shadow side that can be simulated: its `experiment`, without limits, is in order, and its data were read.

    `limits`, `claim`: those of its file, which an audit has of its own.
    """

    experiment: Experiment
    source: str
    simulations: Mapping[str, Simulation]
    limits: Limits = field(default_factory=Limits)
    claim: Claim | None = None

    def check_classes(self, classes: Sequence[str]) -> None:
        """Raises `PosteriorsError` unless its data have these classes, in any order."""
        _check_classes(self.simulations["shadow"].data.classes, classes)

    def simulate(self, *, engine: Engine, memory: int | None = None, progress: Progress) -> ShadowSide:
        """Train and ask its models, in the folder that a run of the experiment would use."""
        experiment, simulations = self.experiment, self.simulations
        drawn = [unit for unit in drawn_units(experiment, simulations) if unit.side == "shadow"]
        engine = within(engine, [process_bytes(simulations["shadow"], unit) for unit in drawn], memory, progress)
        identity = identity_of(experiment, simulations)
        folder = RunFolder.open(default_folder(identity, experiment), identity=identity)
        folder.write("experiment.toml", to_toml(experiment.as_dict()))
        units = {simulations["shadow"].address(unit): unit for unit in drawn}
        finished, _ = obtain(simulations, units, folder, engine, progress, keep_models=False)
        table, facts = side_of([finished[address] for address in units])
        table = released(experiment, "shadow", attacked(experiment, simulations, "shadow", table))
        return ShadowSide(
            table=table,
            person=person_at(experiment, simulations, "shadow", table),
            experiment=experiment,
            models=sum(each["counts"].get("models", 0) for each in facts),
            unconverged=sum(each["counts"].get("unconverged", 0) for each in facts),
            source=self.source,
            limits=self.limits,
            claim=self.claim,
        )


def shadow_plan(
    experiment: Experiment,
    *,
    source: str,
    data_dir: Path | None = None,
    procedure: Procedure | None = None,
) -> ShadowPlan:
    """The shadow side of `experiment`, before it costs anything. `procedure` replaces its model and procedure.

    Its limits are passed over: an audit is given its own. Raises `ExperimentError` for a per-record adversary, who
    needs the target's own candidates.
    """
    if experiment.scenario.adversary != "population":
        raise ExperimentError(
            ['scenario.adversary: the shadow side of an audit is of a population; set it to "population"'],
            source=source,
        )
    if experiment.scenario.attacked != "deleted":
        raise ExperimentError(
            ['scenario.attacked: an audit is of deleted records; set it to "deleted", or leave it out'], source=source
        )
    own, claim = experiment.limits, experiment.verdict.claim
    plain = replace(experiment, limits=Limits(), verdict=replace(experiment.verdict, claim=None))
    simulations = simulations_of(plain, partial(load, data_dir=data_dir), procedure=procedure)
    return ShadowPlan(experiment=plain, source=source, simulations=simulations, limits=own, claim=claim)


def check_taught(experiment: Experiment, *, n_versions: int, kind: Kind) -> None:
    """Raises `UnsupportedError` unless a shadow side of `experiment` teaches attacks on such answers."""
    if n_versions > 2 or kind is Kind.SCORE:
        what = "scores" if kind is Kind.SCORE else f"{n_versions} versions"
        raise UnsupportedError(
            f"A shadow side teaches attacks on two versions' posteriors, got {what}: leave it out, or bring the first "
            f"and the last version's posteriors."
        )
    verdict = experiment.verdict.attack
    if any(attack.name == verdict and attack.needs.held_out for attack in experiment.build_attacks()):
        raise UnsupportedError(
            f"verdict.attack of the shadow side must be an attack that needs no further unseen records, got "
            f"{verdict}: set it to Superset."
        )
    defense = experiment.build_defense()
    own = Kind.POSTERIOR if defense is None else defense.kind
    if own is not kind:
        raise UnsupportedError(
            f"The shadow side must release what the models do, {kind}s, got {own}s: leave out its defense, or bring "
            f"what the models release behind theirs."
        )


def _check_classes(own: Sequence[str], models: Sequence[str]) -> None:
    if set(own) != set(models):
        raise PosteriorsError(
            f"The data of the shadow side must have the classes of the models, {', '.join(models)}; they have "
            f"{', '.join(own)}."
        )
