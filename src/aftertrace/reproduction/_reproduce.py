"""Running the studies: settings become experiments, AUCs inside originals become verdicts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aftertrace.engine import Engine
from aftertrace.errors import ExperimentError
from aftertrace.posteriors import Role, Use
from aftertrace.reproduction._claims import judged
from aftertrace.reproduction._scales import Scale
from aftertrace.reproduction._studies import NOTES, STUDIES, Setting, Study
from aftertrace.results import FigureRow, ReproductionResult, Result, Scores, StudyResult
from aftertrace.scenarios import Cell, Experiment, nested, run_cells
from aftertrace.statistics import Interval, auc_by_original, mean_interval
from aftertrace.store import Kind, RunFolder

CONFIDENCE = 0.95
CONFIDENT = "more than one half for the true class"
"""Beside the attacks: the share of unseen queries of each original that the later version gives that."""
Aucs = Mapping[str, NDArray[np.float64]]
"""Attack -> AUC inside each original [m]."""


def reproduce(
    scale: Scale,
    *,
    only: Sequence[str] = (),
    out: Path,
    data_dir: Path | None = None,
    engine: Engine,
    memory: int | None = None,
    force: bool = False,
    progress: Any = lambda stage, done, total: None,
) -> tuple[ReproductionResult, Path]:
    """Run the studies of `only` (by default all) at a scale, and judge their claims. Writes `reproduction.json`.

    Every setting is run with redrawn records, for the verdicts; all but the long ones also with the paper's fixed
    pools, for comparison with its code. Settings alike in several studies are run once; finished ones are read. A
    setting that cannot run, for want of data, is said with the reason.

    Raises `ExperimentError` for names that are not those of studies.
    """
    unknown = [name for name in only if name not in STUDIES]
    if unknown:
        raise ExperimentError([f"`only`: there is no study {unknown[0]!r}; known are {', '.join(STUDIES)}"])
    kind = Kind("reproduction", "a reproduction of another size")
    folder = RunFolder.open(out, identity={"reproduction": scale.name}, kind=kind, force=force)
    studies = [STUDIES[name] for name in only or STUDIES]
    cells = {key: cell for study in studies for key, cell in _cells(study, scale)}
    unique = {cell.folder: cell for cell in cells.values()}
    found = dict(
        zip(
            unique,
            run_cells(
                list(unique.values()),
                folder.path,
                data_dir=data_dir,
                engine=engine,
                memory=memory,
                progress=progress,
            ),
            strict=True,
        )
    )
    results = {key: found[cell.folder] for key, cell in cells.items()}
    aucs = {
        key: _aucs(folder.path / "runs" / cells[key].folder)
        for key, result in results.items()
        if isinstance(result, Result)
    }
    made = ReproductionResult(
        scale=scale.name,
        sizes=(
            f"{scale.originals} shadow and {scale.originals} target originals of 2 000 records, {scale.pairs} "
            f"deletions of each; forests and multilayer perceptrons {scale.forest[0]} and {scale.forest[1]}; "
            f"networks on images {scale.images[0]} and {scale.images[1]}, of {scale.images[2]} records"
        ),
        studies=tuple(_study(study, scale, results, aucs) for study in studies),
        notes=NOTES,
    )
    folder.write("reproduction.json", made.to_json())
    return made, folder.path


_Key = tuple[str, str, str, int]
"""Study, label of the setting, pools, seed."""


def _cells(study: Study, scale: Scale) -> Iterator[tuple[_Key, Cell]]:
    for setting in study.settings:
        if setting.runs_at(scale):
            for pools in ("redrawn", "fixed") if _has_fixed(setting) else ("redrawn",):
                for seed in _seeds(setting, scale, pools):
                    experiment = experiment_of(setting, scale, pools=pools, seed=seed)
                    yield (study.name, setting.label, pools, seed), Cell(values={}, experiment=experiment)


def _seeds(setting: Setting, scale: Scale, pools: str) -> tuple[int, ...]:
    return scale.asked_seeds if pools == "fixed" and setting.fixed and setting.size == "table" else scale.seeds


def _has_fixed(setting: Setting) -> bool:
    """Whether a setting is run with fixed pools too: all that are cheap, and those with a figure to compare with."""
    return setting.fixed or setting.size == "table"


def experiment_of(setting: Setting, scale: Scale, *, pools: str, seed: int) -> Experiment:
    """A setting as an experiment. With fixed pools the sizes are always the released code's: 10 originals, 20 pairs."""
    match setting.size:
        case "smoke":
            originals, pairs, records = 1, 1, 300
        case "images":
            originals, pairs, records = scale.images
        case "forest":
            originals, pairs, records = *scale.forest, 2000
        case _:
            originals, pairs, records = (10 if pools == "fixed" else scale.originals), scale.pairs, 2000
    side = {"originals": originals, "pairs": pairs, "records": records}
    defaults = {
        "seed": seed,
        "procedure.seed": "fresh",
        "scenario.pools": pools,
        "scenario.shadow": side,
        "scenario.target": dict(side),
        "attacks.classifiers": ["tree"],
        "attacks.learned": [],
        "attacks.scores": ["LogitDrop", "EucDist"],
        "verdict.attack": "LogitDrop",
    }
    return Experiment.from_dict(nested({**defaults, **setting.changes}), source=setting.label)


