"""The entry of a Python user who has models, and what every audit hands back."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from numpy.typing import ArrayLike

from aftertrace._brought import Versions, brought_of
from aftertrace.attacks import Attack
from aftertrace.engine import choose
from aftertrace.errors import InputError, StoreError
from aftertrace.procedures import Procedure
from aftertrace.results import Claim, Limits, Outcome, Result, Scores
from aftertrace.scenarios import (
    AuditSettings,
    Experiment,
    ShadowSide,
    audit_posteriors,
    circumstances,
    limits_of,
    shadow_side,
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

    def to_pdf(self, path: Path | str) -> Path:
        """Write the report as PDF (extra `pdf`)."""
        from aftertrace.report import render, to_pdf

        page = render(self.result, self.scores, manifest=self.manifest, key=self.key)
        write_atomically(Path(path), to_pdf(page))
        return Path(path)

    def to_junit(self, path: Path | str) -> Path:
        """Write limits and controls as JUnit XML, for what gates a release."""
        from aftertrace.report import junit_xml

        write_atomically(Path(path), junit_xml(self.result).encode())
        return Path(path)

    def to_sarif(self, path: Path | str) -> Path:
        """Write what exceeds a limit as SARIF 2.1.0."""
        from aftertrace.report import sarif

        opened = self.manifest.get("models") or [{"name": self.result.title}]
        write_atomically(Path(path), sarif(self.result, artifact=str(opened[-1]["name"])).encode())
        return Path(path)

    def to_csv(self, path: Path | str) -> Path:
        """Write the scores of all queries, a row each."""
        from aftertrace.interchange import scores_to_csv

        write_atomically(Path(path), scores_to_csv(self.scores))
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
            key=key_of(folder),
            folder=folder.path,
        )


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
    classes: Sequence[str] | None = None,
    outputs: str = "auto",
    trust_pickle: bool = False,
    limits: Limits | Mapping[str, float] | Path | str | None = None,
    claim: Claim | None = None,
    confidence: float = 0.95,
    shadow: Experiment | Path | str | None = None,
    procedure: Procedure | None = None,
    seed: int = 0,
    attacks: Sequence[Attack] = (),
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
    * Folders of SACRO-ML targets, two (`aftertrace.interchange.read_sacro`).
    * A table of `Posteriors` as `before` alone, from wherever it is.
    * Arrays [Q, K] of the same queries, with `label` [Q] in 0..K-1, `role` [Q], and perhaps `person` [Q].

    `classes`: their names in the order of the answers, where the models do not say. `outputs`: what answers are:
    "probabilities", "logits", "loss" or "log-likelihood" (one number each), or "auto". `limits`: the most that is
    accepted (`Limits`, or a risk-appetite file); `claim`: of differential privacy, whose ceiling is then the limit
    of the AUC. `shadow`: an experiment with data and training like yours; its shadow side is simulated, and teaches
    the attacks that learn; `procedure` replaces its model and procedure, as in `run`. `features`: what is known of
    the records, for the blind control (a file of `record` and features, or numbers [Q, F]); records given to models
    are seen by it anyway. `match`: leave out deleted and unseen queries until they are alike in class and features.
    `what_if`: try other releases of the same answers, and recommend the cheapest within the limits. With `out`,
    result, scores and the key of the pseudonyms are kept in that folder; `force` replaces what another audit left
    there. `jobs`, `memory`, `data_dir`: of the shadow side, as in `run`.

    Raises `InputError` and its children for what cannot be read or does not fit, and `TrainingError` where a model
    fails.
    """
    limits = limits_of(limits)
    if what_if and claim is None and not limits.given():
        raise InputError("What would pass needs limits to pass: give some, such as auc = 0.6, got none.")
    key = secrets.token_bytes(32) if out is None else _key_in(Path(out)) or secrets.token_bytes(32)
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
        outputs=outputs,
        trust_pickle=trust_pickle,
        features=features,
        label_column=label_column,
    )
    if out is not None:
        RunFolder.check_free(Path(out), force=force)
    brought, opened = brought_of(versions, key=key, progress=progress)
    side = (
        None if shadow is None else _shadow(shadow, procedure, brought.table.classes, jobs, memory, data_dir, progress)
    )
    result, scores = audit_posteriors(
        brought,
        AuditSettings(limits=limits, claim=claim, confidence=confidence, seed=seed, match=match),
        shadow=side,
        attacks=attacks,
        remedy=what_if,
        engine=choose(jobs),
        progress=progress,
    )
    manifest: dict[str, Any] = {
        **circumstances("cpu"),
        "models": opened,
    }
    if out is None:
        return Audit(result=result, scores=scores, manifest=manifest, key=key)
    folder = RunFolder.open(Path(out), identity={"posteriors": result.data.fingerprint}, force=force)
    _keep_key(folder, key)
    folder.write("scores.parquet", scores.to_parquet())
    folder.write("result.json", result.to_json())
    manifest |= folder.read_manifest()
    folder.write_json("manifest.json", manifest)
    return Audit(result=result, scores=scores, manifest=manifest, key=key, folder=folder.path)


def _shadow(
    experiment: Experiment | Path | str,
    procedure: Procedure | None,
    classes: tuple[str, ...],
    jobs: int,
    memory: int | None,
    data_dir: Path | str | None,
    progress: Any,
) -> ShadowSide:
    source = "experiment.toml" if isinstance(experiment, Experiment) else Path(experiment).name
    if not isinstance(experiment, Experiment):
        experiment = Experiment.from_toml(experiment)
    side = shadow_side(
        experiment,
        source=source,
        procedure=procedure,
        data_dir=None if data_dir is None else Path(data_dir),
        engine=choose(jobs),
        memory=memory,
        progress=progress,
    )
    return side.in_order(classes)


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
    try:
        return bytes.fromhex(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, OSError) as error:
        raise StoreError(
            f"{path}: must hold the key of the pseudonyms in hexadecimal digits ({error}). Restore it, or remove it to "
            f"have a new key, which changes all pseudonyms."
        ) from error


def _keep_key(folder: RunFolder, key: bytes) -> None:
    folder.write(KEY_FILE, key.hex(), private=True)


def key_of(folder: RunFolder) -> bytes:
    """The folder's key, made when first needed."""
    key = _key_in(folder.path)
    if key is None:
        key = secrets.token_bytes(32)
        _keep_key(folder, key)
    return key
