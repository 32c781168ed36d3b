"""What a judged audit leaves beside the terminal: its report, and files for other tools."""

from collections.abc import Iterator
from dataclasses import dataclass
from os import SEEK_END
from os.path import lexists, realpath
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Annotated

import typer

from aftertrace.errors import InputError

if TYPE_CHECKING:
    from aftertrace._finished import Audit

Junit = Annotated[Path | None, typer.Option(metavar="FILE", help="Write limits and controls as JUnit XML.")]
Sarif = Annotated[Path | None, typer.Option(metavar="FILE", help="Write what exceeds a limit as SARIF.")]
Pdf = Annotated[Path | None, typer.Option(metavar="FILE", help="Write the report as PDF too (extra pdf).")]

_OWN = (
    *("manifest.json", "experiment.toml", "pseudonyms.key", "report.html", "result.json", "scores.parquet"),
    *("certificate.json", "simulation.toml"),
)
"""Files of a run's or an audit's folder."""
_MARKS = {
    "junit": (b'<testsuites name="aftertrace"',),
    "sarif": (b"sarif-schema-2.1.0", b'"name": "aftertrace"'),
}
"""What the beginning of a file says that an earlier call wrote."""
_READ_BY_SERVERS = ("junit", "sarif")


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """The files for other tools that a command is asked for."""

    junit: Path | None
    sarif: Path | None
    pdf: Path | None

    def make_way(self, *, out: Path | None) -> None:
        """Raises `InputError`, before anything is judged, for a file that cannot be written or would replace anything
        but what an earlier call left there. What servers read of that is removed: a call that is refused or stopped
        must not seem to have that outcome.

        `out`: the folder of the run or audit.
        """
        from aftertrace.store import remove_file

        taken = set() if out is None else {realpath(out / name) for name in _OWN}
        problems = []
        for name, path in self._given():
            problem = _problem(name, path, out, taken)
            taken.add(realpath(path))
            if problem:
                problems.append(problem)
            elif name in _READ_BY_SERVERS:
                remove_file(path)
        if problems:
            raise InputError(problems[0])

    def write(self, audit: "Audit", *, report: bool = True) -> None:
        """Write the report into the audit's folder, if it has one, and the files asked for; say where."""
        if audit.folder is not None and report:
            typer.echo(f"Report: {audit.to_html(audit.folder / 'report.html')}")
        writers = {"junit": ("JUnit", audit.to_junit), "sarif": ("SARIF", audit.to_sarif), "pdf": ("PDF", audit.to_pdf)}
        for name, path in self._given():
            shown, write = writers[name]
            typer.echo(f"{shown + ':':7} {write(path)}")

    def _given(self) -> Iterator[tuple[str, Path]]:
        for name, path in (("junit", self.junit), ("sarif", self.sarif), ("pdf", self.pdf)):
            if path is not None:
                yield name, path


def _problem(name: str, path: Path, out: Path | None, taken: set[str]) -> str:
    from aftertrace.posteriors._readable import is_folder

    if is_folder(path) or not (path.parent == out or is_folder(path.parent)):
        return f"--{name} must be a file in a folder that is there, got {path}. Make the folder first."
    if realpath(path) in taken:
        return f"--{name} must be a file of its own, got {path}, which the audit writes. Choose another."
    if lexists(path) and not _is_earlier(name, path):
        return (
            f"--{name} must be a new file, or what an earlier call wrote; got {path}, which is something else. Choose "
            f"another."
        )
    return _unwritable(name, path.parent) if is_folder(path.parent) else ""


def _is_earlier(name: str, path: Path) -> bool:
    """Whether an earlier call wrote this file, or there is nothing in it."""
    from aftertrace.posteriors._readable import first_bytes
    from aftertrace.report._pdf import MARK

    if path.is_symlink() or not path.is_file():
        return False
    head = first_bytes(path)
    if name == "pdf":
        return not head or (head.startswith(b"%PDF-") and _ends_with(path, MARK))
    return not head or all(mark in head for mark in _MARKS[name])


def _ends_with(path: Path, mark: bytes) -> bool:
    with path.open("rb") as file:
        file.seek(-min(path.stat().st_size, len(mark)), SEEK_END)
        return file.read() == mark


def _unwritable(name: str, folder: Path) -> str:
    """Why no file can be made in a folder; nothing where one can."""
    try:
        with TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return f"--{name} must be in a folder that can be written, got {folder} ({error.strerror}). Choose another."
