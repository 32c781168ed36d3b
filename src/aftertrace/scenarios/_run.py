"""An experiment, from its file to its result on disk."""

import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from aftertrace._hashing import canonical, digest
from aftertrace.attacks import Adversary, Attack
from aftertrace.data import Dataset, load
from aftertrace.engine import Engine, InProcess
from aftertrace.posteriors import Posteriors, Role, Use
from aftertrace.procedures import Procedure, Retrain
from aftertrace.results import (
    Certificate,
    Counts,
    DataSummary,
    Overfitting,
    Result,
    Scores,
    SequentialResult,
    Spread,
    Training,
)
from aftertrace.scenarios._assess import Assessment, Progress, assess
from aftertrace.scenarios._certify import certify
from aftertrace.scenarios._draw import SIDES, draw_units
from aftertrace.scenarios._experiment import Experiment
from aftertrace.scenarios._groups import groups_of
from aftertrace.scenarios._memory import process_bytes, within
from aftertrace.scenarios._sequential import MOST_ORIGINALS, decide
from aftertrace.scenarios._simulate import LIBRARIES, Probe, Simulation, library_version, warm_up
from aftertrace.scenarios._statements import not_tested, run_notes, threat_model
from aftertrace.scenarios._toml import to_toml
from aftertrace.scenarios._units import obtain, side_of
from aftertrace.scenarios._verdict import Judgement
from aftertrace.store import RunFolder, make_folder
from aftertrace.trainers import is_compiled

COMPILING = "note: the first run after an installation compiles the trainers, which takes about a minute"


@dataclass(frozen=True, kw_only=True)
class Run:
    """A finished run: what it found, every score, and where it is."""

    result: Result
    scores: Scores
    folder: Path


def run_experiment(
    experiment: Experiment,
    *,
    out: Path | None = None,
    data_dir: Path | None = None,
    engine: Engine | None = None,
    force: bool = False,
    procedure: Procedure | None = None,
    attacks: Sequence[Attack] = (),
    probes: Mapping[str, Probe] | None = None,
    device: str = "cpu",
    memory: int | None = None,
    keep_models: bool = False,
    until_decided: bool = False,
    most_originals: int = MOST_ORIGINALS,
    progress: Progress = lambda stage, done, total: None,
) -> Run:
    """Simulate, attack and judge; keep everything in `out` (default: a folder below `runs/` named by content).

    Finished units are read, not trained again: run a killed run again to resume it. `procedure` replaces the
    experiment's model and procedure; `attacks` are added to the experiment's; `probes` measure more. Models are
    trained on `device`. As many units are at work at once as the engine has workers and `memory` bytes hold (default:
    a quarter of the machine's). `keep_models`: the models of each unit stay too, in `models/`. `until_decided`: target
    originals are added, as many at a time as the experiment has, until the verdict is decided or there are
    `most_originals`; the verdict is then that of a confidence sequence, which looking does not spoil.
    """
    engine = engine or InProcess()
    if not is_compiled():
        progress(COMPILING, 0, 0)
    started = time.monotonic()
    engine.prepare(warm_up)
    data = load(experiment.data, data_dir=data_dir)
    groups = groups_of(data, experiment.verdict.slices)
    simulation = Simulation(
        data=data,
        procedure=procedure or experiment.build_procedure(),
        seed=experiment.seed,
        probes=probes or {},
        device=device,
    )
    drawn = draw_units(experiment.scenario, n_records=len(data), seed=experiment.seed)
    engine = within(engine, [process_bytes(simulation, unit) for unit in drawn], memory, progress)
    identity = _identity(experiment, simulation)
    folder = RunFolder.open(out or default_folder(identity, experiment), identity=identity, force=force)
    folder.write("experiment.toml", to_toml(experiment.as_dict()))
    if keep_models:
        _describe_models(simulation, folder)
    every_attack = (*experiment.build_attacks(), *attacks)
    sequence, replaced = None, list[str]()
    if until_decided:
        by_verdict = next(each for each in every_attack if each.name == experiment.verdict.attack)
        experiment, sequence, replaced = decide(
            experiment,
            by_verdict,
            simulation,
            folder,
            engine,
            progress,
            most_originals=most_originals,
            keep_models=keep_models,
        )
        drawn = draw_units(experiment.scenario, n_records=len(data), seed=experiment.seed)
    units = {simulation.address(unit): unit for unit in drawn}
    finished, damaged = obtain(simulation, units, folder, engine, progress, keep_models=keep_models)
    tables = {address: table for address, (table, _) in finished.items()}
    certificate = certify(simulation, units, tables, folder, engine, progress)
    trained = time.monotonic()

    shadow, shadow_facts = side_of([finished[a] for a, unit in units.items() if unit.side == "shadow"])
    target, target_facts = side_of([finished[a] for a, unit in units.items() if unit.side == "target"])
    verdict = experiment.verdict
    judgement = Judgement(
        attack=verdict.attack,
        limit=verdict.limit,
        claim=verdict.claim,
        crossed=experiment.scenario.pools == "fixed",
        confidence=verdict.confidence,
        seed=experiment.seed,
        sequence=sequence,
    )
    assessment = assess(
        shadow,
        target,
        every_attack,
        judgement,
        engine=engine,
        progress=progress,
        adversary=Adversary(experiment.scenario.adversary),
        features=data.x[target.record],
        groups={name: group.at(target.record) for name, group in groups.items()},
    )
    counts = counts_of(target, [*shadow_facts, *target_facts])
    training = _training(simulation.procedure, [*shadow_facts, *target_facts], certificate)
    overfitting = overfitting_of(target_facts)
    result = result_of(experiment, procedure, data, assessment, counts, training, overfitting, sequence)
    folder.write("scores.parquet", assessment.scores.to_parquet())
    folder.write("result.json", result.to_json())
    seconds = {"training": round(trained - started, 3), "attacks": round(time.monotonic() - trained, 3)}
    folder.write_json(
        "manifest.json",
        {
            **folder.read_manifest(),
            **circumstances(device),
            "seconds": seconds,
            "retrained_because_damaged": [*replaced, *damaged],
            "units": list(units),
        },
    )
    return Run(result=result, scores=assessment.scores, folder=folder.path)


