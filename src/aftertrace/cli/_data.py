"""The commands about data sets."""

from typing import Annotated

import typer

from aftertrace.cli._exit import ExitCode, guarded
from aftertrace.cli._options import DataDir
from aftertrace.cli._progress import with_progress

data_app = typer.Typer(no_args_is_help=True, help="Data sets: which are known, whether files are whole, and downloads.")


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
