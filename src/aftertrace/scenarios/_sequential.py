"""An audit that goes on until it is decided: block after block of target originals, looked at after each."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from aftertrace._random import Stream, rng_for
from aftertrace.attacks import Attack
from aftertrace.engine import Engine
from aftertrace.errors import ExperimentError
from aftertrace.posteriors import Posteriors
from aftertrace.results import SequentialResult, Standing
from aftertrace.scenarios._assess import Progress
from aftertrace.scenarios._draw import SIDES
from aftertrace.scenarios._experiment import Experiment
from aftertrace.scenarios._persons import Persons
from aftertrace.scenarios._sides import drawn_units, person_at, seen
from aftertrace.scenarios._simulate import Simulation
from aftertrace.scenarios._units import obtain
from aftertrace.statistics import auc_by_original, confidence_sequence
from aftertrace.store import RunFolder

MOST_ORIGINALS = 1000
_Look = tuple[int, float, float, float]  # originals, estimate, low, high


def decide(
    experiment: Experiment,
    attack: Attack,
    simulations: Mapping[str, Simulation],
    folder: RunFolder,
    engine: Engine,
    progress: Progress,
    *,
    most_originals: int,
    keep_models: bool,
) -> tuple[Experiment, SequentialResult, list[str]]:
    """Train blocks of `scenario.target.originals` until the verdict's attack decides, at most `most_originals`.

    Decided: the interval of the confidence sequence for the mean of the AUCs inside originals leaves the verdict's
    limit L (all above L, or all below 1 - L), or lies within [1 - L, L]. Originals without both roles, as coins
    may give them, have no AUC. Returns the experiment with as many target originals as were trained, all kept in the
    folder, what was seen, and the addresses of files that were damaged. A killed run looks at the same again.

    Raises `ExperimentError` without a limit.
    """
    limit, block = experiment.largest_auc, experiment.scenario.target.originals
    if limit is None:
        raise ExperimentError(["limits.auc: going on until decided needs a limit, such as 0.6, got none"])
    scorer, values, trained = None, np.empty(0), 0
    looks: list[_Look] = []
    replaced: list[str] = []
    while True:
        grown = _with_originals(experiment, min(most_originals, block * (len(looks) + 1)))
        drawn = drawn_units(grown, simulations)
        drawn_now = {
            "shadow": [unit for unit in drawn if unit.side == "shadow"] if scorer is None else [],
            "target": [unit for unit in drawn if unit.side == "target"][trained:],
        }
        units = {simulations[side].address(unit): unit for side, some in drawn_now.items() for unit in some}
        finished, damaged = obtain(simulations, units, folder, engine, progress, keep_models=keep_models)
        own = {side: [done for a, done in finished.items() if units[a].side == side] for side in SIDES}
        if scorer is None:
            shadow = seen(grown, simulations, "shadow", own["shadow"])
            scorer = attack.fit(shadow, rng=rng_for(experiment.seed, Stream.ATTACK, attack.name))
        target = seen(grown, simulations, "target", own["target"])
        replaced += damaged
        trained = grown.scenario.target.originals
        score, persons = scorer.score(target), Persons.at(target, person_at(grown, simulations, "target", target))
        if persons is not None:
            score, target = persons.mean(score), persons.table
        values = np.concatenate([values, _aucs(score, target)])
        estimate, low, high = _interval(values, experiment.verdict.confidence)
        looks.append((trained, estimate, low, high))
        decided = Standing.of_auc(low, high, limit) is not Standing.UNDECIDED
        progress(f"note: {trained} originals: mean AUC {estimate:.3f}, {low:.3f} to {high:.3f}", 0, 0)
        if decided or trained >= most_originals:
            return grown, _result(attack, experiment.verdict.confidence, looks, decided), replaced


def _aucs(score: np.ndarray, target: Posteriors) -> np.ndarray:
    """One AUC per original of the block that has both roles."""
    rows = np.flatnonzero(target.is_compared)
    own = auc_by_original(score[rows], target.is_attacked[rows], target.original[rows])[1]
    return own[np.isfinite(own)]


def _interval(values: np.ndarray, confidence: float) -> tuple[float, float, float]:
    """Estimate and ends after the last of the AUCs; everything is possible where there is none."""
    if not len(values):
        return 0.5, 0.0, 1.0
    sequence = confidence_sequence(values, confidence=confidence)
    return float(sequence.estimate[-1]), float(sequence.low[-1]), float(sequence.high[-1])


def _with_originals(experiment: Experiment, originals: int) -> Experiment:
    scenario = experiment.scenario
    return replace(experiment, scenario=replace(scenario, target=replace(scenario.target, originals=originals)))


def _result(attack: Attack, confidence: float, looks: list[_Look], decided: bool) -> SequentialResult:
    originals, estimate, low, high = (tuple(column) for column in zip(*looks, strict=True))
    return SequentialResult(
        attack=attack.name,
        confidence=confidence,
        decided=decided,
        originals=originals,
        estimate=estimate,
        low=low,
        high=high,
    )