def result_of(
    experiment: Experiment,
    procedure: Procedure | None,
    data: Dataset,
    assessment: Assessment,
    counts: Counts,
    training: Training | None,
    overfitting: Overfitting,
    sequence: SequentialResult | None = None,
) -> Result:
    """The assessment with everything that a reader must know beside it."""
    model = experiment.model.name if procedure is None else type(procedure).__name__
    return Result(
        title=f"{model} on {data.name}",
        verdict=assessment.verdict,
        attacks=assessment.attacks,
        controls=assessment.controls,
        counts=counts,
        overfitting=overfitting,
        data=DataSummary(
            name=data.name,
            records=len(data),
            features=len(data.columns),
            classes=data.classes,
            fingerprint=data.fingerprint,
            notes=data.notes,
        ),
        settings=_public_settings(experiment, procedure),
        threat_model=threat_model(experiment, custom=procedure is not None),
        not_tested=not_tested(experiment),
        notes=run_notes(experiment, counts, sequence),
        training=training,
        slices=assessment.slices,
        discoveries=assessment.discoveries,
        sequence=sequence,
    )


def circumstances(device: str) -> dict[str, Any]:
    """When, on what and with which libraries: for the manifest, never for the result."""
    return {
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "libraries": {name: library_version(name) for name in ("aftertrace", *LIBRARIES, "pyarrow")},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": device,
    }


def default_folder(identity: Mapping[str, Any], experiment: Experiment) -> Path:
    """A folder below `runs/`, the same for the same experiment, so that running it again resumes it."""
    return Path("runs") / f"{type(experiment.data).name}-{experiment.model.name.split(':')[-1]}-{digest(identity)[:8]}"


def _identity(experiment: Experiment, simulation: Simulation) -> dict[str, Any]:
    """What a run folder keeps for its life. The numbers of originals may grow, attacks and verdict may change."""
    settings = experiment.as_dict()
    scenario = settings["scenario"]
    for side in SIDES:
        scenario[side] = {key: value for key, value in scenario[side].items() if key != "originals"}
    return {
        "seed": experiment.seed,
        "data": {"name": simulation.data.name, "fingerprint": simulation.data.fingerprint},
        "model": settings["model"],
        "procedure": canonical(simulation.procedure),
        "scenario": scenario,
        "probes": canonical(simulation.probes),
        "device": simulation.device.partition(":")[0],
    }


def _describe_models(simulation: Simulation, folder: RunFolder) -> None:
    """What the arrays in `models/` are of."""
    make_folder(folder.models_path)
    description = {
        "procedure": canonical(simulation.procedure),
        "columns": list(simulation.data.columns),
        "classes": list(simulation.data.classes),
    }
    folder.write_json("models/models.json", description)


def counts_of(target: Posteriors, facts: Sequence[Mapping[str, Any]]) -> Counts:
    evaluated = target.role[target.use == Use.EVALUATE]
    return Counts(
        originals=len(np.unique(target.original)),
        pairs=len(np.unique(target.pair)),
        deleted=int((evaluated == Role.DELETED).sum()),
        unseen=int((evaluated == Role.UNSEEN).sum()),
        held_out=int((target.use == Use.HELD_OUT).sum()),
        retained=int((evaluated == Role.RETAINED).sum()),
        models=sum(each["counts"].get("models", 0) for each in facts),
        unconverged=sum(each["counts"].get("unconverged", 0) for each in facts),
    )


def _training(
    procedure: Procedure, facts: Sequence[Mapping[str, Any]], certificate: Certificate | None
) -> Training | None:
    """What the result says of the training; None for a procedure of the user's own."""
    if not isinstance(procedure, Retrain):
        return None
    names = sorted({name for each in facts for name in each["worst"]})
    return Training(
        trainer=type(procedure.trainer).__name__,
        promise=procedure.trainer.promise.value,
        fallbacks=sum(each["counts"].get("fallbacks", 0) for each in facts),
        worst={name: max(each["worst"].get(name, 0.0) for each in facts) for name in names},
        certificate=certificate,
    )


def overfitting_of(facts: Sequence[Mapping[str, float]]) -> Overfitting:
    train, test = (np.array([each[name] for each in facts]) for name in ("train_accuracy", "test_accuracy"))
    return Overfitting(train_accuracy=_spread(train), test_accuracy=_spread(test), gap=_spread(train - test))


def _spread(values: np.ndarray) -> Spread:
    return Spread(mean=float(values.mean()), low=float(values.min()), high=float(values.max()))


def _public_settings(experiment: Experiment, procedure: Procedure | None) -> dict[str, Any]:
    """The settings, with a procedure that replaces the experiment's."""
    settings = experiment.public_dict()
    if procedure is not None:
        settings["procedure"] = canonical(procedure)
        del settings["model"]
    return settings
