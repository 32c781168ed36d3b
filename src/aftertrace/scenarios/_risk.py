"""A risk-appetite file: the limits of a deployer, as TOML."""

import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

from aftertrace._spelling import nearest
from aftertrace.errors import ExperimentError, InputError
from aftertrace.results import Limits

LARGEST = 1_000_000
"""Bytes of a file of settings; a larger one is none."""
_KNOWN = tuple(each.name for each in fields(Limits))


def limits_of(given: Limits | Mapping[str, float] | Path | str | None, *, source: str = "limits") -> Limits:
    """Limits as they are, by name, or from a file; None: no limits. `source`: where the names came from, for errors."""
    match given:
        case Limits():
            return given
        case None:
            return Limits()
        case Mapping():
            return _limits(given, source)
    return read_limits(Path(given))


def read_limits(path: Path) -> Limits:
    """The section `limits` of a TOML file, which must hold nothing else. Raises `ExperimentError` with all problems."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise ExperimentError(
                [f"must be a small TOML file with a section [limits], got more than {LARGEST} bytes"], source=str(path)
            )
        table = tomllib.loads(content.decode())
    except OSError as error:
        raise ExperimentError([f"cannot be read ({error.strerror})"], source=str(path)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ExperimentError([f"not valid TOML: {error}"], source=str(path)) from error
    own = table.get("limits")
    if set(table) != {"limits"} or not isinstance(own, dict) or not own:
        raise ExperimentError(
            [f"there must be a section [limits] with at least one of {', '.join(_KNOWN)}, and nothing else; found "
             f"{', '.join(table) or 'nothing'}"],
            source=str(path),
        )  # fmt: skip
    return _limits(own, str(path))


def _limits(table: Mapping[str, object], source: str) -> Limits:
    problems = [
        f"{name}: unknown key{nearest(str(name), _KNOWN)}; known are {', '.join(_KNOWN)}"
        for name in table
        if name not in _KNOWN
    ]
    given: dict[str, float] = {}
    for name in _KNOWN:
        if name in table:
            try:
                Limits(**{name: table[name]})  # type: ignore[arg-type]  # it says itself what is wrong
                given[name] = table[name]  # type: ignore[assignment]
            except InputError as error:
                problems.append(str(error).rstrip("."))
    if problems:
        raise ExperimentError(problems, source=source)
    return Limits(**given)
