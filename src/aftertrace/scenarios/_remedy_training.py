"""What would pass the limits, where the models can be trained another way too?"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from aftertrace.attacks import Adversary, Attack
from aftertrace.data import Dataset, DataSpec
from aftertrace.engine import Engine, InProcess
from aftertrace.errors import AftertraceError
from aftertrace.posteriors import Posteriors, Role, correctness
from aftertrace.procedures import Procedure
from aftertrace.results import Remedy, RemedyOption
from aftertrace.scenarios._assess import Progress
from aftertrace.scenarios._experiment import Experiment
from aftertrace.scenarios._memory import process_bytes, within
from aftertrace.scenarios._persons import Persons
from aftertrace.scenarios._remedy import conclude, require_limits
from aftertrace.scenarios._remedy_candidates import Candidate, left_out, release_candidates
from aftertrace.scenarios._remedy_options import Trained, Yardstick, judged, judged_one
from aftertrace.scenarios._remedy_words import nearest_of
from aftertrace.scenarios._sides import attacked, drawn_units, person_at, released, simulations_of
from aftertrace.scenarios._simulate import Probe
from aftertrace.scenarios._toml import table_of
from aftertrace.scenarios._units import obtain, side_of
from aftertrace.scenarios._verdict import Judgement
from aftertrace.statistics import MIN_ORIGINALS
from aftertrace.store import RunFolder
from aftertrace.trainers import NAMES

GROUPS = (2, 5, 10)
"""Deletions that are collected before one update honours them all."""
EPSILONS = (8.0, 1.0)
"""Of private training."""
_CARRIED = ("shape", "hidden")  # parameters that a private twin shares


@dataclass(frozen=True, eq=False, kw_only=True)
class Workshop:
    """Where and how models are trained, as `run_experiment` takes it. Units are kept in the run's `folder`."""

    read: Callable[[DataSpec], Dataset]
    folder: RunFolder
    engine: Engine = field(default_factory=InProcess)
    procedure: Procedure | None = None
    probes: Mapping[str, Probe] = field(default_factory=dict)
    device: str = "cpu"
    memory: int | None = None
    progress: Progress = lambda stage, done, total: None

    def say(self, stage: str, done: int, total: int) -> None:
        """Progress, named as that of this search."""
        self.progress(stage if stage.startswith(("note:", "what if")) else f"what if: {stage}", done, total)


def what_if_training(experiment: Experiment, attack: Attack, judgement: Judgement, workshop: Workshop) -> Remedy:
    """`what_if` for an experiment: its target originals choose, and as many further ones, trained when wanted, confirm.

    Beside the releases of its own answers: fresh seeds, deletions in groups (`GROUPS`), SISA, and private training
    (`EPSILONS`) where the model has a private twin, each with shadow models trained alike. Where nothing passes, each
    of these is tried with the release that came nearest as well. What they cost is measured at the same unseen queries,
    paired by original, as the same records train it. Six originals choose where there are fewer. Persons are judged,
    and counted once each, where the data tell them.

    A user's own procedure has releases alone. Raises `InputError` without any limit.
    """
    require_limits(judgement)
    size = max(experiment.scenario.target.originals, MIN_ORIGINALS)
    choosing, confirming = range(size), range(size, 2 * size)
    today = experiment.build_defense()
    answers = _Answers(experiment, workshop)
    base = answers.of((), choosing)
    classes = len(base.target.classes)
    releases = list(release_candidates(classes, today=today))
    persons = base.person is not None
    trainings = [] if workshop.procedure is not None else list(training_candidates(experiment, persons=persons))
    yardstick = Yardstick.of(
        attack,
        judgement,
        base,
        adversary=Adversary(experiment.scenario.adversary),
        today=today,
        first_is_original=experiment.scenario.versions[0] == 0,
    )
    strict = yardstick.for_one_of(len(releases) + 2 * len(trainings))
    options = judged(strict, base, releases, engine=workshop.engine, progress=workshop.say)
    options += [_judged(strict, answers, each, choosing) for each in trainings]
    both = [] if any(each.passes for each in options) else _combined(options, trainings, releases)
    options += [_judged(strict, answers, each, choosing) for each in both]
    candidates = {each.name: each for each in [*releases, *trainings, *both]}
    return conclude(
        options,
        lambda option: _judged(yardstick, answers, candidates[option.name], confirming),
        strict,
        Remedy(sentence="", unit="originals", choosing=size, confirming=size, notes=left_out(classes)),
    )


def training_candidates(experiment: Experiment, *, persons: bool = False) -> Iterator[Candidate]:
    """Other ways to train and to delete, one measure each; today's defense stays. `persons`: are they judged?"""
    own, model, today = experiment.procedure, experiment.model, experiment.build_defense()

    def candidate(name: str, what: str, *changes: str) -> Candidate:
        return Candidate(name=name, kind="training", what=what, changes=changes, defense=today)

    if own.seed != "fresh":
        yield candidate("fresh seeds", "Train every version with new random numbers.", "procedure.seed=fresh")
    for size in GROUPS:
        if size > experiment.scenario.group:
            what = (
                f"Collect {size} deletions, and publish one update for all of them; until then these records stay in."
            )
            yield candidate(f"{size} deletions at a time", what, f"scenario.group={size}")
    if own.name != "sisa":
        what = (
            f"Train {own.shards} models on a share of the records each (SISA); a deletion then trains one of them, on "
            f"1/{own.shards} of the records."
        )
        yield candidate(f"SISA with {own.shards} shards", what, "procedure.name=sisa")
    twin = f"private-{model.name}"
    if twin in NAMES:
        kept = "".join(f", {name} = {list(model.params[name])}" for name in _CARRIED if name in model.params)
        whose = " That is for single records: for a person with k of them it is k times epsilon." if persons else ""
        for epsilon in EPSILONS:
            yield candidate(
                f"private training, epsilon {epsilon:g}",
                f"Train every version with differential privacy of epsilon {epsilon:g}, on all of its records anew."
                f"{whose}",
                f"model.name={twin}",
                f"model.params={{ epsilon = {epsilon}{kept} }}",
                "procedure.seed=fresh",
            )


