"""The certificate: a random share of a run's models, retrained by the slow reference and compared."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aftertrace._hashing import digest
from aftertrace._random import Stream, rng_for
from aftertrace.engine import Engine
from aftertrace.errors import StoreError, TrainingError
from aftertrace.posteriors import Posteriors
from aftertrace.procedures import Retrain
from aftertrace.results import Certificate
from aftertrace.scenarios._assess import Progress
from aftertrace.scenarios._draw import Unit
from aftertrace.scenarios._simulate import Simulation, streams_of
from aftertrace.statistics import sign_flip_tests
from aftertrace.store import RunFolder
from aftertrace.trainers import ALLOWED, Certified, Promise, Shortened, Trainer, TrainingData

SHARE = 0.01
LEAST = 2
SIGNIFICANCE = 0.001
FILE = "certificate.json"

Gap = tuple[float, list[float]]
"""Of one model: the largest gap in posteriors, and gaps of means over queries, such as one for each class."""
_Task = tuple[Unit, tuple[int, ...], NDArray[np.floating], NDArray[np.int64]]


def certify(
    simulation: Simulation,
    units: Mapping[str, Unit],
    tables: Mapping[str, Posteriors],
    folder: RunFolder,
    engine: Engine,
    progress: Progress,
) -> Certificate | None:
    """Retrain 1 % of the models (at least 2) with the trainer's reference. None where the trainer has none.

    Exact and tolerance trainers must answer as promised at every query of the model. Where a trainer offers a short
    schedule, both sides are trained by that: rounding has no time to grow. Others must not differ in distribution:
    a sign-flip test over the models, at .001 (Bonferroni), of how far the mean posteriors of each class and of the
    true one are apart.

    The certificate is kept in the folder for the same models. Raises `TrainingError` where it fails.
    """
    procedure = simulation.procedure
    if not isinstance(procedure, Retrain) or pair_to_compare(procedure.trainer) is None:
        return None
    chosen = _choose(simulation.seed, units)
    of = digest({"units": list(units), "share": SHARE})
    kept = _kept(folder, of)
    if kept is None:
        tasks = [(units[a], versions, tables[a].log_values, tables[a].pair) for a, versions in chosen.items()]
        total, done = sum(map(len, chosen.values())), 0
        gaps: list[Gap] = []
        progress("certificate", 0, total)
        found: dict[int, list[Gap]] = {}
        for number, answer in engine.map(compare, simulation, tasks):
            found[number] = answer
            done += len(answer)
            progress("certificate", done, total)
        for number in range(len(tasks)):
            gaps += found[number]
        kept = judge_gaps(procedure.trainer, gaps, rng=rng_for(simulation.seed, Stream.CERTIFY, "test"))
        folder.write_json(FILE, {"of": of, "certificate": asdict(kept)})
    if not kept.passed:
        folder_hint = f"the posteriors are kept in {folder.path}"
        raise TrainingError(
            f"The certificate failed: {kept.sentence} The figures of this run cannot be relied on; {folder_hint}. "
            f"Please report this, and meanwhile name a scikit-learn class as model.name."
        )
    return kept


def compare(simulation: Simulation, task: _Task) -> list[Gap]:
    """Of each chosen version of a unit: the largest gap in posteriors, and the gaps of their means."""
    unit, versions, log_values, pair = task
    trainer = simulation.procedure.trainer  # type: ignore[attr-defined] # `certify` has checked the procedure
    data = simulation.data
    training = TrainingData(data.x, data.label, len(data.classes))
    keep = np.zeros((len(versions), len(data)), dtype=bool)
    keep[:, unit.train] = True
    for row, version in enumerate(versions):
        if version:
            keep[row, unit.deleted[version - 1]] = False
    streams = streams_of(simulation, unit, versions)
    compared = pair_to_compare(trainer)
    assert compared is not None  # `certify` has asked
    shortened, slow = compared
    fast = None if shortened is None else shortened.fit(training, keep, streams=streams, device=simulation.device)
    # on a short schedule both draw their masks on one device; other references know the CPU only
    reference = slow.fit(training, keep, streams=streams, device="cpu" if fast is None else simulation.device)
    record = unit.queries.record
    gaps = []
    for row, version in enumerate(versions):
        asked = np.flatnonzero(pair == version - 1) if version else np.arange(len(pair))
        x, model = data.x[record[asked]], np.full(len(asked), row)
        theirs = reference.log_posteriors(x, model)
        ours = log_values[asked, min(version, 1)] if fast is None else fast.log_posteriors(x, model)
        at_label = np.arange(len(asked)), data.label[record[asked]]
        gap = np.exp(ours) - np.exp(theirs)
        gaps.append((float(np.abs(gap).max()), [*gap.mean(axis=0).tolist(), float(gap[at_label].mean())]))
    return gaps


def pair_to_compare(trainer: Trainer) -> tuple[Trainer | None, Trainer] | None:
    """What is compared: two trainers, or what the run has against a reference. None where there is no reference.

    Trainers with a short schedule are compared on that, both sides trained anew.
    """
    if not isinstance(trainer, Certified):
        return None
    if isinstance(trainer, Shortened):
        short = trainer.short()
        assert isinstance(short, Certified)
        return short, short.reference()
    return None, trainer.reference()


def n_certified(n_models: int) -> int:
    """How many of a run's models are trained again."""
    return min(n_models, max(LEAST, math.ceil(SHARE * n_models)))


def _choose(seed: int, units: Mapping[str, Unit]) -> dict[str, tuple[int, ...]]:
    """Which versions of which units: drawn from all models alike. -> address -> versions"""
    models = [(address, version) for address, unit in units.items() for version in range(unit.n_models)]
    drawn = rng_for(seed, Stream.CERTIFY).choice(len(models), n_certified(len(models)), replace=False)
    chosen: dict[str, tuple[int, ...]] = {}
    for each in np.sort(drawn):
        address, version = models[each]
        chosen[address] = (*chosen.get(address, ()), version)
    return chosen


def judge_gaps(trainer: Trainer, gaps: Sequence[Gap], *, rng: np.random.Generator) -> Certificate:
    """The certificate of models whose gaps to the reference are known: as promised, or by a test of their means."""
    largest = max(gap for gap, _ in gaps)
    has_short = isinstance(trainer, Shortened)
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
