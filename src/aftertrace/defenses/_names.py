"""Defenses by name, as experiment files write them."""

import re
from collections.abc import Callable, Mapping

from aftertrace._spelling import nearest
from aftertrace.defenses._noise import KeyedNoise
from aftertrace.defenses._protocol import Defense
from aftertrace.defenses._release import LabelOnly, Rounding, Temperature, TopK
from aftertrace.errors import ExperimentError

DEFENSES: Mapping[str, tuple[Callable[..., Defense], type | None]] = {
    "TopK": (TopK, int),
    "LabelOnly": (LabelOnly, None),
    "Temperature": (Temperature, float),
    "Rounding": (Rounding, int),
    "KeyedNoise": (KeyedNoise, float),
}
"""Name -> how to make it, and the type of its one parameter, if it has one."""
_KNOWN = "TopK(1), LabelOnly, Temperature(2), Rounding(2), KeyedNoise(0.5)"


def parse_defense(text: str) -> Defense:
    """The defense that a text such as "TopK(1)" or "LabelOnly" names; `str` of a defense is such a text.

    Raises `ExperimentError` for any other.
    """
    found = re.fullmatch(r"\s*(\w+)\s*(?:\(\s*([^()]*?)\s*\))?\s*", text)
    name = "" if found is None else found[1]
    if found is None or name not in DEFENSES:
        raise ExperimentError([f"defense: must be none or one such as {_KNOWN}{nearest(name, DEFENSES)}, got {text!r}"])
    build, kind = DEFENSES[name]
    if (kind is None) != (not found[2]):
        wants = "no number" if kind is None else "a number"
        raise ExperimentError([f"defense: {name} takes {wants} in brackets, as in {_KNOWN}, got {text!r}"])
    if kind is None:
        return build()
    try:
        value = kind(found[2])
    except ValueError as error:
        wants = "whole number" if kind is int else "number"
        raise ExperimentError([f"defense: {name} takes a {wants} in brackets, got {found[2]!r}"]) from error
    try:
        return build(value)
    except ValueError as error:
        raise ExperimentError([f"defense: {text}: {error}"]) from error
