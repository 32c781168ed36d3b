"""What all pages share: badges, figures in words, settings as a list, and records under pseudonyms."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aftertrace.posteriors import pseudonyms
from aftertrace.results import Outcome
from aftertrace.statistics import Interval

EXPOSED = 20
"""Records that a page lists without a script."""
DASH = "–"

_BADGES = {
    Outcome.LEAKS: ("Leaks", "bad"),
    Outcome.WITHIN: ("Within the limits", "good"),
    Outcome.TOO_COSTLY: ("Too costly", "doubt"),
    Outcome.NOT_SHOWN: ("No leak shown", "neutral"),
    Outcome.INCONCLUSIVE: ("Inconclusive", "doubt"),
    Outcome.INVALID: ("Invalid", "doubt"),
}


def shown_names(records: NDArray[np.int64], key: bytes) -> list[str]:
    """Records as a page names them: short pseudonyms under `key`."""
    return [f"r-{int(name):015x}"[:12] for name in pseudonyms([str(record) for record in records.tolist()], key)]


def flat_settings(settings: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as dotted names with values."""
    for key, value in settings.items():
        name = f"{place}.{key}" if place else str(key)
        if isinstance(value, Mapping) and value:
            yield from flat_settings(value, name)
        else:
            yield name, _setting(value)


def _setting(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str) or not isinstance(value, Sequence):
        return str(value) if value not in ({}, "") else "none"
    return ", ".join(map(str, value)) or "none"


def _interval(interval: Interval) -> str:
    if interval.low is None or interval.high is None:
        return f"{interval.estimate:.2f} (no interval)"
    return f"{interval.estimate:.2f} ({interval.low:.2f} to {interval.high:.2f})"


def _p_value(value: float | None) -> str:
    if value is None:
        return DASH
    return "< .0001" if value < 0.0001 else f"{value:.4f}" if value < 0.1 else f"{value:.2f}"
