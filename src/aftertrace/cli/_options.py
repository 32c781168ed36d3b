"""Options that several commands have."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aftertrace.errors import InputError

if TYPE_CHECKING:
    from aftertrace.results import Limits

DataDir = Annotated[Path | None, typer.Option("--data-dir", help="Where data files are [AFTERTRACE_DATA].")]
Force = Annotated[bool, typer.Option("--force", help="Take a folder that holds another run or other files.")]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a setting, such as model.name=forest."),
]
Jobs = Annotated[int, typer.Option(min=1, help="Worker processes.")]
Memory = Annotated[
    str | None,
    typer.Option(metavar="SIZE", help="Memory of all workers, such as 8GiB [a quarter of the machine's]."),
]
Device = Annotated[str, typer.Option(help="Where models train: cpu, cuda or cuda:1.")]
DEFAULT_JOBS = os.cpu_count() or 1
LimitsFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="What is accepted: a TOML file with a section [limits]. Decides the exit code."),
]
LimitOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--fail-above",
        metavar="NAME=X",
        help="A single limit, such as auc=0.6; may be repeated, and replaces the file's.",
    ),
]


def bytes_of(text: str | None) -> int | None:
    """A size such as 8GiB, 500MB or 2g (binary units where nothing else is said)."""
    if text is None:
        return None
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)(b?)\s*", text.lower())
    power = 0 if found is None else " kmgt".index(found[2] or " ")
    size = 0.0 if found is None else float(found[1]) * (1000 if found[4] and not found[3] else 1024) ** power
    if size < 2**20:
        raise InputError(f"--memory must be a size of at least 1MiB, such as 8GiB or 500MB, got {text!r}.")
    return int(size)


def limits_given(file: Path | None, single: list[str] | None) -> "Limits | None":
    """The limits of a file and of options; None where none is given."""
    from dataclasses import replace

    from aftertrace.scenarios import limits_of

    if file is None and not single:
        return None
    numbers = {}
    for text in single or []:
        name, _, number = text.partition("=")
        try:
            numbers[name.strip()] = float(number)
        except ValueError:
            raise InputError(
                f"--fail-above must be NAME=X, a number with a point, such as auc=0.6, got {text!r}."
            ) from None
    own = limits_of(numbers, source="--fail-above")
    return replace(limits_of(file), **own.given())
