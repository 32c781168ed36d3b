"""What an experiment will take, from its sizes and a short trial."""

import itertools
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from aftertrace.attacks import Adversary
from aftertrace.data import load
from aftertrace.engine import Engine
from aftertrace.posteriors import Posteriors, concatenate, to_parquet
from aftertrace.results import Result, Scores
from aftertrace.scenarios._assess import Assessment, Progress, assess
from aftertrace.scenarios._certify import compare, n_certified, pair_to_compare
from aftertrace.scenarios._draw import SIDES, Unit
from aftertrace.scenarios._experiment import Experiment
from aftertrace.scenarios._facts import counts_of, overfitting_of
from aftertrace.scenarios._memory import process_bytes, within
from aftertrace.scenarios._persons import Persons
from aftertrace.scenarios._run import result_of
from aftertrace.scenarios._sides import attacked, drawn_units, person_at, released, simulations_of
from aftertrace.scenarios._simulate import Simulation, simulate, trainer_of, warm_up
from aftertrace.scenarios._verdict import Judgement
from aftertrace.store import write_atomically

LONG_ENOUGH = 1.0
"""Seconds from which a trial is a measurement."""
_GROWTH = 3  # how much larger the next trial is


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Sizes of an experiment, and estimated `seconds` by stage on this machine.

    `process_bytes`: of each worker, None where the trainer does not say; `disk_bytes`: of posteriors and scores.
    """

    models: int
    units: int
    queries: int
    certified: int
    at_once: int
    process_bytes: int | None
    disk_bytes: int
    seconds: Mapping[str, float]

    @property
    def total_seconds(self) -> float:
        return sum(self.seconds.values())

    def __str__(self) -> str:
        again = f", {self.certified} of them a second time for the certificate" if self.certified else ""
        stages = ", ".join(f"{stage} {_span(seconds)}" for stage, seconds in self.seconds.items())
        return "\n".join(
            [
                f"Models:  {self.models} in {self.units} units of work{again}",
                f"Queries: {self.queries} to two versions each",
                *self._memory(),
                f"Disk:    about {_size(self.disk_bytes)} of posteriors and scores",
                f"Time:    about {_span(self.total_seconds)} on this machine",
                f"         {stages}",
            ]
        )

    def _memory(self) -> Iterator[str]:
        """What is held at once, what for, and how to need less."""
        each = "the models of one original and its updates"
        if self.process_bytes is None:
            yield f"Memory:  not known for this model; {self.at_once} at once (`jobs`), each with {each}"
            return
        size = _size(self.process_bytes)
        if self.at_once == 1:
            yield f"Memory:  about {size}, for {each}"
        else:
            yield f"Memory:  about {_size(self.at_once * self.process_bytes)}: {self.at_once} at once, each {size} for"
            yield f"         {each}; fewer at once with `jobs` or `memory`"
        yield "         less for each with fewer pairs or records (scenario.shadow, scenario.target)"


def plan(
    experiment: Experiment,
    *,
    data_dir: Path | None,
    engine: Engine,
    memory: int | None = None,
    device: str = "cpu",
    progress: Progress = lambda stage, done, total: None,
) -> tuple[Plan, Result, Scores]:
    """Estimate what `run_experiment` would take; also what a trial of it found, to try the report with.

    Units, the certificate's models and attacks are tried through the same engine, as many at once as in the run, on few
    deletions and few originals, and grown until a trial takes a second; the rest is linear in the numbers of
    deletions, originals and queries. What the first trial takes longer than the next of its size is counted once, as
    start.
    """
    seconds = {"start": time.process_time()}  # so far: imports
    began = time.perf_counter()
    engine.prepare(warm_up)
    simulations = simulations_of(experiment, partial(load, data_dir=data_dir), device=device)
    units = drawn_units(experiment, simulations)
    needed = [process_bytes(simulations[unit.side], unit) for unit in units]
    limited = within(engine, needed, memory, progress)
    trial = _Trial(experiment, simulations, limited, progress)
    at_once = limited.at_once
    seconds["start"] += time.perf_counter() - began

    sides = {side: [unit for unit in units if unit.side == side] for side in SIDES}
    seconds["start"] += trial.first_seconds(sides["target"][0])
    seconds["training"] = sum(map(trial.side_seconds, sides.values()))
    models, certified = sum(simulations[unit.side].n_models(unit) for unit in units), 0
    trainer = trainer_of(simulations["target"].procedure)
    if trainer is not None and pair_to_compare(trainer) is not None:
        per_line = 1 + len(simulations["target"].trained(units[-1]))
        lines = n_certified(models, per_line)
        certified = lines * per_line
        seconds["certificate"] = trial.certificate_seconds(sides["target"][0], lines)
    queries = {side: sum(len(unit.queries) for unit in own) for side, own in sides.items()}
    seconds["attacks"], assessment = trial.attack_seconds({s: len(own) for s, own in sides.items()})
    made = Plan(
        models=models,
        units=len(units),
        queries=sum(queries.values()),
        certified=certified,
        at_once=at_once,
        process_bytes=max((each for each in needed if each is not None), default=None),
        disk_bytes=trial.disk_bytes(units, assessment, queries),
        seconds=seconds,
    )
    counts, overfitting = counts_of(trial.target, trial.facts), overfitting_of(trial.facts)
    result = result_of(experiment, None, simulations["target"].data, assessment, counts, None, overfitting)
    return made, result, assessment.scores


class _Trial:
    """Small pieces of an experiment, timed."""

    def __init__(
        self, experiment: Experiment, simulations: Mapping[str, Simulation], engine: Engine, progress: Progress
    ) -> None:
        self.experiment, self.simulations = experiment, simulations
        self.engine, self.at_once, self.progress = engine, engine.at_once, progress
        self.tables: dict[str, list[Posteriors]] = {}  # of the units tried last, by side
        self.facts: list[Mapping[str, Any]] = []

    @property
    def target(self) -> Posteriors:
        return self.tables["target"][-1]

    def first_seconds(self, unit: Unit) -> float:
        """What the first work takes longer than the second: workers start, libraries are read."""
        first, second = (self._spent([_shorter(unit, _GROWTH)] * self.at_once) for _ in range(2))
        return max(0.0, first - second)

    def side_seconds(self, units: Sequence[Unit]) -> float:
        """Of all units of a side: one on each worker with more and more deletions, then more and more units."""
        rounds = max(1, math.ceil(len(units) / self.at_once))
        one = _extrapolated(lambda n: self._spent([_shorter(units[0], n)] * self.at_once), full=units[0].pairs)
        if one >= LONG_ENOUGH or rounds == 1:
            return max(1.0, len(units) / self.at_once) * one
        return _extrapolated(lambda n: self._spent(units[: n * self.at_once]), full=rounds)

    def _spent(self, units: Sequence[Unit]) -> float:
        """Seconds of some units, their files included."""
        began = time.perf_counter()
        side = self.tables[units[0].side] = []
        with TemporaryDirectory() as folder:
            for number, (table, facts) in self.engine.map(simulate, self.simulations[units[0].side], units):
                write_atomically(Path(folder) / f"{number}.parquet", to_parquet(table, facts=facts))
                side.append(table)
                self.facts = [facts]
        return time.perf_counter() - began

    def certificate_seconds(self, unit: Unit, lines: int) -> float:
        """Of so many lines by the reference, each worker's first with what it has to read for that."""
        unit = _shorter(unit, max(1, self.target.pair.max() + 1))
        task = unit, (0,), self.target.log_values, self.target.pair
        spent = []
        for _ in range(2):
            began = time.perf_counter()
            for _ in self.engine.map(compare, self.simulations, [task] * self.at_once):
                pass
            spent.append(time.perf_counter() - began)
        return spent[0] + max(0.0, lines / self.at_once - 1) * min(spent)

    def attack_seconds(self, originals: Mapping[str, int]) -> tuple[float, Assessment]:
        """Of all attacks, and what they found on copies of the trial's units."""
        experiment, verdict = self.experiment, self.experiment.verdict
        judgement = Judgement(
            attack=verdict.attack,
            limits=experiment.limits,
            claim=verdict.claim,
            confidence=verdict.confidence,
            seed=experiment.seed,
        )
        pairs = {"shadow": experiment.scenario.shadow.pairs, "target": experiment.scenario.target.pairs}
        found: list[Assessment] = []

        def tried(n: int) -> float:
            tables = {
                side: released(
                    experiment,
                    side,
                    attacked(
                        experiment,
                        self.simulations,
                        side,
                        _copies(self.tables[side], max(2, math.ceil(n / 100 * originals[side])), pairs[side]),
                    ),
                )
                for side in SIDES
            }
            began = time.perf_counter()
            persons = {
                side: Persons.at(each, person_at(experiment, self.simulations, side, each))
                for side, each in tables.items()
            }
            found[:] = [
                assess(
                    tables["shadow"], tables["target"], experiment.build_attacks(), judgement,
                    engine=self.engine, progress=lambda stage, done, total: None,
                    adversary=Adversary(experiment.scenario.adversary),
                    persons=persons["target"], shadow_persons=persons["shadow"],
                )
            ]  # fmt: skip
            return time.perf_counter() - began

        first = tried(5)
        spent = first - tried(5) + _extrapolated(tried, 100, start=5)
        return max(spent, first), found[0]

    def disk_bytes(self, units: Sequence[Unit], assessment: Assessment, queries: Mapping[str, int]) -> int:
        """Of all posteriors and scores, as the trial's are compressed."""
        per_query = len(to_parquet(self.target, facts={})) / len(self.target)
        scores = len(assessment.scores.to_parquet()) / len(assessment.scores.record)
        return int(sum(queries.values()) * per_query + queries["target"] * scores)


