"""What a judged audit leaves beside the terminal: its report, and files for other tools."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from aftertrace._finished import Audit

Junit = Annotated[Path | None, typer.Option(metavar="FILE", help="Write limits and controls as JUnit XML.")]
Sarif = Annotated[Path | None, typer.Option(metavar="FILE", help="Write what exceeds a limit as SARIF.")]
Pdf = Annotated[Path | None, typer.Option(metavar="FILE", help="Write the report as PDF too (extra pdf).")]


def write_outputs(
    audit: "Audit", *, junit: Path | None, sarif: Path | None, pdf: Path | None, report: bool = True
) -> None:
    """Write the report into the audit's folder, if it has one, and the files asked for; say where."""
    if audit.folder is not None and report:
        typer.echo(f"Report: {audit.to_html(audit.folder / 'report.html')}")
    for name, path, write in (
        ("JUnit", junit, audit.to_junit),
        ("SARIF", sarif, audit.to_sarif),
        ("PDF", pdf, audit.to_pdf),
    ):
        if path is not None:
            typer.echo(f"{name + ':':7} {write(path)}")
