"""What versions are called for readers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


def shown(reference: Any) -> str:
    """A model's name for readers: nothing of this machine's folders, and nothing that steers a terminal."""
    if not isinstance(reference, Path | str):
        return type(reference).__name__
    name = Path(reference).name
    if "://" in str(reference):  # without credentials or a query, which may hold one
        address = urlsplit(str(reference))
        name = f"{address.hostname}{address.path}"
    return "".join(sign if sign.isprintable() else "?" for sign in name)


def version_titles(references: Sequence[Any], what: str) -> tuple[str, ...]:
    """What messages call each version: its file, or `what` it is; and when, where two would be called alike."""
    names = [shown(each) if isinstance(each, Path | str) else f"the {what}" for each in references]
    if len(set(names)) == len(names):
        return tuple(names)
    between = [f"version {number}" for number in range(1, len(names) - 1)]
    return tuple(f"{name} ({when})" for name, when in zip(names, ("before", *between, "after"), strict=True))


def title_of(opened: Sequence[Mapping[str, str]]) -> str:
    """What was opened, in words."""
    names = [each["name"] for each in opened]
    if len(set(names)) == 1:
        return f"{len(names) if len(names) > 2 else 'two'} versions of {names[0]}"
    if len(names) > 3:
        return f"{len(names)} versions, {names[0]} to {names[-1]}"
    return f"{', '.join(names[:-1])} and {names[-1]}"