def varied(experiment: Experiment, changes: Sequence[str]) -> Experiment:
    """An experiment with `changes`, as `run` takes them. Raises `ExperimentError` for what cannot be."""
    return Experiment.from_dict(table_of(experiment.as_dict(), changes), source="what if") if changes else experiment


def _judged(yardstick: Yardstick, answers: "_Answers", candidate: Candidate, originals: range) -> RemedyOption:
    try:
        return judged_one((yardstick, answers.of(candidate.training, originals)), candidate)
    except AftertraceError as error:
        return candidate.option(" ".join(str(error).split()))


def _combined(
    options: Sequence[RemedyOption], trainings: Sequence[Candidate], releases: Sequence[Candidate]
) -> list[Candidate]:
    """Every training that could be judged, with the release that came nearest to its limits."""
    judgeable = {each.name for each in options if each.checks}
    nearest = nearest_of([each for each in options if each.kind == "release"])
    release = next((each for each in releases if nearest is not None and each.name == nearest.name), None)
    return [
        Candidate(
            name=f"{training.name} and {release.name}",
            kind="both",
            what=f"{training.what} {release.what}",
            changes=(*training.changes, *release.changes),
            defense=release.defense,
        )
        for training in trainings
        if release is not None and training.name in judgeable
    ]


@dataclass(frozen=True, eq=False)
class _Answers:
    """The answers of an experiment, and of others that train differently, for some target originals; made once."""

    experiment: Experiment
    workshop: Workshop
    made: dict[tuple[tuple[str, ...], range], Trained] = field(default_factory=dict)

    def of(self, training: tuple[str, ...], originals: range) -> Trained:
        """With those changes of the training. Raises `AftertraceError` for what cannot be trained."""
        own = self._made(training, originals)
        return self._compared(own, training, originals) if training else own

    def _made(self, training: tuple[str, ...], originals: range) -> Trained:
        key = training, originals
        if key not in self.made:
            self.made[key] = _make(varied(self.experiment, training), originals, self.workshop)
        return self.made[key]

    def _compared(self, own: Trained, training: tuple[str, ...], originals: range) -> Trained:
        """With what it costs each original against today's; the same originals cost nothing."""
        other, base = varied(self.experiment, training), self._made((), originals)
        if (other.model, other.procedure) == (self.experiment.model, self.experiment.procedure):
            return own
        (right, error), (own_right, own_error) = (
            _quality(released(self.experiment, "target", each.target), each.person) for each in (base, own)
        )
        return replace(
            own,
            accuracy_lost={each: right[each] - own_right[each] for each in right},
            brier_added={each: own_error[each] - error[each] for each in error},
        )


def _make(experiment: Experiment, originals: range, workshop: Workshop) -> Trained:
    """Train what is not in the folder yet: the shadow side, and those target originals."""
    scenario = experiment.scenario
    grown = replace(experiment, scenario=replace(scenario, target=replace(scenario.target, originals=originals.stop)))
    simulations = simulations_of(
        grown, workshop.read, procedure=workshop.procedure, probes=workshop.probes, device=workshop.device
    )
    drawn = [unit for unit in drawn_units(grown, simulations) if unit.side == "shadow" or unit.index in originals]
    needed = [process_bytes(simulations[unit.side], unit) for unit in drawn]
    engine = within(workshop.engine, needed, workshop.memory, workshop.say)
    units = {simulations[unit.side].address(unit): unit for unit in drawn}
    finished, _ = obtain(simulations, units, workshop.folder, engine, workshop.say, keep_models=False)
    shadow, target = (
        attacked(grown, simulations, side, side_of([finished[a] for a, u in units.items() if u.side == side])[0])
        for side in ("shadow", "target")
    )
    own, other = (
        person_at(grown, simulations, side, table) for side, table in (("target", target), ("shadow", shadow))
    )
    return Trained(shadow=shadow, target=target, person=own, shadow_person=other)


def _quality(table: Posteriors, person: NDArray[np.int64] | None) -> tuple[dict[int, float], dict[int, float]]:
    """Of every original's last version at its unseen queries, or persons: accuracy and Brier score."""
    columns = np.stack(correctness(table.values[:, -1], table.label), axis=1)
    persons = Persons.at(table, person)
    if persons is not None:
        table, columns = persons.table, persons.mean(columns)
    rows = np.flatnonzero(table.role == Role.UNSEEN)
    names, which = np.unique(table.original[rows], return_inverse=True)
    right, error = ((np.bincount(which, each) / np.bincount(which)).tolist() for each in columns[rows].T)
    return dict(zip(names.tolist(), right, strict=True)), dict(zip(names.tolist(), error, strict=True))
