"""What all pages share: badges, figures in words, settings as a list, and records under pseudonyms.

An AUC, a p-value and a Brier score are decimal fractions; shares, rates and accuracies are percent. Spaces inside what
belongs together in a cell break no line.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aftertrace._figures import NBSP, share
from aftertrace.posteriors import pseudonyms
from aftertrace.results import LIMIT_NAMES, DeletionUnit, LimitCheck, Outcome, Result
from aftertrace.statistics import Interval

EXPOSED = 20
"""Records that a page lists without a script."""
DASH = "–"
SHOWN = 0.05
"""The largest p-value of what is called shown."""

_BADGES = {
    Outcome.LEAKS: ("Leaks", "bad"),
    Outcome.WITHIN: ("Within the limits", "good"),
    Outcome.TOO_COSTLY: ("Too costly", "doubt"),
    Outcome.NOT_SHOWN: ("No leak shown", "neutral"),
    Outcome.INCONCLUSIVE: ("Inconclusive", "doubt"),
    Outcome.INVALID: ("Invalid", "doubt"),
}


def shown_names(records: NDArray[np.int64], key: bytes, *, unit: DeletionUnit = "record") -> list[str]:
    """Records, or persons, as a page names them: short pseudonyms under `key`, such as "r-0123456789" or "p-..."."""
    names = pseudonyms([str(record) for record in records.tolist()], key)
    return [f"{unit[0]}-{int(name):015x}"[:12] for name in names]


def parties(result: Result) -> dict[str, str]:
    """Who is told from unseen ones, and what is judged, for sentences that name both."""
    return {"who": result.attacked.name.lower(), "unit": result.unit}


def limit_title(name: str) -> str:
    """What a limit is called where a sentence begins."""
    return f"{LIMIT_NAMES[name][0].upper()}{LIMIT_NAMES[name][1:]}"


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


def without_gaps(
    heads: Sequence[str], rows: Sequence[Sequence[str]]
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """The headings and rows without the columns in which no row holds more than a dash."""
    kept = [place for place in range(len(heads)) if any(row[place] not in ("", DASH) for row in rows)]
    return tuple(heads[place] for place in kept), tuple(tuple(row[place] for place in kept) for row in rows)


def _interval(found: Interval | LimitCheck, *, digits: int = 2) -> str:
    return _with_ends(found, lambda value: f"{value:z.{digits}f}")


def _shares(found: Interval | LimitCheck, *, digits: int = 1) -> str:
    return _with_ends(found, lambda value: share(value, digits))


def _with_ends(found: Interval | LimitCheck, words: Callable[[float], str]) -> str:
    """Such as "0.52 (0.49 to 0.55)"; of something measured."""
    assert found.estimate is not None
    ends = "no interval" if found.low is None or found.high is None else f"{words(found.low)} to {words(found.high)}"
    return f"{words(found.estimate)} ({ends.replace(' ', NBSP)})"


def _p_value(value: float | None) -> str:
    if value is None:
        return DASH
    return f"<{NBSP}.0001" if value < 0.0001 else f"{value:.4f}" if value < 0.1 else f"{value:.2f}"
