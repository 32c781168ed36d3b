"""Files of spreadsheet programs, which are not read: each reader says what to save instead."""

from pathlib import Path

_ENDINGS = (".xlsx", ".xls", ".ods")


def is_spreadsheet(path: Path) -> bool:
    """Whether a file is called as what a spreadsheet program saves by itself."""
    return path.suffix.lower() in _ENDINGS
