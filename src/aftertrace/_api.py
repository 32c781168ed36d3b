"""The entries of a Python user that simulate, `run`, `sweep` and `reproduce`, and what is said before and after."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from aftertrace._finished import Audit
from aftertrace._keys import key_of
from aftertrace.attacks import Attack
from aftertrace.engine import choose
from aftertrace.errors import ExperimentError
from aftertrace.procedures import Procedure
from aftertrace.results import History, Limits, ReproductionResult, SweepResult
from aftertrace.scenarios import (
    MOST_ORIGINALS,
    Experiment,
    Plan,
    Probe,
    Sweep,
    limits_of,
    plan,
    run_experiment,
    run_sweep,
)
from aftertrace.store import RunFolder, write_atomically


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
    limits: Limits | Mapping[str, float] | Path | str | None = None,
    what_if: bool = False,
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
    target originals until the verdict's limit is decided, at most `most_originals`; `limits`: in place of the
    experiment's, or a risk-appetite file of them; `what_if`: try other releases and trainings, and recommend one;
    `procedure` replaces the experiment's model and procedure; `attacks` are added. Run again to resume; only what is
    missing is trained.
    """
    if not isinstance(experiment, Experiment):
        experiment = Experiment.from_toml(experiment, changes=changes)
    if limits is not None:
        experiment = replace(experiment, limits=limits_of(limits))
    finished = run_experiment(
        experiment,
        out=_path(out),
        data_dir=_path(data_dir),
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
        what_if=what_if,
        progress=progress,
    )
    folder = RunFolder(finished.folder)
    return Audit(
        result=finished.result,
        scores=finished.scores,
        manifest=folder.read_manifest(),
        key=key_of(folder),
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
        out=_path(out),
        data_dir=_path(data_dir),
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
        raise ExperimentError([f"`scale` must be one of {', '.join(SCALES)}, got {scale!r}"])
    result, folder = run_studies(
        SCALES[scale],
        only=only,
        out=Path("runs") / f"reproduction-{scale}" if out is None else Path(out),
        data_dir=_path(data_dir),
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
        data_dir=_path(data_dir),
        engine=choose(jobs),
        memory=memory,
        device=device,
        progress=progress,
    )
    began = time.monotonic()
    render(result, scores, manifest={}, key=b"")
    return replace(made, seconds={**made.seconds, "report": time.monotonic() - began})


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Audits of releases, one after the other."""

    history: History

    def __str__(self) -> str:
        from aftertrace.report import history_text

        return history_text(self.history)

    def to_html(self, path: Path | str) -> Path:
        """Write the page, one file that works offline."""
        from aftertrace.report import render_history

        write_atomically(Path(path), render_history(self.history).encode())
        return Path(path)

    def to_csv(self, path: Path | str) -> Path:
        """Write a row per release."""
        write_atomically(Path(path), self.history.to_csv().encode())
        return Path(path)


def compare(runs: Sequence[Path | str], *, budget: float | None = None) -> Comparison:
    """Put finished runs and audits side by side, by their folders, in the order of their releases.

    `budget`: how likely at most a release of the whole period may pass although it exceeds a limit.
    """
    return Comparison(history=History.of_folders([Path(run) for run in runs], budget=budget))


def _path(given: Path | str | None) -> Path | None:
    return None if given is None else Path(given)
