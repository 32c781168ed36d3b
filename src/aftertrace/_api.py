"""The entries of a Python user: `audit`, `run` and `exposure`."""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

from numpy.typing import ArrayLike

from aftertrace._hashing import canonical, digest
from aftertrace.attacks import Attack
from aftertrace.data import load
from aftertrace.engine import choose
from aftertrace.errors import ExperimentError, InputError, StoreError
from aftertrace.posteriors import Posteriors, filled_features, read_features, read_pair
from aftertrace.procedures import Procedure
from aftertrace.results import Claim, Exposure, ExposureResult, Outcome, ReproductionResult, Result, Scores, SweepResult
from aftertrace.scenarios import (
    MOST_ORIGINALS,
    Experiment,
    Plan,
    Probe,
    Sweep,
    audit_posteriors,
    circumstances,
    expose,
    plan,
    run_experiment,
    run_sweep,
    table_of,
)
from aftertrace.store import RunFolder, write_atomically

T = TypeVar("T")
KEY_FILE = "pseudonyms.key"
"""The key of the report's pseudonyms, in the run's folder, readable by its owner only."""


@dataclass(frozen=True, kw_only=True)
class Audit:
    """A finished audit: `result`, every query's `scores`, and the run's folder, if it has one."""

    result: Result
    scores: Scores
    manifest: Mapping[str, Any]
    key: bytes = field(repr=False)
    folder: Path | None = None

    @property
    def outcome(self) -> Outcome:
        """The verdict in a word."""
        return self.result.verdict.outcome

    def __str__(self) -> str:
        from aftertrace.report import as_text

        return as_text(self.result)

    def to_html(self, path: Path | str) -> Path:
        """Write the report, one file that works offline."""
        from aftertrace.report import render

        page = render(self.result, self.scores, manifest=self.manifest, key=self.key)
        write_atomically(Path(path), page.encode())
        return Path(path)

    def to_json(self, path: Path | str) -> Path:
        """Write `result.json`."""
        write_atomically(Path(path), self.result.to_json().encode())
        return Path(path)

    @classmethod
    def of_folder(cls, path: Path | str) -> "Audit":
        """The audit of a finished run's folder. Raises `StoreError` if there is none or it is damaged."""
        folder = RunFolder(Path(path))
        if (folder.path / "exposure.json").is_file():
            raise StoreError(
                f"{folder.path}: must be the folder of a run or an audit, and holds an exposure. Give the exposure's "
                f"command again: it writes its report anew from the parts that are kept."
            )
        return cls(
            manifest=folder.read_manifest(),
            result=_parsed(folder, "result.json", Result.from_json),
            scores=_parsed(folder, "scores.parquet", Scores.from_parquet),
            key=_key(folder),
            folder=folder.path,
        )


@dataclass(frozen=True, kw_only=True)
class ExposureAudit:
    """A finished exposure: `result`, a row per training record in `rows`, and its folder."""

    result: ExposureResult
    rows: Exposure
    classes: tuple[str, ...]
    manifest: Mapping[str, Any]
    key: bytes = field(repr=False)
    folder: Path

    def __str__(self) -> str:
        from aftertrace.report import exposure_text

        return exposure_text(self.result)

    def to_html(self, path: Path | str) -> Path:
        """Write the report, one file that works offline."""
        from aftertrace.report import render_exposure

        page = render_exposure(self.result, self.rows, classes=self.classes, manifest=self.manifest, key=self.key)
        write_atomically(Path(path), page.encode())
        return Path(path)