def _aucs(path: Path) -> Aucs:
    """AUC of every attack inside each target original of a finished run."""
    folder = RunFolder(path)
    scores = Scores.from_parquet(folder.read("scores.parquet"))
    result = Result.from_json(folder.read("result.json"))
    rows = np.flatnonzero((scores.use == Use.EVALUATE) & np.isin(scores.role, (result.attacked, Role.UNSEEN)))
    is_attacked = scores.role[rows] == result.attacked
    found = {
        name: auc_by_original(score[rows], is_attacked, scores.original[rows])[1]
        for name, score in scores.score.items()
    }
    unseen = scores.role == Role.UNSEEN
    _, original = np.unique(scores.original[unseen], return_inverse=True)
    right = (scores.phi[unseen, 1] > 0).astype(np.float64)  # of two classes, the more likely one is the true one
    return {**found, CONFIDENT: np.bincount(original, right) / np.bincount(original)}


def _study(study: Study, scale: Scale, results: Mapping[_Key, Result | str], aucs: Mapping[_Key, Aucs]) -> StudyResult:
    settings = [setting for setting in study.settings if setting.runs_at(scale)]
    fixed = {each.label: _joined(study, each, scale, "fixed", aucs) for each in settings if _has_fixed(each)}
    redrawn = {setting.label: _joined(study, setting, scale, "redrawn", aucs) for setting in settings}
    return StudyResult(
        name=study.name,
        title=study.title,
        source=study.source,
        attacks=study.shown,
        claims=tuple(
            judged(claim, redrawn, fixed=fixed, confidence=CONFIDENCE)
            for claim in study.claims
            if any(term.setting in redrawn for term in claim.terms)  # others are of larger scales
        ),
        rows=tuple(_row(study, setting, scale, results, aucs, redrawn[setting.label]) for setting in settings),
        notes=study.notes,
    )


def _joined(study: Study, setting: Setting, scale: Scale, pools: str, aucs: Mapping[_Key, Aucs]) -> Aucs:
    """Originals of all seeds, one after another; nothing where a seed is missing."""
    keys = [(study.name, setting.label, pools, seed) for seed in _seeds(setting, scale, pools)]
    if not all(key in aucs for key in keys):
        return {}
    return {attack: np.concatenate([aucs[key][attack] for key in keys]) for attack in aucs[keys[0]]}


def _row(
    study: Study,
    setting: Setting,
    scale: Scale,
    results: Mapping[_Key, Result | str],
    aucs: Mapping[_Key, Aucs],
    redrawn: Aucs,
) -> FigureRow:
    keys = [key for key in results if key[:2] == (study.name, setting.label)]
    own = [results[key] for key in keys]
    errors = [result for result in own if isinstance(result, str)]
    row = FigureRow(
        setting=setting.label,
        auc=_intervals(study, redrawn),
        fixed=_fixed(study, setting, scale, aucs),
        reference=setting.reference,
        asked_of=setting.asked[0] if setting.asked else "",
        asked=setting.asked[1:] if setting.asked else None,
        error=errors[0] if errors else "",
    )
    if setting.baseline:
        row = replace(row, loss=_accuracy_lost(study, setting, scale, aucs))
    first = next((results[key] for key in keys if key[2] == "redrawn"), None)
    if not isinstance(first, Result):
        return row
    own_accuracy = first.overfitting
    return replace(
        row,
        models=sum(result.counts.models for result in own if isinstance(result, Result)),
        train_accuracy=None if own_accuracy is None else own_accuracy.train_accuracy.mean,
        test_accuracy=None if own_accuracy is None else own_accuracy.test_accuracy.mean,
        loss=row.loss if first.utility is None else first.utility.accuracy_lost,
        privacy="" if first.privacy is None else first.privacy.sentence,
    )


def _accuracy_lost(study: Study, setting: Setting, scale: Scale, aucs: Mapping[_Key, Aucs]) -> Interval | None:
    """Accuracy of the later version on unseen queries, without the defense minus with it, in the same originals."""
    baseline = next(each for each in study.settings if each.label == setting.baseline)
    without, own = (_joined(study, each, scale, "redrawn", aucs) for each in (baseline, setting))
    if CONFIDENT not in without or CONFIDENT not in own:
        return None
    return mean_interval(without[CONFIDENT] - own[CONFIDENT], confidence=CONFIDENCE)


def _intervals(study: Study, aucs: Aucs) -> dict[str, Interval]:
    return {name: _interval(aucs[name]) for name in study.shown if name in aucs}


def _interval(values: NDArray[np.float64]) -> Interval:
    finite = values[np.isfinite(values)]
    if len(finite) < 2:
        return Interval(
            float(finite.mean()) if len(finite) else 0.5, None, None, CONFIDENCE, len(finite), "none", "few"
        )
    interval = mean_interval(finite, confidence=CONFIDENCE)
    assert interval.low is not None
    assert interval.high is not None
    return replace(interval, low=max(0.0, interval.low), high=min(1.0, interval.high))  # an AUC lies there


def _fixed(study: Study, setting: Setting, scale: Scale, aucs: Mapping[_Key, Aucs]) -> dict[str, Interval]:
    """With fixed pools: the mean over seeds, and the range of single seeds in the place of an interval."""
    keys = [(study.name, setting.label, "fixed", seed) for seed in _seeds(setting, scale, "fixed")]
    if not _has_fixed(setting) or not all(key in aucs for key in keys):
        return {}
    found = {}
    for name in dict.fromkeys((*study.shown, *setting.reference)):
        means = np.array([np.nanmean(aucs[key][name]) for key in keys])
        many = len(means) > 1
        found[name] = Interval(
            float(means.mean()),
            float(means.min()) if many else None,
            float(means.max()) if many else None,
            CONFIDENCE,
            len(means),
            "mean and range over seeds",
        )
    return found
