"""Sections of an experiment file, read strictly, all problems reported together."""

import json
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from aftertrace._spelling import nearest
from aftertrace.data import SPECIFICATIONS, DataSpec
from aftertrace.errors import ExperimentError


def read_data(section: Any, place: str, problems: list[str]) -> DataSpec | None:
    kinds = {kind.name: kind for kind in SPECIFICATIONS}
    names = ", ".join(kinds)
    if not isinstance(section, Mapping) or "name" not in section:
        problems.append(f"{place}.name: must be one of {names}, got nothing")
        return None
    name = section["name"]
    if name not in kinds:
        problems.append(f"{place}.name: must be one of {names}, got {name!r}{nearest(str(name), kinds)}")
        return None
    rest = {key: value for key, value in section.items() if key != "name"}
    return read_section(kinds[name], rest, place, problems)


def read_section(kind: Any, value: Any, place: str, problems: list[str]) -> Any:
    """`value` as a `kind`, or None with problems added."""
    from pydantic import ConfigDict, TypeAdapter, ValidationError

    config = None if is_dataclass(kind) else ConfigDict()
    value = _without_empty(kind, value)
    _unknown_keys(kind, value, place, problems)
    before = len(problems)
    try:
        return TypeAdapter(kind, config=config).validate_json(json.dumps(value, default=str), strict=True)
    except ValidationError as error:
        for each in error.errors():
            where = ".".join([place, *(str(part) for part in each["loc"])])
            own = each.get("ctx", {}).get("error")  # what a specification said itself
            reason = str(own).rstrip(".") if own else each["msg"][0].lower() + each["msg"][1:]
            got = "" if each["type"] == "missing" or ", got " in reason else f", got {each['input']!r}"
            problems.append(f"{where}: {reason}{got}")
    except ExperimentError as error:
        problems += error.problems
    assert len(problems) > before
    return None


def _without_empty(kind: Any, value: Any) -> Any:
    """Without empty tables where a table may be absent: TOML has no other word for what is not there."""
    if not (isinstance(value, Mapping) and is_dataclass(kind)):
        return value
    hints = typing.get_type_hints(kind)
    absent = [key for key, item in value.items() if item == {} and is_dataclass(_own_table(hints.get(key)))]
    return {key: item for key, item in value.items() if key not in absent}


def _own_table(kind: Any) -> Any:
    """The table that a setting is if it is there; None where it is none, or must be there."""
    return _without_none(kind) if type(None) in typing.get_args(kind) else None


def _unknown_keys(kind: Any, value: Any, place: str, problems: list[str]) -> None:
    """Keys that no field of the dataclass `kind` has, at every depth."""
    if not (isinstance(value, Mapping) and is_dataclass(kind)):
        return
    hints = typing.get_type_hints(kind)
    known = [each.name for each in fields(kind)]
    for key, item in value.items():
        if key in known:
            _unknown_keys(_without_none(hints[key]), item, f"{place}.{key}", problems)
        else:
            problems.append(
                f"{place}.{key}: unknown key{nearest(str(key), known)}; known are {', '.join(known) or 'none'}"
            )


def _without_none(kind: Any) -> Any:
    """What an optional setting is when it is there."""
    rest = [each for each in typing.get_args(kind) if each is not type(None)]
    return rest[0] if type(None) in typing.get_args(kind) and len(rest) == 1 else kind
