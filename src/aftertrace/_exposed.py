"""The entry of a Python user that deletes every record in turn: `exposure`."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aftertrace._hashing import canonical, digest
from aftertrace._keys import key_of
from aftertrace.data import load
from aftertrace.engine import choose
from aftertrace.errors import ExperimentError
from aftertrace.results import Exposure, ExposureResult
from aftertrace.scenarios import Experiment, circumstances, expose, table_of
from aftertrace.store import Kind, RunFolder, write_atomically


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
    folder = RunFolder.open(
        Path(out) if out is not None else Path("runs") / name,
        identity=identity,
        kind=Kind("exposure", "another exposure"),
        force=force,
    )
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
        key=key_of(folder),
        folder=folder.path,
    )


def _subject(data: str | Path, target: str | None, model: str, changes: Sequence[str], seed: int) -> Experiment:
    """Data and model of an exposure, read as strictly as those of an experiment."""
    source = "exposure"
    if Path(data).suffix in (".csv", ".gz") or target is not None:
        named: dict[str, Any] = {"name": "csv", "path": str(data), **({} if target is None else {"target": target})}
        if target is None and not any(change.startswith("data.target=") for change in changes):
            raise ExperimentError([f"`target` must name the column of {data} that holds the classes"], source=source)
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
