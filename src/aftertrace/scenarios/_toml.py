"""Nested settings as TOML, and changes to them."""

import copy
import json
import math
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aftertrace._spelling import nearest_file
from aftertrace._spreadsheets import is_spreadsheet
from aftertrace.errors import ExperimentError

LARGEST = 2**16
"""Bytes of a file of settings; a larger one is none."""


def read_toml(path: Path, *, source: str) -> dict[str, Any]:
    """The settings of a TOML file. Raises `ExperimentError` where it cannot be read, is too large or no TOML."""
    if is_spreadsheet(path):
        raise ExperimentError(
            ["is a spreadsheet, which is not read; write the settings into a TOML file, as text"], source=source
        )
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise ExperimentError(
                [f"must be a small TOML file, and is longer than {LARGEST} bytes; is it another one?"], source=source
            )
        return tomllib.loads(content.decode())
    except FileNotFoundError as error:
        raise ExperimentError([f"there is no such file{nearest_file(path)}"], source=source) from error
    except OSError as error:
        raise ExperimentError([f"cannot be read ({error.strerror})"], source=source) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ExperimentError([f"not valid TOML: {error}"], source=source) from error


def to_toml(table: Mapping[str, Any]) -> str:
    """Nested settings as TOML, in their order; keys that are None are left out."""
    return "\n".join(_toml_lines(table, ())).strip() + "\n"


def _toml_lines(table: Mapping[str, Any], place: tuple[str, ...]) -> list[str]:
    plain = {key: value for key, value in table.items() if not isinstance(value, Mapping) and value is not None}
    nested = {key: value for key, value in table.items() if isinstance(value, Mapping)}
    lines = [f"{_toml_key(key)} = {literal(value)}" for key, value in plain.items()]
    if place and (plain or not nested):
        lines = ["", f"[{'.'.join(map(_toml_key, place))}]", *lines]
    for key, value in nested.items():
        lines += _toml_lines(value, (*place, key))
    return lines


def _toml_key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else json.dumps(key)


def literal(value: Any) -> str:
    """A value as TOML has it, in a line."""
    match value:
        case Mapping():
            pairs = ", ".join(f"{_toml_key(key)} = {literal(item)}" for key, item in value.items())
            return f"{{ {pairs} }}" if pairs else "{}"
        case list() | tuple():
            return "[" + ", ".join(map(literal, value)) + "]"
        case float() if not math.isfinite(value):
            return str(value)
    return json.dumps(value, ensure_ascii=False, default=str)  # all else is written alike


def nested(dotted: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with dotted keys as nested tables; later ones replace or extend earlier ones."""
    table: dict[str, Any] = {}
    for key, value in dotted.items():
        *place, last = key.split(".")
        own = table
        for part in place:
            own = own.setdefault(part, {})
        own[last] = copy.deepcopy(value)
    return table


def table_of(table: Mapping[str, Any], changes: Sequence[str]) -> dict[str, Any]:
    """Nested settings with `changes`, each `key=value` with a dotted key and a TOML value, or a bare word."""
    changed = copy.deepcopy(dict(table))
    for change in changes:
        _apply(changed, change)
    return changed


def _apply(table: dict[str, Any], change: str) -> None:
    key, equals, text = change.partition("=")
    if not equals or not key.strip():
        raise ExperimentError(
            [f"a change must be KEY=VALUE, such as model.name=forest, got {change!r}"], source="`changes`"
        )
    try:
        value = tomllib.loads(f"value = {text.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()  # a bare word is a string
    *place, last = (part.strip() for part in key.split("."))
    for part in place:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise ExperimentError([f"{key.strip()}: {part} is a value and has no keys below it"], source="`changes`")
    table[last] = value
