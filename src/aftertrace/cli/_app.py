"""The commands."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from aftertrace.cli._audit import audit
from aftertrace.cli._canaries import canaries_app
from aftertrace.cli._data import data_app
from aftertrace.cli._exit import ExitCode, guarded
from aftertrace.cli._options import DEFAULT_JOBS, Changes, DataDir, Force, Jobs, Memory, bytes_of
from aftertrace.cli._outputs import Junit, Outputs, Pdf, Sarif
from aftertrace.cli._progress import with_progress
from aftertrace.cli._run import plan, run
from aftertrace.cli._words import in_options

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="Audits what machine unlearning gives away about the people who asked to be deleted.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(data_app, name="data")
app.add_typer(canaries_app, name="canaries")
for _command in (audit, run, plan):
    app.command()(_command)


class Listing(StrEnum):
    """What `aftertrace list` can list."""

    ATTACKS = "attacks"
    MODELS = "models"
    PROCEDURES = "procedures"
    DEFENSES = "defenses"
    STUDIES = "studies"
    EXAMPLES = "examples"


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
    from aftertrace._exposed import exposure as expose

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

    files = Outputs(junit=junit, sarif=sarif, pdf=pdf)
    files.make_way(out=run)
    found = in_options(Audit.of_folder(run), audit)
    typer.echo(str(found))
    files.write(found)
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
