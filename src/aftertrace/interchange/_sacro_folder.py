"""A target folder of SACRO-ML on disk."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from aftertrace.errors import PosteriorsError
from aftertrace.interchange._arrays import READABLE, read_array
from aftertrace.interchange._optional import optional

SIDES = ("train", "test")
MOST_BYTES = 2**20
"""Of a target.yaml, which holds names and settings: a longer one is no such file, and takes minutes to parse."""


@dataclass(frozen=True, eq=False)
class TargetFolder:
    """A folder, and the files of its arrays by the arrays' names in lower case (those of old folders are).

    Arrays stand in pairs, of the training and of the test set: a `pattern` such as "proba_{}" names both.
    """

    folder: Path
    files: Mapping[str, Path]

    @classmethod
    def of(cls, folder: Path) -> "TargetFolder":
        """Of what `target.yaml` or `target.json` names. Raises `PosteriorsError`."""
        source, settings = _settings(folder)
        files = {}
        for key, value in settings.items():
            if isinstance(key, str) and key.endswith("_path") and isinstance(value, str) and value:
                files[key.removesuffix("_path").lower()] = _inside(folder, value, source)
        return cls(folder, files)

    def has(self, pattern: str) -> bool:
        """Does it name a file for both sides, of a kind that is read?"""
        paths = [self.files.get(pattern.format(side).lower()) for side in SIDES]
        return all(path is not None and path.suffix in READABLE for path in paths)

    def sides(self, pattern: str) -> tuple[NDArray[Any], NDArray[Any]]:
        """The array of the training set and that of the test set, alike but for their lengths."""
        first, last = (self._array(pattern.format(side)) for side in SIDES)
        if not first.ndim or not last.ndim or first.shape[1:] != last.shape[1:]:
            raise PosteriorsError(
                f"{self.folder}: {pattern.format('train')} and {pattern.format('test')} must hold a row per record and "
                f"agree in their columns; got {first.shape} and {last.shape}."
            )
        return first, last

    def _array(self, name: str) -> NDArray[Any]:
        if name.lower() not in self.files:
            raise PosteriorsError(
                f"{self.folder}: the target must name a file `{name}_path`. Where it has a model and no {name}, ask "
                f"the model in SACRO-ML and save its answer as CSV (docs/interchange.md)."
            )
        return read_array(self.files[name.lower()])


def _settings(folder: Path) -> tuple[Path, Mapping[Any, Any]]:
    """The folder's file of settings, and what it holds."""
    known = [folder / name for name in ("target.yaml", "target.json")]
    found = [path for path in known if path.is_file()]
    if not found:
        raise PosteriorsError(f"{folder}: there must be a target.yaml, as SACRO-ML saves it; there is none.")
    path = found[0]
    if path.stat().st_size > MOST_BYTES:
        raise PosteriorsError(f"{path}: must be at most {MOST_BYTES} bytes, got {path.stat().st_size}.")
    settings = _parsed(path)
    if not isinstance(settings, Mapping):
        raise PosteriorsError(f"{path}: must hold names and values, got {type(settings).__name__}.")
    return path, settings


def _parsed(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".json":
            return json.loads(text)
        yaml = optional("yaml", package="PyYAML", purpose=f"Reading {path}")
    except (OSError, ValueError, RecursionError) as error:
        raise PosteriorsError(f"{path}: not readable ({_line(error)}).") from error
    try:
        return yaml.safe_load(text)  # builds plain values only: a tag of Python is an error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise PosteriorsError(f"{path}: not plain YAML ({_line(error)}).") from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def _inside(folder: Path, name: str, source: Path) -> Path:
    path = folder / name
    try:
        inside = path.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):  # no name of a file at all, or a link to itself
        inside = False
    if not inside:
        raise PosteriorsError(f"{source}: files must lie in the folder, and {name[:200]!r} does not.")
    return path
