"""What every audit, and every run, hands back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from aftertrace._keys import key_of
from aftertrace.errors import InputError, StoreError
from aftertrace.results import Outcome, Result, Scores
from aftertrace.store import RunFolder, write_atomically

T = TypeVar("T")


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

    def to_simulation(self, path: Path | str) -> Path:
        """Write the start of an experiment that widens one pair to many, with blanks to fill in.

        Raises `InputError` where the audit has none to write (several pairs, or a shadow side, whose own file widens
        it), and where another file is there already: it may have been filled in.
        """
        text, path = self.starter, Path(path)
        if not text:
            raise InputError(
                "Only an audit of one pair without a shadow side starts an experiment, and this is none. Run the file "
                "of its shadow side, or add originals."
            )
        if path.exists() and not (path.is_file() and path.read_bytes() == text.encode()):
            raise InputError(f"{path}: must be a new file, and is there already: it is left as it is. Name another.")
        write_atomically(path, text.encode())
        return path

    @property
    def starter(self) -> str:
        """The text that `to_simulation` writes; empty where there is none."""
        return "" if self.result.widening is None else self.result.widening.starter

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


def _parsed(folder: RunFolder, name: str, parse: Callable[[bytes], T]) -> T:
    content = folder.read(name)
    try:
        return parse(content)
    except StoreError as error:
        raise StoreError(
            f"{folder.path / name}: damaged ({error}) Give the command that made it again: finished units are kept."
        ) from error
