"""Records as JSON files, and back."""

import json
from dataclasses import asdict
from typing import Any, TypeVar

from aftertrace.errors import StoreError

T = TypeVar("T")


def json_of(record: Any) -> str:
    """A dataclass as JSON: sorted keys, numbers at full precision, no NaN."""
    return json.dumps(asdict(record), indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n"


def record_of(kind: type[T], content: str | bytes, what: str) -> T:
    """What `json_of` wrote. Raises `StoreError`, calling it `what`, if it is damaged or of another format."""
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(kind).validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise StoreError(f"Not {what}: {place}: {first['msg']}.") from error
