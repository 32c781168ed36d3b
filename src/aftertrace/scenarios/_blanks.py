"""What a starter of an experiment leaves to be filled in."""

from collections.abc import Iterator, Mapping
from typing import Any

from aftertrace.errors import ExperimentError

BLANK = "FILL IN"
"""The value of a setting that only the user knows."""


def require_filled(table: Mapping[str, Any], *, source: str) -> None:
    """Raises `ExperimentError`, in one line, where settings are still blank."""
    found = blanks(table)
    if found:
        raise ExperimentError(
            [
                f'fill in {" and ".join(filter(None, [", ".join(found[:-1]), found[-1]]))}, where it says "{BLANK}": a '
                f"comment beside each says what belongs there"
            ],
            source=source,
        )


def blanks(table: Mapping[str, Any]) -> list[str]:
    """The dotted keys of nested settings that are blank, in their order."""
    return list(_blanks(table, ()))


def _blanks(table: Mapping[str, Any], place: tuple[str, ...]) -> Iterator[str]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _blanks(value, (*place, key))
        elif value == BLANK:
            yield ".".join((*place, key))