def run(
    experiment: Experiment | Path | str,
    *,
    changes: Sequence[str] = (),
    out: Path | str | None = None,
    data_dir: Path | str | None = None,
    jobs: int = 1,
    memory: int | None = None,
    device: str = "cpu",
    keep_models: bool = False,
    until_decided: bool = False,
    most_originals: int = MOST_ORIGINALS,
    force: bool = False,
    procedure: Procedure | None = None,
    attacks: Sequence[Attack] = (),
    probes: Mapping[str, Probe] | None = None,
    progress: Any = lambda stage, done, total: None,
) -> Audit:
    """Simulate, attack and judge an experiment: settings, a TOML file, or an example by name.

    `changes`: "key=value" with dotted keys; `out`: the run's folder, below `runs/` by default; `jobs`: worker
    processes, fewer where `memory` (bytes, by default a quarter of the machine's) does not hold so many; `device`:
    where models train ("cpu", "cuda"); `keep_models`: as safetensors in the folder; `until_decided`: add blocks of
    target originals until the verdict's limit is decided, at most `most_originals`; `procedure` replaces the
    experiment's model and procedure; `attacks` are added. Run again to resume; only what is missing is trained.
    """
    if not isinstance(experiment, Experiment):
        experiment = Experiment.from_toml(experiment, changes=changes)
    finished = run_experiment(
        experiment,
        out=None if out is None else Path(out),
        data_dir=None if data_dir is None else Path(data_dir),
        engine=choose(jobs),
        force=force,
        procedure=procedure,
        attacks=attacks,
        probes=probes,
        device=device,
        memory=memory,
        keep_models=keep_models,
        until_decided=until_decided,
        most_originals=most_originals,
        progress=progress,
    )
    folder = RunFolder(finished.folder)
    return Audit(
        result=finished.result,
        scores=finished.scores,
        manifest=folder.read_manifest(),
        key=_key(folder),
        folder=folder.path,
    )


@dataclass(frozen=True, kw_only=True)
class SweepAudit:
    """A finished grid of runs: `result` and its folder, which holds `sweep.json`, `sweep.csv` and the runs."""

    result: SweepResult
    folder: Path

    def __str__(self) -> str:
        from aftertrace.report import sweep_text

        return sweep_text(self.result)

    def to_html(self, path: Path | str) -> Path:
        """Write the report, one file that works offline."""
        from aftertrace.report import render_sweep

        write_atomically(Path(path), render_sweep(self.result).encode())
        return Path(path)


def sweep(
    experiments: Sweep | Path | str,
    *,
    changes: Sequence[str] = (),
    out: Path | str | None = None,
    data_dir: Path | str | None = None,
    jobs: int = 1,
    memory: int | None = None,
    device: str = "cpu",
    force: bool = False,
    progress: Any = lambda stage, done, total: None,
) -> SweepAudit:
    """Run all combinations of an experiment file's section `sweep`, with arguments as `run` has them.

    Whatever two runs train alike is trained once. Run again to resume.
    """
    if not isinstance(experiments, Sweep):
        experiments = Sweep.from_toml(experiments, changes=changes)
    result, folder = run_sweep(
        experiments,
        out=None if out is None else Path(out),
        data_dir=None if data_dir is None else Path(data_dir),
        engine=choose(jobs),
        memory=memory,
        device=device,
        force=force,
        progress=progress,
    )
    return SweepAudit(result=result, folder=folder)


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """The paper's experiments, run and judged: `result` and its folder."""

    result: ReproductionResult
    folder: Path

    def __str__(self) -> str:
        from aftertrace.report import reproduction_text

        return reproduction_text(self.result)

    def to_html(self, path: Path | str) -> Path:
        """Write the report, one file that works offline."""
        from aftertrace.report import render_reproduction

        write_atomically(Path(path), render_reproduction(self.result).encode())
        return Path(path)

    def to_markdown(self, path: Path | str) -> Path:
        """Write the claims and all figures as a document."""
        from aftertrace.report import reproduction_markdown

        write_atomically(Path(path), reproduction_markdown(self.result).encode())
        return Path(path)


def reproduce(
    scale: str = "default",
    *,
    only: Sequence[str] = (),
    out: Path | str | None = None,
    data_dir: Path | str | None = None,
    jobs: int = 1,
    memory: int | None = None,
    force: bool = False,
    progress: Any = lambda stage, done, total: None,
) -> Reproduction:
    """Run the experiments of arXiv 2005.02205 and judge their claims: `aftertrace.reproduction`.

    `scale`: "quick", "default" or "paper"; `only`: names of studies. Run again to resume.
    """
    from aftertrace.reproduction import SCALES
    from aftertrace.reproduction import reproduce as run_studies

    if scale not in SCALES:
        raise ExperimentError([f"--scale: must be one of {', '.join(SCALES)}, got {scale!r}"])
    result, folder = run_studies(
        SCALES[scale],
        only=only,
        out=Path("runs") / f"reproduction-{scale}" if out is None else Path(out),
        data_dir=None if data_dir is None else Path(data_dir),
        engine=choose(jobs),
        memory=memory,
        force=force,
        progress=progress,
    )
    return Reproduction(result=result, folder=folder)


