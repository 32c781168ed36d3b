"""The certificate: a random share of a run's models, retrained by the slow reference and compared."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aftertrace._hashing import digest
from aftertrace._random import Stream, rng_for
from aftertrace.engine import Engine
from aftertrace.errors import StoreError, TrainingError
from aftertrace.posteriors import Posteriors
from aftertrace.results import Certificate
from aftertrace.scenarios._assess import Progress
from aftertrace.scenarios._draw import Unit
from aftertrace.scenarios._simulate import Simulation, streams_of, trainer_of, versions_of
from aftertrace.statistics import sign_flip_tests
from aftertrace.store import RunFolder
from aftertrace.trainers import ALLOWED, Certified, Promise, Shortened, Trainer, TrainingData

SHARE = 0.01
LEAST = 2
SIGNIFICANCE = 0.001
FILE = "certificate.json"
CERTIFICATE_FORMAT = 2
"""Raised when equal models would be judged otherwise. 1: first. 2: whole lines; deep networks in distribution."""

Gap = tuple[float, list[float]]
"""Of one model: the largest gap in posteriors, and gaps of means over queries, such as one for each class."""
_Task = tuple[Unit, tuple[int, ...], NDArray[np.floating], NDArray[np.int64]]
"""A unit, some of its lines, and what the run has of it: log posteriors [Q, 2, K] and the pair of each query [Q]."""


def certify(
    simulations: Mapping[str, Simulation],
    units: Mapping[str, Unit],
    tables: Mapping[str, Posteriors],
    folder: RunFolder,
    engine: Engine,
    progress: Progress,
) -> Certificate | None:
    """Retrain 1 % of the models with the trainer's reference, in whole lines: an original and what followed it.

    None where a trainer has no reference.

    Exact and tolerance trainers must answer as promised at every query of the model. Where a trainer offers a short
    schedule, both sides are trained by that: rounding has no time to grow. Others must not differ in distribution:
    a sign-flip test over the models, at .001 (Bonferroni), of how far the mean posteriors of each class and of the
    true one are apart.

    The certificate is kept in the folder for the same models. Raises `TrainingError` where it fails.
    """
    seed = simulations["target"].seed
    trainers = [trainer_of(each.procedure) for each in simulations.values()]
    if any(trainer is None or pair_to_compare(trainer) is None for trainer in trainers):
        return None
    chosen = _choose(seed, simulations, units)
    of = digest({"format": CERTIFICATE_FORMAT, "units": list(units), "share": SHARE})
    kept = _kept(folder, of)
    if kept is None:
        tasks = [(units[a], lines, tables[a].log_values, tables[a].pair) for a, lines in chosen.items()]
        total, done = sum(map(len, chosen.values())), 0
        progress("certificate", 0, total)
        found: dict[int, list[Gap]] = {}
        for number, answer in engine.map(compare, simulations, tasks):
            found[number] = answer
            done += len(tasks[number][1])
            progress("certificate", done, total)
        gaps = [gap for number in range(len(tasks)) for gap in found[number]]
        weakest = max((t for t in trainers if t is not None), key=lambda t: list(Promise).index(t.promise))
        kept = judge_gaps(weakest, gaps, rng=rng_for(seed, Stream.CERTIFY, "test"))
        folder.write_json(FILE, {"of": of, "certificate": asdict(kept)})
    if not kept.passed:
        folder_hint = f"the posteriors are kept in {folder.path}"
        raise TrainingError(
            f"The certificate failed: {kept.sentence} The figures of this run cannot be relied on; {folder_hint}. "
            f"Please report this, and meanwhile name a scikit-learn class as model.name."
        )
    return kept


def compare(simulations: Mapping[str, Simulation], task: _Task) -> list[Gap]:
    """Of the original and each seen version of the chosen lines: the largest gap in posteriors, and gaps of means."""
    unit, lines, log_values, pair = task
    simulation = simulations[unit.side]
    trainer = trainer_of(simulation.procedure)
    compared = None if trainer is None else pair_to_compare(trainer)
    assert compared is not None  # `certify` has asked
    shortened, slow = compared
    if shortened is None:  # references know the CPU only
        ours, simulation = None, replace(simulation, device="cpu")
    else:  # on a short schedule both draw their masks on one device
        ours = _Lines(simulation, shortened, unit, lines)
    theirs = _Lines(simulation, slow, unit, lines)
    gaps = []
    for number, version in enumerate(unit.versions):
        groups = [pair == line for line in lines] if version else [np.ones(len(pair), dtype=bool)]
        for place, asked in enumerate(groups):
            rows = np.flatnonzero(asked)
            fast = log_values[rows, number] if ours is None else ours.answer(version, place, rows)
            gap = np.exp(fast) - np.exp(theirs.answer(version, place, rows))
            own = gap[np.arange(len(rows)), simulation.data.label[unit.queries.record[rows]]]
            gaps.append((float(np.abs(gap).max()), [*gap.mean(axis=0).tolist(), float(own.mean())]))
    return gaps


class _Lines:
    """Some lines of a unit, learned and forgotten anew with another trainer."""

    def __init__(self, simulation: Simulation, trainer: Trainer, unit: Unit, lines: Sequence[int]) -> None:
        procedure = replace(simulation.procedure, trainer=trainer)  # type: ignore[type-var] # has a trainer
        own = replace(simulation, procedure=procedure)
        self._data, self._unit = simulation.data, unit
        training = TrainingData(self._data.x, self._data.label, len(self._data.classes), frame=self._data.frame)
        first = unit.keep(0, len(self._data))[:1]
        learned = procedure.learn(training, first, streams=streams_of(own, unit, [0]), device=own.device)
        self._states = versions_of(own, unit, training, learned, lines)

    def answer(self, version: int, place: int, rows: NDArray[np.intp]) -> NDArray[np.floating]:
        """Log posteriors of some of the unit's queries, by a version of the line at that place. -> [n, K]"""
        x, model = self._data.x[self._unit.queries.record[rows]], np.full(len(rows), place if version else 0)
        return self._states[version].models.log_posteriors(x, model)


