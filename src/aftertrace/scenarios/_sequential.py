"""An audit that goes on until it is decided: block after block of target originals, looked at after each."""

from dataclasses import replace

import numpy as np

from aftertrace._random import Stream, rng_for
from aftertrace.attacks import Attack
from aftertrace.engine import Engine
from aftertrace.errors import ExperimentError
from aftertrace.posteriors import Posteriors, Role, Use
from aftertrace.results import Outcome, SequentialResult
from aftertrace.scenarios._assess import Progress
from aftertrace.scenarios._draw import draw_units
from aftertrace.scenarios._experiment import Experiment
from aftertrace.scenarios._simulate import Simulation
from aftertrace.scenarios._units import Finished, obtain, side_of
from aftertrace.scenarios._verdict import outcome_of
from aftertrace.statistics import ConfidenceSequence, auc_by_original, confidence_sequence
from aftertrace.store import RunFolder

MOST_ORIGINALS = 1000
_Look = tuple[int, float, float, float]  # originals, estimate, low, high


def decide(
    experiment: Experiment,
    attack: Attack,
    simulation: Simulation,
    folder: RunFolder,
    engine: Engine,
    progress: Progress,
    *,
    most_originals: int,
    keep_models: bool,
) -> tuple[Experiment, SequentialResult]:
    """Train blocks of `scenario.target.originals` until the verdict's attack decides, at most `most_originals`.

    Decided: the interval of the confidence sequence for the mean of the AUCs inside originals leaves the verdict's
    limit L (all above L, or all below 1 - L), or lies within [1 - L, L]. Returns the experiment with as many target
    originals as were trained, all kept in the folder, and what was seen. A killed run looks at the same again.

    Raises `ExperimentError` without a limit.
    """
    limit, block = experiment.verdict.limit, experiment.scenario.target.originals
    if limit is None:
        raise ExperimentError(["verdict.limit: going on until decided needs a limit, such as 0.6, got none"])
    scorer, values = None, np.empty(0)
    looks: list[_Look] = []
    while True:
        grown = _with_originals(experiment, min(most_originals, block * (len(looks) + 1)))
        drawn = draw_units(grown.scenario, n_records=len(simulation.data), seed=grown.seed)
        sides = {
            "shadow": [unit for unit in drawn if unit.side == "shadow"] if scorer is None else [],
            "target": [unit for unit in drawn if unit.side == "target"][len(values) :],
        }
        units = {simulation.address(unit): unit for own in sides.values() for unit in own}
        finished, _ = obtain(simulation, units, folder, engine, progress, keep_models=keep_models)
        tables = {side: _table([finished[simulation.address(unit)] for unit in own]) for side, own in sides.items()}
        if scorer is None:
            scorer = attack.fit(tables["shadow"], rng=rng_for(experiment.seed, Stream.ATTACK, attack.name))
        target = tables["target"]
        assert target is not None
        values = np.concatenate([values, _aucs(scorer.score(target), target)])
        sequence = confidence_sequence(values, confidence=experiment.verdict.confidence)
        estimate, low, high = (float(each[-1]) for each in (sequence.estimate, sequence.low, sequence.high))
        looks.append((len(values), estimate, low, high))
        decided = outcome_of(low, high, limit) is not Outcome.INCONCLUSIVE
        progress(f"note: {len(values)} originals: mean AUC {estimate:.3f}, {low:.3f} to {high:.3f}", 0, 0)
        if decided or len(values) >= most_originals:
            return grown, _result(attack, sequence, looks, decided)


def _table(finished: list[Finished]) -> Posteriors | None:
    return side_of(finished)[0] if finished else None


def _aucs(score: np.ndarray, target: Posteriors) -> np.ndarray:
    """One AUC per original of the block."""
    rows = np.flatnonzero((target.use == Use.EVALUATE) & np.isin(target.role, (Role.DELETED, Role.UNSEEN)))
    return auc_by_original(score[rows], target.role[rows] == Role.DELETED, target.original[rows])[1]


def _with_originals(experiment: Experiment, originals: int) -> Experiment:
    scenario = experiment.scenario
    return replace(experiment, scenario=replace(scenario, target=replace(scenario.target, originals=originals)))


def _result(attack: Attack, sequence: ConfidenceSequence, looks: list[_Look], decided: bool) -> SequentialResult:
    originals, estimate, low, high = (tuple(column) for column in zip(*looks, strict=True))
    return SequentialResult(
        attack=attack.name,
        confidence=sequence.confidence,
        decided=decided,
        originals=originals,
        estimate=estimate,
        low=low,
        high=high,
    )