def plan_run(
    experiment: Experiment | Path | str,
    *,
    changes: Sequence[str] = (),
    data_dir: Path | str | None = None,
    jobs: int = 1,
    memory: int | None = None,
    device: str = "cpu",
    progress: Any = lambda stage, done, total: None,
) -> Plan:
    """What `run` and its report would take: `aftertrace.scenarios.plan`, with arguments as `run` has them."""
    from aftertrace.report import render

    if not isinstance(experiment, Experiment):
        experiment = Experiment.from_toml(experiment, changes=changes)
    made, result, scores = plan(
        experiment,
        data_dir=None if data_dir is None else Path(data_dir),
        engine=choose(jobs),
        memory=memory,
        device=device,
        progress=progress,
    )
    began = time.monotonic()
    render(result, scores, manifest={}, key=b"")
    return replace(made, seconds={**made.seconds, "report": time.monotonic() - began})


def exposure(
    data: str | Path,
    *,
    target: str | None = None,
    model: str = "logistic",
    changes: Sequence[str] = (),
    records: int | None = None,
    unseen: int = 199,
    seed: int = 0,
    out: Path | str | None = None,
    data_dir: Path | str | None = None,
    jobs: int = 1,
    memory: int | None = None,
    force: bool = False,
    progress: Any = lambda stage, done, total: None,
) -> ExposureAudit:
    """How strongly the deletion of each training record would show: `aftertrace.scenarios.expose`, kept in a folder.

    `data`: a data set by name, or a CSV file whose column `target` holds the classes; `changes`: "key=value" below
    `data` and `model`. `records` train the model, by default all but the `unseen` ones. In the folder (below `runs/` by
    default): `exposure.json`, `exposure.parquet`. Run again to resume.
    """
    started = time.monotonic()
    experiment = _subject(data, target, model, changes, seed)
    loaded = load(experiment.data, data_dir=None if data_dir is None else Path(data_dir))
    trainer = experiment.model.trainer(coupled=True)
    sizes = {"records": len(loaded) - unseen if records is None else records, "unseen": unseen}
    subject = {name: value for name, value in experiment.public_dict().items() if name in ("data", "model")}
    settings = {**subject, **sizes, "seed": seed}
    identity = {"exposure": {**settings, "data": loaded.fingerprint, "trainer": canonical(trainer)}}
    name = f"exposure-{Path(loaded.name).stem}-{experiment.model.name.split(':')[-1]}-{digest(identity)[:8]}"
    folder = RunFolder.open(Path(out) if out is not None else Path("runs") / name, identity=identity, force=force)
    rows, certificate = expose(
        loaded,
        trainer,
        records=records,
        unseen=unseen,
        seed=seed,
        folder=folder,
        engine=choose(jobs),
        memory=memory,
        progress=progress,
    )
    result = ExposureResult.of(
        rows,
        title=f"{experiment.model.name} on {loaded.name}",
        data=loaded.name,
        fingerprint=loaded.fingerprint,
        settings=settings,
        certificate=certificate,
    )
    folder.write("exposure.parquet", rows.to_parquet(loaded.classes))
    folder.write("exposure.json", result.to_json())
    seconds = {"deletions": round(time.monotonic() - started, 3)}
    manifest = {**folder.read_manifest(), **circumstances("cpu"), "seconds": seconds}
    folder.write_json("manifest.json", manifest)
    return ExposureAudit(
        result=result,
        rows=rows,
        classes=loaded.classes,
        manifest=manifest,
        key=_key(folder),
        folder=folder.path,
    )


def _subject(data: str | Path, target: str | None, model: str, changes: Sequence[str], seed: int) -> Experiment:
    """Data and model of an exposure, read as strictly as those of an experiment."""
    source = "exposure"
    if Path(data).suffix in (".csv", ".gz") or target is not None:
        named: dict[str, Any] = {"name": "csv", "path": str(data), **({} if target is None else {"target": target})}
        if target is None and not any(change.startswith("data.target=") for change in changes):
            raise ExperimentError([f"--target: must name the column of {data} that holds the classes"], source=source)
    else:
        named = {"name": str(data)}
    table = table_of({"data": named, "model": {"name": model}, "seed": seed}, changes)
    others = sorted(table.keys() - {"data", "model", "seed"})
    if others:
        raise ExperimentError(
            [f"{name}: an exposure has settings below data and model only, got {name!r}" for name in others],
            source=source,
        )
    return Experiment.from_dict(table, source=source)