def _size(n_bytes: float) -> str:
    power = max(1, min(3, int(math.log(max(n_bytes, 1), 1024))))
    return f"{n_bytes / 1024**power:.3g} {('KiB', 'MiB', 'GiB')[power - 1]}"


def _span(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _extrapolated(seconds_of: Callable[[int], float], full: int, *, start: int = 1) -> float:
    """Seconds at size `full`, from trials that grow until one takes long enough; a line through the last two."""
    size, spent = start, seconds_of(start)
    before = None
    while size < full and spent < LONG_ENOUGH:
        before = size, spent
        size = min(full, _GROWTH * size)
        spent = seconds_of(size)
    if size == full:
        return spent
    if before is None:
        before, size = (size, spent), min(full, _GROWTH * size)
        spent = seconds_of(size)
    slope = max(0.0, (spent - before[1]) / (size - before[0]))
    return spent + slope * (full - size)


def _shorter(unit: Unit, pairs: int) -> Unit:
    """A unit with its first `pairs` deletions."""
    queries = unit.queries.select(unit.queries.pair < pairs)
    return replace(unit, deleted=unit.deleted[:pairs], added=unit.added[:pairs], queries=queries)


def _copies(tables: Sequence[Posteriors], originals: int, pairs: int) -> Posteriors:
    """A side of that many originals with `pairs` deletions each, from a few units over and over."""
    parts: list[Posteriors] = []
    first = 0  # pair of the next copy
    for table in itertools.cycle(tables):
        if first >= originals * pairs:
            break
        parts.append(replace(table, pair=table.pair + first, original=np.full(len(table), first // pairs)))
        first += int(table.pair.max()) + 1
    return concatenate(parts)
