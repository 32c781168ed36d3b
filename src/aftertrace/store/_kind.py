"""What a folder is of, and in which words it differs from what is asked for."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_PRINT = re.compile("[0-9a-f]{32,}")
"""A hash, which says nothing to anybody."""


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """Nested settings that differ, with what is asked `here` and what is `there`: "seed = 1 instead of 0"."""
    return list(_differences(there, here, ""))


@dataclass(frozen=True)
class Kind:
    """What folders are of, by its `noun`; `another` is one that was asked something else.

    `differences`: in words, of what a folder holds and of what is asked for; none where these are the same.
    """

    noun: str
    another: str
    differences: Callable[[Mapping[str, Any], Mapping[str, Any]], list[str]] = differences

    @property
    def one(self) -> str:
        """The noun with its article."""
        return with_article(self.noun)


RUN = Kind("run", "a run of another experiment")


def with_article(noun: str) -> str:
    """Such as "an audit"."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _differences(there: Any, here: Any, name: str) -> list[str]:
    if isinstance(there, Mapping) and isinstance(here, Mapping):
        keys = sorted({*there, *here})
        return [
            line
            for key in keys
            for line in _differences(there.get(key), here.get(key), f"{name}.{key}" if name else str(key))
        ]
    return [] if there == here else [_said(name, there, here)]


def _said(name: str, there: Any, here: Any) -> str:
    if any(isinstance(each, str) and _PRINT.fullmatch(each) for each in (there, here)):
        return f"{name} differs"
    if isinstance(here, Mapping) and there is None:
        return f"{name}, and there none"
    if isinstance(there, Mapping) and here is None:
        return f"no {name}"
    own, other = _short(here), _short(there)
    if own == other:
        return f"{name} differs"
    return f"{f'no {name}' if here is None else f'{name} = {own}'} instead of {'none' if there is None else other}"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 24 else text[:12] + "…"
