"""An experiment, from its file to its result on disk."""

import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from aftertrace._hashing import canonical, digest
from aftertrace.attacks import Attack
from aftertrace.data import Dataset, load
from aftertrace.engine import Engine, InProcess
from aftertrace.errors import StoreError
from aftertrace.posteriors import Posteriors, Role, Use, concatenate
from aftertrace.procedures import Procedure, Retrain
from aftertrace.results import Certificate, Counts, DataSummary, Overfitting, Result, Scores, Spread, Training
from aftertrace.scenarios._assess import Assessment, Progress, assess
from aftertrace.scenarios._certify import certify
from aftertrace.scenarios._draw import SIDES, Unit, draw_units
from aftertrace.scenarios._experiment import Experiment, to_toml
from aftertrace.scenarios._memory import process_bytes, within
from aftertrace.scenarios._simulate import LIBRARIES, Probe, Simulation, library_version, simulate, warm_up
from aftertrace.scenarios._statements import not_tested, run_notes, threat_model
from aftertrace.scenarios._verdict import Judgement
from aftertrace.store import RunFolder, make_folder
from aftertrace.trainers import is_compiled

COMPILING = "note: the first run after an installation compiles the trainers, which takes about a minute"
_Finished = tuple[Posteriors, Mapping[str, Any]]


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
    progress: Progress = lambda stage, done, total: None,
) -> Run:
    """Simulate, attack and judge; keep everything in `out` (default: a folder below `runs/` named by content).

    Finished units are read, not trained again: run a killed run again to resume it. `procedure` replaces the
    experiment's model and procedure; `attacks` are added to the experiment's; `probes` measure more. Models are
    trained on `device`. As many units are at work at once as the engine has workers and `memory` bytes hold (default:
    a quarter of the machine's). `keep_models`: the models of each unit stay too, in `models/`.
    """
    engine = engine or InProcess()
    if not is_compiled():
        progress(COMPILING, 0, 0)
    started = time.monotonic()
    engine.prepare(warm_up)
    data = load(experiment.data, data_dir=data_dir)
    drawn = draw_units(experiment.scenario, n_records=len(data), seed=experiment.seed)
    simulation = Simulation(
        data=data,
        procedure=procedure or experiment.build_procedure(),
        seed=experiment.seed,
        probes=probes or {},
        device=device,
    )
    engine = within(engine, [process_bytes(simulation, unit) for unit in drawn], memory, progress)
    identity = _identity(experiment, simulation)
    folder = RunFolder.open(out or default_folder(identity, experiment), identity=identity, force=force)
    folder.write("experiment.toml", to_toml(experiment.as_dict()))
    units = {simulation.address(unit): unit for unit in drawn}
    if keep_models:
        _describe_models(simulation, folder)
    finished, damaged = _obtain(simulation, units, folder, engine, progress, keep_models=keep_models)
    tables = {address: table for address, (table, _) in finished.items()}
    certificate = certify(simulation, units, tables, folder, engine, progress)
    trained = time.monotonic()

    shadow, shadow_facts = _side([finished[a] for a, unit in units.items() if unit.side == "shadow"])
    target, target_facts = _side([finished[a] for a, unit in units.items() if unit.side == "target"])
    verdict = experiment.verdict
    judgement = Judgement(
        attack=verdict.attack, limit=verdict.limit, confidence=verdict.confidence, seed=experiment.seed
    )
    every_attack = (*experiment.build_attacks(), *attacks)
    assessment = assess(shadow, target, every_attack, judgement, engine=engine, progress=progress)
    counts = counts_of(target, [*shadow_facts, *target_facts])
    training = _training(simulation.procedure, [*shadow_facts, *target_facts], certificate)
    result = result_of(experiment, procedure, data, assessment, counts, training, overfitting_of(target_facts))
    folder.write("scores.parquet", assessment.scores.to_parquet())
    folder.write("result.json", result.to_json())
    seconds = {"training": round(trained - started, 3), "attacks": round(time.monotonic() - trained, 3)}
    folder.write_json(
        "manifest.json",
        {
            **folder.read_manifest(),
            **circumstances(device),
            "seconds": seconds,
            "retrained_because_damaged": damaged,
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
        notes=run_notes(experiment, counts),
        training=training,
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


def _obtain(
    simulation: Simulation,
    units: Mapping[str, Unit],
    folder: RunFolder,
    engine: Engine,
    progress: Progress,
    *,
    keep_models: bool,
) -> tuple[dict[str, _Finished], list[str]]:
    """All units by address, read or trained; and the addresses of files that were damaged and trained again."""
    finished: dict[str, _Finished] = {}
    damaged = []
    for address in units:
        if folder.has_unit(address) and (folder.models_file(address).is_file() or not keep_models):
            try:
                finished[address] = folder.read_unit(address)
            except StoreError as error:
                damaged.append(address)
                progress(f"note: {error}; it is trained again", 0, 0)
    missing = [address for address in units if address not in finished]
    total = sum(unit.n_models for unit in units.values())
    done = sum(units[address].n_models for address in finished)
    progress("models", done, total)
    tasks = [(units[address], folder.models_file(address) if keep_models else None) for address in missing]
    for number, (table, facts) in engine.map(_work, simulation, tasks):
        address = missing[number]
        folder.write_unit(address, table, facts)
        finished[address] = table, facts
        done += units[address].n_models
        progress("models", done, total)
    return finished, damaged


def _work(simulation: Simulation, task: tuple[Unit, Path | None]) -> _Finished:
    """One unit, as workers do it."""
    unit, models = task
    return simulate(simulation, unit, keep_models=models)


def _describe_models(simulation: Simulation, folder: RunFolder) -> None:
    """What the arrays in `models/` are of."""
    make_folder(folder.models_path)
    description = {
        "procedure": canonical(simulation.procedure),
        "columns": list(simulation.data.columns),
        "classes": list(simulation.data.classes),
    }
    folder.write_json("models/models.json", description)


def _side(units: Sequence[_Finished]) -> tuple[Posteriors, list[Mapping[str, Any]]]:
    """All queries of a side, with pairs numbered through, and the facts of its units."""
    tables, pairs = [], 0
    for table, _ in units:
        tables.append(replace(table, pair=table.pair + pairs))
        pairs += len(np.unique(table.pair))
    return concatenate(tables), [facts for _, facts in units]


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
