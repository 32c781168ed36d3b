"""An experiment, from its file to its result on disk."""

import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from aftertrace._hashing import canonical, digest
from aftertrace.attacks import Adversary, Attack
from aftertrace.data import Dataset, DataSpec, load
from aftertrace.defenses import utility_cost
from aftertrace.engine import Engine, InProcess
from aftertrace.errors import ExperimentError
from aftertrace.posteriors import Features, Posteriors, Role, Use
from aftertrace.procedures import Procedure
from aftertrace.results import (
    Certificate,
    Counts,
    DataSummary,
    DeletionUnit,
    Outcome,
    Overfitting,
    PrivacyResult,
    Result,
    Scores,
    SequentialResult,
    Spread,
    Training,
)
from aftertrace.scenarios._assess import Assessment, Progress, assess
from aftertrace.scenarios._certify import certify
from aftertrace.scenarios._draw import SIDES
from aftertrace.scenarios._experiment import Experiment
from aftertrace.scenarios._groups import groups_of
from aftertrace.scenarios._memory import process_bytes, within
from aftertrace.scenarios._persons import Persons
from aftertrace.scenarios._remedy_training import Workshop, what_if_training
from aftertrace.scenarios._sequential import MOST_ORIGINALS, decide
from aftertrace.scenarios._sides import attacked, drawn_units, person_at, released, simulations_of
from aftertrace.scenarios._simulate import LIBRARIES, Probe, Simulation, library_version, trainer_of, warm_up
from aftertrace.scenarios._statements import not_tested, run_notes, threat_model
from aftertrace.scenarios._toml import to_toml
from aftertrace.scenarios._units import obtain, side_of
from aftertrace.scenarios._verdict import Judgement
from aftertrace.store import RunFolder, make_folder
from aftertrace.trainers import Private, Size, is_compiled

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
    read: Callable[[DataSpec], Dataset] | None = None,
    engine: Engine | None = None,
    force: bool = False,
    units: Path | None = None,
    procedure: Procedure | None = None,
    attacks: Sequence[Attack] = (),
    probes: Mapping[str, Probe] | None = None,
    device: str = "cpu",
    memory: int | None = None,
    keep_models: bool = False,
    until_decided: bool = False,
    most_originals: int = MOST_ORIGINALS,
    what_if: bool = False,
    progress: Progress = lambda stage, done, total: None,
) -> Run:
    """Simulate, attack and judge; keep everything in `out` (default: a folder below `runs/` named by content).

    Finished units are read, not trained again: run a killed run again to resume it. `units`: a folder for them that
    several runs share; `read`: gives the data, by default from `data_dir`. `procedure` replaces the experiment's model
    and procedure; `attacks` are added to the experiment's; `probes` measure more. Models are trained on `device`. As
    many units are at work at once as the engine has workers and `memory` bytes hold (default:
    a quarter of the machine's). `keep_models`: the models of each unit stay too, in `models/`. `until_decided`: target
    originals are added, as many at a time as the experiment has, until the verdict is decided or there are
    `most_originals`; the verdict is then that of a confidence sequence, which looking does not spoil. `what_if`: other
    releases and trainings are tried too (`what_if_training`), with as many further target originals.
    """
    if what_if and experiment.largest_auc is None and not experiment.limits.given():
        raise ExperimentError(["limits: what would pass needs limits to pass: give some, such as auc = 0.6, got none"])
    engine = engine or InProcess()
    if not is_compiled():
        progress(COMPILING, 0, 0)
    started = time.monotonic()
    engine.prepare(warm_up)
    simulations = simulations_of(
        experiment, read or partial(load, data_dir=data_dir), procedure=procedure, probes=probes or {}, device=device
    )
    data = simulations["target"].data
    groups = groups_of(data, experiment.verdict.slices)
    drawn = drawn_units(experiment, simulations)
    engine = within(engine, [process_bytes(simulations[unit.side], unit) for unit in drawn], memory, progress)
    identity = identity_of(experiment, simulations)
    folder = RunFolder.open(out or default_folder(identity, experiment), identity=identity, force=force, units=units)
    folder.write("experiment.toml", to_toml(experiment.as_dict()))
    if keep_models:
        _describe_models(simulations["target"], folder)
    every_attack = (*experiment.build_attacks(), *attacks)
    sequence, replaced = None, list[str]()
    if until_decided:
        by_verdict = next(each for each in every_attack if each.name == experiment.verdict.attack)
        experiment, sequence, replaced = decide(
            experiment,
            by_verdict,
            simulations,
            folder,
            engine,
            progress,
            most_originals=most_originals,
            keep_models=keep_models,
        )
        drawn = drawn_units(experiment, simulations)
    addressed = {simulations[unit.side].address(unit): unit for unit in drawn}
    finished, damaged = obtain(simulations, addressed, folder, engine, progress, keep_models=keep_models)
    tables = {address: table for address, (table, _) in finished.items()}
    certificate = certify(simulations, addressed, tables, folder, engine, progress)
    trained = time.monotonic()

    shadow, shadow_facts = side_of([finished[a] for a, unit in addressed.items() if unit.side == "shadow"])
    target, target_facts = side_of([finished[a] for a, unit in addressed.items() if unit.side == "target"])
    undefended = attacked(experiment, simulations, "target", target)
    shadow = released(experiment, "shadow", attacked(experiment, simulations, "shadow", shadow))
    target = released(experiment, "target", undefended)
    persons = Persons.at(target, person_at(experiment, simulations, "target", target))
    utility = None if experiment.defense == "none" else utility_cost(undefended, target)
    verdict = experiment.verdict
    judgement = Judgement(
        attack=verdict.attack,
        limits=experiment.limits,
        claim=verdict.claim,
        crossed=experiment.scenario.pools == "fixed",
        confidence=verdict.confidence,
        seed=experiment.seed,
        attacked=experiment.scenario.attacked,
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
        features=Features(data.x[target.record], data.columns),
        groups={name: group.at(target.record) for name, group in groups.items()},
        persons=persons,
        shadow_persons=Persons.at(shadow, person_at(experiment, simulations, "shadow", shadow)),
    )
    judged = target if persons is None else persons.table
    counts = counts_of(judged, [*shadow_facts, *target_facts])
    training = _training(simulations["target"].procedure, [*shadow_facts, *target_facts], certificate)
    overfitting = overfitting_of(target_facts)
    result = replace(
        result_of(experiment, procedure, data, assessment, counts, training, overfitting, sequence),
        utility=utility,
        privacy=_privacy(experiment, simulations["target"], assessment),
        remedy=None
        if not what_if or assessment.verdict.outcome is Outcome.INVALID
        else what_if_training(
            experiment,
            next(each for each in every_attack if each.name == verdict.attack),
            judgement,
            Workshop(
                read=read or partial(load, data_dir=data_dir),
                folder=folder,
                engine=engine,
                procedure=procedure,
                probes=probes or {},
                device=device,
                memory=memory,
                progress=progress,
            ),
        ),
    )
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
            "units": list(addressed),
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
    unit: DeletionUnit = "record" if data.person is None else "person"
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
        threat_model=threat_model(experiment, custom=procedure is not None, unit=unit),
        not_tested=not_tested(experiment, unit=unit),
        notes=run_notes(experiment, counts, sequence, unit=unit),
        training=training,
        slices=assessment.slices,
        discoveries=assessment.discoveries,
        update=assessment.update,
        sequence=sequence,
        unit=unit,
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


