"""The commands that simulate an experiment, and say beforehand what that takes."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from aftertrace._spelling import as_options
from aftertrace.cli._exit import ExitCode, guarded, verdict_code
from aftertrace.cli._options import (
    DEFAULT_JOBS,
    Changes,
    DataDir,
    Device,
    Force,
    Jobs,
    LimitOptions,
    LimitsFile,
    Memory,
    bytes_of,
    limits_given,
)
from aftertrace.cli._outputs import Junit, Outputs, Pdf, Sarif
from aftertrace.cli._progress import with_progress
from aftertrace.cli._words import options_of
from aftertrace.errors import InputError


class Until(StrEnum):
    """When a run ends."""

    DECIDED = "decided"


@guarded
def run(
    experiment: Annotated[str, typer.Argument(help="A TOML file, or an example by name (aftertrace list examples).")],
    changes: Changes = None,
    out: Annotated[Path | None, typer.Option(help="The run's folder [runs/<data>-<model>-<digest>].")] = None,
    jobs: Jobs = DEFAULT_JOBS,
    memory: Memory = None,
    device: Device = "cpu",
    keep_models: Annotated[bool, typer.Option("--keep-models", help="Keep all models, as safetensors.")] = False,
    until: Annotated[
        Until | None, typer.Option(help="Add blocks of target originals until the verdict's limit is decided.")
    ] = None,
    most: Annotated[int | None, typer.Option(min=1, help="With --until: at most so many originals [1000].")] = None,
    limits: LimitsFile = None,
    fail_above: LimitOptions = None,
    what_if: Annotated[
        bool, typer.Option("--what-if", help="Try defenses, and recommend the cheapest that is enough.")
    ] = False,
    junit: Junit = None,
    sarif: Sarif = None,
    pdf: Pdf = None,
    force: Force = False,
    data_dir: DataDir = None,
    no_report: Annotated[bool, typer.Option("--no-report", help="Do not write report.html.")] = False,
) -> ExitCode:
    """Simulate deletions, attack, judge, and write a report. A file with a section `sweep` is a grid of runs.

    A run that was stopped goes on where it was when the same command is given again.
    """
    from aftertrace._api import run as run_audit
    from aftertrace.scenarios import MOST_ORIGINALS, is_sweep

    files = Outputs(junit=junit, sarif=sarif, pdf=pdf)
    files.make_way(out=out)
    if most is not None and until is None:
        raise InputError("--most is for a run that adds originals: give --until decided too, or leave it out.")
    shared: dict[str, Any] = {
        "changes": changes or [],
        "out": out,
        "data_dir": data_dir,
        "jobs": jobs,
        "memory": bytes_of(memory),
        "device": device,
        "force": force,
    }
    if is_sweep(experiment):
        single = {
            "--keep-models": keep_models,
            "--until": until,
            "--limits": limits,
            "--fail-above": fail_above,
            "--what-if": what_if,
            "--junit": junit,
            "--sarif": sarif,
            "--pdf": pdf,
        }
        return _sweep(
            experiment, shared, single=[name for name, given in single.items() if given], report=not no_report
        )
    found = with_progress(
        run_audit,
        experiment,
        **shared,
        keep_models=keep_models,
        until_decided=until is not None,
        most_originals=MOST_ORIGINALS if most is None else most,
        limits=limits_given(limits, fail_above),
        what_if=what_if,
    )
    typer.echo(str(found))
    typer.echo(f"Run:    {found.folder}")
    files.write(found, report=not no_report)
    return verdict_code(found.result.verdict)


def _sweep(experiment: str, shared: Mapping[str, Any], *, single: Sequence[str], report: bool) -> ExitCode:
    """A grid of runs: its exit code is 4 where some could not be done. `single`: options given that are for one run."""
    from aftertrace._api import sweep

    if single:
        raise InputError(
            f"{single[0]} is for single runs, and {experiment} has a section sweep: leave one of them out."
        )
    found = with_progress(sweep, experiment, **shared)
    typer.echo(str(found))
    typer.echo(f"Sweep:  {found.folder}")
    if report:
        typer.echo(f"Report: {found.to_html(found.folder / 'report.html')}")
    return ExitCode.INVALID if found.result.failed else ExitCode.OK


@guarded
def plan(
    experiment: Annotated[str, typer.Argument(help="A TOML file, or an example by name (aftertrace list examples).")],
    changes: Changes = None,
    jobs: Jobs = DEFAULT_JOBS,
    memory: Memory = None,
    device: Device = "cpu",
    data_dir: DataDir = None,
) -> ExitCode:
    """Say what `run` would take: models, queries, memory, disk and time, from a short trial."""
    from aftertrace._api import plan_run
    from aftertrace.scenarios import is_sweep

    if is_sweep(experiment):
        raise InputError(f"{experiment} has a section sweep, and plan is for single runs: leave the section out.")
    made = with_progress(
        plan_run,
        experiment,
        changes=changes or [],
        data_dir=data_dir,
        jobs=jobs,
        memory=bytes_of(memory),
        device=device,
    )
    typer.echo(as_options(str(made), options_of(plan)))
    return ExitCode.OK
