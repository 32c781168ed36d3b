"""An experiment, from its file to its result on disk."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from aftertrace._hashing import canonical
from aftertrace.attacks import Adversary, Attack
from aftertrace.data import Dataset, DataSpec, load
from aftertrace.defenses import utility_cost
from aftertrace.engine import Engine, InProcess
from aftertrace.errors import ExperimentError
from aftertrace.posteriors import Features
from aftertrace.procedures import Procedure
from aftertrace.results import (
    Counts,
    DataSummary,
    DeletionUnit,
    Outcome,
    Overfitting,
    Result,
    Scores,
    SequentialResult,
    Training,
)
from aftertrace.scenarios._assess import Assessment, Progress, assess
from aftertrace.scenarios._certify import certify
from aftertrace.scenarios._experiment import Experiment
from aftertrace.scenarios._facts import counts_of, overfitting_of, privacy_of, training_of
from aftertrace.scenarios._groups import groups_of
from aftertrace.scenarios._identity import circumstances, default_folder, identity_of
from aftertrace.scenarios._memory import process_bytes, within
from aftertrace.scenarios._persons import Persons
from aftertrace.scenarios._remedy_training import Workshop, what_if_training
from aftertrace.scenarios._sequential import MOST_ORIGINALS, decide
from aftertrace.scenarios._sides import attacked, drawn_units, person_at, released, simulations_of
from aftertrace.scenarios._simulate import Probe, Simulation, warm_up
from aftertrace.scenarios._statements import not_tested, run_notes, threat_model
from aftertrace.scenarios._told import told_of
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
    unit = None if persons is None else persons.group
    utility = None if experiment.defense == "none" else utility_cost(undefended, target, unit=unit)
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
        unit="record" if persons is None else "person",
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
    training = training_of(simulations["target"].procedure, [*shadow_facts, *target_facts], certificate)
    overfitting = overfitting_of(target_facts)
    result = replace(
        result_of(experiment, procedure, data, assessment, counts, training, overfitting, sequence),
        utility=told_of(judgement.unit, utility),
        privacy=privacy_of(
            experiment, simulations["target"], [unit for unit in drawn if unit.side == "target"], assessment
        ),
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


def _describe_models(simulation: Simulation, folder: RunFolder) -> None:
    """What the arrays in `models/` are of."""
    make_folder(folder.models_path)
    description = {
        "procedure": canonical(simulation.procedure),
        "columns": list(simulation.data.columns),
        "classes": list(simulation.data.classes),
    }
    folder.write_json("models/models.json", description)


def _public_settings(experiment: Experiment, procedure: Procedure | None) -> dict[str, Any]:
    """The settings, with a procedure that replaces the experiment's."""
    settings = experiment.public_dict()
    if procedure is not None:
        settings["procedure"] = canonical(procedure)
        del settings["model"]
    return settings