def identity_of(experiment: Experiment, simulations: Mapping[str, Simulation]) -> dict[str, Any]:
    """What a run folder keeps for its life. The numbers of originals may grow, attacks and verdict may change."""
    settings = experiment.as_dict()
    simulation, other = simulations["target"], simulations["shadow"]
    scenario = settings["scenario"]
    for side in SIDES:
        scenario[side] = {key: value for key, value in scenario[side].items() if key != "originals"}
    del scenario["attacked"]  # the queries are the same
    return {
        "seed": experiment.seed,
        "data": {"name": simulation.data.name, "fingerprint": simulation.data.fingerprint},
        "model": settings["model"],
        "shadow": {"model": settings["shadow"]["model"], "data": other.data.fingerprint},
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
    trainer = trainer_of(procedure)
    if trainer is None:
        return None
    names = sorted({name for each in facts for name in each["worst"]})
    return Training(
        trainer=type(trainer).__name__,
        promise=trainer.promise.value,
        fallbacks=sum(each["counts"].get("fallbacks", 0) for each in facts),
        worst={name: max(each["worst"].get(name, 0.0) for each in facts) for name in names},
        certificate=certificate,
        shards_without_a_class=sum(each["counts"].get("shards_without_a_class", 0) for each in facts),
    )


def _privacy(experiment: Experiment, target: Simulation, assessment: Assessment) -> PrivacyResult | None:
    """What a private trainer promises, beside what was found."""
    trainer, scenario = trainer_of(target.procedure), experiment.scenario
    if not isinstance(trainer, Private):
        return None
    shards = experiment.procedure.shards if experiment.procedure.name == "sisa" else 1
    size = Size(
        records=scenario.target.records // shards,
        features=target.data.x.shape[1],
        classes=len(target.data.classes),
        models=1,
    )
    found = next(each for each in assessment.attacks if each.name == experiment.verdict.attack)
    models = 2 if scenario.attacked == "retained" else 1
    return PrivacyResult.of(trainer.guarantee(size), found.auc, models=models)


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
