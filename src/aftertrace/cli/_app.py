"""The commands."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from aftertrace.cli._audit import audit
from aftertrace.cli._canaries import canaries_app
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
from aftertrace.cli._outputs import Junit, Pdf, Sarif, write_outputs
from aftertrace.cli._progress import with_progress
from aftertrace.cli._words import in_options
from aftertrace.errors import InputError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Audits what machine unlearning gives away about the people who asked to be deleted.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
data_app = typer.Typer(no_args_is_help=True, help="Data sets: which are known, whether files are whole, and downloads.")
app.add_typer(data_app, name="data")
app.add_typer(canaries_app, name="canaries")
app.command()(audit)


class Listing(StrEnum):
    """What `aftertrace list` can list."""

    ATTACKS = "attacks"
    MODELS = "models"
    PROCEDURES = "procedures"
    DEFENSES = "defenses"
    STUDIES = "studies"
    EXAMPLES = "examples"


class Until(StrEnum):
    """When a run ends."""

    DECIDED = "decided"


class Scale(StrEnum):
    """How large a reproduction is."""

    QUICK = "quick"
    DEFAULT = "default"
    PAPER = "paper"


def main() -> None:
    """Entry point of the `aftertrace` command."""
    app()


@app.callback(invoke_without_command=True)
def version_option(
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.", is_eager=True)] = False,
) -> None:
    if version:
        from aftertrace import __version__

        typer.echo(f"aftertrace {__version__}")
        raise typer.Exit(0)


@app.command()
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

    if most is not None and until is None:
        raise InputError("--most is for a run that adds originals: give --until decided too, or leave it out.")
    if is_sweep(experiment):
        return _sweep(
            experiment, changes or [], out, jobs, memory, device, force, data_dir, keep_models, until, no_report
        )
    found = with_progress(
        run_audit,
        experiment,
        changes=changes or [],
        out=out,
        data_dir=data_dir,
        jobs=jobs,
        memory=bytes_of(memory),
        device=device,
        keep_models=keep_models,
        until_decided=until is not None,
        most_originals=MOST_ORIGINALS if most is None else most,
        limits=limits_given(limits, fail_above),
        what_if=what_if,
        force=force,
    )
    typer.echo(str(found))
    typer.echo(f"Run:    {found.folder}")
    write_outputs(found, junit=junit, sarif=sarif, pdf=pdf, report=not no_report)
    return verdict_code(found.result.verdict)


def _sweep(
    experiment: str,
    changes: list[str],
    out: Path | None,
    jobs: int,
    memory: str | None,
    device: str,
    force: bool,
    data_dir: Path | None,
    keep_models: bool,
    until: Until | None,
    no_report: bool,
) -> ExitCode:
    """A grid of runs: its exit code is 4 where some could not be done."""
    from aftertrace._api import sweep

    for name, given in (("--keep-models", keep_models), ("--until", until is not None)):
        if given:
            raise InputError(f"{name} is for single runs, and {experiment} has a section sweep: leave one of them out.")
    found = with_progress(
        sweep,
        experiment,
        changes=changes,
        out=out,
        data_dir=data_dir,
        jobs=jobs,
        memory=bytes_of(memory),
        device=device,
        force=force,
    )
    typer.echo(str(found))
    typer.echo(f"Sweep:  {found.folder}")
    if not no_report:
        typer.echo(f"Report: {found.to_html(found.folder / 'report.html')}")
    return ExitCode.INVALID if found.result.failed else ExitCode.OK


@app.command()
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
    typer.echo(str(made))
    return ExitCode.OK


@app.command()
@guarded
def exposure(
    data: Annotated[str, typer.Argument(help="A data set by name (aftertrace data list), or a CSV file.")],
    target: Annotated[str | None, typer.Option(help="The column of a CSV file that holds the classes.")] = None,
    model: Annotated[str, typer.Option(help="The model (aftertrace list models).")] = "logistic",
    changes: Changes = None,
    records: Annotated[int | None, typer.Option(help="Training records [all but the unseen ones].")] = None,
    unseen: Annotated[int, typer.Option(help="Unseen records beside each deletion.")] = 199,
    seed: Annotated[int, typer.Option(min=0, help="Draws the records, and what is random in training.")] = 0,
    out: Annotated[Path | None, typer.Option(help="The folder [runs/exposure-<data>-<model>-<digest>].")] = None,
    jobs: Jobs = DEFAULT_JOBS,
    memory: Memory = None,
    force: Force = False,
    data_dir: DataDir = None,
) -> ExitCode:
    """Delete every training record in turn, and say how strongly each deletion shows.

    Nearly free for logistic, tree and forest. What was finished is kept: the same command goes on where it was stopped.
    """
    from aftertrace._api import exposure as expose

    found = with_progress(
        expose,
        data,
        target=target,
        model=model,
        changes=changes or [],
        records=records,
        unseen=unseen,
        seed=seed,
        out=out,
        data_dir=data_dir,
        jobs=jobs,
        memory=bytes_of(memory),
        force=force,
    )
    typer.echo(str(found))
    typer.echo(f"Rows:   {found.folder / 'exposure.parquet'}")
    typer.echo(f"Report: {found.to_html(found.folder / 'report.html')}")
    return ExitCode.OK


@app.command()
@guarded
def reproduce(
    scale: Annotated[
        Scale, typer.Option(help="How large: minutes, within an hour, or the paper's sizes.")
    ] = Scale.DEFAULT,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="NAME", help="A study by name, such as sisa; may be repeated.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The folder [runs/reproduction-<scale>].")] = None,
    jobs: Jobs = DEFAULT_JOBS,
    memory: Memory = None,
    force: Force = False,
    data_dir: DataDir = None,
) -> ExitCode:
    """Run the experiments of the paper, and say which of its claims hold.

    What was finished is kept: the same command goes on where it was stopped.
    """
    from aftertrace._api import reproduce as run_studies

    found = with_progress(
        run_studies,
        scale.value,
        only=only or [],
        out=out,
        data_dir=data_dir,
        jobs=jobs,
        memory=bytes_of(memory),
        force=force,
    )
    typer.echo(str(found))
    typer.echo(f"Document: {found.to_markdown(found.folder / 'reproduction.md')}")
    typer.echo(f"Report:   {found.to_html(found.folder / 'report.html')}")
    return ExitCode.OK


@app.command()
@guarded
def report(
    run: Annotated[Path, typer.Argument(help="The folder of a finished run or audit.")],
    junit: Junit = None,
    sarif: Sarif = None,
    pdf: Pdf = None,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the scores of all queries as CSV.")] = None,
    mlflow: Annotated[
        str | None, typer.Option(metavar="EXPERIMENT", help="Log it to this experiment of MLflow (extra mlflow).")
    ] = None,
) -> ExitCode:
    """Print a finished run or audit again, write its report anew, and hand it to other tools."""
    from aftertrace._finished import Audit

    found = in_options(Audit.of_folder(run), audit)
    typer.echo(str(found))
    write_outputs(found, junit=junit, sarif=sarif, pdf=pdf)
    if csv is not None:
        typer.echo(f"Scores: {found.to_csv(csv)}")
    if mlflow is not None:
        from aftertrace.interchange import log_to_mlflow

        typer.echo(f"MLflow: run {log_to_mlflow(found, experiment=mlflow)}")
    return ExitCode.OK


@app.command()
@guarded
def compare(
    runs: Annotated[list[Path], typer.Argument(help="Folders of finished runs or audits, the oldest first.")],
    budget: Annotated[
        float | None,
        typer.Option(metavar="X", help="How likely some release may pass wrongly in all, such as 0.1: what is left?"),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write history.html and history.csv into this folder.")] = None,
) -> ExitCode:
    """Put the audits of releases side by side: what changed, and how likely one of them passed wrongly.

    Exits with 1 where more than the budget is spent.
    """
    from aftertrace._api import compare as compare_runs
    from aftertrace.store import make_folder

    found = compare_runs(runs, budget=budget)
    typer.echo(str(found))
    if out is not None:
        make_folder(out)
        typer.echo(f"Table:  {found.to_csv(out / 'history.csv')}")
        typer.echo(f"Report: {found.to_html(out / 'history.html')}")
    left = found.history.left
    return ExitCode.LIMIT_EXCEEDED if left is not None and left < 0 else ExitCode.OK


@app.command(name="compile")
@guarded
def compile_trainers() -> ExitCode:
    """Compile the trainers, once after an installation, so that the first run does not."""
    import time

    from aftertrace.trainers import compile_all

    began, names = time.monotonic(), []
    for name in compile_all():
        if name not in names:
            names.append(name)
            typer.echo(f"Compiling {name}", err=True)
    typer.echo(f"Compiled in {time.monotonic() - began:.0f} s.")
    return ExitCode.OK


@app.command(name="list")
@guarded
def list_known(what: Annotated[Listing, typer.Argument(help="What to list.")]) -> ExitCode:
    """List what can be named in an experiment file."""
    from aftertrace.cli._listing import lines

    for line in lines(what.value):
        typer.echo(line)
    return ExitCode.OK


@data_app.command(name="list")
@guarded
def data_list() -> ExitCode:
    """List the known data sets."""
    from aftertrace.cli._listing import data_lines

    for line in data_lines():
        typer.echo(line)
    return ExitCode.OK


@data_app.command(name="verify")
@guarded
def data_verify(data_dir: DataDir = None) -> ExitCode:
    """Compare the files that are there with the known ones, by checksum."""
    from aftertrace.cli._listing import verify_lines

    for line in verify_lines(data_dir):
        typer.echo(line)
    return ExitCode.OK


@data_app.command(name="fetch")
@guarded
def data_fetch(
    name: Annotated[str, typer.Argument(help="The data set (aftertrace data list).")], data_dir: DataDir = None
) -> ExitCode:
    """Download what is absent of a data set, checked by checksum. Nothing that is there is overwritten."""
    from aftertrace.cli._listing import fetched_lines
    from aftertrace.data import fetch

    found = with_progress(fetch, name, data_dir=data_dir)
    for line in fetched_lines(name, found):
        typer.echo(line)
    return ExitCode.OK
