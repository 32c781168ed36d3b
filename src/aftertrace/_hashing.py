"""Content addresses: equal content, equal digest; nothing else enters."""

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from enum import Enum
from typing import Any, Protocol, runtime_checkable

import numpy as np

from aftertrace.errors import UnsupportedError


@runtime_checkable
class Specified(Protocol):
    """Something that says itself, in plain values, what determines its results."""

    def specification(self) -> Mapping[str, Any]: ...


def digest(value: object) -> str:
    """SHA-256 in hexadecimal of a value made of specifications, arrays, mappings, sequences and scalars."""
    return hashlib.sha256(json.dumps(canonical(value), sort_keys=True).encode()).hexdigest()


def canonical(value: object) -> Any:
    """A JSON value that is equal for equal content. Raises `UnsupportedError` for anything without one.

    A frozen dataclass stands for its class and its fields; an array for its type, shape and bytes. NaN and infinite
    numbers are words: JSON has none, and NaN does not equal itself.
    """
    match value:
        case float() if not math.isfinite(value):
            return {"number": str(float(value))}
        case None | bool() | int() | float() | str():
            return value
        case Enum():
            return value.value
        case np.ndarray() if value.dtype.hasobject:  # it holds addresses of its content
            return {"array": canonical(value.tolist()), "shape": list(value.shape), "type": value.dtype.str}
        case np.ndarray():
            content = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
            return {"array": content, "shape": list(value.shape), "type": value.dtype.str}
        case np.generic() if not isinstance(value.item(), np.generic):  # as a long double is, which Python has not
            return canonical(value.item())
        case np.random.SeedSequence():
            return {"entropy": value.entropy, "key": list(value.spawn_key)}
        case Mapping():
            return {str(key): canonical(item) for key, item in value.items()}
        case list() | tuple():
            return [canonical(item) for item in value]
        case Specified() if not isinstance(value, type):
            return canonical(value.specification())
        case set() | frozenset():
            return sorted(map(canonical, value), key=lambda item: json.dumps(item, sort_keys=True))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: canonical(getattr(value, field.name)) for field in dataclasses.fields(value)}
        kind = type(value)
        return {"class": f"{kind.__module__}.{kind.__qualname__}", **fields}
    raise UnsupportedError(
        f"A specification must be a frozen dataclass of plain values, or have a method "
        f"`specification()` that returns some, so that a run can be addressed by it; got {type(value).__name__}."
    )
