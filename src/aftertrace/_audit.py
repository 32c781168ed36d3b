"""The entry of a Python user who has models."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from aftertrace._brought import Opened, brought_of
from aftertrace._finished import Audit
from aftertrace._given import Form, Versions, attacks_of, check_arguments, outputs_of
from aftertrace._keys import keep_key, key_in, new_key
from aftertrace._question import AUDIT, identity_of, question
from aftertrace._titles import title_of
from aftertrace.attacks import Attack
from aftertrace.engine import choose
from aftertrace.errors import InputError, StoreError
from aftertrace.procedures import Procedure
from aftertrace.results import Claim, Limits, Result
from aftertrace.scenarios import (
    AuditSettings,
    Experiment,
    ShadowPlan,
    audit_posteriors,
    check_taught,
    circumstances,
    limits_of,
    shadow_plan,
)
from aftertrace.scenarios._remedy import require_limits
from aftertrace.scenarios._starter import SIMULATION
from aftertrace.store import RunFolder, remove_file


def audit(
    before: Any,
    after: Any = None,
    *,
    between: Sequence[Any] = (),
    deleted: Any = None,
    unseen: Any = None,
    retained: Any = None,
    records: Path | str | None = None,
    label: ArrayLike | None = None,
    role: Path | str | Sequence[str] | None = None,
    person: Any = None,
    label_column: str = "label",
    person_column: str = "person",
    classes: Sequence[str] | None = None,
    outputs: str = "auto",
    trust_pickle: bool = False,
    limits: Limits | Mapping[str, float] | Path | str | None = None,
    claim: Claim | None = None,
    confidence: float = 0.95,
    shadow: Experiment | Path | str | None = None,
    procedure: Procedure | None = None,
    seed: int = 0,
    attacks: Sequence[Attack | str] = (),
    features: Path | str | ArrayLike | None = None,
    match: bool = False,
    what_if: bool = False,
    out: Path | str | None = None,
    force: bool = False,
    jobs: int = 1,
    memory: int | None = None,
    data_dir: Path | str | None = None,
    progress: Any = lambda stage, done, total: None,
) -> Audit:
    """Judge versions of a model by what they answer at deleted and unseen records.

    `before`, `after`, and `between` them in their order: all of one kind.

    * Models: fitted estimators, torch modules, callables, files (`aftertrace.models.open_model`). Then `deleted`,
      `unseen` and perhaps `retained` are the records: pairs (x, y) of records and their classes, or files; or one file
      of `records` with a column `role` (`aftertrace.models.read_subjects`). `person`: whom each record is about, as
      {"deleted": [...], "unseen": [...]}; in files a column. A file that holds a pickle is opened with `trust_pickle`
      only, since it runs code of whoever made it.
    * Files of posteriors (`aftertrace.posteriors.read_versions`), with `role` as a further file or a column.
      `label_column` and `person_column`: what files call the columns of classes and of persons.
    * Folders of SACRO-ML targets, two (`aftertrace.interchange.read_sacro`).
    * A table of `Posteriors` as `before` alone, from wherever it is.
    * Arrays [Q, K] of the same queries, with `label` [Q] in 0..K-1, `role` [Q], and perhaps `person` [Q].

    `classes`: their names in the order of the answers, where the models do not say. `outputs`: what answers are:
    "probabilities", "logits", "loss" or "log-likelihood" (one number each), or "auto". `limits`: the most that is
    accepted (`Limits`, or a risk-appetite file); `claim`: of differential privacy, whose ceiling is then the limit
    of the AUC. `shadow`: an experiment with data and training like yours; its shadow side is simulated, and teaches
    the attacks that learn; `procedure` replaces its model and procedure, as in `run`. `features`: what is known of
    the records, for the blind control (a file of `record` and features, or numbers [Q, F]); records given to models
    are seen by it anyway. `attacks` are added, as they are or by name. `match`: leave out deleted and unseen queries
    until they are alike in class and features. `what_if`: try other releases of the same answers, and recommend the
    cheapest within the limits. With `out`, result, scores and the key of the pseudonyms are kept in that folder, and
    with one pair of models a `simulation.toml` to fill in (`Audit.to_simulation`), unless one was changed; `force`
    replaces what another audit, of other models or with other settings, left there. `jobs`, `memory`, `data_dir`: of
    the shadow side, as in `run`.

    Raises `InputError` and its children for what cannot be read or does not fit, and `TrainingError` where a model
    fails.
    """
    check_arguments(
        between=between,
        classes=classes,
        trust_pickle=trust_pickle,
        claim=claim,
        shadow=shadow,
        match=match,
        what_if=what_if,
        out=out,
        memory=memory,
        data_dir=data_dir,
    )
    settings = AuditSettings(limits=limits_of(limits), claim=claim, confidence=confidence, seed=seed, match=match)
    if what_if:
        require_limits(settings.judgement("LogitDrop"))
    engine = choose(jobs)
    versions = Versions(
        references=(before, *between, *(() if after is None else (after,))),
        deleted=deleted,
        unseen=unseen,
        retained=retained,
        records=records,
        label=label,
        role=role,
        person=person,
        classes=None if classes is None else tuple(map(str, classes)),
        outputs=outputs_of(outputs),
        trust_pickle=trust_pickle,
        features=features,
        label_column=label_column,
        person_column=person_column,
    )
    attacks = attacks_of(attacks, versions.expected, has_shadow=shadow is not None)
    plan = _shadow_plan(shadow, procedure, data_dir, versions)
    asked = question(
        settings,
        attacks=attacks,
        shadow=None if plan is None else plan.experiment,
        procedure=procedure,
        what_if=what_if,
    )
    if out is not None:
        RunFolder.check_free(Path(out), identity={"settings": asked}, kind=AUDIT, force=force)
    key = (None if out is None else key_in(Path(out))) or new_key()
    brought, opened = brought_of(
        versions,
        key=key,
        check_classes=(lambda names: None) if plan is None else plan.check_classes,
        progress=progress,
    )
    side = None if plan is None else plan.simulate(engine=engine, memory=memory, progress=progress)
    result, scores = audit_posteriors(
        brought,
        settings,
        shadow=None if side is None else side.in_order(brought.table.classes),
        attacks=attacks,
        remedy=what_if,
        engine=engine,
        progress=progress,
    )
    found = Audit(
        result=_named(result, opened, versions.form),
        scores=scores,
        manifest={**circumstances("cpu"), "models": opened},
        key=key,
    )
    if out is None:
        return found
    identity = identity_of(brought.in_order(), result.data.fingerprint, asked)
    return _kept(found, RunFolder.open(Path(out), identity=identity, kind=AUDIT, force=force))


def _kept(audit: Audit, folder: RunFolder) -> Audit:
    """The audit, written into its folder."""
    simulation, stale = folder.path / SIMULATION, _starter_in(folder)
    if stale and _holds(simulation, stale):  # any other that is there has been filled in
        remove_file(simulation)  # while the old result is there, by which one tells: this may be stopped at any time
    keep_key(folder, audit.key)
    folder.write("scores.parquet", audit.scores.to_parquet())
    folder.write("result.json", audit.result.to_json())
    manifest = {**audit.manifest, **folder.read_manifest()}
    folder.write_json("manifest.json", manifest)
    kept = replace(audit, manifest=manifest, folder=folder.path)
    if kept.starter and not simulation.exists():
        folder.write(SIMULATION, kept.starter)
    return kept


def _starter_in(folder: RunFolder) -> str:
    """The starter of the result that a folder holds; empty where there is none."""
    try:
        widening = Result.from_json(folder.read("result.json")).widening
    except StoreError:
        return ""
    return "" if widening is None else widening.starter


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_bytes() == text.encode()


def _shadow_plan(
    experiment: Experiment | Path | str | None,
    procedure: Procedure | None,
    data_dir: Path | str | None,
    versions: Versions,
) -> ShadowPlan | None:
    """The shadow side, if there is one. Raises before anything is asked or trained where it teaches no attack."""
    if experiment is None:
        if procedure is not None:
            raise InputError("`procedure` replaces the training of a shadow side: give `shadow` too, or leave it out.")
        return None
    source = "experiment.toml" if isinstance(experiment, Experiment) else _from_here(Path(experiment))
    if not isinstance(experiment, Experiment):
        experiment = Experiment.from_toml(experiment)
    check_taught(experiment, n_versions=versions.expected.n_versions, kind=versions.expected.kind)
    return shadow_plan(
        experiment, source=source, procedure=procedure, data_dir=None if data_dir is None else Path(data_dir)
    )


def _from_here(path: Path) -> str:
    """A path as it was typed, for a command that is typed in the same place; of one that starts at the root only the
    name, as results and reports show it to others.
    """
    return path.name if path.is_absolute() else str(path)


def _named(result: Result, opened: Opened, form: Form) -> Result:
    """The result under the names of what was brought."""
    if form in (Form.ARRAYS, Form.TABLES):
        return result
    data = replace(result.data, name="records given to the models") if form is Form.MODELS else result.data
    return replace(result, title=title_of(opened), data=data)
