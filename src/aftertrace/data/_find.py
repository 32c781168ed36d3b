"""Where data files are."""

import os
from pathlib import Path

from aftertrace.errors import DataError


def data_folder(data_dir: Path | None) -> Path:
    """The folder named by the call, else by `AFTERTRACE_DATA`, else `aftertrace` in the user's cache."""
    if data_dir is not None:
        return data_dir
    named = os.environ.get("AFTERTRACE_DATA")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "aftertrace"


def places(file: str, data_dir: Path | None) -> tuple[Path, Path]:
    """Where `file`, as in "adult/adult.data", is looked for: in its subfolder, then in the folder itself."""
    folder = data_folder(data_dir)
    return folder / file, folder / Path(file).name


def find(*files: str, data_dir: Path | None, source: str) -> Path:
    """The first of `files` (names of the same content) that is there. Raises `DataError` with all places searched."""
    searched = [place for file in files for place in places(file, data_dir)]
    for place in searched:
        if place.is_file():
            return place
    raise DataError(
        f"{Path(files[0]).name} must be in the data folder, and is none of {', '.join(map(str, searched))}; "
        f"put it there (from {source}), or name the folder that holds it with `data_dir` or "
        f"AFTERTRACE_DATA."
    )
