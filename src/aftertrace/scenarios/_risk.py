"""A risk-appetite file: the limits of a deployer, as TOML."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

from aftertrace._spelling import nearest
from aftertrace.errors import ExperimentError, InputError
from aftertrace.results import Limits
from aftertrace.scenarios._toml import read_toml

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
        case Path() | str():
            return read_limits(Path(given))
    raise InputError(f"Limits must be a file, or numbers by name such as {{'auc': 0.6}}, got {given!r}.")


def read_limits(path: Path) -> Limits:
    """The section `limits` of a TOML file, which must hold nothing else. Raises `ExperimentError` with all problems."""
    table = read_toml(path, source=str(path))
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
                given[name] = table[name]  # type: ignore[assignment]  # a number: `Limits` has taken it
            except InputError as error:
                problems.append(str(error).rstrip("."))
    if problems:
        raise ExperimentError(problems, source=source)
    return Limits(**given)
