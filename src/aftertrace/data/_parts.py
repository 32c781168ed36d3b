"""Data sets in a training and a test part, of which the first records may be taken alone."""

from aftertrace.errors import DataError

PARTS = ("train", "test")


def check_part(part: str, records: int | None) -> None:
    """Raises `DataError` for an unknown part, or no records."""
    if part not in PARTS:
        raise DataError(f"`part` must be {' or '.join(map(repr, PARTS))}, got {part!r}.")
    if records is not None and records < 1:
        raise DataError(f"'records' must be at least 1, got {records}.")