def pair_to_compare(trainer: Trainer) -> tuple[Trainer | None, Trainer] | None:
    """What is compared: two trainers, or what the run has against a reference. None where there is no reference.

    Trainers with a short schedule are compared on that, both sides trained anew.
    """
    if not isinstance(trainer, Certified):
        return None
    short = trainer.short() if isinstance(trainer, Shortened) else None
    if short is not None:
        assert isinstance(short, Certified)
        return short, short.reference()
    return None, trainer.reference()


def n_certified(n_models: int, per_line: int) -> int:
    """How many lines of a run are trained again, of `per_line` models each."""
    return max(1, math.ceil(max(LEAST, SHARE * n_models) / per_line))


def _choose(seed: int, simulations: Mapping[str, Simulation], units: Mapping[str, Unit]) -> dict[str, tuple[int, ...]]:
    """Which lines of which units: drawn from all alike. -> address -> lines"""
    lines = [(address, line) for address, unit in units.items() for line in range(unit.pairs)]
    n_models = sum(simulations[unit.side].n_models(unit) for unit in units.values())
    per_line = min(1 + len(simulations[unit.side].trained(unit)) for unit in units.values())
    n = min(len(lines), n_certified(n_models, per_line))
    chosen: dict[str, tuple[int, ...]] = {}
    for each in np.sort(rng_for(seed, Stream.CERTIFY).choice(len(lines), n, replace=False)):
        address, line = lines[each]
        chosen[address] = (*chosen.get(address, ()), line)
    return chosen


def judge_gaps(trainer: Trainer, gaps: Sequence[Gap], *, rng: np.random.Generator) -> Certificate:
    """The certificate of models whose gaps to the reference are known: as promised, or by a test of their means."""
    largest = max(gap for gap, _ in gaps)
    has_short = isinstance(trainer, Shortened) and trainer.short() is not None
    promise = Promise.TOLERANCE if has_short else trainer.promise
    name = type(trainer).__name__
    if promise is Promise.DISTRIBUTION:
        tests = sign_flip_tests([shift for _, shift in gaps], rng=rng)
        p_value = min(1.0, len(tests) * min(test.p_value for test in tests))
        return Certificate(
            models=len(gaps),
            promise=trainer.promise.value,
            deviation=largest,
            allowed=None,
            p_value=p_value,
            passed=p_value >= SIGNIFICANCE,
            sentence=(
                f"{len(gaps)} models of {name} were retrained by its reference; their mean posteriors differ with "
                f"p = {p_value:.2g} (at least {SIGNIFICANCE} is asked for)."
            ),
        )
    allowed = ALLOWED[promise]
    short = " on a short schedule in float64" if has_short else ""
    return Certificate(
        models=len(gaps),
        promise=trainer.promise.value,
        deviation=largest,
        allowed=allowed,
        p_value=None,
        passed=largest <= allowed,
        sentence=(
            f"{len(gaps)} models of {name} were retrained by its reference{short}; posteriors differ by at most "
            f"{largest:.1g} ({allowed:g} is allowed)."
        ),
    )


def _kept(folder: RunFolder, of: str) -> Certificate | None:
    """The certificate in the folder, if it is that of these models."""
    from pydantic import TypeAdapter, ValidationError

    try:
        content: dict[str, Any] = json.loads(folder.read(FILE))
        if content["of"] != of:
            return None
        return TypeAdapter(Certificate).validate_python(content["certificate"])
    except (StoreError, ValueError, KeyError, TypeError, ValidationError):
        return None  # none yet, or damaged: it is made again