def audit(
    before: Path | str | ArrayLike,
    after: Path | str | ArrayLike,
    *,
    role: Path | str | Sequence[str] | None = None,
    label: ArrayLike | None = None,
    classes: Sequence[str] | None = None,
    limit: float | None = None,
    claim: Claim | None = None,
    seed: int = 0,
    attacks: Sequence[Attack] = (),
    features: Path | str | ArrayLike | None = None,
    match: bool = False,
    out: Path | str | None = None,
    force: bool = False,
) -> Audit:
    """Judge two versions of a model by their posteriors at deleted and unseen records.

    `before`, `after`: files (CSV, Parquet, NPZ; see `aftertrace.posteriors.read_pair`), or arrays [Q, K] of
    the same queries with `label` [Q] and `role` [Q]. `limit`: the largest AUC accepted; `claim`: of differential
    privacy, whose ceiling is then the limit. `features`: what is known of the records, for the blind control: numbers
    [Q, F] (NaN: missing), a row per row of `before`, or, with files, a file of `record` and features
    (`aftertrace.posteriors.read_features`); none of it is kept. `match`: leave out deleted and unseen queries until
    they are alike in class and features. With `out`, result, scores and the key of the pseudonyms are kept in that
    folder; `force` replaces what another audit left there.
    """
    key = secrets.token_bytes(32) if out is None else _key_in(Path(out)) or secrets.token_bytes(32)
    if isinstance(before, Path | str) and isinstance(after, Path | str):
        if label is not None or not (role is None or isinstance(role, Path | str)):
            raise InputError("Files of posteriors bring labels themselves; `role` may be a further file.")
        target = read_pair(before, after, role=role, key=key)
    elif isinstance(before, Path | str) or isinstance(after, Path | str):
        raise InputError("Both versions must be files or both arrays; got one of each.")
    elif label is None or role is None or isinstance(role, Path | str):
        raise InputError("Arrays of posteriors need `label` [Q] and `role` [Q], a word per query.")
    else:
        target = Posteriors.from_pair(before, after, label=label, role=role, classes=classes)
    known = None
    if isinstance(features, Path | str):
        if not isinstance(before, Path | str):
            raise InputError(
                "Arrays of posteriors do not name records: `features` must be an array [Q, F], got a file."
            )
        known = read_features(features, target.record, key=key)
    elif features is not None:
        known = filled_features(features, rows=len(target))
    result, scores = audit_posteriors(
        target, limit=limit, claim=claim, seed=seed, attacks=attacks, features=known, match=match
    )
    manifest: dict[str, Any] = {"libraries": {name: version(name) for name in ("aftertrace", "numpy", "scipy")}}
    if out is None:
        return Audit(result=result, scores=scores, manifest=manifest, key=key)
    folder = RunFolder.open(Path(out), identity={"posteriors": result.data.fingerprint}, force=force)
    _keep_key(folder, key)
    folder.write("scores.parquet", scores.to_parquet())
    folder.write("result.json", result.to_json())
    manifest |= folder.read_manifest()
    folder.write_json("manifest.json", manifest)
    return Audit(result=result, scores=scores, manifest=manifest, key=key, folder=folder.path)


def _parsed(folder: RunFolder, name: str, parse: Callable[[bytes], T]) -> T:
    content = folder.read(name)
    try:
        return parse(content)
    except StoreError as error:
        raise StoreError(
            f"{folder.path / name}: damaged ({error}) Give the command that made it again: finished units are kept."
        ) from error


def _key_in(folder: Path) -> bytes | None:
    """The key of the pseudonyms that a folder holds, if it holds one."""
    path = folder / KEY_FILE
    if not path.is_file():
        return None
    try:
        return bytes.fromhex(path.read_text())
    except (ValueError, OSError) as error:
        raise StoreError(
            f"{path}: must hold the key of the pseudonyms in hexadecimal digits ({error}). Restore it, or remove it to "
            f"have a new key, which changes all pseudonyms."
        ) from error


def _keep_key(folder: RunFolder, key: bytes) -> None:
    folder.write(KEY_FILE, key.hex(), private=True)


def _key(folder: RunFolder) -> bytes:
    """The folder's key, made when first needed."""
    key = _key_in(folder.path)
    if key is None:
        key = secrets.token_bytes(32)
        _keep_key(folder, key)
    return key
